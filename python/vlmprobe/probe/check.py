"""What works and what it will cost, before anything is spent: one reply of each endpoint, the pictures' files."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlmprobe.data.draw import Drawn
from vlmprobe.data.looks import counted
from vlmprobe.data.order import StepImages
from vlmprobe.data.source import ImageSource
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import Message, ModelReply, Request, Sampling, Status
from vlmprobe.models.protocols import Picture
from vlmprobe.models.service import one_line
from vlmprobe.probe.build import client_of, encoder_of, images_of, python_of
from vlmprobe.probe.config import Probe
from vlmprobe.probe.local import described
from vlmprobe.probe.roles import Role

PATIENCE_S = 20.0  # of an endpoint's one reply
AT_ONCE = 16  # calls in flight that the forecast of the time assumes
VALID = 0.8  # share of questions that the forecast assumes to be valid
WORKING = (Status.OK, Status.EMPTY, Status.TRUNCATED)
"""What says that a model is there: a reply, be it cut at the few tokens that the check allows it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the table."""

    part: str
    """`images`, `questioner`, `answerer`, `verifier`."""
    what: str
    works: bool
    said: str
    """What was found, or the words of what went wrong."""
    seconds: float | None = None
    """Of the one reply."""
    prompt_tokens: int = 0
    """Of the one request, picture included."""


def check(probe: Probe, folder: str | Path) -> Iterator[Finding]:
    """What works, part by part; what does not is a finding that says why, and no exception."""
    shown: Picture | None = None
    try:
        images = images_of(probe, folder)
        found, shown = _pictures(probe, images)
        yield found
    except (ValueError, OSError) as error:
        yield Finding(part="images", what=probe.images.source, works=False, said=one_line(str(error)))
    for name in ("questioner", "answerer", "verifier"):
        yield _role(name, probe, folder, shown)


def forecast(probe: Probe, findings: list[Finding]) -> dict[str, dict[str, float]]:
    """Role -> calls, seconds and cost that the budget of calls is expected to take, where it has one."""
    calls = probe.budget.calls
    if calls is None:
        return {}
    questions = calls / VALID
    own = 2 * probe.guards.own_answers * questions / (probe.images_per_step * probe.group_size * probe.k)  # at most
    expected = {
        "questioner": questions / probe.k * (2 if probe.method == "conme" else 1),
        "answerer": float(calls),
        "verifier": questions + calls + own,
    }
    taken = {"questioner": 60.0 * probe.k, "answerer": 20.0, "verifier": 300.0}  # tokens of a reply
    found = {}
    for each in findings:
        if each.part in expected and each.seconds is not None:
            role, number = getattr(probe, each.part), expected[each.part]
            cost = number * (each.prompt_tokens * role.prices.prompt + taken[each.part] * role.prices.completion) / 1e6
            seconds = number * each.seconds / AT_ONCE
            found[each.part] = {"calls": number, "seconds": seconds, "cost": cost}
    return found


def _pictures(probe: Probe, images: ImageSource) -> tuple[Finding, Picture | None]:
    """What was found about the pictures when they were drawn, and the first that can be read."""
    said, unreadable = f"{len(images)} pictures", dict[int, str]()
    if isinstance(images, Drawn):
        unreadable, same = images.unreadable, images.duplicates
        said += f" of {images.kind}" + (
            f" of {len(images.whole)}" if len(images) + len(same) < len(images.whole) else ""
        )
        if same:
            said += f"; {len(same)} left out that look like another one, such as {same[0].key} like {same[0].of}"
        if unreadable:
            unreadable = {at: reason.split("] ", 1)[-1] for at, reason in unreadable.items()}  # who says it is plain
            said += f"; {len(unreadable)} of them cannot be read: {counted(unreadable)}"
    readable = (at for at in range(len(images)) if at not in unreadable)
    first = next((image for at in readable for image in StepImages(images, [at])), None)
    return Finding(part="images", what=probe.images.source, works=first is not None, said=said), first


def _role(name: str, probe: Probe, folder: str | Path, shown: Picture | None) -> Finding:
    role: Role = getattr(probe, name)
    urls = [server.url for server in role.servers]
    where = ", ".join(urls) or ("in this process" if not role.python else "python")
    what = f"{role.model or role.python} at {where}" if role.endpoint else f"{role.model or role.python}, {where}"
    try:
        if role.python:
            python_of(role, folder)
        if not role.endpoint:
            return Finding(part=name, what=what, works=True, said=_local(name, probe, folder))
        began = time.monotonic()
        reply = _one_reply(role, shown, encoder_of(probe))
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        return Finding(part=name, what=what, works=False, said=one_line(str(error)))
    seconds, works = time.monotonic() - began, reply.status in WORKING
    hint = "" if works or any(url.rstrip("/").endswith("/v1") for url in urls) else "; does its URL end in /v1?"
    said = f"replied in {seconds:.1f} s" if works else f"{reply.status}: {one_line(reply.error)}{hint}"
    tokens = reply.usage.prompt_tokens
    return Finding(part=name, what=what, works=works, said=said, seconds=seconds, prompt_tokens=tokens)


def _one_reply(role: Role, shown: Picture | None, images: EncodedImages) -> ModelReply:
    client = client_of(role, attempt_timeout_s=PATIENCE_S, deadline_s=PATIENCE_S, unreachable_s=2.0, max_attempts=1)
    pictures = [] if shown is None else [images(shown)]
    asked = Message(role="user", text="What is in this picture? One word.", images=pictures)
    [reply] = client.reply([Request(messages=[asked], sampling=Sampling(max_tokens=16))])
    return reply


def _local(name: str, probe: Probe, folder: str | Path) -> str:
    role: Role = getattr(probe, name)
    if role.python:
        return "can be imported"
    if not role.of_world:
        return described(probe, name, folder)
    from vlmprobe.probe import world

    world.check(name, role, folder)
    return "in the package"


def table(findings: list[Finding], expected: dict[str, dict[str, float]]) -> list[str]:
    """The findings and the forecast as lines."""
    width = max(len(each.what) for each in findings)
    lines = [
        f"{'ok  ' if each.works else 'FAIL'}  {each.part:<11} {each.what:<{width}}  {each.said}" for each in findings
    ]
    for name, numbers in expected.items():
        cost = f", cost {numbers['cost']:.2f}" if numbers["cost"] else ""
        lines.append(f"about {numbers['calls']:,.0f} calls of the {name}, {_time(numbers['seconds'])}{cost}")
    if expected:
        total = {key: sum(each[key] for each in expected.values()) for key in ("seconds", "cost")}
        lines.append(
            f"in all about {_time(total['seconds'])}" + (f", cost {total['cost']:.2f}" if total["cost"] else "")
        )
    return lines


def _time(seconds: float) -> str:
    names = ((3600, "h"), (60, "min"))
    return next((f"{seconds / unit:.1f} {name}" for unit, name in names if seconds >= unit), f"{seconds:.0f} s")


def working(findings: list[Finding]) -> bool:
    """Whether everything is there."""
    return all(each.works for each in itertools.chain(findings))
