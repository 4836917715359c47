"""Checkpoints that strangers and disks broke: what is loaded is what the manifest lists, whole, and the model's."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.tiny_runs import make


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of step 1, and a trainer that it belongs to."""
    trainer = make()
    trainer.step()
    return trainer.save(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def trainer():
    return make()


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / saved.name)


def sign(folder, name, *, content=None):
    """Puts a file into the manifest as it is."""
    if content is not None:
        (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    content = (folder / name).read_bytes()
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def whole_weights(trainer):
    return sum(float(weight.detach().double().sum()) for weight in trainer.questioner.parameters())


def refused(trainer, folder, message):
    before = trainer.next_step, trainer.memory, trainer.tally, whole_weights(trainer)
    with pytest.raises(ValueError) as error:
        trainer.load(folder.parent)
    assert re.search(message, str(error.value)), str(error.value)
    assert str(error.value).startswith("[") and folder.name in str(error.value)
    assert (trainer.next_step, trainer.memory, trainer.tally, whole_weights(trainer)) == before


WEIGHTS = "questioner/model.safetensors"


def zeros(path, like):
    save_file({name: torch.zeros_like(value) for name, value in load_file(like).items()}, path)


@pytest.mark.parametrize(
    "name",
    ["questioner/zz.safetensors", "questioner/aa.safetensors", "memory/.hidden", "adapters.safetensors", "more/x"],
)
def test_a_file_that_the_manifest_does_not_list_is_refused(name, folder, trainer):
    (folder / name).parent.mkdir(exist_ok=True)
    zeros(folder / name, folder / WEIGHTS)
    refused(trainer, folder, rf"{name}: expected only what manifest\.json lists, got another file\. Put the file back")


def test_weights_that_a_second_listed_file_has_again_are_refused(folder, trainer):
    zeros(folder / "questioner/zz.safetensors", folder / WEIGHTS)
    sign(folder, "questioner/zz.safetensors")
    refused(trainer, folder, r"zz\.safetensors: .*: expected it in one file, got another")


@pytest.mark.parametrize("name", ["state.json", "optimizer.safetensors", "memory/memory.safetensors"])
def test_a_checkpoint_must_list_what_it_needs(name, folder, trainer):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / name).unlink()
    refused(trainer, folder, rf"manifest\.json: files: expected {name} among them, got none")


@pytest.mark.parametrize("what", ["link", "link to a folder", "folder", "pipe"])
def test_a_link_a_folder_or_a_pipe_is_no_file(what, folder, trainer, tmp_path):
    file = folder / "state.json"
    kept = shutil.move(file, tmp_path / "state.json")
    if what == "link":
        file.symlink_to(kept)
    elif what == "link to a folder":
        shutil.copy(kept, file)
        shutil.move(folder / "memory", tmp_path / "memory")
        (folder / "memory").symlink_to(tmp_path / "memory")
    elif what == "folder":
        file.mkdir()
    else:
        os.mkfifo(file)
    refused(trainer, folder, r"expected a file, got a (link or a device|folder)")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "memory/../state.json", "./state.json", "a//b", "", "a\0b", "."]
)
def test_a_manifest_names_files_inside_the_folder_alone(name, folder, trainer):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    refused(trainer, folder, r"manifest\.json: files: .*: expected the name of a file inside the folder")


