"""Tags of pictures, named by a model that sees each: what failures may have in common that no question says.

requests = number of pictures
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vlmprobe.models.protocols import Picture
from vlmprobe.taxonomy.asking import PICTURES, Labeller, Prompt
from vlmprobe.taxonomy.corpus import Question, shown
from vlmprobe.taxonomy.primitives import tidy

MOST = 12  # tags of a picture
LONGEST = 40  # characters of one


def tags_of(
    questions: Sequence[Question], picture: Callable[[int], Picture], labeller: Labeller
) -> dict[str, list[str]]:
    """Name of a picture -> its tags; pictures that were given up are not in it.

    Args:
        questions: that were asked; each picture of theirs is shown once.
        picture: gives the picture of a number.
        labeller: who is asked.

    Raises:
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    first = firsts(questions)
    found = labeller.ask(PICTURES, prompts_of(first, picture, labeller), lambda i, reply: read(reply))
    return {each.image_key: tags for each, tags in zip(first, found, strict=True) if tags is not None}


def firsts(questions: Sequence[Question]) -> list[Question]:
    """The first question about each picture."""
    return list({each.image: each for each in reversed(questions)}.values())[::-1]


def prompts_of(first: Sequence[Question], picture: Callable[[int], Picture], labeller: Labeller) -> list[Prompt]:
    """What is asked about each picture."""
    text = labeller.prompts.render("picture_tags")
    return [Prompt(text, functools.partial(shown, picture, each)) for each in first]


def read(reply: Mapping[str, Any]) -> list[str]:
    """The tags.

    Raises:
        ValueError: no list of short texts.
    """
    tags = reply.get("tags")
    if not isinstance(tags, list) or not all(isinstance(each, str) for each in tags):
        raise ValueError(f'expected a list of texts as "tags", got {tags!r:.40}')
    found = list(dict.fromkeys(filter(None, map(tidy, tags))))
    if not found:
        raise ValueError("expected at least one tag, got none")
    if long := next((each for each in found if len(each) > LONGEST), None):
        raise ValueError(f"expected a few words for a tag, got {long!r:.80}")
    return sorted(itertools.islice(found, MOST))
