"""Tests as promptfoo reads them, with a prompt that shows the picture: `promptfoo eval -c promptfooconfig.yaml`.

An item with a right answer is asserted to contain it, in whatever case; one without is left to promptfoo's own grader.
Source: https://www.promptfoo.dev/docs/configuration/test-cases
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from vlmprobe._util.files import write_text
from vlmprobe.exports.suite import Item, Suite

PROMPT = [
    {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": "{{image}}"}},
            {"type": "text", "text": "{{question}}"},
        ],
    }
]
PROVIDER = "openai:chat:MODEL"


def write(suite: Suite, folder: Path) -> int:
    """Writes all items."""
    tests = [_test(suite, item, folder) for item in suite.items]
    write_text(folder / "tests.yaml", f"# {suite.canary}\n{yaml.safe_dump(tests, sort_keys=False, allow_unicode=True)}")
    write_text(folder / "prompt.json", json.dumps(PROMPT, indent=1) + "\n")
    config = {
        "description": f"{suite.name} {suite.about['version']}: questions that were answered wrongly",
        "prompts": ["file://prompt.json"],
        "providers": [PROVIDER],
        "tests": "file://tests.yaml",
    }
    write_text(folder / "promptfooconfig.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return len(tests)


def _test(suite: Suite, item: Item, folder: Path) -> dict[str, Any]:
    picture = os.path.relpath(suite.folder / item.picture, folder)
    if item.reference is not None:
        asserted = {"type": "icontains", "value": item.reference}
    else:
        asserted = {"type": "llm-rubric", "value": f"Does not answer “{item.answer}”, which is wrong: {item.reason}"}
    return {
        "description": item.id,
        "vars": {"image": f"file://{picture}", "question": _literal(item.question)},
        "assert": [asserted],
        "metadata": {"modes": list(item.modes), "wrong_answer": item.answer},
    }


def _literal(text: str) -> str:
    """A text that is no template, as promptfoo takes those of variables to be."""
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        return text
    return "{% raw %}" + text.replace("endraw", "end raw") + "{% endraw %}"
