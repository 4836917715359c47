"""Guards: what begins to go wrong is said once, with what to do, and a resumed run says the same."""

from __future__ import annotations

import json
import math

import pytest

from vlmprobe import cli, metrics
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.round import Place, Round
from vlmprobe.methods.local_search import KNOWN
from vlmprobe.models.replies import Failure, Reply, Verdict
from vlmprobe.models.service import Unserved
from vlmprobe.policy.asker import Completions
from vlmprobe.probe.config import Guards
from vlmprobe.probe.guards import Watch, alarms_of
from vlmprobe.probe.own_answers import Kind
from vlmprobe.probe.reading import parse
from vlmprobe.probe.signs import Signs, shares, signs_of
from vlmprobe.text import parse_responses
from vlmprobe.world.source import WorldImages

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = WorldImages(2, seed=11)
EMPTIED = "<response_1>  </response_1>"
SOUND = {"grammatical": True, "atomic": True, "grounded": True, "objective": True}
UNSOUND = dict.fromkeys(SOUND)


def verdict(correct=None, failure=None, **truths) -> Verdict:
    return Verdict(**{**SOUND, **truths}, correct=correct, reason="seen", failure=failure)


def made(texts, verdicts, answers, step=0) -> Round:
    """One completion with one question about each of two pictures."""
    asked = Completions.of([[texts[0]], [texts[1]]])
    questions = parse_responses(asked.texts, k=1)
    place = Place(run="probe", phase="probe", step=step)
    return Round(place=place, images=list(IMAGES), asked=asked, questions=questions, verdicts=verdicts, answers=answers)


def tagged(text: str) -> str:
    return f"<response_1> {text} </response_1>"


BOTH = [tagged("How many cats?"), tagged("What color is it?")]


@pytest.fixture
def ledger():
    with Ledger(":memory:") as found:
        found.begin(RunRecord(id="probe"))
        yield found


def watch(ledger, *, known=0, **limits) -> Watch:
    return Watch(Guards(**{"window": 2, **limits}), ledger, "probe", known=known)


def names(ledger) -> list[tuple[str, int]]:
    return [(alarm.name, alarm.step) for alarm in alarms_of(ledger, "probe")]


def test_the_signs_of_a_step_by_hand():
    cut = Reply(failure=Failure.TRUNCATED)
    found = signs_of(made(BOTH, [verdict(), verdict(True)], [cut, Reply(text="red")]))
    # two questions, one of them without a verdict on its answer; 2 completions + 2 answers + 2 verdicts + 1 = 7 replies
    assert (found.posed, found.unscored) == (2, 1) and found.idle == {}
    assert found.replies == {"questioner": 2, "answerer": 2, "verifier": 3} and sum(found.cut.values()) == 1
    assert shares([found]) == (0.5, 1 / 7)
    assert found.asked == [(0, "how many cats?"), (1, "what color is it?")]


def test_a_question_for_which_no_call_was_left_is_not_unscored():
    assert signs_of(made(BOTH, [verdict(), verdict(False)], [None, Reply(text="red")])).unscored == 0


def test_an_unclosed_question_is_a_cut_reply_of_the_questioner():
    found = signs_of(made([BOTH[0], "<response_1> How man"], [verdict(True), None], [Reply(text="two"), None]))
    assert found.cut["questioner"] == 1 and found.posed == 1


HEALTHY = {
    "posed": 4, "replies": {"questioner": 4, "answerer": 4, "verifier": 8}, "groups": 2, "degenerate": 0.0,
    "asked": [(0, "how many cats are there?"), (0, "what color is it?"), (1, "is there a hat?"), (1, "where is it?")],
    "entropy": 2.0, "kl": 0.01, "rewards": [0.1, 0.9, -1.0, 0.3],
    "terms": {"invalid": [0, 0, 1, 0], "wrong": [0, 1, 0, 1], "semantic": [0.4, 0.9, 0, 0.3], "valid": [1, 1, 0, 1]},
}  # fmt: skip
SICK = {
    "unscored": {"unscored": 3},
    "truncated": {"cut": {"verifier": 2}},
    "repeats": {"asked": [(0, "how many cats?")] * 3 + [(1, "what is it?")]},
    "prefixes": {"asked": [(i, f"how many {i}?") for i in range(4)]},
    "length": {"asked": [(i, f"{word} one " + "very " * 12) for i, word in enumerate("abcd")]},
    "contradictions": {"kinds": [Kind(word="{hat}", wrong=metrics.rate([True] * 9, cluster=list(range(9))))]},
    "term": {"rewards": [0.0, 0.0, -1.0, 0.0]},
    "degenerate": {"degenerate": 2.0},
    "entropy": {"entropy": 0.1},
    "kl": {"kl": 3.0},
}


