"""COCO: a folder of pictures, and JSON files that have their captions and the boxes of what is in them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlmprobe.data.files import FORMATS, MAX_PIXELS
from vlmprobe.data.image import Image
from vlmprobe.data.reading import READERS, Reading, encodable, inside, stamp

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels of the file as it is stored, not turned."""


@dataclass(frozen=True)
class CocoMeta:
    """What COCO's annotations say about a picture."""

    captions: tuple[str, ...]
    """In the order of the annotations."""
    boxes: Mapping[str, tuple[Box, ...]]
    """Category name -> where such things are."""


class CocoImages:
    """The pictures that COCO annotations list, in the order of their names; read when asked for.

    The key is `file_name`, and `image.meta` a `CocoMeta`. A name that leads out of the folder, or to no file, is a
    picture that cannot be read.

    Args:
        annotations: a JSON file, or several about the same pictures (`captions_val2017.json`,
            `instances_val2017.json`).
        folder: of the pictures; the first annotations' own without it.
        formats, max_pixels: as in `FolderImages`.
    Raises:
        ValueError: no such file or folder, no JSON, no `images`, an entry that is not as COCO has it (names it).
        UnreadableImage, SourceGone: when an image is asked for, as in `FolderImages`.

    Example:
        >>> images = CocoImages("annotations/captions_val2017.json", "val2017")  # doctest: +SKIP
        >>> images[0].meta.captions[0]  # doctest: +SKIP
        'A woman stands in the dining area at the table.'
    """

    kind = "COCO"
    readers = READERS

    def __init__(
        self,
        annotations: str | Path | Sequence[str | Path],
        folder: str | Path | None = None,
        *,
        formats: Iterable[str] = FORMATS,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        files = [Path(annotations)] if isinstance(annotations, (str, Path)) else [Path(each) for each in annotations]
        if not files:
            raise ValueError("[CocoImages] annotations: expected at least one file, got none")
        self._root = Path(folder) if folder is not None else files[0].parent
        self._reading = Reading.of("CocoImages", self._root, formats, max_pixels)
        if not self._root.is_dir():
            raise ValueError(f"[CocoImages] folder: no folder {str(self._root)!r}")
        self._names: dict[str, str] = {}
        self._captions: dict[str, list[str]] = {}
        self._boxes: dict[str, dict[str, list[Box]]] = {}
        for file in files:
            self._add(file)
        self._keys = sorted(self._names)

    @property
    def keys(self) -> Sequence[str]:
        """[len] `file_name` of each."""
        return self._keys

    def __repr__(self) -> str:
        return f"CocoImages({str(self._root)!r}, {len(self)} images)"

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int, /) -> Image:
        return self.glimpse(index, None)

    def glimpse(self, index: int, small: int | None) -> Image:
        """Image `index`, of a JPEG perhaps a smaller one: see `read_picture`."""
        key = self._keys[self._reading.place(index, len(self))]
        return self._reading(
            index, key, lambda: inside(self._root, self._names[key]), meta=lambda: self._meta(key), small=small
        )

    def stamp(self, index: int) -> str:
        """Another one where the picture's file has been changed."""
        return stamp(self._root / self._names[self._keys[index]])

    def _meta(self, key: str) -> CocoMeta:
        boxes = {name: tuple(found) for name, found in self._boxes.get(key, {}).items()}
        return CocoMeta(tuple(self._captions.get(key, ())), boxes)

    def _add(self, file: Path) -> None:
        content = _read(file)
        where = f"[CocoImages] {file.name}:"
        keys: dict[Any, str] = {}
        for at, entry in _entries(content, "images", where):
            name, number = entry.get("file_name"), entry.get("id")
            if not isinstance(name, str) or not name:
                raise ValueError(f"{where} images[{at}].file_name: expected a name, got {name!r:.60}")
            if not isinstance(number, (int, str)) or number in keys:
                raise ValueError(f"{where} images[{at}].id: expected a number of its own, got {number!r:.60}")
            keys[number] = encodable(name)
            self._names[encodable(name)] = name
        if not keys:
            raise ValueError(f"{where} images: expected at least one, got none")
        named = {each.get("id"): str(each.get("name")) for _, each in _entries(content, "categories", where)}
        for at, entry in _entries(content, "annotations", where):
            key = keys.get(entry.get("image_id"))
            if key is None:
                raise ValueError(
                    f"{where} annotations[{at}].image_id: expected one of images, got {entry.get('image_id')!r:.60}"
                )
            if isinstance(entry.get("caption"), str):
                self._captions.setdefault(key, []).append(entry["caption"].strip())
            if "bbox" in entry:
                category = named.get(entry.get("category_id"), str(entry.get("category_id")))
                box = _box(entry["bbox"], f"{where} annotations[{at}].bbox")
                self._boxes.setdefault(key, {}).setdefault(category, []).append(box)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise ValueError(f"[CocoImages] annotations: cannot read {str(file)!r} ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[CocoImages] {file.name}: expected JSON, got something else ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise ValueError(
            f"[CocoImages] {file.name}: expected COCO, an object with a list of images, got "
            + (f"the keys {', '.join(map(str, content))}"[:120] if isinstance(content, dict) else f"{content!r:.60}")
        )
    return content


def _entries(content: Mapping[str, Any], name: str, where: str) -> Iterable[tuple[int, dict[str, Any]]]:
    found = content.get(name) or []
    if not isinstance(found, list):
        raise ValueError(f"{where} {name}: expected a list, got {found!r:.60}")
    for at, entry in enumerate(found):
        if not isinstance(entry, dict):
            raise ValueError(f"{where} {name}[{at}]: expected an object, got {entry!r:.60}")
        for key in ("id", "image_id", "category_id"):
            if isinstance(entry.get(key), (list, dict)):
                raise ValueError(f"{where} {name}[{at}].{key}: expected a number, got {entry[key]!r:.60}")
        yield at, entry


def _box(value: Any, where: str) -> Box:
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 4 or not all(isinstance(each, (int, float)) and math.isfinite(each) for each in numbers):
        raise ValueError(f"{where}: expected left, top, width and height, got {value!r:.60}")
    left, top, width, height = map(float, numbers)
    return left, top, width, height
