"""A folder as `datasets.load_dataset(FOLDER)` reads it and the hub takes it: a card and a Parquet file.

Source: https://huggingface.co/docs/hub/datasets-cards and https://huggingface.co/docs/datasets/repository_structure
"""

from __future__ import annotations

from pathlib import Path

import yaml

from vlmprobe._util.files import write_text
from vlmprobe.exports.formats.table import TEXTS, write_table
from vlmprobe.exports.suite import Suite

DATA = "data/test-00000-of-00001.parquet"


def write(suite: Suite, folder: Path) -> int:
    """Writes all items, in the split `test`."""
    write_table(suite, suite.items, folder / DATA)
    features = [
        {"name": "image", "dtype": "image"},
        *({"name": name, "dtype": "string"} for name in TEXTS),
        {"name": "modes", "list": "string"},
    ]
    head = {
        "license": suite.about["license"],
        "task_categories": ["visual-question-answering"],
        "configs": [{"config_name": "default", "data_files": [{"split": "test", "path": DATA}]}],
        "dataset_info": {"features": features},
    }
    modes = "".join(f"- `{id}`: {name}\n" for id, name in suite.modes.items())
    write_text(
        folder / "README.md",
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {suite.name} {suite.about['version']}\n\n"
        f"Questions that a vision-language model got wrong, found by vlmprobe on {suite.about['created']}.\n\n"
        f"{suite.canary}\n\nFailure modes:\n\n{modes}",
    )
    return len(suite.items)
