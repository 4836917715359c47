"""JSON and text of files, ours and users': whatever is wrong with one is one ValueError that names file and field.

    [models] judges.json: verifier.endpoints: expected a list, got 3

A file is read whole, so it has a size limit. It is UTF-8, or what a byte order mark at its beginning says, as editors
write them. What JSON allows and nobody means is refused: brackets in more than `MOST_LEVELS` levels, a name given
twice, numbers that are not finite or need more than 64 bits. A lone surrogate, which UTF-8 cannot hold, becomes its
escape, as everywhere in the ledger.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

MOST_BYTES = 256 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MOST_LEVELS = 64
_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def read_text(op: str, path: str | Path, *, what: str = "a file that can be read") -> str:
    """A file's text, with line breaks as on this system.

    Args:
        op: who reads, for the message.
        path: the file.
        what: is expected there, for the message.

    Raises:
        ValueError: no such file, a folder, more than `MOST_BYTES`, or no UTF-8; names the file.
    """
    with _opened(op, path, what) as file:
        text = _decoded(op, str(path), file.read(MOST_BYTES + 1))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(op: str, path: str | Path, *, what: str = "a JSON file") -> Any:
    """What a JSON file holds; see `read_text` and `parse`."""
    return parse(op, str(path), read_text(op, path, what=what))


def read_object(op: str, path: str | Path, *, what: str = "a JSON file") -> dict[str, Any]:
    """The object that a JSON file holds; see `read_json`."""
    found: dict[str, Any] = typed(op, str(path), read_json(op, path, what=what), dict)
    return found


def read_lines(op: str, path: str | Path) -> Iterator[tuple[str, Any]]:
    """(`file, line n`, value) of the lines of a file that are not blank, read one at a time; see `read_json`."""
    for number, line in enumerate(_lines(op, path), 1):
        where = f"{Path(path).name}, line {number}"
        decoded = _decoded(op, where, line, "utf-8-sig") if isinstance(line, bytes) else line
        if text := decoded.strip().lstrip("\ufeff"):  # files put end to end keep their marks
            yield where, parse(op, where, text)


def parse(op: str, where: str, text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: no JSON, or what the head of this file refuses; begins with `[op] where`.
    """
    try:
        value = json.loads(
            text, parse_constant=_not_finite, parse_float=_number, parse_int=_whole, object_pairs_hook=_each_once
        )
        _check_levels(value)
    except RecursionError:
        raise ValueError(f"[{op}] {where}: {_too_deep()}") from None
    except ValueError as error:
        cause = f"expected JSON ({error})" if isinstance(error, json.JSONDecodeError) else error
        raise ValueError(f"[{op}] {where}: {cause}") from None
    return _encodable(value) if "\\ud" in text.lower() else value


def typed(op: str, where: str, value: Any, kind: type) -> Any:
    """The value, where it is of the kind: int, float (which takes an int), str, bool, dict or list.

    Raises:
        ValueError: it is of another; `where` names file and field.
    """
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        got = type(value).__name__ if isinstance(value, (dict, list)) else f"{value!r:.60}"
        raise ValueError(f"[{op}] {where}: expected {_KINDS[kind]}, got {got}")
    return value


def member(op: str, where: str, content: Mapping[str, Any], name: str, kind: type) -> Any:
    """A field that an object must have; see `typed`."""
    if name not in content:
        raise ValueError(f"[{op}] {where}: {name}: expected {_KINDS[kind]}, got none")
    return typed(op, f"{where}: {name}", content[name], kind)


def check_fields(op: str, where: str, kind: type, content: Mapping[str, Any]) -> None:
    """What a file has of a dataclass: each value is as its field is annotated, where that is a plain type.

    Raises:
        ValueError: a value of another kind; names it.
    """
    for name, hint in get_type_hints(kind).items():
        kinds = [get_origin(each) or each for each in (get_args(hint) if isinstance(hint, UnionType) else (hint,))]
        if name in content and not (content[name] is None and type(None) in kinds):
            wanted = dict if kinds[0] is Mapping else kinds[0]
            if wanted in _KINDS:
                typed(op, f"{where}: {name}", content[name], wanted)


def encodable(text: str) -> str:
    """The text, where UTF-8 can hold it; a lone surrogate (part of a file name that is no UTF-8) becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: Any) -> Any:
    """For JSON: numbers that are not finite as null, mappings and sequences all the way down."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _opened(op: str, path: str | Path, what: str) -> Iterator[BufferedReader]:
    if "\0" in str(path):
        raise ValueError(f"[{op}] {str(path)!r}: expected {what}, got none (a name with NUL)")
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise ValueError(f"[{op}] {path}: expected {what}, got none ({error.strerror})") from None


def _lines(op: str, path: str | Path) -> Iterator[bytes | str]:
    """Lines as they are read, of a file whose line breaks are bytes; of another one as text."""
    with _opened(op, path, "a file that can be read") as file:
        if _encoding(file.peek(4)[:4]) == "utf-8-sig":
            yield from iter(lambda: file.readline(MOST_BYTES + 1), b"")
        else:
            yield from _decoded(op, str(path), file.read(MOST_BYTES + 1)).splitlines()


def _encoding(head: bytes) -> str:
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8-sig")


def _decoded(op: str, where: str, content: bytes, encoding: str = "") -> str:
    if len(content) > MOST_BYTES:
        raise ValueError(f"[{op}] {where}: expected at most {MOST_BYTES} bytes, got more")
    try:
        return content.decode(encoding or _encoding(content[:4]))
    except UnicodeDecodeError as error:
        raise ValueError(f"[{op}] {where}: expected UTF-8, got other bytes at {error.start}") from None


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {encodable(key): _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return encodable(value) if isinstance(value, str) else value


def _check_levels(value: Any) -> None:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [x for each in level if isinstance(each, (dict, list)) for x in _inside(each)]
        if not level:
            return
    raise ValueError(_too_deep())


def _inside(value: dict[str, Any] | list[Any]) -> Any:
    return value.values() if isinstance(value, dict) else value


def _too_deep() -> str:
    return f"expected brackets in at most {MOST_LEVELS} levels, got more"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"{twice[:60]}: expected one, got two")
    return found


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_finite(text)


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**64:
        raise ValueError(f"expected whole numbers of at most 64 bits, got {text[:24]}")
    return value


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"expected finite numbers, got {text[:24]}")
