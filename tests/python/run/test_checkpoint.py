"""Checkpoints: the same bits after loading, whole or not there, and clear about what is wrong with one."""

from __future__ import annotations

import dataclasses
import json
import random

import numpy as np
import pytest
import torch

from support.tiny_runs import TINY, make, whole_state
from vlmprobe.run import checkpoint


def scheduled(**more):
    trainer = make(**more)
    trainer.scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, step_size=1, gamma=0.5)
    return trainer


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with the checkpoints of steps 1 and 2."""
    directory = tmp_path_factory.mktemp("saved")
    trainer = make()
    for _ in range(2):
        trainer.step()
        trainer.save(directory)
    return directory


@pytest.fixture
def copy(saved, tmp_path):
    import shutil

    return shutil.copytree(saved, tmp_path / "copy")


def test_a_scheduler_is_there_at_both_ends_or_at_neither(saved, tmp_path):
    with pytest.raises(ValueError, match=r"step-00000002: scheduler: expected none, as when it was saved"):
        scheduled().load(saved)
    scheduled().save(tmp_path)
    with pytest.raises(ValueError, match=r"step-00000000: scheduler: expected one, as when it was saved"):
        make().load(tmp_path)


def test_a_scheduler_with_milestones_goes_on(tmp_path):
    def stepping():
        trainer = make()
        trainer.scheduler = torch.optim.lr_scheduler.MultiStepLR(trainer.optimizer, milestones=[2, 2], gamma=0.1)
        return trainer

    whole, first, second = stepping(), stepping(), stepping()
    whole.train(3)
    first.train(1)
    first.save(tmp_path)
    second.load(tmp_path)
    second.train(2)
    assert second.scheduler.state_dict() == whole.scheduler.state_dict()
    assert second.scheduler.milestones == whole.scheduler.milestones and second.scheduler.get_last_lr() == [
        pytest.approx(3e-6)
    ]


@pytest.mark.parametrize("kind", ["weights", "adapters", "scheduler"])
def test_a_loaded_trainer_ends_in_the_same_bits(kind, tmp_path):
    build = scheduled if kind == "scheduler" else make
    more = {"adapters": kind == "adapters"}
    whole = build(**more)
    reports = whole.train(3)
    first = build(**more)
    first.train(1)
    first.save(tmp_path / "cut")
    second = build(**more)
    assert second.load(tmp_path / "cut") and second.next_step == 1
    assert second.train(2) == reports[1:]
    ends = [whole_state(trainer.save(tmp_path / name)) for name, trainer in (("a", whole), ("b", second))]
    assert ends[0] == ends[1]
    assert any(name.startswith("optimizer.safetensors:state.0.exp_avg") for name in ends[0])
    assert ends[0] != whole_state(checkpoint.find(tmp_path / "cut"))


def test_a_checkpoint_holds_no_pickle_and_lists_its_files(saved):
    folder = checkpoint.find(saved)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name.rsplit(".")[-1] for name in files} == {"json", "jinja", "safetensors"}
    assert json.loads((folder / "manifest.json").read_text())["files"].keys() == files - {"manifest.json"}
    assert {"state.json", "optimizer.safetensors", "memory/memory.safetensors", "questioner/config.json"} <= files


def test_adapters_are_saved_without_the_weights_below_them(tmp_path):
    folder = make(adapters=True).save(tmp_path)
    assert (folder / "questioner" / "adapter_model.safetensors").is_file()
    assert not (folder / "questioner" / "model.safetensors").exists()
    assert (folder / "adapters.safetensors").stat().st_size < 100_000


def test_a_step_draws_from_no_global_generator():
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    trainer = make()
    trainer.step()
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert not any(module.training for module in trainer.questioner.model.model.modules())  # so no dropout


def test_the_last_two_are_kept(tmp_path):
    trainer = make()
    for step in (0, 3, 10):
        trainer.next_step = step
        trainer.save(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000003", "step-00000010"]


def test_what_never_got_its_name_is_passed_over_and_removed(copy):
    (copy / "step-00000002").rename(copy / ".step-00000002.part")
    trainer = make()
    assert trainer.load(copy) and trainer.next_step == 1
    trainer.step()
    trainer.save(copy)
    assert sorted(path.name for path in copy.iterdir()) == ["step-00000001", "step-00000002"]


def files_of(saved):
    folder = checkpoint.find(saved)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_broken_file_is_named_with_the_way_out(saved, copy, harm):
    trainer = make()
    before = whole_state(trainer.save(copy.parent / "before"))
    for name in files_of(saved):
        file = copy / "step-00000002" / name
        content = file.read_bytes()
        if harm == "gone":
            file.unlink()
        elif harm == "cut" and content:
            file.write_bytes(content[: len(content) // 2])
        elif content and name != "manifest.json":  # a changed manifest names another file
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 8]))
        else:
            continue
        with pytest.raises(ValueError) as error:
            trainer.load(copy)
        assert str(error.value).startswith(f"[checkpoint] {file}: ")
        assert str(error.value).endswith("Put the file back, or load the one before it, step 1")
        file.write_bytes(content)
    assert whole_state(trainer.save(copy.parent / "after")) == before
    assert trainer.load(copy, step=1) and trainer.next_step == 1
    assert trainer.load(copy) and trainer.next_step == 2


def test_a_broken_first_checkpoint_says_how_to_begin_again(copy):
    (copy / "step-00000001" / "state.json").write_text("{")
    with pytest.raises(ValueError, match=r"state\.json: expected \d+ bytes, got 1\. .* or remove .*step-00000001 to"):
        make().load(copy, step=1)


def test_a_newer_format_is_refused(copy):
    (copy / "step-00000002" / "manifest.json").write_text('{"format": 2, "files": {}}')
    with pytest.raises(ValueError, match=r"manifest\.json: expected format 1, got 2; load it with the vlmprobe that"):
        make().load(copy)


def test_a_directory_without_the_checkpoint_is_named(saved, tmp_path):
    with pytest.raises(ValueError, match=r"^\[checkpoint\] .*nowhere: expected a checkpoint, got none$"):
        make().load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"expected a checkpoint of step 7, got step-00000001, step-00000002$"):
        make().load(saved, step=7)
    assert make().load(tmp_path / "nowhere", missing_ok=True) is False


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("seed", {"options": dataclasses.replace(TINY, seed=1)}),
        ("images", {"pool": 4}),
        ("images_per_step", {"options": dataclasses.replace(TINY, images_per_step=1)}),
        (r"model\.language_model\..*lora_A", {"adapters": True}),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(saved, name, more):
    with pytest.raises(ValueError, match=rf"step-00000002: {name}.*: expected .*, got "):
        make(**more).load(saved)


def test_a_checkpoint_that_cannot_be_written_leaves_the_others_as_they_were(copy, monkeypatch):
    trainer = make()
    trainer.load(copy)
    trainer.next_step = 3

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(trainer.memory), "save", full)
    with pytest.raises(OSError, match=r"step-00000003: cannot be written \(.*No space left.*step-00000002\. Make room"):
        trainer.save(copy)
    assert sorted(path.name for path in copy.iterdir()) == ["step-00000001", "step-00000002"]
    assert trainer.load(copy)


def test_an_optimiser_with_a_value_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    trainer = make()
    trainer.optimizer.param_groups[0]["odd"] = object()
    with pytest.raises(ValueError, match=r"^\[checkpoint\] state: expected plain values and tensors"):
        trainer.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
