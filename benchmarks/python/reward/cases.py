"""`reward_4096`: completions to question rewards, beside plain Python and NumPy."""

from __future__ import annotations

from function_case import FunctionCase

from .ours import ours
from .problem import problem
from .reference import reference

CASES = (
    FunctionCase(
        "reward_4096",
        make=problem,
        reference=reference,
        ours=ours,
        shapes=({},),
        tiny={},
        most=1e-12,
        ratio=50.0,
        peer="plain Python and NumPy",
    ),
)
