"""Plain values, as JSON has them, into frozen dataclasses: each value is checked against its field's annotation.

    [report] results.tables[0].rows[2].ours['qvr'].value: expected a number, got 'high'

A field that is missing or None takes its default, and a number that is not finite is one that is not known. What the
values hold besides is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vlmprobe._util.json import typed

Read = TypeVar("Read")


def read(kind: type[Read], value: Any, where: str) -> Read:
    """A dataclass made of an object with its fields, all the way down.

    Args:
        kind: of fields that are `str`, `bool`, `int`, `float` (which takes an int), other dataclasses, `Sequence`,
            `Mapping` from texts, `X | None`, and `object`, which takes anything. A field's `metadata["key"]` is its
            name in the object where it has another one there.
        value: the object.
        where: its name, for the message.

    Raises:
        ValueError: a field that is needed is missing, or a value is of another kind; names it.
    """
    return kind(**_fields(kind, typed("report", where, value, dict), where))


def _fields(kind: Any, content: Mapping[str, Any], where: str) -> dict[str, Any]:
    hints, found = _hints(kind), {}
    for field in fields(kind):
        key = field.metadata.get("key", field.name)
        value = content.get(key)
        if value is not None:
            found[field.name] = _value(hints[field.name], value, f"{where}.{key}")
        elif field.default is MISSING and field.default_factory is MISSING:
            given = ", ".join(name for name, each in content.items() if each is not None)
            raise ValueError(f"[report] {where}: expected {key!r}, got {given or 'nothing'}")
    return found


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, UnionType):
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if is_dataclass(hint):
        return hint(**_fields(hint, typed("report", where, value, dict), where))  # type: ignore[operator]
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Mapping:
        content = typed("report", where, value, dict)
        return {key: _value(inner[1], each, f"{where}[{key!r:.40}]") for key, each in content.items()}
    if kind is Sequence:
        content = typed("report", where, value, list)
        return [_value(inner[0], each, f"{where}[{index}]") for index, each in enumerate(content)]
    return value if hint is object else typed("report", where, value, hint)
