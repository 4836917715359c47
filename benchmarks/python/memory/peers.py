"""The largest cosine of each query to the rows of its image, by NumPy, torch and FAISS, on as many threads as torch."""

from __future__ import annotations

import numpy as np
import torch
from blas import blas_threads

from .problem import Banks


def numpy_per_image(banks: Banks) -> dict:
    stored, asked = banks.stored.numpy(), banks.asked.numpy()
    groups = np.split(asked, np.cumsum(np.bincount(banks.image.numpy(), minlength=banks.images))[:-1])
    with blas_threads():
        found = [(rows @ bank.T).max(1) for rows, bank in zip(groups, stored, strict=True)]
    return {"cosine": np.concatenate(found)}


@torch.no_grad()
def torch_bmm(banks: Banks) -> dict:
    """All images have as many queries and rows, which is what bmm needs."""
    grouped = banks.asked.view(banks.images, -1, banks.width)
    return {"cosine": torch.bmm(grouped, banks.stored.mT).amax(-1).flatten().numpy()}


def faiss_per_image(banks: Banks) -> dict:
    """faiss-cpu's exact search, one call per image, on as many threads as torch has."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    stored, asked = banks.stored.numpy(), banks.asked.view(banks.images, -1, banks.width).numpy()
    found = [faiss.knn(asked[i], stored[i], 1, metric=faiss.METRIC_INNER_PRODUCT)[0] for i in range(banks.images)]
    return {"cosine": np.concatenate(found)[:, 0]}
