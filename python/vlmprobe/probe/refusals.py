"""What pydantic refuses, in sentences that name the key, what was expected and what there was."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ValidationError


def words_of(error: ValidationError, whole: type[BaseModel]) -> Iterator[str]:
    """A sentence for each thing that is wrong.

    Args:
        error: of pydantic.
        whole: what was to be made of the values.
    """
    for each in error.errors():
        path = [str(part) for part in each["loc"]]
        where = ".".join(path)
        if each["type"] == "extra_forbidden":
            known = _fields(whole, path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{where}: expected one of {', '.join(known)}{hint}"
        elif each["type"] == "missing":
            yield f"{where}: expected a value, got none"
        elif each["type"] == "value_error":
            yield ": ".join(filter(None, (where, str(each["ctx"]["error"]))))
        else:
            yield f"{where}: {each['msg'][0].lower()}{each['msg'][1:]}, got {each['input']!r:.60}"


def _fields(part: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The keys of what stands at a path."""
    for name in path:
        kinds = [part.model_fields[name].annotation] if name in part.model_fields else []
        kinds += list(getattr(kinds[0], "__args__", ())) if kinds else []
        part = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), part)
    return list(part.model_fields)
