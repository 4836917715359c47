"""NumPy's and SciPy's BLAS have threads of their own, which torch's setting does not reach."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

import torch
from threadpoolctl import ThreadpoolController


@functools.cache
def _controller() -> ThreadpoolController:
    """Finds the libraries once: that takes milliseconds."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()


def blas_threads() -> AbstractContextManager:
    """Inside, NumPy and SciPy use as many threads as torch does."""
    return _controller().limit(limits=torch.get_num_threads(), user_api="blas")
