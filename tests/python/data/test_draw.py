"""First looks, near-duplicates and draws: what cannot be read is named at once, and the same keys draw the same."""

from __future__ import annotations

import io
import json
import shutil
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import sklearn
from PIL import Image as PILImage
from PIL import ImageFile

from vlmprobe.data import FolderImages, Recalled, SourceGone, TableImages, UnreadableImage, draw, near_duplicates
from vlmprobe.data.image import Image
from vlmprobe.data.looks import Alike, Look, Looks
from vlmprobe.world.source import WorldImages

SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"
FILES = [SKLEARN / "china.jpg", SKLEARN / "flower.jpg",
         Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"]  # fmt: skip
PHOTOS = {file.stem: PILImage.open(file).convert("RGB") for file in FILES}


def noise(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    numbers = np.random.default_rng(count)
    for at in range(count):
        picture = PILImage.fromarray(numbers.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((160, 120))
        picture.save(folder / f"{at:03}.png")
    return folder


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in FILES:
        shutil.copy(file, folder / file.name)
    return folder


# Near-duplicates


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize(
    ("name", "change", "options"),
    [
        ("z.jpg", lambda p: p, {"quality": 25}),
        ("z.png", lambda p: p.resize((p.width // 3, p.height // 3)), {}),
        ("z.webp", lambda p: p.resize((150, 100)), {"quality": 40}),
        ("z.jpg", lambda p: p.resize((2 * p.width, 2 * p.height)), {"quality": 80}),
        ("z.png", lambda p: p.point(lambda value: min(255, value * 106 // 100)), {}),
    ],
)
def test_the_same_photograph_in_another_file_is_a_near_duplicate(photos, photo, name, change, options):
    change(PHOTOS[photo]).save(photos / name, **options)
    assert near_duplicates(FolderImages(photos)) == {3: ["china", "flower", "grace_hopper"].index(photo)}


def test_a_camera_that_was_turned_makes_no_other_picture(photos):
    exif = PILImage.Exif()
    exif[0x0112] = 6
    PHOTOS["china"].transpose(PILImage.Transpose.ROTATE_90).save(photos / "turned.jpg", exif=exif)
    assert near_duplicates(FolderImages(photos)) == {3: 0}


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.transpose(PILImage.Transpose.FLIP_LEFT_RIGHT),
        lambda p: p.convert("L"),
        lambda p: p.crop((p.width // 5, p.height // 5, p.width, p.height)),
    ],
)
def test_what_a_question_could_tell_apart_is_none(photos, change):
    change(PHOTOS["flower"]).save(photos / "z.png")
    assert near_duplicates(FolderImages(photos)) == {}


def test_plain_pictures_of_other_colours_and_scenes_of_the_world_are_kept_apart(tmp_path):
    for colour in ("red", "green", "blue", "white", "black"):
        PILImage.new("RGB", (50, 40), colour).save(tmp_path / f"{colour}.png")
    assert near_duplicates(FolderImages(tmp_path)) == {}
    assert near_duplicates(WorldImages(64, seed=1)) == {}


def test_duplicates_are_of_the_first_and_make_no_chain():
    grey, alike = bytes([100] * 48), Alike(2)
    assert [alike.add(at, Look(phash=bits, colours=grey)) for at, bits in enumerate((0, 0b11, 0b1111, 0b111))] == [
        None, 0, None, 2,
    ]  # fmt: skip
    many = Alike(0)
    assert {many.add(at, Look(phash=at, colours=grey)) for at in range(200)} == {None}
    assert many.add(200, Look(phash=199, colours=grey)) == 199
    assert many.add(201, Look(phash=199, colours=bytes([125] * 48))) is None


@pytest.mark.parametrize("wrong", [-1, 65, True, 1.5])
def test_a_distance_is_a_number_of_bits(photos, wrong):
    with pytest.raises(ValueError, match=r"^\[near_duplicates\] distance: expected 0 to 64 bits, got "):
        near_duplicates(FolderImages(photos), distance=wrong)


# A first look


def test_what_cannot_be_read_is_named_and_drawn_all_the_same(photos, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole = FILES[0].read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    (photos / "zeros.jpg").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    (photos / "empty.png").write_bytes(b"")
    (photos / "page.jpg").write_bytes(b"<html>")
    drawn = draw(FolderImages(photos))
    said = {drawn.keys[at]: reason for at, reason in drawn.unreadable.items()}
    assert list(said) == ["cut.jpg", "empty.png", "page.jpg", "zeros.jpg"] and len(drawn) == 7
    for key, words in zip(said, ("truncated", "it is empty", "it is none of", ""), strict=True):
        assert words in said[key] and key in said[key]
        with pytest.raises(UnreadableImage) as error:
            drawn[list(drawn.keys).index(key)]
        assert str(error.value) == said[key], "a look and a reading say the same"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_what_was_found_is_kept_until_the_file_changes(photos, tmp_path, monkeypatch):
    (photos / "bad.jpg").write_bytes(b"bad")
    kept = tmp_path / "looks.json"
    first = draw(FolderImages(photos), kept_in=kept)
    looked = []
    reading = FolderImages.glimpse

    def counting(self, index, small):
        looked.append(self.keys[index])
        return reading(self, index, small)

    monkeypatch.setattr(FolderImages, "glimpse", counting)
    again = draw(FolderImages(photos), kept_in=kept)
    assert not looked and (again.keys, again.unreadable) == (first.keys, first.unreadable)
    shutil.copy(FILES[0], photos / "bad.jpg")
    assert draw(FolderImages(photos), kept_in=kept).duplicates[0].key == "china.jpg" and looked == ["bad.jpg"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"looks": 3}', '{"looks": {"china.jpg": ["x"]}}',
                                  '{"looks": {"china.jpg": ["1 2", "zz", "", ""]}}'])  # fmt: skip
def test_a_file_of_looks_that_is_none_costs_time_and_nothing_else(photos, tmp_path, text):
    kept = tmp_path / "looks.json"
    kept.write_text(text)
    assert len(draw(FolderImages(photos), kept_in=kept)) == 3
    assert len(json.loads(kept.read_text())["looks"]) == 3
    assert len(draw(FolderImages(photos), kept_in=tmp_path / "nowhere" / "looks.json")) == 3


def test_a_source_of_ones_own_is_looked_at_in_one_thread(photos):
    threads = set()

    class Own:
        def __len__(self):
            return 9

        def __getitem__(self, index):
            threads.add(threading.get_ident())
            if index == 4:
                raise KeyError("x")
            return Image(index, f"p{index}", PILImage.new("RGB", (9, 9), (index * 28, 0, 0)))

    drawn = draw(Own())
    assert len(threads) == 1 and list(drawn.unreadable) == [4] and "image 4: KeyError" in drawn.unreadable[4]
    assert not hasattr(drawn, "keys") and drawn[8].id == 8


def test_a_folder_that_goes_ends_the_looking(photos):
    images = FolderImages(photos)
    photos.rename(photos.with_name("unplugged"))
    with pytest.raises(SourceGone):
        draw(images)


def test_threads_that_read_side_by_side_leave_pillow_and_warnings_as_they_were(photos, monkeypatch):
    (photos / "cut.jpg").write_bytes(FILES[0].read_bytes()[:9000])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before, images = list(warnings.filters), FolderImages(photos)

        def cut(_):
            for index in range(len(images)):
                try:
                    images[index]
                except UnreadableImage as error:
                    assert "cut.jpg" in str(error)
                else:
                    assert images.keys[index] != "cut.jpg"

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(cut, range(24)))
        assert warnings.filters == before
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


# Draws


def test_a_draw_depends_on_keys_number_and_seed_alone(tmp_path):
    folder = noise(tmp_path / "a", 40)
    drawn = draw(FolderImages(folder), 10, seed=3)
    assert list(drawn.keys) == sorted(drawn.keys) and len(set(drawn.keys)) == 10
    assert [image.key for image in drawn] == list(drawn.keys) and [image.id for image in drawn] == list(range(10))
    assert list(drawn.keys) == DRAWN_40_10_3  # written down, so that a change is seen
    assert draw(FolderImages(folder), 10, seed=4).keys != drawn.keys
    assert draw(FolderImages(folder), 10, seed=3, near_duplicates=True).keys == drawn.keys
    assert set(drawn.keys) < set(draw(FolderImages(folder), 11, seed=3).keys)
    assert len(draw(FolderImages(folder), 99)) == 40
    (folder / drawn.keys[0]).write_bytes(b"damaged")
    assert draw(FolderImages(folder), 10, seed=3).keys == drawn.keys, "damage moves no picture"
    with pytest.raises(ValueError, match=r"^\[draw\] n: expected at least 1, got 0"):
        draw(FolderImages(folder), 0)


def test_a_picture_that_comes_or_goes_moves_no_other(tmp_path):
    folder = noise(tmp_path / "a", 40)
    before = set(draw(FolderImages(folder), 10, seed=3).keys)
    gone = min(before)
    (folder / gone).unlink()
    after = set(draw(FolderImages(folder), 10, seed=3).keys)
    assert before - after == {gone} and len(after - before) == 1


def test_near_duplicates_are_passed_over_and_others_taken_in_their_place(tmp_path):
    folder = noise(tmp_path / "a", 12)
    for at in range(12):
        PILImage.open(folder / f"{at:03}.png").resize((80, 60)).save(folder / f"{at:03} copy.png")
    drawn = draw(FolderImages(folder), 12, seed=1)
    assert len({key[:3] for key in drawn.keys}) == 12 and len(drawn) == 12
    for each in drawn.duplicates:
        assert each.key[:3] == each.of[:3] and each.of in drawn.keys
    kept = draw(FolderImages(folder), 12, seed=1, near_duplicates=True)
    assert len({key[:3] for key in kept.keys}) < 12 and kept.duplicates == []


def test_only_as_many_pictures_are_looked_at_as_the_draw_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("vlmprobe.data.looks.CHUNK", 4)
    looks, looked = Looks.of, []
    monkeypatch.setattr(
        Looks, "of", lambda self, images, indices: looked.extend(indices) or looks(self, images, indices)
    )
    assert len(draw(FolderImages(noise(tmp_path / "a", 40)), 10, seed=3)) == 10 and len(looked) == 12


def test_a_run_finds_its_pictures_whatever_would_be_drawn_today(tmp_path):
    folder = noise(tmp_path / "a", 40)
    keys = list(draw(FolderImages(folder), 10, seed=3).keys)
    PILImage.open(folder / keys[5]).save(folder / "000 a copy.png")  # earlier than keys[5], and looks like it
    (folder / keys[0]).unlink()
    again = Recalled(draw(FolderImages(folder), 10, seed=4), keys)
    assert again.missing == keys[:1] and [again[at].key for at in range(1, 10)] == keys[1:]
    same = Recalled(draw(FolderImages(folder), 10, seed=3), keys)
    assert same.missing == keys[:1] and len(same.added) <= 2 and "not there any more" in same.changes


def test_urls_that_fail_are_named_at_the_start_and_asked_for_once_a_minute_or_two(tmp_path):
    (tmp_path / "t.csv").write_text("url\nhttp://127.0.0.1:1/a.png\nhttp://127.0.0.1:1/b.png\n")
    drawn = draw(TableImages(tmp_path / "t.csv"), kept_in=tmp_path / "looks.json")
    assert len(drawn.unreadable) == 2 and "cannot be reached" in drawn.unreadable[0]
    known = json.loads((tmp_path / "looks.json").read_text())["looks"]
    assert all(row[0].startswith("tried ") for row in known.values())


def test_a_look_and_a_whole_reading_see_the_same_shapes():
    file = io.BytesIO()
    PHOTOS["china"].resize((2400, 1600)).save(file, "JPEG")
    from vlmprobe.data.files import read_picture

    small = read_picture(file.getvalue(), small=128)
    assert small.size == (300, 200)
    assert read_picture(file.getvalue()).size == (2400, 1600)


DRAWN_40_10_3 = [f"{at:03}.png" for at in [0, 2, 7, 13, 16, 17, 19, 20, 31, 32]]
