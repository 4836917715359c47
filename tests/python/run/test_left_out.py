"""Pictures that cannot be read are left out of a run and named; it goes on, and is resumed with or without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image as PILImage

from support.photos import STEPS, Answers, Asks, Judges, asked, left_out, photos
from support.tiny_runs import dump, whole_state
from vlmprobe.data import (
    FolderImages,
    SourceGone,
    UnreadableImage,
    in_order,
)
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods import Task, evaluate
from vlmprobe.methods.rows import read_rows
from vlmprobe.methods.task import ask_pool
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.review.again import rejudge
from vlmprobe.run.directory import RunDirectory
from vlmprobe.run.pictures import of_checkpoint
from vlmprobe.run.probe import probe
from vlmprobe.run.trainer import Trainer
from vlmprobe.studies.config import parse
from vlmprobe.studies.plan import SCALES
from vlmprobe.studies.setup import FileSetup
from vlmprobe.world import tiny


def run(folder: Path, pictures: Path, steps: int = STEPS, *, every: int = 2, stop: int | None = None, quiet=True):
    """Trains in a folder, as a command would; `stop` breaks off in the middle of that step."""
    with RunDirectory(folder, resume=True, quiet=quiet) as directory:
        options = TrainerOptions(k=1, group_size=2, images_per_step=2, seed=3, learning_rate=1e-3)
        questioner = Questioner(tiny.load("questioner"), max_new_tokens=8)
        ledger, images = directory.ledger, FolderImages(pictures)
        trainer = Trainer(
            questioner, Answers(), Judges(), HashedNgramEmbedder(), images, options=options, ledger=ledger, run="run"
        )
        ledger.begin(RunRecord(id="run"))
        directory.load(trainer)
        if stop is not None:
            ask = questioner.ask
            questioner.ask = lambda *a, step, **k: ask(*a, step=step, **k) if step < stop else 1 / 0
        directory.train(trainer, steps, checkpoint_every=every)
        return trainer


def end(folder: Path):
    return whole_state(folder / "checkpoints" / f"step-{STEPS:08d}"), dump(folder / "ledger.sqlite")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with a picture that is cut short, which nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder / "run", photos(folder / "photos", cut=(4,)))
    return end(folder / "run")


def test_a_damaged_picture_is_left_out_of_its_step_and_said(tmp_path, capsys):
    trainer = run(tmp_path / "run", photos(tmp_path / "photos", cut=(4,)), 3, quiet=False)
    with Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True) as ledger:
        [event] = left_out(ledger)
        step = ledger.step("run", "train", event["step"])
        counts = [len(ledger.step("run", "train", i).images) for i in range(3)]
    assert event["key"] == "4.jpg" and event["image"] == 4 and event["phase"] == "train"
    assert "4.jpg: cannot be read as an image (" in event["reason"]
    assert step.numbers["left_out"] == 1 and trainer.tally.left_out == 1 and sorted(counts) == [1, 2, 2]
    assert trainer.summary(trainer.tally)["images_left_out"] == 1
    assert f"step {event['step'] + 1}: left out: [FolderImages] 4.jpg: cannot" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["left_out"] for line in lines] == [int(line["step"] == event["step"]) for line in lines]


@pytest.mark.parametrize("change", ["nothing", "taken out", "mended", "others added"])
def test_a_run_that_was_stopped_ends_the_same_whatever_became_of_the_file(tmp_path, whole, change):
    pictures = photos(tmp_path / "photos", cut=(4,))
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "run", pictures, every=1 + STEPS, stop=3)  # its steps are in the ledger, in no checkpoint
    with Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True) as ledger:
        assert len(left_out(ledger)) == 1
    if change == "taken out":
        (pictures / "4.jpg").unlink()
    elif change == "mended":
        PILImage.new("RGB", (32, 32), "red").save(pictures / "4.jpg")
    elif change == "others added":
        for name in ("0 first.jpg", "9 last.jpg"):
            PILImage.new("RGB", (32, 32), "red").save(pictures / name)
    run(tmp_path / "run", pictures)
    state, lines = end(tmp_path / "run")
    assert state.keys() == whole[0].keys() and all(state[name] == whole[0][name] for name in state)
    assert lines == whole[1]


def test_a_picture_that_is_taken_out_shifts_no_number_of_a_checkpoint(tmp_path, capsys):
    pictures = photos(tmp_path / "photos")
    run(tmp_path / "run", pictures, 2)
    (pictures / "1.jpg").unlink()  # of the first step, and of the last
    PILImage.new("RGB", (32, 32)).save(pictures / "00.jpg")
    trainer = run(tmp_path / "run", pictures, 6, quiet=False)
    said = capsys.readouterr().err
    assert "1 not there any more, left out (1.jpg); 1 new, not used (00.jpg)" in said
    assert trainer.images[5].key == "5.jpg" and len(trainer.images) == 6
    with Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True) as ledger:
        images = [image for i in range(6) for image in ledger.step("run", "train", i).images]
        assert {(image.id, image.key) for image in images} == {(i, f"{i}.jpg") for i in range(6)}
        assert {event["reason"] for event in left_out(ledger)} == {
            "[Recalled] 1.jpg: is not among the pictures any more"
        }


def test_a_picture_that_a_recorded_step_was_about_must_be_there(tmp_path):
    pictures = photos(tmp_path / "photos")
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "run", pictures, every=9, stop=3)
    for file in pictures.iterdir():
        file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(UnreadableImage, match=r"^\[replay\] step 0 of run 'run' was about .*\.jpg: .* Put them back"):
        run(tmp_path / "run", pictures)


def test_other_pictures_are_refused(tmp_path):
    run(tmp_path / "run", photos(tmp_path / "photos"), 1)
    other = tmp_path / "other"
    other.mkdir()
    PILImage.new("RGB", (32, 32)).save(other / "another.jpg")
    with pytest.raises(ValueError, match=r"expected those of the run, such as '0\.jpg', got another\.jpg"):
        run(tmp_path / "run", other)


@pytest.mark.parametrize("keys", ["a.jpg", [1], {"a.jpg": 0}])
def test_keys_of_a_checkpoint_that_are_no_names_are_refused(tmp_path, keys):
    images = FolderImages(photos(tmp_path / "photos", 1))
    with pytest.raises(ValueError, match=r"^\[Trainer\.load\] step-1: keys: expected names of pictures, got"):
        of_checkpoint(images, {"keys": keys}, where="step-1")


def test_without_a_ledger_what_is_left_out_is_a_warning(tmp_path):
    images = FolderImages(photos(tmp_path / "photos", 2, cut=(1,)))
    with pytest.warns(UserWarning, match=r"^\[probe\] step 0: 1 pictures left out: .*1\.jpg: cannot be read"):
        tally = probe(Asks(), Answers(), Judges(), in_order(images, 2), calls=1, k=1, seed=0)
    assert tally.left_out == 1 and len(tally) == 1


# Evaluations, and what they share with training


def test_where_no_picture_of_a_step_can_be_read_the_next_ones_are_taken(tmp_path):
    asker, images = Asks(), FolderImages(photos(tmp_path / "photos", cut=(0, 1, 2)))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        tally = asked(ledger, images, asker, calls=5)
        assert [key for _, key in asker.seen] == ["3.jpg", "3.jpg", "4.jpg", "5.jpg", "3.jpg"]
        assert [event["image"] for event in left_out(ledger)] == [0, 1, 2, 2, 0, 1, 2]
    assert tally.left_out == 7 and "7 pictures left out" in repr(tally)
    assert tally.numbers(HashedNgramEmbedder())["images_left_out"] == 7


def test_where_no_picture_at_all_can_be_read_the_run_stops_and_names_some(tmp_path):
    images = FolderImages(photos(tmp_path / "photos", 5, cut=(0, 1, 2, 3, 4)))
    message = r"^\[probe\] images: none of 5 can be read: .*0\.jpg: cannot .*; .*1\.jpg.*; .*2\.jpg.*; and 2 more$"
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(UnreadableImage, match=message):
        asked(ledger, images)


@pytest.mark.parametrize("mended", [True, False])
def test_an_evaluation_that_is_made_again_leaves_out_the_same(tmp_path, mended):
    pictures = photos(tmp_path / "photos", cut=(0, 1, 3))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first = asked(
            ledger, FolderImages(pictures), Asks(refuses=("2.jpg",)), per_step=4
        )  # an outage in the same step
        before = dump(ledger.path)
        for name in ("0.jpg", "1.jpg", "3.jpg"):
            (pictures / name).unlink()
            if mended:
                PILImage.new("RGB", (8, 8)).save(pictures / name)
        again = asked(ledger, FolderImages(pictures), Asks(refuses=("2.jpg",)), per_step=4, resumed=True)
        assert repr(again) == repr(first) and again.left_out == first.left_out > 0 and dump(ledger.path) == before


def test_a_source_that_is_gone_stops_the_run_at_once(tmp_path):
    pictures = photos(tmp_path / "photos")
    images = FolderImages(pictures)
    pictures.rename(tmp_path / "unplugged")
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(SourceGone):
        asked(ledger, images)


def task(ledger, pictures, *, resumed):
    return Task(
        images=FolderImages(pictures), answerer=Answers(), verifier=Judges(), embedder=HashedNgramEmbedder(), calls=6,
        ledger=ledger, k=1, group_size=1, images_per_step=2, resumed=resumed,
    )  # fmt: skip


def test_a_method_goes_on_after_a_picture_was_taken_out_of_pool_and_evaluation(tmp_path):
    pool, held_out = photos(tmp_path / "pool", cut=(1,)), photos(tmp_path / "held out", 4, cut=(2,))
    dumps = []
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for resumed in (False, True):
            mine = task(ledger, pool, resumed=resumed)
            ask_pool(Asks(), mine, name="method")
            tally = evaluate(Asks(), mine, FolderImages(held_out), n=4, name="method")
            assert tally.calls == 4 and tally.left_out == 1
            dumps.append(dump(ledger.path))
            for file in (pool / "1.jpg", held_out / "2.jpg"):
                file.unlink(missing_ok=True)
    assert dumps[0] == dumps[1]


def test_rows_about_a_picture_that_cannot_be_read_are_left_out_and_said(tmp_path):
    images = FolderImages(photos(tmp_path / "photos", 3, cut=(1,)))
    rows = [{"image": f"{i}.jpg", "question": f"what is {i} ?"} for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.warns(UserWarning, match=r"rows\.jsonl: 1 pictures left out with their rows: .*1\.jpg: cannot"):
        found = read_rows(tmp_path / "rows.jsonl", images, k=1)
    assert [row.image.key for row in found] == ["0.jpg", "2.jpg"]
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows[1]))
    with pytest.raises(UnreadableImage, match=r"rows\.jsonl: none of its pictures can be read: .*1\.jpg"):
        read_rows(tmp_path / "rows.jsonl", images, k=1)


def test_a_picture_that_is_gone_is_judged_unknown_again_and_named(tmp_path):
    pictures = photos(tmp_path / "photos", 3)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        asked(ledger, FolderImages(pictures), calls=3, per_step=3)
        (pictures / "0.jpg").unlink()
        assert rejudge(ledger, "run", Judges(), FolderImages(pictures), name="again") == 1
        verdicts = [question.verdict for question in ledger.step("run", "probe", 0, judging="again").questions]
    assert [verdict.valid for verdict in verdicts] == [None, True, True]
    assert verdicts[0].failure == "rejected" and "0.jpg: is not among the pictures" in verdicts[0].reason


def test_a_reproductions_pictures_are_those_that_it_began_with(tmp_path):
    pictures, roles = photos(tmp_path / "photos", 10), {"model": "m", "endpoint": "http://127.0.0.1:9/v1"}
    content = {
        "images": str(pictures), "evaluation_images": str(pictures), "sft_rows": "rows.jsonl",
        "questioners": {label: {"model": "c"} for label in ("small", "large")},
        "answerers": dict.fromkeys(("small", "medium", "large"), roles), "verifier": roles, "evaluator": roles,
    }  # fmt: skip
    config = parse(content)
    scale = SCALES["small"].changed({"pool": 4, "held_out": 6})
    setup = FileSetup(scale=scale, config=config, embedding="hashed").begun(tmp_path)
    setup.keep(tmp_path)
    drawn = [*setup.pool.keys, *setup.held_out.keys]
    (pictures / "5.jpg").unlink()
    PILImage.new("RGB", (8, 8)).save(pictures / "10.jpg")
    again = FileSetup(scale=scale, config=config, embedding="hashed").begun(tmp_path)
    assert [*again.pool.keys, *again.held_out.keys] == drawn and sorted(drawn) == [f"{i}.jpg" for i in range(10)]
    for text in ("{", "[]", '{"a": []}', '{"a": [1]}', "[" * 99_999):
        (tmp_path / "pictures.json").write_text(text)
        with pytest.raises(ValueError, match=r"^\[reproduce\] .*pictures\.json: cannot be read"):
            FileSetup(scale=scale, config=config, embedding="hashed").begun(tmp_path)
