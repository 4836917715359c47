"""What a probe found, read from its ledger: failures with duplicates merged, where they are, and what is not known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vlmprobe import metrics
from vlmprobe.ledger import FailureRow, JudgedQuestions, Ledger, RunRecord
from vlmprobe.loop.examine import failures_of
from vlmprobe.loop.record import recorded_round
from vlmprobe.loop.tally import Tally
from vlmprobe.methods.bandit import Bandit
from vlmprobe.models.protocols import Embedder
from vlmprobe.probe.build import HINTED, RUN, bandit_of, cost_of
from vlmprobe.probe.config import Probe
from vlmprobe.probe.guards import Alarm, alarms_of
from vlmprobe.probe.hints import AskedFor, HintCounts
from vlmprobe.probe.own_answers import OwnAnswer, kinds_of, own_answers_of
from vlmprobe.probe.signs import Signs, same, shares, signs_of
from vlmprobe.run.pictures import left_out_of
from vlmprobe.text import prefixes


@dataclass(frozen=True, kw_only=True)
class Failing:
    """A question about a picture that was answered wrongly, as often as that was seen."""

    image: int
    """Number of the picture in its source."""
    image_key: str
    question: str
    answers: Mapping[str, int]
    """What was answered -> how often."""
    reason: str
    """The verifier's words about the first of them."""
    times: int
    """How often it failed."""
    asked: int
    """How often it was valid, with an answer that was judged."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The questions that begin with the same words."""

    words: str
    valid: int
    """Of these, judged answers."""
    wrong: int
    rate: metrics.Rate
    failing: Sequence[Failing]
    """The failures, those seen most often first."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """Who played a role, and what that took."""

    name: str
    identity: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All of it."""

    tally: Tally
    qvr: metrics.Rate
    fdr: metrics.Rate
    beginnings: Sequence[Beginning]
    """By the first words of the question; most failures first."""
    missing: Mapping[str, Mapping[str, int]]
    """For `validity`, `answer` and `correctness`, why calls brought nothing to how many did."""
    roles: Sequence[Role]
    pictures: int
    """Pictures that were asked about."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Key of a picture that could not be read -> why."""
    steps: int = 0
    finished: bool = False
    unscored: float = math.nan
    """Share of the questions without a verdict on them or on the answer that was asked for; NaN of none."""
    truncated: float = math.nan
    """Share of all replies that were cut; NaN of none."""
    alarms: Sequence[Alarm] = ()
    """What began to go wrong, in order."""
    versions: Mapping[str, str] = field(default_factory=dict)
    hints: Sequence[AskedFor] = ()
    """What was asked for, and what came of it; empty where no hint was given."""
    own_answers: Sequence[OwnAnswer] = ()
    """What the verifier said of its own answers to failing questions."""

    @property
    def failures(self) -> int:
        """Different failures: picture and question."""
        return sum(len(each.failing) for each in self.beginnings)

    def numbers(self, embedder: Embedder) -> dict[str, Any]:
        """The paper's numbers and these, as plain values."""
        return {
            **self.tally.numbers(embedder),
            "failures": self.failures,
            "pictures": self.pictures,
            "pictures_left_out": len(self.left_out),
            "steps": self.steps,
            "finished": self.finished,
            "unscored": self.unscored,
            "truncated": self.truncated,
            "guards": [asdict(alarm) for alarm in self.alarms],
            "missing": {what: dict(why) for what, why in self.missing.items()},
            "roles": {role.name: {k: v for k, v in vars(role).items() if k != "name"} for role in self.roles},
            "beginnings": [
                {"words": each.words, "judged": each.valid, "wrong": each.wrong, "rate": each.rate.value,
                 "interval": [each.rate.low, each.rate.high]}
                for each in self.beginnings
            ],
            "hints": [asdict(each) for each in self.hints],
            "own_answers": {
                "judged": len(self.own_answers),
                "wrong": sum(not each.correct for each in self.own_answers),
                "kinds": [
                    {"word": each.word, "judged": each.wrong.n, "rate": each.wrong.value,
                     "interval": [each.wrong.low, each.wrong.high]}
                    for each in kinds_of(self.own_answers)
                ],
            },
        }  # fmt: skip


