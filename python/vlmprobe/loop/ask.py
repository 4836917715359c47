"""Asking: the pictures of a step, and k questions in each of G completions about every one of them."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from vlmprobe.data.image import UnreadableImage
from vlmprobe.data.order import LeftOut, StepImages
from vlmprobe.loop.round import Place, Round
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asker, AsksAnswerer, OnGroup
from vlmprobe.text import parse_responses

SHOWN = 3  # pictures that an error names
ImagesOf = Callable[[int], Sequence[Picture]]
"""Step -> its images, such as `vlmprobe.data.shuffled` and `in_order` give."""


@runtime_checkable
class Learns(Protocol):
    """Looks at what became of its questions, and asks otherwise after it."""

    def see(self, round: Round) -> None:
        """Takes a step. Whoever runs the steps shows each examined one once, in their order, before the next is asked;
        where a run is resumed, those that are recorded come first. What is known about a question besides its verdict
        (`Round.annotations`) is not shown."""


def learner_of(asker: object) -> Learns | None:
    """Who of an asker looks at what became of its questions: `asker.learner` where it has that, else itself."""
    found = getattr(asker, "learner", asker)
    return found if isinstance(found, Learns) else None


def show_learner(asker: object, round: Round) -> None:
    """Shows an examined round to whoever of the asker learns from it."""
    learner = learner_of(asker)
    if learner is not None:
        learner.see(replace(round, annotations=()))


def ask(
    round: Round, asker: Asker, *, k: int, group_size: int = 1, seed: int, on_group: OnGroup | None = None
) -> Round:
    """The round with its completions and the questions in them.

    Args:
        round: with images, at least one.
        asker: who asks.
        k: questions per completion.
        group_size: completions per image, G.
        seed: of sampling; the same seed and step ask the same.
        on_group: gets the place of an image and its completions: as soon as they are drawn, where the asker tells that
            (a `Questioner` does), else once all are.
    """
    images, step = round.images, round.place.step
    tells = on_group is not None and "on_group" in inspect.signature(asker.ask).parameters
    telling: dict[str, Any] = {"on_group": on_group} if tells else {}
    asked = asker.ask(images, k=k, group_size=group_size, seed=seed, step=step, **telling)
    if on_group is not None and not tells:
        for place in range(len(images)):
            on_group(place, [asked.texts[row] for row in (asked.group == place).nonzero()[:, 0].tolist()])
    questions = parse_responses(asked.texts, k=k, token_ends=asked.token_ends)
    return replace(round, asked=asked, questions=questions)


def calls_at_most(asker: Asker, *, k: int, group_size: int) -> int:
    """Answerer calls that asking about one image may take."""
    return asker.calls_at_most(k=k, group_size=group_size) if isinstance(asker, AsksAnswerer) else 0


def affordable(asker: Asker, images: Sequence[Picture], left: int, *, k: int, group_size: int) -> Sequence[Picture]:
    """As many of the images, from the first, as asking is sure to have calls for with one to spare for what is asked;
    all of them where asking takes no call.

    Args:
        asker: who is to ask.
        images: of the step.
        left: answerer calls that may be made.
        k, group_size: as in `Asker.ask`.

    Raises:
        ValueError: they do not do for a single image.
    """
    most = calls_at_most(asker, k=k, group_size=group_size)
    some = images[: left // (most + 1)] if most else images
    if images and not some:
        raise ValueError(f"[ask] max_calls: expected enough to ask about an image, {most + 1}, got {left}")
    return some


def show(
    images_of: ImagesOf, place: Place, asker: Asker, *, before: Collection[int] | None = None
) -> tuple[Sequence[Picture], list[LeftOut]]:
    """The images of a step that can be read and asked about, and those that were left out; where there are none, those
    of the next steps.

    Args:
        images_of: step -> its images.
        place: of the step.
        asker: who is to ask; it may be unable to ask about a picture (`refusing`).
        before: numbers of the images that the step left out when it was made; None for one that is made now.

    Raises:
        ValueError: no image of the source can be read; or one that the step was about when it was made.
    """
    refuses, known = refusing(asker), set(before or ())
    unread: dict[int, LeftOut] = {}
    for later in itertools.count(place.step):
        images = images_of(later)
        refused = {image.id: LeftOut(image.id, image.key, why) for image in images if (why := refuses(image))}
        lacking = [*(images.left_out if isinstance(images, StepImages) else []), *refused.values()]
        unread |= {one.id: one for one in lacking}
        if before is not None:
            _check_gone(place, [one for one in lacking if one.id not in known])
        kept = [image for image in images if image.id not in known | refused.keys()]
        if kept or not (images or lacking):
            return kept, list(unread.values())
        total = images.total if isinstance(images, StepImages) else len(images)
        if len(unread.keys() | known) >= total:
            raise UnreadableImage(f"[{place.phase}] images: none of {total} can be read: {reasons(unread.values())}")
    raise AssertionError("unreachable")


def refusing(asker: object) -> Callable[[Picture], str]:
    """Why an asker cannot ask about a picture, in words that name it, empty where it can: its `cannot_ask`;
    without one it takes all."""
    return getattr(asker, "cannot_ask", lambda image: "")


def reasons(unread: Collection[LeftOut]) -> str:
    """Why, of the first few."""
    shown = [one.reason for one in itertools.islice(unread, SHOWN)]
    return "; ".join([*shown, *([f"and {len(unread) - SHOWN} more"] if len(unread) > SHOWN else [])])


def _check_gone(place: Place, gone: Sequence[LeftOut]) -> None:
    if gone:
        raise UnreadableImage(
            f"[replay] step {place.step} of run {place.run!r} was about pictures that cannot be read now: "
            f"{reasons(gone)}. Put them back, or name another run"
        )
