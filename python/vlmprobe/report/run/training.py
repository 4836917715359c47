"""What changes while a run goes on: failures found, skills, one picture's questions, rewards and what guards watch."""

from __future__ import annotations

import base64
import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from PIL import Image as PILImage

from vlmprobe import metrics
from vlmprobe._util.optional import installed
from vlmprobe.ledger import Ledger
from vlmprobe.loop.record import DEGENERATE
from vlmprobe.probe.guards import Alarm
from vlmprobe.report.draw.curve import cumulative
from vlmprobe.report.draw.heat import densities
from vlmprobe.report.draw.lines import Panel, over_steps
from vlmprobe.report.draw.scene import questions as scene_drawn
from vlmprobe.report.results.figures import Curve, Densities, MethodCurve, Point, Scene, SkillDensity, Stage
from vlmprobe.report.results.figures import Question as Told
from vlmprobe.report.results.numbers import Difference
from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.rates import Rounds
from vlmprobe.report.run.section import Chart, Section
from vlmprobe.world.finding import Find

WINDOWS, STAGES = 10, 4
_UPDATE = ("loss", "kl", "entropy", "grad_norm", "clip_fraction", "changed", DEGENERATE)
_TITLES = {"kl": "KL to the questioner as it was, nats a token", "entropy": "entropy, nats a token",
           "grad_norm": "norm of the gradient", "changed": "share of the weights that the update changed",
           DEGENERATE: "groups that taught nothing"}  # fmt: skip


def curve_section(rounds: Rounds) -> Section | None:
    """FDR of all questions asked so far, a line for each that asked."""
    methods, rows = [], list[tuple[object, ...]]()
    for name, asked in rounds.items():
        valid = [each for each in asked if each.valid]
        wrong, keys = [each.wrong for each in valid], [each.key for each in valid]
        if sum(each is not None for each in wrong) < 2:
            continue
        points = [
            Point(
                asked=each.asked, value=_known(each.rate.value), low=each.rate.low, high=each.rate.high, n=each.rate.n
            )
            for each in metrics.cumulative_rates(wrong, cluster=keys)
        ]
        rise = metrics.rise(wrong, cluster=keys)
        difference = Difference(value=_known(rise.value), low=_known(rise.low), high=_known(rise.high))
        methods.append(MethodCurve(name=name, points=points, rise=difference))
        rows += [(name, each.asked, each.value, each.low, each.high, each.n) for each in points]
    if not methods:
        return None
    chart = Chart(
        id="cumulative", title="FDR over cumulative questions",
        svg=cumulative("cumulative", Curve(methods=methods), paper=False),
        head=("asked by", "valid questions so far", "FDR", "low", "high", "n"), rows=rows,
        caption="FDR of all valid questions so far, with 95 % intervals. Rise: second half less first half, paired by "
        "picture.",
    )  # fmt: skip
    return Section(id="curve", title="Failures over questions", charts=[chart])


def density_section(name: str, asked: Sequence[Question]) -> Section | None:
    """Which skills come early, and which late; None where no skill is named, or in fewer than two steps."""
    valid = [each for each in asked if each.valid and each.skills]
    skills, steps = [each.skills for each in valid], [each.step for each in valid]
    if len(set(steps)) < 2 or not installed("scipy"):
        return None
    trends = metrics.skill_trends(skills, steps)
    if not trends:
        return None
    drawn = metrics.densities(skills, steps, windows=min(WINDOWS, len(set(steps))))
    found = [
        SkillDensity(
            skill=each.skill, kind=each.kind, densities=[_known(x) for x in drawn[each.skill]], q=each.q, n=each.n
        )
        for each in trends
    ]
    data = Densities(
        method=name, steps=[min(steps), max(steps)], skills=found, counts=dict(Counter(each.kind for each in found))
    )
    windows = len(found[0].densities)
    classes = ", ".join(f"{kind} {count}" for kind, count in data.counts.items())
    chart = Chart(
        id="density", title=f"Skills over the steps of {name}", svg=densities("density", data, paper=False),
        head=("skill", "class", "q", "n", *(f"window {i + 1}" for i in range(windows))),
        rows=[(each.skill, each.kind, each.q, each.n, *each.densities) for each in found],
        caption="A row is a skill, a field a window of steps; its shade: the share of the window’s questions that need "
        "the skill, as a part of the row’s largest. q: against permuted steps, corrected over skills. By class: "
        f"{classes}.",
    )  # fmt: skip
    return Section(id="density", title="Skills over training", charts=[chart])


