"""A probe's pictures: of every kind, looked at before anything is asked, and the same ones however it is resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import matplotlib
import pytest
import sklearn
from PIL import Image as PILImage

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, said
from vlmprobe import cli
from vlmprobe.data import Drawn
from vlmprobe.ledger import Ledger
from vlmprobe.probe.build import LOOKS, images_of
from vlmprobe.probe.check import check
from vlmprobe.probe.reading import parse
from vlmprobe.run.pictures import left_out_of

SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"
GRACE = Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
ROLES = {name: {"python": "somewhere:it"} for name in ("questioner", "answerer", "verifier")}


@pytest.fixture
def photos(tmp_path) -> Path:
    """Three photographs, one of them twice, and two files that are none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in (SKLEARN / "china.jpg", SKLEARN / "flower.jpg", GRACE):
        shutil.copy(file, folder / file.name)
    PILImage.open(GRACE).resize((256, 300)).save(folder / "hopper small.png")
    (folder / "cut.jpg").write_bytes((SKLEARN / "china.jpg").read_bytes()[:2000])
    (folder / "empty.png").write_bytes(b"")
    return folder


def found(tmp_path: Path, **images):
    """What `vlmprobe check` says about the pictures."""
    return next(check(parse({"images": images, **ROLES}), tmp_path))


def test_a_check_says_kind_number_duplicates_and_what_cannot_be_read(tmp_path, photos):
    finding = found(tmp_path, source="photos")
    assert finding.works and finding.said == (
        "5 pictures of a folder; 1 left out that look like another one, such as hopper small.png like "
        "grace_hopper.jpg; 2 of them cannot be read: cut.jpg: cannot be read as an image (Truncated "
        "File Read); empty.png: cannot be read as an image (it is empty)"
    )
    assert json.loads((tmp_path / LOOKS).read_text())["looks"].keys() == {path.name for path in photos.iterdir()}
    assert found(tmp_path, source="photos", near_duplicates="keep").said.startswith("6 pictures of a folder; 2 of")
    assert found(tmp_path, source="photos", n=2, seed=3).said.startswith("2 pictures of a folder of 6")
    assert found(tmp_path, source="world", n=5).said == "5 pictures"


def test_many_that_cannot_be_read_are_counted_and_the_first_named(tmp_path, photos):
    for at in range(9):
        (photos / f"bad {at}.jpg").write_bytes(b"bad")
    said = found(tmp_path, source="photos").said
    assert "11 of them cannot be read: bad 0.jpg" in said
    assert said.count("cannot be read as") == 3 and said.endswith("); and 8 more")


def test_pictures_none_of_which_can_be_read_are_said_before_anything_is_asked(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"")
    finding = found(tmp_path, source="bad")
    assert not finding.works and "1 of them cannot be read" in finding.said


def test_every_kind_of_source_can_be_named_in_the_file(tmp_path, photos):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "t.csv").write_text("file,photo\nx,photos/china.jpg\ny,../secret.jpg\nz,photos/empty.png\n")
    content = {"images": [{"id": 1, "file_name": "china.jpg"}, {"id": 2, "file_name": "gone.jpg"}]}
    content["annotations"] = [{"image_id": 1, "caption": "A temple."}]
    (tmp_path / "coco.json").write_text(json.dumps(content))
    pq.write_table(pa.table({"image": [GRACE.read_bytes(), b"broken"]}), tmp_path / "t.parquet")
    for images, words in [
        ({"source": "t.csv", "column": "photo"}, "3 pictures of a table; 2 of them cannot be read: ../"),
        ({"source": "t.csv", "column": "foto"}, "[TableImages] column: expected one of file, photo, got 'foto'"),
        (
            {"source": "photos", "annotations": "coco.json"},
            "2 pictures of COCO; 1 of them cannot be read: gone.jpg",
        ),
        ({"source": "t.parquet"}, "2 pictures of Parquet; 1 of them cannot be read: row 1: "),
        ({"source": "nowhere"}, "[open_images] path: no folder or file"),
    ]:
        assert found(tmp_path, **images).said.startswith(words)
    [first, _] = range(2)
    assert images_of(parse({"images": {"source": "photos", "annotations": "coco.json"}, **ROLES}), tmp_path)[
        first
    ].meta.captions == ("A temple.",)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"source": "photos", "near_duplicates": "no"}, "images.near_duplicates: input should be 'skip' or 'keep'"),
        ({"source": "photos", "annotation": "x"}, "images.annotation: expected one of source, annotations, column, n,"),
        ({"source": "photos", "annotations": 3}, "images.annotations: input should be a valid list, got 3"),
    ],
)
def test_what_is_wrong_about_pictures_is_named(images, words):
    with pytest.raises(ValueError, match=r"^\[probe\] probe: ") as error:
        parse({"images": images, **ROLES})
    assert words in str(error.value)


