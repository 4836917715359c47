"""Judging and answering while groups are still drawn gives the table that comes out when everything waits."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
import torch

from support.rounds import asked as round_of
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.examine import examine
from vlmprobe.loop.round import Place, Round
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.replies import Criteria, Judgement, Reply
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.overlap import Overlap
from vlmprobe.run.trainer import Trainer
from vlmprobe.text import parse_responses
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

IMAGES = [WorldImages(6, seed=4)[i] for i in range(6)]
GROUP = 4
WHY = "<response_1>Why?</response_1>"


@pytest.fixture(scope="module")
def questioner() -> Questioner:
    return Questioner(tiny.load("questioner"), max_new_tokens=48)


def models() -> dict:
    return {"answerer": FaultyAnswerer(ExecutingAnswerer(), load_faults()), "verifier": OracleVerifier()}


SHOWN = Round(place=Place(), images=IMAGES)


def asked(rollouts, k: int) -> Round:
    return replace(SHOWN, asked=rollouts, questions=parse_responses(rollouts.texts, k=k))


def whole(rollouts, k: int) -> Round:
    return examine(asked(rollouts, k), **models())


def assert_equal(a: Round, b: Round) -> None:
    assert torch.equal(a.valid, b.valid) and torch.equal(a.correct, b.correct)
    assert a.verdicts == b.verdicts and a.answers == b.answers


def test_groups_come_once_each_as_soon_as_they_are_drawn(questioner):
    came: dict[int, list[str]] = {}
    arguments = {"k": 2, "group_size": GROUP, "seed": 3, "step": 1}
    rollouts = questioner.ask(IMAGES, **arguments, on_group=lambda group, texts: came.update({group: texts}))
    assert sorted(came) == list(range(6)) != list(came), "all groups, but not in the order of the table"
    assert [text for group in range(6) for text in came[group]] == rollouts.texts
    assert questioner.ask(IMAGES, **arguments).texts == rollouts.texts


def test_the_table_does_not_depend_on_the_order_of_arrival(questioner):
    rollouts = questioner.ask(IMAGES, k=2, group_size=GROUP, seed=5, step=0)
    expected = whole(rollouts, 2)
    assert int((expected.valid == 1).sum()) > 5
    for seed in range(3):
        order = random.Random(seed).sample(range(6), 6)
        with Overlap(SHOWN, k=2, **models(), workers=3, waiting=2) as overlap:
            for group in order:
                overlap(group, rollouts.texts[group * GROUP : (group + 1) * GROUP])
            assert_equal(overlap.examined(asked(rollouts, 2)), expected)


def test_questions_are_examined_while_others_are_drawn(questioner):
    judged, early = threading.Event(), []

    class Noting(OracleVerifier):
        def validity(self, images, questions):
            judged.set()
            return super().validity(images, questions)

    parts = models() | {"verifier": Noting()}
    with Overlap(SHOWN, k=2, **parts) as overlap:

        def on_group(group, texts):
            overlap(group, texts)
            early.append(judged.wait(10))  # the questioner stands still meanwhile: it is not done

        rollouts = questioner.ask(IMAGES, k=2, group_size=GROUP, seed=5, step=0, on_group=on_group)
        assert_equal(overlap.examined(asked(rollouts, 2)), whole(rollouts, 2))
    assert early[0]


class Silent:
    """Models that wait for leave."""

    identity = "silent"

    def __init__(self):
        self.leave, self.began = threading.Event(), threading.Semaphore(0)

    def validity(self, images, questions):
        self.began.release()
        assert self.leave.wait(10)
        return [Criteria(grammatical=False, atomic=True, grounded=True, objective=True) for _ in questions]

    def correctness(self, images, questions, answers):
        return [Judgement(correct=True) for _ in answers]

    def answer(self, images, questions):
        return [Reply(text="yes") for _ in questions]


def test_a_questioner_that_is_far_ahead_waits():
    model = Silent()
    given, one_more = [], threading.Semaphore(0)
    with Overlap(SHOWN, k=1, answerer=model, verifier=model, workers=1, waiting=2) as overlap:

        def give():
            for group in range(6):
                overlap(group, [WHY])
                given.append(group)
                one_more.release()

        thread = threading.Thread(target=give)
        thread.start()
        assert model.began.acquire(timeout=10)
        for _ in range(3):  # one at work, two waiting
            assert one_more.acquire(timeout=10)
        thread.join(0.2)
        assert thread.is_alive() and len(given) == 3
        model.leave.set()
        thread.join(10)
        assert overlap.examined(round_of(IMAGES, 6 * [WHY])).valid.tolist() == 6 * [0]


def test_what_a_model_raises_reaches_the_caller_and_nothing_hangs():
    class Broken(Silent):
        def validity(self, images, questions):
            raise KeyError("the judge is gone")

    model = Broken()
    overlapping = Overlap(SHOWN, k=1, answerer=model, verifier=model, workers=2, waiting=1)
    with overlapping as overlap, pytest.raises(KeyError, match="the judge is gone"):
        for group in range(6):
            overlap(group, [WHY])
        overlap.examined(SHOWN)


def test_a_missing_group_is_named():
    with Overlap(replace(SHOWN, images=IMAGES[:2]), k=1, **models()) as overlap:
        overlap(0, [WHY])
        with pytest.raises(ValueError, match=r"\[Overlap\] groups: expected 2, got none for 1"):
            overlap.examined(SHOWN)


def test_groups_of_another_round_are_refused():
    with Overlap(replace(SHOWN, images=IMAGES[:1]), k=1, **models()) as overlap:
        overlap(0, [WHY])
        with pytest.raises(ValueError, match=r"\[Overlap\] groups: expected the 2 questions of the round, got others"):
            overlap.examined(round_of(IMAGES[:1], [[WHY, WHY]]))


def test_an_overlapping_trainer_is_the_trainer():
    def trained(overlap: bool):
        with Ledger(":memory:") as ledger:
            ledger.begin(RunRecord(id="run"))
            parts = models()
            trainer = Trainer(
                Questioner(tiny.load("questioner"), max_new_tokens=48),
                parts["answerer"],
                parts["verifier"],
                HashedNgramEmbedder(),
                WorldImages(8, seed=11),
                options=TrainerOptions(group_size=4, images_per_step=4, learning_rate=3e-4, overlap=overlap),
                ledger=ledger,
            )
            trainer.train(2)
            return list(ledger.dump()), trainer.questioner.model.model.state_dict()

    (rows, weights), (plain_rows, plain_weights) = trained(True), trained(False)
    assert rows == plain_rows
    assert all(torch.equal(weights[name], value) for name, value in plain_weights.items())
