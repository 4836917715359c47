"""Fresh questions for each rule: they had no part in finding it, and none in choosing what was asked before.

Every text of the run that a rule takes, whether or not it failed, is asked about pictures that it was not asked about,
and so are variants of what failed with one word changed (`vlmprobe.methods.archive`), as far as the rule takes their
words. A rule that speaks of pictures is asked about on those alone. Of all such pairs those come first that are most
likely to be valid, by what was valid about the picture before. The rules take turns, a step each, until the calls are
spent. The rate on the fresh questions is the one that counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vlmprobe.data.source import ImageSource, keys_of
from vlmprobe.ledger import Ledger
from vlmprobe.methods.archive import Archive, Entry
from vlmprobe.modes.asked import NOTHING, Asked, Besides, asked_of, described
from vlmprobe.modes.concepts import answer_words, labels_of, picture_of, words_of
from vlmprobe.modes.find import FindOptions, ranked
from vlmprobe.modes.mode import Mode, id_of
from vlmprobe.modes.planned import PlannedStep, Roles, ask_planned
from vlmprobe.modes.rating import rated, state_of
from vlmprobe.modes.rules import Rule

WHAT = "modes"
PICTURES, TEXTS = 8, 2
"""Of a step: pictures, and questions about each."""
MOST_TEXTS = 60
"""Texts that are considered for a rule."""
VARIANTS = 4
CLOSE = 0.3  # of the archive, as follow-ups have it; nothing depends on it here


def confirm(
    modes: Sequence[Mode],
    asked: Sequence[Asked],
    roles: Roles,
    *,
    calls: int,
    options: FindOptions,
    besides: Besides = NOTHING,
) -> tuple[list[Mode], int]:
    """The modes with a rating on fresh questions, and the answerer calls that these took.

    Rules that were refuted already are not asked about. A rule that fresh questions bear out is `confirmed`; one of
    which they show that it does not hold is `refuted`; where there were too few of them, it stays what it was.

    Args:
        modes: of `find_modes`.
        asked: the questions in which they were found.
        roles: who answers and judges; the pictures under the numbers that `asked` has.
        calls: answerer calls at most, at least 1.
        options: with which the modes were found.
        besides: what is said of questions and pictures, as when they were found.
    """
    tried = [mode for mode in modes if mode.state != "refuted"]
    rules = [mode.rule for mode in tried]
    steps = plan(rules, asked, _names(roles.images), calls=calls, seed=options.seed, besides=besides)
    if not steps:
        return list(modes), 0
    name, tally = ask_planned(steps, roles, calls=calls, what=WHAT)
    fresh = asked_later(roles.ledger, [name], asked, besides=besides)
    ratings = rated([mode.rule for mode in tried], fresh, asked)
    found = {mode.id: mode for mode in modes}
    for mode, rating in zip(tried, ratings, strict=True):
        state = state_of(mode.rule, rating, fresh, alpha=options.alpha)
        kept = mode.state if state == "unsure" else "confirmed" if state == "held" else state
        found[mode.id] = replace(mode, fresh=rating, state=kept)
    return ranked(list(found.values())), tally.spent


def asked_later(
    ledger: Ledger, runs: Sequence[str], asked: Sequence[Asked], *, besides: Besides = NOTHING
) -> list[Asked]:
    """The questions of some runs that are not among those asked before, with the right answers that were known then."""
    known = answer_words(each.answer for each in asked if each.valid and not each.wrong)
    before = {each.pair for each in asked}
    return [each for each in described(asked_of(ledger, runs), known=known, besides=besides) if each.pair not in before]


def plan(
    rules: Sequence[Rule], asked: Sequence[Asked], pictures: Sequence[str], *, calls: int, seed: int,
    besides: Besides = NOTHING,
) -> list[PlannedStep]:  # fmt: skip
    """What is asked, step by step; the rules take turns.

    Args:
        rules: to be confirmed.
        asked: what was asked before; pairs of picture and text that are among it are not planned.
        pictures: names of those of the source.
        calls: that are to be spent; three times as many questions are planned, because not all will be valid.
        seed: of what is drawn.
        besides: what is said of questions and pictures.
    """
    if not rules:
        return []
    archive = Archive(CLOSE)
    for each in asked:
        archive.take(each.image, each.text, valid=each.valid, correct=not each.wrong if each.valid else None)
    archive.vary(VARIANTS, cap=len(asked) + 1, seed=seed)
    about: dict[str, set[int]] = {}
    for each in asked:
        about.setdefault(each.text, set()).add(each.image)
    most = -(-3 * calls // len(rules))
    columns = [
        _steps(
            _texts(rule, archive, asked, seed, besides),
            archive,
            about,
            _fitting(rule, pictures, besides),
            what=id_of(rule),
            most=most,
            seed=seed + i,
        )
        for i, rule in enumerate(rules)
    ]
    return [step for turn in itertools.zip_longest(*columns) for step in turn if step is not None]


def _names(images: ImageSource) -> list[str]:
    """Those of all pictures; numbers where a source does not tell them beforehand."""
    keys = keys_of(images)
    return [str(i) for i in range(len(images))] if keys is None else list(keys)


def _fitting(rule: Rule, pictures: Sequence[str], besides: Besides) -> list[int]:
    """Numbers of the pictures that a rule speaks of."""
    pictured = rule.only("picture")
    if pictured is None:
        return list(range(len(pictures)))
    return [i for i, key in enumerate(pictures) if pictured.takes(picture_of(besides.pictures.get(key, ())))]


def _texts(rule: Rule, archive: Archive, asked: Sequence[Asked], seed: int, besides: Besides) -> list[Entry]:
    """What the rule takes of the run's valid questions, and variants whose words it takes; at most `MOST_TEXTS` of
    them, drawn."""
    worded = rule.only("word", "label")
    texts = {each.text for each in asked if each.valid and (worded or rule).takes(each.concepts)}
    variants = (each.text for each in archive.unsettled(len(asked) + 1) if not each.asked)
    said = ((text, words_of(text) | labels_of(besides.questions.get(text, ()))) for text in variants)
    texts |= {text for text, concepts in said if worded is not None and worded.takes(concepts)}
    fitting = [archive.entry(text) for text in sorted(texts)]
    return [fitting[i] for i in np.random.default_rng(seed).permutation(len(fitting))[:MOST_TEXTS]]


def _steps(
    entries: Sequence[Entry], archive: Archive, about: Mapping[str, set[int]], pictures: Sequence[int], *,
    what: str, most: int, seed: int,
) -> Iterator[PlannedStep]:  # fmt: skip
    """Steps of `PICTURES` pictures, those first about which the questions are most likely to be valid."""
    found: list[tuple[float, float, int, list[str]]] = []
    drawn = np.random.default_rng(seed).random(max(pictures, default=0) + 1)  # breaks ties
    for image in pictures:
        free = [each for each in entries if image not in about.get(each.text, ())]
        if free:
            chances = archive.chances(image, free)
            best = np.argsort(-chances, kind="stable")[:TEXTS]
            found.append((-float(chances[best].mean()), drawn[image], image, [free[i].text for i in best]))
    found.sort()
    for begin in range(0, min(len(found), -(-most // TEXTS)), PICTURES):
        texts = {image: said for _, _, image, said in found[begin : begin + PICTURES]}
        yield PlannedStep(purpose=f"mode {what}", texts=texts)
