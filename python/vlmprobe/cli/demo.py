"""`vlmprobe demo`: the default way of asking beside zero-shot and the paper's reward, on planted faults."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from vlmprobe._util.files import write_text
from vlmprobe._util.visible import say
from vlmprobe.ledger import FailureRow
from vlmprobe.models.embedder import EMBEDDERS, installed_embedder
from vlmprobe.models.protocols import Embedder
from vlmprobe.modes.now import modes_now
from vlmprobe.report import FailureCard, comparison, read_summary, write_run_page
from vlmprobe.report.page.demo import demo_known
from vlmprobe.report.run.build import run_page
from vlmprobe.report.run.write import PageContent
from vlmprobe.run.directory import RunDirectory, plain
from vlmprobe.studies.demo.experiment import DEFAULT, HEAD, Experiment, Settings
from vlmprobe.studies.demo.outcome import Outcome
from vlmprobe.vlm.load import quiet
from vlmprobe.world.discovery import text_of

NOTES = [
    "Everything here is the embedded world: rendered scenes, executable questions, an oracle verifier. Its truth is "
    "known, which is why the faults that were found and missed can be counted; it is no statement about a real model.",
    "All ways of asking have the same small questioner, pictures and faults, and as many answerer calls, those of "
    "training among them. “default” is how vlmprobe asks unless told otherwise: by hints that follow from what failed, "
    "and by following failures up. “zero-shot” is the questioner with its own prompt. “paper's reward” is the "
    "questioner while it is trained with the paper's equation 5, as by vlmprobe reproduce.",
    "These numbers are of one run with one seed; docs/LOG.md has three seeds.",
]
GALLERY = 160
PAGE = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe demo`."""
    default = {field.name: field.default for field in fields(Settings)}
    parser.add_argument(
        "--calls", type=int, default=default["calls"], help="answers for each way of asking (%(default)s)"
    )
    parser.add_argument("--pictures", type=int, default=default["pictures"], help="asked about (%(default)s)")
    parser.add_argument("--seed", type=int, default=default["seed"], help="of sampling and image order (%(default)s)")
    parser.add_argument("--faults", metavar="FILE", help="JSON list of faults planted in the answerer")
    parser.add_argument("--answerer", choices=("executing", "tiny"), default=default["answerer"])
    parser.add_argument(
        "--reward", default=default["reward"], metavar="PRESET|EXPR", help="trained with, too, beside the paper's"
    )
    parser.add_argument("--embedder", choices=("minilm", "hashed"), help="minilm where it is installed, else hashed")
    parser.add_argument("--run", metavar="DIR", help="a new folder for the results (runs/demo-N)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Runs the demo; the last line printed is the page's path (with --json it is in the object, as `report`)."""
    names = {field.name for field in fields(Settings)}
    settings = Settings(**{name: value for name, value in vars(args).items() if name in names})
    embedder = pick_embedder(args.embedder)
    quiet()
    with RunDirectory(args.run or free_folder(), quiet=args.json) as folder:
        experiment = Experiment(settings, embedder, folder)
        with terminated(), one_thread():
            experiment.run()
        summary, page = write_report(Outcome(folder.ledger), folder.path)
        say(as_json(summary) if args.json else f"\n{comparison(read_summary(summary))}\n{page}")
    return 0


def write_report(outcome: Outcome, folder: Path) -> tuple[dict[str, Any], Path]:
    """Writes summary.json and report.html; what the summary holds and the page's path."""
    summary: dict[str, Any] = plain(outcome.summary() | {"report": str(folder / PAGE)})
    write_text(folder / "summary.json", as_json(summary) + "\n")
    return summary, write_run_page(folder / PAGE, demo_page(outcome, summary))


def demo_page(outcome: Outcome, summary: dict[str, Any]) -> PageContent:
    """The content of the demo's page.

    Args:
        outcome: of the demo.
        summary: its numbers.
    """
    known = demo_known(
        read_summary(plain(summary)),
        run=HEAD,
        gallery=gallery(outcome),
        title="vlmprobe demo",
        notes=NOTES,
        modes=modes_now(outcome.ledger, DEFAULT),
    )
    return run_page(outcome.ledger, outcome.images, known)


def as_json(summary: dict[str, Any]) -> str:
    """The text of summary.json."""
    return json.dumps(summary, indent=1, allow_nan=False)


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """Has SIGTERM end the block as Ctrl-C does, so that it too leaves a readable ledger and says how far it came."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for the block: models this small gain nothing from a second one, and threads that wait for each other
    beside another busy process make a step many times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pick_embedder(name: str | None) -> Embedder:
    """An embedder by its name; without one, MiniLM where its package is installed, else hashed n-grams."""
    return EMBEDDERS[name or installed_embedder()]()


def free_folder() -> Path:
    """The first of runs/demo-1, runs/demo-2, ... that is not there."""
    number = 1
    while (folder := Path("runs") / f"demo-{number}").exists():
        number += 1
    return folder


def gallery(outcome: Outcome) -> list[FailureCard]:
    """The failures of the default way of asking, one per program first, so that kinds come before repeats."""
    seen: set[str | None] = set()
    first: list[FailureRow] = []
    again: list[FailureRow] = []
    for row in outcome.failures():
        program = text_of(row.annotations, "program")
        kept = again if program in seen else first
        seen.add(program)
        if len(kept) < GALLERY:
            kept.append(row)
    return [_card(row, outcome) for row in (first + again)[:GALLERY]]


def _card(row: FailureRow, outcome: Outcome) -> FailureCard:
    return FailureCard(
        family=text_of(row.annotations, "family") or "other",
        question=row.question,
        answer=row.answer or "",
        truth=text_of(row.annotations, "truth"),
        image=outcome.images[row.image].pixels,
        fault=text_of(row.annotations, "triggered"),
        reason=row.reason,
        source=f"{DEFAULT}, picture {row.image}",
    )
