"""Runs of frozen questions with verdicts that are given, and an answerer whose calls are counted."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping
from pathlib import Path

from support.ledgers import answered, question, verdict
from vlmprobe.ledger import ImageRecord, Ledger, RunRecord, SequenceRecord, StepRecord

RUN = "probe"


def ledger_of(path: Path, said: Mapping[tuple[str, str], bool | None]) -> Ledger:
    """A ledger in which each (picture, question) was answered rightly (True), wrongly (False) or without a verdict."""
    pictures = sorted({picture for picture, _ in said})
    rows = [(pictures.index(picture), text, correct) for (picture, text), correct in said.items()]
    ledger = Ledger(path)
    ledger.begin(RunRecord(id=RUN, identities={"answerer": path.stem, "verifier": "oracle@1"}))
    ledger.record(
        StepRecord(
            run=RUN, phase=RUN, step=0,
            images=[ImageRecord(id=i, key=key, sha256=f"pixels of {key}") for i, key in enumerate(pictures)],
            sequences=[
                SequenceRecord(sequence=i, image=image, group=i, text="", tokens=0)
                for i, (image, *_) in enumerate(rows)
            ],
            questions=[
                question(i, 0, text=text, verdict=verdict(correct), answer=answered())
                for i, (_, text, correct) in enumerate(rows)
            ],
        )
    )  # fmt: skip
    return ledger


def counted_answerer(folder: Path, *, says: str = "red", stops_after: int | None = None) -> str:
    """`python:` of an answerer that writes down what it is asked, and is interrupted once it was asked so often."""
    name = f"counted_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    (folder / f"{name}.py").write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path

            FILE = Path({str(folder / "asked.txt")!r})

            def answer(pictures, questions):
                known = FILE.read_text().splitlines() if FILE.exists() else []
                stops = len(known) >= {10**9 if stops_after is None else stops_after}
                if stops and not Path({str(folder / "go")!r}).exists():
                    raise KeyboardInterrupt
                FILE.write_text("".join(each + "\\n" for each in [*known, *questions]))
                return [{says!r} for _ in questions]
            """
        )
    )
    return f"{name}:answer"
