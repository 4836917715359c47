"""Files of users are read as their editors wrote them: with a byte order mark or without, in any of its encodings."""

import codecs
import csv
import io
import json

import pytest
from PIL import Image as PILImage

from vlmprobe._util.json import read_lines, read_text
from vlmprobe.data import FolderImages
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.methods import RandomValid, rows
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.review.people import import_labels
from vlmprobe.run.probe import probe
from vlmprobe.studies.config import read as read_config
from vlmprobe.world.answerers import ExecutingAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be with a mark")
FAULT = {"id": "one", "when": {"family": "count"}, "effect": "off_by_one", "rate": 1.0}


def encoded(text, encoding):
    if encoding == "utf-16-be with a mark":
        return codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    return text.encode(encoding)


@pytest.fixture(params=ENCODINGS)
def written(request, tmp_path):
    """Writes a file in one of the encodings."""

    def write(name, text):
        (tmp_path / name).write_bytes(encoded(text, request.param))
        return tmp_path / name

    return write


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    PILImage.new("RGB", (32, 32), "red").save(tmp_path / "pictures" / "é.png")
    return FolderImages(tmp_path / "pictures")


def lines(*questions):
    return "".join(json.dumps({"image": "é.png", "question": each}, ensure_ascii=False) + "\r\n" for each in questions)


def test_a_text_is_what_its_mark_says(written):
    assert read_text("op", written("a.txt", "é图\r\nb")) == "é图\nb"
    assert read_text("op", written("b.txt", "")) == ""


def test_rows_faults_and_settings_are_read_with_a_mark(written, pictures):
    found = rows.read_rows(written("rows.jsonl", lines("Où est le chat ?", "Why?")), pictures, k=2)
    assert [row.completion for row in found] == [
        "<response_1> Où est le chat ? </response_1> <response_2> Why? </response_2>"
    ]
    assert [fault.id for fault in load_faults(written("faults.json", json.dumps([FAULT]))).faults] == ["one"]
    assert read_config(written("config.json", '{"embedder": "hashed"}')) == {"embedder": "hashed"}


def test_own_prompts_are_read_with_a_mark(written, tmp_path):
    written("answerer.txt", "Réponds.\r\n{question}")
    assert PromptFiles.load(tmp_path)["answerer"] == "Réponds.\n{question}"


def test_labels_are_read_with_a_mark(written, tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        probe(RandomValid(), ExecutingAnswerer(), OracleVerifier(), lambda step: list(WorldImages(1, seed=5)), calls=2,
              k=2, seed=0, ledger=ledger)  # fmt: skip
        label = {"run": "run", "phase": "probe", "step": 0, "sequence": 0, "annotator": "Zoë", "valid": True}
        given = [label | {"slot": slot, "correct": slot == 0} for slot in (0, 1)]
        table = io.StringIO()
        writer = csv.DictWriter(table, list(given[0]))
        writer.writeheader()
        writer.writerows(given)
        assert import_labels(ledger, written("labels.csv", table.getvalue())) == 2
        assert import_labels(ledger, written("labels.jsonl", "\n".join(map(json.dumps, given)))) == 0
        assert {each.annotator for each in ledger.labels("run")} == {"Zoë"}


def test_files_put_end_to_end_keep_their_marks(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(codecs.BOM_UTF8 + b'{"a": 1}\n' + codecs.BOM_UTF8 + b'{"a": 2}\n\n \xef\xbb\xbf\n')
    assert list(read_lines("op", file)) == [("rows.jsonl, line 1", {"a": 1}), ("rows.jsonl, line 2", {"a": 2})]


@pytest.mark.parametrize(
    "content, text",
    [
        (b'{"a": 1}\n\xff\xfe', "line 2: expected UTF-8, got other bytes"),
        (b'{"a": 1}\n{"a":', r"line 2: expected JSON \("),
        (b"[" * 100_000, "line 1: expected brackets in at most"),
        ('{"a": 1}'.encode("utf-16-le"), r"line 1: expected JSON \("),  # no mark says what it is
    ],
)
def test_other_files_are_one_sentence_that_names_them(content, text, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^\[op\] rows\.jsonl(, |: ){text}"):
        list(read_lines("op", file))


@pytest.mark.parametrize("content", [b"", b"PAR1 cut short", b'{"image": "a.png", "question": "why ?"}\n'])
def test_rows_in_a_damaged_parquet_file_are_named(content, tmp_path, pictures):
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"^\[read_rows\] rows\.parquet: expected a Parquet file \("):
        rows.read_rows(tmp_path / "rows.parquet", pictures, k=1)


@pytest.mark.parametrize("bad", [b"run,phase\nr\x00,\n", b"run,phase\n\xe9,\n"])
def test_a_table_of_labels_that_is_no_text_is_named(bad, tmp_path):
    (tmp_path / "labels.csv").write_bytes(bad)
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        pytest.raises(ValueError, match=r"^\[import_labels\] .*labels\.csv"),
    ):
        import_labels(ledger, tmp_path / "labels.csv")


def test_a_row_differs_by_more_than_what_nobody_sees(tmp_path, pictures):
    file = tmp_path / "rows.jsonl"
    file.write_text(lines("Why?", "Why\u200b?", "Why\u00ad?", "How?"), encoding="utf-8")
    [row] = rows.read_rows(file, pictures, k=2)
    assert row.completion == "<response_1> Why? </response_1> <response_2> How? </response_2>"


@pytest.mark.parametrize(
    "question",
    ["a</response_1><response_2>b", "What is <response_3>?", "Is </think> seen?", "<think>a", "\u200b\u3164"],
)
def test_a_question_that_cannot_stand_in_its_tag_is_named(question, tmp_path, pictures):
    (tmp_path / "rows.jsonl").write_text(lines("Why?", question), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^\[read_rows\] rows\.jsonl, line 2: question: expected a text"):
        rows.read_rows(tmp_path / "rows.jsonl", pictures, k=1)
