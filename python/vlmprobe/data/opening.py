"""A source of pictures, told by what is found at a path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vlmprobe.data.coco import CocoImages
from vlmprobe.data.files import FORMATS, MAX_PIXELS
from vlmprobe.data.rows import TEXT
from vlmprobe.data.source import FolderImages
from vlmprobe.data.tables import PARQUET, DatasetImages, TableImages

EXPECTED = "a folder of pictures or with a saved dataset, .csv, .tsv, .jsonl, .parquet, or COCO's .json"

Opened = FolderImages | CocoImages | TableImages | DatasetImages


def open_images(
    source: str | Path,
    *,
    annotations: Sequence[str | Path] = (),
    column: str = "",
    cache: str | Path | None = None,
    formats: Iterable[str] = FORMATS,
    max_pixels: int = MAX_PIXELS,
) -> Opened:
    """The pictures at a path.

    | what is there | is |
    |---|---|
    | a folder with `state.json` and `dataset_info.json` | a Hugging Face dataset, as `save_to_disk` writes it |
    | a folder with pictures, at any depth | a folder of pictures |
    | a folder with `.parquet` files and no picture | Parquet |
    | `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.parquet` | a table |
    | `.json` | COCO, about the pictures beside it |

    Args:
        source: a folder or a file.
        annotations: about the pictures of the folder `source`: COCO's files, or one table that names its files.
        column: of a table or a dataset; empty: found.
        cache: as in `TableImages`.
        formats, max_pixels: as in `FolderImages`.
    Raises:
        ValueError: nothing is there, or nothing of these kinds; what the source's own class raises; Parquet without
            pyarrow.

    Example:
        >>> open_images("photos")  # doctest: +SKIP
        FolderImages('photos', 3 images)
    """
    path = Path(source)
    shared: dict[str, Any] = {"formats": formats, "max_pixels": max_pixels}
    if not path.exists():
        raise ValueError(f"[open_images] path: no folder or file {str(path)!r}; expected {EXPECTED}")
    try:
        if annotations:
            return _about(path, list(annotations), column, cache, shared)
        found = _folder(path, column, cache, shared) if path.is_dir() else _file(path, column, cache, shared)
    except ImportError as error:
        raise ValueError(f"[open_images] {path}: {error}") from None
    if column and isinstance(found, (FolderImages, CocoImages)):
        raise ValueError(f"[open_images] column: expected none for {found.kind}, got {column!r:.60}")
    return found


def _about(
    path: Path, annotations: list[str | Path], column: str, cache: str | Path | None, shared: dict[str, Any]
) -> Opened:
    if not path.is_dir():
        raise ValueError(f"[open_images] source: expected the folder of the annotated pictures, got {str(path)!r}")
    suffixes = {Path(each).suffix.lower() for each in annotations}
    if suffixes == {".json"}:
        return CocoImages(annotations, path, **shared)
    if len(annotations) == 1 and suffixes <= {*TEXT, PARQUET}:
        return TableImages(annotations[0], column=column, folder=path, cache=cache, **shared)
    got = ", ".join(map(str, annotations))
    raise ValueError(f"[open_images] annotations: expected COCO's .json files or one table, got {got:.120}")


def _folder(path: Path, column: str, cache: str | Path | None, shared: dict[str, Any]) -> Opened:
    if (path / "dataset_dict.json").is_file():
        raise ValueError(
            f"[open_images] source: expected one split of the dataset {str(path)!r}, such as "
            f"{', '.join(str(path / name) for name in _splits(path))}, got all"
        )
    if (path / "state.json").is_file() and (path / "dataset_info.json").is_file():
        return DatasetImages(path, column=column, **shared)
    try:
        return FolderImages(path, **shared)
    except ValueError:
        if next(path.rglob(f"*{PARQUET}"), None) is None:
            raise
    return TableImages(path, column=column, cache=cache, **shared)


def _file(path: Path, column: str, cache: str | Path | None, shared: dict[str, Any]) -> Opened:
    suffix = path.suffix.lower()
    if suffix in (*TEXT, PARQUET):
        return TableImages(path, column=column, cache=cache, **shared)
    if suffix == ".json":
        return CocoImages(path, **shared)
    raise ValueError(f"[open_images] source: expected {EXPECTED}, got {path.name!r}")


def _splits(path: Path) -> list[str]:
    try:
        found = json.loads((path / "dataset_dict.json").read_bytes())["splits"]
        return [str(name) for name in found][:4]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ["train"]