# Runs


def plan(model: str, text: str):
    if model == "asker":
        tags = "<response_{0}> {1} </response_{0}>"
        return said(tags.format(1, "Is there a roof?") + tags.format(2, "What color is the sky?"))
    return fine(model, text)


@pytest.fixture
def folder(tmp_path, photos):
    """A probe of the photographs, behind a server."""
    with planned() as server:
        server.plan = plan
        models = ("--questioner", "asker", "--answerer", "answers", "--verifier", "judge")
        where = ("--images", photos, "--endpoint", server.url, *models)
        assert vlmprobe("init", tmp_path / "probe", *where) == 0
        yield tmp_path / "probe"


def vlmprobe(*words) -> int:
    return cli.main([str(word) for word in words])


def run(folder: Path, steps: int, *sets: str) -> int:
    values = (f"budget.steps={steps}", "images_per_step=2", "method=zero-shot", *sets)
    more = [word for each in values for word in ("--set", each)]
    return vlmprobe("run", folder, *more)


def asked(folder: Path) -> list[list[str]]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return [[image.key for image in ledger.step("probe", *at).images] for at in ledger.recorded_steps("probe")]


@needs_chat_client
def test_a_run_says_at_the_start_what_it_leaves_out_and_asks_about_the_others(folder, capsys):
    assert run(folder, 3) == 0
    said = capsys.readouterr().err
    assert "5 pictures of a folder; 1 left out that look like another one" in said
    assert said.index("2 of them cannot be read: cut.jpg") < said.index("calls of the")
    shown = {key for keys in asked(folder) for key in keys}
    assert shown == {"china.jpg", "flower.jpg", "grace_hopper.jpg"}
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert {one.key for one in left_out_of(ledger, "probe")} == {"cut.jpg", "empty.png"}


@needs_chat_client
@pytest.mark.parametrize("sets", [(), ("images.n=4",)])
def test_files_that_were_taken_away_or_added_between_two_calls_move_no_picture(folder, photos, sets):
    """As many are drawn each time, fewer, or others: the run keeps those that it began with."""
    assert run(folder, 2, *sets) == 0
    before, keys = asked(folder), recorded(folder)
    shown = {key for step in before for key in step}
    (photos / next(key for key in keys if key not in shown)).unlink()  # one that no recorded step was about
    assert run(folder, 4, *sets) == 0
    PILImage.open(SKLEARN / "flower.jpg").rotate(90).save(photos / "0 new.png")
    PILImage.open(SKLEARN / "china.jpg").rotate(90).save(photos / "1 new.png")
    assert run(folder, 7, *sets) == 0
    after = asked(folder)
    assert after[: len(before)] == before and len(after) == 7
    assert {key for step in after for key in step} <= set(keys) and recorded(folder) == keys


@needs_chat_client
def test_a_file_that_was_mended_is_used_from_then_on(folder, photos):
    assert run(folder, 1) == 0
    PILImage.open(SKLEARN / "flower.jpg").rotate(90).save(photos / "cut.jpg")
    assert run(folder, 7) == 0
    assert "cut.jpg" in {key for step in asked(folder) for key in step}


def recorded(folder: Path) -> list[str]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return json.loads(ledger.events("probe", kind="pictures")[0].text)


def test_what_a_probe_drew_is_a_draw_of_all_its_source(tmp_path, photos):
    drawn = images_of(parse({"images": {"source": "photos", "n": 2}, **ROLES}), tmp_path)
    assert isinstance(drawn, Drawn) and len(drawn) == 2 and len(drawn.whole) == 6
