"""What goes wrong in a run while it goes on: alarms over a window of steps, and roles that say nothing of use.

    unscored    questions without a verdict                      truncated   replies of a role that were cut
    repeats     a question that was asked about the same picture prefixes    entropy of the questions' first two words
    length      words of a question against those at first       contradictions  own answers that the verifier rejects
    term        one reward term alone explains the reward        degenerate  groups whose rewards are all equal
    entropy     the policy's, against that at first              kl          the policy's distance to what it was

The last four are known where a questioner is trained. An alarm is an event of kind `guard` in the ledger, once each
time that it begins. All of it follows from the recorded rounds, so a resumed run has the same alarms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields

from vlmprobe._util.json import check_fields, parse, typed
from vlmprobe.ledger import Ledger
from vlmprobe.models.service import Unserved
from vlmprobe.probe.config import Guards
from vlmprobe.probe.signs import MEASURES, NO_QUESTION, NOTHING_NEW, Signs, shown

KIND = "guard"
"""Of the events."""
PATIENCE = 3  # steps of which a role may say nothing of use
MOST = 1e9  # that an event holds for what is without bounds
_WAYS = {
    "truncated": "its replies are cut: raise {role}.max_tokens",
    "empty": "its replies hold no text: raise {role}.max_tokens, or look at the server's options for thinking",
    "refusal": "it declines: look at its prompt and at the server's filter, or take another model",
    "unparsable": "no verdict can be read: look at the reasons in the ledger and at its prompts, or take another model",
    NO_QUESTION: "its replies hold no question in the tags that its prompt asks for: look at the prompt and at "
    "{role}.max_tokens, or take another model",
}

_EXHAUSTED = (
    f"the questioner asked nothing new about these pictures in {PATIENCE} steps: to go on, give more pictures, raise "
    "questioner.temperature, or lower group_size"
)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A guard that began to be broken."""

    name: str
    step: int
    """From 0."""
    value: float
    limit: float
    sentence: str
    """What was seen, and what to do."""

    def __str__(self) -> str:
        return f"step {self.step + 1}: {self.sentence}"


def alarms_of(ledger: Ledger, run: str) -> list[Alarm]:
    """Those that the ledger has, in order."""
    found = []
    for event in ledger.events(run, kind=KIND):
        where = f"run {run!r}, {KIND} of {event.time}"
        content = typed("guards", where, parse("guards", where, event.text), dict)
        check_fields("guards", where, Alarm, content)
        found.append(Alarm(**{each.name: content[each.name] for each in fields(Alarm)}))
    return found


class Watch:
    """Sees each step, writes down what begins to go wrong, and says when to stop.

    Args:
        guards: the limits.
        ledger, run: where the alarms go, and where those of an earlier call are.
        known: steps that the ledger had when this call of the command began.
        say: gets each alarm as it begins, once in the life of the run.
    """

    def __init__(
        self, guards: Guards, ledger: Ledger, run: str, *, known: int = 0, say: Callable[[Alarm], None] | None = None
    ):
        self._guards, self._ledger, self._run, self._known, self._say = guards, ledger, run, known, say
        self._written = {(alarm.name, alarm.step) for alarm in alarms_of(ledger, run)}
        self._first: list[Signs] = []
        self._last: list[Signs] = []
        self._broken: dict[str, Alarm] = {}
        self.exhausted = ""
        """Why there is nothing more to ask; empty while there is."""

    def see(self, signs: Signs) -> list[Alarm]:
        """Takes a step, also one that is gone through again; the alarms that it begins."""
        window = self._guards.window
        if len(self._first) < window:
            self._first.append(signs)
        self._last = [*self._last[-max(window, PATIENCE) + 1 :], signs]
        broken = {alarm.name: alarm for alarm in self._alarms(signs.step)}
        begun = [alarm for name, alarm in broken.items() if name not in self._broken]
        self._broken = broken
        for alarm in begun:
            if (alarm.name, alarm.step) not in self._written:
                self._written.add((alarm.name, alarm.step))
                self._ledger.event(self._run, kind=KIND, text=json.dumps(asdict(alarm)))
                if self._say is not None:
                    self._say(alarm)
        return begun

    @property
    def stop(self) -> Alarm | None:
        """The broken guard that ends the run, once all recorded steps are gone through."""
        if self._last and self._last[-1].step + 1 >= self._known:
            return next((self._broken[name] for name in self._guards.stop if name in self._broken), None)
        return None

    def check_useful(self, names: Mapping[str, str]) -> None:
        """Ends a run in which a role says nothing of use; a questioner that only repeats itself sets `exhausted`. A
        step that was recorded earlier ends none: its cause may have been put right since.

        Args:
            names: role -> who plays it.

        Raises:
            Unserved: for some steps, this call's last among them, no reply of a role was of use.
        """
        last = self._last[-PATIENCE:]
        if len(last) < PATIENCE or last[-1].step < self._known:
            return
        for role in last[-1].idle:
            if all(role in each.idle for each in last):
                whys = [why for each in last if (why := each.idle[role][1]) != NOTHING_NEW]
                if not whys:
                    self.exhausted = _EXHAUSTED
                    continue
                count, why = sum(each.idle[role][0] for each in last), whys[-1]
                asked = role.split(" ")[0]
                raise Unserved(
                    f"[{asked}] {names.get(asked, asked)}: expected a reply that can be used, got none of {count} in "
                    f"{PATIENCE} steps ({why}): {_WAYS[why].format(role=asked)}. Where that is the "
                    "server's to put right, give the same command again; for another probe.yaml, begin another folder"
                )

    def _alarms(self, step: int) -> list[Alarm]:
        window = self._guards.window
        first, last = self._first, self._last[-window:]
        if len(last) < window:
            return []
        found = []
        for name, (measure, floor) in MEASURES.items():
            value, what = measure(first, last)
            limit = float(getattr(self._guards, name))
            if value is not None and (value < limit if floor else value > limit):
                rounded = float(f"{min(value, MOST):.6g}")
                said = what.format(value=shown(name, value), limit=shown(name, limit))
                found.append(Alarm(name=name, step=step, value=rounded, limit=limit, sentence=said))
        return found
