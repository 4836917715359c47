"""One TSV as VLMEvalKit keeps its benchmarks: `index`, `image` (base64), `question`, `answer`, `category`.

Put it into $LMUData and name it as the data set.

Source: https://github.com/open-compass/VLMEvalKit, its page on development
"""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path

from vlmprobe._util.files import write_text
from vlmprobe.exports.suite import Suite

COLUMNS = ("index", "image", "question", "answer", "category", "id", "canary")


def write(suite: Suite, folder: Path) -> int:
    """Writes the items with a right answer."""
    text = io.StringIO()
    out = csv.writer(text, delimiter="\t", lineterminator="\n")
    out.writerow(COLUMNS)
    items = [item for item in suite.items if item.reference is not None]
    for index, item in enumerate(items):
        picture = base64.b64encode((suite.folder / item.picture).read_bytes()).decode()
        category = suite.modes[item.modes[0]] if item.modes else "no mode"
        out.writerow([index, picture, item.question, item.reference, category, item.id, suite.canary])
    write_text(folder / f"{suite.name}.tsv", text.getvalue())
    return len(items)
