"""Following up what failed: the same question about other pictures, and close variants of it, until its kind is known.

An *archive* has every question that failed, by its text. A share of the pictures of each step is asked questions of the
archive, or variants of them with one word changed; about the other pictures another asker asks. For a picture the texts
of the highest value are taken that it was not asked yet:

    value   draw of Beta(1 + f, 1 + n - f)  x  chance to be valid here;  0 where the kind is known
    n, f    judged answers to the text about any picture, and failures
    kind    failed pairs whose content words are close to the text's: known at `cap` of them

A variant has another word in the place of one, which some valid question had between the same neighbours. It is in the
archive as soon as it is asked; kinds and chances are known from texts and verdicts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vlmprobe._util.checks import check_count
from vlmprobe.loop.ask import show_learner
from vlmprobe.loop.round import Round
from vlmprobe.methods.hints import content_words
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asker, Completions, tagged

FOLLOWED = "again: "
"""What the ledger has as a follow-up's hint, before the text."""


@dataclass(frozen=True, kw_only=True)
class FollowUpOptions:
    """How much is followed up, and how far."""

    share: float = 0.5
    """Of the pictures of a step, at most; in [0, 1]."""
    cap: int = 12
    """Failed pairs of a kind at which it is known, and followed up no more."""
    close: float = 0.6
    """Least Jaccard similarity of the content words of two questions of a kind."""
    variants: int = 4
    """Variants of each failure that are tried."""

    def __post_init__(self) -> None:
        check_count("FollowUpOptions", "cap", self.cap)
        for name in ("share", "close"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"[FollowUpOptions] {name}: expected a share in [0, 1], got {getattr(self, name)}")


@dataclass
class _Text:
    """A text of the archive."""

    words: frozenset[str]
    judged: int = 0
    failed: int = 0
    asked: int = 0
    valid: int = 0
    near: int = 0
    """Failed pairs that are close to it."""
    varied: bool = False
    """Whether its variants were entered."""
    images: set[int] = field(default_factory=set)
    """Those that it was asked about."""


class FollowUp:
    """See the head of this file. An asker that learns, around one that may learn, too.

    Args:
        asker: asks about the other pictures, and finds what is followed up.
        options: see `FollowUpOptions`.

    Example:
        >>> asker = FollowUp(ChatAsker(client, hints=Bandit(read_hints())))  # doctest: +SKIP
    """

    def __init__(self, asker: Asker, options: FollowUpOptions = FollowUpOptions()):
        self._asker, self._options = asker, options
        self._archive: dict[str, _Text] = {}
        self._failed: list[frozenset[str]] = []  # content words of each failed pair
        self._pairs: set[tuple[int, str]] = set()
        self._held: dict[int, set[str]] = {}  # image -> words of the valid questions about it
        self._between: dict[tuple[str, str], set[str]] = {}  # (word before, word after) -> words of valid questions
        self.identity = f"{asker.identity} [followed up, {options}]"

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`."""
        rng = np.random.default_rng([seed, step, 1])
        followed = self._followed(images, k * group_size, rng)
        rest = [image for place, image in enumerate(images) if place not in followed]
        said: dict[int, list[str]] = {}
        hints = {place: FOLLOWED + texts[0] for place, texts in followed.items()}
        calls = 0
        if rest:
            asked = self._asker.ask(rest, k=k, group_size=group_size, seed=seed, step=step)
            places = [place for place in range(len(images)) if place not in followed]
            calls = asked.calls
            for text, group in zip(asked.texts, asked.group.tolist(), strict=True):
                said.setdefault(places[group], []).append(text)
            hints |= dict(zip(places, asked.hints, strict=False))
        for place, texts in followed.items():
            said[place] = [tagged(texts[i : i + k]) for i in range(0, len(texts), k)]
        order = range(len(images))
        return Completions.of(
            [said.get(place, []) for place in order], calls=calls, hints=[hints.get(place, "") for place in order]
        )

    def see(self, round: Round) -> None:
        """See `vlmprobe.loop.ask.Learns`."""
        show_learner(self._asker, round)
        rows = zip(round.pictures, round.questions.text, round.valid.tolist(), round.correct.tolist(), strict=True)
        for picture, text, valid, correct in rows:
            if text and valid != -1 and (picture.id, text) not in self._pairs:
                self._take(picture.id, text, valid == 1, None if correct == -1 else correct == 1)

    def _take(self, image: int, text: str, valid: bool, correct: bool | None) -> None:
        self._pairs.add((image, text))
        words, wrong = content_words(text), valid and correct is False
        if wrong and text not in self._archive:
            self._enter(text, words)
        known = self._archive.get(text)
        if known is not None:
            known.images.add(image)
            known.asked += 1
            known.valid += valid
            known.judged += valid and correct is not None
            known.failed += wrong
        if valid:
            self._held.setdefault(image, set()).update(words)
            said = ["", *text.split(), ""]
            for before, word, after in zip(said, said[1:], said[2:], strict=False):
                self._between.setdefault((before, after), set()).add(word)
        if wrong:
            self._failed.append(words)
            for each in self._archive.values():
                each.near += self._close(each.words, words)

    def _enter(self, text: str, words: frozenset[str]) -> None:
        self._archive[text] = _Text(words, near=sum(self._close(words, other) for other in self._failed))

    def _close(self, one: frozenset[str], other: frozenset[str]) -> bool:
        return len(one & other) >= self._options.close * len(one | other)

    def _followed(self, images: Sequence[Picture], count: int, rng: np.random.Generator) -> dict[int, list[str]]:
        """Place of an image -> the texts that it is asked; fewer than `count` where there are no more."""
        open_texts = [text for text, known in self._archive.items() if known.near < self._options.cap]
        self._vary(open_texts, rng)
        texts = [text for text, known in self._archive.items() if known.near < self._options.cap]
        if not texts:
            return {}
        known = [self._archive[text] for text in texts]
        failed, judged = (np.array([getattr(each, name) for each in known]) for name in ("failed", "judged"))
        valid = np.array([(1 + each.valid) / (3 + each.asked) for each in known])
        found: list[tuple[float, int, list[str]]] = []
        for place, image in enumerate(images):
            held = self._held.get(image.id, set())
            fits = np.array([len(each.words & held) / max(1, len(each.words)) for each in known])
            new = np.array([image.id not in each.images for each in known])
            value = rng.beta(1 + failed, 1 + judged - failed) * valid * fits**2 * new
            best = np.argsort(-value, kind="stable")[:count]
            chosen = [texts[i] for i in best if value[i] > 0]
            if chosen:
                found.append((float(value[best].sum()), place, chosen))
        most = int(self._options.share * len(images))
        return {place: chosen for _, place, chosen in sorted(found, key=lambda each: (-each[0], each[1]))[:most]}

    def _vary(self, texts: Sequence[str], rng: np.random.Generator) -> None:
        """Enters variants of texts that failed and have none yet."""
        for text in texts:
            known = self._archive[text]
            if not known.failed or known.varied:
                continue
            known.varied = True
            drawn = sorted(self._variants(text) - self._archive.keys())
            for i in rng.permutation(len(drawn))[: self._options.variants]:
                self._enter(drawn[i], content_words(drawn[i]))

    def _variants(self, text: str) -> set[str]:
        said = text.split()
        found = set()
        for at, (before, word, after) in enumerate(zip(["", *said[:-1]], said, [*said[1:], ""], strict=True)):
            if content_words(word):
                for other in self._between.get((before, after), ()):
                    found.add(" ".join([*said[:at], other, *said[at + 1 :]]))
        return found - {text}
