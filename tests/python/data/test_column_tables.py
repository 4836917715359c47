"""Parquet with bytes or names, and Hugging Face datasets on the disk, read a little at a time."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import sklearn
from PIL import Image as PILImage

from vlmprobe.data import DatasetImages, TableImages, UnreadableImage
from vlmprobe.data import columns as module

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CHINA, FLOWER = ((Path(sklearn.__file__).parent / "datasets" / "images" / f"{n}.jpg").read_bytes()
                 for n in ("china", "flower"))  # fmt: skip
GRACE = (Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg").read_bytes()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMB = b"\x89PNG\r\n\x1a\n" + b"".join(
    [chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)),
     chunk(b"IDAT", zlib.compress(bytes(4_000_000))), chunk(b"IEND", b"")]
)  # fmt: skip


def encoded(number: int, kind="PNG", size=(8, 6)) -> bytes:
    file = io.BytesIO()
    PILImage.new("RGB", size, (number % 256, number // 256, 7)).save(file, kind)
    return file.getvalue()


def number_of(image) -> int:
    red, green, _ = image.pixels.getpixel((0, 0))
    return red + 256 * green


def parquet(folder: Path, columns: dict, name="t.parquet", **more) -> Path:
    pq.write_table(pa.table(columns), folder / name, **more)
    return folder / name


def reason(images, index) -> str:
    with pytest.raises(UnreadableImage) as error:
        images[index]
    assert f"{images.keys[index]}: cannot be read as an image (" in str(error.value)
    return str(error.value)


# Parquet


def test_a_struct_of_bytes_and_path_is_found_by_its_type(tmp_path):
    rows = [{"bytes": CHINA, "path": "china.jpg"}, {"bytes": FLOWER, "path": None}, {"bytes": GRACE, "path": "g.jpg"}]
    images = TableImages(parquet(tmp_path, {"label": [3, 4, 5], "shot": rows, "raw": [b"1", b"2", b"3"]}))
    assert list(images.keys) == ["china.jpg", "row 1", "g.jpg"] and images.kind == "Parquet"
    assert [image.pixels.size for image in images] == [(640, 427), (640, 427), (512, 600)]
    assert images[2].meta == ({"label": 5},), "bytes of other columns are not read"


def test_plain_bytes_and_names_are_pictures_too(tmp_path):
    (tmp_path / "a.jpg").write_bytes(CHINA)
    assert TableImages(parquet(tmp_path, {"data": [CHINA], "n": [1]}))[0].key == "row 0"
    assert TableImages(parquet(tmp_path, {"data": pa.array([CHINA], pa.large_binary())}))[0].pixels
    named = TableImages(parquet(tmp_path, {"image": ["a.jpg", "../b.jpg", None], "text": ["x", "y", "z"]}))
    assert list(named.keys) == ["a.jpg", "../b.jpg", "row 2"] and named[0].meta == ({"text": "x"},)
    assert "leads out of it" in reason(named, 1) and "got none" in reason(named, 2)


def test_a_path_that_two_rows_have_is_no_key(tmp_path):
    rows = [{"bytes": encoded(i), "path": p} for i, p in enumerate(("0.png", "0.png", "1.png"))]
    assert list(TableImages(parquet(tmp_path, {"image": rows})).keys) == ["row 0", "row 1", "1.png"]


def test_broken_rows_are_pictures_that_cannot_be_read_and_others_go_on(tmp_path):
    rows = [FLOWER[: len(FLOWER) // 2], None, b"", b"<html>", BOMB, GRACE]
    images = TableImages(parquet(tmp_path, {"image": [{"bytes": each, "path": None} for each in rows]}))
    said = [reason(images, at) for at in range(5)]
    for text, words in zip(
        said, ("truncated", "got none", "got none", "it is none of", "decompression bomb"), strict=True
    ):
        assert words in text
    assert images[5].pixels.size == (512, 600)


@pytest.mark.parametrize("small", [0, 64 << 20])
def test_rows_are_found_in_any_order_by_any_thread_whatever_the_row_groups(tmp_path, monkeypatch, small):
    monkeypatch.setattr(module, "SMALL_GROUP", small)
    monkeypatch.setattr(module, "BATCHES", 2)
    shards = tmp_path / "shards"
    (shards / "data").mkdir(parents=True)
    for shard, (first, last) in enumerate(((0, 150), (150, 151), (151, 400))):
        pictures = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(first, last)]
        columns = {"image": pictures, "n": list(range(first, last))}
        parquet(shards / "data", columns, f"train-{shard}.parquet", row_group_size=70)
    images = TableImages(shards)
    assert len(images) == 400 and images.keys[399] == "399.png"
    order = np.random.default_rng(2).permutation(400).tolist()
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda at: number_of(images[at]), order)) == order
    assert images[205].meta == ({"n": 205},)


def test_a_damaged_page_takes_its_own_rows_alone(tmp_path):
    columns = {"image": [encoded(i) for i in range(40)]}
    file = parquet(tmp_path, columns, row_group_size=10, compression="none", use_dictionary=False)
    group = pq.ParquetFile(file).metadata.row_group(2).column(0)
    data = bytearray(file.read_bytes())
    data[group.data_page_offset : group.data_page_offset + 12] = b"\xff" * 12
    file.write_bytes(data)
    images = TableImages(file)
    assert number_of(images[19]) == 19 and reason(images, 25) and number_of(images[30]) == 30 and reason(images, 20)


@pytest.mark.parametrize(
    ("columns", "column", "words"),
    [
        ({"n": [1]}, "", "column: expected the name of t.parquet's column of pictures, one of n, got none"),
        ({"n": [1]}, "n", "n: expected bytes, {bytes, path} or names, got int64"),
        ({"image": [CHINA]}, "img", "column: expected one of image, got 'img'"),
        ({"a": [b"x"], "b": [b"y"]}, "", "one of a, b, got none"),
        ({"image": pa.array([], pa.binary())}, "", "expected rows with a picture, got none"),
    ],
)
def test_a_column_that_is_none_is_named(tmp_path, columns, column, words):
    file = parquet(tmp_path, columns)
    with pytest.raises(ValueError, match=r"^\[TableImages\] ") as error:
        TableImages(file, column=column)
    assert words in str(error.value)


def test_what_is_no_parquet(tmp_path):
    for name, data in (("cut", parquet(tmp_path, {"image": [CHINA]}).read_bytes()[:-9]), ("empty", b""), ("x", b"PAR")):
        (tmp_path / f"{name}.parquet").write_bytes(data)
        with pytest.raises(ValueError, match=rf"^\[TableImages\] .*{name}.parquet: cannot be opened \("):
            TableImages(tmp_path / f"{name}.parquet")
    two = tmp_path / "two"
    two.mkdir()
    parquet(two, {"image": [CHINA]}, "a.parquet")
    parquet(two, {"picture": [CHINA]}, "b.parquet")
    with pytest.raises(ValueError, match=r"b.parquet: expected the columns \['image'\], got \['picture'\]"):
        TableImages(two)


MEASURE = """
import sys
from vlmprobe.data import TableImages, DatasetImages
import pyarrow.parquet
def peak(): return next(int(l.split()[1]) >> 10 for l in open("/proc/self/status") if l.startswith("VmHWM"))
images = (TableImages if sys.argv[1].endswith(".parquet") else DatasetImages)(sys.argv[1])
before = peak()
for at in (0, 150, 299, 20):
    assert images[at].pixels.size == (8, 6)
