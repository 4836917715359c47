"""A data set as `inspect_ai.dataset.json_dataset` reads it: a sample in each line, the question as a message with a
picture. Its path is seen from the file. Source: https://inspect.aisi.org.uk/datasets.html
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vlmprobe._util.files import write_text
from vlmprobe.exports.suite import Item, Suite

FILE = "samples.jsonl"


def write(suite: Suite, folder: Path) -> int:
    """Writes all items; the target of one without a right answer is empty."""
    rows = [json.dumps(_sample(suite, item, folder)) for item in suite.items]
    write_text(folder / FILE, "".join(f"{row}\n" for row in rows))
    return len(rows)


def _sample(suite: Suite, item: Item, folder: Path) -> dict[str, Any]:
    picture = os.path.relpath(suite.folder / item.picture, folder)
    content = [{"type": "image", "image": picture}, {"type": "text", "text": item.question}]
    known = {"wrong_answer": item.answer, "reason": item.reason, "modes": list(item.modes), "canary": suite.canary}
    return {
        "id": item.id,
        "input": [{"role": "user", "content": content}],
        "target": item.reference or "",
        "metadata": known,
    }
