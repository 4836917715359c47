"""Files that are said to be pictures: which count, what is opened, and what a damaged one does."""

from __future__ import annotations

import errno
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageFile

from vlmprobe.data import FolderImages, SourceGone, UnreadableImage

NOISE = PILImage.fromarray(np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8))


def encoded(picture=NOISE, kind="JPEG", **options):
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def opened(folder, data, name="x.jpg", **options):
    (folder / name).write_bytes(data)
    images = FolderImages(folder, **options)
    return images[list(images.keys).index(name)]


def reason(folder, data, name="x.jpg", **options):
    with pytest.raises(UnreadableImage) as error:
        opened(folder, data, name, **options)
    assert str(error.value).startswith(f"[FolderImages] {name}: cannot be read as an image (")
    return str(error.value)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + 3 * width)) if width * height < 1000 else b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", head), *chunks, chunk(b"IDAT", rows), chunk(b"IEND", b"")])


# Which files count


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.png", "._photo.png", ".trash/photo.png", "a/.thumbnails/b/photo.png", "__MACOSX/a/photo.png",
        "@eaDir/photo.png", "$RECYCLE.BIN/photo.png", "System Volume Information/photo.png", "a/lost+found/photo.png",
        "~$photo.png", "photo.png~", "#photo.png#", ".#photo.png", "photo.png.part", "photo.png.crdownload",
        "photo.png.tmp", ".photo.png.swp", "Thumbs.db", "desktop.ini",
    ],
)  # fmt: skip
def test_what_systems_and_editors_leave_is_no_picture(tmp_path, name):
    for each in ("photo.png", name):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_bytes(encoded(kind="PNG"))
    assert list(FolderImages(tmp_path).keys) == ["photo.png"]


def test_a_folder_inside_a_hidden_one_works_and_names_that_only_look_odd_count(tmp_path):
    root = tmp_path / ".cache" / "__MACOSX"
    names = ["#1.png", "@home.png", "a~b/photo.png", "photo (conflicted copy).png", "photo.tmp.png", "tmp/lost.png"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(kind="PNG"))
    assert list(FolderImages(root).keys) == sorted(names)


def test_links_neither_loop_nor_count_twice(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "photo.png").write_bytes(encoded(kind="PNG"))
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "a" / "photo.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert list(FolderImages(tmp_path).keys) == ["a/photo.png", "linked.png"]


def test_a_name_that_is_no_utf8_has_a_key_that_is(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(encoded(kind="PNG"))
    image = FolderImages(tmp_path)[0]
    assert image.key == "caf\\xe9.png" and image.key.encode() and image.pixels.size == (32, 24)


# What is opened


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", "MPO"])
def test_a_known_format_is_read_whatever_its_name_says(tmp_path, kind):
    assert opened(tmp_path, encoded(kind=kind), "x.jpg").pixels.size == (32, 24)


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        b"\xd7\xcd\xc6\x9a\0\0\0\0\0\0\x20\0\x20\0\x48\0\0\0\0\0\0\0" + bytes(40),  # a placeable metafile
        b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!doctype html><h1>404</h1>",
        b"\0\5\x16\7" + bytes(90),
        encoded(kind="ICO"), encoded(kind="PCX"),
    ],
)  # fmt: skip
def test_what_is_no_known_format_is_not_tried_and_nothing_is_started(tmp_path, monkeypatch, data):
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("started a program"))
    assert "it is none of AVIF, BMP, " in reason(tmp_path, data, "x.png")


def test_a_tiff_of_a_kind_that_pillow_does_not_read_is_not_said_to_be_none(tmp_path):
    """Numbers of 64 bits, as NumPy has them."""
    data = encoded(PILImage.fromarray(np.zeros((4, 4), dtype=np.float32)), "TIFF")
    bits = struct.pack("<HHIH", 258, 3, 1, 32)
    assert data.count(bits) == 1
    assert "(it is none of AVIF" in (
        said := reason(tmp_path, data.replace(bits, struct.pack("<HHIH", 258, 3, 1, 64)), "x.tif")
    )
    assert said.endswith("WEBP, or of a rare kind that Pillow does not read)")


def test_further_formats_are_the_users_choice_but_never_one_that_starts_a_program(tmp_path):
    assert opened(tmp_path, encoded(kind="PCX"), "x.pcx", extensions=["pcx"], formats=["pcx"]).pixels.size == (32, 24)
    assert "it is none of PCX" in reason(tmp_path, encoded(kind="PNG"), "y.pcx", extensions=["pcx"], formats=["PCX"])
    for name in ("EPS", "eps", "WMF", "NOPE"):
        with pytest.raises(ValueError, match=rf"^\[FolderImages\] formats: expected some .*, got '{name.upper()}'"):
            FolderImages(tmp_path, extensions=["pcx"], formats=[name])
    with pytest.raises(ValueError, match=r"^\[FolderImages\] formats: expected a list"):
        FolderImages(tmp_path, extensions=["pcx"], formats="PNG")


@pytest.mark.parametrize(
    "data",
    [
        png(40_000, 40_000),
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + b"\0\0\0,\0\0\0\0\x09\0\x09\0\0\2\2L\1\0;",
        b"P6 50000 50000 255\n",
        png(4, 4, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(20_000_000)))),
        png(4, 4, chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(20_000_000)))),
    ],
)  # fmt: skip
def test_a_bomb_is_an_error_before_memory_is_taken(tmp_path, monkeypatch, data):
    monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", None)  # as users do to be rid of the warning
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("took memory"))
    assert "pixels, got" in (said := reason(tmp_path, data)) or "too large" in said


