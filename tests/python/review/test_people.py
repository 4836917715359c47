"""Human labels: in from files, beside the verdicts, out as the columns that metrics take."""

from __future__ import annotations

import csv
import json
import sqlite3

import pytest

from vlmprobe import metrics
from vlmprobe.data.order import in_order
from vlmprobe.ledger import LabelRecord, Ledger, RunRecord
from vlmprobe.ledger.file import SCHEMA
from vlmprobe.methods import RandomValid
from vlmprobe.metrics.judged import INVALID, RIGHT, WRONG, state
from vlmprobe.review.people import import_labels, label_table
from vlmprobe.run.probe import probe
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import ErrorRates, NoisyVerifier, OracleVerifier

PLACE = {"run": "run", "phase": "probe", "step": 0}


@pytest.fixture
def ledger(tmp_path):
    """A run of 120 answered questions about 12 images, judged by a noisy verifier."""
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        noisy = NoisyVerifier(ErrorRates(wrong_sensitivity=0.8, wrong_specificity=0.9), seed=1)
        answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
        probe(RandomValid(), answerer, noisy, in_order(WorldImages(12, seed=5), 12), calls=120, k=4, group_size=3,
              seed=0, ledger=ledger)  # fmt: skip
        yield ledger


def line(sequence=0, slot=0, **more):
    return {**PLACE, "sequence": sequence, "slot": slot, "annotator": "ann", "valid": True, "correct": False, **more}


def jsonl(path, lines):
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


def test_labels_of_several_annotators_come_back_in_the_order_of_the_questions(ledger, tmp_path):
    given = [
        line(slot=1, annotator="bob", valid=False, correct=None, probability=0.5),
        line(slot=1, probability=0.5, note="passed over"),
        line(valid=None, correct=None),
    ]
    assert import_labels(ledger, jsonl(tmp_path / "labels.jsonl", given)) == 3
    found = [
        (label.slot, label.annotator, label.valid, label.correct, label.probability) for label in ledger.labels("run")
    ]
    assert found == [(0, "ann", None, None, None), (1, "ann", True, False, 0.5), (1, "bob", False, None, 0.5)]
    assert import_labels(ledger, tmp_path / "labels.jsonl") == 0
    assert sum('"table": "labels"' in row for row in ledger.dump()) == 3
    assert ledger.labels("other") == []


