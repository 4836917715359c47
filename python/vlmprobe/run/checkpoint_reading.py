"""What a checkpoint's folder holds, checked as it is read: whatever is wrong with it is one sentence.

The files are those that the manifest lists, with their sizes and hashes, and no others; tensors are the model's and the
optimiser's, of their shapes, and finite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vlmprobe._util.files import sha256
from vlmprobe._util.json import member, read_object, typed
from vlmprobe.policy.questioner import Questioner

FORMAT = 1
_NAME = re.compile(r"step-(\d+)")
_NEEDED = ("state.json", "optimizer.safetensors", "memory/memory.safetensors")
_STATE = {"step": int, "seed": int, "images": int, "images_per_step": int, "optimizer": dict}
_PER_ELEMENT = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")
_SHAPED = (*_PER_ELEMENT, "master")  # of small weights alone


def checkpoints(directory: str | Path) -> list[Path]:
    """The checkpoints of a directory that have their names, oldest first."""
    if not Path(directory).is_dir():
        return []
    found = {int(match[1]): path for path in Path(directory).iterdir() if (match := _NAME.fullmatch(path.name))}
    return [found[step] for step in sorted(found)]


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def verify(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint whose files are those of its manifest, all there and as they were written.

    Raises:
        ValueError: a file that is missing, cut short, changed, a link, or that the manifest does not list; a manifest
            or state that is not one, or a newer format; names the file, the field and the way out.
    """
    with with_way_out(folder):
        _check_files(folder, _listed(folder / "manifest.json"))
        file = folder / "state.json"
        state = read_object("checkpoint", file)
        for name, kind in _STATE.items():
            member("checkpoint", str(file), state, name, kind)
        if state["step"] != step_of(folder):
            raise _broken(file, f"step: expected {step_of(folder)}, as the folder's name says, got {state['step']}")
    return state


def _listed(file: Path) -> dict[str, tuple[int, str]]:
    """Name -> bytes and sha256, as a manifest has them."""
    manifest = read_object("checkpoint", file)
    if manifest.get("format") != FORMAT or manifest["format"] is True:
        raise _Broken(
            f"[checkpoint] {file}: expected format {FORMAT}, got {manifest.get('format')!r:.60}; "
            "load it with the vlmprobe that wrote it"
        )
    found = {}
    for name, about in member("checkpoint", str(file), manifest, "files", dict).items():
        where, path = f"{file}: files: {name:.100}", PurePosixPath(name)
        inside = str(path) == name and path.parts and not path.is_absolute() and ".." not in path.parts
        if not inside or "\0" in name or name == "manifest.json":
            raise ValueError(f"[checkpoint] {where}: expected the name of a file inside the folder")
        typed("checkpoint", where, about, dict)
        found[name] = (
            member("checkpoint", where, about, "bytes", int),
            member("checkpoint", where, about, "sha256", str),
        )
    for name in _NEEDED:
        if name not in found:
            raise ValueError(f"[checkpoint] {file}: files: expected {name} among them, got none")
    return found


def _check_files(folder: Path, listed: Mapping[str, tuple[int, str]]) -> None:
    for path in sorted(folder.rglob("*")):  # does not follow links
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise _broken(path, "expected a file, got a link or a device")
        if path.is_file() and name not in listed and name != "manifest.json":
            raise _broken(path, "expected only what manifest.json lists, got another file")
    for name, (size, digest) in listed.items():
        path = folder / name
        if not path.is_file():
            raise _broken(path, f"expected a file, got {'a folder' if path.is_dir() else 'none'}")
        if path.stat().st_size != size:
            raise _broken(path, f"expected {size} bytes, got {path.stat().st_size}")
        if sha256(path) != digest:
            raise _broken(path, "its bytes are not those that were written")


def read_weights(folder: Path, questioner: Questioner) -> list[tuple[torch.nn.Parameter, Tensor]]:
    """The questioner's weights, or its adapters where it has some, each with its value in the checkpoint.

    Raises:
        ValueError: a weight that is missing, not the model's, there twice, of another shape or type, or not finite.
    """
    adapted = questioner.model.adapted
    wanted = questioner.model.weights(trained=adapted)
    allowed = wanted.keys() | (set() if adapted else questioner.model.names())
    found: dict[str, Tensor] = {}
    for file in [folder / "adapters.safetensors"] if adapted else sorted((folder / "questioner").glob("*.safetensors")):
        for name, value in (_tensors(file) if file.is_file() else {}).items():
            if name not in allowed or name in found:
                expected = "it in one file" if name in found else "the weights of the model"
                raise _broken(file, f"{name:.100}: expected {expected}, got another")
            found[name] = value
    for name, weight in wanted.items():
        if name not in found or found[name].shape != weight.shape or found[name].dtype != weight.dtype:
            expected = f"{weight.dtype} {tuple(weight.shape)}"
            got = f"{found[name].dtype} {tuple(found[name].shape)}" if name in found else "none"
            raise ValueError(f"[checkpoint] {folder}: {name}: expected {expected}, got {got}; is it another model's?")
    return [(weight, found[name]) for name, weight in wanted.items()]


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer, plain: Mapping[str, Any]) -> None:
    """Puts the optimiser back as it was; `plain` is the state's `optimizer`.

    Raises:
        ValueError: it belongs to an optimiser over other parameters.
    """
    with with_way_out(folder):
        state, groups = _joined(folder, plain)
        _check_groups(folder, groups, optimizer)
        _check_shapes(folder, state, optimizer)
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        raise _broken(folder, f"optimizer: expected what the optimiser wrote ({error})") from None


