"""Samples as `fiftyone.Dataset.from_dir` reads them with `fiftyone.types.LegacyFiftyOneDataset`: one for each question,
with the wrong answer, the right one and the modes as fields.

Source: https://docs.voxel51.com/user_guide/import_datasets.html
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vlmprobe._util.files import write_text
from vlmprobe.exports.suite import Item, Suite

_STRING = "fiftyone.core.fields.StringField"
_LIST = "fiftyone.core.fields.ListField"
FIELDS = ("item_id", "question", "reference", "wrong_answer", "reason")


def write(suite: Suite, folder: Path) -> int:
    """Writes all items."""
    samples = [_sample(suite, item, folder) for item in suite.items]
    write_text(folder / "samples.json", json.dumps({"samples": samples}, indent=1) + "\n")
    strings = [{"name": name, "ftype": _STRING} for name in ("filepath", *FIELDS)]
    lists = [{"name": name, "ftype": _LIST, "subfield": _STRING} for name in ("tags", "modes")]
    info = {name: suite.about[name] for name in ("version", "license", "created", "canary")}
    metadata = {"name": suite.name, "media_type": "image", "sample_fields": [*strings, *lists], "info": info}
    write_text(folder / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    return len(samples)


def _sample(suite: Suite, item: Item, folder: Path) -> dict[str, Any]:
    return {
        "filepath": os.path.relpath(suite.folder / item.picture, folder),
        "tags": ["vlmprobe"],
        "item_id": item.id,
        "question": item.question,
        "reference": item.reference,
        "wrong_answer": item.answer,
        "reason": item.reason,
        "modes": list(item.modes),
    }
