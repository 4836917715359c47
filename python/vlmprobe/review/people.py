"""What people say about a run's questions: read from a file into the ledger, and as the columns that metrics take.

Several annotators may label a question. A label is about the question (`valid`) and about the recorded answer
(`correct`); either may be left open. What was left open or cannot be told is unknown, never a default.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlmprobe._util.json import read_lines, read_text, typed
from vlmprobe.ledger import Ledger, QuestionRecord
from vlmprobe.ledger.records import LabelRecord
from vlmprobe.metrics.judged import UNSCORED, state

_PLACE = ("run", "phase", "step", "sequence", "slot")
_NUMBERS = ("step", "sequence", "slot")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": None}


def import_labels(ledger: Ledger, path: str | Path) -> int:
    """Reads labels from a file into the ledger: all of them, or none when a line is wrong.

    Args:
        ledger: open for writing.
        path: `.jsonl` or `.csv`, a label a line: `run`, `phase`, `step`, `sequence`, `slot` as `vlmprobe export` writes
            them, `annotator`, `valid`, `correct`; optionally `probability`, with which the question was drawn to be
            labelled, and `question`, which is held against the ledger's. Truth values are true or false (as text
            also yes, no, 1, 0); null or nothing is unknown. Further columns are passed over.

    Returns:
        The new labels; those that were there already must say the same.

    Raises:
        ValueError: another ending, no such file, a column that is missing, a value of another kind (names the line), a
            question that is not in the ledger or is another, an annotator who changed a label.
    """
    path = Path(path)
    readers = {".jsonl": _jsonl, ".csv": _csv}
    if path.suffix not in readers:
        raise ValueError(f"[import_labels] path: expected a name that ends in .jsonl or .csv, got {path.name!r}")
    if not path.is_file():
        raise ValueError(f"[import_labels] path: expected a file, got {str(path)!r}")
    return ledger.add_labels([_label(where, row) for where, row in readers[path.suffix](path)])


@dataclass(frozen=True)
class LabelTable:
    """A run's N questions with what was judged and what people say; the columns that `vlmprobe.metrics` takes."""

    judged: list[int]
    """[N] states of `vlmprobe.metrics.judged`, by the run's verifier or the judging."""
    labels: list[int | None]
    """[N] the state that most annotators give; None where nobody labelled, or as many say something else."""
    ratings: list[list[int | None]]
    """[N][annotators] each one's state; None where unknown."""
    annotators: list[str]
    """Their names, in the order of the ratings."""
    probability: list[float] | None
    """[N] of being labelled, 1 where nobody labelled; None where that of a labelled question is not known."""
    cluster: list[int]
    """[N] images."""

    def __repr__(self) -> str:
        labelled = sum(label is not None for label in self.labels)
        return f"LabelTable({len(self.judged)} questions, {labelled} labelled, {len(self.annotators)} annotators)"


def label_table(ledger: Ledger, run: str, *, judging: str | None = None) -> LabelTable:
    """A run's labels beside its verdicts, or beside those of a judging.

    Raises:
        ValueError: two labels of a question that name another probability.

    Example:
        >>> table = label_table(ledger, "RL/evaluation")  # doctest: +SKIP
        >>> metrics.corrected_by_labels(table.judged, table.labels, cluster=table.cluster)  # doctest: +SKIP
        >>> metrics.krippendorff_alpha(table.ratings)  # doctest: +SKIP
    """
    given: dict[tuple[Any, ...], dict[str, LabelRecord]] = {}
    for label in ledger.labels(run):
        given.setdefault((label.phase, label.step, label.sequence, label.slot), {})[label.annotator] = label
    annotators = sorted({name for labels in given.values() for name in labels})
    judged, images = [], []
    ratings: list[list[int | None]] = []
    chances: list[float | None] = []
    for place, image, question in _questions(ledger, run, judging):
        said = given.get(place, {})
        judged.append(_judged(question))
        ratings.append([_state(said[name]) if name in said else None for name in annotators])
        chances.append(_chance(place, said))
        images.append(image)
    known = [chance for chance in chances if chance is not None]
    probability = known if len(known) == len(chances) else None
    return LabelTable(judged, [most(each) for each in ratings], ratings, annotators, probability, images)


