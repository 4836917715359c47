"""COCO: captions and boxes come with the pictures, and annotations that are not as they should be are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sklearn

from vlmprobe.data import CocoImages, CocoMeta, ImageSource, UnreadableImage

PHOTOS = Path(sklearn.__file__).parent / "datasets" / "images"
IMAGES = [{"id": 7, "file_name": "china.jpg", "width": 640}, {"id": 3, "file_name": "größe/花.jpg"}]
CAPTIONS = {
    "images": IMAGES,
    "annotations": [
        {"id": 1, "image_id": 7, "caption": "A temple. "},
        {"id": 2, "image_id": 3, "caption": "A flower."},
        {"id": 3, "image_id": 7, "caption": "A roof."},
    ],
}
BOXES = {
    "images": IMAGES,
    "categories": [{"id": 1, "name": "person"}, {"id": 44, "name": "vase"}],
    "annotations": [
        {"id": 9, "image_id": 7, "category_id": 1, "bbox": [1, 2.5, 30, 40], "iscrowd": 0, "segmentation": []},
        {"id": 8, "image_id": 7, "category_id": 44, "bbox": [0, 0, 5, 5]},
        {"id": 10, "image_id": 7, "category_id": 1, "bbox": [9, 9, 9, 9]},
    ],
}


@pytest.fixture
def folder(tmp_path) -> Path:
    photos = tmp_path / "photos"
    (photos / "größe").mkdir(parents=True)
    shutil.copy(PHOTOS / "china.jpg", photos / "china.jpg")
    shutil.copy(PHOTOS / "flower.jpg", photos / "größe" / "花.jpg")
    return photos


def written(tmp_path, content, name="coco.json") -> Path:
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def test_captions_and_boxes_of_several_files_are_the_pictures_meta(tmp_path, folder):
    files = [written(tmp_path, CAPTIONS, "captions.json"), written(tmp_path, BOXES, "instances.json")]
    images = CocoImages(files, folder)
    assert isinstance(images, ImageSource) and list(images.keys) == ["china.jpg", "größe/花.jpg"]
    first, second = images
    assert (first.id, first.key, first.pixels.size) == (0, "china.jpg", (640, 427))
    assert first.meta == CocoMeta(
        ("A temple.", "A roof."),
        {"person": ((1.0, 2.5, 30.0, 40.0), (9.0, 9.0, 9.0, 9.0)), "vase": ((0.0, 0.0, 5.0, 5.0),)},
    )
    assert second.meta == CocoMeta(("A flower.",), {})
    assert images.stamp(0) != images.stamp(1) and repr(images).endswith("photos', 2 images)")


def test_pictures_lie_beside_the_annotations_unless_a_folder_is_named(folder):
    assert CocoImages(written(folder, CAPTIONS))[0].pixels.size == (640, 427)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg", ".", "nowhere.jpg", "a\0b.jpg"])
def test_a_name_that_leads_out_of_the_folder_or_to_nothing_is_a_picture_that_cannot_be_read(tmp_path, folder, name):
    shutil.copy(PHOTOS / "flower.jpg", tmp_path / "secret.jpg")
    file = written(tmp_path, {"images": [{"id": 1, "file_name": name}, {"id": 2, "file_name": "china.jpg"}]})
    images = CocoImages(file, folder)
    at = list(images.keys).index(name)
    with pytest.raises(UnreadableImage, match=r"^\[CocoImages\] .*: cannot be read as an image \(") as error:
        images[at]
    assert name in str(error.value) and images[1 - at].key == "china.jpg"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "expected JSON, got something else"),
        ("[" * 100_000, "expected JSON, got something else"),
        ([1], "expected COCO, an object with a list of images, got [1]"),
        ({"annotations": []}, "expected COCO, an object with a list of images, got the keys annotations"),
        ({"images": []}, "images: expected at least one, got none"),
        ({"images": ["a"]}, "images[0]: expected an object, got 'a'"),
        ({"images": [{"id": 1}]}, "images[0].file_name: expected a name, got None"),
        ({"images": [{"id": [1], "file_name": "a"}]}, "images[0].id: expected a number, got [1]"),
        ({"images": [IMAGES[0], IMAGES[0]]}, "images[1].id: expected a number of its own, got 7"),
        ({"images": IMAGES, "annotations": {}, "categories": 3}, "categories: expected a list, got 3"),
        (
            {"images": IMAGES, "annotations": [{"image_id": 5}]},
            "annotations[0].image_id: expected one of images, got 5",
        ),
        (
            {"images": IMAGES, "annotations": [{"image_id": 7, "bbox": [1, 2, 3]}]},
            "annotations[0].bbox: expected left, top, width and height, got [1, 2, 3]",
        ),
        ('{"images": [{"id": 7, "file_name": "a"}], "annotations": [{"image_id": 7, "bbox": [1, 2, 3, NaN]}]}', "bbox"),
    ],
)
def test_annotations_that_are_not_as_coco_has_them_are_named(tmp_path, folder, content, words):
    with pytest.raises(ValueError, match=r"^\[CocoImages\] coco.json: ") as error:
        CocoImages(written(tmp_path, content), folder)
    assert words in str(error.value)


def test_files_and_folders_that_are_not_there(tmp_path, folder):
    with pytest.raises(ValueError, match=r"^\[CocoImages\] annotations: cannot read '.*none.json' \(No such file"):
        CocoImages(tmp_path / "none.json", folder)
    with pytest.raises(ValueError, match=r"^\[CocoImages\] folder: no folder '.*nowhere'"):
        CocoImages(written(tmp_path, CAPTIONS), tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"^\[CocoImages\] annotations: expected at least one file, got none"):
        CocoImages([], folder)
