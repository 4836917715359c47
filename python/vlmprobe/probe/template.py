"""`probe.yaml` as `vlmprobe init` writes it: every value with its meaning, its unit and its default."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from vlmprobe.probe.config import Probe
from vlmprobe.probe.roles import FOLDED

HEAD = """\
# yaml-language-server: $schema=probe.schema.json
# vlmprobe check FOLDER says what works and what it will cost; vlmprobe run FOLDER asks, and goes on where it stopped;
# vlmprobe report FOLDER writes the page. --set a.b=c changes a value for one call.
"""
_WIDTH = 118


def text_of(probe: Probe) -> str:
    """The file of a probe."""
    return HEAD + "\n".join(_lines(probe, 0)) + "\n"


def _lines(part: BaseModel, depth: int) -> Iterator[str]:
    inside, apart = "  " * depth, False
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel) and field.json_schema_extra == FOLDED and value == field.default:
            yield from _fitting(f"{inside}{name}: {{}}", f"{field.description}: {', '.join(type(value).model_fields)}")
            continue
        if isinstance(value, BaseModel):
            if depth == 0:
                yield ""
                apart = True
            yield f"{inside}{name}:  # {field.description}"
            yield from _lines(value, depth + 1)
            continue
        if apart:
            yield ""
            apart = False
        default = "" if field.is_required() else f" (default: {_plain(field.default) or 'none'})"
        yield from _fitting(f"{inside}{name}: {_plain(value)}".rstrip(), f"{field.description}{default}")


def _fitting(line: str, remark: str) -> Iterator[str]:
    """A line and what is said about it: behind it where there is room, else before it."""
    if len(line) + 4 + len(remark) <= _WIDTH:
        yield f"{line}  # {remark}"
        return
    inside = line[: len(line) - len(line.lstrip())] + "# "
    yield from textwrap.wrap(remark, _WIDTH, initial_indent=inside, subsequent_indent=inside)
    yield line


def _plain(value: Any) -> str:
    """A value on one line; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = [each.model_dump(exclude_defaults=True) if isinstance(each, BaseModel) else each for each in value]
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
