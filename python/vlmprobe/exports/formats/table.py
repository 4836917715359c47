"""A suite as a Parquet table with its pictures inside, as the `datasets` library keeps them: bytes and a path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlmprobe._util.files import drafted
from vlmprobe._util.optional import require
from vlmprobe.exports.suite import Item, Suite

TEXTS = ("id", "question", "reference", "reference_by", "wrong_answer", "reason", "source_picture", "canary")
FEATURES: dict[str, Any] = {
    "image": {"_type": "Image"},
    **{name: {"dtype": "string", "_type": "Value"} for name in TEXTS},
    "modes": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
}
"""As `datasets.Features.to_dict` gives them."""


def write_table(suite: Suite, items: Sequence[Item], file: Path) -> None:
    """Writes some items of a suite.

    Raises:
        ModuleNotFoundError: pyarrow is not installed; names the extra.
    """
    arrow, parquet = require("pyarrow", extra="parquet"), require("pyarrow.parquet", extra="parquet")
    picture = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    columns = [("image", picture), *((name, arrow.string()) for name in TEXTS), ("modes", arrow.list_(arrow.string()))]
    said = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    schema = arrow.schema(columns, metadata=said)
    table = arrow.Table.from_pylist([_row(suite, item) for item in items], schema=schema)
    file.parent.mkdir(parents=True, exist_ok=True)
    with drafted(file) as draft, draft.open("wb") as out:
        parquet.write_table(table, out)


def _row(suite: Suite, item: Item) -> dict[str, Any]:
    return {
        "image": {"bytes": (suite.folder / item.picture).read_bytes(), "path": Path(item.picture).name},
        "id": item.id,
        "question": item.question,
        "reference": item.reference,
        "reference_by": item.reference_by,
        "wrong_answer": item.answer,
        "reason": item.reason,
        "source_picture": item.key,
        "canary": suite.canary,
        "modes": list(item.modes),
    }
