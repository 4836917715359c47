"""How many requests the stages will take, before the first of them is made.

The first stage is known exactly. The others are expected from `SKILLS` skills for a question, of which one in `LOST`
loses its first, and `TOPICS` topics for a method, and bounded by the most that each may have. Any request may be made
once more where its reply is of no use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe.taxonomy.asking import STAGES
from vlmprobe.taxonomy.build import Method
from vlmprobe.taxonomy.corpus import distinct
from vlmprobe.taxonomy.meta_skills import PER_REQUEST
from vlmprobe.taxonomy.primitives import MOST, batches_of, prompts_of
from vlmprobe.taxonomy.skills import PER_BATCH
from vlmprobe.taxonomy.topics import MOST_TOPICS

SKILLS = 3.0
"""Skills of a question, as the paper's questions have (3.03 to 3.30)."""
TOPICS = 40
"""Topics of a method."""
LOST = 10
"""Questions of which one loses the skill that it turns on."""


@dataclass(frozen=True)
class StageForecast:
    """A stage's requests."""

    stage: str
    requests: int
    """Expected."""
    at_most: int
    recorded: int
    """Of them, how many the ledger has a reply to."""

    def __str__(self) -> str:
        if self.requests == self.at_most:
            known = f", {self.recorded:,} of them in the ledger" if self.recorded else ""
            return f"{self.stage:<12} {self.requests:>8,} requests{known}"
        return f"{self.stage:<12} {self.requests:>8,} requests expected, at most {self.at_most:,}"


def forecast(methods: Sequence[Method]) -> list[StageForecast]:
    """Of a taxonomy that is made anew; one for each stage."""
    first, recorded, lost = 0, 0, 0
    expected, most = [0, 0], [0, 0]
    for method in methods:
        prompts = prompts_of(batches_of(method.questions), method.picture, method.labeller)
        first += len(prompts)
        lost += min(len(prompts), math.ceil(len(distinct(method.questions)) / LOST))
        recorded += method.labeller.recorded("primitives", prompts)
        texts = len({each.text for each in distinct(method.questions)})
        some, all_ = min(TOPICS, texts), min(MOST_TOPICS, MOST * texts)
        expected[0] += some
        most[0] += all_
        expected[1] += math.ceil(SKILLS * texts / PER_BATCH) + some // 2
        most[1] += math.ceil(MOST * texts / PER_BATCH) + 2 * all_
    last = math.ceil(sum(most) / PER_REQUEST)
    return [
        StageForecast(STAGES[0], first, first, recorded),
        StageForecast(STAGES[1], expected[0], most[0], 0),
        StageForecast(STAGES[2], expected[1], most[1], 0),
        StageForecast(STAGES[3], 1, last, 0),
        StageForecast(STAGES[4], lost, first, 0),
    ]
