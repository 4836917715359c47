"""Exports: every value is one that other programs read, whatever was said and whatever the pictures are called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image as PILImage

from support.ledgers import RUN, answered, make_step, question, verdict
from vlmprobe import cli
from vlmprobe.data.source import FolderImages
from vlmprobe.ledger import AnswerRecord, ImageRecord, LabelRecord, Ledger, RunRecord, SequenceRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods.rows import read_rows
from vlmprobe.models import Criteria, Judgement, Reply
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.trainer import Trainer
from vlmprobe.world import tiny

INFINITE = float("inf")


class Lenient:
    """Takes everything for valid, and half of the answers for wrong."""

    identity = "lenient"

    def validity(self, images, questions):
        return [Criteria(grammatical=True, atomic=True, grounded=True, objective=True)] * len(questions)

    def correctness(self, images, questions, answers):
        return [Judgement(correct=i % 2 == 0) for i in range(len(questions))]


class Anything:
    """Says that no UTF-8 holds."""

    identity = "anything \udcff"

    def answer(self, images, questions):
        return [Reply(text="\ud800\0")] * len(questions)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        yield ledger


def strict(text):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def both(ledger, folder):
    """The rows of both exports, which must be the same."""
    parquet = pytest.importorskip("pyarrow.parquet")
    assert ledger.export(folder / "all.jsonl") == ledger.export(folder / "all.parquet")
    lines = [strict(line) for line in (folder / "all.jsonl").read_text().splitlines()]
    table = parquet.read_table(folder / "all.parquet").to_pylist()
    assert [row | {name: strict(row[name]) for name in ("rewards", "annotations")} for row in table] == lines
    return lines


def test_a_number_that_is_not_finite_is_null(ledger, tmp_path):
    rewards = {"a": INFINITE, "b": -INFINITE, "c": float("nan"), "d": 0.1 + 0.2}
    known = {"odds": INFINITE, "list": [1.5, -INFINITE], "inner": {"x": float("nan")}}
    asked = question(0, 0, verdict=verdict(False), answer=answered(), rewards=rewards, annotations=known)
    ledger.record(make_step(questions=[asked], numbers={"loss": INFINITE, "grad_norm": float("nan"), "kl": 0.5}))
    (row,) = both(ledger, tmp_path)
    assert row["rewards"] == {"a": None, "b": None, "c": None, "d": 0.1 + 0.2}
    assert row["annotations"] == {"odds": None, "list": [1.5, None], "inner": {"x": None}}
    assert ledger.step("demo", "train", 0).numbers == {"grad_norm": None, "kl": 0.5, "loss": None}
    assert ledger.step("demo", "train", 0).questions[0].rewards["a"] == INFINITE  # the ledger itself keeps it


def test_infinities_that_another_program_wrote_are_null_too(ledger, tmp_path):
    ledger.record(make_step())
    ledger._db.execute("UPDATE rewards SET value = 9e999 WHERE term = 'semantic'")
    (row, *_) = both(ledger, tmp_path)
    assert row["rewards"] == {"lexical": 0.5, "semantic": None, "total": 0.75}


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "caf\udce9", "\udcff\0", "\u2028\x1b[0m", "=1+1", '"},{"'])
def test_any_text_of_a_model_is_written_and_read_back(text, ledger, tmp_path):
    kept = text.encode("utf-8", "backslashreplace").decode()
    asked = question(
        0, 0, text=text, prefix=text, verdict=verdict(False), answer=AnswerRecord(answerer=text, text=text),
        rewards={text: 1.0}, annotations={text: text},
    )  # fmt: skip
    picture = ImageRecord(id=5, key=text, sha256="ab")
    ledger.record(make_step(phase=f"train {text}", images=[picture], questions=[asked]))
    (row,) = both(ledger, tmp_path)
    assert (row["question"], row["answer"], row["answerer"], row["image_key"]) == (kept, kept, kept, kept)
    assert row["rewards"] == {kept: 1.0} and row["phase"] == f"train {kept}"
    assert [each.encode("utf-8", "backslashreplace").decode() for each in row["annotations"].values()] == [kept]
    assert ledger.record(ledger.step("demo", f"train {text}", 0)) is False  # what was read is the same step
    assert len(ledger.failures(f"train {text}")) == ledger.counts(f"train {text}").n_wrong == 1


def test_any_name_of_a_run_is_found_again(ledger):
    name = "run \udcff"
    ledger.begin(RunRecord(id=name))
    ledger.begin(RunRecord(id=name))  # the same again
    ledger.record(make_step(step=7).__class__(**{**vars(make_step(step=7)), "run": name}))
    ledger.begin_judging(name, "view", reward="\ud800")
    ledger.record_judging("view", ledger.step(name, "train", 7))
    assert ledger.step(name, "train", 7, judging="view").run == r"run \udcff"
    label = LabelRecord(
        run=name, phase="train", step=7, sequence=0, slot=0, annotator="\udc00", valid=True, correct=False
    )
    assert ledger.add_labels([label]) == 1 and len(ledger.labels(name)) == 1
    ledger.event(name, kind="k", text="\ud800")
    ledger.finish(name)
    assert ledger.events(name)[0].text == r"\ud800" and ledger.spent(name, "answerer").calls == 0


def test_pictures_whose_names_are_no_utf8_go_through_a_whole_run(tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in (b"caf\xe9.png", b"\xff\xfe.png", "fine ✓.png".encode()):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            PILImage.new("RGB", (56, 56), "red").save(file, format="PNG")
    images = FolderImages(folder)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        trainer = Trainer(
            Questioner(tiny.load("questioner")), Anything(), Lenient(), HashedNgramEmbedder(), images, ledger=ledger,
            options=TrainerOptions(k=2, group_size=2, images_per_step=3),
        )  # fmt: skip
        trainer.train(1)
    out = os.fsdecode(os.fsencode(tmp_path) + b"/all \xe9.jsonl")
    assert cli.main(["export", "--run", str(tmp_path), out]) == 0
    assert capsys.readouterr().out.startswith("12 questions: ")
    lines = [strict(line) for line in Path(out).read_text(encoding="utf-8").splitlines()]
    assert {line["image_key"] for line in lines} == {r"caf\xe9.png", r"\xff\xfe.png", "fine ✓.png"}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines if line["status"] == "ok"))
    rows = read_rows(tmp_path / "rows.jsonl", images, k=1)
    assert {row.image.key for row in rows} == {images[i].key for i in range(3)}


def test_a_sequence_without_numbers_is_written(ledger, tmp_path):
    alone = SequenceRecord(sequence=0, image=5, group=0, text="\0", tokens=0, reward=INFINITE, advantage=-INFINITE)
    ledger.record(make_step(sequences=[alone], questions=[question(0, 0)]))
    assert len(both(ledger, tmp_path)) == 1 and ledger.step("demo", "train", 0).sequences[0].reward == INFINITE
