"""Checkpoints: folders `step-<n>` that are whole or not there, the last two of them kept.

    step-00000010/
      manifest.json            format, and bytes and sha256 of every other file
      state.json               step, place in the images, seed, the optimiser's and the scheduler's plain values
      questioner/              the policy as a Hugging Face folder: its weights, or its adapters alone with base.json,
                               the name and fingerprint of the weights that they belong to
      adapters.safetensors     the adapters under the parameters' names, where the policy has some
      optimizer.safetensors    the optimiser's tensors
      memory/                  docs/formats/memory.md

A folder is written under a name that begins with a dot, brought to the disk, then renamed: one that was cut short never
got its name. Sampling draws from (seed, step, sequence, position) and the order of the images from (seed, epoch), so
the numbers in state.json are the whole random state. Nothing is pickled: a file from a stranger is safe to read.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from vlmprobe._util.files import sha256, sync, sync_tree
from vlmprobe._util.json import typed
from vlmprobe.memory import QuestionMemory
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.checkpoint_reading import (
    FORMAT,
    alike,
    checkpoints,
    load_optimizer,
    read_weights,
    step_of,
    verify,
    with_way_out,
)
from vlmprobe.vlm.lora import write_base

__all__ = [
    "assign",
    "checkpoints",
    "find",
    "load_optimizer",
    "packed",
    "read_weights",
    "save",
    "scheduler_state",
    "unpacked",
    "verify",
]
KEPT = 2
_PAIRS = "pairs of key and value"


def save(
    directory: str | Path,
    *,
    questioner: Questioner,
    optimizer: torch.optim.Optimizer,
    memory: QuestionMemory,
    state: Mapping[str, Any],
) -> Path:
    """Writes `step-<n>` into the directory and removes all but the newest `KEPT` checkpoints.

    Args:
        directory: where the checkpoints are; made if it is not there.
        questioner, optimizer, memory: what training changes.
        state: plain values; `step` names the folder.

    Returns:
        The folder.

    Raises:
        OSError: it could not be written; the checkpoints that were there are as they were.
        ValueError: a value that JSON cannot hold.
    """
    directory = Path(directory)
    final = directory / f"step-{state['step']:08d}"
    draft = directory / f".{final.name}.part"
    tensors, plain = _split(optimizer.state_dict())
    text = _json({**state, "optimizer": plain})
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        draft.mkdir()
        _write_weights(draft, questioner)
        save_file(tensors, draft / "optimizer.safetensors")
        memory.save(draft / "memory")
        (draft / "state.json").write_text(text, encoding="utf-8")
        (draft / "manifest.json").write_text(_json(_manifest(draft)), encoding="utf-8")
        sync_tree(draft)
        if final.exists():
            _discard(final)
        draft.rename(final)
        sync(directory)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        kept = f"the newest whole one is {found[-1].name}" if (found := checkpoints(directory)) else "there is none yet"
        raise OSError(
            f"[checkpoint] {final}: cannot be written ({error}); {kept}. "
            "Make room or give permission, then run the same again"
        ) from error
    for old in checkpoints(directory)[:-KEPT]:
        _discard(old)
    return final


def find(directory: str | Path, *, step: int | None = None) -> Path:
    """The newest checkpoint, or that of a step.

    Raises:
        ValueError: there is none.
    """
    found = checkpoints(directory)
    chosen = [path for path in found if step is None or step_of(path) == step]
    if not chosen:
        wanted = "a checkpoint" if step is None else f"a checkpoint of step {step}"
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(f"[checkpoint] {directory}: expected {wanted}, got {names}")
    return chosen[-1]


@torch.no_grad()
def assign(weights: list[tuple[torch.nn.Parameter, Tensor]]) -> None:
    """Puts the values into the weights, in place."""
    for weight, value in weights:
        weight.copy_(value)


def _write_weights(folder: Path, questioner: Questioner) -> None:
    model = questioner.model
    model.save(folder / "questioner")
    if model.adapted:
        write_base(model, folder / "questioner")
        adapters = {name: weight.detach().contiguous() for name, weight in model.weights(trained=True).items()}
        save_file(adapters, folder / "adapters.safetensors")


def _split(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as tensors by name, and the rest."""
    tensors: dict[str, Tensor] = {}

    def keep(where: str, index: int, values: Mapping[str, Any]) -> dict[str, Any]:
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{where}.{index}.{key}"] = value.detach().contiguous()
        return {key: value for key, value in values.items() if not isinstance(value, Tensor)}

    groups = [keep("group", index, group) for index, group in enumerate(state["param_groups"])]
    rest = {str(index): keep("state", index, values) for index, values in state["state"].items()}
    return tensors, {"groups": groups, "state": rest}


def _manifest(folder: Path) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    known = {p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in files}
    return {"format": FORMAT, "files": known}


def _json(value: Mapping[str, Any]) -> str:
    try:
        _check_keys(value)
        return json.dumps(value, indent=1, sort_keys=True) + "\n"
    except TypeError as error:
        raise ValueError(f"[checkpoint] state: expected plain values and tensors ({error})") from None


def packed(value: Any) -> Any:
    """Plain values as JSON keeps them: a mapping whose keys are numbers, such as the milestones of a scheduler, becomes
    its pairs."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: packed(inner) for key, inner in value.items()}
        kind = "counter" if isinstance(value, Counter) else "mapping"
        return {_PAIRS: [[key, packed(inner)] for key, inner in value.items()], "kind": kind}
    return [packed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def unpacked(value: Any) -> Any:
    """What `packed` was given; tuples are lists."""
    if isinstance(value, Mapping):
        if _PAIRS in value:
            pairs = {key: unpacked(inner) for key, inner in value[_PAIRS]}
            return Counter(pairs) if value["kind"] == "counter" else pairs
        return {key: unpacked(inner) for key, inner in value.items()}
    return [unpacked(inner) for inner in value] if isinstance(value, list) else value


def scheduler_state(
    folder: Path, state: Mapping[str, Any], scheduler: torch.optim.lr_scheduler.LRScheduler | None
) -> dict[str, Any]:
    """A checkpoint's values of the scheduler; empty without one.

    Raises:
        ValueError: they are not those of such a scheduler.
    """
    if scheduler is None:
        return {}
    where = f"{folder / 'state.json'}: scheduler"
    with with_way_out(folder):
        try:
            found = unpacked(state["scheduler"])
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"[checkpoint] {where}: expected what the scheduler wrote ({error})") from None
        typed("checkpoint", where, found, dict)
        for name, value in unpacked(packed(scheduler.state_dict())).items():
            if name not in found or not alike(value, found[name]):
                raise ValueError(
                    f"[checkpoint] {where}: {name}: expected such as {value!r:.60}, got {found.get(name)!r:.60}"
                )
    return found


def _check_keys(value: object) -> None:
    """JSON would turn a number that is a key into text, and nothing would say so."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} of type {type(key).__name__}")
            _check_keys(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_keys(inner)


def _sweep(directory: Path) -> None:
    """Removes what a killed process was writing or removing."""
    for path in directory.glob(".step-*"):
        shutil.rmtree(path)


def _discard(folder: Path) -> None:
    """Takes the name away first: a folder with a name is whole."""
    hidden = folder.with_name(f".{folder.name}.old")
    folder.rename(hidden)
    shutil.rmtree(hidden)
