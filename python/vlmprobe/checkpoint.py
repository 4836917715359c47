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
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vlmprobe._files import sha256, sync, sync_tree
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.lora import write_base
from vlmprobe.questioner import Questioner

FORMAT = 1
KEPT = 2
_NAME = re.compile(r"step-(\d+)")
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


def checkpoints(directory: str | Path) -> list[Path]:
    """The checkpoints of a directory that have their names, oldest first."""
    if not Path(directory).is_dir():
        return []
    found = {int(match[1]): path for path in Path(directory).iterdir() if (match := _NAME.fullmatch(path.name))}
    return [found[step] for step in sorted(found)]


def find(directory: str | Path, *, step: int | None = None) -> Path:
    """The newest checkpoint, or that of a step.

    Raises:
        ValueError: there is none.
    """
    found = checkpoints(directory)
    chosen = [path for path in found if step is None or _step(path) == step]
    if not chosen:
        wanted = "a checkpoint" if step is None else f"a checkpoint of step {step}"
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(f"[checkpoint] {directory}: expected {wanted}, got {names}")
    return chosen[-1]


def verify(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint whose files are all there and as they were written.

    Raises:
        ValueError: a file that is missing, cut short or changed, or a newer format; names the file and the way out.
    """
    manifest = _read_json(folder, "manifest.json")
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"[checkpoint] {folder / 'manifest.json'}: expected format {FORMAT}, got {manifest.get('format')!r}; "
            "load it with the vlmprobe that wrote it"
        )
    for name, known in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise _broken(path, "expected a file, got none")
        if path.stat().st_size != known["bytes"]:
            raise _broken(path, f"expected {known['bytes']} bytes, got {path.stat().st_size}")
        if sha256(path) != known["sha256"]:
            raise _broken(path, "its bytes are not those that were written")
    return _read_json(folder, "state.json")


def read_weights(folder: Path, questioner: Questioner) -> list[tuple[torch.nn.Parameter, Tensor]]:
    """The questioner's weights, or its adapters where it has some, each with its value in the checkpoint.

    Raises:
        ValueError: a weight that is missing, or of another shape or type.
    """
    adapters = folder / "adapters.safetensors"
    files = [adapters] if questioner.model.adapted else sorted((folder / "questioner").glob("*.safetensors"))
    found: dict[str, Tensor] = {}
    for file in files:
        if file.is_file():
            found |= load_file(file)
    wanted = dict(_trained(questioner)) if questioner.model.adapted else dict(questioner.model.model.named_parameters())
    for name, weight in wanted.items():
        if name not in found or found[name].shape != weight.shape or found[name].dtype != weight.dtype:
            expected = f"{weight.dtype} {tuple(weight.shape)}"
            got = f"{found[name].dtype} {tuple(found[name].shape)}" if name in found else "none"
            raise ValueError(f"[checkpoint] {folder}: {name}: expected {expected}, got {got}; is it another model's?")
    return [(weight, found[name]) for name, weight in wanted.items()]


@torch.no_grad()
def assign(weights: list[tuple[torch.nn.Parameter, Tensor]]) -> None:
    """Puts the values into the weights, in place."""
    for weight, value in weights:
        weight.copy_(value)


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer, plain: Mapping[str, Any]) -> None:
    """Puts the optimiser back as it was; `plain` is the state's `optimizer`.

    Raises:
        ValueError: it belongs to an optimiser over other parameters.
    """
    groups = [
        {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in g.items()} for g in plain["groups"]
    ]
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in plain["state"].items()}
    for name, value in load_file(folder / "optimizer.safetensors").items():
        where, index, key = name.split(".", 2)
        (groups[int(index)] if where == "group" else state.setdefault(int(index), {}))[key] = value
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except ValueError as error:
        raise ValueError(f"[checkpoint] {folder}: optimizer: {error}") from None


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _write_weights(folder: Path, questioner: Questioner) -> None:
    model = questioner.model
    model.model.save_pretrained(folder / "questioner", save_original_format=False)  # by the parameters' own names
    model.processor.save_pretrained(folder / "questioner")
    if model.adapted:
        write_base(model, folder / "questioner")
        trained = {name: weight.detach().contiguous() for name, weight in _trained(questioner)}
        save_file(trained, folder / "adapters.safetensors")


def _trained(questioner: Questioner) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, weight) for name, weight in questioner.model.model.named_parameters() if weight.requires_grad)


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


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise _broken(folder / name, f"cannot be read ({error})") from None
    return found


def _broken(path: Path, what: str) -> ValueError:
    """The error for a checkpoint that is not whole, with the way out."""
    inside = next(parent for parent in path.parents if _NAME.fullmatch(parent.name))
    known = checkpoints(inside.parent)
    before = known[: known.index(inside)] if inside in known else []
    way = f"load the one before it, step {_step(before[-1])}" if before else f"remove {inside} to begin again"
    return ValueError(f"[checkpoint] {path}: {what}. Put the file back, or {way}")


def _sweep(directory: Path) -> None:
    """Removes what a killed process was writing or removing."""
    for path in directory.glob(".step-*"):
        shutil.rmtree(path)


def _discard(folder: Path) -> None:
    """Takes the name away first: a folder with a name is whole."""
    hidden = folder.with_name(f".{folder.name}.old")
    folder.rename(hidden)
    shutil.rmtree(hidden)
