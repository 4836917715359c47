"""What the page of a run counts and shows: whose questions, which pictures, what is a formula, what is code."""

import pytest
from PIL import Image as PILImage

from support.run_ledgers import step_of
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.report.page.templating import coded
from vlmprobe.report.run.pictures import room, thumbnails
from vlmprobe.report.run.questions import FRESH, Besides, questions_of, rounds_of
from vlmprobe.report.table.spreadsheet import comma_separated
from vlmprobe.world.finding import finder
from vlmprobe.world.source import WorldImages

RUNS = {
    "rl": ({"pass": "pool"}, "rl", False), "rl/evaluation-3": ({}, "rl, evaluation-3", True),
    "ei": ({"pass": "rounds"}, "ei", False), "ei/round-1": ({"pass": "pool"}, "ei", False),
    "rl/modes-ab": ({"pass": "modes-ab"}, FRESH, True), "rl/dose-cd": ({"pass": "dose-cd"}, None, None),
    "a/b": ({}, "a/b", False), "probe": ({"method": "bandit"}, "bandit", False),
}  # fmt: skip


@pytest.fixture
def ledger():
    with Ledger(":memory:") as ledger:
        for run, (config, _, _) in RUNS.items():
            ledger.begin(RunRecord(id=run, config=config))
            ledger.record(step_of(run, 0, "tiny"))
        yield ledger


def test_questions_are_named_after_who_asked_and_edited_pictures_are_left_out(ledger):
    found = rounds_of(questions_of(ledger))
    told = {name for _, name, _ in RUNS.values() if name is not None}
    assert set(found) == told and {name: len(asked) for name, asked in found.items()} == {
        name: 48 if name == "ei" else 24 for name in told
    }
    for _, name, measuring in RUNS.values():
        assert name is None or {each.measuring for each in found[name]} == {measuring}
    assert "paper's reward" in rounds_of(questions_of(ledger, names={"rl": "paper's reward"}))


def test_an_outcome_is_one_of_four_and_votes_are_apart_from_the_reason(ledger):
    """Of 0 to 23, those that 7 divides are invalid; of the others 11 and 22 were not answered, and 4, 8, 12, 16, 20
    are purple."""
    asked = rounds_of(questions_of(ledger))["rl"]
    outcomes = [each.outcome for each in asked]
    assert [i for i, each in enumerate(outcomes) if each == "invalid"] == [0, 7, 14, 21]
    assert [i for i, each in enumerate(outcomes) if each == "unscored"] == [11, 22]
    assert [i for i, each in enumerate(outcomes) if each == "wrong"] == [4, 8, 12, 16, 20]
    assert asked[1].votes == "2 of 3" and asked[1].reason == "the right answer is 1"
    assert asked[11].why == "timeout" and asked[11].answer == "" and asked[1].why == ""


def test_a_taxonomy_takes_the_place_of_all_other_skills(ledger):
    pair = ("scene-11-1", "how many red circles are there near the rim ?")
    asked = rounds_of(questions_of(ledger, Besides(skills={pair: ["a"]}, modes={pair: ["m"]})))["rl"]
    assert asked[1].skills == ["a"] and asked[1].modes == ["m"] and {tuple(each.skills) for each in asked[2:]} == {()}
    assert rounds_of(questions_of(ledger))["rl"][1].skills == ["counting red things", "telling circles"]


def test_a_picture_of_the_world_is_drawn_where_it_is_the_one_that_was_asked_about():
    scene = WorldImages(1, seed=11, first=5)[0]
    find = finder([], {"scene-11-5": scene.sha256, "scene-11-6": "another", "photo.png": scene.sha256})
    assert find("scene-11-5").tobytes() == scene.pixels.tobytes()
    assert find("scene-11-6") is None and find("scene-11-7") is None and find("photo.png") is None


def test_pictures_beyond_the_room_are_those_of_no_failure(ledger):
    asked = rounds_of(questions_of(ledger))["rl"] * 2
    wide = PILImage.effect_noise((600, 400), 90).convert("RGB")
    small = thumbnails(asked, lambda key: wide)
    assert small.side == 320 and small.left_out == 0 and sum(map(len, small.uris)) < room(len(asked)) == 2_516_800
    assert list(small.place)[:5] == [f"scene-11-{i}" for i in (4, 8, 12, 16, 20)]
    assert thumbnails(asked, lambda key: None).uris == []


def test_what_a_spreadsheet_would_compute_is_text_and_numbers_stay_numbers():
    rows = [("=1+1", -1.5, None), (" +x", 3.0, float("nan")), ("@a", True, "plain"), ("\t=1", -2, 'say "so"')]
    assert comma_separated(("a", "-b", "c"), rows).split("\r\n") == [
        "a,'-b,c", "'=1+1,-1.5,", "' +x,3,", "'@a,True,plain", "'\t=1,-2,\"say \"\"so\"\"\"", "",
    ]  # fmt: skip


def test_code_in_a_sentence_is_marked_and_everything_is_escaped():
    assert coded("try `vlmprobe modes RUN` <b>`x<y`") == "try <code>vlmprobe modes RUN</code> &lt;b&gt;`x&lt;y`"
