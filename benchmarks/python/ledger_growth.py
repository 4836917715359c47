"""What a ledger costs as it grows: recording a step into an empty and into a full one, and reading a full one.

    python benchmarks/python/ledger_growth.py --questions 1000000 --ledger grown.sqlite

builds the ledger where it is not there yet (seeded: the same rows each time), then measures each reading in a process
of its own: seconds and peak resident memory, one JSON line each.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vlmprobe.ledger import (
    AnswerRecord,
    ImageRecord,
    Ledger,
    QuestionRecord,
    RunRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.studies.demo.experiment import DEFAULT, HEAD, ZERO_SHOT, Settings

IMAGES, GROUP, K = 8, 8, 2  # per step, all of them new pictures
STEP = IMAGES * GROUP * K
RUN = "paper"
WORDS = (
    *("how", "many", "red", "blue", "green", "circles", "squares", "are", "there", "above", "below", "left", "right"),
    *("of", "the", "large", "small", "star"),
)


def step_of(step: int, *, seed: int = 0) -> StepRecord:
    """One step, the same each time: 128 questions about 8 pictures that no step before had; 2 of 5 are failures."""
    draw = random.Random(f"{seed}/{step}")
    images = [
        ImageRecord(id=i, key=f"folder/{i:08d}.png", sha256=f"{i:064x}")
        for i in range(IMAGES * step, IMAGES * step + IMAGES)
    ]
    sequences = [
        SequenceRecord(
            sequence=i, image=images[i // GROUP].id, group=i // GROUP, text=_words(draw, 24), tokens=40,
            reward=draw.random(), advantage=draw.gauss(0, 1),
        )
        for i in range(IMAGES * GROUP)
    ]  # fmt: skip
    questions = [_question(draw, i // K, i % K) for i in range(STEP)]
    numbers = {name: draw.random() for name in ("loss", "kl", "entropy", "clip_fraction", "grad_norm")}
    return StepRecord(
        run=RUN, phase="train", step=step, images=images, sequences=sequences, questions=questions, numbers=numbers
    )


def _question(draw: random.Random, sequence: int, slot: int) -> QuestionRecord:
    text, valid, wrong = _words(draw, 10), draw.random() < 0.8, draw.random() < 0.5
    return QuestionRecord(
        sequence=sequence,
        slot=slot,
        status="ok",
        text=text,
        prefix=" ".join(text.split()[:2]),
        verdict=VerdictRecord(
            grammatical=True, atomic=True, grounded=valid, objective=True, correct=not wrong if valid else None,
            judge="judge@1", reason=_words(draw, 20),
        ),
        answer=AnswerRecord(answerer="tested@1", text=_words(draw, 4)) if valid else None,
        rewards={"semantic": draw.random(), "lexical": draw.random(), "valid": float(valid), "total": draw.random()},
        annotations={"family": draw.choice(WORDS), "skills": draw.sample(WORDS, 2), "truth": _words(draw, 1)},
    )  # fmt: skip


def _words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choices(WORDS, k=count))


def build(path: Path, questions: int) -> None:
    """A finished demo whose training asked so many questions."""
    roles = {"answerer": "tested@1", "embedder": "hashed"}
    config = {**vars(Settings(faults=None)), "faults": None}
    with Ledger(path) as ledger:
        ledger.begin(RunRecord(id=HEAD, config=config, identities=roles))
        for run in (DEFAULT, ZERO_SHOT, RUN):
            ledger.begin(RunRecord(id=run, config={"pass": "pool"}))
            for step in range(-(-questions // STEP) if run == RUN else 2):
                ledger.record(replace(step_of(step), run=run, phase="train" if run == RUN else "pool"))
            ledger.finish(run)
        ledger.finish(HEAD)


def recording(path: Path, steps: int = 20) -> float:
    """Median milliseconds of recording one more step; the steps stay."""
    with Ledger(path) as ledger:
        if RUN not in {run.id for run in ledger.runs()}:
            ledger.begin(RunRecord(id=RUN))
        first = len(ledger.recorded_steps(RUN))
        took = []
        for step in range(first, first + steps):
            record = step_of(step)
            began = time.perf_counter()
            ledger.record(record)
            took.append(1e3 * (time.perf_counter() - began))
    return statistics.median(took)


def _failures(ledger: Ledger) -> int:
    return sum(1 for _ in ledger.failures())


def _steps(ledger: Ledger) -> int:
    return sum(len(step.questions) for step in ledger.each_step(RUN))


def _report(ledger: Ledger) -> int:
    from vlmprobe.cli.demo import write_report
    from vlmprobe.studies.demo.outcome import Outcome

    with tempfile.TemporaryDirectory() as folder:
        summary, _ = write_report(Outcome(ledger), Path(folder))
    return int(summary["arms"][RUN]["questions_asked"])


def _export(ledger: Ledger) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return ledger.export(Path(folder) / "all.jsonl")


def _nothing(ledger: Ledger) -> int:
    import vlmprobe.cli.demo  # noqa: F401  what a report loads

    return 0


READINGS: dict[str, Callable[[Ledger], int]] = {
    "nothing": _nothing,
    "failures": _failures,
    "steps": _steps,
    "report": _report,
    "export": _export,
}


def read(path: Path, name: str) -> dict[str, object]:
    """One reading in this process."""
    began = time.perf_counter()
    with Ledger(path, read_only=True) as ledger:
        rows = READINGS[name](ledger)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"read": name, "rows": rows, "seconds": round(time.perf_counter() - began, 1), "peak_mb": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--only", choices=READINGS, nargs="*", default=list(READINGS))
    parser.add_argument("--read", choices=READINGS, help="this reading alone, in this process")
    args = parser.parse_args()
    if args.read:
        print(json.dumps(read(args.ledger, args.read)), flush=True)
        return
    if not args.ledger.exists():
        build(args.ledger, args.questions)
    with tempfile.TemporaryDirectory() as folder:
        empty = recording(Path(folder) / "empty.sqlite")
    full = recording(args.ledger)
    print(json.dumps({"record": "a step of 128", "empty_ms": round(empty, 1), "full_ms": round(full, 1)}), flush=True)
    for name in args.only:
        subprocess.run([sys.executable, __file__, "--ledger", str(args.ledger), "--read", name], check=True)


if __name__ == "__main__":
    main()
