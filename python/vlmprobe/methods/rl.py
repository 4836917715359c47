"""RL: the `Trainer` with the reward of the paper, for a budget of answerer calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from vlmprobe.ledger import recorded
from vlmprobe.loop.report import StepReport
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.memory import QuestionMemory
from vlmprobe.methods.local_search import FollowUp, FollowUpOptions
from vlmprobe.methods.task import Task, begin
from vlmprobe.models.protocols import Answerer
from vlmprobe.models.service import StepNotMade
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.preface import Preface
from vlmprobe.policy.questioner import Questioner
from vlmprobe.reward import Expression, paper
from vlmprobe.run.trainer import Trainer
from vlmprobe.text import DEFAULT_PREFIX_LENGTH


@dataclass(frozen=True, kw_only=True)
class RL:
    """The method.

    Args:
        questioner: what learns, in place.
        options: of the trainer; k and seed are the task's, and so are group_size and images_per_step unless `group` is
            given.
        reward: by default equation 5.
        prefix_length: words of a prefix in the memory, L.
        preface: of the answerer, what is asked at each step: `conme.PromptedTurns` or `conme.WorldTurns` for ConMe
            inside RL, whose first turns count in the budget; by default the questioner's own prompt.
    """

    questioner: Questioner
    options: TrainerOptions = field(default_factory=TrainerOptions)
    reward: Expression = field(default_factory=paper)
    prefix_length: int = DEFAULT_PREFIX_LENGTH
    preface: Callable[[Answerer], Preface] | None = None
    follow_up: FollowUpOptions | None = None
    """How what failed is followed up beside the questioner, without learning from it; None: it is not."""
    group: tuple[int, int] | None = None
    """(completions per picture, pictures per step) in the place of the task's."""
    name: str = "RL"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`. With `task.checkpoints` a resumed run goes on from the newest one."""
        trainer = self._trainer(task)
        settings = {
            "options": asdict(trainer.options),
            "reward": repr(self.reward),
            "prefix_length": self.prefix_length,
            "group": self.group,
            "follow_up": None if self.follow_up is None else asdict(self.follow_up),
        }
        begin(task, self.name, **{"pass": "pool", "asker": trainer.questioner.identity}, **settings)
        folder = None if task.checkpoints is None else task.checkpoints / self.name
        trainer.resumed = task.resumed
        if task.resumed and folder is not None:
            trainer.load(folder, missing_ok=True)

        def save(report: StepReport) -> None:
            if folder is not None and trainer.next_step % task.checkpoint_every == 0:
                trainer.save(folder)

        try:
            trainer.spend(task.calls, on_step=save)
        except StepNotMade:
            if folder is not None:
                trainer.save(folder)
            raise
        task.ledger.finish(self.name)
        return trainer.questioner

    def _trainer(self, task: Task) -> Trainer:
        questioner = self.questioner
        if self.preface is not None:
            answerer = recorded(task.answerer, task.ledger, role="answerer")
            questioner = questioner.with_preface(self.preface(answerer))
        group_size, images_per_step = self.group or (task.group_size, task.images_per_step)
        return Trainer(
            questioner,
            task.answerer,
            task.verifier,
            task.embedder,
            task.images,
            reward=self.reward,
            memory=QuestionMemory(task.embedder.dim, prefix_length=self.prefix_length),
            options=replace(
                self.options, k=task.k, group_size=group_size, images_per_step=images_per_step, seed=task.seed
            ),
            ledger=task.ledger,
            run=self.name,
            annotate=task.annotate,
            progress=False,
            asker=None if self.follow_up is None else FollowUp(questioner, self.follow_up),
        )