Place = tuple[str, int, int, int]
"""Phase, step, sequence and slot."""


def told_by_people(ledger: Ledger, run: str) -> dict[Place, int]:
    """Place of a question -> its state as most of its annotators say (`vlmprobe.metrics.judged`); questions on which
    nobody said enough, or as many said something else, are not there."""
    given: dict[Place, list[int | None]] = {}
    for label in ledger.labels(run):
        given.setdefault((label.phase, label.step, label.sequence, label.slot), []).append(_state(label))
    agreed = {place: most(ratings) for place, ratings in given.items()}
    return {place: state for place, state in agreed.items() if state is not None}


def _questions(
    ledger: Ledger, run: str, judging: str | None
) -> Iterator[tuple[tuple[str, int, int, int], int, QuestionRecord]]:
    for step in ledger.each_step(run, judging=judging):
        image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
        for question in step.questions:
            yield (step.phase, step.step, question.sequence, question.slot), image_of[question.sequence], question


def _judged(question: QuestionRecord) -> int:
    verdict = question.verdict
    return state(False, None) if verdict is None else state(verdict.valid, verdict.correct)


def _chance(place: tuple[str, int, int, int], said: Mapping[str, LabelRecord]) -> float | None:
    found = {label.probability for label in said.values()} or {1.0}
    if len(found) > 1:
        expected = "one for all labels of a question"
        raise ValueError(f"[label_table] {place}: probability: expected {expected}, got {len(found)}")
    return found.pop()


def _state(label: LabelRecord) -> int | None:
    found = state(label.valid, label.correct)
    return None if found == UNSCORED else found


def most(ratings: Sequence[int | None]) -> int | None:
    """The rating that most give; None where nobody does, or as many give another."""
    counts = Counter(rating for rating in ratings if rating is not None).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _label(where: str, row: Mapping[str, Any]) -> LabelRecord:
    for name in (*_PLACE, "annotator", "valid", "correct"):
        if name not in row:
            raise ValueError(f"[import_labels] {where}: {name}: expected a column, got none")
    fields: dict[str, Any] = {name: _text(where, name, row[name]) for name in ("run", "phase", "annotator")}
    fields |= {name: _whole(where, name, row[name]) for name in _NUMBERS}
    fields |= {name: _truth(where, name, row[name]) for name in ("valid", "correct")}
    question = row.get("question")
    return LabelRecord(
        **fields,
        probability=_probability(where, row.get("probability")),
        question=None if question is None else _text(where, "question", question),
    )


def _text(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"[import_labels] {where}: {name}: expected a text, got {value!r:.60}")
    return value


def _whole(where: str, name: str, value: Any) -> int:
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, bool) or not (isinstance(text, int) or (isinstance(text, str) and text.isdecimal())):
        raise ValueError(f"[import_labels] {where}: {name}: expected a whole number, got {value!r:.60}")
    return int(text)


def _truth(where: str, name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(word, str) or word not in _TRUTHS:
        raise ValueError(f"[import_labels] {where}: {name}: expected true, false or nothing, got {value!r:.60}")
    return _TRUTHS[word]


def _probability(where: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"[import_labels] {where}: probability: expected a number, got {value!r:.60}") from None


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, row in read_lines("import_labels", path):
        yield where, typed("import_labels", where, row, dict)


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text("import_labels", path), newline=""))
    try:
        for row in reader:
            where = f"{path.name}, line {reader.line_num}"
            if None in row or None in row.values():
                raise ValueError(f"[import_labels] {where}: expected {len(reader.fieldnames or ())} values")
            yield where, row
    except csv.Error as error:  # a field that is very long, a NUL
        raise ValueError(f"[import_labels] {path.name}, line {reader.line_num}: expected CSV ({error})") from None
