# The types of vlmprobe._core (python/bindings): bind_core, bind_text, bind_memory, bind_reward; a file per submodule.
# tests/python/test_types.py holds them against the built module. The contracts are in include/vlmprobe.

from collections.abc import Mapping, Sequence
from typing import ClassVar, NoReturn, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from . import grpo as grpo
from . import metrics as metrics
from . import world as world

__version__: str
torch_version: str
faiss: str  # the version, or why there is none

class InvalidArgument(ValueError): ...
class InvalidState(RuntimeError): ...

# What every class of pybind11 has: a metaclass, and no constructor where none is named.
class _Type(type): ...

class _Object(metaclass=_Type):
    def __init__(self, *args: NoReturn, **kwargs: NoReturn) -> None: ...

# What every enumeration of pybind11 has; they are none of Python's.
class _Enum(_Object):
    __members__: ClassVar[dict[str, Self]]
    def __init__(self, value: int) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __getstate__(self) -> int: ...
    def __setstate__(self, state: int, /) -> None: ...

# core

class Stream(_Enum):
    sampling: ClassVar[Stream]
    scene: ClassVar[Stream]
    question: ClassVar[Stream]
    fault: ClassVar[Stream]
    verifier: ClassVar[Stream]
    images: ClassVar[Stream]
    bootstrap: ClassVar[Stream]

def hash(text: str) -> int: ...
@overload
def uniform(seed: int, stream: Stream, a: int, b: int, c: int) -> float: ...  # type: ignore[overload-overlap]
@overload
def uniform(
    seed: int | NDArray[np.integer],
    stream: Stream,
    a: int | NDArray[np.integer],
    b: int | NDArray[np.integer],
    c: int | NDArray[np.integer],
) -> NDArray[np.float64]: ...

# text

DEFAULT_MAX_BYTES: int
DEFAULT_PREFIX_LENGTH: int

class Questions(_Object):
    @property
    def k(self) -> int: ...
    @property
    def text(self) -> list[str]: ...
    @property
    def sequence(self) -> Tensor: ...
    @property
    def slot(self) -> Tensor: ...
    @property
    def status(self) -> Tensor: ...
    @property
    def token_begin(self) -> Tensor: ...
    @property
    def token_end(self) -> Tensor: ...

def status_name(status: int) -> str: ...
def parse_responses(
    completions: Sequence[str | bytes], k: int, token_ends: Sequence[Sequence[int]], max_bytes: int
) -> Questions: ...
def prefix(question: str | bytes, length: int) -> str: ...
def neutralise(quoted: str | bytes) -> str: ...

# memory

class Backend(_Enum):
    automatic: ClassVar[Backend]
    faiss: ClassVar[Backend]
    aten: ClassVar[Backend]

class Within(_Enum):
    none: ClassVar[Within]
    sequence: ClassVar[Within]
    step: ClassVar[Within]

def has_faiss() -> bool: ...

class EmbeddingBank(_Object):
    def __init__(self, dim: int, backend: Backend) -> None: ...
    def add(self, rows: Tensor) -> None: ...
    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]: ...  # score, id
    def rows(self) -> Tensor: ...
    @property
    def dim(self) -> int: ...
    @property
    def backend(self) -> Backend: ...
    def __len__(self) -> int: ...

class PrefixCounts(_Object):
    def __init__(self, length: int = 2) -> None: ...
    def add(self, question: str | bytes) -> None: ...
    def count(self, question: str | bytes) -> int: ...
    def merge(self, other: PrefixCounts) -> None: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def length(self) -> int: ...
    @property
    def total(self) -> int: ...

class QuestionMemory(_Object):
    def __init__(self, dim: int, prefix_length: int, backend: Backend) -> None: ...
    def novelty(
        self,
        image: Tensor,
        embeddings: Tensor,
        texts: Sequence[str | bytes],
        within: Within,
        sequence: Tensor | None,
        slot: Tensor | None,
    ) -> tuple[Tensor, Tensor]: ...  # semantic, lexical
    def commit(
        self,
        run: str,
        step: int,
        image: Tensor,
        embeddings: Tensor,
        texts: Sequence[str | bytes],
        sequence: Tensor,
        slot: Tensor,
    ) -> int: ...
    def save(self, directory: str) -> None: ...
    @staticmethod
    def load(directory: str, backend: Backend) -> QuestionMemory: ...
    def count(self, image: int) -> int: ...
    @property
    def prefixes(self) -> PrefixCounts: ...
    @property
    def images(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def backend(self) -> Backend: ...
    def __len__(self) -> int: ...

# reward

class TermId(_Enum):
    semantic: ClassVar[TermId]
    lexical: ClassVar[TermId]
    valid: ClassVar[TermId]
    wrong: ClassVar[TermId]
    invalid: ClassVar[TermId]

class Formula(_Object):
    @staticmethod
    def number(value: float) -> Formula: ...
    @staticmethod
    def term(term: TermId) -> Formula: ...
    @staticmethod
    def custom(name: str) -> Formula: ...
    def __add__(self, other: Formula, /) -> Formula: ...
    def __sub__(self, other: Formula, /) -> Formula: ...
    def __mul__(self, other: Formula, /) -> Formula: ...
    def __neg__(self) -> Formula: ...
    @property
    def custom_names(self) -> list[str]: ...

def reward_paper(
    *,
    lambda_scale: float = 0.5,
    lambda_penalty: float = 1.0,
    semantic: bool = True,
    lexical: bool = True,
    penalty: bool = True,
) -> Formula: ...
def reward_preset_names() -> list[str]: ...
def reward_parse(text: str, custom: Sequence[str]) -> Formula: ...
def reward_score(
    formula: Formula,
    num_sequences: int,
    sequence: Tensor,
    valid: Tensor,
    correct: Tensor,
    semantic: Tensor,
    lexical: Tensor,
    custom: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor, dict[str, Tensor]]: ...  # question, total, terms
