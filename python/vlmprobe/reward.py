"""The reward algebra: the line that one writes is the reward that is computed.

    >>> from vlmprobe.reward import semantic, lexical, valid, wrong, invalid
    >>> 0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid
    0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid

Unknown values (NaN) and the gates are defined once, in ``include/vlmprobe/reward/value.h``: a question of unknown
validity is unscored; an invalid one gets exactly the penalty, whatever else is unknown; a valid one with
unknown correctness is
unscored where ``wrong`` counts; a term with weight 0 is a monitor. Source: arXiv 2604.04733v1, equations 2 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from vlmprobe import _core
from vlmprobe.memory import QuestionMemory


def _column(name: str, values: Any, dtype: torch.dtype) -> torch.Tensor:
    if isinstance(values, torch.Tensor) and values.dtype == dtype:
        return values.detach().cpu() if values.requires_grad or not values.is_cpu else values
    # A list of floats becomes float64 at once: by way of the default dtype it would lose half of its digits.
    given = torch.as_tensor(values, dtype=dtype if dtype.is_floating_point else None).detach().cpu()
    column = given.to(dtype)
    if not torch.equal(column.to(torch.float64).nan_to_num(), given.to(torch.float64).nan_to_num()):
        raise ValueError(f"[reward::Batch] {name}: expected {dtype}, got values of {given.dtype} that it cannot hold")
    return column


@dataclass(frozen=True, repr=False)
class Batch:
    """One row per question; tensors, arrays or lists are accepted and kept as CPU tensors of the dtypes below."""

    sequence: torch.Tensor
    """[Q] int64: the question's sequence, 0 .. num_sequences - 1."""
    num_sequences: int
    """B."""
    valid: torch.Tensor
    """[Q] int8: 1, 0, or -1 for unknown; 0 for a missing or malformed slot."""
    correct: torch.Tensor
    """[Q] int8: 1, 0, or -1 for unknown."""
    semantic: torch.Tensor
    """[Q] float64 in [0, 1], NaN for unknown."""
    lexical: torch.Tensor
    """[Q] float64 in [0, 1], NaN for unknown."""
    texts: Sequence[str] = ()
    """[Q]: the questions, for custom terms."""
    images: torch.Tensor | None = None
    """[Q] int64: labels of the images, for custom terms."""
    embeddings: torch.Tensor | None = None
    """[Q, D] float32 unit rows, zero where the question is not valid, for custom terms."""
    memory: QuestionMemory | None = None
    """The failures before this step, for custom terms."""

    def __post_init__(self) -> None:
        dtypes = {"sequence": torch.int64, "valid": torch.int8, "correct": torch.int8}
        dtypes |= {"semantic": torch.float64, "lexical": torch.float64}
        if self.images is not None:
            dtypes["images"] = torch.int64
        for name, dtype in dtypes.items():
            object.__setattr__(self, name, _column(name, getattr(self, name), dtype))
        if len(self.texts) not in (0, len(self)):
            raise ValueError(f"[reward::Batch] texts: expected {len(self)}, one per question, got {len(self.texts)}")

    def __len__(self) -> int:
        return self.sequence.numel()

    def __repr__(self) -> str:
        return f"Batch({len(self)} questions, {self.num_sequences} sequences)"


@dataclass(frozen=True, repr=False)
class Rewards:
    """What an expression made of a batch."""

    question: torch.Tensor
    """[Q] float64, NaN = unscored."""
    total: torch.Tensor
    """[B] float64: the mean over the sequence's scorable questions, NaN without any."""
    terms: dict[str, torch.Tensor] = field(default_factory=dict)
    """Each term as it is before weighting, [Q] float64, NaN = unknown."""

    def __repr__(self) -> str:
        unscored = int(self.question.isnan().sum())
        return f"Rewards({self.question.numel()} questions, {unscored} unscored, terms: {', '.join(self.terms)})"


TermFunction = Callable[[Batch], torch.Tensor]
"""A custom term: a function of the whole batch that returns [Q] values, NaN for unknown."""


class Expression:
    """A reward: numbers and terms joined by ``+``, ``-``, ``*``. Call it with a Batch."""

    def __init__(self, formula: _core.Formula, functions: Mapping[str, TermFunction] | None = None):
        self._formula = formula
        self._functions = dict(functions or {})

    def _joined(self, other: Any, operation: Callable) -> Expression:
        if isinstance(other, (int, float)):
            other = Expression(_core.Formula.number(other))
        if not isinstance(other, Expression):
            return NotImplemented
        for name, function in other._functions.items():
            if self._functions.get(name, function) is not function:
                raise ValueError(f"[reward::term] name: expected one function per name, got two for {name}")
        return Expression(operation(self._formula, other._formula), self._functions | other._functions)

    def __add__(self, other: Expression | float) -> Expression:
        return self._joined(other, lambda a, b: a + b)

    def __radd__(self, other: Expression | float) -> Expression:
        return self._joined(other, lambda a, b: b + a)

    def __sub__(self, other: Expression | float) -> Expression:
        return self._joined(other, lambda a, b: a - b)

    def __rsub__(self, other: Expression | float) -> Expression:
        return self._joined(other, lambda a, b: b - a)

    def __mul__(self, other: Expression | float) -> Expression:
        return self._joined(other, lambda a, b: a * b)

    def __rmul__(self, other: Expression | float) -> Expression:
        return self._joined(other, lambda a, b: b * a)

    def __neg__(self) -> Expression:
        return Expression(-self._formula, self._functions)

    def __repr__(self) -> str:
        return repr(self._formula)

    def __call__(self, batch: Batch) -> Rewards:
        """Score a batch: rewards per question, totals per sequence, each term as it is.

        Raises:
            ValueError: A column or a custom term of another shape, dtype or range; the message names it and the row.
        """
        custom = {name: _column(name, function(batch), torch.float64) for name, function in self._functions.items()}
        columns = (batch.sequence, batch.valid, batch.correct, batch.semantic, batch.lexical)
        return Rewards(*_core.reward_score(self._formula, batch.num_sequences, *columns, custom))


