"""A regression suite: failures that were confirmed, frozen in a folder.

    suite.json      what it is and where it comes from, with a hash of the rest
    items.jsonl     a question about a picture in each line
    pictures/       the pictures, as PNG, named by the hash of their pixels

A suite is written once. Another content needs another folder, so that a rate of last year is of the same questions.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from vlmprobe._util.files import write_text
from vlmprobe._util.json import member, read_lines, read_object, typed
from vlmprobe.data.image import Image

FILE, ITEMS, PICTURES = "suite.json", "items.jsonl", "pictures"
FORMAT = 1
"""Of the files; a reader refuses a newer one."""
NO_LICENSE = "unknown"
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
"""Of a suite."""
_CANARIES = uuid.UUID("6f1d0c1e-7b1f-5c53-9d7e-2f6b1f0f8a11")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question about a picture that an answerer got wrong."""

    id: str
    """Twelve hexadecimal digits of the picture's pixels and the question."""
    picture: str
    """Path of the picture in the suite's folder."""
    sha256: str
    """Hash of the picture's pixels (`vlmprobe.data.Image.sha256`)."""
    key: str
    """Name of the picture where it comes from."""
    question: str
    answer: str
    """The wrong answer."""
    reason: str
    """The verifier's words about it."""
    reference: str | None
    """A right answer, where one is known."""
    reference_by: str
    """Who says so; empty without one."""
    modes: Sequence[str]
    """Ids of the failure modes that take the question."""
    by_people: bool
    """Whether people said that the answer is wrong."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A suite as it was written."""

    folder: Path
    about: Mapping[str, Any]
    """What suite.json has."""
    items: Sequence[Item]

    @property
    def name(self) -> str:
        return str(self.about["name"])

    @property
    def canary(self) -> str:
        """A string that is in each file of the suite, so that who trains on it by mistake can find that out."""
        return str(self.about["canary"])

    @property
    def modes(self) -> Mapping[str, str]:
        """Id -> name."""
        return {mode["id"]: mode["name"] for mode in self.about["modes"]}

    @property
    def of_world(self) -> bool:
        """Whether its pictures are of the embedded world, which knows their truth by their names."""
        return bool(self.about["source"] == "world")

    def __repr__(self) -> str:
        return f"Suite({self.name!r} {self.about['version']}: {len(self.items)} items)"

    def image(self, number: int) -> Image:
        """The picture of an item, under the item's number.

        Raises:
            ValueError: it is gone, or its pixels are others.
        """
        item = self.items[number]
        try:
            with PILImage.open(self.folder / item.picture) as file:
                image = Image(number, item.picture, file.convert("RGB"), meta=self._meta(item))
        except OSError as error:
            raise ValueError(f"[suite] {item.picture}: expected a picture, got {error}") from None
        if image.sha256 != item.sha256:
            raise ValueError(f"[suite] {item.picture}: expected pixels {item.sha256:.12}, got {image.sha256:.12}")
        return image

    def _meta(self, item: Item) -> object | None:
        if not self.of_world:
            return None
        from vlmprobe.world.source import scene_named

        return scene_named(item.key)


def id_of(sha256: str, question: str) -> str:
    """See `Item.id`."""
    return hashlib.sha256(f"{sha256}\n{question}".encode("utf-8", "backslashreplace")).hexdigest()[:12]


def freeze(folder: Path, items: Sequence[Item], images: Mapping[str, Image], about: Mapping[str, Any]) -> Suite:
    """Writes a suite.

    Args:
        folder: new or empty, or with the same suite.
        items: at least one.
        images: hash of pixels -> picture.
        about: `name`, `version`, `license`, `created`, `source`, `provenance` and `modes`.

    Raises:
        ValueError: no item, or a folder with something else.
    """
    if not items:
        raise ValueError("[suite] items: expected at least one confirmed failure, got none")
    digest = _digest(items)
    canary = f"vlmprobe suite canary {uuid.uuid5(_CANARIES, digest)}; this text must never be in training data"
    whole = {
        "format": FORMAT, **about, "canary": canary, "content_sha256": digest,
        "items": len(items), "pictures": len({item.sha256 for item in items}),
    }  # fmt: skip
    _check_place(folder, digest)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for item in items:
        place = folder / item.picture
        if not place.exists():
            images[item.sha256].pixels.save(place, format="PNG")
    rows = [json.dumps({**asdict(item), "canary": canary}, ensure_ascii=True, allow_nan=False) for item in items]
    write_text(folder / ITEMS, "".join(f"{row}\n" for row in rows))
    if not (folder / FILE).exists():
        write_text(folder / FILE, json.dumps(whole, indent=1, allow_nan=False) + "\n")
    return read_suite(folder)


def read_suite(folder: str | Path) -> Suite:
    """Reads a suite.

    Raises:
        ValueError: there is none, one of a newer format, a line that is none, or a content that was changed.
    """
    folder = Path(folder)
    if not (folder / FILE).is_file():
        raise ValueError(
            f"[suite] {folder}: expected a folder with {FILE}, got none; `vlmprobe export --suite` writes it"
        )
    about = read_object("suite", folder / FILE)
    if (version := member("suite", FILE, about, "format", int)) > FORMAT:
        raise ValueError(f"[suite] {folder / FILE}: format: expected at most {FORMAT}, got {version}")
    if not re.fullmatch(NAME, name := member("suite", FILE, about, "name", str)):
        raise ValueError(f"[suite] {folder / FILE}: name: expected letters, digits, '.', '_' and '-', got {name!r:.60}")
    items = [_item(where, row) for where, row in read_lines("suite", folder / ITEMS)]
    if (digest := _digest(items)) != about.get("content_sha256"):
        raise ValueError(
            f"[suite] {folder}: expected the content {about.get('content_sha256')!s:.12}, got {digest:.12}: a suite is "
            "never changed; write another one"
        )
    return Suite(folder=folder, about=about, items=items)


def _item(where: str, row: Any) -> Item:
    try:
        item = Item(**{each.name: row[each.name] for each in fields(Item)})
    except (KeyError, TypeError) as error:
        raise ValueError(f"[suite] {where}: expected an item, got none with {error}") from None
    for name in ("id", "picture", "sha256", "key", "question", "answer", "reason", "reference_by"):
        typed("suite", f"{where}: {name}", getattr(item, name), str)
    if not re.fullmatch(f"{PICTURES}/[0-9a-f]{{16}}[.]png", item.picture):
        raise ValueError(f"[suite] {where}: picture: expected a name in {PICTURES}, got {item.picture!r:.60}")
    return item


def _digest(items: Sequence[Item]) -> str:
    rows = [json.dumps(asdict(item), sort_keys=True, allow_nan=False) for item in items]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _check_place(folder: Path, digest: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"[suite] {folder}: expected a new or empty folder, got a file")
    if not folder.exists() or not any(folder.iterdir()):
        return
    known = read_object("suite", folder / FILE).get("content_sha256") if (folder / FILE).is_file() else None
    if known != digest:
        got = "something else" if known is None else "another suite"
        raise ValueError(f"[suite] {folder}: expected a new or empty folder, got {got}; a suite is never changed")
