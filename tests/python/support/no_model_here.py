"""`vlmprobe` in a process that can make no model and take no gradient.

    python no_model_here.py ARGUMENTS OF VLMPROBE

Whatever makes a torch module or begins a backward pass ends the process with an error, and so does transformers, where
it was imported by the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch

from vlmprobe import cli


def refusing(what: str) -> Callable[..., None]:
    """In the place of a function of torch."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError(f"a process whose models are behind endpoints {what}")

    return refuse


if __name__ == "__main__":
    torch.nn.Module.__init__ = refusing("made a module of torch")
    torch.autograd.backward, torch.autograd.grad = refusing("took a gradient"), refusing("took a gradient")
    code = cli.main(sys.argv[1:])
    assert "transformers" not in sys.modules, "transformers was imported"
    sys.exit(code)