def test_csv_and_json_lines_say_the_same(ledger, tmp_path):
    first = jsonl(tmp_path / "a.jsonl", [line(probability=0.25), line(slot=1, valid=None, correct=True)])
    assert import_labels(ledger, first) == 2
    with (tmp_path / "b.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*line(), "probability"])
        writer.writeheader()
        writer.writerow(line(valid="Yes", correct="0", probability="0.25"))
        writer.writerow(line(slot=1, valid="", correct="TRUE", probability=""))
    assert import_labels(ledger, tmp_path / "b.csv") == 0


@pytest.mark.parametrize(
    "bad, text",
    [
        (line(valid="maybe"), "line 2: valid: expected true, false or nothing, got 'maybe'"),
        (line(valid=1.5), "line 2: valid: expected true, false or nothing, got 1.5"),
        (line(step="x"), "line 2: step: expected a whole number, got 'x'"),
        (line(probability="often"), "line 2: probability: expected a number, got 'often'"),
        ({k: v for k, v in line().items() if k != "correct"}, "line 2: correct: expected a column, got none"),
        ([1], "line 2: expected an object, got list"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(bad, text, ledger, tmp_path):
    with pytest.raises(ValueError, match=rf"^\[import_labels\] labels\.jsonl, {text}"):
        import_labels(ledger, jsonl(tmp_path / "labels.jsonl", [line(slot=1), bad]))
    assert ledger.labels("run") == []


@pytest.mark.parametrize(
    "bad, text",
    [
        (line(sequence=999), r"step 0, question \[999, 0\]: expected a question of the ledger, got none there"),
        (line(question="why ?"), r"question \[0, 0\]: question: expected '.*', got 'why \?'"),
        (line(annotator=""), r"annotator: expected a name, got none"),
        (line(probability=0), r"probability: expected \(0, 1\], got 0"),
        (line(slot=1, valid=False), r"expected \(1, 0, None, None\) as labelled, got \(0, 0, None, None\)"),
    ],
)
def test_a_label_that_does_not_belong_is_refused_and_nothing_is_written(bad, text, ledger, tmp_path):
    with pytest.raises(ValueError, match=rf"^\[Ledger\.add_labels\] 'run', 'probe', .*{text}"):
        import_labels(ledger, jsonl(tmp_path / "labels.jsonl", [line(slot=1), bad]))
    assert ledger.labels("run") == []


def test_the_questions_text_is_held_against_the_ledgers(ledger, tmp_path):
    text = ledger.step("run", "probe", 0).questions[0].text
    assert import_labels(ledger, jsonl(tmp_path / "labels.jsonl", [line(question=text)])) == 1


def test_wrong_files_are_refused(ledger, tmp_path):
    with pytest.raises(
        ValueError, match=r"^\[import_labels\] path: expected a name that ends in \.jsonl or \.csv, got"
    ):
        import_labels(ledger, tmp_path / "labels.xlsx")
    with pytest.raises(ValueError, match=r"^\[import_labels\] path: expected a file, got"):
        import_labels(ledger, tmp_path / "none.jsonl")
    (tmp_path / "short.csv").write_text("run,phase,step\nrun,probe\n")
    with pytest.raises(ValueError, match=r"^\[import_labels\] short\.csv, line 2: expected 3 values"):
        import_labels(ledger, tmp_path / "short.csv")
    (tmp_path / "cut.jsonl").write_text('{"run": \n')
    with pytest.raises(ValueError, match=r"^\[import_labels\] cut\.jsonl, line 1: expected JSON"):
        import_labels(ledger, tmp_path / "cut.jsonl")


def test_a_table_has_the_majority_and_no_label_where_there_is_none(ledger):
    def label(slot, name, valid, correct=None):
        return LabelRecord(**PLACE, sequence=0, slot=slot, annotator=name, valid=valid, correct=correct)

    ledger.add_labels([label(0, name, True, name == "c") for name in "abc"])  # two say wrong, one right
    ledger.add_labels([label(1, "a", False), label(1, "b", True, True)])  # one against one
    ledger.add_labels([label(2, "a", None), label(2, "b", True, None)])  # nobody can tell
    table = label_table(ledger, "run")
    assert table.annotators == ["a", "b", "c"] and len(table.judged) == len(table.labels) == len(table.cluster)
    assert table.ratings[:3] == [[WRONG, WRONG, RIGHT], [INVALID, RIGHT, None], [None, None, None]]
    assert table.labels[:3] == [WRONG, None, None] and set(table.labels[3:]) == {None}
    assert table.probability is None
    verdict = ledger.step("run", "probe", 0).questions[0].verdict
    assert table.judged[0] == state(verdict.valid, verdict.correct)
    assert repr(table) == f"LabelTable({len(table.judged)} questions, 1 labelled, 3 annotators)"


def test_labels_that_name_another_probability_are_refused(ledger):
    labels = [LabelRecord(**PLACE, sequence=0, slot=0, annotator=a, valid=True, correct=True) for a in "ab"]
    ledger.add_labels([labels[0], LabelRecord(**{**vars(labels[1]), "probability": 0.5})])
    with pytest.raises(
        ValueError, match=r"^\[label_table\] .*: probability: expected one for all labels of a question, got 2"
    ):
        label_table(ledger, "run")


def test_the_oracles_labels_correct_a_noisy_verifier(ledger):
    oracle, images = OracleVerifier(), WorldImages(12, seed=5)
    truth, labels = [], []
    for phase, number in ledger.recorded_steps("run"):
        step = ledger.step("run", phase, number)
        image_of = {sequence.sequence: images[sequence.image] for sequence in step.sequences}
        for question in step.questions:
            where = {"run": "run", "phase": phase, "step": number, "sequence": question.sequence, "slot": question.slot}
            right = None
            if question.answer is not None:
                image = image_of[question.sequence]
                [judged] = oracle.correctness([image], [question.text], [question.answer.text])
                right = judged.correct
            truth.append(right)
            labels.append(LabelRecord(**where, annotator="oracle", valid=True, correct=right, probability=1.0))
    assert ledger.add_labels(labels) == len(labels)
    table = label_table(ledger, "run")
    found = metrics.from_sample(table.judged, table.labels, table.probability, cluster=table.cluster)
    known = [label for label in table.labels if label is not None]
    assert known.count(WRONG) == truth.count(False) and known.count(RIGHT) == truth.count(True)
    assert found.qvr.n == len(table.judged) and found.qvr.n_labels == len(known)
    assert metrics.percent_agreement(table.judged, table.labels) < 1


def test_a_ledger_of_the_third_schema_gets_labels(tmp_path):
    path = tmp_path / "old.sqlite"
    with Ledger(path) as ledger:
        ledger.begin(RunRecord(id="run"))
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE labels")
        for column in ("calls", "prompt_tokens", "completion_tokens"):
            db.execute(f"ALTER TABLE calls DROP COLUMN charged_{column}")
        db.execute("PRAGMA user_version = 3")
    with Ledger(path, read_only=True) as ledger:
        assert ledger.labels("run") == []
    with Ledger(path) as ledger:
        assert ledger.labels("run") == []
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
