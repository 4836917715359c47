"""A step as a value: columns come with the stages, and the ledger gives back what was written down."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from support.rounds import asked
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.examine import examine
from vlmprobe.loop.record import degenerate_groups, judged_questions, recorded_round, step_record
from vlmprobe.loop.report import step_report
from vlmprobe.loop.round import Place, Round
from vlmprobe.loop.score import credit, score
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.reward import paper
from vlmprobe.world.source import WorldImages

PICTURES = [WorldImages(3, seed=9)[i] for i in range(3)]
SAID = [
    ["<response_1> one ? </response_1><response_2> two ? </response_2>", "<response_1> three ? </response_1>"],
    ["nothing", "<response_1> four ? </response_1><response_2> five ? </response_2>"],
    ["<response_1> six ? </response_1>", "<response_1> six ? </response_1>"],
]
EMBEDDER = HashedNgramEmbedder()


SAYS = {"one ?": (True, False), "two ?": (False, None), "three ?": (True, True), "four ?": (None, None)}
"""Question -> whether it is valid, and whether its answer is right."""


class Judge:
    """Says what it was told to say of each question; answers likewise."""

    identity = "told"

    def validity(self, images, questions):
        found = []
        for question in questions:
            valid = SAYS.get(question, (True, True))[0]
            found.append(
                Criteria(failure=Failure.TIMEOUT)
                if valid is None
                else Criteria(grammatical=valid, atomic=True, grounded=True, objective=True)
            )
        return found

    def correctness(self, images, questions, answers):
        return [Judgement(correct=SAYS.get(question, (True, True))[1]) for question in questions]

    def answer(self, images, questions):
        return [Reply(failure=Failure.EMPTY) if question == "five ?" else Reply(text="yes") for question in questions]


def credited() -> Round:
    judge = Judge()
    shown = asked(PICTURES, SAID, k=2, place=Place(run="r", phase="p", step=4))
    scored = score(examine(shown, judge, judge), QuestionMemory(EMBEDDER.dim), EMBEDDER, paper())
    return credit(scored)


def test_a_round_knows_what_was_valid_what_was_wrong_and_what_nobody_knows():
    round = credited()
    #                               one two  three -   -  -   four five  six -   six -
    assert round.valid.tolist() == [1, 0, 1, 0, 0, 0, -1, 1, 1, 0, 1, 0]
    assert round.correct.tolist() == [0, -1, 1, -1, -1, -1, -1, -1, 1, -1, 1, -1]
    assert round.failed.tolist() == [0] and round.answered == round.calls == 5
    assert [picture.id for picture in round.pictures] == [0] * 4 + [1] * 4 + [2] * 4
    assert repr(round).startswith("Round(step 4 of r/p, 3 images, asked, questions, verdicts, answers, novelties")


def test_a_stage_returns_another_round_and_leaves_its_own_alone():
    shown = asked(PICTURES, SAID, k=2)
    examined = examine(shown, Judge(), Judge())
    assert shown.verdicts is None and examined.questions is shown.questions
    with pytest.raises(dataclasses.FrozenInstanceError):
        examined.verdicts = []


def test_groups_without_a_signal_are_counted_in_report_and_ledger():
    round = credited()
    # Picture 0: rewards differ. Picture 1: an invalid pair, and one that is unscored. Picture 2: the same twice.
    assert degenerate_groups(round) == 2
    numbers = dict.fromkeys(("loss", "kl", "entropy", "clip_fraction", "grad_norm"), 0.0)
    assert step_report(round, numbers).degenerate == 2
    judge = Judge()
    assert step_record(round, judge, judge).numbers["degenerate"] == 2
    plain = examine(asked(PICTURES[:1], [["x", "x"]]), judge, judge)
    assert degenerate_groups(plain) == 0 and "degenerate" not in step_record(plain, judge, judge).numbers


def test_the_ledger_gives_a_round_back(tmp_path):
    round, judge = credited(), Judge()
    annotated = dataclasses.replace(round, annotations=[{"at": i} for i in range(12)], left_out=1)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="r"))
        ledger.record(step_record(annotated, judge, judge))
        back = recorded_round(ledger.step("r", "p", 4))
    assert (back.place, back.left_out, back.calls) == (round.place, 1, round.calls)
    assert back.valid.tolist() == round.valid.tolist() and back.correct.tolist() == round.correct.tolist()
    assert back.verdicts == round.verdicts and back.answers == round.answers
    assert back.questions.text == round.questions.text and back.questions.prefix == round.questions.prefix
    assert back.questions.status.tolist() == round.questions.status.tolist()
    assert torch.equal(back.rewards.total.nan_to_num(9), round.rewards.total.nan_to_num(9))
    for name, values in round.rewards.terms.items():
        assert torch.equal(back.rewards.terms[name].nan_to_num(9), values.nan_to_num(9))
    assert [picture.id for picture in back.pictures] == [picture.id for picture in round.pictures]
    assert judged_questions(back) == judged_questions(annotated)
    again = score(back, QuestionMemory(EMBEDDER.dim), EMBEDDER, paper())
    assert torch.equal(again.rewards.total.nan_to_num(9), round.rewards.total.nan_to_num(9))
    assert all(math.isnan(value) for value in again.rewards.total[2:3].tolist()) is bool(round.rewards.total[2].isnan())


def test_credit_goes_to_sequences_or_questions_and_nowhere_else():
    with pytest.raises(ValueError, match=r"^\[credit\] to: expected sequence or question, got 'token'$"):
        credit(credited(), "token")