print(peak() - before)
"""


def test_a_row_group_of_300_megabytes_in_small_pages_is_never_in_memory_whole(tmp_path):
    noise, png = np.random.default_rng(0), encoded(1)
    rows = [png + noise.bytes(1 << 20) for _ in range(300)]
    file = parquet(tmp_path, {"image": rows}, use_dictionary=False, write_batch_size=8)
    assert pq.ParquetFile(file).num_row_groups == 1
    said = subprocess.run([sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) < 250


# Hugging Face datasets


@pytest.fixture
def dataset(tmp_path) -> Path:
    """As `save_to_disk` writes it, by pyarrow alone."""
    folder = tmp_path / "saved"
    folder.mkdir()
    for shard, numbers in enumerate(([0, 1, 2], [3, 4])):
        rows = [{"bytes": encoded(i), "path": f"{i}.png"} for i in numbers]
        table = pa.table({"image": rows, "caption": [f"number {i}" for i in numbers]})
        with pa.ipc.new_stream(str(folder / f"data-0000{shard}-of-00002.arrow"), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    names = [{"filename": path.name} for path in sorted(folder.iterdir())]
    (folder / "state.json").write_text(json.dumps({"_data_files": names, "_indices_files": None}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_a_saved_dataset_is_read_from_its_arrow_files(dataset):
    images = DatasetImages(dataset)
    assert [number_of(image) for image in images] == [0, 1, 2, 3, 4] and images.keys[3] == "3.png"
    assert images[4].meta == ({"caption": "number 4"},)


def test_what_datasets_itself_saves_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    pictures = [PILImage.open(io.BytesIO(each)) for each in (CHINA, FLOWER, GRACE)]
    features = datasets.Features({"label": datasets.Value("string"), "photo": datasets.Image()})
    made = datasets.Dataset.from_dict({"label": ["a", "b", "c"], "photo": pictures}, features=features)
    made.save_to_disk(str(tmp_path / "saved"), num_shards=2)
    made.to_parquet(str(tmp_path / "t.parquet"))
    for images in (DatasetImages(tmp_path / "saved"), TableImages(tmp_path / "t.parquet")):
        assert [image.pixels.size for image in images] == [(640, 427), (640, 427), (512, 600)]
        assert images[2].meta == ({"label": "c"},)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("{", "expected the state of a saved dataset"),
        ("[]", "expected the state of a saved dataset"),
        ({"_data_files": [{"filename": "../x.arrow"}]}, "_data_files: expected names of files, got"),
        ({"_data_files": []}, "_data_files: expected names of files, got []"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, "expected the file 'gone.arrow', got none"),
        ({"_data_files": [{"filename": "x"}], "_indices_files": [{"filename": "i"}]}, "expected no list of indices"),
        ({"_data_files": [{"filename": "state.json"}]}, "state.json: cannot be opened"),
    ],
)
def test_a_state_that_is_none_is_named(dataset, state, words):
    (dataset / "state.json").write_text(state if isinstance(state, str) else json.dumps(state))
    with pytest.raises(ValueError, match=r"^\[(DatasetImages|TableImages)\] ") as error:
        DatasetImages(dataset)
    assert words in str(error.value)


def test_a_dataset_file_that_is_cut_short_is_refused_at_once(dataset):
    file = dataset / "data-00001-of-00002.arrow"
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"data-00001-of-00002.arrow: cannot be opened"):
        DatasetImages(dataset)
    shutil.rmtree(dataset)
    with pytest.raises(ValueError, match=r"state.json: expected the state of a saved dataset"):
        DatasetImages(dataset)
