"""Stage 1: the primitive skills that each valid question needs, named by a model that sees the picture.

The questions about one picture are asked in one request, up to a stated number, so that the number of requests is known
before the first of them:

    requests = sum over pictures of ceil(distinct questions / per_picture)
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vlmprobe._util.visible import bare
from vlmprobe.models.protocols import Picture
from vlmprobe.taxonomy.asking import Labeller, Prompt
from vlmprobe.taxonomy.corpus import Question, distinct, shown

PER_PICTURE = 12
MOST = 6  # skills of a question
LONGEST = 60  # characters of one

Named = Mapping[tuple[int, str], tuple[str, ...]]
"""(picture, question) -> its primitive skills, the one that it turns on first; questions that were given up are not in
it."""


def primitives(
    questions: Sequence[Question],
    picture: Callable[[int], Picture],
    labeller: Labeller,
    *,
    per_picture: int = PER_PICTURE,
) -> Named:
    """Asks for the skills of every question.

    Args:
        questions: valid ones; equal ones about a picture are asked once.
        picture: gives the picture of a number.
        labeller: who is asked.
        per_picture: questions in a request at most.

    Raises:
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    batches = batches_of(questions, per_picture)
    prompts = prompts_of(batches, picture, labeller)
    found = labeller.ask("primitives", prompts, lambda i, reply: read(reply, len(batches[i])))
    return {
        (question.image, question.text): skills
        for batch, each in zip(batches, found, strict=True)
        if each is not None
        for question, skills in zip(batch, each, strict=True)
    }


def batches_of(questions: Sequence[Question], per_picture: int = PER_PICTURE) -> list[list[Question]]:
    """The questions of each request, all about one picture."""
    by_image: dict[int, list[Question]] = {}
    for question in distinct(questions):
        by_image.setdefault(question.image, []).append(question)
    return [
        each[first : first + per_picture]
        for _, each in sorted(by_image.items())
        for first in range(0, len(each), per_picture)
    ]


def prompts_of(
    batches: Sequence[Sequence[Question]], picture: Callable[[int], Picture], labeller: Labeller
) -> list[Prompt]:
    """What is asked about each batch."""
    texts = ([question.text for question in batch] for batch in batches)
    return [
        Prompt(labeller.prompts.render("primitives", questions=each), functools.partial(shown, picture, batch[0]))
        for batch, each in zip(batches, texts, strict=True)
    ]


def read(reply: Mapping[str, Any], count: int) -> list[tuple[str, ...]]:
    """[count] the skills of each question.

    Raises:
        ValueError: a question without skills, a number that is none, something other than short texts.
    """
    expected = [str(i) for i in range(1, count + 1)]
    if other := [key for key in reply if key not in expected]:
        raise ValueError(f"expected the numbers 1 to {count}, got {other[0]!r:.40}")
    if missing := [key for key in expected if key not in reply]:
        raise ValueError(f"expected skills for every question, got none for {', '.join(missing[:10])}")
    return [_skills(key, reply[key]) for key in expected]


def tidy(skill: str) -> str:
    """A primitive's text as it is compared: lower case, single blanks, no punctuation at its ends."""
    return re.sub(r"\s+", " ", bare(skill)).strip(" .,;:!?\"'-").lower()


def _skills(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key}: expected a list of texts, got {value!r:.40}")
    found = list(dict.fromkeys(filter(None, map(tidy, value))))
    if not found:
        raise ValueError(f"{key}: expected at least one skill, got none")
    if long := next((each for each in found if len(each) > LONGEST), None):
        raise ValueError(f"{key}: expected a few words for a skill, got {long!r:.80}")
    return tuple(itertools.islice(found, MOST))
