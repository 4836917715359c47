"""An evaluation as a JUnit file: a suite of tests for each failure mode, and a test for each item.

What has no verdict is an error there and not a failure.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from vlmprobe._util.files import write_text
from vlmprobe.exports.evaluate import NO_MODE, Evaluated
from vlmprobe.exports.suite import Item
from vlmprobe.run.frozen import Outcome

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(evaluated: Evaluated, file: Path) -> None:
    """Writes the file. An item of several modes is a test of the first."""
    of: dict[str, list[tuple[Item, Outcome]]] = {}
    for item, outcome in zip(evaluated.suite.items, evaluated.outcomes, strict=True):
        of.setdefault(item.modes[0] if item.modes else NO_MODE, []).append((item, outcome))
    every = [row for rows in of.values() for row in rows]
    top = ElementTree.Element("testsuites", {"name": _text(evaluated.suite.name), **_counts(every)})
    for id, rows in of.items():
        name = evaluated.suite.modes.get(id, "questions of no mode")
        suite = ElementTree.SubElement(top, "testsuite", {"name": _text(name), **_counts(rows)})
        for item, outcome in rows:
            _case(ElementTree.SubElement(suite, "testcase", name=item.id, classname=_text(name)), item, outcome)
    ElementTree.indent(top)
    write_text(file, ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n")


def _case(case: ElementTree.Element, item: Item, outcome: Outcome) -> None:
    if outcome.wrong is False:
        return
    said = f"{item.question}\nabout {item.picture} ({item.key})\nanswer: {outcome.answer}\n{outcome.reason}"
    if outcome.wrong:
        told = ElementTree.SubElement(case, "failure", message=_text(f"“{item.question}”: “{outcome.answer}”"))
    else:
        told = ElementTree.SubElement(case, "error", message=_text(f"no verdict: {outcome.failure or 'unknown'}"))
    told.text = _text(said)


def _counts(rows: list[tuple[Item, Outcome]]) -> dict[str, str]:
    return {
        "tests": str(len(rows)),
        "failures": str(sum(outcome.wrong is True for _, outcome in rows)),
        "errors": str(sum(outcome.wrong is None for _, outcome in rows)),
    }


def _text(text: str) -> str:
    """Without what XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
