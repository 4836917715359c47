"""Failures with right answers as a fine-tuning set: a line for each, as TRL's SFTTrainer takes pictures and messages.

    {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ...}]},
                  {"role": "assistant", "content": [{"type": "text", "text": ...}]}],
     "images": ["train.pictures/....png"], "id": ..., "key": ..., "modes": [...], "answer_by": ...}

Pictures are beside the file and their paths are seen from its folder. Source: https://huggingface.co/docs/trl, dataset
formats, vision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlmprobe._util.files import write_text
from vlmprobe.data.image import Image
from vlmprobe.exports.suite import Item


def write_train(file: Path, items: Sequence[Item], images: Mapping[str, Image]) -> int:
    """Writes those of some failures of which a right answer is known; how many these are.

    Args:
        file: ends in .jsonl; replaced whole.
        items: failures.
        images: hash of pixels -> picture.

    Raises:
        ValueError: another ending, or no failure with a right answer.
    """
    if file.suffix != ".jsonl":
        raise ValueError(f"[export] --train: expected a name that ends in .jsonl, got {file.name!r}")
    known = [item for item in items if item.reference is not None]
    if not known:
        raise ValueError(
            f"[export] --train: expected failures with a right answer, got {len(items)} without: have another answerer "
            "asked the same questions (vlmprobe compare RUN --answerer ...), whose right answers are taken then"
        )
    folder = file.with_suffix(".pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for item in known:
        place = folder / Path(item.picture).name
        if not place.exists():
            images[item.sha256].pixels.save(place, format="PNG")
    rows = [json.dumps(_row(item, f"{folder.name}/{Path(item.picture).name}")) for item in known]
    write_text(file, "".join(f"{row}\n" for row in rows))
    return len(known)


def _row(item: Item, picture: str) -> dict[str, Any]:
    asked = [{"type": "image"}, {"type": "text", "text": item.question}]
    return {
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [{"type": "text", "text": item.reference}]},
        ],
        "images": [picture],
        "id": item.id,
        "key": item.key,
        "modes": list(item.modes),
        "answer_by": item.reference_by,
    }
