"""The pictures of a run: each under one number however often the run is resumed; what cannot be read is left out.

    events of kind `pictures`   the keys of the run's pictures, in the order of their numbers; JSON, once a run
    events of kind `picture`    a picture that a step left out: phase, step, image, key, reason; JSON
    numbers["left_out"]         of a step: how many it left out

A step that is gone through again leaves out what it left out when it was recorded, even where that can be read by now.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vlmprobe.data.image import Image
from vlmprobe.data.order import LeftOut
from vlmprobe.data.source import ImageSource, Recalled, keys_of
from vlmprobe.ledger import Ledger
from vlmprobe.loop.round import Place

PICTURES = "pictures"


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


def hashes_of(ledger: Ledger, run: str) -> dict[int, str]:
    """Number of a picture that a run asked about -> the hash of its pixels then."""
    return {image.id: image.sha256 for step in ledger.each_step(run) for image in step.images}


def check_same(op: str, image: Image, sha256: str | None) -> None:
    """Raises ValueError where a picture has other pixels than when it was asked about; None: it never was."""
    if image.sha256 != sha256:
        raise ValueError(f"[{op}] picture {image.key!r}: expected the one that was asked about, got other pixels")


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


def left_out(ledger: Ledger, run: str, phase: str, step: int) -> list[LeftOut]:
    """What was left out when the step was made, each time that it was begun, in order."""
    found = [json.loads(event.text) for event in ledger.events(run, kind="picture")]
    here = [each for each in found if (each["phase"], each["step"]) == (phase, step)]
    return [LeftOut(each["image"], each["key"], each["reason"]) for each in here]


def left_out_of(ledger: Ledger, run: str) -> list[LeftOut]:
    """What all steps of a run left out, in order."""
    found = [json.loads(event.text) for event in ledger.events(run, kind="picture")]
    return [LeftOut(each["image"], each["key"], each["reason"]) for each in found]


def say_left_out(ledger: Ledger, place: Place, unread: Collection[LeftOut]) -> None:
    """Writes down the pictures that a step leaves out."""
    for one in unread:
        where = {"phase": place.phase, "step": place.step}
        text = {**where, "image": one.id, "key": one.key, "reason": one.reason}
        ledger.event(place.run, kind="picture", text=json.dumps(text))
