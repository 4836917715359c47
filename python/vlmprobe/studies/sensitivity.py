"""What another judge would have said: rates, rankings and hard skills under each, and which of them flip.

The judges see the same questions and the same answers (`review.again.rejudge`). Only what the run's own judge held
valid was answered, so the FDR of another judge is over the questions that both hold valid; its QVR is over all.

A flip says that a reader would have been told something else. It does not say that the judges differ significantly.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vlmprobe import metrics
from vlmprobe.ledger import RecordedQuestions
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.metrics import Agreement, Rate
from vlmprobe.studies.sensitivity_pairs import Column, Pair, Views, check, pairs, ranking
from vlmprobe.studies.sensitivity_rewards import RewardSensitivity
from vlmprobe.studies.sensitivity_skills import SkillFlip, skills_compared
from vlmprobe.studies.values import Plain, plain_estimate


@dataclass(frozen=True)
class JudgedRates:
    """A method as one judge sees it."""

    method: str
    judge: str
    qvr: Rate
    """Over all questions."""
    fdr: Rate
    """Over those that the judge holds valid."""


@dataclass(frozen=True)
class JudgeAgreement:
    """How far the run's own judge and another agree."""

    method: str
    judges: tuple[str, str]
    what: str
    """`validity`, of the questions; or `correctness`, of the answers to questions that both hold valid."""
    found: Agreement


@dataclass(frozen=True)
class JudgeSensitivity:
    """Methods under several judges."""

    judges: tuple[str, ...]
    """The run's own first."""
    rates: tuple[JudgedRates, ...]
    ranking: Mapping[str, tuple[str, ...]]
    """Judge to the methods, the highest FDR first, ties by name; a method without an FDR has no place."""
    pairs: tuple[Pair, ...]
    """Of methods, with the difference of their FDR under each judge."""
    skills: tuple[SkillFlip, ...]
    """Those that differ."""
    n_skills: int
    """Pairs of a method and a skill that were compared: enough scored questions under every judge."""
    n_skills_left_out: int
    """Pairs of a method and a skill that had enough of them under some judges only: neither flips nor the same."""
    agreement: tuple[JudgeAgreement, ...]

    @property
    def flips(self) -> tuple[Pair, ...]:
        """The pairs whose order or significance depends on the judge."""
        return tuple(pair for pair in self.pairs if pair.flips)

    def plain(self, rewards: RewardSensitivity | None = None) -> Plain:
        """As values that JSON has, with what the rewards say besides."""
        none = RewardSensitivity((), {}, {}, ())
        return {
            "judges": list(self.judges),
            "rates": [_plain_rates(each) for each in self.rates],
            "ranking": {judge: list(self.ranking[judge]) for judge in self.judges},
            "pairs": [pair.plain() for pair in self.pairs],
            "skills": [each.plain() for each in self.skills],
            "n_skills": self.n_skills,
            "n_skills_left_out": self.n_skills_left_out,
            "rewards": (rewards or none).plain(),
            "agreement": [_plain_agreement(each) for each in self.agreement],
        }


def judge_sensitivity(
    tallies: Views,
    *,
    above: int = metrics.skills.ABOVE,
    level: float = 0.05,
    seed: int = 0,
) -> JudgeSensitivity:
    """Compares what the judges make of the same questions.

    Args:
        tallies: method to judge to the method's questions as the judge saw them; the first judge is the run's own.
            Labels of skills are in `annotations["skills"]`.
        above: skills with no more scored questions than this under one of the judges are not compared.
        level: of p for pairs, each by itself, and of q for skills.
        seed: of the bootstrap.

    Raises:
        ValueError: no method, fewer than two judges, methods with other judges, judges of other questions,
            a number out of range.
        ModuleNotFoundError: there are skills to test and SciPy is missing; names the extra.
    """
    judges = check("judge_sensitivity", tallies, "judge", level)
    if above < 0:
        raise ValueError(f"[judge_sensitivity] above: expected at least 0, got {above}")
    seen = {method: {judge: _seen(by[judge]) for judge in judges} for method, by in tallies.items()}
    rates = [_rates(method, judge, rows) for method, by in seen.items() for judge, rows in by.items()]
    ranked = {judge: ranking({each.method: each.fdr for each in rates if each.judge == judge}) for judge in judges}
    failed = {method: {judge: rows.failed for judge, rows in by.items()} for method, by in seen.items()}
    found = [
        skills_compared(method, {judge: (rows.skills, rows.failed) for judge, rows in by.items()}, above, level)
        for method, by in seen.items()
    ]
    return JudgeSensitivity(
        judges=judges,
        rates=tuple(rates),
        ranking=ranked,
        pairs=pairs(failed, metrics.paired_difference, level=level, seed=seed),
        skills=tuple(flip for each in found for flip in each.flips),
        n_skills=sum(each.compared for each in found),
        n_skills_left_out=sum(each.left_out for each in found),
        agreement=tuple(each for method, by in seen.items() for each in _agreement(method, by, seed)),
    )


@dataclass(frozen=True)
class _Seen:
    """A method's questions as one judge sees them, N of them."""

    valid: Column
    posed: Sequence[bool] = field(repr=False)
    """[N] False for a slot without a question, which no judge sees."""
    right: Sequence[bool | None] = field(repr=False)
    """[N] None where the question is not valid or its answer is not judged."""
    failed: Column
    """[V] of the valid ones: whether the answer was wrong."""
    skills: Sequence[Collection[str]] = field(repr=False)
    """[V]"""


def _seen(tally: RecordedQuestions) -> _Seen:
    images = [image for image, _ in tally.rows]
    valid = [is_valid(question) for _, question in tally.rows]
    right = [is_correct(q) if held else None for (_, q), held in zip(tally.rows, valid, strict=True)]
    kept = [i for i, held in enumerate(valid) if held]
    wrong = [None if truth is None else not truth for truth in (right[i] for i in kept)]
    return _Seen(
        valid=Column(valid, images),
        posed=[question.status == "ok" for _, question in tally.rows],
        right=right,
        failed=Column(wrong, [images[i] for i in kept]),
        skills=[tally.rows[i][1].annotations.get("skills") or () for i in kept],
    )


def _rates(method: str, judge: str, seen: _Seen) -> JudgedRates:
    qvr, fdr = (metrics.rate(column.values, cluster=column.images) for column in (seen.valid, seen.failed))
    return JudgedRates(method, judge, qvr, fdr)


def _agreement(method: str, by: Mapping[str, _Seen], seed: int) -> list[JudgeAgreement]:
    """Of the first judge with each of the others."""
    (own, first), *others = by.items()
    posed = [i for i, each in enumerate(first.posed) if each]
    images = [first.valid.images[i] for i in posed]
    found = []
    for name, other in others:
        columns = {"validity": (first.valid.values, other.valid.values), "correctness": (first.right, other.right)}
        for what, (a, b) in columns.items():
            ratings = [(a[i], b[i]) for i in posed]
            agreed = metrics.annotator_agreement(ratings, cluster=images, seed=seed)
            found.append(JudgeAgreement(method, (own, name), what, agreed))
    return found


def _plain_rates(each: JudgedRates) -> Plain:
    rates = {"qvr": plain_estimate(each.qvr), "fdr": plain_estimate(each.fdr)}
    return {"method": each.method, "judge": each.judge, **rates}


def _plain_agreement(each: JudgeAgreement) -> Plain:
    numbers = {"share": plain_estimate(each.found.share), "kappa": plain_estimate(each.found.kappa)}
    return {"method": each.method, "judges": list(each.judges), "what": each.what, **numbers}