def scene_section(name: str, asked: Sequence[Question], find: Find) -> Section | None:
    """The questions about one picture, at several steps; None where no picture was asked about at two."""
    seen: dict[str, dict[int, list[Question]]] = {}
    for each in asked:
        seen.setdefault(each.key, {}).setdefault(each.step, []).append(each)
    often = sorted((key for key in seen if len(seen[key]) > 1), key=lambda key: (-len(seen[key]), key))
    if not often:
        return None
    key = next((each for each in often[:20] if find(each) is not None), often[0])
    steps, image = sorted(seen[key]), find(key)
    shown = dict.fromkeys(steps[round(i * (len(steps) - 1) / (STAGES - 1))] for i in range(STAGES))
    stages = [Stage(step=step, questions=[_told(each) for each in seen[key][step]]) for step in shown]
    data = Scene(method=name, image=key, png=None if image is None else _png(image), stages=stages)
    chart = Chart(
        id="scene", title=f"One picture’s questions over the steps of {name}", svg=scene_drawn("scene", data),
        head=("step", "question", "answer", "outcome"),
        rows=[(step, each.text, each.answer, each.outcome) for step in steps for each in seen[key][step]],
        caption=f"The questions about {key} at some of the {len(steps)} steps in which it was asked about.",
    )  # fmt: skip
    return Section(id="picture", title="One picture through training", charts=[chart])


def steps_section(ledger: Ledger, run: str, asked: Sequence[Question], alarms: Sequence[Alarm]) -> Section | None:
    """Rates, reward terms and what the update did, step by step, with what guards said; None in a single step."""
    steps = sorted({each.step for each in asked})
    if len(steps) < 2 and not alarms:
        return None
    panels = [_rates(asked), _terms(asked), *_updates(ledger, run)]
    shown = [panel for panel in panels if panel.lines]
    marks = [alarm.step for alarm in alarms]
    rows = [(panel.title, line, *point) for panel in shown for line, points in panel.lines.items() for point in points]
    charts = [
        Chart(
            id="steps", title="Over the steps",
            svg=over_steps("steps", [Panel(title=each.title, lines=each.lines, marks=marks) for each in shown]),
            head=("plot", "line", "step", "value", "n"), rows=rows,
            caption="Means of each step; terms of the reward before weighting." + " Dotted: an alarm." * bool(marks),
        )
    ] if shown else []  # fmt: skip
    said = [f"A guard was broken at {each}" for each in alarms]
    return Section(id="steps", title="Rewards, entropy and guards", sentences=said, charts=charts)


def _rates(asked: Sequence[Question]) -> Panel:
    lines = {
        "valid": _means((each.step, each.valid) for each in asked),
        "wrong, of valid": _means((each.step, each.wrong) for each in asked if each.valid),
    }
    return Panel(title="share of questions", lines={name: points for name, points in lines.items() if points})


def _terms(asked: Sequence[Question]) -> Panel:
    terms = list(dict.fromkeys(term for each in asked for term in each.rewards))
    lines = {term: _means((each.step, each.rewards.get(term)) for each in asked) for term in terms}
    return Panel(title="reward", lines={term: points for term, points in lines.items() if points})


def _updates(ledger: Ledger, run: str) -> list[Panel]:
    numbers = ledger.about(run).numbers
    found = []
    for name in _UPDATE:
        if any(name in known for _, known in numbers):
            lacking = 0 if name == DEGENERATE else None  # what is 0 of these is not written down
            values = [(float(step), known.get(name, lacking)) for step, known in numbers]
            points = [(step, float(value), 1) for step, value in values if isinstance(value, int | float)]
            found.append(Panel(title=_TITLES.get(name, name.replace("_", " ")), lines={"": points}))
    return [panel for panel in found if panel.lines[""]]


def _means(values: Iterable[tuple[int, float | bool | None]]) -> list[tuple[float, float, int]]:
    """(step, mean, n) of what is known, for each step that has some."""
    by_step: dict[int, list[float]] = {}
    for step, value in values:
        if value is not None and math.isfinite(value):
            by_step.setdefault(step, []).append(float(value))
    return [(float(step), fmean(by_step[step]), len(by_step[step])) for step in sorted(by_step)]


def _told(each: Question) -> Told:
    return Told(
        text=each.text, valid=each.valid, correct=each.correct, answer=each.answer, truth=each.known.get("truth")
    )


def _png(image: PILImage.Image) -> str:
    small = image.copy()
    small.thumbnail((224, 224))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
