"""Pictures of every mode come as RGB by one rule: never black or white where there is something to see."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as PILImage

from vlmprobe.data import FolderImages, UnreadableImage, rgb
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.report.page.cards import picture as thumbnail

RAMP = np.tile(np.linspace(0, 1, 256), (8, 1))


def grey(values, mode=None):
    """The grey that is shown, [height, width]."""
    shown = np.asarray(rgb(PILImage.fromarray(values) if mode is None else values.convert(mode)))
    assert shown.dtype == np.uint8 and (shown[..., 0] == shown[..., 1]).all() and (shown[..., 0] == shown[..., 2]).all()
    return shown[..., 0]


def read(folder, picture, name="x.tif", **options):
    picture.save(folder / name, **options)
    return np.asarray(FolderImages(folder)[0].pixels)


@pytest.mark.parametrize(
    "values",
    [
        RAMP * 65535, RAMP * 4095, RAMP * 500 + 29_000,  # a photograph, a camera of 12 bits, a thermal picture
    ],
)  # fmt: skip
def test_a_ramp_of_sixteen_bits_stays_a_ramp(values):
    shown = grey(values.astype(np.uint16))
    assert shown[0, 0] == 0 and shown[0, -1] == 255 and len(np.unique(shown)) > 250


@pytest.mark.parametrize(
    "values",
    [
        RAMP, RAMP * 0.2 + 0.1, RAMP * 2 - 1, RAMP * 255, RAMP * 1e-6, RAMP * 65535, RAMP * 9000 - 200,
        RAMP * 1e30 - 4e29,
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_a_ramp_of_other_numbers_stays_a_ramp(values, kind):
    if kind is np.int32:
        values = values / np.abs(values).max() * 2_000_000_000  # whole numbers of any size
    shown = grey(values.astype(kind))
    assert shown[0, 0] <= 1 and shown[0, -1] >= 254 and len(np.unique(shown)) > 250 and (np.diff(shown[0]) >= 0).all()


def test_common_ranges_are_not_stretched():
    assert grey(np.array([[0, 0x8000]], dtype=np.uint16)).tolist() == [[0, 128]]
    assert grey(np.array([[0.1, 0.8]], dtype=np.float32)).tolist() == [[26, 204]]  # of 0 .. 1
    assert grey(np.array([[10, 200]], dtype=np.int32)).tolist() == [[10, 200]]  # of 0 .. 255
    assert grey(np.array([[0, 25_700, 65_535]], dtype=np.int32)).tolist() == [[0, 100, 255]]


@pytest.mark.parametrize(
    "value, kind, expected",
    [
        (0x8000, np.uint16, 128), (0, np.uint16, 0), (65535, np.uint16, 255), (0.5, np.float32, 128), (7, np.int32, 7),
        (-3, np.int32, 128), (1e9, np.float32, 128),
    ],
)  # fmt: skip
def test_a_picture_of_one_value_is_the_grey_of_its_range_or_middle_grey(value, kind, expected):
    assert (grey(np.full((3, 4), value, dtype=kind)) == expected).all()


def test_what_is_no_number_is_white_and_does_not_decide_the_scale():
    values = (RAMP * 40 + 10).astype(np.float32)
    values[0, :4] = np.nan, np.inf, -np.inf, -np.finfo(np.float32).max
    shown = grey(values)
    assert (shown[0, :4] == 255).all() and np.array_equal(shown[1], np.arange(256))


def test_a_picture_without_a_value_is_refused_by_name(tmp_path):
    PILImage.fromarray(np.full((3, 4), np.nan, dtype=np.float32)).save(tmp_path / "empty tile.tif")
    with pytest.raises(UnreadableImage, match=r"^\[FolderImages\] empty tile\.tif: .*no pixel of it has a value"):
        FolderImages(tmp_path)[0]


def test_a_transparent_value_of_deep_grey_is_white_and_the_rest_is_scaled(tmp_path):
    values = (RAMP * 65535).astype(np.uint16)
    shown = read(tmp_path, PILImage.fromarray(values), "x.png", transparency=int(values[0, 9]))
    assert (shown[:, 9] == 255).all() and np.array_equal(np.delete(shown[0, :, 0], 9), np.delete(np.arange(256), 9))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_orders_of_bytes_are_read(tmp_path, order):
    values = (RAMP * 65535).astype(f"{order}u2")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    tags = [(256, 3, 256), (257, 3, 8), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1), (278, 3, 8)]
    rows = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1) + value(order, kind, n) for tag, kind, n in [*tags, (279, 4, 4096)]
    )
    (tmp_path / "x.tif").write_bytes(
        (head + struct.pack(f"{order}H", 9) + rows + bytes(4)).ljust(200, b"\0") + values.tobytes()
    )
    assert np.array_equal(np.asarray(FolderImages(tmp_path)[0].pixels)[0, :, 0], np.arange(256))


def value(order, kind, number):
    return struct.pack(f"{order}I", number) if kind == 4 else struct.pack(f"{order}HH", number, 0)


def test_unsigned_numbers_of_32_bits_do_not_wrap(tmp_path):
    picture = PILImage.fromarray((RAMP * (2**32 - 1)).astype(np.uint32).view(np.int32))
    picture.save(tmp_path / "x.tif")
    sample_format = struct.pack("<HHI", 339, 3, 1)
    data = (tmp_path / "x.tif").read_bytes()
    assert sample_format + b"\2" in data  # signed
    (tmp_path / "x.tif").write_bytes(data.replace(sample_format + b"\2", sample_format + b"\1"))
    assert np.array_equal(np.asarray(FolderImages(tmp_path)[0].pixels)[0, :, 0], np.arange(256))


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_tiff_in_which_zero_is_white_is_no_negative(tmp_path, kind):
    values = (RAMP * 4000).astype(kind)
    values[2:] = 9999
    PILImage.fromarray(values).save(tmp_path / "x.tif", tiffinfo={42113: "9999"})
    data, black, white = ((tmp_path / "x.tif").read_bytes(), *(struct.pack("<HHIHH", 262, 3, 1, i, 0) for i in (1, 0)))
    assert data.count(black) == 1
    (tmp_path / "x.tif").write_bytes(data.replace(black, white))
    shown = np.asarray(FolderImages(tmp_path)[0].pixels)[..., 0]
    assert np.allclose(shown[0], np.arange(255, -1, -1), atol=1) and (shown[2:] == 255).all()


def test_numbers_of_8_bits_with_a_sign_do_not_wrap(tmp_path):
    values = (np.rint(RAMP * 255) - 128).astype(np.int8)
    PILImage.fromarray(values.view(np.uint8)).save(tmp_path / "x.tif", tiffinfo={339: 2})
    assert np.array_equal(np.asarray(FolderImages(tmp_path)[0].pixels)[0, :, 0], np.arange(256))


@pytest.mark.parametrize(
    "values, apart",
    [
        (RAMP * 30, -9999), (RAMP * 2000 + 100, -32768), (RAMP, -3.4e38), (RAMP * 500, 65535), (RAMP * 2 - 1, 1e6),
        (RAMP * 800 + 300, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 5])
def test_a_value_far_from_all_others_makes_the_rest_neither_black_nor_white(values, apart, rows):
    """A hot pixel, or no data that nothing declares; 0 beside a narrow range stays what it is."""
    values = values.astype(np.float32)
    values[:rows] = apart
    shown = grey(values)
    if apart == 0:
        assert (shown[:rows] == 0).all()
    else:
        assert (shown[:rows] == 255).all() and np.allclose(shown[-1], np.arange(256), atol=1)


def test_sixteen_bits_with_a_hot_pixel_stay_a_ramp_and_few_values_stay_apart():
    values = (RAMP * 2000).astype(np.uint16)
    values[0, 0] = 65535
    assert np.allclose(grey(values)[-1], np.arange(256), atol=1)
    assert grey(np.array([[0, 1, 2, 65535]], dtype=np.uint16)).tolist() == [[0, 0, 0, 255]]  # a mask of labels


def test_a_value_that_a_tiff_declares_as_none_is_white(tmp_path):
    values = (RAMP * 30).astype(np.float32)
    values[2:] = -9999
    shown = read(tmp_path, PILImage.fromarray(values), tiffinfo={42113: "-9999"})
    assert np.array_equal(shown[0, :, 0], np.arange(256)) and (shown[2:] == 255).all()


def test_colours_of_sixteen_bits_that_would_be_black_are_refused_by_name(tmp_path):
    def png(values):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        parts = [
            (b"IHDR", struct.pack(">IIBBBBB", 256, 8, 16, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        ]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )

    colours = np.stack([RAMP] * 3, axis=-1)
    (tmp_path / "camera.png").write_bytes(png(colours * 4095))
    with pytest.raises(UnreadableImage, match=r"camera\.png: .*colours of 16 bits are all below 4096"):
        FolderImages(tmp_path)[0]
    (tmp_path / "camera.png").write_bytes(png(colours * 65535))
    assert len(np.unique(np.asarray(FolderImages(tmp_path)[0].pixels))) == 256


@pytest.mark.parametrize(
    "mode, colour, expected",
    [
        ("1", 1, (255, 255, 255)), ("L", 9, (9, 9, 9)), ("LA", (9, 0), (255, 255, 255)), ("LA", (9, 255), (9, 9, 9)),
        ("P", 0, (0, 0, 0)), ("RGBA", (200, 0, 0, 255), (200, 0, 0)), ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("YCbCr", (0, 128, 128), (0, 0, 0)), ("HSV", (0, 255, 255), (255, 0, 0)),
    ],
)  # fmt: skip
def test_other_modes_keep_their_colours(mode, colour, expected):
    shown = rgb(PILImage.new(mode, (2, 2), colour))
    assert shown.mode == "RGB" and shown.getpixel((1, 1)) == expected


def test_a_transparent_colour_of_a_palette_and_of_rgb_is_white(tmp_path):
    two = PILImage.new("P", (4, 2), 1)
    two.putpalette([255, 0, 0, 0, 0, 255])
    two.paste(0, (0, 0, 2, 2))
    assert read(tmp_path, two, "x.png", transparency=0)[0].tolist() == [[255] * 3] * 2 + [[0, 0, 255]] * 2
    plain = two.convert("RGB")
    assert read(tmp_path, plain, "x.png", transparency=(255, 0, 0))[0].tolist() == [[255] * 3] * 2 + [[0, 0, 255]] * 2


def test_an_inverted_cmyk_jpeg_is_not_shown_as_its_negative(tmp_path):
    shown = read(tmp_path, PILImage.new("CMYK", (16, 16), (0, 200, 200, 0)), "x.jpg")
    assert shown[8, 8, 0] > 200 and shown[8, 8, 1:].max() < 90


def test_what_is_rgb_already_is_the_same_object():
    picture = PILImage.new("RGB", (2, 2))
    assert rgb(picture) is picture


class Deep:
    """A user's own picture, of a mode that `vlmprobe.data.Image` would refuse."""

    id, key, sha256, meta = 0, "depth", "0" * 64, None
    pixels = PILImage.fromarray(RAMP.astype(np.float32))


def test_servers_and_pages_are_shown_the_same_scale():
    sent = PILImage.open(io.BytesIO(EncodedImages()(Deep()).data))
    assert sent.mode == "RGB" and np.array_equal(np.asarray(sent)[0, :, 0], np.arange(256))
    assert thumbnail(Deep.pixels) == thumbnail(rgb(Deep.pixels))


def test_equal_pixels_make_equal_files_whatever_profile_they_came_with():
    class Plain(Deep):
        pixels = PILImage.new("RGB", (4, 4), "red")

    class Profiled(Deep):
        pixels = PILImage.new("RGB", (4, 4), "red")

    Profiled.pixels.info["icc_profile"] = b"x" * 300
    assert EncodedImages()(Plain()).data == EncodedImages()(Profiled()).data
    assert "icc_profile" in Profiled.pixels.info  # the caller's picture is as it was
