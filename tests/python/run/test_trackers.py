"""The numbers of metrics.jsonl in other programs, under TRL's names where they mean the same."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.tiny_runs import make
from support.world_probes import run, written
from vlmprobe.loop.report import StepReport
from vlmprobe.run.trackers import SAME, numbers_of

pytestmark = pytest.mark.usefixtures("one_thread")

REPORT = StepReport(
    step=4, questions=16, valid=8, wrong=2, unscored=1, calls=8, reward=0.25, reward_std=0.5, terms={"semantic": 0.75},
    loss=0.125, kl=0.01, entropy=1.5, clip_fraction=0.0, grad_norm=math.nan, tokens=96, sequences=8, groups=4,
    degenerate=1, posed=15, asked=8, failures={"answer": {"timeout": 3}},
)  # fmt: skip


class Fake:
    """What Weights & Biases and Trackio have in common, written down."""

    def __init__(self):
        self.run, self.calls = None, []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **more: self.calls.append((name, args, more))

    def of(self, name):
        return [(args, more) for each, args, more in self.calls if each == name]


@pytest.fixture
def fake(monkeypatch, request):
    monkeypatch.setitem(sys.modules, request.param, found := Fake())
    return found


def test_the_numbers_by_hand():
    assert numbers_of(REPORT) == {
        "train/reward": 0.25, "train/reward_std": 0.5, "train/loss": 0.125, "train/kl": 0.01, "train/entropy": 1.5,
        "train/clip_ratio/region_mean": 0.0, "train/completions/mean_length": 12.0,
        "train/frac_reward_zero_std": 0.25, "train/vlmprobe/questions": 16, "train/vlmprobe/posed": 15,
        "train/vlmprobe/valid": 8, "train/vlmprobe/asked": 8, "train/vlmprobe/wrong": 2, "train/vlmprobe/unscored": 1,
        "train/vlmprobe/calls": 8, "train/vlmprobe/tokens": 96, "train/vlmprobe/left_out": 0,
        "train/vlmprobe/degenerate": 1, "train/vlmprobe/terms/semantic": 0.75, "train/vlmprobe/failed/timeout": 3,
    }  # fmt: skip


@pytest.mark.peers("trl")
def test_the_names_are_those_of_trl():
    source = Path(importlib.util.find_spec("trl").origin).with_name("trainer") / "grpo_trainer.py"
    text = source.read_text(encoding="utf-8")
    logged_by_transformers = {"loss", "grad_norm"}
    for name in {*SAME.values(), "completions/mean_length", "frac_reward_zero_std"} - logged_by_transformers:
        assert f'"{name}"' in text, name


def read_events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_has_the_numbers_of_the_metrics_file_also_of_a_run_that_goes_on(tmp_path):
    folder = written(tmp_path / "run", steps=2, training={"learning_rate": 2e-4, "report_to": ["tensorboard"]})
    assert run(folder, "--quiet") == 0
    assert run(folder, "--quiet", "--set", "budget.steps=3") == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    events = read_events(folder / "tensorboard")
    assert len(lines) == 3
    for ours, name in {**SAME, "valid": "vlmprobe/valid", "calls": "vlmprobe/calls"}.items():
        expected = [(line["step"] + 1, line[ours]) for line in lines if line[ours] is not None]
        assert [step for step, _ in events.get(f"train/{name}", [])] == [step for step, _ in expected], name
        found = [value for _, value in events.get(f"train/{name}", [])]
        assert found == pytest.approx([value for _, value in expected], rel=1e-6), name
    lengths = [line["tokens"] / line["sequences"] for line in lines]
    assert [value for _, value in events["train/completions/mean_length"]] == pytest.approx(lengths)
    assert run(folder, "--quiet", "--set", "training.report_to=[]") == 0  # no step depends on it


@pytest.mark.parametrize("fake", ["wandb"], indirect=True)
def test_weights_and_biases_gets_each_step_in_one_run(fake):
    (report,) = make(report_to="wandb").train(1)
    assert fake.of("init") == [((), {"project": "vlmprobe", "name": "run"})]
    assert fake.of("log") == [(({**numbers_of(report), "train/global_step": 1},), {})]
    fake.run = SimpleNamespace(id="mine")
    make(report_to="wandb")
    assert len(fake.of("init")) == 1


@pytest.mark.parametrize("fake", ["trackio"], indirect=True)
def test_trackio_gets_each_step(fake, monkeypatch):
    monkeypatch.setattr("atexit.register", lambda call: fake.calls.append(("at the end", (call,), {})))
    reports = make(report_to=["trackio"]).train(2)
    assert fake.of("init") == [((), {"project": "vlmprobe", "name": "run", "resume": "allow"})]
    assert fake.of("log") == [((numbers_of(each),), {"step": each.step + 1}) for each in reports]
    assert len(fake.of("at the end")) == 1


def test_an_object_of_ones_own_gets_the_numbers_and_an_unknown_name_is_an_error():
    fake = Fake()
    (report,) = make(report_to=fake).train(1)
    assert fake.of("log") == [((numbers_of(report), 1), {})]
    expected = r"^\[Trainer\] report_to: expected tensorboard, wandb, trackio or an object with `log`, got 'mlflow'$"
    with pytest.raises(ValueError, match=expected):
        make(report_to="mlflow")


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_one_that_is_not_installed_names_its_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'vlmprobe\[{name}\]'"):
        make(report_to=name)
