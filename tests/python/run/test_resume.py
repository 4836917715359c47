"""A resumed run: what the ledger has is not asked again, and comes out the same or is an error."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3

import pytest

from support.tiny_runs import TINY, dump, make, whole_state
from vlmprobe.ledger import Ledger
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.world.answerers import ExecutingAnswerer
from vlmprobe.world.source import WorldImages

STEPS = 4


class Flaky(ExecutingAnswerer):
    """Fails for some questions, so that failures are replayed, too."""

    identity = "flaky"

    def answer(self, images, questions):
        replies = super().answer(images, questions)
        return [Reply(failure=Failure.TIMEOUT) if len(q) % 3 else r for q, r in zip(questions, replies, strict=True)]


class Silent:
    """Stands for models that may not be asked."""

    def __init__(self, identity):
        self.identity = identity

    def answer(self, *_):
        raise AssertionError("asked again")

    validity = correctness = answer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of four steps that nothing stopped, with its checkpoints of steps 1 and 4."""
    folder = tmp_path_factory.mktemp("whole")
    with Ledger(folder / "ledger.sqlite") as ledger:
        trainer = make(ledger=ledger, answerer=Flaky())
        trainer.step()
        trainer.save(folder / "checkpoints")
        trainer.train(STEPS - 1)
        trainer.save(folder / "checkpoints")
    return folder


@pytest.fixture
def stopped(whole, tmp_path):
    """The same run, killed before its second checkpoint."""
    folder = shutil.copytree(whole, tmp_path / "stopped")
    shutil.rmtree(folder / "checkpoints" / f"step-{STEPS:08d}")
    return folder


def silent(ledger, **more):
    return make(ledger=ledger, answerer=Silent("flaky"), verifier=Silent("world-oracle"), **more)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_steps_beyond_the_checkpoint_are_made_again_without_a_call(whole, stopped, checkpoint):
    before = dump(stopped / "ledger.sqlite")
    if not checkpoint:
        shutil.rmtree(stopped / "checkpoints")
    with Ledger(stopped / "ledger.sqlite") as ledger:
        trainer = silent(ledger)
        assert trainer.load(stopped / "checkpoints", missing_ok=True) is checkpoint
        trainer.train(STEPS - trainer.next_step)
        end = trainer.save(stopped / "checkpoints")
        with pytest.raises(AssertionError, match="asked again"):
            trainer.step()  # the next step is new
    assert dump(stopped / "ledger.sqlite") == before == dump(whole / "ledger.sqlite")
    assert whole_state(end) == whole_state(whole / "checkpoints" / end.name)
    assert any('"failure": "timeout"' in line for line in before)


def test_the_tally_holds_the_steps_before_the_checkpoint(whole):
    with Ledger(whole / "ledger.sqlite") as ledger:
        trainer = silent(ledger)
        trainer.load(whole / "checkpoints")
        counts = ledger.counts("train")
        assert len(trainer.tally) == counts.n_questions == STEPS * 16
        assert trainer.tally.calls == counts.answerer_calls > 0
        assert trainer.tally.wrong == counts.n_wrong


def test_a_run_that_was_not_resumed_may_not_repeat_a_step(stopped):
    with Ledger(stopped / "ledger.sqlite") as ledger:
        trainer = silent(ledger)
        with pytest.raises(RuntimeError, match=r"step 0 of run 'run' is in the ledger already: resume it with Trainer"):
            trainer.step()
        assert trainer.next_step == 0 and len(trainer.memory) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE questions SET text = 'what ?' WHERE question_id = 20", r"^\[replay\] step 1 .*question 3: expected"),
        ("UPDATE sequences SET reward = 7 WHERE sequence_id = 9", r"step 1 of 'train' .* another sequences\[0\]: exp"),
        ("UPDATE rewards SET value = 7 WHERE question_id = 17", r"another questions\[0, 0\]\.rewards: expected .*7\.0"),
        ("DELETE FROM rewards WHERE question_id = 17", r"another questions\[0, 0\]\.rewards: expected \[\], got"),
    ],
)  # fmt: skip
def test_a_step_that_comes_out_another_is_an_error(stopped, change, message):
    with sqlite3.connect(stopped / "ledger.sqlite") as db:
        assert db.execute(change).rowcount > 0
    with Ledger(stopped / "ledger.sqlite") as ledger:
        trainer = silent(ledger)
        trainer.load(stopped / "checkpoints")
        with pytest.raises(ValueError, match=message):
            trainer.step()


def test_another_model_under_test_is_an_error(stopped):
    with Ledger(stopped / "ledger.sqlite") as ledger:
        trainer = make(ledger=ledger)  # another answerer
        trainer.load(stopped / "checkpoints")
        with pytest.raises(ValueError, match=r"another questions\[.*\]\.answer: expected .*'flaky'.*, got .*executing"):
            trainer.step()


def test_a_checkpoint_ahead_of_its_ledger_is_an_error(whole, tmp_path):
    message = r"step-00000004: has seen step 0 of run 'run', which the ledger has not"
    with Ledger(tmp_path / "other.sqlite") as ledger, pytest.raises(ValueError, match=message):
        make(ledger=ledger).load(whole / "checkpoints")


def test_an_evaluation_that_was_cut_is_not_paid_twice(tmp_path):
    options = dataclasses.replace(TINY, k=1)
    held_out = WorldImages(40, seed=22)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first = make(ledger=ledger, answerer=Flaky(), options=options).evaluate(held_out, 40, phase="after")
        trainer = silent(ledger, options=options)
        with pytest.raises(RuntimeError, match=r"step 0 of run 'run/after' is in the ledger already"):
            trainer.evaluate(held_out, 40, phase="after")
        trainer.load(tmp_path, missing_ok=True)
        again = trainer.evaluate(held_out, 40, phase="after")
    assert repr(trainer.summary(again)) == repr(trainer.summary(first)) and again.calls == 40


def test_a_step_reads_back_as_it_was_recorded(whole):
    with Ledger(whole / "ledger.sqlite", read_only=True) as ledger:
        step = ledger.step("run", "train", 2)
        assert step is not None and (step.run, step.phase, step.step) == ("run", "train", 2)
        assert [len(part) for part in (step.images, step.sequences, step.questions)] == [2, 8, 16]
        judged = [q for q in step.questions if q.verdict is not None]
        assert all(type(q.verdict.grammatical) is bool for q in judged if q.verdict.failure is None)
        assert {"family", "truth"} <= judged[0].annotations.keys() and "total" in judged[0].rewards
        assert ledger.step("run", "train", STEPS) is None and ledger.step("run", "after", 0) is None
