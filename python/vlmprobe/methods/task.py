"""What every method gets and leaves: pictures, models and a budget of answerer calls in; questions in the ledger out.

A method asks about the *pool* until its calls are spent, learning on the way or not, and gives back what asks then. The
tables come from `evaluate`, a pass that is the same for all: nothing is trained, other pictures in one order, one seed,
one number of judged answers. In the ledger the two are apart:

    <name>, <name>/round-<n>   the pool; `pool` reads it
    <name>/learning            losses of supervised learning
    <name>/evaluation          the pass; `evaluation` reads it

and each run's config says which of them it is (`pass`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vlmprobe._util.checks import check_count
from vlmprobe.data.order import in_order, shuffled
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger, RecordedQuestions, RunRecord, recorded_questions
from vlmprobe.models.protocols import Answerer, Embedder, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.run.journal import Annotator
from vlmprobe.run.pictures import of_run, recalled
from vlmprobe.run.probe import probe
from vlmprobe.run.trainer import EVALUATION_SEED

POOL = "pool"  # kind of the event that holds the pool's keys, in runs that may be about other pictures
EVALUATION_IMAGES = 32  # per step of the pass; no number depends on it but the order of random draws


@dataclass(frozen=True, kw_only=True)
class Task:
    """The same for all methods that are compared."""

    images: ImageSource
    """The pool; revisited in a new order each epoch."""
    answerer: Answerer
    """The model under test."""
    verifier: Verifier
    embedder: Embedder
    calls: int
    """Answerer calls that a method may make on the pool."""
    ledger: Ledger
    """Where everything is written down."""
    k: int = 2
    """Questions per sequence."""
    group_size: int = 8
    """Sequences per image of the pool."""
    images_per_step: int = 8
    seed: int = 0
    """Of sampling, of the order of the pool, and of learning."""
    annotate: Annotator | None = None
    """Adds what is known about a question besides."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package to version, for the ledger."""
    checkpoints: Path | None = None
    """Where methods that train by steps save themselves, a folder each; None: nowhere."""
    checkpoint_every: int = 10
    """Steps between checkpoints."""
    resumed: bool = False
    """Go on where an earlier process stopped: what the ledger has is gone through again, and costs no call."""

    def __post_init__(self) -> None:
        for name in ("calls", "k", "group_size", "images_per_step", "checkpoint_every"):
            check_count("Task", name, getattr(self, name))
        if not (isinstance(self.seed, int) and 0 <= self.seed < 2**62):
            raise ValueError(f"[Task] seed: expected 0 to 2**62 - 1, got {self.seed!r:.60}")
        if not len(self.images):
            raise ValueError("[Task] images: expected at least one, got none")


class Method(Protocol):
    """Looks for failures; it may look at the verdicts of its earlier questions, in the ledger or as they come."""

    @property
    def name(self) -> str:
        """Of its runs."""

    def run(self, task: Task) -> Asker:
        """Spends the task's calls on its pool; gives what asks afterwards, for `evaluate`."""


def begin(task: Task, run: str, **config: Any) -> None:
    """Writes a run's head: the task, and what is said besides.

    Raises:
        ValueError: the ledger has a run of this name with another head, and steps of it.
    """
    names = ("calls", "k", "group_size", "images_per_step", "seed")
    pool = recalled(task.images, task.ledger, run, kind=POOL)
    shared = {name: getattr(task, name) for name in names} | {"images": len(pool)}
    roles = {name: getattr(task, name).identity for name in ("answerer", "verifier", "embedder")}
    head = RunRecord(id=run, config={**shared, **config}, versions=task.versions, identities=roles)
    task.ledger.begin(head, replace=True)
    of_run(pool, task.ledger, run, kind=POOL)


def ask_pool(asker: Asker, task: Task, *, name: str, **config: Any) -> Asker:
    """Has an asker that does not learn spend the task's calls on the pool; gives it back."""
    begin(task, name, **{"pass": "pool", "asker": asker.identity}, **config)
    probe(
        asker,
        task.answerer,
        task.verifier,
        shuffled(of_run(task.images, task.ledger, name), task.images_per_step, seed=task.seed),
        calls=task.calls,
        k=task.k,
        group_size=task.group_size,
        seed=task.seed,
        run=name,
        phase="pool",
        ledger=task.ledger,
        annotate=task.annotate,
        resumed=task.resumed,
    )
    task.ledger.finish(name)
    return asker


def evaluate(asker: Asker, task: Task, images: ImageSource, *, n: int, name: str) -> RecordedQuestions:
    """The pass that tables come from: the images in their order, one sequence each, until n answers were had.

    Args:
        asker: what a method left; it is not changed.
        task: of the method; its k, seed and models are taken, its pool and calls are not.
        images: the same for all methods, none of the pool's.
        n: judged answers; replies that asking itself takes come on top (`RecordedQuestions.asking`).
        name: of the method.

    Returns:
        The questions; fewer than n answers only where 20 n slots were not enough.
    """
    run = f"{name}/evaluation"
    known = {
        "n": n,
        "evaluated": len(recalled(images, task.ledger, run)),
        "asker": asker.identity,
        "temperature": getattr(asker, "temperature", None),
    }
    begin(task, run, of=name, **{"pass": "evaluation"}, **known)
    probe(
        asker,
        task.answerer,
        task.verifier,
        in_order(of_run(images, task.ledger, run), EVALUATION_IMAGES),
        calls=n,
        k=task.k,
        seed=task.seed + EVALUATION_SEED,
        run=run,
        phase="evaluation",
        ledger=task.ledger,
        annotate=task.annotate,
        asking_counts=False,
        learns=False,
        resumed=task.resumed,
    )
    task.ledger.finish(run)
    return evaluation(task.ledger, name)


def pool(ledger: Ledger, name: str, *, judging: str | None = None) -> RecordedQuestions:
    """What a method asked about the pool: figures of training, not of the tables; with `judging`, as another verifier
    sees it (`vlmprobe.review.again.rejudge` of each of `pool_runs`)."""
    runs = _found("pool", name, pool_runs(ledger, name))
    return _joined([recorded_questions(ledger, run, judging=judging) for run in runs])


def pool_runs(ledger: Ledger, name: str) -> list[str]:
    """The runs in which a method asked about the pool, in their order."""
    passes = {run.id: run.config.get("pass") for run in ledger.runs()}
    return [run for run, kind in passes.items() if kind == "pool" and run.split("/round-")[0] == name]


def evaluation(ledger: Ledger, name: str, *, judging: str | None = None) -> RecordedQuestions:
    """What a method's evaluation pass asked, up to the last answer that was to be had; with `judging`, as another
    verifier sees it (`vlmprobe.review.again.rejudge` of the run `<name>/evaluation`)."""
    runs = {run.id: run for run in ledger.runs() if run.config.get("pass") == "evaluation"}
    run = f"{name}/evaluation"
    _found("evaluation", name, [run] if run in runs else [])
    return recorded_questions(ledger, run, judging=judging).first(runs[run].config["n"])


def _found(op: str, name: str, runs: list[str]) -> list[str]:
    if not runs:
        raise ValueError(f"[methods::{op}] name: expected a method with runs in the ledger, got {name!r:.60}")
    return runs


def _joined(tallies: list[RecordedQuestions]) -> RecordedQuestions:
    return RecordedQuestions(
        [row for tally in tallies for row in tally.rows],
        sum(tally.calls for tally in tallies),
        sum(tally.asking for tally in tallies),
    )
