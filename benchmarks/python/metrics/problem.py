"""`vendi_once`: 20000 x 384 unit rows, one score. `vendi_add`: 512 more rows, then the score of all of them."""

from __future__ import annotations

import torch

ROWS, ADDED, DIMENSION = 20_000, 512, 384


def problem(
    seed: int, *, dtype: torch.dtype = torch.float64, count: int = ROWS, added: int = ADDED, dimension: int = DIMENSION
) -> dict:
    """Rows of unit length in `dtype`; float64 ones are of unit length to the last bits, so both sides see the same."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count + added, dimension, generator=generator, dtype=torch.float64)
    rows = torch.nn.functional.normalize(rows, dim=1).to(dtype)
    return {"all": rows, "first": rows[:count], "added": rows[count:]}
