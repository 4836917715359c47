"""The published implementation, in its dual form; float32 rows are converted, or it is not right to 1e-8."""

from __future__ import annotations

import numpy as np
from blas import blas_threads
from vendi_score.vendi import score_dual


def once(problem: dict) -> dict:
    with blas_threads():
        return {"score": score_dual(problem["first"].numpy().astype(np.float64, copy=False), normalize=False)}


def add(problem: dict) -> dict:
    with blas_threads():
        return {"score": score_dual(problem["all"].numpy().astype(np.float64, copy=False), normalize=False)}
