"""Journals: what is live, read back, budgeted and written down is theirs; the loop does not know."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import pytest

from support.tiny_runs import TINY, make
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.evaluate import evaluate
from vlmprobe.loop.journal import LivePage, Unkept
from vlmprobe.loop.round import Place
from vlmprobe.loop.trainer import Trainer as Loop
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods import RandomValid
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.service import Service
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.journal import RunJournal
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier


def models():
    return FaultyAnswerer(ExecutingAnswerer(), load_faults()), OracleVerifier()


def loop(**more) -> Loop:
    answerer, verifier = models()
    return Loop(
        Questioner(tiny.load("questioner-broad")),
        answerer,
        verifier,
        HashedNgramEmbedder(),
        WorldImages(3, seed=11),
        **more,
    )


class Kept:
    """A journal of one's own: it keeps the rounds in a list, and lets a step take few calls."""

    def __init__(self, calls=None):
        self.rounds, self.numbers, self.calls = [], [], calls

    @contextmanager
    def open(self, step, *, max_calls=None, asking_free=False):
        yield self.Page(self, step)

    class Page(LivePage):
        def __init__(self, journal, step):
            super().__init__(Place(run="own", step=step), Service(), journal.calls)
            self.journal = journal

        def write(self, round, numbers=None):
            self.journal.rounds.append(round)
            self.journal.numbers.append(dict(numbers or {}))


def test_a_journal_of_ones_own_sees_every_round():
    journal = Kept(calls=3)
    reports = loop(options=TINY, journal=journal).train(2)
    assert [round.place.step for round in journal.rounds] == [0, 1]
    assert [round.answered for round in journal.rounds] == [report.asked for report in reports] == [3, 3]
    assert journal.numbers[1]["loss"] == reports[1].loss


def test_the_loop_alone_is_the_trainer_of_a_run():
    alone, run = loop(options=TINY), make()
    assert alone.train(3) == run.train(3) and len(alone.memory) == len(run.memory)


def test_an_option_that_the_journal_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"^\[Trainer\] options: overlap: expected False beside a journal that keeps"):
        loop(options=TrainerOptions(overlap=True))


def test_an_evaluation_is_written_once_and_gone_through_again_without_a_call(tmp_path):
    images = WorldImages(4, seed=5)

    def images_of(step):
        return [images[step % 4]]

    class Silent:
        """By the name of who said it the first time."""

        def __init__(self, speaker):
            self.identity = speaker.identity

        def answer(self, images, questions):
            raise AssertionError("asked again")

        validity = correctness = answer

    silent = [Silent(speaker) for speaker in models()]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="r"))
        arguments = {"calls": 9, "k": 2, "seed": 3}
        first = evaluate(RandomValid(), *models(), images_of, journal=RunJournal("r", "p", ledger=ledger), **arguments)
        before = list(ledger.dump())
        again = RunJournal("r", "p", ledger=ledger, resumed=True)
        second = evaluate(RandomValid(), *silent, images_of, journal=again, **arguments)
        assert list(ledger.dump()) == before and first.calls == second.calls == 9
        assert repr(first.numbers(HashedNgramEmbedder())) == repr(second.numbers(HashedNgramEmbedder()))
        with pytest.raises(RuntimeError, match=r"^\[journal\] step 0 of run 'r' is in the ledger already"):
            evaluate(RandomValid(), *silent, images_of, journal=RunJournal("r", "p", ledger=ledger), **arguments)


def test_a_journal_without_a_ledger_says_what_is_left_out():
    class Half:
        """A source of which every second picture cannot be read."""

        def __len__(self):
            return 2

        def __getitem__(self, index):
            if index:
                raise ValueError("second: cannot be read")
            return WorldImages(1, seed=2)[0]

    for journal in (Unkept(), RunJournal()):
        answerer, verifier = models()
        trainer = Loop(
            Questioner(tiny.load("questioner-broad")), answerer, verifier, HashedNgramEmbedder(), Half(),
            options=TINY, journal=journal,
        )  # fmt: skip
        with pytest.warns(UserWarning, match=r"\[train\] step 0: 1 pictures left out: .*second: cannot be read"):
            report = trainer.step()
        assert report.left_out == trainer.tally.left_out == 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.step()
