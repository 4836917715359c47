"""RL+SFT: supervised learning of questions that are known to show failures, then RL from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vlmprobe.methods.rl import RL
from vlmprobe.methods.sft import Row, SFTOptions, learn
from vlmprobe.methods.task import Task
from vlmprobe.policy.asker import Asker


@dataclass(frozen=True, kw_only=True)
class RLSFT:
    """The method. The KL term of RL holds on to the questioner as supervised learning left it.

    Args:
        rl: the second part, with the questioner that learns; its name is not used.
        rows, options: of the first part, as in `SFT`.
    """

    rl: RL
    rows: Sequence[Row]
    options: SFTOptions = field(default_factory=SFTOptions)
    name: str = "RL+SFT"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`. The first part takes no call."""
        learn(task, self.name, self.rl.questioner, self.rows, self.options)
        return replace(self.rl, questioner=self.rl.questioner.anchored(), name=self.name).run(task)
