"""Questions as a page's script reads them: columns as JSON, compressed, in base64.

names     methods, answerers, skills, and [id, words] of the modes: what the numbers in the columns stand for
columns   method, answerer, outcome (a letter), step, picture (-1: none), key, text, answer, reason, votes, why;
          skills and modes as lists of numbers
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vlmprobe.report.run.questions import Question
from vlmprobe.report.table import format

LONGEST = 1000
"""Characters of a text."""


def packed(questions: Sequence[Question], pictures: Mapping[str, int], modes: Sequence[tuple[str, str]]) -> str:
    """The questions, compressed; equal ones give equal texts.

    Args:
        questions: in the order in which they are shown.
        pictures: name of a picture -> its place among the page's.
        modes: (id, words), in the order in which they are offered.
    """
    content = json.dumps(columns(questions, pictures, modes), ensure_ascii=False, separators=(",", ":"))
    compressed = gzip.compress(content.encode("utf-8"), compresslevel=6, mtime=0)
    return base64.b64encode(compressed).decode("ascii")


def columns(
    questions: Sequence[Question], pictures: Mapping[str, int], modes: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The content of `packed`."""
    methods, answerers = _numbered(each.method for each in questions), _numbered(each.answerer for each in questions)
    skills = _numbered(sorted({skill for each in questions for skill in each.skills}))
    places = {id: place for place, (id, _) in enumerate(modes)}
    shown = format.plain
    return {
        "names": {
            **{
                name: [shown(each, LONGEST) for each in known]
                for name, known in (("methods", methods), ("answerers", answerers), ("skills", skills))
            },
            "modes": [[id, shown(words, LONGEST)] for id, words in modes],
        },
        "columns": {
            "method": [methods[each.method] for each in questions],
            "answerer": [answerers[each.answerer] for each in questions],
            "outcome": "".join(each.outcome[0] for each in questions),
            "step": [each.step for each in questions],
            "picture": [pictures.get(each.key, -1) for each in questions],
            **{
                name: [shown(getattr(each, name), LONGEST) for each in questions]
                for name in ("key", "text", "answer", "reason", "votes", "why")
            },
            "skills": [[skills[skill] for skill in each.skills] for each in questions],
            "modes": [[places[mode] for mode in each.modes if mode in places] for each in questions],
        },
    }


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