def _joined(folder: Path, plain: Mapping[str, Any]) -> tuple[dict[int, dict[str, Any]], list[dict[str, Any]]]:
    """An optimiser's state and groups, plain values and tensors together."""
    where = f"{folder / 'state.json'}: optimizer"
    groups = [
        {
            k: tuple(v) if isinstance(v, list) and k != "params" else v
            for k, v in typed("checkpoint", f"{where}: groups", g, dict).items()
        }
        for g in member("checkpoint", where, plain, "groups", list)
    ]
    state: dict[int, dict[str, Any]] = {}
    for index, values in member("checkpoint", where, plain, "state", dict).items():
        state[_index(where, index)] = dict(typed("checkpoint", f"{where}: state: {index}", values, dict))
    file = folder / "optimizer.safetensors"
    for name, value in _tensors(file).items():
        kind, index, key = [*name.split(".", 2), "", ""][:3]
        number = _index(f"{file}: {name:.100}", index)
        if kind not in ("group", "state") or not key or (kind == "group" and number >= len(groups)):
            raise ValueError(f"[checkpoint] {file}: {name:.100}: expected a value of the optimiser")
        (groups[number] if kind == "group" else state.setdefault(number, {}))[key] = value
    return state, groups


def _index(where: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"[checkpoint] {where}: expected the number of a parameter, got {text!r:.60}")
    return int(text)


def _check_groups(folder: Path, groups: list[dict[str, Any]], optimizer: torch.optim.Optimizer) -> None:
    """The values that both have are of the same kind: a learning rate that is a text would fail in the next step."""
    where = f"{folder / 'state.json'}: optimizer: groups"
    mine = optimizer.state_dict()["param_groups"]
    if len(groups) != len(mine):
        raise ValueError(f"[checkpoint] {where}: expected {len(mine)}, got {len(groups)}")
    for i, (own, other) in enumerate(zip(mine, groups, strict=True)):
        if other.get("params") != own["params"]:
            got = other.get("params")
            raise ValueError(f"[checkpoint] {where}[{i}]: params: expected {own['params']!r:.60}, got {got!r:.60}")
        for name, value in own.items():
            if name in other and not alike(value, other[name]):
                raise ValueError(
                    f"[checkpoint] {where}[{i}]: {name}: expected such as {value!r:.60}, got {other[name]!r:.60}"
                )


def alike(one: Any, other: Any) -> bool:
    """Whether one could stand in the place of the other: numbers, texts, lists of as many; None for anything."""
    if isinstance(one, (list, tuple)):
        return isinstance(other, (list, tuple)) and len(one) == len(other) and all(map(alike, one, other))
    numbers = (int, float, Tensor)
    if isinstance(one, numbers) and not isinstance(one, bool):
        return isinstance(other, numbers) and not isinstance(other, bool)
    return one is None or other is None or isinstance(other, type(one))


def _check_shapes(folder: Path, state: Mapping[int, Mapping[str, Any]], optimizer: torch.optim.Optimizer) -> None:
    """What an optimiser keeps for each element of a parameter has its shape; torch would find out in the next step."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    needed = {key for values in state.values() for key in values if key in ("step", *_PER_ELEMENT)}
    for index, values in state.items():
        if not values or needed - values.keys():
            missing = ", ".join(sorted(needed - values.keys())) or "values"
            raise ValueError(
                f"[checkpoint] {folder / 'optimizer.safetensors'}: state.{index}: expected {missing}, got none"
            )
        for key, value in values.items():
            where = f"{folder / 'optimizer.safetensors'}: state.{index}.{key:.60}"
            if index >= len(weights):
                raise ValueError(f"[checkpoint] {where}: expected one of {len(weights)} parameters")
            if key in _SHAPED and (not isinstance(value, Tensor) or value.shape != weights[index].shape):
                shape = tuple(weights[index].shape)
                got = tuple(value.shape) if isinstance(value, Tensor) else repr(value)[:60]
                raise ValueError(f"[checkpoint] {where}: expected {shape}, got {got}")


def _tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, all of them finite.

    Raises:
        ValueError: a file that is something else, or a value that is not finite; names it, and the way out.
    """
    try:
        found: dict[str, Tensor] = load_file(file)
    except (SafetensorError, OSError, ValueError, TypeError, LookupError, RuntimeError, OverflowError) as error:
        raise _broken(file, f"expected a safetensors file ({error})") from None
    for name, value in found.items():
        wide = value.float() if value.element_size() == 1 else value  # torch has no isfinite of 8-bit floats
        if value.is_floating_point() and not bool(torch.isfinite(wide).all()):
            raise _broken(file, f"{name:.100}: expected finite values, got others")
    return found


def _broken(path: Path, what: str) -> ValueError:
    """The error for a checkpoint that is not whole, with the way out."""
    return _Broken(f"[checkpoint] {path}: {what}. {_way_out(path)}")


class _Broken(ValueError):
    """Says the way out already."""


@contextmanager
def with_way_out(folder: Path) -> Iterator[None]:
    """Adds it to what is said about a file that is read inside."""
    try:
        yield
    except _Broken:
        raise
    except ValueError as error:
        raise _Broken(f"{error}. {_way_out(folder)}") from None


def _way_out(path: Path) -> str:
    inside = next(parent for parent in (path, *path.parents) if _NAME.fullmatch(parent.name))
    known = checkpoints(inside.parent)
    before = known[: known.index(inside)] if inside in known else []
    return "Put the file back, or " + (
        f"load the one before it, step {step_of(before[-1])}" if before else f"remove {inside} to begin again"
    )
