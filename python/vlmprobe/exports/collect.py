"""The failures of a run as the items of a suite."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from vlmprobe.data.image import Image
from vlmprobe.data.source import ImageSource
from vlmprobe.exports.references import Reference, references
from vlmprobe.exports.suite import PICTURES, Item, id_of
from vlmprobe.ledger import Ledger
from vlmprobe.modes.asked import NOTHING, Asked, Besides, asked_of
from vlmprobe.modes.mode import Mode, assign
from vlmprobe.modes.record import Modes, main_run
from vlmprobe.probe.build import RUN, images_of
from vlmprobe.probe.config import Probe
from vlmprobe.run.pictures import recalled


def confirmed(asked: Sequence[Asked], modes: Sequence[Mode], *, every: bool = False) -> list[tuple[Asked, list[str]]]:
    """The failures that are more than a verdict: those of a mode that holds, and those that people confirmed; with the
    ids of their modes.

    Args:
        asked: judged questions of a run.
        modes: that hold.
        every: all failures, also those of no mode.
    """
    failures = [each for each in asked if each.valid and each.wrong]
    both = zip(failures, assign(modes, failures), strict=True)
    return [(each, ids) for each, ids in both if ids or each.by_people or every]


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Failures of a run, ready to be written."""

    items: Sequence[Item]
    images: Mapping[str, Image]
    """Hash of pixels -> picture."""
    unread: int
    """Failures that were left out because their picture cannot be read."""


def gathered(
    probe: Probe,
    folder: Path,
    ledger: Ledger,
    modes: Sequence[Mode],
    *,
    others: Sequence[Ledger] = (),
    every: bool = False,
    replay: float = 0.0,
    besides: Besides = NOTHING,
) -> Gathered:
    """The failures of a probe's run that are more than a verdict.

    Args:
        probe, folder, ledger: of the run.
        modes: that hold, or some of these.
        others: of other answerers to the same questions, whose right answers are taken.
        every: all failures, also those of no mode.
        replay: for each failure, so many questions that were answered rightly; mixed into a fine-tuning set, they keep
            what a model can do already.
        besides: what is said of questions and pictures besides, as when the modes were found.

    Raises:
        ValueError: a picture that is another by now.
    """
    asked = asked_of(ledger, [RUN], besides=besides)
    images = recalled(images_of(probe, folder), ledger, RUN)
    pixels = {image.id: image.sha256 for step in ledger.each_step(RUN) for image in step.images}
    failures = confirmed(asked, modes, every=every)
    items, shown, unread = items_of(failures, images, pixels, references(ledger, others))
    right = [each for each in asked if each.valid and not each.wrong and each.answer]
    some = sorted(right, key=lambda each: hashlib.sha256("\n".join(each.pair).encode()).digest())
    some = some[: round(replay * len(items))]
    answers = {each.pair: Reference(each.answer, "answered rightly") for each in some}
    kept, more, _ = items_of([(each, []) for each in some], images, pixels, answers)
    return Gathered(items=[*items, *kept], images={**shown, **more}, unread=unread)


def items_of(
    failures: Sequence[tuple[Asked, Sequence[str]]],
    images: ImageSource,
    pixels: Mapping[int, str],
    known: Mapping[tuple[str, str], Reference],
) -> tuple[list[Item], dict[str, Image], int]:
    """The items, their pictures by hash, and how many failures were left out because their picture cannot be read.

    Args:
        failures: with the ids of their modes.
        images: of the run.
        pixels: number of a picture -> the hash of its pixels when it was asked about.
        known: right answers.

    Raises:
        ValueError: a picture that is another by now.
    """
    read: dict[int, Image | None] = {}
    items: dict[str, Item] = {}
    for each, ids in failures:
        if each.image not in read:
            read[each.image] = _readable(images, each.image)
        image = read[each.image]
        if image is None:
            continue
        if image.sha256 != pixels[each.image]:
            raise ValueError(f"[suite] picture {each.key!r}: expected the one that was asked about, got other pixels")
        right = known.get(each.pair)
        item = Item(
            id=id_of(image.sha256, each.text),
            picture=f"{PICTURES}/{image.sha256[:16]}.png",
            sha256=image.sha256,
            key=each.key,
            question=each.text,
            answer=each.answer,
            reason=each.reason,
            reference=None if right is None else right.text,
            reference_by="" if right is None else right.by,
            modes=list(ids),
            by_people=each.by_people,
        )
        items.setdefault(item.id, item)
    unread = sum(read[each.image] is None for each, _ in failures)
    shown = {image.sha256: image for image in read.values() if image is not None}
    return sorted(items.values(), key=lambda item: item.id), shown, unread


def provenance(ledger: Ledger, found: Modes) -> dict[str, Any]:
    """Where a suite comes from: the run, its models and what was found in it."""
    run = next(each for each in ledger.runs() if each.id == main_run(ledger))
    when = dict(ledger.times()).get(run.id)
    return {
        "run": run.id,
        "models": dict(run.identities),
        "versions": dict(run.versions),
        "config": run.config,
        "began": next((began for began, _ in ledger.times()), None),
        "finished": when,
        "judged": found.judged,
        "failures": found.failures,
    }


def mode_rows(modes: Sequence[Mode]) -> list[dict[str, Any]]:
    """What a suite says of its modes."""
    return [
        {
            "id": mode.id, "name": mode.name, "state": mode.state, "rule": mode.rule.plain(),
            "rate": mode.best.rate.value, "interval": [mode.best.rate.low, mode.best.rate.high], "n": mode.best.n,
        }
        for mode in modes
    ]  # fmt: skip


def today() -> str:
    """The date, ISO 8601."""
    return datetime.now(timezone.utc).date().isoformat()


def _readable(images: ImageSource, number: int) -> Image | None:
    try:
        image = images[number]
        image.sha256  # noqa: B018  # read now
        return image
    except (ValueError, OSError):
        return None