def safetensors(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


TENSORS = {
    "empty": b"",
    "short": b"\x01\x02",
    "header beyond the end": struct.pack("<Q", 1000) + b"{}",
    "header of 2^63": struct.pack("<Q", 2**63) + b"{}",
    "no json": safetensors(b"}{"),
    "deep": safetensors(b"[" * 100_000),
    "list": safetensors([]),
    "unknown dtype": safetensors({"w": entry("F7")}, b"\0" * 4),
    "overlap": safetensors({"v": entry(), "w": entry()}, b"\0" * 4),
    "gap": safetensors({"w": entry(offsets=(4, 8))}, b"\0" * 8),
    "shape overflows": safetensors({"w": entry(shape=(2**62, 2**62))}, b"\0" * 4),
    "negative shape": safetensors({"w": entry(shape=(-1,))}, b"\0" * 4),
    "offsets backwards": safetensors({"w": entry(offsets=(4, 0))}, b"\0" * 4),
    "beyond the file": safetensors({"w": entry(offsets=(0, 400), shape=(100,))}, b"\0" * 4),
    "pickle": b"\x80\x04\x95" + b"\0" * 100,
}


@pytest.mark.parametrize("name", [WEIGHTS, "optimizer.safetensors", "memory/memory.safetensors"])
@pytest.mark.parametrize("kind", TENSORS)
def test_bad_safetensors_under_a_matching_manifest_are_refused(kind, name, folder, trainer):
    sign(folder, name, content=TENSORS[kind])
    refused(trainer, folder, rf"{name}: (tensor \w: )?expected")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (WEIGHTS, lambda key, value: value * float("nan"), "expected finite values, got others"),
        (WEIGHTS, lambda key, value: value[..., :1], r"expected torch\.float32 \("),
        (WEIGHTS, lambda key, value: value.to(torch.float64), r"got torch\.float64 \("),
        ("optimizer.safetensors", lambda key, value: value / 0, "expected finite values, got others"),
        ("optimizer.safetensors", lambda key, value: value[None], r"state\.0\.exp_avg\w*: expected \("),
    ],
)  # fmt: skip
def test_tensors_of_another_kind_are_refused(name, change, message, folder, trainer):
    tensors = {key: change(key, value).contiguous() for key, value in load_file(folder / name).items()}
    save_file(tensors, folder / name)
    sign(folder, name)
    refused(trainer, folder, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {"state.99999.exp_avg": torch.zeros(1)}, r"state\.99999: expected"),
        (lambda t: t | {"state.x.exp_avg": torch.zeros(1)}, r"state\.x\.exp_avg: expected the number of a param"),
        (lambda t: t | {"exp_avg": torch.zeros(1)}, r"exp_avg: expected the number of a parameter"),
        (lambda t: t | {"group.7.lr": torch.zeros(1)}, r"group\.7\.lr: expected a value of the optimiser"),
        (lambda t: {k: v for k, v in t.items() if k != "state.0.exp_avg"}, r"state\.0: expected exp_avg, got none"),
        (lambda t: {}, r"state\.0: expected values, got none"),
    ],
)
def test_an_optimiser_file_holds_what_the_optimiser_has(change, message, folder, trainer):
    save_file(change(load_file(folder / "optimizer.safetensors")), folder / "optimizer.safetensors")
    sign(folder, "optimizer.safetensors")
    refused(trainer, folder, message)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["step"], "1", "state.json: step: expected a whole number, got '1'"),
        (["step"], 7, "state.json: step: expected 1, as the folder's name says, got 7"),
        (["seed"], None, "state.json: seed: expected a whole number, got None"),
        (["optimizer"], [], "state.json: optimizer: expected an object, got list"),
        (["optimizer", "groups"], {}, "state.json: optimizer: groups: expected a list, got dict"),
        (["optimizer", "groups", 0], 3, "state.json: optimizer: groups: expected an object, got 3"),
        (["optimizer", "groups", 0, "lr"], "fast", "groups[0]: lr: expected such as 0.0003, got 'fast'"),
        (["optimizer", "groups", 0, "params"], [0], "groups[0]: params: expected [0, 1, 2"),
        (["optimizer", "groups", 0, "betas"], 1, "groups[0]: betas: expected such as (0.9, 0.999), got 1"),
        (["optimizer", "state"], 1, "state.json: optimizer: state: expected an object, got 1"),
        (["optimizer", "state", "-1"], {}, "optimizer: expected the number of a parameter, got '-1'"),
    ],
)
def test_a_state_of_another_kind_names_its_field(place, value, message, folder, trainer):
    state = json.loads((folder / "state.json").read_text())
    inside = state
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    sign(folder, "state.json", content=json.dumps(state).encode())
    refused(trainer, folder, re.escape(message))


@pytest.mark.parametrize("value", [3, {"gamma": "x"}, {"pairs of key and value": 5}, {"pairs of key and value": [[1]]}])
def test_a_scheduler_of_another_kind_is_refused(value, folder):
    trainer = make()
    trainer.scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, step_size=1, gamma=0.5)
    state = json.loads((folder / "state.json").read_text()) | {"scheduler": value}
    sign(folder, "state.json", content=json.dumps(state).encode())
    refused(trainer, folder, r"state\.json: scheduler: ")
