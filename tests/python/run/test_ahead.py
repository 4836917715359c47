"""Asking ahead says what asking in turn says, sooner, and asks nothing that does not come."""

from __future__ import annotations

import threading
import time

import pytest

from vlmprobe.data.order import in_order
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.methods import ChatAsker
from vlmprobe.models.model import ModelReply, Status
from vlmprobe.models.protocols import Picture
from vlmprobe.models.replies import Criteria, Judgement, Reply
from vlmprobe.models.service import Unserved
from vlmprobe.policy.asker import Completions
from vlmprobe.run.ahead import Ahead
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe
from vlmprobe.world.source import WorldImages

SOURCE = WorldImages(6, seed=4)


class Scripted:
    """Asks and judges by rule, after a while; notes when each began."""

    identity = "scripted"

    def __init__(self, asks_s: float = 0.0, judges_s: float = 0.0):
        self.asks_s, self.judges_s = asks_s, judges_s
        self.asked: list[int] = []
        self.fails_at: int | None = None

    def ask(self, images: list[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        self.asked.append(step)
        if step == self.fails_at:
            raise Unserved("[ask] nobody is there")
        time.sleep(self.asks_s)
        return Completions.of([[f"<response_1>How many of {image.id} at {step}?</response_1>"] for image in images])

    def validity(self, images, questions):
        time.sleep(self.judges_s)
        return [Criteria(grammatical=True, atomic=True, grounded=True, objective=True) for _ in questions]

    def answer(self, images, questions):
        return [Reply(text=f"{len(question)}") for question in questions]

    def correctness(self, images, questions, answers):
        return [Judgement(correct="1" in question) for question in questions]


def found(model: Scripted, *, overlap: bool, **more):
    return probe(model, model, model, in_order(SOURCE, 2), calls=12, k=1, seed=0, overlap=overlap, **more)


def test_what_is_found_is_what_is_found_in_turn():
    ahead, in_turn = found(Scripted(), overlap=True), found(Scripted(), overlap=False)
    assert [(i, q.text) for i, q in ahead.failures()] == [(i, q.text) for i, q in in_turn.failures()]
    assert ahead.spent == in_turn.spent == 12


def test_the_next_step_is_asked_while_this_one_is_judged():
    model = Scripted(asks_s=0.2, judges_s=0.2)
    began = time.monotonic()
    found(model, overlap=True, worth=lambda step: step < 6)
    both = time.monotonic() - began
    assert model.asked == list(range(6)), "each step once, none that does not come"
    assert both < 0.75 * 6 * 0.4, "in turn it is 2.4 s"


def test_a_step_that_is_not_worth_it_is_not_begun():
    model = Scripted()
    found(model, overlap=True, worth=lambda step: False)
    assert model.asked == list(range(6))


def test_an_error_ahead_is_raised_by_the_step_that_it_belongs_to():
    model, seen = Scripted(), []
    model.fails_at = 2
    with pytest.raises(Unserved, match="nobody is there"):
        found(model, overlap=True, on_round=lambda round: seen.append(round.place.step))
    assert seen == [0, 1]


def test_pictures_that_change_are_asked_about_anew():
    model = Scripted()
    with Ahead(model, in_order(SOURCE, 2)) as ahead:
        ahead.ask(in_order(SOURCE, 2)(0), k=1, seed=0, step=0)
        others = in_order(SOURCE, 2)(2)
        said = ahead.ask(others, k=1, seed=0, step=1)
    assert said.texts == Scripted().ask(others, k=1, seed=0, step=1).texts


def test_each_picture_is_read_once_a_step():
    reads: list[int] = []

    def images_of(step: int):
        reads.append(step)
        return in_order(SOURCE, 2)(step)

    model = Scripted()
    probe(model, model, model, images_of, calls=12, k=1, seed=0, overlap=True, worth=lambda step: step < 6)
    assert reads == list(range(6))


def test_a_picture_that_cannot_be_read_ahead_is_an_error_of_its_step():
    def images_of(step: int):
        if step == 1:
            raise OSError("the disk is gone")
        return in_order(SOURCE, 2)(step)

    model, seen = Scripted(), []
    with pytest.raises(OSError, match="the disk is gone"):
        probe(model, model, model, images_of, calls=12, k=1, seed=0, overlap=True,
              on_round=lambda round: seen.append(round.place.step))  # fmt: skip
    assert seen == [0]


def test_replies_ahead_are_recorded_under_their_own_step():
    class Model:
        identity = "chat"

        def reply(self, requests):
            return [ModelReply(text="<response_1>Why?</response_1>", status=Status.OK) for _ in requests]

    with Ledger(":memory:") as ledger:
        ledger.begin(RunRecord(id="run"))
        source = of_run(SOURCE, ledger, "run")
        model = Scripted()
        probe(ChatAsker(Model()), model, model, in_order(source, 2), calls=6, k=1, seed=0, ledger=ledger, overlap=True)
        rows = ledger._db.execute("SELECT step, count(*) FROM calls GROUP BY step ORDER BY step").fetchall()
    assert rows[:3] == [(0, 2), (1, 2), (2, 2)]


def test_a_thread_has_a_place_of_its_own():
    with Ledger(":memory:") as ledger:
        ledger.at("run", "probe", 3)
        with ledger.here("run", "probe", 4):
            assert ledger._places.now() == ("run", "probe", 4)
            other: list[tuple[str, str, int]] = []
            thread = threading.Thread(target=lambda: other.append(ledger._places.now()))
            thread.start()
            thread.join()
            assert other == [("run", "probe", 3)]
        assert ledger._places.now() == ("run", "probe", 3)


class Learning(Scripted):
    """Asks about how many steps it has seen."""

    def __init__(self, **more):
        super().__init__(**more)
        self.seen: list[int] = []

    def ask(self, images, *, k, group_size=1, seed, step):
        self.asked.append(step)
        known = list(self.seen)
        time.sleep(self.asks_s)
        return Completions.of([[f"<response_1>What of {image.id} after {known}?</response_1>"] for image in images])

    def see(self, round):
        assert not round.annotations
        self.seen.append(round.place.step)


def test_who_learns_is_asked_ahead_and_sees_each_step_one_later_also_after_a_stop(tmp_path):
    """Step t is asked after t - 2 is known: while t - 1 is judged."""

    def asked(ledger, calls, *, resumed=False):
        model = Learning(judges_s=0.02)
        with Ledger(ledger) as book:
            book.begin(RunRecord(id="run"))
            probe(model, model, model, of_run_in_order(), calls=calls, k=1, seed=0, overlap=True, ledger=book,
                  resumed=resumed)  # fmt: skip
            return [record.questions[0].text for record in book.each_step("run")]

    def of_run_in_order():
        return in_order(SOURCE, 2)

    whole = asked(tmp_path / "whole.sqlite", 12)
    assert whole == [f"What of {2 * t % 6} after {list(range(t - 1))}?" for t in range(6)]
    assert asked(tmp_path / "cut.sqlite", 6) == whole[:3]
    assert asked(tmp_path / "cut.sqlite", 12, resumed=True) == whole