def findings(ledger: Ledger, probe: Probe, folder: str | Path) -> Findings:
    """What a probe's ledger has.

    Args:
        ledger: of the probe.
        probe: its file; prices are taken from there, and the hints that it began with.
        folder: of the file.

    Raises:
        ValueError: the ledger of something else.
    """
    runs = {run.id: run for run in ledger.runs()}
    if RUN not in runs:
        raise ValueError(
            f"[probe] {ledger.path}: expected the ledger of a probe, got {', '.join(runs) or 'an empty one'}"
        )
    tally, judged = Tally(), _Judged()
    for part in ledger.each_judged(RUN):
        tally.add(part)
        judged.add(part)
    missing: dict[str, Counter[str]] = {}
    head = runs[RUN]
    signs, hints = list[Signs](), HintCounts(_bandit(head, probe, folder))
    for record in ledger.each_step(RUN):
        round = recorded_round(record)
        signs.append(replace(signs_of(round), asked=(), rewards=(), terms={}))  # the counts of it
        hints.see(round)
        tally.asking += round.asked.calls
        tally.left_out += round.left_out
        for what, why in failures_of(round).items():
            missing.setdefault(what, Counter()).update(why)
    qvr, fdr = tally.rates()
    unscored, truncated = shares(signs)
    progress = {each.run: each for each in ledger.progress()}
    return Findings(
        tally=tally,
        qvr=qvr,
        fdr=fdr,
        beginnings=_beginnings(judged, ledger.failures(run=RUN)),
        missing=missing,
        roles=_roles(ledger, head.identities, probe),
        pictures=len(judged.images),
        left_out=_left_out(ledger),
        steps=len(signs),
        finished=progress[RUN].finished,
        unscored=unscored,
        truncated=truncated,
        alarms=alarms_of(ledger, RUN),
        versions=head.versions,
        hints=hints.found(),
        own_answers=own_answers_of(ledger, RUN),
    )


def scored_in(ledger: Ledger) -> bool:
    """Whether an answer to a valid question was judged."""
    parts = ((part.valid, part.correct) for part in ledger.each_judged(RUN))
    return any(valid is True and right is not None for pair in parts for valid, right in zip(*pair, strict=True))


class _Judged:
    """Judged answers by question and picture, and by the question's first words."""

    def __init__(self) -> None:
        self.images: set[int] = set()
        self.asked: Counter[tuple[int, str]] = Counter()
        self.wrong: dict[str, list[bool]] = {}
        self.clusters: dict[str, list[int]] = {}

    def add(self, part: JudgedQuestions) -> None:
        words = prefixes(part.text)
        self.images.update(part.image)
        for image, text, valid, right, first in zip(
            part.image, part.text, part.valid, part.correct, words, strict=True
        ):
            if valid is True and right is not None:
                self.asked[image, same(text)] += 1
                self.wrong.setdefault(first, []).append(not right)
                self.clusters.setdefault(first, []).append(image)


def _beginnings(judged: _Judged, failures: Sequence[FailureRow]) -> list[Beginning]:
    merged: dict[tuple[int, str], list[FailureRow]] = {}
    for row in failures:
        merged.setdefault((row.image, same(row.question)), []).append(row)
    by_words: dict[str, list[Failing]] = {}
    for (image, text), rows in merged.items():
        first = rows[0]
        [words] = prefixes([first.question])
        by_words.setdefault(words, []).append(
            Failing(
                image=image,
                image_key=first.image_key,
                question=first.question,
                answers=dict(Counter(row.answer or "" for row in rows).most_common()),
                reason=first.reason,
                times=len(rows),
                asked=judged.asked[image, text],
            )
        )
    found = []
    for words, wrong in judged.wrong.items():
        rate = metrics.rate(list(wrong), cluster=judged.clusters[words])
        failing = sorted(by_words.get(words, []), key=lambda each: (-each.times, each.image, each.question))
        found.append(Beginning(words=words, valid=len(wrong), wrong=sum(wrong), rate=rate, failing=failing))
    return sorted(found, key=lambda each: (-len(each.failing), -each.wrong, each.words))


def _roles(ledger: Ledger, identities: Mapping[str, str], probe: Probe) -> list[Role]:
    priced = {"questioner": probe.questioner, "answerer": probe.answerer, "verifier": probe.verifier}
    found = []
    for name, identity in identities.items():
        spent = ledger.spent(RUN, name)
        found.append(
            Role(
                name=name,
                identity=identity,
                calls=spent.calls,
                prompt_tokens=spent.prompt_tokens,
                completion_tokens=spent.completion_tokens,
                cost=cost_of(priced[name], spent) if name in priced else 0.0,
            )
        )
    return found


def _bandit(head: RunRecord, probe: Probe, folder: str | Path) -> Bandit | None:
    """Who chose the hints, as it was at first; None where nobody did, or the list of hints has changed since."""
    if probe.way not in HINTED:
        return None
    try:
        bandit = bandit_of(probe, folder)
    except (ValueError, OSError):
        return None
    return bandit if bandit.identity in head.identities.get("questioner", "") else None


def _left_out(ledger: Ledger) -> dict[str, str]:
    return {one.key: one.reason for one in left_out_of(ledger, RUN)}
