"""Expert Iteration: rounds of sampling, keeping what the verifier calls a failure, and learning it.

Each round the questioner as it stands asks about the images until its share of the answerer's calls is spent; what was
valid and answered wrongly is learned by SFT, k questions of a picture to a row. Steps and epochs are counted through
all rounds, so that no round begins at the first pictures again, or draws the random numbers of another one. Source:
Anthony et al. 2017; five rounds as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from vlmprobe._util.checks import check_count
from vlmprobe.data.order import shuffled
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.evaluate import Evaluation
from vlmprobe.loop.round import Round
from vlmprobe.methods.rows import rows_of
from vlmprobe.methods.sft import SFTOptions
from vlmprobe.methods.sft import train as learn
from vlmprobe.methods.task import Task, begin
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.journal import Annotator
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe

ROUNDS = 5
DEFAULT = SFTOptions()


@dataclass(frozen=True, kw_only=True)
class ExpertIteration:
    """The method.

    Args:
        questioner: what learns, in place.
        rounds: of sampling and learning; the task's calls are shared by them.
        options: of learning; k and seed are the task's.
    """

    questioner: Questioner
    rounds: int = ROUNDS
    options: SFTOptions = field(default_factory=SFTOptions)
    name: str = "Expert Iteration"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`. The last round's failures are learned, too."""
        begin(task, self.name, **{"pass": "rounds"}, rounds=self.rounds, options=asdict(self.options))
        images = of_run(task.images, task.ledger, self.name)
        train(
            self.questioner,
            task.answerer,
            task.verifier,
            shuffled(images, task.images_per_step, seed=task.seed),
            calls=task.calls,
            k=task.k,
            group_size=task.group_size,
            rounds=self.rounds,
            options=self.options,
            seed=task.seed,
            run=self.name,
            ledger=task.ledger,
            annotate=task.annotate,
            resumed=task.resumed,
        )
        for number in range(self.rounds):
            of_run(images, task.ledger, f"{self.name}/round-{number}")
        task.ledger.finish(self.name)
        return self.questioner


def train(
    questioner: Questioner,
    answerer: Answerer,
    verifier: Verifier,
    images_of: Callable[[int], Sequence[Picture]],
    *,
    calls: int,
    k: int,
    group_size: int = 8,
    rounds: int = ROUNDS,
    options: SFTOptions = DEFAULT,
    seed: int = 0,
    run: str = "expert iteration",
    ledger: Ledger | None = None,
    annotate: Annotator | None = None,
    resumed: bool = False,
) -> list[Evaluation]:
    """Trains the questioner, in place. Failures that together are longer than it may write are not learned.

    Args:
        questioner: what learns.
        answerer, verifier: the model under test and the judge.
        images_of: step -> its images; steps are counted through all rounds.
        calls: answerer calls of all rounds together, at least one a round; the first ones get what is left over.
        k, group_size: questions per sequence, sequences per image.
        rounds: of sampling and learning.
        options: of learning; its k is that of the call.
        seed: of sampling and of the order of the rows.
        run, ledger, annotate, resumed: as in `vlmprobe.run.probe`; a round is a run of its own,
            `<run>/round-<n>`.

    Returns:
        What was asked in each round.

    Raises:
        ValueError: fewer calls than rounds.
    """
    check_count("expert_iteration.train", "rounds", rounds)
    if calls < rounds:
        raise ValueError(f"[expert_iteration.train] calls: expected at least {rounds}, one a round, got {calls}")
    found, shown = [], _Shown(images_of)
    for number in range(rounds):
        name, failures = f"{run}/round-{number}", list[tuple[Picture, str]]()
        if ledger is not None:
            ledger.begin(RunRecord(id=name, config={"of": run, "round": number, "pass": "pool"}))
        asked = probe(
            questioner, answerer, verifier, shown, calls=calls // rounds + (number < calls % rounds), k=k,
            group_size=group_size, seed=seed, first_step=shown.next_step, run=name, phase=f"round-{number}",
            ledger=ledger, annotate=annotate, resumed=resumed, on_round=partial(_keep_failures, failures),
        )  # fmt: skip
        rows = [row for row in rows_of(failures, k) if questioner.can_say(row.completion)]
        if rows:
            learn(questioner, rows, replace(options, k=k, seed=seed), first_epoch=number * options.epochs)
        if ledger is not None:
            ledger.finish(name)
        found.append(asked)
    return found


def _keep_failures(kept: list[tuple[Picture, str]], round: Round) -> None:
    kept += [(round.pictures[i], round.questions.text[i]) for i in round.failed.tolist()]


class _Shown:
    """The images of each step, and which step is the next."""

    def __init__(self, images_of: Callable[[int], Sequence[Picture]]):
        self._images_of = images_of
        self.next_step = 0

    def __call__(self, step: int) -> Sequence[Picture]:
        self.next_step = step + 1
        return self._images_of(step)
