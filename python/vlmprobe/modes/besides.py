"""What is said besides of a run's questions and pictures, as it stands in the run's folder.

taxonomy.json, taxonomy.questions.jsonl   the skills that each question needs (`vlmprobe taxonomy`)
pictures.json                             tags of each picture (`vlmprobe modes --describe`), or a caption
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmprobe._util.files import write_text
from vlmprobe._util.json import parse, read_object, read_text
from vlmprobe.modes.asked import Besides
from vlmprobe.modes.labels import NearLabels, of_most
from vlmprobe.taxonomy.assign import OTHER
from vlmprobe.taxonomy.document import FILE as TAXONOMY
from vlmprobe.taxonomy.document import QUESTIONS, read_taxonomy

PICTURES = "pictures.json"


def besides_of(folder: str | Path, *, labels: str | Path | None = None, tags: str | Path | None = None) -> Besides:
    """What is said besides; nothing of what the folder lacks.

    Args:
        folder: of the run.
        labels: a JSON object from questions to labels, a text or a list of them, in the place of the taxonomy's skills.
        tags: one from names of pictures to captions or lists of tags, in the place of `pictures.json`.

    Raises:
        ValueError: a file that is there and cannot be read.
    """
    skills = skills_of(Path(folder)) if labels is None else _lists(said_in(Path(labels)))
    pictures = Path(folder) / PICTURES if tags is None else Path(tags)
    return Besides(
        questions=NearLabels(skills) if skills else {},
        pictures=said_in(pictures) if tags is not None or pictures.is_file() else {},
    )


def skills_of(folder: Path) -> dict[str, list[str]]:
    """Question -> names of the skills that it needs, by the taxonomy of a run; empty where there is none."""
    if not (folder / TAXONOMY).is_file() or not (folder / QUESTIONS).is_file():
        return {}
    book = read_taxonomy(folder / TAXONOMY).book()
    rows = []
    for number, line in enumerate(read_text("modes", folder / QUESTIONS).splitlines(), 1):
        row = parse("modes", f"{folder / QUESTIONS}: line {number}", line)
        try:
            ids = [book.root(skill) for skill in row["skills"] or () if skill != OTHER]
            rows.append((str(row["question"]), [book.label[each] for each in ids]))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"[modes] {folder / QUESTIONS}: line {number}: expected a question with its skills, got {line!r:.80}"
            ) from error
    return of_most(rows)


def said_in(file: Path) -> dict[str, Any]:
    """What a file says of pictures, or of questions.

    Raises:
        ValueError: no JSON object from names to texts or lists of texts.
    """
    found = read_object("modes", file)
    for name, said in found.items():
        if not isinstance(said, (str, list)) or not all(isinstance(each, str) for each in said):
            raise ValueError(f"[modes] {file}: {name!r:.60}: expected a text or a list of texts, got {said!r:.60}")
    return found


def _lists(said: Mapping[str, str | list[str]]) -> dict[str, list[str]]:
    return {question: [each] if isinstance(each, str) else each for question, each in said.items()}


def write_tags(folder: str | Path, tags: dict[str, list[str]]) -> Path:
    """Adds tags of pictures to `pictures.json`; what a person wrote of other pictures stays."""
    path = Path(folder) / PICTURES
    known = said_in(path) if path.is_file() else {}
    write_text(path, json.dumps({**tags, **known}, ensure_ascii=False, indent=0) + "\n")
    return path
