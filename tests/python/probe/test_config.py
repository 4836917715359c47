"""`probe.yaml`: read into typed values, written with every default, and each fault is one sentence."""

from __future__ import annotations

import json

import pytest
import yaml

from vlmprobe.probe.config import Probe, parse, read, schema
from vlmprobe.probe.template import text_of

LEAST = {"images": "photos", "questioner": "asks", "answerer": "answers@http://127.0.0.1:8000/v1", "verifier": "world"}


def said(content) -> str:
    with pytest.raises(ValueError) as error:
        parse(content)
    return str(error.value)


def written(tmp_path, text: str):
    (tmp_path / "probe.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_text_stands_for_the_part_that_it_names():
    probe = parse(LEAST)
    assert probe.images.source == "photos" and probe.questioner.model == "asks" and probe.questioner.local
    assert probe.answerer.model == "answers" and probe.answerer.endpoint == ["http://127.0.0.1:8000/v1"]
    one = parse({**LEAST, "answerer": {"model": "a", "endpoint": "http://127.0.0.1:8000/v1"}})
    assert one.answerer.endpoint == ["http://127.0.0.1:8000/v1"]


def test_what_init_writes_is_read_back_as_it_was_and_says_each_default():
    probe = parse({**LEAST, "budget": {"calls": 7, "hours": 0.5}, "k": 3})
    text = text_of(probe)
    assert parse(yaml.safe_load(text)) == probe
    assert "calls: 7  # calls of the answerer (default: 500)" in text and "k: 3  # questions in a completion" in text
    for line in text.splitlines():
        assert len(line) <= 120 and (not line or "#" in line or line.endswith((":", "'", "]")) or ":" in line)


def test_the_schema_has_every_key():
    known = json.loads(schema())
    assert set(known["properties"]) == set(Probe.model_fields)
    assert known["$defs"]["Budget"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"imags": 1}, "imags: expected one of images, questioner,"),
        ({"answerer": {"modl": "x"}}, "answerer.modl: expected one of model, endpoint,"),
        ({"answerer": {"modl": "x"}}, "did you mean model?"),
        ({"images": {"source": "x", "n": 0}}, "images.n: input should be greater than or equal to 1, got 0"),
        (
            {"budget": {"calls": None}},
            "budget: expected at least one of calls, steps, tokens, cost and hours, got none",
        ),
        ({"budget": {"calls": "many"}}, "budget.calls: input should be a valid integer"),
        (
            {"method": "rl", "questioner": LEAST["answerer"]},
            "method: expected zero-shot, bandit or conme for a questioner behind",
        ),
        ({"method": "conme"}, "method: expected zero-shot, bandit or rl for a questioner in this process, got conme"),
        ({"method": "magic"}, "method: input should be 'zero-shot', 'bandit', 'conme' or 'rl', got 'magic'"),
        ({"training": {"reward": "semantc"}}, "nearest: semantic"),
        ({"verifier": {"model": "", "endpoint": ["http://x/v1"]}}, "verifier: model: expected a name, got none"),
        ({"answerer": {"python": "a:b", "model": "c"}}, "answerer: python: expected it alone, got a model as well"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_the_key(change, text):
    found = said({**LEAST, **change})
    assert found.startswith("[probe] probe: ") and text in found and "\n" not in found


def test_values_can_be_given_for_one_call(tmp_path):
    folder = written(tmp_path, yaml.safe_dump(LEAST))
    found = read(folder, ["budget.calls=9", "answerer.max_tokens=32", "images.n=5", "verifier=world", "method=rl"])
    assert (found.budget.calls, found.answerer.max_tokens, found.images.n, found.method) == (9, 32, 5, "rl")
    assert found.images.source == "photos" and found.answerer.model == "answers"
    for wrong, text in {
        "calls": "--set: expected a.b=c",
        "k.x=1": "expected k to have parts",
        "k=[": "in YAML",
    }.items():
        with pytest.raises(ValueError, match=r"^\[probe\] ") as error:
            read(written(tmp_path, yaml.safe_dump({**LEAST, "k": 2})), [wrong])
        assert text in str(error.value)


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected a folder with probe.yaml, got none; `vlmprobe init` writes one"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"probe.yaml: expected YAML \(while"):
        read(written(tmp_path, "images: [\n"))
    with pytest.raises(ValueError, match=r"probe.yaml: expected the keys of a probe, got 'photos'"):
        read(written(tmp_path, "photos\n"))
