"""What is known of a failure mode, and the same as plain values."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from vlmprobe._util.html import Html, table, text, titled
from vlmprobe.metrics import Rate
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.rules import Rule

State = Literal["confirmed", "held", "unsure", "refuted"]
"""What its rating says: fresh questions bear it out; the other half of the pictures does; there were too few questions
to tell; or neither does."""

SHOWN_BY: dict[State, str] = {
    "confirmed": "fresh questions", "held": "other pictures", "unsure": "too few questions", "refuted": "refuted",
}  # fmt: skip
"""What bears it out."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A failure of a mode."""

    key: str
    """Name of the picture."""
    image: int
    """Its number in its source."""
    question: str
    answer: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Rated:
    """How questions that had no part in finding a rule were answered."""

    n: int
    """Valid questions that the rule takes, with an answer that was judged."""
    failures: int
    rate: Rate
    """With its interval, which counts pictures."""
    base: Rate
    """Of the questions beside them that no rule takes."""
    p: float
    """Of so many failures where the rule has nothing to do with them; Fisher's exact test, one-sided."""
    q: float
    """The same over all rules that were rated, after Benjamini and Hochberg."""
    valid: float
    """Share of valid ones among the judged questions whose words the rule takes; NaN of none."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A named failure mode."""

    id: str
    """Eight hexadecimal digits of its rule: equal rules have equal ids in all runs."""
    name: str
    rule: Rule
    state: State
    found_on: int
    """Half of the pictures on which it was found; it is rated on the other."""
    found: tuple[int, int]
    """Failures and questions there."""
    rated: Rated
    """On the other half."""
    fresh: Rated | None = None
    """On questions that were asked for this purpose; None where none were."""
    share: Rate
    """Of all failures of the run, those that the rule takes."""
    examples: Sequence[Example] = field(default=(), repr=False)
    """Of different pictures."""

    @property
    def best(self) -> Rated:
        """The rating that its state rests on."""
        return self.rated if self.fresh is None or self.state == "held" else self.fresh

    def row(self) -> tuple[object, ...]:
        """Of a table in a notebook: name, failures, n, rate, that of the others, what shows it, an example, id."""
        best, example = self.best, self.examples[0].question if self.examples else ""
        rates = Html(best.rate._repr_html_()), Html(best.base._repr_html_())
        return self.name, best.failures, best.n, *rates, SHOWN_BY[self.state], example, self.id

    def _repr_html_(self) -> str:
        """Its name and state, its rate, and its examples."""
        rows = [(each.key, each.question, each.answer, each.reason) for each in self.examples]
        rate = text(f"{SHOWN_BY[self.state]}: "), Html(self.best.rate._repr_html_())
        return titled(self.name, *rate, table(("picture", "question", "answer", "the verifier's reason"), rows))

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "rule": self.rule.plain()}


def id_of(rule: Rule) -> str:
    """See `Mode.id`."""
    return hashlib.sha256(json.dumps(rule.plain(), ensure_ascii=False).encode()).hexdigest()[:8]


def assign(modes: Iterable[Mode], asked: Sequence[Asked]) -> list[list[str]]:
    """[N] the ids of the modes that take each question, in the order of the modes.

    Args:
        modes: of some run.
        asked: any questions with their concepts (`vlmprobe.modes.asked.described`); one that is not answered yet has no
            right answer, so rules that speak of that do not take it.
    """
    known = list(modes)
    return [[mode.id for mode in known if mode.rule.takes(each.concepts)] for each in asked]


def read_mode(plain: Mapping[str, Any]) -> Mode:
    """From what `Mode.plain` gives.

    Raises:
        ValueError: something else.
    """
    try:
        values = {each.name: plain[each.name] for each in fields(Mode)}
        values |= {"rule": Rule.read(plain["rule"]), "found": tuple(plain["found"]), "share": read_rate(plain["share"])}
        values |= {name: _rated(plain[name]) for name in ("rated", "fresh")}
        return Mode(**{**values, "examples": [Example(**each) for each in plain["examples"]]})
    except (KeyError, TypeError) as error:
        raise ValueError(f"[read_mode] mode: expected one as it was written, got {error!s:.80}") from error


def read_rate(plain: Mapping[str, Any]) -> Rate:
    """From its fields; a value that is not known is NaN."""
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in plain.items()}
    return Rate(**values)


def _rated(plain: Mapping[str, Any] | None) -> Rated | None:
    if plain is None:
        return None
    rates = {name: read_rate(plain[name]) for name in ("rate", "base")}
    return Rated(**{**plain, **rates, "valid": math.nan if plain["valid"] is None else plain["valid"]})
