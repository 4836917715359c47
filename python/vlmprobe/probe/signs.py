"""The signs of a step that a guard looks at, and what they come to over some steps."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import StatisticsError, correlation, fmean
from typing import Any

from vlmprobe import metrics
from vlmprobe._util.visible import bare
from vlmprobe.loop.record import DEGENERATE
from vlmprobe.loop.round import Round
from vlmprobe.methods.local_search import FOLLOWED, KNOWN
from vlmprobe.models.replies import Failure
from vlmprobe.probe.own_answers import Kind
from vlmprobe.text import SlotStatus

NO_QUESTION = "no question"
NOTHING_NEW = "nothing new"
"""Why a questioner is of no use: what it writes holds no question, or only what its pictures were asked before, which
was left out (`vlmprobe.methods.local_search`)."""
_IDLE = (Failure.REFUSAL, Failure.EMPTY, Failure.TRUNCATED, Failure.UNPARSABLE)
_DECLINES = re.compile(
    r"(i['’]?m sorry|i am sorry|sorry,|i can(no|['’])?t |i['’]?m (not able|unable)|i am (not able|unable))"
)


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What is looked at of a step."""

    step: int
    posed: int = 0
    """Questions."""
    unscored: int = 0
    """Of these, without a verdict on them or on the answer that was given or failed."""
    replies: Mapping[str, int] = field(default_factory=dict)
    """Role -> its replies."""
    cut: Mapping[str, int] = field(default_factory=dict)
    """Role -> those of them that were cut."""
    idle: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Role of which no reply was of use -> how many there were, and the most frequent cause."""
    asked: Sequence[tuple[int, str]] = ()
    """[posed] picture and question."""
    rewards: Sequence[float] = ()
    """[scored] of the questions; none where nothing is trained."""
    terms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """[scored] each; 0 where a term says nothing."""
    groups: int = 0
    degenerate: float | None = None
    entropy: float | None = None
    kl: float | None = None
    kinds: Sequence[Kind] = ()
    """Of what the verifier said of its own answers until then; the one first that it rejects most surely."""


def signs_of(round: Round, numbers: Mapping[str, float | None] | None = None) -> Signs:
    """The signs of an examined round, with what its update did where there was one."""
    numbers, ok = numbers or {}, round.questions.ok.tolist()
    rows = [i for i, there in enumerate(ok) if there]
    verdicts = [verdict for i in rows if (verdict := round.verdicts[i]) is not None]
    replies, cut, idle = _replies(round)
    rewards, terms = _rewards(round)
    trained = "kl" in numbers
    return Signs(
        step=round.place.step,
        posed=len(verdicts),
        unscored=sum(
            verdict.valid is None or (verdict.valid and round.answers[i] is not None and verdict.correct is None)
            for i in rows
            if (verdict := round.verdicts[i]) is not None
        ),
        replies=replies,
        cut=cut,
        idle=idle,
        asked=[(round.pictures[i].id, same(round.questions.text[i])) for i in rows],
        rewards=rewards,
        terms=terms,
        groups=len(round.asked.group.unique()),
        degenerate=float(numbers.get(DEGENERATE) or 0) if trained else None,
        entropy=_known(numbers.get("entropy")),
        kl=_known(numbers.get("kl")),
    )


def same(text: str) -> str:
    """Texts that nobody tells apart are one."""
    return " ".join(bare(text).casefold().split())


def shares(seen: Sequence[Signs]) -> tuple[float, float]:
    """Of the questions those that are unscored, and of all replies those that were cut; NaN of none."""
    unscored = _share(sum(each.unscored for each in seen), sum(each.posed for each in seen))
    cut = sum(sum(each.cut.values()) for each in seen)
    replies = sum(sum(each.replies.values()) for each in seen)
    return _nan(unscored), _nan(_share(cut, replies))


Measured = tuple[float | None, str]
"""A value, None where it is not known; and the sentence, with places for value and limit."""


def _unscored(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    return _some(shares(last)[0]), (
        "{value} of the questions of the last steps are unscored (at most {limit}): see what is not known and why, "
        "and put that right at the server or in the prompts"
    )


def _truncated(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    by_role = {
        role: _share(sum(each.cut.get(role, 0) for each in last), sum(each.replies.get(role, 0) for each in last))
        for role in ("questioner", "answerer", "verifier")
    }
    role = max(by_role, key=lambda each: by_role[each] or 0.0)
    return by_role[role], (
        f"{{value}} of the {role}'s replies in the last steps were cut (at most {{limit}}): raise {role}.max_tokens, "
        "or have it think less"
    )


def _repeats(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    asked = [each for signs in last for each in signs.asked]
    return _share(len(asked) - len(set(asked)), len(asked)), (
        "{value} of the questions of the last steps repeat one about the same picture (at most {limit}): raise "
        "questioner.temperature, lower group_size, or give more pictures"
    )


def _prefixes(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    texts = [text for signs in last for _, text in signs.asked]
    return metrics.prefix_entropy(texts) if len(texts) > 1 else None, (
        "the questions of the last steps all begin alike: entropy of their first two words {value} (at least {limit}); "
        "raise questioner.temperature, or change its prompt"
    )


def _length(first: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    before, now = _words(first), _words(last)
    if not before or not now:
        return None, ""
    return max(now / before, before / now), (
        f"questions have {now:.0f} words now and had {before:.0f} at first, {{value}} times as many or as few (at most "
        "{limit}): look at them; where the questioner is trained, the reward may pay for length"
    )


def _contradictions(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    if not last[-1].kinds:
        return None, ""
    kind = last[-1].kinds[0]
    word, rate = kind.word.replace("{", "{{").replace("}", "}}"), kind.wrong
    return rate.low, (
        f"the verifier rejects {round(rate.value * rate.n)} of its own {rate.n} answers to questions about “{word}” "
        "that failed, at least {value} by the interval (at most {limit}): take failures of this kind for its own and "
        "not the answerer's; look at some, and judge them with another model (vlmprobe rejudge)"
    )


def _term(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    rewards = [value for signs in last for value in signs.rewards]
    names = sorted(set.intersection(*(set(signs.terms) for signs in last)))
    columns = {name: [value for signs in last for value in signs.terms[name]] for name in names}
    varying = {name: values for name, values in columns.items() if len(set(values)) > 1}
    if len({"valid" if name == "invalid" else name for name in varying}) < 2 or len(set(rewards)) < 2:
        return None, ""
    explained = {name: _explained(values, rewards) for name, values in varying.items()}
    name = max(explained, key=lambda each: explained[each])
    return explained[name], (
        f"the reward of the last steps is explained by its term `{name}` alone to {{value}} (at most {{limit}}): the "
        "other terms teach nothing; change training.reward"
    )


def _degenerate(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    if any(each.degenerate is None for each in last):
        return None, ""
    return _share(sum(each.degenerate or 0 for each in last), sum(each.groups for each in last)), (
        "{value} of the groups of the last steps teach nothing, all of their rewards being equal (at most {limit}): "
        "raise group_size or questioner.temperature, or change training.reward"
    )


def _entropy(first: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    before, now = _mean(each.entropy for each in first), _mean(each.entropy for each in last)
    if not before or now is None:
        return None, ""
    return now / before, (
        "the questioner's entropy is {value} of what it was at first (at least {limit}): it draws ever the same; raise "
        "training.beta or lower training.learning_rate"
    )


def _kl(_: Sequence[Signs], last: Sequence[Signs]) -> Measured:
    return _mean(each.kl for each in last), (
        "the questioner is {value} nats per token from what it was (KL; at most {limit}): raise training.beta or lower "
        "training.learning_rate"
    )


MEASURES: Mapping[str, tuple[Callable[[Sequence[Signs], Sequence[Signs]], Measured], bool]] = {
    "unscored": (_unscored, False), "truncated": (_truncated, False), "repeats": (_repeats, False),
    "prefixes": (_prefixes, True), "length": (_length, False), "contradictions": (_contradictions, False),
    "term": (_term, False), "degenerate": (_degenerate, False), "entropy": (_entropy, True), "kl": (_kl, False),
}  # fmt: skip
"""Name -> how it is measured, and whether the limit is a floor."""


def _replies(round: Round) -> tuple[dict[str, int], dict[str, int], dict[str, tuple[int, str]]]:
    """Role -> its replies, those that were cut, and for a role without a reply of use how many and why."""
    status = round.questions.status.tolist()
    unclosed = {
        s for s, each in zip(round.questions.sequence.tolist(), status, strict=True) if each == SlotStatus.unclosed
    }
    answers = [answer for answer in round.answers if answer is not None]
    verdicts = [verdict for verdict in round.verdicts if verdict is not None]
    judged = [v for v, a in zip(round.verdicts, round.answers, strict=True) if v is not None and a is not None and a.ok]
    by_role = {
        "answerer": [
            Failure.REFUSAL if each.text is not None and _DECLINES.match(each.text.strip().casefold()) else each.failure
            for each in answers
        ],
        "verifier": [each.failure if each.valid is None else None for each in verdicts],
        "verifier of answers": [each.failure if each.correct is None else None for each in judged],
    }
    replies = {"questioner": len(round.asked), "answerer": len(answers), "verifier": len(verdicts) + len(judged)}
    cut = {
        "questioner": len(unclosed),
        "answerer": sum(each.failure is Failure.TRUNCATED for each in answers),
        "verifier": sum(each.failure is Failure.TRUNCATED for each in verdicts),
    }
    idle = {
        role: (len(each), str(Counter(each).most_common(1)[0][0]))
        for role, each in by_role.items()
        if each and all(failure in _IDLE for failure in each)
    }
    own = _own(round)
    if own and own.isdisjoint(round.questions.sequence[round.questions.ok].tolist()):
        known = all(round.asked.texts[row].endswith(KNOWN) for row in own)
        idle["questioner"] = len(own), NOTHING_NEW if known else NO_QUESTION
    return replies, cut, idle


def _own(round: Round) -> set[int]:
    """The completions that the questioner wrote: those of follow-ups are questions that were asked before."""
    again = {place for place, hint in enumerate(round.asked.hints) if hint.startswith(FOLLOWED)}
    return {row for row, place in enumerate(round.asked.group.tolist()) if place not in again}


def _rewards(round: Round) -> tuple[list[float], dict[str, list[float]]]:
    if round.rewards is None or not round.rewards.terms:
        return [], {}
    total = round.rewards.question.tolist()
    rows = [i for i, value in enumerate(total) if math.isfinite(value)]
    terms = {name: values.nan_to_num(nan=0.0).tolist() for name, values in round.rewards.terms.items()}
    return [total[i] for i in rows], {name: [values[i] for i in rows] for name, values in terms.items()}


def _explained(term: Sequence[float], reward: Sequence[float]) -> float:
    try:
        return correlation(term, reward) ** 2
    except StatisticsError:
        return 0.0


def _words(seen: Sequence[Signs]) -> float | None:
    return _mean(float(len(text.split())) for signs in seen for _, text in signs.asked)


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _some(value: float) -> float | None:
    return None if math.isnan(value) else value


def shown(name: str, value: float) -> str:
    return f"{value:.2f}" if name in ("prefixes", "length", "kl") else f"{100 * value:.0f} %"
