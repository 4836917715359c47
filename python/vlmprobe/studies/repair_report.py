"""The study of repair as a page and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from vlmprobe import metrics
from vlmprobe._util.files import write_text
from vlmprobe._util.json import plain
from vlmprobe.modes.compared import ComparedMode, Counted
from vlmprobe.modes.record import Modes
from vlmprobe.studies.repair import Outcome, Repaired

NAMED = 8
"""Modes of a second probe that the page names."""


def write(found: Outcome, folder: Path) -> Path:
    """Writes `report.md` and `repair.json`; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "repair.json", json.dumps(_plain(found), indent=1, allow_nan=False) + "\n")
    lines = [_head(found), *(_arm(found, arm) for arm in found.arms)]
    write_text(folder / "report.md", "\n\n".join(lines) + "\n")
    return folder / "report.md"


def _head(found: Outcome) -> str:
    settings, first = found.settings, found.first
    return (
        "# Repair in the embedded world\n\n"
        f"The answerer `{settings.novice}` was probed with {settings.calls} calls: {_rate(first.rate)} of its answers "
        f"to valid questions were wrong, and {len(first.holding)} failure modes held. Every second one, by its rank, "
        f"was repaired: the answerer was fine-tuned on the failures with their right answers, for {settings.steps} "
        f"steps at a learning rate of at most {settings.rate:g}. Comparisons are on {settings.held_out} pictures that "
        "neither the probe nor the fine-tuning has seen; a mode's questions there are texts of the probe about "
        "pictures drawn by chance. Differences are the fine-tuned answerer's failure rate less the novice's, in "
        "points; p is McNemar's, exact, and q is over the modes. Intervals of 95 % count pictures. Answers of the "
        "fine-tuned answerer that are cut or no answer at all are unscored and in no count.\n\n"
        "```\npython -m vlmprobe.studies.repair --run runs/repair --out docs/results/repair\n```"
    )


def _arm(found: Outcome, arm: Repaired) -> str:
    rows = [_row(each, each.id in found.repaired) for each in arm.modes.modes]
    uniform = arm.uniform.whole
    second = arm.second.holding
    known = {mode.id for mode in found.first.holding}
    lines = [
        f"## {arm.name[0].upper()}{arm.name[1:]}: {arm.taught} questions taught",
        "",
        "| mode | repaired | fixed | regressed | both wrong | both right | difference | p | q |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"On uniform questions {uniform.fixed} were fixed and {uniform.regressed} regressed of {uniform.n}; "
        f"{uniform.both_wrong} are wrong in both, {uniform.unscored} more are unscored. Difference "
        f"{_difference(uniform)}, p {_p(uniform.p)}.",
        "",
        f"A second probe of the fine-tuned answerer, with as many calls on other pictures: {_rate(arm.second.rate)} of "
        f"the answers were wrong, and {len(second)} modes held, {sum(mode.id in known for mode in second)} of them "
        "by the same rule as one of the first probe.",
        "",
        "| mode of the first probe | repaired | wrong in a second probe of the novice | and of this answerer |",
        "|---|---|---|---|",
        *(
            f"| {mode.name} | {_yes(mode.id in found.repaired)} | {_rate(found.unrepaired[mode.id])} | "
            f"{_rate(arm.left[mode.id])} |"
            for mode in found.first.holding
        ),
        "",
        "The second probe's modes, the worst first:",
        "",
        *(f"- {mode.name}: {_rate(mode.best.rate)}" for mode in second[:NAMED]),
    ]
    return "\n".join(lines)


def _row(each: ComparedMode, repaired: bool) -> str:
    counted = each.counted
    counts = [counted.fixed, counted.regressed, counted.both_wrong, counted.both_right]
    cells = [each.name, _yes(repaired), *map(str, counts), _difference(counted), _p(counted.p), _p(each.q)]
    return f"| {' | '.join(cells)} |"


def _difference(counted: Counted) -> str:
    each = counted.difference
    if not each.n[0]:
        return "–"
    return f"{100 * each.value:+.1f} [{100 * each.low:+.1f}, {100 * each.high:+.1f}]"


def _rate(rate: metrics.Rate) -> str:
    if not rate.n:
        return "– (n 0)"
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}; n {rate.n}]"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _plain(found: Outcome) -> dict[str, object]:
    made: dict[str, object] = plain(
        {
            "settings": asdict(found.settings),
            "first": _modes(found.first),
            "repaired": found.repaired,
            "unrepaired": {id: asdict(rate) for id, rate in found.unrepaired.items()},
            "arms": [_arm_plain(arm) for arm in found.arms],
        }
    )
    return made


def _arm_plain(arm: Repaired) -> dict[str, object]:
    both = {name: _without_lists(getattr(arm, name).plain()) for name in ("modes", "uniform")}
    left = {id: asdict(rate) for id, rate in arm.left.items()}
    return {"name": arm.name, "taught": arm.taught, **both, "second": _modes(arm.second), "left": left}


def _modes(found: Modes) -> dict[str, object]:
    """Without examples and candidates, which are in the ledger."""
    modes = [{"id": mode.id, "name": mode.name, "state": mode.state, **asdict(mode.best)} for mode in found.holding]
    return {"judged": found.judged, "failures": found.failures, "rate": asdict(found.rate), "modes": modes}


def _without_lists(comparison: dict[str, object]) -> dict[str, object]:
    return {name: each for name, each in comparison.items() if name != "questions"}
