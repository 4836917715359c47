"""A closer look at each mode: its examples shrunk, minimal pairs, and how failing grows with an edit of the picture.

A share of calls goes to every mode alike, half of it to shrinking, a quarter to pairs and a quarter to the dose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.metrics import Rate
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.cases import Case
from vlmprobe.modes.dose import Response, response
from vlmprobe.modes.edits import Dose
from vlmprobe.modes.mode import Mode, read_rate
from vlmprobe.modes.pairs import accuracy, pairs, picture_of
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.shrink import shrink

EXAMPLES = 4
"""Of a mode that are shrunk."""
DOSED = 24
"""Questions of a mode, on different pictures, that are asked at each strength."""


@dataclass(frozen=True, kw_only=True)
class Small:
    """An example, and the smallest picture and question that were found to fail like it."""

    key: str
    question: str
    small_key: str
    """Name of the edited picture, with how it was edited."""
    small_question: str
    words: tuple[int, int]
    """Before and after."""
    pixels: tuple[int, int]
    """Before and after."""


@dataclass(frozen=True, kw_only=True)
class Closer:
    """What a closer look at a mode brought."""

    shrunk: Sequence[Small]
    pairs: Rate
    """Of minimal pairs those that the answerer tells apart."""
    kind: Dose
    """Of edit whose dose was given."""
    dose: Sequence[Response]


def look_closer(
    modes: Sequence[Mode], asked: Sequence[Asked], roles: Roles, *, calls: int, kind: Dose = "downscale"
) -> tuple[dict[str, Closer], int]:
    """Id of each mode -> what a closer look brought; and the answerer calls that were spent.

    Args:
        modes: that hold.
        asked: the questions of the run.
        roles: who answers and judges; the pictures under the numbers that `asked` has.
        calls: answerer calls at most.
        kind: of edit whose dose is given.
    """
    found, spent = {}, 0
    each_has = calls // max(1, len(modes))
    for mode in modes:
        begun = [(picture_of(roles.images, each.image), each.question) for each in mode.examples[:EXAMPLES]]
        first = [Case(image, question) for image, question in begun if image is not None]
        shrunk, used = shrink(first, roles, calls=each_has // 2, others=texts_of(mode, asked))
        told, more = pairs(asked, mode.rule, roles, calls=each_has // 4)
        curve, most = response(_of_mode(mode, asked, roles), kind, roles, calls=each_has // 4)
        spent += used + more + most
        small = [
            Small(
                key=each.before.image.key, question=each.before.question, small_key=each.after.image.key,
                small_question=each.after.question, words=each.words, pixels=each.pixels,
            )
            for each in shrunk
        ]  # fmt: skip
        found[mode.id] = Closer(shrunk=small, pairs=accuracy(told), kind=kind, dose=curve)
    return found, spent


def read_closer(plain: Mapping[str, Any]) -> Closer:
    """From its fields as plain values."""
    small = [
        Small(**{**each, "words": tuple(each["words"]), "pixels": tuple(each["pixels"])}) for each in plain["shrunk"]
    ]
    dose = [Response(each["strength"], read_rate(each["rate"])) for each in plain["dose"]]
    return Closer(shrunk=small, pairs=read_rate(plain["pairs"]), kind=plain["kind"], dose=dose)


def texts_of(mode: Mode, asked: Sequence[Asked]) -> list[str]:
    """The valid questions that its rule takes, each once."""
    return list(dict.fromkeys(each.text for each in asked if each.valid and mode.rule.takes(each.concepts)))


def _of_mode(mode: Mode, asked: Sequence[Asked], roles: Roles) -> list[Case]:
    """Questions that its rule takes, right ones among them, each about another picture."""
    first: dict[str, Asked] = {}
    for each in asked:
        if each.valid and mode.rule.takes(each.concepts):
            first.setdefault(each.key, each)
    some = list(first.values())[:DOSED]
    return [Case(image, each.text) for each in some if (image := picture_of(roles.images, each.image))]
