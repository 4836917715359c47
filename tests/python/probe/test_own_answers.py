"""A verifier is asked for its own answers to what failed: which ones, what is kept, and whom that gives away."""

from __future__ import annotations

import json

import pytest
import yaml

from support.chatting import needs_chat_client
from support.rounds import RIGHT, WRONG, told
from support.scripted_server import saying
from support.world_server import MODELS, WorldServer
from vlmprobe import cli
from vlmprobe._native import core
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.models.replies import Failure, Judgement, Reply
from vlmprobe.probe.own_answers import (
    ENOUGH,
    KIND,
    OwnAnswer,
    OwnAnswers,
    contradicted,
    kinds_of,
    own_answers_of,
    text_of,
)
from vlmprobe.studies.plantedbench.faults import at_random
from vlmprobe.studies.plantedbench.run import Run, run_one
from vlmprobe.studies.plantedbench.settings import Settings
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier
from vlmprobe.world.weak_verifier import WeakVerifier

pytestmark = pytest.mark.usefixtures("one_thread")
SOURCE = WorldImages(30, seed=31)
PICTURES = [SOURCE[i] for i in range(30)]
COLORS = json.dumps([{"id": "colors", "when": {"family": "color"}, "effect": "other"}])


class Judge:
    """Answers as it is told, and judges its answers likewise."""

    identity = "judge"

    def __init__(self, answer="red", correct=False):
        self.answer, self.correct, self.asked = answer, correct, []

    def validity(self, images, questions):
        raise AssertionError("the questions are known to be valid")

    def own_answers(self, images, questions):
        self.asked += zip([image.id for image in images], questions, strict=True)
        return [Reply(text=self.answer) if self.answer else Reply(failure=Failure.TIMEOUT) for _ in questions]

    def correctness(self, images, questions, answers):
        assert list(answers) == [self.answer] * len(questions)
        return [Judgement(correct=self.correct, reason="seen") for _ in questions]


def failures(*texts, step=0, became=WRONG):
    return told(PICTURES, *((text, became) for text in texts), hints=[""] * len(texts), step=step)


def test_failures_are_asked_about_once_and_those_of_the_least_known_kinds_first():
    judge = Judge()
    own = OwnAnswers(judge, most=2)
    assert own.see(failures("is it red ?", became=RIGHT)) == [] and judge.asked == []
    new = own.see(failures("is the hat red ?", "is the hat red ?", "is the hat large ?", "how many stars ?", step=1))
    assert judge.asked == [(0, "is the hat red ?"), (2, "is the hat large ?")], "the second picture's words are known"
    assert [(each.image, each.question) for each in new] == judge.asked
    assert all(each.step == 1 and each.answer == "red" and each.correct is False for each in new)
    before = len(judge.asked)
    own.see(failures("is the hat red ?", step=2))
    assert len(judge.asked) == before, "it was asked about that"


def test_a_kind_that_is_known_well_enough_is_asked_about_no_more():
    judge = Judge()
    own = OwnAnswers(judge, most=99)
    own.see(failures(*["is the hat red ?"] * 30))
    assert len(judge.asked) == ENOUGH


@pytest.mark.parametrize(("answer", "correct"), [("", None), ("red", None)])
def test_what_could_not_be_had_or_not_be_judged_says_nothing(answer, correct):
    assert OwnAnswers(Judge(answer, correct), most=4).see(failures("is the hat red ?")) == []


def test_a_verifier_that_gives_no_answers_is_not_asked():
    class Silent:
        identity, validity, correctness = "silent", Judge.validity, Judge.correctness

    assert OwnAnswers(Silent(), most=4).see(failures("is the hat red ?")) == []


def told_of(question, correct, image):
    return OwnAnswer(step=0, image=image, question=question, answer="red", correct=correct)


