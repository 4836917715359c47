"""Questions that are known before they are asked: a plan of texts about pictures, step by step, as an asker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vlmprobe.data.image import Image
from vlmprobe.data.order import StepImages
from vlmprobe.data.source import ImageSource, keys_of
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.tally import Tally
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.policy.asker import Completions, tagged
from vlmprobe.run.journal import Annotator
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe


@dataclass(frozen=True)
class PlannedStep:
    """What one step asks: some pictures, and the texts for each of them."""

    purpose: str
    """What for; the ledger has it as the hint of the questions."""
    texts: dict[int, list[str]]
    """Number of a picture -> what is asked about it, at least one text."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Who answers and judges, about which pictures, and where it is written down."""

    images: ImageSource
    answerer: Answerer
    verifier: Verifier
    ledger: Ledger
    run: str
    """Of which the plan is a part, in the ledger."""
    annotate: Annotator | None = None
    overlap: bool = False
    """Whether answerer and verifier may be called from several threads."""
    smaller: Callable[[Image, str], Iterable[Image]] | None = None
    """What a picture of which the source knows the truth may be cut to with a question about it, where the source can
    say; see `vlmprobe.world.smaller`."""


class Planned:
    """An asker that asks what a plan says; see `vlmprobe.policy.asker.Asker`.

    Args:
        steps: of the plan.
        images: that its numbers are of; their names, where they are known, are part of what the plan is.
    """

    def __init__(self, steps: Sequence[PlannedStep], images: ImageSource):
        self._steps, keys = list(steps), keys_of(images)
        named = [[number if keys is None else keys[number] for number in each.texts] for each in self._steps]
        both = zip(self._steps, named, strict=True)
        said = json.dumps([[each.purpose, names, list(each.texts.items())] for each, names in both])
        self.digest = hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        self.identity = f"planned questions {self.digest}"

    def __len__(self) -> int:
        return len(self._steps)

    def images_of(self, step: int) -> list[int]:
        """Numbers of the pictures of a step; none after the last."""
        return list(self._steps[step].texts) if step < len(self._steps) else []

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`; seed and group_size change nothing."""
        planned = self._steps[step]
        said = [[tagged(planned.texts[image.id][:k])] if image.id in planned.texts else [] for image in images]
        return Completions.of(said, hints=[planned.purpose] * len(images))


def ask_planned(steps: Sequence[PlannedStep], roles: Roles, *, calls: int, what: str) -> tuple[str, Tally]:
    """Has a plan asked until its calls are spent or it ends. The same plan with as many calls costs no call twice.

    Args:
        steps: of the plan.
        roles: who answers and judges.
        calls: answerer calls at most.
        what: name of the plan's kind; its run in the ledger is `<run>/<what>-<digest of the plan>-<calls>`.

    Returns:
        That name, and the tally.
    """
    asker, k = (
        Planned(steps, roles.images),
        max((len(texts) for each in steps for texts in each.texts.values()), default=1),
    )
    name = f"{roles.run}/{what}-{asker.digest}-{calls}"
    identities = {"answerer": roles.answerer.identity, "verifier": roles.verifier.identity}
    head = RunRecord(id=name, config={"pass": what, "asker": asker.identity, "calls": calls}, identities=identities)
    roles.ledger.begin(head)
    images = of_run(roles.images, roles.ledger, name)
    tally = probe(
        asker, roles.answerer, roles.verifier,
        lambda step: StepImages(images, asker.images_of(step)),
        calls=calls, k=k, seed=0, run=name, phase=what, ledger=roles.ledger, annotate=roles.annotate, resumed=True,
        overlap=roles.overlap,
    )  # fmt: skip
    roles.ledger.finish(name)
    return name, tally
