"""What a run will cost, before anything is spent: calls, tokens and money from its shape and a price table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlmprobe._util.checks import check_count
from vlmprobe.models.chat import Prices

ROLES = ("validity", "answer", "correctness")


@dataclass(frozen=True, kw_only=True)
class RoleCost:
    """What one call of a role takes."""

    prompt_tokens: int
    """Text and image together; measured by one call, or from the model's card."""
    completion_tokens: int
    """Thinking included."""
    prices: Prices


@dataclass(frozen=True, kw_only=True)
class RoleForecast:
    """A role's share of a run."""

    calls: float
    prompt_tokens: float
    completion_tokens: float
    cost: float


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take, by role; `str()` is a table for the terminal."""

    roles: Mapping[str, RoleForecast]

    @property
    def calls(self) -> float:
        return sum(role.calls for role in self.roles.values())

    @property
    def cost(self) -> float:
        """In the prices' unit."""
        return sum(role.cost for role in self.roles.values())

    def __str__(self) -> str:
        lines = [f"{'role':<12}{'calls':>12}{'prompt tokens':>16}{'completion tokens':>20}{'cost':>12}"]
        rows = [
            (name, role.calls, role.prompt_tokens, role.completion_tokens, role.cost)
            for name, role in self.roles.items()
        ]
        rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
        lines += [
            f"{name:<12}{calls:>12,.0f}{prompt:>16,.0f}{done:>20,.0f}{cost:>12,.2f}"
            for name, calls, prompt, done, cost in rows
        ]
        return "\n".join(lines)


def forecast(
    roles: Mapping[str, RoleCost],
    *,
    steps: int,
    images_per_step: int,
    group_size: int,
    k: int,
    valid: float = 0.8,
    wrong: float = 0.3,
    votes: int = 1,
    confirm: int = 0,
) -> Forecast:
    """Expects every slot to be judged, the valid ones to be answered and their answers judged.

    Args:
        roles: what a call of `validity`, `answer` and `correctness` takes; a role that costs nothing is left out.
        steps, images_per_step, group_size, k: the shape of the run.
        valid: share of the questions that are valid.
        wrong: share of the valid questions that are answered wrongly.
        votes: of each question and each answer, as if all were needed.
        confirm: further votes on each claimed failure.

    Raises:
        ValueError: a role of another name, a share outside [0, 1], a count below 1.

    Example:
        >>> cheap = RoleCost(prompt_tokens=400, completion_tokens=20, prices=Prices(prompt=0.1, completion=0.4))
        >>> found = forecast({"answer": cheap}, steps=100, images_per_step=8, group_size=8, k=2)
        >>> round(found.calls), round(found.cost, 2)
        (10240, 0.49)
    """
    for name, value in (
        ("steps", steps),
        ("images_per_step", images_per_step),
        ("group_size", group_size),
        ("k", k),
        ("votes", votes),
    ):
        check_count("forecast", name, value)
    for name, share in (("valid", valid), ("wrong", wrong)):
        if not 0 <= share <= 1:
            raise ValueError(f"[forecast] {name}: expected a share in [0, 1], got {share!r}")
    if confirm < 0:
        raise ValueError(f"[forecast] confirm: expected at least 0, got {confirm}")
    unknown = next((name for name in roles if name not in ROLES), None)
    if unknown is not None:
        raise ValueError(f"[forecast] roles: expected {', '.join(ROLES)}, got {unknown!r}")
    questions = steps * images_per_step * group_size * k
    each = (votes, valid, valid * (votes + confirm * wrong))
    calls = {name: questions * share for name, share in zip(ROLES, each, strict=True)}
    return Forecast({name: _role(calls[name], cost) for name, cost in roles.items()})


def _role(calls: float, each: RoleCost) -> RoleForecast:
    prompt, completion = calls * each.prompt_tokens, calls * each.completion_tokens
    cost = (prompt * each.prices.prompt + completion * each.prices.completion) / 1e6
    return RoleForecast(calls=calls, prompt_tokens=prompt, completion_tokens=completion, cost=cost)
