"""A source is told by what is found at its path; what is none is said in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sklearn

from vlmprobe.data import CocoImages, DatasetImages, FolderImages, TableImages, open_images

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CHINA = Path(sklearn.__file__).parent / "datasets" / "images" / "china.jpg"


@pytest.fixture
def all_kinds(tmp_path) -> Path:
    data = CHINA.read_bytes()
    for name in ("photos", "parquet/data", "saved", "split/train", "split/test", "empty"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(CHINA, tmp_path / "photos" / "china.jpg")
    (tmp_path / "t.csv").write_text("image,x\nphotos/china.jpg,1\n")
    (tmp_path / "t.jsonl").write_text('{"image": "photos/china.jpg"}\n')
    (tmp_path / "about.csv").write_text("name,image\nx,china.jpg\n")
    (tmp_path / "coco.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "china.jpg"}]}))
    shutil.copy(tmp_path / "coco.json", tmp_path / "photos" / "coco.json")
    table = pa.table({"image": [{"bytes": data, "path": "c.jpg"}]})
    pq.write_table(table, tmp_path / "t.parquet")
    pq.write_table(table, tmp_path / "parquet" / "data" / "train.parquet")
    with pa.ipc.new_stream(str(tmp_path / "saved" / "data.arrow"), table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "saved" / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    (tmp_path / "saved" / "dataset_info.json").write_text("{}")
    (tmp_path / "split" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    (tmp_path / "x.zip").write_bytes(b"PK")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "more", "kind", "words"),
    [
        ("photos", {}, FolderImages, "a folder"),
        ("t.csv", {}, TableImages, "a table"),
        ("t.csv", {"column": "image"}, TableImages, "a table"),
        ("t.jsonl", {}, TableImages, "a table"),
        ("t.parquet", {}, TableImages, "Parquet"),
        ("parquet", {}, TableImages, "Parquet"),
        ("saved", {}, DatasetImages, "a Hugging Face dataset"),
        ("photos/coco.json", {}, CocoImages, "COCO"),
        ("photos", {"annotations": ["coco.json"]}, CocoImages, "COCO"),
        ("photos", {"annotations": ["about.csv"]}, TableImages, "a table"),
        ("photos", {"annotations": ["about.csv"], "column": "image"}, TableImages, "a table"),
    ],
)
def test_each_kind_is_told_by_what_is_there(all_kinds, source, more, kind, words):
    if "annotations" in more:
        more = {**more, "annotations": [all_kinds / each for each in more["annotations"]]}
    images = open_images(all_kinds / source, **more)
    assert type(images) is kind and images.kind == words and images[0].pixels.size == (640, 427)
    assert len(images.keys) == 1 and images.stamp(0) and images.glimpse(0, 64).pixels.size <= (640, 427)
    for index in (-1, 1):
        with pytest.raises(IndexError, match=rf"index must be in \[0, 1\), got {index}"):
            images[index]


@pytest.mark.parametrize(
    ("source", "more", "words"),
    [
        ("nowhere", {}, "[open_images] path: no folder or file '"),
        ("x.zip", {}, "[open_images] source: expected a folder of pictures or with a saved dataset, .csv, "),
        ("split", {}, "expected one split of the dataset"),
        ("split", {}, "split/train, "),
        ("empty", {}, "[FolderImages] path: no .bmp, "),
        ("photos", {"column": "image"}, "[open_images] column: expected none for a folder, got 'image'"),
        (
            "t.csv",
            {"annotations": ["coco.json"]},
            "[open_images] source: expected the folder of the annotated pictures",
        ),
        ("photos", {"annotations": ["x.zip"]}, "[open_images] annotations: expected COCO's .json files or one table"),
        ("photos", {"annotations": ["t.csv", "t.jsonl"]}, "annotations: expected COCO's .json files or one table, got"),
        ("t.csv", {"formats": ["EPS"]}, "[TableImages] formats: expected some such as AVIF"),
        (
            "saved/state.json",
            {},
            "state.json: expected COCO, an object with a list of images, got the keys _data_files",
        ),
    ],
)
def test_what_is_no_source_is_said_in_one_sentence(all_kinds, source, more, words):
    if "annotations" in more:
        more = {**more, "annotations": [all_kinds / each for each in more["annotations"]]}
    with pytest.raises(ValueError) as error:
        open_images(all_kinds / source, **more)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_parquet_without_pyarrow_names_the_extra(all_kinds, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"^\[open_images\] .*t.parquet: "):
        open_images(all_kinds / "t.parquet")
