"""What a training step did, in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vlmprobe._util.html import table
from vlmprobe.loop.examine import failures_of
from vlmprobe.loop.record import DEGENERATE, degenerate_groups
from vlmprobe.loop.round import Round


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What a step did, in numbers; one line of metrics.jsonl."""

    step: int
    questions: int
    """Slots, k for each sequence."""
    valid: int
    """Valid questions."""
    wrong: int
    """Valid questions answered wrongly."""
    unscored: int
    """Questions whose reward is unknown."""
    calls: int
    """Answerer calls."""
    reward: float
    """Mean over the scorable sequences; NaN without any."""
    terms: Mapping[str, float]
    """Mean of each reward term over the questions for which it is known."""
    loss: float
    kl: float
    entropy: float
    clip_fraction: float
    grad_norm: float
    tokens: int
    """Completion tokens."""
    changed: float = math.nan
    """Share of the trained weights that the update changed; see `vlmprobe.loop.learn.Learned`."""
    left_out: int = 0
    """Pictures that could not be read."""
    degenerate: int = 0
    """Groups without a signal: fewer than two scorable rewards, or all equal."""
    posed: int = 0
    """Slots with a question; the others hold none."""
    asked: int = 0
    """Questions that the answerer was asked."""
    reward_std: float = math.nan
    """Sample standard deviation over the scorable sequences; NaN of fewer than two."""
    sequences: int = 0
    """Completions."""
    groups: int = 0
    """Pictures that completions are about."""
    failures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For `validity`, `answer` and `correctness`, why calls brought nothing to how many did."""

    def _repr_html_(self) -> str:
        """The step's numbers in one row."""
        why = ", ".join(f"{name} {count}" for name, count in self.why.items())
        heads = ("step", "questions", "valid", "wrong", "unscored", "calls", "reward", "KL", "entropy", "loss")
        numbers = (f"{value:.4g}" for value in (self.reward, self.kl, self.entropy, self.loss))
        counts = self.questions, self.valid, self.wrong, self.unscored, self.calls
        return table(
            (*heads, *(["failed calls"] if why else [])), [(self.step + 1, *counts, *numbers, *filter(None, [why]))]
        )

    @property
    def why(self) -> dict[str, int]:
        """The failures of all calls, the most frequent first."""
        return dict(sum((Counter(found) for found in self.failures.values()), Counter()).most_common())


def step_report(round: Round, numbers: Mapping[str, Any]) -> StepReport:
    """The numbers of a scored round.

    Args:
        round: scored, or further.
        numbers: what its update did (`Learned.numbers`), and `degenerate` for a round that was read back.
    """
    round.expect("report", "verdicts", "rewards")
    valid, rewards = round.valid == 1, round.rewards
    return StepReport(
        step=round.place.step,
        questions=len(round.questions),
        valid=int(valid.sum()),
        wrong=len(round.failed),
        unscored=int(rewards.question.isnan().sum()),
        calls=round.calls,
        reward=float(rewards.total.nanmean()),
        terms={name: float(value.nanmean()) for name, value in rewards.terms.items()},
        tokens=int(round.asked.lengths.sum()),
        reward_std=_std(rewards.total),
        sequences=len(rewards.total),
        groups=len(round.asked.group.unique()),
        posed=sum(verdict is not None for verdict in round.verdicts),
        asked=round.answered,
        failures=failures_of(round),
        left_out=round.left_out,
        **{DEGENERATE: degenerate_groups(round), **numbers},
    )


def _std(values: Tensor) -> float:
    known = values[~values.isnan()]
    return float(known.std()) if len(known) > 1 else math.nan


_WAY = {
    "truncated": "the reply was cut: raise max_tokens of its sampling",
    "empty": "the reply held no text: raise max_tokens of its sampling, or look at the server's options for thinking",
    "refusal": "the model or a filter declined: look at the prompts, or ask another model",
    "unparsable": "no verdict could be read: look at the reasons in the ledger, the prompts, or take another verifier",
    "rejected": "the server refuses: its words are in the ledger's calls",
    "timeout": "no reply before the deadline: raise client.deadline_s, or ask for less at once",
    "transport": "an outage: look at the server",
}
_CALLS = {"validity": "verdicts on questions", "answer": "answers", "correctness": "verdicts on answers"}


def warnings_of(report: StepReport) -> dict[str, str]:
    """What a step could hardly teach anything for: kind to a sentence that says what to change."""
    answered = report.asked - sum(report.failures.get("answer", {}).values())
    found = {}
    for what, made in {"validity": report.posed, "answer": report.asked, "correctness": answered}.items():
        failures = report.failures.get(what, {})
        if failures and 2 * sum(failures.values()) >= made:
            most = max(failures, key=lambda why: failures[why])
            counts = ", ".join(f"{why} {count}" for why, count in failures.items())
            found[f"{what} {most}"] = (
                f"{sum(failures.values())} of {made} {_CALLS[what]} are missing ({counts}); {_WAY.get(most, most)}"
            )
    if report.questions and not report.posed:
        found["no question"] = (
            "no completion held a question in its tags; look at the questioner's prompt and its max_new_tokens"
        )
    judged = report.posed - sum(report.failures.get("validity", {}).values())
    if judged and not report.valid:
        found["none valid"] = f"none of {judged} questions was valid; the verifier's reasons are in the ledger"
    return found
