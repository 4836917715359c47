"""Canaries: made of any batch, judged with it, seen by nobody but the tally; the alarm when training finds a leak."""

from __future__ import annotations

import json

import pytest

from support.tiny_runs import make
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.models.judges import ModelVerifier
from vlmprobe.models.model import ModelReply, Status
from vlmprobe.models.replies import Criteria, Judgement
from vlmprobe.run.canaries import (
    ANSWER,
    GRAMMAR,
    IMAGE,
    Canaried,
    CanaryVerifier,
    CanaryWatch,
    Caught,
    less_likely,
    sort_of,
)
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

IMAGES = WorldImages(4, seed=3)
QUESTIONS = [
    "how many red circles are there?",
    "what color is the large square?",
    "is there a small star?",
    "how many objects are there?",
]
ANSWERS = ["two", "red", "yes", "4"]


class Listening:
    """Says the same of everything and remembers what it was asked."""

    identity = "listening@1"

    def __init__(self, verdict=True):
        self.verdict, self.asked = verdict, []

    def validity(self, images, questions):
        self.asked += list(zip([image.id for image in images], questions, strict=True))
        said = dict.fromkeys(("grammatical", "atomic", "grounded", "objective"), self.verdict)
        return [Criteria(**said, reason="because")] * len(images)

    def correctness(self, images, questions, answers):
        self.asked += list(zip([image.id for image in images], questions, answers, strict=True))
        return [Judgement(correct=self.verdict)] * len(images)


def batch():
    return [IMAGES[i] for i in range(4)]


def test_a_batch_gets_its_own_verdicts_and_the_canaries_come_after_it():
    inner = Listening()
    verifier = CanaryVerifier(inner, share=0.25)
    assert len(verifier.validity(batch(), QUESTIONS)) == 4
    assert inner.asked[:4] == [(i, question) for i, question in enumerate(QUESTIONS)]
    [(_, grammar), (other, moved)] = inner.asked[4:]
    assert grammar in {" ".join(question.rstrip("?").split()[::-1]) + "?" for question in QUESTIONS}
    assert (other, moved) not in inner.asked[:4] and moved in QUESTIONS
    inner.asked.clear()
    assert len(verifier.correctness(batch(), QUESTIONS, ANSWERS)) == 4
    [(_, question, answer)] = inner.asked[4:]
    assert sort_of(answer) != sort_of(dict(zip(QUESTIONS, ANSWERS, strict=True))[question])
    assert verifier.take_canaries() == {kind: Caught(n=1) for kind in (GRAMMAR, IMAGE, ANSWER)}
    assert verifier.take_canaries() == {}


def test_which_canaries_there_are_does_not_depend_on_the_order_of_the_batch():
    asked = []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        inner = Listening()
        CanaryVerifier(inner, share=0.5).validity([batch()[i] for i in order], [QUESTIONS[i] for i in order])
        asked.append(sorted(inner.asked[4:]))
    assert asked[0] == asked[1] and len(asked[0]) == 4


def test_a_batch_of_which_none_can_be_made_has_none():
    inner = Listening()
    verifier = CanaryVerifier(inner)
    verifier.validity([IMAGES[0]], ["why?"])
    verifier.correctness([IMAGES[0]], ["why?"], ["red"])
    verifier.validity([], [])
    assert len(inner.asked) == 2 and verifier.take_canaries() == {}


def test_the_worlds_oracle_catches_what_is_broken_and_an_outage_is_no_catch():
    verifier = CanaryVerifier(OracleVerifier(), share=1.0)
    verifier.validity(batch(), QUESTIONS)
    assert verifier.take_canaries()[GRAMMAR] == Caught(n=4, caught=4)
    unknown = CanaryVerifier(Listening(verdict=None), share=1.0)
    unknown.validity(batch(), QUESTIONS)
    assert unknown.take_canaries()[GRAMMAR] == Caught(unknown=4)


def test_a_verifier_that_asks_a_model_is_recorded_with_its_canaries(tmp_path):
    class Saying:
        identity = "judge@1"

        def reply(self, requests):
            said = '{"grammatical": true, "atomic": true, "grounded": true, "objective": true, "correct": true}'
            text = f"<verdict>{said}</verdict>"
            return [ModelReply(status=Status.OK, text=text) for _ in requests]

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        trainer = make(verifier=CanaryVerifier(ModelVerifier(Saying()), share=0.5), ledger=ledger)
        assert isinstance(trainer.verifier, Canaried)
        trainer.train(2)
        [first, second] = [json.loads(event.text) for event in ledger.events("run", kind="canaries")]
        assert (first["step"], second["step"]) == (0, 1)
        assert first["kinds"][GRAMMAR]["n"] > 0 and first["kinds"][GRAMMAR]["caught"] == 0
        assert ledger.spent("run", "verifier").calls > len(trainer.tally)


def seen(watch, rewards, caught, n=10):
    for step, (reward, good) in enumerate(zip(rewards, caught, strict=True)):
        watch.see(step, reward, {GRAMMAR: Caught(n=n, caught=good)})


def test_the_alarm_comes_once_when_reward_rises_and_canaries_are_missed(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        watch = CanaryWatch(ledger, "run", window=3)
        with pytest.warns(
            UserWarning, match=r"catches fewer canaries: \d+ of 30 over the last 3 steps, 29 of 30"
        ) as said:
            seen(watch, [0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3], [10, 9, 10, 4, 3, 4, 4])
        assert len(said) == 1 and len(ledger.events("run", kind="alarm")) == 1
        again = CanaryWatch(ledger, "run", window=3)
        again.resume()
        assert again.alarm() == watch.alarm() != ""


@pytest.mark.parametrize(
    "rewards, caught",
    [
        ([0.3, 0.3, 0.3, 0.1, 0.1, 0.1], [10, 9, 10, 4, 3, 4]),  # the reward falls
        ([0.1, 0.1, 0.1, 0.3, 0.3, 0.3], [10, 9, 10, 9, 10, 9]),  # as many are caught
        ([0.1, 0.1, 0.3, 0.3], [10, 9, 4, 3]),  # too early to say
        ([0.1, 0.1, 0.1, 0.3, 0.3, 0.3], [4, 3, 4, 10, 9, 10]),  # more are caught
    ],
)
def test_no_alarm(rewards, caught, recwarn):
    watch = CanaryWatch(None, "run", window=3)
    seen(watch, rewards, caught)
    assert watch.alarm() == "" and not recwarn.list


def test_fewer_caught_canaries_by_hand():
    # Of C(20, 10) = 184756 ways in which 14 of 20 are caught, C(14, 5) C(6, 5) + C(14, 4) C(6, 6) have at most 5 of 10.
    assert less_likely(5, 10, 9, 10) == pytest.approx((2002 * 6 + 1001) / 184756)
    assert less_likely(10, 10, 10, 10) == 1.0 and less_likely(9, 10, 5, 10) > 0.97
    assert less_likely(0, 2, 2, 2) == pytest.approx(1 / 6)  # four canaries are no alarm
    assert less_likely(900, 1000, 950, 1000) == pytest.approx(1.3e-5, rel=0.2)  # z = 4.2


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r"^\[CanaryVerifier\] share: expected a share in \(0, 1\], got 0$"):
        CanaryVerifier(OracleVerifier(), share=0)
    with pytest.raises(ValueError, match=r"^\[CanaryWatch\] window: expected at least 1, got 0$"):
        CanaryWatch(None, "run", window=0)
    with pytest.raises(ValueError, match=r"^\[CanaryWatch\] level"):
        CanaryWatch(None, "run", level=1.0)