@pytest.mark.parametrize("name", SICK)
def test_each_guard_is_said_when_it_begins_and_again_when_it_begins_again(ledger, name):
    seen = watch(ledger)
    kinds = [HEALTHY] * 4 + [HEALTHY | SICK[name]] * 4 + [HEALTHY] * 4 + [HEALTHY | SICK[name]] * 3
    for step, kind in enumerate(kinds):
        seen.see(Signs(step=step, **kind))
    found = alarms_of(ledger, "probe")
    assert [alarm.name for alarm in found] == [name, name]
    assert 4 <= found[0].step <= 5 and 12 <= found[1].step <= 13
    [first, _] = [json.loads(event.text) for event in ledger.events("probe", kind="guard")]
    assert set(first) == {"name", "step", "value", "limit", "sentence"} and first["limit"] == getattr(Guards(), name)
    assert "{" not in first["sentence"].replace("{hat}", "") and (
        "at most " in first["sentence"] or "at least " in first["sentence"]
    )


def test_nothing_is_said_of_a_healthy_run_and_nothing_before_the_window_is_full(ledger):
    seen = watch(ledger, window=5)
    for step in range(4):
        seen.see(Signs(step=step, **(HEALTHY | SICK["unscored"] | SICK["kl"])))
    other = watch(ledger)
    for step in range(40):
        other.see(Signs(step=step, **HEALTHY))
    assert names(ledger) == []


def test_a_run_without_training_has_no_alarm_of_training(ledger):
    seen = watch(ledger)
    plain = {name: value for name, value in HEALTHY.items() if name in ("posed", "replies", "asked", "groups")}
    for step in range(6):
        seen.see(Signs(step=step, **plain))
    seen.see(Signs(step=6))  # nothing at all
    seen.see(Signs(step=7))
    assert names(ledger) == []


def test_a_divergence_without_bounds_is_an_event_that_can_be_read(ledger):
    seen = watch(ledger)
    for step in range(2):
        seen.see(Signs(step=step, **(HEALTHY | {"kl": math.inf})))
    [alarm] = alarms_of(ledger, "probe")
    assert alarm.name == "kl" and math.isfinite(alarm.value)


def test_steps_that_are_gone_through_again_write_nothing_twice(ledger):
    kinds = [HEALTHY] * 3 + [HEALTHY | SICK["kl"]] * 3 + [HEALTHY] * 3 + [HEALTHY | SICK["unscored"]] * 3
    for stop in (2, 5, 4, 12, 12):  # processes that came so far, each from step 0 again
        seen = watch(ledger)
        for step, kind in enumerate(kinds[:stop]):
            seen.see(Signs(step=step, **kind))
    with Ledger(":memory:") as whole:
        whole.begin(RunRecord(id="probe"))
        seen = watch(whole)
        for step, kind in enumerate(kinds):
            seen.see(Signs(step=step, **kind))
        assert names(ledger) == names(whole) != []


def test_a_guard_stops_the_run_only_where_it_is_named_and_after_the_steps_that_are_known(ledger):
    for stop, known, expected in (([], 0, []), (["kl"], 0, [1, 2, 3]), (["kl"], 4, [3]), (["repeats"], 0, [])):
        seen, stopped = watch(ledger, known=known, stop=stop), []
        for step in range(4):
            seen.see(Signs(step=step, **(HEALTHY | SICK["kl"])))
            stopped += [step] if seen.stop else []
        assert stopped == expected


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("answerer", {"answers": [Reply(failure=Failure.REFUSAL)] * 2}, "6 in 3 steps (refusal): it declines"),
        ("answerer", {"answers": [Reply(failure=Failure.EMPTY)] * 2}, "(empty): its replies hold no text"),
        ("answerer", {"answers": [Reply(failure=Failure.TRUNCATED)] * 2}, "raise answerer.max_tokens"),
        ("answerer", {"answers": [Reply(text="I'm sorry, I can’t help."), Reply(text="I cannot say.")]}, "(refusal)"),
        ("verifier", {"verdicts": [verdict(failure=Failure.TRUNCATED, **UNSOUND)] * 2}, "raise verifier.max_tokens"),
        ("verifier", {"verdicts": [verdict(failure=Failure.UNPARSABLE)] * 2}, "no verdict can be read"),
        ("questioner", {"texts": ["No.", "I would rather not."]}, "(no question): its replies hold no question"),
    ],
)  # fmt: skip
def test_a_role_of_which_no_reply_is_of_use_ends_the_run_with_its_name(ledger, name, changes, words):
    fine = {"texts": BOTH, "verdicts": [verdict(True)] * 2, "answers": [Reply(text="yes")] * 2}
    bad = {**fine, **changes}
    if name == "questioner":
        bad |= {"verdicts": [None, None], "answers": [None, None]}
    seen = watch(ledger)
    for step, each in enumerate([fine, bad, bad, fine, bad, bad]):
        seen.see(signs_of(made(**each, step=step)))
        seen.check_useful({})
    seen.see(signs_of(made(**bad, step=6)))
    with pytest.raises(Unserved) as error:
        seen.check_useful({name: "MODEL at http://a/v1"})
    assert str(error.value).startswith(
        f"[{name}] MODEL at http://a/v1: expected a reply that can be used, got none of "
    )
    assert words in str(error.value) and error.value.exit_code == 4
    again = watch(ledger, known=3)  # the same steps, as recorded: what is behind them may be put right
    for step in range(3):
        again.see(signs_of(made(**bad, step=step)))
        again.check_useful({})


