"""Each format holds what its tool documents; docs/suites.md says which tools have read them."""

from __future__ import annotations

import base64
import csv
import io
import json
import sys

import pytest
import yaml
from PIL import Image as PILImage

from support.suites import HOSTILE, QUESTIONS, images, suite
from vlmprobe.exports.formats import FORMATS, write


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    made = suite(tmp_path_factory.mktemp("formats") / "cups")
    return made, {name: write(name, made) for name in FORMATS}


def texts(folder):
    return [path.read_text() for path in folder.rglob("*.*") if path.suffix != ".parquet"]


def test_those_that_score_by_a_right_answer_have_the_items_with_one(written):
    _, found = written
    counts = {name: count for name, (_, count) in found.items()}
    assert counts == {"huggingface": 4, "vlmevalkit": 3, "lmms_eval": 3, "inspect": 4, "promptfoo": 4, "fiftyone": 4}


def test_the_canary_is_in_each(written):
    made, found = written
    import pyarrow.parquet as parquet

    for name, (folder, _) in found.items():
        said = [text for text in texts(folder) if made.canary in text]
        tables = [set(parquet.read_table(file)["canary"].to_pylist()) for file in folder.rglob("*.parquet")]
        assert said or tables == [{made.canary}], name


def test_huggingface_has_a_card_and_a_table_with_pictures_inside(written):
    """https://huggingface.co/docs/datasets/repository_structure, and Features.to_dict for the table's own schema."""
    import pyarrow.parquet as parquet

    _, found = written
    folder, _ = found["huggingface"]
    _, head, text = (folder / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    [file] = card["configs"][0]["data_files"]
    table = parquet.read_table(folder / file["path"])
    assert card["license"] == "cc0-1.0" and file["split"] == "test" and "questions with “red”" in text
    assert [feature["name"] for feature in card["dataset_info"]["features"]] == table.column_names
    said = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert list(said) == table.column_names and said["image"] == {"_type": "Image"}
    rows = table.to_pylist()
    assert [row["question"] for row in rows[:3]] == list(QUESTIONS) and rows[3]["reference"] is None
    picture = PILImage.open(io.BytesIO(rows[0]["image"]["bytes"]))
    assert picture.convert("RGB").tobytes() == images()[0].pixels.tobytes()


def test_vlmevalkit_has_one_row_for_each_item_whatever_its_text_holds(written):
    """VLMEvalKit, page on development: index is whole and unique, image is base64."""
    _, found = written
    before = csv.field_size_limit(sys.maxsize)  # of the process
    try:
        with (found["vlmevalkit"][0] / "cups.tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    finally:
        csv.field_size_limit(before)
    assert [int(row["index"]) for row in rows] == [0, 1, 2]
    assert [row["question"] for row in rows] == list(QUESTIONS) and {row["answer"] for row in rows} == {"3"}
    picture = PILImage.open(io.BytesIO(base64.b64decode(rows[0]["image"])))
    assert picture.convert("RGB").tobytes() == images()[0].pixels.tobytes()
    assert rows[0]["category"] == "questions with “red”"


def test_lmms_eval_has_a_task_whose_functions_are_there(written):
    """lmms-eval, task guide: keys of a task, `!function file.name` for functions beside it."""
    _, found = written
    folder, _ = found["lmms_eval"]

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: ("function", loader.construct_scalar(node)))
    task = yaml.load((folder / "cups.yaml").read_text(), Loader=Loader)
    assert task["task"] == "cups" and task["output_type"] == "generate_until"
    assert (folder / task["dataset_kwargs"]["data_files"][task["test_split"]]).is_file()
    names: dict = {}
    exec((folder / "utils.py").read_text(), names)
    for key in ("doc_to_visual", "doc_to_text", "process_results"):
        kind, place = task[key]
        assert kind == "function" and place.split(".")[0] == "utils" and callable(names[place.split(".")[1]])
    score = names["process_results"]
    right = [score({"reference": "3"}, [said])["accuracy"] for said in ("3", "There are 3.", "13", "three", "3 or 4")]
    assert right == [1, 1, 0, 0, 1]
    assert task["metric_list"] == [{"metric": "accuracy", "aggregation": "mean", "higher_is_better": True}]


def test_inspect_has_samples_with_a_picture_that_is_found_from_the_file(written):
    """https://inspect.aisi.org.uk/datasets.html: input, target, id, metadata; content of kinds image and text."""
    _, found = written
    folder, _ = found["inspect"]
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert len({row["id"] for row in rows}) == 4 and [row["target"] for row in rows] == ["3", "3", "3", ""]
    for row in rows:
        [message] = row["input"]
        picture, text = message["content"]
        assert message["role"] == "user" and picture["type"] == "image" and text["type"] == "text"
        assert (folder / picture["image"]).is_file()
    assert rows[2]["input"][0]["content"][1]["text"] == HOSTILE


def test_promptfoo_asserts_the_right_answer_or_leaves_it_to_a_grader(written):
    """https://www.promptfoo.dev/docs/configuration/test-cases: vars, assert with type and value."""
    _, found = written
    folder, _ = found["promptfoo"]
    config = yaml.safe_load((folder / "promptfooconfig.yaml").read_text())
    tests = yaml.safe_load((folder / config["tests"].removeprefix("file://")).read_text())
    [prompt] = json.loads((folder / config["prompts"][0].removeprefix("file://")).read_text())
    assert {part["type"] for part in prompt["content"]} == {"image_url", "text"}
    assert [test["assert"][0]["type"] for test in tests] == ["icontains"] * 3 + ["llm-rubric"]
    assert all((folder / test["vars"]["image"].removeprefix("file://")).is_file() for test in tests)
    assert (
        tests[0]["vars"]["question"] == QUESTIONS[0] and "which is wrong: there are 3" in tests[3]["assert"][0]["value"]
    )


def test_fiftyone_has_samples_and_their_fields(written):
    """https://docs.voxel51.com/user_guide/import_datasets.html, FiftyOneDataset: metadata.json and samples.json."""
    _, found = written
    folder, _ = found["fiftyone"]
    metadata, samples = (json.loads((folder / name).read_text()) for name in ("metadata.json", "samples.json"))
    known = {field["name"] for field in metadata["sample_fields"]}
    assert metadata["media_type"] == "image" and len(samples["samples"]) == 4
    for sample in samples["samples"]:
        assert set(sample) == known and (folder / sample["filepath"]).is_file()