def test_the_limit_of_pixels_is_an_argument(tmp_path):
    assert "expected 1 to 767 pixels, got 32 x 24" in reason(tmp_path, encoded(), max_pixels=767)
    assert opened(tmp_path, encoded(), max_pixels=768).pixels.size == (32, 24)
    for wrong in (0, 2.5):
        with pytest.raises(ValueError, match=r"^\[FolderImages\] max_pixels: expected"):
            FolderImages(tmp_path, max_pixels=wrong)


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError("deep"), MemoryError(), zlib.error("bad"), AssertionError()]
)
def test_whatever_a_decoder_raises_names_the_file(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert reason(tmp_path, encoded())


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("kind", ["BMP", "JPEG", "PNG", "TIFF", "WEBP"])
def test_a_file_that_is_cut_short_is_an_error_even_where_pillow_may_fill_it(tmp_path, monkeypatch, kind, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = encoded(kind=kind)
    reason(tmp_path, data[: len(data) * 2 // 3])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient
    assert opened(tmp_path, data).pixels.size == (32, 24)


def test_a_jpeg_whose_end_was_never_written_is_an_error(tmp_path):
    large = PILImage.fromarray(np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8))
    data = encoded(large)
    assert "is zeros" in reason(tmp_path, data[: len(data) // 2] + bytes(len(data) // 2))
    for behind in (bytes(4096), b"trailer"):
        assert opened(tmp_path, data + behind).pixels.size == (320, 240)


def test_an_empty_file_is_a_picture_that_cannot_be_read(tmp_path):
    assert "(it is empty)" in reason(tmp_path, b"")


def test_a_file_that_goes_is_named_and_a_folder_that_goes_is_no_pictures_fault(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "photos" / name).write_bytes(encoded(kind="PNG"))
    images = FolderImages(tmp_path / "photos")
    (tmp_path / "photos" / "b.png").unlink()
    with pytest.raises(UnreadableImage, match=r"b\.png: cannot be read as an image \(No such file or directory\)"):
        images[1]
    (tmp_path / "photos").rename(tmp_path / "unplugged")
    with pytest.raises(SourceGone, match=r"photos' is not there any more"):
        images[0]


def test_a_machine_without_file_handles_is_no_pictures_fault(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    (tmp_path / "a.png").write_bytes(encoded(kind="PNG"))
    images = FolderImages(tmp_path)
    monkeypatch.setattr(PILImage, "open", fail)
    with pytest.raises(SourceGone, match=r"^\[FolderImages\] a\.png: cannot be read now \(.*Too many open files"):
        images[0]


def test_no_warning_of_pillow_reaches_the_user(tmp_path):
    block = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\xff\0\0\x99\x99\0\0"  # a text past the end
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(tmp_path, encoded(exif=block)).pixels.size == (32, 24)
        before = list(warnings.filters)
        reason(tmp_path, b"nothing")
        assert warnings.filters == before


# Metadata


def exif(*entries, order="<"):
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    rows = (struct.pack(f"{order}HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"Exif\0\0" + head + b"".join(rows) + bytes(4)


def turned(order="<"):
    return (0x0112, 3, 1, struct.pack(f"{order}HH", 8, 0))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "block",
    [
        exif((0x0110, 4, 0, bytes(4)), turned()),  # a number without a value
        exif((0x010E, 2, 900, struct.pack("<I", 700)), turned()),  # a text past the end
        exif(turned(">"), (0x8769, 7, 4, b"abcd"), order=">"),  # bytes where a directory's place belongs
        exif((0x0112, 4, 1, struct.pack("<I", 8))),  # a longer number
        exif((0x0112, 2, 2, b"8\0\0\0")),  # a text
        exif(turned(), (0x0132, 99, 3, b"????")),
        exif(turned())[:-2],
    ],
)
def test_a_damaged_block_of_metadata_leaves_the_picture_and_its_orientation(tmp_path, kind, block):
    assert opened(tmp_path, encoded(kind=kind, exif=block)).pixels.size == (24, 32)


@pytest.mark.parametrize(
    "block", [exif(turned())[:15], b"Exif\0\0junk and more junk", exif((0x0112, 3, 1, b"\xff\xff\0\0"))]
)
def test_an_orientation_that_cannot_be_read_is_none(tmp_path, block):
    assert opened(tmp_path, encoded(exif=block)).pixels.size == (32, 24)


def test_an_orientation_in_xmp_counts_where_exif_has_none(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert opened(tmp_path, encoded(xmp=xmp)).pixels.size == (24, 32)
    assert opened(tmp_path, encoded(xmp=xmp, exif=exif((0x0112, 3, 1, b"\1\0\0\0")))).pixels.size == (32, 24)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_each_orientation_is_applied_once(tmp_path, kind, orientation):
    corners = PILImage.new("RGB", (32, 16), "black")
    corners.paste("white", (0, 0, 16, 8))  # white is the stored top left
    place = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}[orientation]
    block = PILImage.Exif()
    block[0x0112] = orientation
    shown = opened(tmp_path, encoded(corners, kind=kind, exif=block)).pixels
    assert shown.size == ((32, 16) if orientation < 5 else (16, 32))
    at = (shown.width // 4 + place[0] * shown.width // 2, shown.height // 4 + place[1] * shown.height // 2)
    assert min(shown.getpixel(at)) > 200 and np.asarray(shown).mean() < 80


def test_metadata_stays_with_the_file(tmp_path):
    data = encoded(icc_profile=b"no profile" * 50, exif=exif(turned()), dpi=(72, 72))
    image = opened(tmp_path, data)
    assert image.pixels.info == {} and not image.pixels.getexif()
    bare = opened(tmp_path, encoded(exif=exif(turned())), "bare.jpg")
    assert image.sha256 == bare.sha256