def test_a_kind_is_the_verifiers_where_it_rejects_nearly_all_of_its_own_answers():
    found = [told_of("is the hat red ?", False, i) for i in range(8)]
    found += [told_of("is the star large ?", i % 2 == 0, i) for i in range(12)]
    found += [told_of("is it odd ?", False, i) for i in range(4)]
    kinds = kinds_of(found)
    assert [kind.word for kind in contradicted(kinds)] == ["hat", "red"], "half is not enough, and neither are four"
    assert {kind.word: (kind.wrong.n, kind.wrong.value) for kind in kinds} == {
        "hat": (8, 1.0), "red": (8, 1.0), "star": (12, 0.5), "large": (12, 0.5),
    }  # fmt: skip
    assert kinds[0].wrong.low > 0.5 and contradicted(kinds_of([told_of("is it odd ?", False, 0)] * 20)) == [], (
        "twenty times the same picture is one"
    )


def test_own_answers_are_kept_in_the_ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="probe"))
        made = told_of("is the hat “red” ?", False, 3)
        ledger.event("probe", kind=KIND, text=text_of(made))
        assert own_answers_of(ledger, "probe") == [made]
        judge = Judge()
        own = OwnAnswers(judge, most=4)
        own.recall([made])
        own.see(failures("is it odd ?", "is it red ?", "is it blue ?", made.question))
        assert (3, made.question) not in judge.asked and len(judge.asked) == 3
        ledger.event("probe", kind=KIND, text='{"step": 0}')
        with pytest.raises(ValueError, match=r"own_answers.*image: expected a whole number, got none"):
            own_answers_of(ledger, "probe")


VERIFIERS = {
    "oracle": (Settings(), False), "noise .95": (Settings(noise=0.95), False), "noise .8": (Settings(noise=0.8), False),
    "weak": (Settings(weakness=COLORS), True), "weak and noise .95": (Settings(weakness=COLORS, noise=0.95), True),
}  # fmt: skip


@pytest.mark.parametrize("name", VERIFIERS)
def test_a_planted_weakness_is_the_verifiers_and_errors_here_and_there_are_not(name, tmp_path):
    settings, flagged = VERIFIERS[name]
    found = run_one(Run(method="templates", faults=at_random(201), seed=0, settings=settings), tmp_path)
    assert found["verifier_asked"] > 50
    assert bool(found["verifier_flagged"]) == flagged
    assert ("color" in found["verifier_flagged"]) == (name == "weak")
    assert (found["verifier_wrong"] == 0) == (name == "oracle")


@needs_chat_client
def test_a_run_says_on_terminal_and_page_which_failures_are_the_verifiers(tmp_path, capsys):
    server = WorldServer(
        WorldImages(24, seed=41), verifier=WeakVerifier(OracleVerifier(), core.world.FaultSet.parse(COLORS))
    )
    folder, pictures = tmp_path / "probe", server.write_pictures(tmp_path / "pictures")
    folder.mkdir()
    with saying(server) as found:
        probe = {
            "images": {"source": str(pictures), "near_duplicates": "keep"},
            **{role: {"model": model, "endpoint": found.url} for role, model in MODELS.items()},
            "pixels": {"format": "png", "longest_side": None}, "method": "zero-shot", "embedder": "hashed",
            "budget": {"calls": 60}, "group_size": 1, "guards": {"window": 2},
        }  # fmt: skip
        (folder / "probe.yaml").write_text(yaml.safe_dump(probe))
        assert cli.main(["run", str(folder)]) == 0
    said = capsys.readouterr().err
    assert cli.main(["report", str(folder), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    [alarm] = [each for each in numbers["guards"] if each["name"] == "contradictions"]
    assert alarm["value"] > 0.5 and alarm["sentence"] in said
    [color] = [each for each in numbers["own_answers"]["kinds"] if each["word"] == "color"]
    assert color["judged"] >= 7 and color["rate"] == 1 and color["interval"][0] > 0.5
    page = (folder / "report.html").read_text()
    assert "questions about “color” that failed" in page and "The verifier was asked for its own answers to" in page
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert numbers["own_answers"]["judged"] == len(own_answers_of(ledger, "probe"))
