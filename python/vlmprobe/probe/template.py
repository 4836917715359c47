"""`probe.yaml` as `vlmprobe init` writes it: every value with its meaning, its unit and its default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from vlmprobe.probe.config import Probe

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
    inside = "  " * depth
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            if depth == 0:
                yield ""
            yield f"{inside}{name}:  # {field.description}"
            yield from _lines(value, depth + 1)
            continue
        default = "" if field.is_required() else f" (default: {_plain(field.default) or 'none'})"
        line = f"{inside}{name}: {_plain(value)}".rstrip()
        remark = f"# {field.description}{default}"
        if len(line) + 2 + len(remark) > _WIDTH:
            yield f"{inside}{remark}"
            yield line
        else:
            yield f"{line}  {remark}"


def _plain(value: Any) -> str:
    """A value on one line; nothing for none."""
    if value is None:
        return ""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
