"""A model that labels questions and pictures of the world, offline: it reads the words that it is shown, and may see
the pictures.

It is asked with the prompts of `vlmprobe.taxonomy` and replies in their JSON, as a real model does. It names a skill in
one of several ways at random, and a stated share of its primitives are wrong: they name a skill that the question does
not need. Of a picture it says how many objects it shows, and is wrong by one in the same share. It sees no program, no
answer and no fault. What it knows of the language is in `labels.json`:

    main    skill -> words that call for it, where those of no earlier skill are there; how it may be named; and the
            ability that it rests on
    values  attribute -> words that call for it besides
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vlmprobe._native import core
from vlmprobe._util.json import read_object
from vlmprobe.models.model import EncodedImage, ModelReply, Request, Status

WRONG = 0.1
"""Share of the primitives that are wrong."""

_LABELS = read_object("labels", Path(__file__).with_name("labels.json"))
_MAIN: dict[str, dict[str, Any]] = _LABELS["main"]
_VALUES: dict[str, str] = _LABELS["values"]
NAMES: dict[str, list[str]] = {skill: each["names"] for skill, each in _MAIN.items()}
"""Skill -> the ways in which it is named."""
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def read(question: str) -> list[str]:
    """The skills that the words of a question call for, the one that it turns on first.

    >>> read("how many small stars are there ?")
    ['count', 'shape', 'size']
    """
    words = question.lower()
    main = next(skill for skill, each in _MAIN.items() if re.search(each["words"], words))
    return [main, *(skill for skill, pattern in _VALUES.items() if skill != main and re.search(pattern, words))]


class WordLabeller:
    """The stand-in, as a `vlmprobe.models.Model`.

    Args:
        wrong: share of the primitives that name a skill which the question does not need, in [0, 1].
        seed: of which these are, and of how skills are named.
        sight: gives the scene of a picture's file, such as `vlmprobe.world.sight.Sight`; None: it sees no picture.
    """

    def __init__(
        self,
        *,
        wrong: float = WRONG,
        seed: int = 0,
        sight: Callable[[EncodedImage], core.world.Scene | None] | None = None,
    ):
        if not 0 <= wrong <= 1:
            raise ValueError(f"[WordLabeller] wrong: expected a share in [0, 1], got {wrong!r:.40}")
        self._wrong, self._seed, self._sight = wrong, seed, sight
        self.identity = f"vlmprobe/word-labeller@2 [wrong={wrong:g}, seed={seed}]"

    def __repr__(self) -> str:
        return f"WordLabeller(wrong={self._wrong}, seed={self._seed})"

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """See `vlmprobe.models.model.Model`."""
        return [ModelReply(status=Status.OK, text=f"I looked.\n{self._said(each)}") for each in requests]

    def tags(self, scene: core.world.Scene, draw: random.Random) -> list[str]:
        """What it says of a picture."""
        count = len(scene.objects)
        if draw.random() < self._wrong:
            count += draw.choice((-1, 1))
        return [f"{COUNTS[count]} {'object' if count == 1 else 'objects'}"]

    def _said(self, request: Request) -> str:
        text = request.messages[0].text
        if len(request.messages) > 1:  # what it wants to merge into is there no more, or was merged into this
            text = re.sub("<known_skills>.*</known_skills>", "", text, flags=re.DOTALL)
        images = request.messages[0].images
        draw = random.Random(f"{self._seed} {''.join(image.sha256 for image in images)} {text}")
        if '"tags"' in text:
            scene = self._sight(images[0]) if self._sight is not None and images else None
            return json.dumps({"tags": ["image of something"] if scene is None else self.tags(scene, draw)})
        return json.dumps(self._stage(text)(text, draw))

    def _stage(self, text: str) -> Callable[[str, random.Random], object]:
        if "<label>" in text:
            return self._decides
        if "<groups>" in text:
            return self._groups
        return self._names if "<skills>" in text else self._primitives

    def _primitives(self, text: str, draw: random.Random) -> dict[str, list[str]]:
        said = {}
        for number, question in enumerate(items(text, "questions"), 1):
            needed = read(question)
            others = [skill for skill in _MAIN if skill not in needed]
            chosen = [draw.choice(others) if draw.random() < self._wrong else skill for skill in needed]
            said[str(number)] = [draw.choice(NAMES[skill]) for skill in chosen]
        return said

    def _names(self, text: str, draw: random.Random) -> dict[str, str]:
        meant = Counter(filter(None, map(meaning, items(text, "skills"))))
        label = draw.choice(NAMES[_most(meant)]) if meant else "visual skill"
        return {"reason": "Most of them say so.", "label": label}

    def _decides(self, text: str, draw: random.Random) -> dict[str, object]:
        """What the questions of a batch come to: the skill that most were named for, if the questions call for it."""
        shown = [each.partition(" | ")[::2] for each in items(text, "questions")]
        [label] = re.findall(r"<label>\n(.*)\n</label>", text)
        known = {meant: each for each in reversed(items(text, "known_skills")) if (meant := meaning(each))}
        needs = [read(question) for _, question in shown]
        named = zip((meaning(name) for name, _ in shown), needs, strict=True)
        fits = Counter(skill for skill, needed in named if skill is not None and skill in needed)
        if not fits:
            return _operation("keep", [label], out=range(1, len(shown) + 1))
        common = [skill for skill, count in fits.most_common() if count * 4 >= fits.total()]
        if len(common) > 1:
            return self._splits(common, label, known, needs)
        skill = common[0] if common else _most(fits)
        out = [i for i, needed in enumerate(needs, 1) if skill not in needed]
        if skill in known:
            return _operation("merge", [known[skill]], out=out)
        if meaning(label) == skill:
            return _operation("keep", [label], out=out)
        return _operation("rename", [draw.choice(NAMES[skill])], out=out)

    def _splits(
        self, skills: list[str], label: str, known: dict[str, str], needs: list[list[str]]
    ) -> dict[str, object]:
        names = {**{skill: NAMES[skill][0] for skill in skills}, **known}
        if (own := meaning(label)) in skills and own not in known:
            names[own] = label
        part_of = [next((skill for skill in skills if skill in needed), None) for needed in needs]
        parts = {skill: [i for i, part in enumerate(part_of, 1) if part == skill] for skill in skills}
        parts = {skill: numbers for skill, numbers in parts.items() if numbers}
        out = [i for i, part in enumerate(part_of, 1) if part is None]
        return _operation("split", [names[skill] for skill in parts], parts=list(parts.values()), out=out)

    def _groups(self, text: str, draw: random.Random) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for number, label in enumerate(items(text, "known_skills"), 1):
            skill = meaning(label)
            groups.setdefault("other abilities" if skill is None else _MAIN[skill]["ability"], []).append(number)
        return groups


def items(text: str, tag: str) -> list[str]:
    """The numbered items between the last tags of a name."""
    found = re.findall(rf"<{tag}>\n(.*?)\n?</{tag}>", text, re.DOTALL)
    return re.findall(r"<item_\d+>(.*?)</item_\d+>", found[-1], re.DOTALL) if found else []


def meaning(name: str) -> str | None:
    """The skill that a name stands for; None where the stand-in does not know it."""
    return _MEANING.get(name.strip().lower())


def _most(counts: Counter[str]) -> str:
    """The most frequent; of equal ones the first by name."""
    return min(counts, key=lambda skill: (-counts[skill], skill))


def _operation(
    action: str, labels: list[str], *, out: Iterable[int], parts: Sequence[Sequence[int]] = ()
) -> dict[str, object]:
    return {"reason": "By their words.", "action": action, "labels": labels, "parts": list(parts), "out": list(out)}


_MEANING = {name: skill for skill, names in NAMES.items() for name in names}
