"""Ledgers of training runs in which everything is that a page can show, made by hand and quickly."""

import functools
import json
from dataclasses import replace

from vlmprobe import cli
from vlmprobe.ledger import (
    AnswerRecord,
    ImageRecord,
    JudgeRecord,
    Ledger,
    QuestionRecord,
    RunRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.ledger.records import LabelRecord
from vlmprobe.world.source import WorldImages

COLORS, SHAPES = ("purple", "red", "blue", "green"), ("circle", "square", "star")
PER_STEP, PICTURES = 24, 37
FAULT = "purple-things"


def write_run(folder, *, runs=("rl", "zero-shot"), steps=10, said=None, pictures=PICTURES):
    """The ledger of runs that ask how many things of a colour there are; purple ones are counted wrongly.

    Args:
        folder: where.
        runs: their names; each has an answerer of its own.
        steps: of each.
        said: texts that are put into everything that others write; None: nothing is.
        pictures: about which they ask.
    """
    with Ledger(folder / "ledger.sqlite") as ledger:
        for place, run in enumerate(runs):
            answerer = f"tiny-{place}{_of(said, place)}"
            roles = {"questioner": "asker", "answerer": answerer, "verifier": "oracle"}
            ledger.begin(RunRecord(id=run, config={"pass": "pool"}, versions={"vlmprobe": "0"}, identities=roles))
            for step in range(steps):
                ledger.record(step_of(run, step, answerer, said, pictures))
            ledger.finish(run)
        alarm = {"name": "kl", "step": 3, "value": 0.6, "limit": 0.5, "sentence": f"KL is 0.60{_of(said, 1)}"}
        ledger.event(runs[0], kind="guard", text=json.dumps(alarm))
        _judge_again(ledger, runs[0], steps)
    return folder


def page_of(folder, *words, **more):
    """The page of such a run, written by the command with these words."""
    write_run(folder, **more)
    assert cli.main(["report", str(folder), *words]) == 0
    return folder / "report.html"


def step_of(run, step, answerer, said=None, pictures=PICTURES):
    """A step of one question each sequence."""
    numbers = range(step * PER_STEP, (step + 1) * PER_STEP)
    keys = {i: _key(i % pictures, said) for i in numbers}
    return StepRecord(
        run=run, phase="train", step=step,
        images=[ImageRecord(id=i % pictures, key=keys[i], sha256=_sha256(i % pictures, said)) for i in numbers],
        sequences=[
            SequenceRecord(sequence=j, image=i % pictures, group=j, text="", tokens=9, reward=0.5, advantage=0.1)
            for j, i in enumerate(numbers)
        ],
        questions=[question_of(j, i, answerer, said) for j, i in enumerate(numbers)],
        judges=[JudgeRecord(role="verifier", identity="oracle", revision="2", sampling={"temperature": 0.6})],
        numbers={"loss": 0.1 * step, "kl": 0.01 * step, "entropy": 2.0 - 0.1 * step},
    )  # fmt: skip


def question_of(sequence, i, answerer, said=None):
    """Each seventh is invalid, each eleventh was not answered in time."""
    color, shape, more = COLORS[i % 4], SHAPES[i // 4 % 3], _of(said, i)
    valid, late, wrong = i % 7 != 0, i % 11 == 0, color == "purple"
    text = f"how many {color} {shape}s are there{' near the rim' if i % 5 else ''} ?{more}"
    reply = {"failure": "timeout"} if late else {"text": f"{more} {i % 6}".strip()}
    answer = AnswerRecord(answerer=answerer, **reply)
    verdict = VerdictRecord(
        grammatical=True, atomic=True, grounded=valid, objective=True, correct=None if late or not valid else not wrong,
        judge="oracle", reason=f"[2 of 3 votes agree] the right answer is {(i + wrong) % 6}{more}",
    )  # fmt: skip
    known = {
        "skills": [f"counting {color} things{more}", f"telling {shape}s"][: 1 + i % 3],
        "reached": [FAULT] if wrong else [], "triggered": FAULT if wrong else None, "truth": str((i + wrong) % 6),
    }  # fmt: skip
    return QuestionRecord(
        sequence=sequence, slot=0, status="ok", text=text, prefix="how many", verdict=verdict,
        answer=answer if valid else None, annotations=known,
        rewards={"semantic": 0.5 + 0.01 * sequence, "wrong": float(wrong), "total": 0.4},
    )  # fmt: skip


def _judge_again(ledger, run, steps):
    """Another verifier, who says something else of each ninth answer, and a person who labels some questions."""
    ledger.begin_judging(run, "second")
    for step in range(steps):
        record = ledger.step(run, "train", step)
        changed = [
            replace(each, verdict=replace(each.verdict, judge="second", correct=_other(each.verdict.correct, place)))
            for place, each in enumerate(record.questions)
        ]
        ledger.record_judging("second", replace(record, questions=changed, judges=[]))
    place = {"run": run, "phase": "train", "step": 0, "slot": 0}
    said = {i: bool(i % 4) for i in range(1, 7)}
    ledger.add_labels(
        LabelRecord(**place, sequence=i, annotator="ann", valid=True, correct=right) for i, right in said.items()
    )


def _other(correct, place):
    return correct if correct is None or place % 9 else not correct


def _of(said, i):
    return "" if said is None else f" {said[i % len(said)]}"


@functools.cache
def _drawn(i):
    return WorldImages(1, seed=11, first=i)[0].sha256


def _sha256(i, said):
    return _drawn(i) if said is None else "ab"


def _key(i, said):
    return f"scene-11-{i}" if said is None else f"{said[i % len(said)]} {i}.png"
