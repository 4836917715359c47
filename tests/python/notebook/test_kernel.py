"""In a real kernel: a bar that is drawn in its place, objects that show themselves, and the stop button."""

from __future__ import annotations

import pytest

from support.kernels import kernel

MADE = """
import torch; torch.set_num_threads(1)
from support.tiny_runs import make
from vlmprobe.run.directory import RunDirectory
trainer = make()
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    with kernel(tmp_path_factory.mktemp("kernel")) as found:
        failed = [each for each in found.run(MADE) if each["kind"] == "error"]
        assert failed == []
        yield found


def shown(outputs, kind="text/html") -> list[str]:
    return [each["data"][kind] for each in outputs if kind in each.get("data", {})]


def errors(outputs) -> list[str]:
    return [each["ename"] for each in outputs if each["kind"] == "error"]


def test_training_draws_one_bar_in_its_place(cells):
    outputs = cells.run("reports = trainer.train(3); reports[-1]")
    bar, report = shown(outputs)
    assert "step 3: 48 questions," in bar and "━━━━" in bar and "<script" not in bar
    assert "<th>questions</th>" in report
    assert not [each for each in outputs if each["kind"] == "stream"] and errors(outputs) == []
    (trainer,) = shown(cells.run("trainer"))
    assert "<th>steps</th>" in trainer and ">3</td>" in trainer


def test_a_bar_that_is_not_wanted_is_not_drawn(cells):
    assert cells.run("trainer.progress = False; _ = trainer.train(1); trainer.progress = True") == []


def test_the_stop_button_ends_training_after_its_step_and_the_next_cell_goes_on(cells):
    outputs = cells.run("before = trainer.next_step; trainer.train(500)", interrupt_at=r"step \d+: ")
    assert errors(outputs) == ["KeyboardInterrupt"]
    said = cells.run("print(before < trainer.next_step < 500, len(trainer.tally) == 16 * trainer.next_step)")
    assert said[0]["text"] == "True True\n"
    assert (
        errors(cells.run("before = trainer.next_step; _ = trainer.train(1); assert trainer.next_step == before + 1"))
        == []
    )


def test_the_stop_button_leaves_a_checkpoint_of_the_step_in_a_runs_folder(cells):
    code = """
from vlmprobe.ledger import RunRecord
folder = RunDirectory("run", resume=True)
trainer = make(ledger=folder.ledger)
folder.load(trainer)
with folder:
    folder.train(trainer, {steps}, checkpoint_every=1000)
"""
    outputs = cells.run(code.format(steps=500), interrupt_at=r"step \d+/500")
    assert errors(outputs) == ["KeyboardInterrupt"]
    said = cells.run("import os; print(trainer.next_step, os.listdir('run/checkpoints'))")[0]["text"]
    made = int(said.split()[0])
    assert 1 <= made < 500 and said.split(maxsplit=1)[1] == f"['step-{made:08}']\n"
    assert errors(cells.run(code.format(steps=made + 1))) == []
    assert cells.run("print(trainer.next_step)")[0]["text"] == f"{made + 1}\n"
