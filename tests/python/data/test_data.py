"""Image sources and the order of images."""

import re

import numpy as np
import pytest
from PIL import Image as PILImage

from vlmprobe.data import FolderImages, Image, ImageSource, epoch_order


def save(path, color="red", size=(6, 4), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.new(mode, size, color).save(path, **options)


def test_folder_is_sorted_by_path_whatever_the_order_of_creation(tmp_path):
    for name in ("b.png", "a/z.jpg", "B.PNG", "a.png", "a/b/c.webp"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    images = FolderImages(tmp_path)
    keys = [images[i].key for i in range(len(images))]
    assert keys == ["B.PNG", "a.png", "a/b/c.webp", "a/z.jpg", "b.png"]
    assert [image.id for image in images] == [0, 1, 2, 3, 4]
    assert isinstance(images, ImageSource)
    assert len(FolderImages(tmp_path, extensions=["jpg"])) == 1


def test_exif_orientation_is_applied(tmp_path):
    picture = PILImage.new("RGB", (6, 4), "white")
    picture.putpixel((0, 0), (255, 0, 0))
    exif = PILImage.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored top left belongs at the top right
    picture.save(tmp_path / "turned.png", exif=exif)
    image = FolderImages(tmp_path)[0]
    assert image.pixels.size == (4, 6)
    assert image.pixels.getpixel((3, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [("L", 7, (7, 7, 7)), ("RGBA", (255, 0, 0, 0), (255, 255, 255)), ("CMYK", (0, 0, 0, 255), (0, 0, 0))],
)
def test_every_mode_comes_as_rgb_and_transparency_over_white(tmp_path, mode, color, expected):
    save(tmp_path / ("x.tif" if mode == "CMYK" else "x.png"), color, mode=mode)
    assert FolderImages(tmp_path)[0].pixels.getpixel((0, 0)) == expected


def test_sixteen_bit_grey_is_scaled_not_cut(tmp_path):
    PILImage.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert FolderImages(tmp_path)[0].pixels.getpixel((0, 0)) == (128, 128, 128)


def test_hash_is_of_the_pixels_not_of_the_file(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.bmp")
    save(tmp_path / "c.png", size=(4, 6))
    a, b, c = FolderImages(tmp_path)
    assert a.sha256 == b.sha256 != c.sha256
    assert re.fullmatch("[0-9a-f]{64}", a.sha256)


def test_a_broken_file_is_named_when_it_is_asked_for(tmp_path):
    save(tmp_path / "good.png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.jpg").write_bytes(b"\xff\xd8 not a picture")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "sub" / "cut.png").write_bytes(whole[:40])
    images = FolderImages(tmp_path)
    assert images[0].key == "good.png"
    with pytest.raises(ValueError, match=r"^\[FolderImages\] sub/bad\.jpg: cannot be read as an image"):
        images[1]
    with pytest.raises(ValueError, match=r"^\[FolderImages\] sub/cut\.png: cannot be read as an image"):
        images[2]


def test_errors_of_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"^\[FolderImages\] path: no folder '.*nowhere'"):
        FolderImages(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"^\[FolderImages\] path: no \.png below"):
        FolderImages(tmp_path, extensions=["png"])
    with pytest.raises(ValueError, match=r"^\[FolderImages\] extensions: expected a list"):
        FolderImages(tmp_path, extensions="png")
    save(tmp_path / "a.png")
    for index in (-1, 1):
        with pytest.raises(IndexError, match=rf"index must be in \[0, 1\), got {index}"):
            FolderImages(tmp_path)[index]


def test_image_refuses_what_is_not_rgb():
    with pytest.raises(ValueError, match=r"^\[Image\] pixels: expected mode RGB, got L"):
        Image(0, "a", PILImage.new("L", (2, 2)))
    with pytest.raises(ValueError, match=r"^\[Image\] pixels: expected a PIL image, got ndarray"):
        Image(0, "a", np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match=r"^\[Image\] id must be at least 0, got -1"):
        Image(-1, "a", PILImage.new("RGB", (2, 2)))


def test_image_can_be_a_key_and_its_repr_shows_no_data():
    image = Image(3, "a.png", PILImage.new("RGB", (6, 4)), meta={"scene": 1})
    assert image in {Image(3, "a.png", PILImage.new("RGB", (1, 1)))}
    assert repr(image) == "Image(id=3, key='a.png', 6 x 4)"


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_epoch_order_is_a_permutation(n):
    assert sorted(epoch_order(n, seed=3, epoch=2)) == list(range(n))


def test_epoch_order_depends_on_seed_and_epoch_and_never_changes():
    assert epoch_order(50, seed=1, epoch=0) == epoch_order(50, seed=1, epoch=0)
    others = [epoch_order(50, seed=s, epoch=e) for s, e in ((1, 0), (2, 0), (1, 1), (0, 1), (2**64 - 1, 0))]
    assert len({tuple(order) for order in others}) == 5
    assert epoch_order(8, seed=7, epoch=0) == ORDER_8_7_0  # written down, so that an update cannot change it unseen


def test_epoch_order_is_uniform():
    first = np.array([epoch_order(4, seed=11, epoch=epoch) for epoch in range(2000)])
    counts = np.array([np.bincount(first[:, place], minlength=4) for place in range(4)])
    assert abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)  # five standard deviations


def test_epoch_order_errors():
    with pytest.raises(ValueError, match=r"^\[epoch_order\] n must be at least 0, got -1"):
        epoch_order(-1, seed=0, epoch=0)
    with pytest.raises(ValueError, match=r"^\[epoch_order\] seed must be in \[0, 2\*\*64\), got -5"):
        epoch_order(1, seed=-5, epoch=0)
    with pytest.raises(ValueError, match=r"^\[epoch_order\] epoch must be in"):
        epoch_order(1, seed=0, epoch=-1)


ORDER_8_7_0 = [4, 1, 6, 3, 2, 7, 5, 0]
