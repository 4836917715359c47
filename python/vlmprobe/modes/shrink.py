"""The smallest picture and question that still fail: words are left out and the picture is cut, scaled down and blurred
while the question stays valid and its answer wrong.

Each round tries for every example all words left out in runs of a half, a quarter, ... of the question, shorter
questions of its mode in some of its words, and each side of the picture cut; of those that still fail the smallest is
kept. Where none does, the picture is scaled down, then blurred. An example is done when nothing smaller fails. Of a
picture of which a source knows the truth no side is cut, because that truth is of the whole; the source may say what it
can be cut to (`Roles.smaller`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vlmprobe.data.image import Image
from vlmprobe.modes.cases import Case, ask_cases
from vlmprobe.modes.concepts import words_of
from vlmprobe.modes.edits import SIDES, area, crop, dosed
from vlmprobe.modes.planned import Roles

WHAT = "shrink"
ROUNDS = 16
CUT = 0.25
"""Share of a picture that is cut away at once."""
BLUR = 0.02
OTHERS = 8
"""Other questions of the mode that are tried about an example's picture in a round."""


@dataclass(frozen=True)
class Shrunk:
    """An example and the smallest case that was found to fail like it."""

    before: Case
    after: Case

    @property
    def words(self) -> tuple[int, int]:
        """Of the question, before and after."""
        return len(self.before.question.split()), len(self.after.question.split())

    @property
    def pixels(self) -> tuple[int, int]:
        """Of the picture, before and after."""
        return area(self.before.image), area(self.after.image)


def shrink(
    examples: Sequence[Case], roles: Roles, *, calls: int, tries: int = 1, others: Sequence[str] = (),
    soften: bool = True,
) -> tuple[list[Shrunk], int]:  # fmt: skip
    """The examples as small as they get with so many answerer calls, and the calls that were spent.

    Args:
        examples: failures.
        roles: who answers and judges.
        calls: answerer calls at most.
        others: valid questions of the same mode, about any picture; those are tried that are shorter and whose content
            words are all the example's.
        soften: whether pictures are scaled down and blurred when nothing else can be taken away; for an answerer that
            does not look at pixels it says nothing.
        tries: rounds in a row in which a smaller case must fail before it is kept; more than 1 is for answerers that
            are drawn, which then reply anew in each.

    Raises:
        ValueError: fewer than one try.
    """
    if tries < 1:
        raise ValueError(f"[shrink] tries: expected at least 1, got {tries}")
    short = sorted(set(others), key=lambda text: (len(text.split()), text))
    stages = (lambda case: _cut(case, roles, short), *((_scaled, _blurred) if soften else ()))
    now, spent, stage = list(examples), 0, dict.fromkeys(range(len(examples)), 0)
    for _ in range(ROUNDS):
        failed = [(i, case) for i, at in stage.items() for case in stages[at](now[i])]
        for attempt in range(tries):
            what = WHAT if attempt == 0 else f"{WHAT}-{attempt}"
            found, used = ask_cases([case for _, case in failed], roles, calls=calls - spent, what=what)
            spent += used
            failed = [each for each, outcome in zip(failed, found, strict=True) if outcome.failed]
        best: dict[int, Case] = {}
        for i, case in failed:
            if i not in best or _size(case) < _size(best[i]):
                best[i] = case
        for i in stage:
            now[i] = best.get(i, now[i])
        stage = {i: at + (i not in best) for i, at in stage.items() if at + (i not in best) < len(stages)}
        if not stage or spent >= calls:
            break
    return [Shrunk(before, after) for before, after in zip(examples, now, strict=True)], spent


def _cut(case: Case, roles: Roles, others: Sequence[str]) -> Iterator[Case]:
    """Without some of the words, with another question that is shorter, and with less of the picture."""
    said = case.question.split()
    length = len(said) // 2
    texts: dict[str, None] = {}
    while length >= 1:
        for begin in range(len(said) - length + 1):
            texts[" ".join(said[:begin] + said[begin + length :])] = None
        length //= 2
    own = words_of(case.question)
    shorter = (text for text in others if len(text.split()) < len(said) and words_of(text) <= own)
    texts |= dict.fromkeys(itertools.islice(shorter, OTHERS))
    yield from (Case(case.image, text) for text in texts if text)
    if case.image.meta is None:
        yield from _with([crop(case.image, side, CUT) for side in SIDES], case)
    elif roles.smaller is not None:
        yield from _with(list(roles.smaller(case.image, case.question)), case)


def _scaled(case: Case) -> Iterator[Case]:
    yield from _with([dosed(case.image, "downscale", 2)], case)


def _blurred(case: Case) -> Iterator[Case]:
    yield from _with([] if "[blur" in case.image.key else [dosed(case.image, "blur", BLUR)], case)


def _with(images: Sequence[Image | None], case: Case) -> Iterator[Case]:
    return (Case(image, case.question) for image in images if image is not None)


def _size(case: Case) -> int:
    """Words times pixels."""
    return len(case.question.split()) * area(case.image)