def term(name: str, function: TermFunction) -> Expression:
    """A term of your own.

    Args:
        name: Its name in the logs and in ``repr``: letters, digits and _.
        function: Takes the Batch, returns [Q] values; NaN where unknown.

    Example:
        >>> short = term("short", lambda batch: torch.tensor([1.0 / (1 + len(t.split())) for t in batch.texts]))
        >>> short * valid * wrong - invalid
        short * valid * wrong - invalid
    """
    if name == "total":
        raise ValueError("[reward::term] name: expected another than total, which is the reward itself")
    return Expression(_core.Formula.custom(name), {name: function})


KIND = 0.5
"""Cosine up to which questions are of other kinds, for `rare`."""
KNOWN = 4.0
"""Failures of a kind at which one more is worth half, for `rare`."""


def _rare(batch: Batch) -> torch.Tensor:
    if batch.memory is None or batch.embeddings is None:
        raise ValueError("[reward::rare] batch: expected the memory and the embeddings of a step, got none")
    found = torch.full((len(batch),), torch.nan, dtype=torch.float64)
    rows = ((batch.valid == 1) & (batch.correct == 0)).nonzero()[:, 0]
    if len(rows):
        some = batch.embeddings[rows]
        beside = ((some @ some.T).double().clamp(max=1) - KIND).clamp(min=0).fill_diagonal_(0).sum(1) / (1 - KIND)
        found[rows] = 1 / (1 + (batch.memory.crowding(some, floor=KIND) + beside) / KNOWN)
    return found.masked_fill((batch.valid == 1) & (batch.correct == 1), 1.0)


semantic = Expression(_core.Formula.term(_core.TermId.semantic))
lexical = Expression(_core.Formula.term(_core.TermId.lexical))
valid = Expression(_core.Formula.term(_core.TermId.valid))
wrong = Expression(_core.Formula.term(_core.TermId.wrong))
invalid = Expression(_core.Formula.term(_core.TermId.invalid))

rare = term("rare", _rare)
"""How new the kind of a failure is: 1 / (1 + c / `KNOWN`), where c is how crowded it is around the question
(`QuestionMemory.crowding`, floor `KIND`) by all failures so far, on whatever picture, and by the others of its step.
It is 1 for what was answered rightly."""

PRESETS: tuple[str, ...] = tuple(_core.reward_preset_names())


def paper(
    *,
    lambda_scale: float = 0.5,
    lambda_penalty: float = 1.0,
    semantic: bool = True,
    lexical: bool = True,
    penalty: bool = True,
) -> Expression:
    """Equation 5 and its ablations: 2 lambda_scale Delta V (1 - C) - lambda_penalty (1 - V).

    Delta is the mean of the diversity terms that are left in, 1 if there is none; with both this is equation 5.

    Raises:
        ValueError: A lambda that is negative or not finite.

    Example:
        >>> paper()
        0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid
    """
    return Expression(
        _core.reward_paper(
            lambda_scale=lambda_scale,
            lambda_penalty=lambda_penalty,
            semantic=semantic,
            lexical=lexical,
            penalty=penalty,
        )
    )


def coverage() -> Expression:
    """A failure, by how new its kind is among all failures so far; validity is a gate and nothing is subtracted.

    Example:
        >>> coverage()
        rare * valid * wrong
    """
    return rare * valid * wrong


def parse(text: str, *, terms: Mapping[str, TermFunction] | None = None) -> Expression:
    """A preset by name (see PRESETS) or an expression as text. Nothing is evaluated but the algebra.

    Args:
        text: ``paper-no-lexical``, say, ``coverage``, or ``0.5 * (semantic + lexical) * valid * wrong - invalid``.
        terms: Functions of further terms, by name.

    Raises:
        ValueError: Text that is neither; an unknown name comes with the allowed ones and the nearest.

    Example:
        >>> parse("paper-no-diversity")
        1.0 * valid * wrong - 1.0 * invalid
    """
    if text == "coverage":
        return coverage()
    functions = {"rare": _rare, **(terms or {})}
    formula = _core.reward_parse(text, list(functions))
    return Expression(formula, {name: functions[name] for name in formula.custom_names})
