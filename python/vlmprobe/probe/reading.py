"""From the text of `probe.yaml` to a `Probe`, and what is said where it is none."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from vlmprobe._util.json import read_text
from vlmprobe.probe.config import FILE, Probe, sourced
from vlmprobe.probe.roles import named


def read(folder: str | Path, sets: Sequence[str] = (), roles: Mapping[str, Any] = MappingProxyType({})) -> Probe:
    """The probe of a folder.

    Args:
        folder: with `probe.yaml`.
        sets: `a.b=c` in the place of what the file has; c is read as YAML.
        roles: by their names, in the place of the file's.

    Raises:
        ValueError: no such file, no YAML, a key that is unknown (names the nearest), a value of another kind.
    """
    file = Path(folder) / FILE
    if not file.is_file():
        raise ValueError(f"[probe] {folder}: expected a folder with {FILE}, got none; `vlmprobe init` writes one")
    try:
        content = yaml.safe_load(read_text("probe", file))
    except yaml.YAMLError as error:
        raise ValueError(f"[probe] {file}: expected YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ValueError(f"[probe] {file}: expected the keys of a probe, got {content!r:.60}")
    return parse(changed({**content, **roles}, sets), where=str(file))


def changed(content: Mapping[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """The same values but for those that are set, `a.b=c` each, with c read as YAML."""
    found = copy.deepcopy(dict(content))
    for each in sets:
        _put(found, each)
    return found


def parse(content: Mapping[str, Any], *, where: str = "probe") -> Probe:
    """A probe from plain values.

    Raises:
        ValueError: names the key, what was expected and what there was.
    """
    try:
        return Probe.model_validate({name: one_url(value) for name, value in content.items()})
    except ValidationError as error:
        raise ValueError(f"[probe] {where}: {'; '.join(sentences(error))}") from None


def schema() -> str:
    """The file's JSON schema."""
    return json.dumps(Probe.model_json_schema(), indent=1) + "\n"


def one_url(role: Any) -> Any:
    """A role with a list of endpoints, where one stands alone, or the list has its other name, `endpoints`."""
    if not isinstance(role, dict):
        return role
    found = {"endpoint" if name == "endpoints" else name: value for name, value in role.items()}
    if isinstance(found.get("endpoint"), (str, dict)):
        found["endpoint"] = [found["endpoint"]]
    return found


def _put(content: dict[str, Any], text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"[probe] --set: expected a.b=c, got {text!r:.60}")
    *inner, last = path.split(".")
    for name in inner:
        below = content.setdefault(name, {})
        if isinstance(below, str):
            below = content[name] = (sourced if name == "images" else named)(below)
        if not isinstance(below, dict):
            raise ValueError(f"[probe] --set {path}: expected {name} to have parts, got {below!r:.60}")
        content = below
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"[probe] --set {path}: expected a value in YAML, got {value!r:.60}") from None


def sentences(error: ValidationError, whole: type[BaseModel] = Probe) -> Iterator[str]:
    """What is wrong with the values of `whole`, each fault in a sentence that names its key."""
    for each in error.errors():
        path = [str(part) for part in each["loc"]]
        if path[-1:] == ["str"] and isinstance(each["input"], dict):
            continue  # a server with a key of its own, whose own fault comes next
        path = [part for part in path if part not in ("str", "Server")]
        where = ".".join(path)
        if each["type"] == "extra_forbidden":
            known = _fields(whole, path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{where}: expected one of {', '.join(known)}, got {path[-1]!r:.60}{hint}"
        elif each["type"] == "missing":
            yield f"{where}: expected a value, got none"
        elif each["type"] == "value_error":
            yield ": ".join(filter(None, (where, str(each["ctx"]["error"]))))
        else:
            secret = {"endpoint", "key_env", "key_file", "proxy"} & set(path)  # where a key may stand by mistake
            got = type(each["input"]).__name__ if secret else f"{each['input']!r:.60}"
            yield f"{where}: {each['msg'][0].lower()}{each['msg'][1:]}, got {got}"


def _fields(part: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The keys of the part at a path."""
    for name in path:
        kinds = [part.model_fields[name].annotation] if name in part.model_fields else []
        kinds += list(getattr(kinds[0], "__args__", ())) if kinds else []
        part = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), part)
    return list(part.model_fields)
