"""A comparison and an evaluation with models behind a server: budgets, outages, and every call counted there."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
import yaml

from support.chatting import needs_chat_client
from support.photos import photos
from support.planned_server import SOUND, planned, refused, said
from vlmprobe import cli
from vlmprobe.exports.suite import read_suite

SUBJECTS = ("hat", "tower", "flower", "sky", "roof", "person", "window", "tree", "car", "dog")


class Plan:
    """The asker asks something else each time; of two answerers `old` says no and `new` says yes, which is right where
    the sum of the question's letters is even."""

    def __init__(self):
        self.came, self.down = Counter(), set()

    def __call__(self, model, text):
        self.came[model] += 1
        if model in self.down:
            return refused(503, "busy")
        if model == "asker":
            n = 2 * self.came[model]
            tags = [f"<response_{i}> Is the {SUBJECTS[(n + i) % 10]} number {n + i}? </response_{i}>" for i in (1, 2)]
            return said("".join(tags))
        if model != "judge":
            return said({"old": "no", "new": "yes"}[model])
        asked, answer = (
            found[1] if (found := re.search(f"<{tag}>\n(.*?)\n</{tag}>", text, re.DOTALL)) else ""
            for tag in ("question", "answer")
        )
        correct = (answer == "yes") == (sum(map(ord, asked)) % 2 == 0)
        return said(f"<verdict>{json.dumps({'reason': 'seen', **SOUND, 'correct': correct})}</verdict>")


@pytest.fixture
def plan():
    return Plan()


@pytest.fixture
def probe(tmp_path, plan):
    with planned() as server:
        server.plan = plan
        folder, client = tmp_path / "probe", {"deadline_s": 2.0, "first_pause_s": 0.01, "unreachable_s": 2.0}
        role = {"endpoint": server.url, "client": client}
        content = {
            "images": str(photos(tmp_path / "photos", 4)), "questioner": {"model": "asker", **role},
            "answerer": {"model": "old", **role}, "verifier": {"model": "judge", **role}, "method": "zero-shot",
            "embedder": "hashed", "group_size": 2, "images_per_step": 4, "budget": {"calls": 48},
        }  # fmt: skip
        folder.mkdir()
        (folder / "probe.yaml").write_text(yaml.safe_dump(content))
        assert cli.main(["run", str(folder), "--quiet"]) == 0
        content["answerer"]["model"] = "new"
        (tmp_path / "new.yaml").write_text(yaml.safe_dump(content))
        yield folder


def compared(capsys, folder, *words):
    capsys.readouterr()
    assert cli.main(["compare", str(folder), "--answerer", str(folder.parent / "new.yaml"), "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@needs_chat_client
def test_a_budget_ends_a_comparison_and_more_of_it_goes_on_without_paying_twice(probe, plan, capsys):
    asked = dict(plan.came)
    words = ["compare", str(probe), "--answerer", str(probe.parent / "new.yaml")]
    assert cli.main([*words, "--set", "answerer.client.max_calls=20"]) == 3
    assert "the budget of new" in capsys.readouterr().err and plan.came["new"] == 20
    whole = compared(capsys, probe)["whole"]
    assert (whole["n"], whole["unscored"]) == (48, 0) and plan.came["new"] == 48
    assert plan.came["judge"] - asked["judge"] == 48 and plan.came["asker"] == asked["asker"]
    assert whole["both_wrong"] == whole["both_right"] == 0 and whole["fixed"] > 5 and whole["regressed"] > 5
    calls = dict(plan.came)
    assert compared(capsys, probe)["whole"] == whole and plan.came == calls


@needs_chat_client
def test_an_outage_of_the_verifier_is_no_verdict_and_the_answers_are_kept(probe, plan, capsys):
    plan.down = {"judge"}
    assert cli.main(["compare", str(probe), "--answerer", str(probe.parent / "new.yaml")]) == 4
    capsys.readouterr()
    assert plan.came["new"] == 48
    plan.down = set()
    whole = compared(capsys, probe)["whole"]
    assert (whole["n"], whole["unscored"], plan.came["new"]) == (48, 0, 48)


@needs_chat_client
def test_another_verifier_is_refused(probe, capsys):
    text = (probe / "probe.yaml").read_text().replace("model: judge", "model: lenient")
    (probe / "probe.yaml").write_text(text)
    assert cli.main(["compare", str(probe), "--answerer", str(probe.parent / "new.yaml")]) == 2
    assert "[compare] verifier: expected 'judge" in capsys.readouterr().err


@needs_chat_client
def test_a_suite_of_photographs_has_right_answers_of_another_answerer_and_is_evaluated(probe, plan, tmp_path, capsys):
    found = compared(capsys, probe)
    assert cli.main(["export", str(probe), "--suite", str(tmp_path / "s"), "--all", "--format", "vlmevalkit"]) == 0
    suite = read_suite(tmp_path / "s")
    fixed = found["whole"]["fixed"]
    assert len(suite.items) == fixed and {item.reference for item in suite.items} == {"yes"}
    assert all(item.reference_by.startswith("new") for item in suite.items) and not suite.of_world
    before = plan.came["new"]
    words = ["evaluate", "--suite", str(tmp_path / "s"), "--config", str(tmp_path / "new.yaml"), "--fail-under", "1"]
    assert cli.main([*words, "--out", str(tmp_path / "calls")]) == 0 and plan.came["new"] - before == fixed
    old = [*words[:4], str(probe / "probe.yaml"), *words[5:], "--out", str(tmp_path / "old")]
    assert cli.main(old) == 1
    plan.down = {"new"}
    assert cli.main([*words, "--out", str(tmp_path / "down")]) == 4
