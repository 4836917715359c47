"""Following up what failed: the same question about other pictures, and close variants of it, until its kind is known.

An archive has every text that failed, and variants of it with one word changed. A share of the pictures of each step
is asked texts of the archive; about the others another asker asks, and what it asks a second time about a picture is
left out. A picture is asked the texts of the highest value that it was not asked yet, those above a floor:

    value   (draw of Beta(1 + f, 1 + n - f) - base)  x  (1 + v) / (3 + a)  x  chance to be valid about this picture
    base    (1 + failures) / (20 + judged) over what the other asker asked
    a, v    pictures that the text was asked about, and those about which it was valid
    n, f    those of which the answer was judged, and failures
    kind    the failed pairs whose content words are close to the text's; at `cap` of them it is known, and the text is
            asked no more

Kinds and chances are known from texts and verdicts alone. Nothing is learned by a gradient.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from vlmprobe._util.checks import check_count
from vlmprobe.ledger.recorded_model import AsksModel
from vlmprobe.loop.ask import calls_at_most, learner_of, refusing, show_learner
from vlmprobe.loop.round import Round
from vlmprobe.methods.archive import Archive
from vlmprobe.methods.bandit import HintValue
from vlmprobe.models.model import Model
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asked, Asker, Completions, tagged
from vlmprobe.policy.sampling import drawn_of
from vlmprobe.text import parse_responses

FOLLOWED = "again: "
"""What the ledger has as the hint of a follow-up, before its first text."""
KNOWN = "(asked before)"
"""Ends a completion in which a question was left out because its picture was asked it before."""


@dataclass(frozen=True, kw_only=True)
class FollowUpOptions:
    """How much is followed up, and how far. The defaults are those of docs/LOG.md's trials."""

    share: float = 0.5
    """Of the pictures of a step, at most; in [0, 1]."""
    cap: int = 16
    """Failed pairs of a kind at which it is known."""
    close: float = 0.3
    """Least Jaccard similarity of the content words of two questions of a kind, in [0, 1]."""
    floor: float = 0.03
    """Value that a text must exceed, in [0, 1]."""
    variants: int = 4
    """Variants of each text that failed."""

    def __post_init__(self) -> None:
        check_count("FollowUpOptions", "cap", self.cap)
        for name in ("share", "close", "floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"[FollowUpOptions] {name}: expected a share in [0, 1], got {getattr(self, name)}")
        if self.variants < 0:
            raise ValueError(f"[FollowUpOptions] variants: expected at least 0, got {self.variants}")


class FollowUp:
    """See the head of this file. An asker that learns, around one that may learn, too; around a `Questioner`, what that
    drew is known as `Completions.drawn`, so that a `Trainer` can learn from it alone.

    Args:
        asker: asks about the other pictures, and finds what is followed up.
        options: see `FollowUpOptions`.

    Example:
        >>> asker = FollowUp(ChatAsker(client, hints=Bandit(read_hints())))  # doctest: +SKIP
    """

    def __init__(self, asker: Asker, options: FollowUpOptions = FollowUpOptions()):
        self._asker, self._options = asker, options
        self._archive = Archive(options.close)
        self._judged, self._failed = 20, 1  # of the other asker's questions
        self.identity = f"{asker.identity} [followed up, {options}]"

    @property
    def model(self) -> Model | None:
        """Who is asked, where the other asker asks a model by message."""
        return self._asker.model if isinstance(self._asker, AsksModel) else None

    def with_model(self, model: Model) -> FollowUp:
        """The same, where the other asker asks another model."""
        other = copy.copy(self)
        if isinstance(self._asker, AsksModel):
            other._asker = self._asker.with_model(model)
        return other

    def cannot_ask(self, image: Picture) -> str:
        """The other asker's; see `vlmprobe.loop.ask.refusing`."""
        return refusing(self._asker)(image)

    def calls_at_most(self, *, k: int, group_size: int) -> int:
        """The other asker's; see `vlmprobe.policy.asker.AsksAnswerer`."""
        return calls_at_most(self._asker, k=k, group_size=group_size)

    def values(self) -> list[HintValue]:
        """What is known of the hints of the asker, where it is told hints by a bandit."""
        values = getattr(learner_of(self._asker), "values", list)
        return list(values())

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`."""
        followed = self._followed(images, k * group_size, np.random.default_rng([seed, step, 1]))
        said = {
            place: [_Said(tagged(texts[i : i + k])) for i in range(0, len(texts), k)]
            for place, texts in followed.items()
        }
        hints = {place: FOLLOWED + texts[0] for place, texts in followed.items()}
        places, calls, drawn = [place for place in range(len(images)) if place not in followed], 0, None
        if places:
            rest = [images[place] for place in places]
            asked = self._asker.ask(rest, k=k, group_size=group_size, seed=seed, step=step)
            calls = asked.calls
            rows = zip(self._without_known(asked, rest, k), asked.lengths.tolist(), asked.group.tolist(), strict=True)
            for text, tokens, group in rows:
                said.setdefault(places[group], []).append(_Said(text, tokens))
            hints |= dict(zip(places, asked.hints, strict=False))
            drawn = drawn_of(asked)
        made = _completions([said.get(place, []) for place in range(len(images))], calls, hints)
        if drawn is None:
            return made
        begins = [0, *itertools.accumulate(len(said.get(place, [])) for place in range(len(images)))]
        own = [row for place in places for row in range(begins[place], begins[place + 1])]
        return replace(made, drawn=replace(drawn, rows=torch.tensor(own)[drawn.rows]))

    def see(self, round: Round) -> None:
        """See `vlmprobe.loop.ask.Learns`. A question of unknown validity counts for nothing."""
        show_learner(self._asker, round)
        columns = round.pictures, round.questions.text, round.valid.tolist(), round.correct.tolist(), round.hints
        for picture, text, valid, correct, hint in zip(*columns, strict=True):
            if correct != -1 and not hint.startswith(FOLLOWED):
                self._judged += 1
                self._failed += correct == 0
            if text and valid != -1:
                truth = None if correct == -1 else correct == 1
                self._archive.take(picture.id, text, valid=valid == 1, correct=truth)
        self._archive.vary(self._options.variants, cap=self._options.cap, seed=round.place.step)

    def _followed(self, images: Sequence[Picture], count: int, rng: np.random.Generator) -> dict[int, list[str]]:
        """Place of an image -> the texts that it is asked, at most `count`; the images of the highest values."""
        entries = self._archive.unsettled(self._options.cap)
        if not entries:
            return {}
        columns = ([getattr(each, name) for each in entries] for name in ("asked", "valid", "judged", "failed"))
        asked, valid, judged, failed = map(np.array, columns)
        found: list[tuple[float, int, list[str]]] = []
        base = self._failed / self._judged
        for place, image in enumerate(images):
            new = np.array([image.id not in each.images for each in entries])
            drawn = rng.beta(1 + failed, 1 + judged - failed) - base
            value = drawn * (1 + valid) / (3 + asked) * self._archive.chances(image.id, entries) * new
            best = [i for i in np.argsort(-value, kind="stable")[:count] if value[i] > self._options.floor]
            if best:
                found.append((float(value[best].sum()), place, [entries[i].text for i in best]))
        most = int(self._options.share * len(images))
        return {place: texts for _, place, texts in sorted(found, key=lambda each: (-each[0], each[1]))[:most]}

    def _without_known(self, asked: Asked, images: Sequence[Picture], k: int) -> list[str]:
        """[B] completions in which a question that its picture was asked before leaves an empty slot: it counts as
        asked, and takes no answer. All else stays as it was said, a slot that was cut among it."""
        said = [text.encode("utf-8", "surrogatepass") for text in asked.texts]
        questions = parse_responses(asked.texts, k=k, token_ends=[np.arange(1, len(each) + 1) for each in said])
        columns = (getattr(questions, name).tolist() for name in ("sequence", "slot", "token_begin", "token_end"))
        known: list[list[int]] = []
        seen: set[tuple[int, str]] = set()
        for *row, text in zip(*columns, questions.text, strict=True):
            pair = (images[int(asked.group[row[0]])].id, text)
            if text and (pair in seen or pair in self._archive):
                known.append(row)
            seen.add(pair)
        for sequence, slot, begin, end in reversed(known):  # from behind, so that the bytes before stay in their places
            tag = b"response_%d" % (slot + 1)
            said[sequence] = said[sequence][:begin] + b"<%b> </%b>" % (tag, tag) + said[sequence][end:]
        without = {row[0] for row in known}
        texts = [each.decode("utf-8", "surrogatepass") for each in said]
        return [f"{text} {KNOWN}" if row in without else text for row, text in enumerate(texts)]


class _Said(NamedTuple):
    """A completion."""

    text: str
    tokens: int = 0
    """That it took; 0 where that is not known, and of a follow-up, which nobody wrote."""


def _completions(said: Sequence[Sequence[_Said]], calls: int, hints: Mapping[int, str]) -> Completions:
    """Those about each image, and the hints by the image's place."""
    told = [hints.get(place, "") for place in range(len(said))] if hints else []
    made = Completions.of([[each.text for each in some] for some in said], calls=calls, hints=told)
    return replace(made, tokens=[each.tokens for some in said for each in some])
