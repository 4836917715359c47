"""What labels say, on numbers made by hand."""

from __future__ import annotations

import pytest

from support.ledgers import answered, question, verdict
from vlmprobe import metrics
from vlmprobe.ledger import ImageRecord, LabelRecord, Ledger, RunRecord, SequenceRecord, StepRecord
from vlmprobe.metrics.judged import INVALID, RIGHT, UNSCORED, WRONG
from vlmprobe.review.study import UNTOLD, study

RUN = "probe"
PEOPLE = ("a", "b", "c", "d", "e")
SAID = {INVALID: (False, None), RIGHT: (True, True), WRONG: (True, False), UNTOLD: (True, None), UNSCORED: (None, None)}


def labelled(path, judged, said):
    """A ledger with a picture for each question, by its state as judged, and five annotators' states."""
    made = {INVALID: {"verdict": verdict(None, atomic=False)}, RIGHT: {"verdict": verdict(True), "answer": answered()},
            WRONG: {"verdict": verdict(False), "answer": answered()}}  # fmt: skip
    ledger = Ledger(path)
    ledger.begin(RunRecord(id=RUN))
    n = range(len(judged))
    ledger.record(
        StepRecord(
            run=RUN, phase=RUN, step=0, images=[ImageRecord(id=i, key=f"p{i}", sha256=f"{i}") for i in n],
            sequences=[SequenceRecord(sequence=i, image=i, group=i, text="", tokens=0) for i in n],
            questions=[question(i, 0, text=f"question {i}", **made[judged[i]]) for i in n],
        )
    )  # fmt: skip
    labels = []
    for i, row in enumerate(said):
        for name, state in zip(PEOPLE, row, strict=False):
            valid, correct = SAID[state]
            labels.append(LabelRecord(run=RUN, phase=RUN, step=0, sequence=i, slot=0, annotator=name, valid=valid,
                                      correct=correct))  # fmt: skip
    ledger.add_labels(labels)
    return ledger


def test_five_annotators_against_the_verifier_and_each_other(tmp_path):
    judged = [INVALID, RIGHT, WRONG, WRONG, RIGHT]
    said = [[UNTOLD] * 5, [RIGHT] * 4 + [WRONG], [WRONG] * 5, [RIGHT] * 3 + [WRONG] * 2, [UNSCORED] * 5]
    with labelled(tmp_path / "l.sqlite", judged, said) as ledger:
        found = study(ledger, RUN)
    assert found.table == [[0, 0, 0, 1], [0, 1, 0, 0], [0, 1, 1, 0]] and found.labelled == 4
    assert found.annotators == dict.fromkeys(PEOPLE, 4)
    assert [rate.value for rate in found.confirmed] == [0.0, 1.0, 0.5]
    ratings = [[None if each == UNSCORED else each for each in row] for row in said]
    assert found.people.alpha.value == pytest.approx(metrics.krippendorff_alpha(ratings))
    assert found.verifier.share.value == 0.5 and found.verifier.share.n == 4
    assert (found.validity.share.value, found.validity.share.n) == (0.75, 4)
    assert (found.correctness.share.value, found.correctness.share.n) == (pytest.approx(2 / 3), 3)
    # of 5 questions, those judged invalid are valid: 1/5 (1 - 0) + 4/5 = 1; of 4 answered, wrong: 2/4 x 1/2 + 2/4 x 0
    assert found.qvr.value == 1.0 and found.fdr.value == 0.25
    assert found.qvr_as_judged.value == 0.8 and found.fdr_as_judged.value == 0.5


def test_before_each_verdict_has_a_label_nothing_is_known_of_its_errors(tmp_path):
    with labelled(tmp_path / "l.sqlite", [RIGHT, WRONG, RIGHT], [[RIGHT]]) as ledger:
        found = study(ledger, RUN)
    assert (found.fdr.low, found.fdr.high, found.fdr.n_labels) == (0.0, 1.0, 1)
    assert found.fdr.value != found.fdr.value and found.fdr_as_judged.n == 3


def test_as_many_for_as_against_is_no_label(tmp_path):
    with labelled(tmp_path / "l.sqlite", [RIGHT, WRONG], [[RIGHT, WRONG], [WRONG]]) as ledger:
        found = study(ledger, RUN)
    assert found.labelled == 1 and found.people.share.n == 1
