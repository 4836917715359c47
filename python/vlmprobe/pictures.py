"""The pictures of a run: each under one number however often the run is resumed; what cannot be read is left out.

    events of kind `pictures`   the keys of the run's pictures, in the order of their numbers; JSON, once a run
    events of kind `picture`    a picture that a step left out: phase, step, image, key, reason; JSON
    numbers["left_out"]         of a step: how many it left out

A step that is gone through again leaves out what it left out when it was recorded, even where that can be read by now.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from vlmprobe.data.image import UnreadableImage
from vlmprobe.data.order import LeftOut, StepImages
from vlmprobe.data.source import ImageSource, Recalled, keys_of
from vlmprobe.ledger import Ledger, StepRecord
from vlmprobe.models.protocols import Picture

LEFT_OUT, PICTURES = "left_out", "pictures"
SHOWN = 3  # pictures that an error names


def recalled(images: ImageSource, ledger: Ledger | None, run: str, *, kind: str = PICTURES) -> ImageSource:
    """The source under the numbers that the run recorded; as it is where it recorded none.

    Args:
        images: of the run.
        ledger, run: where the keys are.
        kind: of the event that holds them.

    Raises:
        ValueError: these are other pictures.
    """
    known = [] if ledger is None else ledger.events(run, kind=kind)
    return numbered(images, json.loads(known[0].text)) if known else images


def numbered(images: ImageSource, keys: Sequence[str]) -> ImageSource:
    """The source with these keys under the numbers 0, 1, ...; itself where that is so already."""
    return images if list(keys_of(images) or ()) == list(keys) else Recalled(images, keys)


def of_run(images: ImageSource, ledger: Ledger | None, run: str, *, kind: str = PICTURES) -> ImageSource:
    """`recalled`; where the run has recorded no keys, those of the source are recorded. The run must have begun."""
    keys = keys_of(images)
    if ledger is not None and keys is not None and not ledger.events(run, kind=kind):
        ledger.event(run, kind=kind, text=json.dumps(list(keys)))
    return recalled(images, ledger, run, kind=kind)


def keys_to_keep(images: ImageSource) -> dict[str, list[str]]:
    """What a checkpoint's state holds for `of_checkpoint`; nothing where the source knows no keys."""
    keys = keys_of(images)
    return {} if keys is None else {"keys": list(keys)}


def of_checkpoint(images: ImageSource, state: Mapping[str, Any], *, where: str) -> ImageSource:
    """The source under the numbers of a checkpoint's state; as it is where that has no keys.

    Raises:
        ValueError: keys that are no names; these are other pictures.
    """
    keys = state.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"[Trainer.load] {where}: keys: expected names of pictures, got {keys!r:.60}")
    return numbered(images, keys) if keys else images


def images_of_step(
    images_of: Callable[[int], Sequence[Picture]],
    step: int,
    *,
    run: str,
    phase: str,
    ledger: Ledger | None = None,
    known: StepRecord | None = None,
    refuses: Callable[[Picture], str] = lambda image: "",
) -> tuple[Sequence[Picture], int]:
    """The images of a step that can be read and asked about, and how many were left out; where there are none, those of
    the next steps.

    Args:
        images_of: step -> its images, such as `vlmprobe.data.shuffled` gives.
        step: its number.
        run, phase, ledger: where what is left out is written down; without a ledger it is a warning.
        known: the step as it was recorded: it is about the same images again.
        refuses: why the one who asks cannot ask about an image (`vlmprobe.asked.refusing`).

    Raises:
        ValueError: no image of the source can be read; or one that the recorded step was about.
    """
    before = set() if known is None else _recorded(ledger, known)
    unread: dict[int, LeftOut] = {}
    for later in itertools.count(step):
        images = images_of(later)
        refused = {image.id: LeftOut(image.id, image.key, why) for image in images if (why := refuses(image))}
        lacking = [*(images.left_out if isinstance(images, StepImages) else []), *refused.values()]
        unread |= {one.id: one for one in lacking}
        if known is not None:
            _check(known, [one for one in lacking if one.id not in before])
        kept = [image for image in images if image.id not in before | refused.keys()]
        if kept or not (images or lacking):
            break
        total = images.total if isinstance(images, StepImages) else len(images)
        if len(unread.keys() | before) >= total:
            raise UnreadableImage(f"[{phase}] images: none of {total} can be read: {reasons(unread.values())}")
    if known is None:
        _say(ledger, run, phase, step, unread.values())
    return kept, len(unread if known is None else before)


def left_out(ledger: Ledger, run: str, phase: str, step: int) -> list[LeftOut]:
    """What was left out when the step was made, each time that it was begun, in order."""
    found = [json.loads(event.text) for event in ledger.events(run, kind="picture")]
    here = [each for each in found if (each["phase"], each["step"]) == (phase, step)]
    return [LeftOut(each["image"], each["key"], each["reason"]) for each in here]


def reasons(unread: Collection[LeftOut]) -> str:
    """Why, of the first few."""
    shown = [one.reason for one in itertools.islice(unread, SHOWN)]
    return "; ".join([*shown, *([f"and {len(unread) - SHOWN} more"] if len(unread) > SHOWN else [])])


def _recorded(ledger: Ledger | None, known: StepRecord) -> set[int]:
    """Numbers of the images that the recorded step left out."""
    count = int(known.numbers.get(LEFT_OUT) or 0)
    if ledger is None or not count:
        return set()
    return {one.id for one in left_out(ledger, known.run, known.phase, known.step)[-count:]}


def _check(known: StepRecord, gone: Sequence[LeftOut]) -> None:
    if gone:
        raise UnreadableImage(
            f"[replay] step {known.step} of run {known.run!r} was about pictures that cannot be read now: "
            f"{reasons(gone)}. Put them back, or name another run"
        )


def _say(ledger: Ledger | None, run: str, phase: str, step: int, unread: Collection[LeftOut]) -> None:
    if ledger is None:
        if unread:
            warnings.warn(f"[{phase}] step {step}: {len(unread)} pictures left out: {reasons(unread)}", stacklevel=4)
        return
    for one in unread:
        text = {"phase": phase, "step": step, "image": one.id, "key": one.key, "reason": one.reason}
        ledger.event(run, kind="picture", text=json.dumps(text))
