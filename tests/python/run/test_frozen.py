"""Frozen questions: what is known is not asked again, what an outage kept from being known is, and answers are kept."""

from __future__ import annotations

import pytest
from PIL import Image as PILImage

from vlmprobe.data.image import Image
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.models.replies import Failure, Judgement, Reply
from vlmprobe.models.service import Unserved
from vlmprobe.run.frozen import Frozen, ask_frozen, calls_made, outcomes

RUN = "probe"
IMAGES = [Image(i, f"p{i}", PILImage.new("RGB", (8, 8 + i), "red")) for i in range(4)]
QUESTIONS = [Frozen(i % 4, f"p{i % 4}", f"question {i}") for i in range(8)]


class Answers:
    identity = "answers"

    def __init__(self, failing=()):
        self.failing, self.asked = set(failing), []

    def answer(self, images, questions):
        self.asked += questions
        return [Reply(failure=Failure.TIMEOUT) if q in self.failing else Reply(text=q) for q in questions]


class Judges:
    """Even questions are answered rightly."""

    identity = "judges"

    def __init__(self, failing=()):
        self.failing, self.judged = set(failing), []

    def validity(self, images, questions):
        raise AssertionError("frozen questions are known to be valid")

    def correctness(self, images, questions, answers):
        self.judged += questions
        return [
            Judgement(failure=Failure.TRANSPORT)
            if question in self.failing
            else Judgement(correct=int(question.split()[1]) % 2 == 0, reason=f"{image.key} {answer}")
            for image, question, answer in zip(images, questions, answers, strict=True)
        ]


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as made:
        made.begin(RunRecord(id=RUN))
        yield made


def ask(ledger, answers, judges, *, picture=lambda each: IMAGES[each.image], **more):
    found = ask_frozen(QUESTIONS, answers, judges, picture, ledger, RUN, **more)
    return {each.text: found[each.pair].wrong for each in QUESTIONS if each.pair in found}


def test_each_is_asked_once_and_judged_about_its_own_picture(ledger):
    answers, judges = Answers(), Judges()
    wrong = ask(ledger, answers, judges)
    assert wrong == {f"question {i}": bool(i % 2) for i in range(8)} == ask(ledger, answers, judges)
    assert sorted(answers.asked) == sorted(each.text for each in QUESTIONS) == sorted(judges.judged)
    for (key, text), outcome in outcomes(ledger, RUN).items():
        assert outcome.reason == f"{key} {text}" and outcome.answer == text


def test_an_outage_of_the_answerer_is_asked_again(ledger):
    answers = Answers(failing={"question 3", "question 4"})
    wrong = ask(ledger, answers, Judges())
    assert wrong["question 3"] is None and wrong["question 4"] is None and wrong["question 5"] is True
    later = Answers()
    assert None not in ask(ledger, later, Judges()).values() and later.asked == ["question 3", "question 4"]


def test_an_outage_of_the_verifier_costs_no_second_answer(ledger):
    answers, judges = Answers(), Judges(failing={"question 6"})
    assert ask(ledger, answers, judges)["question 6"] is None and calls_made(ledger, RUN) == 8
    later = Judges()
    assert ask(ledger, answers, later)["question 6"] is False and later.judged == ["question 6"]
    assert len(answers.asked) == 8 == calls_made(ledger, RUN)


def test_where_nothing_comes_through_no_step_is_made(ledger):
    with pytest.raises(Unserved, match=r"\[answerer\] answers: expected a reply, got none to 8 calls"):
        ask(ledger, Answers(failing={each.text for each in QUESTIONS}), Judges())
    assert outcomes(ledger, RUN) == {} and len(ask(ledger, Answers(), Judges())) == 8


def test_calls_are_a_budget_over_all_processes_and_a_lost_picture_costs_none(ledger):
    answers = Answers()
    assert len(ask(ledger, answers, Judges(), calls=3)) == 3 == len(answers.asked)
    assert len(ask(ledger, answers, Judges(), calls=5)) == 5 == len(answers.asked)

    def without_first(each):
        return None if each.image == 0 else IMAGES[each.image]

    assert "question 0" in ask(ledger, answers, Judges(), picture=without_first)
    assert len(answers.asked) == 8 - sum(each.image == 0 for each in QUESTIONS[5:]) == calls_made(ledger, RUN)
