"""One step as a value: it gains columns as it goes through the stages.

    a place and images   the step's pictures                                  I
    ask      ->  asked, questions            G completions a picture, k questions each     B = I x G, Q = B x k
    examine  ->  verdicts, answers           what the verifier and the answerer said       [Q]
    score    ->  novelties, rewards          against the memory; by the reward             [Q], [B]
    credit   ->  advantages, degenerate      within each group                             [B] or [B, T]

A round never changes and calls no model: a stage takes one and returns another that has more columns. A column that is
not there yet is None, and a stage that needs it says so (`Round.expect`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vlmprobe._util.html import table, text, titled
from vlmprobe.models.protocols import Picture
from vlmprobe.models.replies import Reply, Verdict
from vlmprobe.policy.asker import Asked
from vlmprobe.reward import Rewards
from vlmprobe.text import Questions

UNKNOWN = -1
"""In a column of int8: neither true (1) nor false (0)."""
SHOWN = 10  # questions in a notebook
_HEADS = ("picture", "question", "valid", "answer", "right", "reward")
_TRUTHS = {1: "yes", 0: "no", UNKNOWN: "unknown"}
_LATER: Any = None  # a column that a stage will add
_STATES = {
    "asked": "an asked",
    "questions": "an asked",
    "verdicts": "an examined",
    "answers": "an examined",
    "novelties": "a scored",
    "rewards": "a scored",
    "advantages": "a credited",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which step of what."""

    run: str = "run"
    """Name of the run."""
    phase: str = "train"
    """Its part: `train`, `evaluation`, the name of an arm."""
    step: int = 0
    """From 0, counted within the phase."""


@dataclass(frozen=True)
class Novelties:
    """How new each valid question is against the memory."""

    semantic: Tensor
    """[Q] float64 in [0, 1]: 1 - the highest cosine to earlier failures on the same image; NaN where the question is
    not valid."""
    lexical: Tensor
    """[Q] float64 in (0, 1]: 1 / (1 + count of its first words among all failures); NaN likewise."""
    embeddings: Tensor
    """[Q, D] float32 unit rows; zero where the question is not valid."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Round:
    """A step: I images, B completions about them, Q questions in these."""

    place: Place
    images: Sequence[Picture]
    """[I] those that could be read and asked about."""
    left_out: int = 0
    """Images that the step was to be about besides, and that could not be read."""
    short: int = 0
    """Images that its calls did not do for, the last ones of the step."""
    asked: Asked = _LATER
    """B completions."""
    questions: Questions = _LATER
    """[Q] what was found in them."""
    verdicts: Sequence[Verdict | None] = _LATER
    """[Q] None where there was no question, or nobody judged it."""
    answers: Sequence[Reply | None] = _LATER
    """[Q] None where the answerer was not asked."""
    annotations: Sequence[Mapping[str, Any]] = ()
    """[Q] what is known about each question besides, such as the world's truth; empty: nothing of any."""
    novelties: Novelties = _LATER
    rewards: Rewards = _LATER
    advantages: Tensor = _LATER
    """[B], or [B, T] with credit per question."""
    degenerate: Tensor = _LATER
    """[B] bool: the sequence's group carries no signal; its advantages are 0."""

    def expect(self, stage: str, *columns: str) -> None:
        """Refuses a round without these columns.

        Raises:
            ValueError: names the stage, the column and what brings it.
        """
        for column in columns:
            if getattr(self, column) is None:
                raise ValueError(f"[{stage}] {column}: expected {_STATES[column]} round")

    @cached_property
    def pictures(self) -> list[Picture]:
        """[Q] the picture that each question is about."""
        return [self.images[int(self.asked.group[sequence])] for sequence in self.questions.sequence.tolist()]

    @cached_property
    def hints(self) -> list[str]:
        """[Q] what was to be asked about, for each question; empty texts where nothing was said of it."""
        hints, group = self.asked.hints, self.asked.group
        return [hints[int(group[i])] if hints else "" for i in self.questions.sequence.tolist()]

    @cached_property
    def valid(self) -> Tensor:
        """[Q] int8: 1, 0, or -1 for unknown; 0 for a slot without a question."""
        posed = self.questions.ok.tolist()
        return _column(
            [(None if ok else 0) if v is None else v.valid for ok, v in zip(posed, self.verdicts, strict=True)]
        )

    @cached_property
    def correct(self) -> Tensor:
        """[Q] int8: 1, 0, or -1 for unknown or not asked."""
        return _column([None if verdict is None else verdict.correct for verdict in self.verdicts])

    @property
    def failed(self) -> Tensor:
        """[F] int64: the rows of the failures, which are valid and were answered wrongly."""
        return ((self.valid == 1) & (self.correct == 0)).nonzero()[:, 0]

    @property
    def answered(self) -> int:
        """Answerer calls for the questions, also those that brought no answer."""
        return sum(answer is not None for answer in self.answers)

    @property
    def calls(self) -> int:
        """All answerer calls, those of asking among them."""
        return self.asked.calls + self.answered

    def __repr__(self) -> str:
        place = self.place
        there = [name for name in _STATES if getattr(self, name) is not None]
        return f"Round(step {place.step} of {place.run}/{place.phase}, {len(self.images)} images, {', '.join(there)})"

    def _repr_html_(self) -> str:
        """The first questions, with what is known of them by now."""
        if self.questions is None:
            return text(repr(self))
        return titled(repr(self), table(_HEADS, map(self._row, range(min(SHOWN, len(self.questions))))))

    def _row(self, i: int) -> tuple[object, ...]:
        known = _TRUTHS[int(self.valid[i])], _TRUTHS[int(self.correct[i])] if self.verdicts is not None else ("", "")
        answer = None if self.answers is None else self.answers[i]
        reward = "" if self.rewards is None else f"{float(self.rewards.question[i]):.3f}"
        said = "" if answer is None else answer.text or str(answer.failure or "")
        return self.pictures[i].key, self.questions.text[i], known[0], said, known[1], reward


def _column(truths: Sequence[bool | int | None]) -> Tensor:
    return torch.tensor([UNKNOWN if truth is None else int(truth) for truth in truths], dtype=torch.int8)
