"""What another reward would have said of each method's questions: mean rewards, rankings, and which of them flip.

The rewards are judgings of `review.again.reweight`. They say how a reward values the questions that are there, not
what a questioner would have learned from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vlmprobe.ledger import Ledger, RecordedQuestions
from vlmprobe.ledger.questions import is_valid
from vlmprobe.ledger.records import QuestionRecord
from vlmprobe.methods.task import evaluation
from vlmprobe.metrics import Estimate, mean, mean_difference
from vlmprobe.studies.sensitivity_pairs import Column, Pair, Views, check, pairs, ranking
from vlmprobe.studies.values import Plain, plain_estimate


@dataclass(frozen=True)
class RewardSensitivity:
    """Methods under several rewards."""

    names: tuple[str, ...]
    """Of the rewards."""
    means: Mapping[str, Mapping[str, Estimate]]
    """Method to reward to the mean reward of its questions; images resampled."""
    ranking: Mapping[str, tuple[str, ...]]
    """Reward to the methods, the highest mean first."""
    pairs: tuple[Pair, ...]
    """Of methods, with the difference of their means under each reward."""

    @property
    def flips(self) -> tuple[Pair, ...]:
        """The pairs whose order or significance depends on the reward."""
        return tuple(pair for pair in self.pairs if pair.flips)

    def plain(self) -> Plain:
        """As values that JSON has."""
        return {
            "names": list(self.names),
            "means": [
                {"method": method, "reward": name, **plain_estimate(found[name])}
                for method, found in self.means.items()
                for name in self.names
            ],
            "ranking": {name: list(self.ranking[name]) for name in self.names},
            "pairs": [pair.plain() for pair in self.pairs],
        }


def reward_sensitivity(
    ledgers: Mapping[str, tuple[Ledger, str]], *, rewards: Mapping[str, str], level: float = 0.05, seed: int = 0
) -> RewardSensitivity:
    """The evaluation pass of each method, as several rewards see it.

    Args:
        ledgers: method to its ledger and its name there (`vlmprobe.methods.evaluation`).
        rewards: what a reward is called to the judging that has it, under the same name in every ledger; at least two.
        level: of the p-values, each pair by itself.
        seed: of the bootstrap.

    Raises:
        ValueError: no method, fewer than two rewards, no such evaluation or judging.
    """
    return rewarded(
        {
            method: {reward: evaluation(ledger, name, judging=judging) for reward, judging in rewards.items()}
            for method, (ledger, name) in ledgers.items()
        },
        level=level,
        seed=seed,
    )


def rewarded(tallies: Views, *, level: float = 0.05, seed: int = 0) -> RewardSensitivity:
    """`reward_sensitivity` of tallies: of a pool, say, by `recorded_questions(..., judging=...)`.

    Args:
        tallies: method to reward to the same questions with that reward as their `total`.
        level, seed: as above.

    Raises:
        ValueError: no method, fewer than two rewards, methods with other rewards, other questions under one of them.
    """
    names = check("reward_sensitivity", tallies, "reward", level)
    columns = {method: {name: _column(seen[name]) for name in names} for method, seen in tallies.items()}
    means = {
        method: {name: mean(seen[name].values, cluster=seen[name].images, seed=seed) for name in names}
        for method, seen in columns.items()
    }
    ranked = {name: ranking({method: found[name] for method, found in means.items()}) for name in names}
    return RewardSensitivity(names, means, ranked, pairs(columns, mean_difference, level=level, seed=seed))


def _column(tally: RecordedQuestions) -> Column:
    return Column([_reward(question) for _, question in tally.rows], [image for image, _ in tally.rows])


def _reward(question: QuestionRecord) -> float | None:
    """Of one question; None where it is unscored."""
    total = question.rewards.get("total")
    return None if is_valid(question) is None or total is None or math.isnan(total) else total
