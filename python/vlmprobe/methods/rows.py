"""Rows for SFT: questions that are known to show failures, from a file or from the embedded world.

Of each picture, k questions make a completion; the last one of a picture repeats earlier questions to have k. No text
is there twice for one picture, not with other characters that nobody sees either, and pictures with fewer than k
questions are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlmprobe._util.checks import check_count
from vlmprobe._util.json import encodable, read_lines
from vlmprobe._util.optional import require
from vlmprobe._util.visible import bare, is_blank
from vlmprobe.data.image import UnreadableImage
from vlmprobe.data.order import StepImages
from vlmprobe.data.source import ImageSource, keys_of
from vlmprobe.loop.ask import ask, reasons
from vlmprobe.loop.examine import examine
from vlmprobe.loop.round import Place, Round
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.methods.sft import Row
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.policy.asker import tagged
from vlmprobe.text import parse_responses
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.verifiers import OracleVerifier

OTHER_FAULTS = Path(__file__).parents[1] / "world" / "other_faults.json"
"""Faults none of which the shipped answerer under test has."""


def rows_of(questions: Iterable[tuple[Picture, str]], k: int) -> list[Row]:
    """Rows of k questions each, pictures and questions in the order in which they come first.

    Raises:
        ValueError: k below 1.
    """
    check_count("rows_of", "k", k)
    pictures: dict[int, Picture] = {}
    texts: dict[int, dict[str, str]] = {}
    for picture, text in questions:
        pictures.setdefault(picture.id, picture)
        texts.setdefault(picture.id, {}).setdefault(bare(text), text)
    return [Row(pictures[image], tagged(some)) for image, own in texts.items() for some in _cut(list(own.values()), k)]


def _cut(texts: Sequence[str], k: int) -> Iterator[list[str]]:
    for first in range(0, len(texts) if len(texts) >= k else 0, k):
        some = list(texts[first : first + k])
        yield some + [text for text in texts if text not in some][: k - len(some)]


def read_rows(path: str | Path, images: ImageSource, *, k: int) -> list[Row]:
    """Rows from a file of questions.

    Args:
        path: `.jsonl` or `.parquet` with the columns `image`, a picture's key in the source, and `question`; further
            columns are passed over. What `vlmprobe export` writes has `image_key` instead, which will do as well.
        images: where the pictures are. Rows about one that cannot be read are left out, with a warning that names it.
        k: questions per completion.

    Raises:
        ValueError: another ending, a line that is no object, a column that is missing, a question that cannot stand
            in its tag, a key that is not in the source; names the line; or none of the pictures can be read.
        ModuleNotFoundError: Parquet without pyarrow; names the extra.
    """
    path = Path(path)
    readers = {".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in readers:
        raise ValueError(f"[read_rows] path: expected a name that ends in .jsonl or .parquet, got {path.name!r}")
    if not path.is_file():
        raise ValueError(f"[read_rows] path: expected a file, got {str(path)!r}")
    places = _places(images)
    asked = [_question(where, row, places) for where, row in readers[path.suffix](path)]
    shown = StepImages(images, dict.fromkeys(place for place, _ in asked))
    pictures = {picture.id: picture for picture in shown}
    if asked and not pictures:
        raise UnreadableImage(f"[read_rows] {path.name}: none of its pictures can be read: {reasons(shown.left_out)}")
    if shown.left_out:
        lacking = f"{len(shown.left_out)} pictures left out with their rows: {reasons(shown.left_out)}"
        warnings.warn(f"[read_rows] {path.name}: {lacking}", stacklevel=2)
    return rows_of(((pictures[place], text) for place, text in asked if place in pictures), k)


def _places(images: ImageSource) -> dict[str, int]:
    """Key of a picture to its number."""
    keys = keys_of(images)
    if keys is not None:
        return {encodable(key): place for place, key in enumerate(keys)}
    return {encodable(image.key): image.id for image in StepImages(images, range(len(images)))}


def _question(where: str, row: Any, places: Mapping[str, int]) -> tuple[int, str]:
    if not isinstance(row, Mapping):
        raise ValueError(f"[read_rows] {where}: expected an object, got {type(row).__name__}")
    key, text = row.get("image_key", row.get("image")), row.get("question")
    for name, value in (("image", key), ("question", text)):
        if not isinstance(value, str) or is_blank(value):
            raise ValueError(f"[read_rows] {where}: {name}: expected a text, got {value!r:.60}")
    parsed = parse_responses([tagged([str(text)])], k=1, max_bytes=8 * len(str(text)))
    if not parsed.ok[0]:  # it spells a tag or a mark of thinking
        raise ValueError(f"[read_rows] {where}: question: expected a text that can stand in its tag, got {text!r:.60}")
    if key not in places:
        raise ValueError(f"[read_rows] {where}: image: expected the key of a picture of the source, got {key!r:.60}")
    return places[str(key)], str(text)


def _jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    yield from read_lines("read_rows", path)


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    parquet, arrow = require("pyarrow.parquet", extra="parquet"), require("pyarrow", extra="parquet")
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, ValueError, OSError) as error:
        raise ValueError(f"[read_rows] {path.name}: expected a Parquet file ({error!s:.200})") from None
    for number, row in enumerate(table.to_pylist(), 1):
        yield f"{path.name}, row {number}", row


def world_rows(
    images: ImageSource,
    *,
    k: int,
    per_image: int = 64,
    seed: int = 0,
    answerer: Answerer | None = None,
    verifier: Verifier | None = None,
) -> list[Row]:
    """Failures of another answerer than the one under test: valid questions drawn at random that it gets wrong.

    Args:
        images: of the world.
        k: questions per completion.
        per_image: questions that are tried on each picture.
        seed: of the questions.
        answerer: by default the executing one with `OTHER_FAULTS`.
        verifier: by default the oracle.

    Raises:
        ValueError: k or per_image below 1.
        BudgetSpent, Unserved: as `vlmprobe.loop.examine.examine`.
    """
    check_count("world_rows", "per_image", per_image)
    answerer = answerer or FaultyAnswerer(ExecutingAnswerer(), load_faults(OTHER_FAULTS))
    verifier = verifier or OracleVerifier()
    pool = Round(place=Place(run="rows"), images=[images[i] for i in range(len(images))])
    asked = ask(pool, RandomValid(), k=per_image, seed=seed)
    examined = examine(asked, answerer, verifier)
    return rows_of(((examined.pictures[i], examined.questions.text[i]) for i in examined.failed.tolist()), k)
