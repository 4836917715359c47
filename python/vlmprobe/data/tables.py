"""Tables of pictures: CSV and JSON lines of files or URLs, Parquet with bytes, a Hugging Face dataset on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from vlmprobe.data.columns import ArrowRows, ColumnCells, ParquetRows
from vlmprobe.data.downloads import MAX_BYTES, SECONDS, Downloads
from vlmprobe.data.files import FORMATS, MAX_PIXELS
from vlmprobe.data.image import Image
from vlmprobe.data.reading import READERS, Reading
from vlmprobe.data.rows import TEXT, Cells, References, TextCells

PARQUET = ".parquet"


class CellImages:
    """Pictures that are in the cells of a column; `TableImages` and `DatasetImages` say of which."""

    readers = READERS
    _path: Path
    _reading: Reading
    _cells: Cells

    @property
    def keys(self) -> Sequence[str]:
        """[len] names."""
        return self._cells.keys

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r}, {len(self)} images)"

    def __len__(self) -> int:
        return len(self._cells.keys)

    def __getitem__(self, index: int, /) -> Image:
        return self.glimpse(index, None)

    def glimpse(self, index: int, small: int | None) -> Image:
        """Image `index`, of a JPEG perhaps a smaller one: see `read_picture`."""
        cells = self._cells
        key = cells.keys[self._reading.place(index, len(cells.keys))]
        return self._reading(index, key, lambda: cells.file(index), meta=lambda: cells.meta(index), small=small)

    def stamp(self, index: int) -> str:
        """Another one where the picture has been changed."""
        return self._cells.stamp(index)


class TableImages(CellImages):
    """The pictures that a table names or holds, in the order of its rows; read when asked for.

    `image.meta` has the other columns of the rows that name the picture, a tuple of one dict a row. The key is what the
    cell says: a file below the table's folder, or an http(s) URL, which is downloaded once and kept. Of bytes in
    Parquet it is their `path`, or `row 17` where there is none or another row has it as well; a table whose rows have
    moved is then another source. A cell that names nothing that can be had is a picture that cannot be read.

    Args:
        path: a `.csv`, `.tsv`, `.jsonl` or `.parquet` file; or a folder with `.parquet` files.
        column: with the pictures; empty: found by its name, and in Parquet by its type.
        folder: of the files that the table names; its own without it. Names that lead out of it are refused.
        cache: a folder for what is downloaded; without it `<table>.downloads` beside the table.
        seconds: that one download may take.
        max_bytes: that one download may have.
        formats, max_pixels: as in `FolderImages`.
    Raises:
        ValueError: no such file, another kind, no such column, no row with a picture.
        ModuleNotFoundError: Parquet without the extra `parquet`.
        UnreadableImage, SourceGone: when an image is asked for, as in `FolderImages`.

    Example:
        >>> images = TableImages("photos.csv", column="url")  # doctest: +SKIP
        >>> images[0].meta  # doctest: +SKIP
        ({'caption': 'A cat.'},)
    """

    readers = 16  # most of them wait for servers

    def __init__(
        self,
        path: str | Path,
        *,
        column: str = "",
        folder: str | Path | None = None,
        cache: str | Path | None = None,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
        formats: Iterable[str] = FORMATS,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._path = Path(path)
        own = self._path if self._path.is_dir() else self._path.parent
        downloads = Downloads(
            self._path.with_name(f"{self._path.name}.downloads") if cache is None else cache,
            seconds=seconds,
            max_bytes=max_bytes,
        )
        references = References(own if folder is None else Path(folder), downloads)
        self._reading = Reading.of("TableImages", self._path, formats, max_pixels)
        suffix = self._path.suffix.lower()
        if self._path.is_dir() or suffix == PARQUET:
            self.kind = "Parquet"
            self._cells = ColumnCells(ParquetRows(_parquet_files(self._path)), column, references)
        elif suffix in TEXT:
            self.kind = "a table"
            self._cells = TextCells(self._path, column, references)
        else:
            raise ValueError(f"[TableImages] path: expected {', '.join(TEXT)} or {PARQUET}, got {self._path.name!r}")


class DatasetImages(CellImages):
    """The pictures of a Hugging Face dataset that `save_to_disk` wrote, in the order of its rows.

    The Arrow files are mapped and read with pyarrow; the package `datasets` is not needed. Keys and `image.meta` are
    those of `TableImages`.

    Args:
        folder: with `state.json` and `dataset_info.json`.
        column: with the pictures; empty: found by its type and its name.
        formats, max_pixels: as in `FolderImages`.
    Raises:
        ValueError: no such folder, a dataset of several splits, files that are not there, no column of pictures.
        ModuleNotFoundError: without the extra `parquet`.
        UnreadableImage, SourceGone: when an image is asked for, as in `FolderImages`.

    Example:
        >>> DatasetImages("food101/validation")  # doctest: +SKIP
        DatasetImages('food101/validation', 25250 images)
    """

    kind = "a Hugging Face dataset"

    def __init__(
        self,
        folder: str | Path,
        *,
        column: str = "",
        formats: Iterable[str] = FORMATS,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._path = Path(folder)
        self._reading = Reading.of("DatasetImages", self._path, formats, max_pixels)
        references = References(self._path, Downloads(self._path.with_name(f"{self._path.name}.downloads")))
        self._cells = ColumnCells(ArrowRows(_arrow_files(self._path)), column, references)


def _parquet_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob(f"*{PARQUET}") if each.is_file() and not each.name.startswith("."))
    if not found:
        raise ValueError(f"[TableImages] path: expected {PARQUET} files below {str(path)!r}, got none")
    return found


def _arrow_files(folder: Path) -> list[Path]:
    """As `state.json` lists them.

    Raises:
        ValueError: there is none, or rows are chosen by a list of numbers, as datasets 1 saved them.
    """
    file = folder / "state.json"
    try:
        state = json.loads(file.read_bytes())
        names = [each["filename"] for each in state["_data_files"]]
        chosen = state.get("_indices_files") or state.get("_indices_data_files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"[DatasetImages] {file}: expected the state of a saved dataset ({error!r:.80})") from None
    if chosen:
        raise ValueError(f"[DatasetImages] {file}: expected no list of indices, got one; flatten_indices() and save")
    if not names or not all(isinstance(name, str) and name and Path(name).name == name for name in names):
        raise ValueError(f"[DatasetImages] {file}: _data_files: expected names of files, got {names!r:.60}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"[DatasetImages] {folder}: expected the file {missing[0]!r}, got none")
    return [folder / name for name in names]
