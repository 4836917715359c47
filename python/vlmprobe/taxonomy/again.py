"""A question from which stage 3 took the skill that it turns on has its primitives named once more.

Stage 3 sees that a question does not need a skill, and not which one it needs instead. So the one who names primitives
is told what does not fit and asked again, about these questions alone. What is named joins the topics that are there,
as any new question's does; a reply that brings no skill changes nothing.

    requests <= those of stage 1
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from vlmprobe.models.protocols import Picture
from vlmprobe.taxonomy.asking import Labeller, Prompt
from vlmprobe.taxonomy.assign import OTHER, Assigned
from vlmprobe.taxonomy.corpus import Question, shown
from vlmprobe.taxonomy.primitives import Named, batches_of, read


def named_again(
    found: Assigned, questions: Sequence[Question], picture: Callable[[int], Picture], labeller: Labeller
) -> Named:
    """The primitives of the questions that lost the skill which they turn on.

    Args:
        found: the skill of each primitive, by what stage 3 decided.
        questions: valid ones.
        picture: gives the picture of a number.
        labeller: who is asked.

    Raises:
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    batches = batches_of([each for each in questions if _lost(found, each)])
    prompts = [_prompt(batch, found, picture, labeller) for batch in batches]
    replies = labeller.ask("again", prompts, lambda i, reply: read(reply, len(batches[i])))
    return {
        (question.image, question.text): skills
        for batch, each in zip(batches, replies, strict=True)
        if each is not None
        for question, skills in zip(batch, each, strict=True)
    }


def replaced(found: Assigned, new: Assigned) -> Assigned:
    """The skills of all questions, those of `new` where they are known skills."""
    known = {place: skills for place, skills in new.items() if any(skill not in (None, OTHER) for _, skill in skills)}
    return {**found, **known}


def _lost(found: Assigned, question: Question) -> bool:
    """Whether the skill that it turns on was taken from it."""
    skills = found.get((question.image, question.text), ())
    return bool(skills) and skills[0][1] is None


def _prompt(
    batch: Sequence[Question], found: Assigned, picture: Callable[[int], Picture], labeller: Labeller
) -> Prompt:
    texts = [each.text for each in batch]
    before = [found[each.image, each.text][0][0] for each in batch]
    said = labeller.prompts.render("primitives_again", questions=texts, before=before)
    return Prompt(said, functools.partial(shown, picture, batch[0]))
