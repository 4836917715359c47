"""The learning rate by the step's number, several updates of a step, and both across a checkpoint."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

from support import tiny_runs
from support.tiny_models import qwen3
from vlmprobe import grpo
from vlmprobe.loop.learn import adamw, learn
from vlmprobe.loop.schedule import CONSTANT, Schedule
from vlmprobe.policy.questioner import Questioner
from vlmprobe.world.source import WorldImages

COSINE = Schedule(shape="cosine", warmup=2, total=6)
IMAGES = [WorldImages(2, seed=77)[i] for i in range(2)]


def test_the_rate_grows_in_equal_parts_then_stays_or_falls_to_zero():
    """(1 + cos(pi / 4)) / 2 = .8536, (1 + cos(pi / 2)) / 2 = .5, (1 + cos(3 pi / 4)) / 2 = .1464."""
    assert [CONSTANT(step) for step in (0, 5, 10**6)] == [1.0, 1.0, 1.0]
    assert [Schedule(warmup=4)(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    expected = [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    assert [COSINE(step) for step in range(8)] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"shape": "linear"}, "shape: expected constant or cosine, got 'linear'"),
        ({"shape": "cosine"}, "total: expected more than the warm-up's 0, got None"),
        ({"shape": "cosine", "warmup": 5, "total": 5}, "total: expected more than the warm-up's 5, got 5"),
        ({"warmup": -1}, "warmup: expected at least 1, got -1"),
    ],
)
def test_wrong_schedules_are_named(fields, text):
    with pytest.raises(ValueError) as error:
        Schedule(**fields)
    assert str(error.value) == f"[Schedule] {text}"


def rates(trainer, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        trainer.step()
        found.append(trainer.optimizer.param_groups[0]["lr"])
    return found


def test_a_run_that_is_taken_up_has_the_rates_and_the_bytes_of_one_that_was_not(tmp_path):
    falling = Schedule(shape="cosine", total=2)
    options = dataclasses.replace(tiny_runs.TINY, schedule=falling, epochs=2, group_size=2, images_per_step=1)
    whole = tiny_runs.make(options=options, adapters=True)
    assert rates(whole, 2) == pytest.approx([3e-4, 1.5e-4])
    first = tiny_runs.make(options=options, adapters=True)
    rates(first, 1)
    first.save(tmp_path / "cut")
    again = tiny_runs.make(options=options, adapters=True)
    again.load(tmp_path / "cut")
    rates(again, 1)
    one, other = (
        tiny_runs.whole_state(trainer.save(tmp_path / name)) for name, trainer in {"a": whole, "b": again}.items()
    )
    assert one == other and len(one) > 10


def test_a_schedule_belongs_to_the_default_optimiser():
    weight = torch.nn.Parameter(torch.ones(1))
    options = dataclasses.replace(tiny_runs.TINY, schedule=COSINE)
    with pytest.raises(ValueError, match=r"^\[Trainer\] options: schedule: expected the default beside an optimizer"):
        tiny_runs.make(options=options, optimizer=torch.optim.AdamW([weight]))
    with pytest.raises(ValueError, match=r"^\[TrainerOptions\] epochs: expected at least 1, got 0$"):
        dataclasses.replace(tiny_runs.TINY, epochs=0)


@pytest.mark.parametrize("factor, steps", [(math.inf, 0), (1.0, 1)])
def test_a_scheduler_stays_where_no_update_was_made(factor, steps):
    questioner = Questioner(qwen3(), max_new_tokens=4, reference=False)
    questioner.parameters()[0].register_hook(lambda gradient: gradient * factor)
    optimizer = adamw(questioner, 1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    rollouts = questioner.ask(IMAGES, k=1, group_size=2, seed=1, step=1)
    round = SimpleNamespace(expect=lambda *names: None, asked=rollouts, advantages=torch.tensor([1.0, -1, 0, 1]))
    learned = learn(round, questioner, optimizer, loss=dataclasses.replace(grpo.PAPER, beta=0), scheduler=scheduler)
    assert math.isfinite(learned.grad_norm) == bool(optimizer.state) == bool(steps)
    assert scheduler.last_epoch == steps and optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.1**steps)