def test_the_file_names_guards_and_their_limits():
    least = {"images": "world", "questioner": "world", "answerer": "world", "verifier": "world"}
    found = parse({**least, "guards": {"stop": ["kl"], "kl": 0.1}}).guards
    assert (found.stop, found.kl, found.window) == (["kl"], 0.1, 5)
    for wrong, text in (
        ({"stop": ["kll"]}, "guards.stop.0: input should be 'unscored'"),
        ({"repeat": 1}, "mean repeats"),
    ):
        with pytest.raises(ValueError) as error:
            parse({**least, "guards": wrong})
        assert text in str(error.value)


def events(folder) -> list[str]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return [event.text for event in ledger.events("probe", kind="guard")]


SMALL = [
    f"--set={each}" for each in ("images.n=4", "images_per_step=2", "training.learning_rate=3e-4", "budget.calls=",
                                 "training.checkpoint_every=2", "guards.window=2", "guards.prefixes=9",
                                 "guards.kl=1e-6")
]  # fmt: skip


@pytest.mark.parametrize("method", ["zero-shot", "rl"])
def test_a_run_that_was_stopped_has_the_alarms_of_one_that_was_not(tmp_path, capsys, method):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        assert cli.main(["init", str(folder), "--images", "world", "--method", method]) == 0
    assert cli.main(["run", str(whole), *SMALL, "--set=budget.steps=6"]) == 0
    err = capsys.readouterr().err
    assert "warning: step " in err and " % unscored, " in err and " % cut" in err
    for steps in (3, 5, 6, 6):
        assert cli.main(["run", str(parts), *SMALL, f"--set=budget.steps={steps}", "--quiet"]) == 0
    assert events(parts) == events(whole) != []
    assert (method == "rl") == any(json.loads(text)["name"] == "kl" for text in events(whole))
    page = (whole / "report.html").read_text()
    assert "What went wrong on the way" in page and "raise questioner.temperature, or change its prompt" in page
    assert " % of the questions are unscored, and 0.0 % of all replies were cut." in page
    found = numbers(whole, capsys)
    assert found["truncated"] == 0 and found["guards"] == [json.loads(text) for text in events(whole)]


def test_a_guard_that_stops_ends_the_run_says_so_and_stops_there_again(tmp_path, capsys):
    folder = tmp_path / "probe"
    assert cli.main(["init", str(folder), "--images", "world"]) == 0
    words = ["run", str(folder), *SMALL, "--set=guards.stop=[prefixes]", "--set=budget.steps=6", "--quiet"]
    for _ in range(2):
        assert cli.main(words) == 0
        err = capsys.readouterr().err
        assert "stopped by a guard; to go on, take it out of guards.stop" in err and "all begin alike" in err
    found = numbers(folder, capsys)
    assert (found["steps"], found["finished"]) == (2, False)
    assert cli.main([*words, "--set=guards.stop=[]"]) == 0
    found = numbers(folder, capsys)
    assert (found["steps"], found["finished"]) == (6, True)


def numbers(folder, capsys) -> dict:
    capsys.readouterr()
    assert cli.main(["report", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("texts", "exhausted"),
    [
        ([f"{EMPTIED} {KNOWN}"] * 3, True),
        ([EMPTIED] * 3, False),  # the model's own empty tags
        ([f"{EMPTIED} {KNOWN}", EMPTIED, f"{EMPTIED} {KNOWN}"], False),
        (["no idea", f"{EMPTIED} {KNOWN}", f"{EMPTIED} {KNOWN}"], False),
    ],
)
def test_only_a_questioner_that_repeats_itself_has_nothing_new_to_ask(ledger, texts, exhausted):
    """What is not known to be a repeat is a questioner of no use, which ends the run with its name."""
    seen = watch(ledger)
    for step, text in enumerate(texts):
        seen.see(signs_of(made(texts=[text, text], verdicts=[None, None], answers=[None, None], step=step)))
    if exhausted:
        seen.check_useful({})
        assert "asked nothing new" in seen.exhausted
        return
    with pytest.raises(Unserved, match="its replies hold no question"):
        seen.check_useful({})
    assert not seen.exhausted
