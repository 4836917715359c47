"""Shrinking, minimal pairs and doses, with an answerer and a judge whose errors are known, and every call counted."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image as PILImage

from vlmprobe import metrics
from vlmprobe.data.image import Image
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.models.replies import Criteria, Judgement, Reply
from vlmprobe.modes.asked import Asked, described
from vlmprobe.modes.cases import Case, Outcome, Pictures, ask_cases
from vlmprobe.modes.closer import Closer
from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.dose import Response, response
from vlmprobe.modes.edits import area, crop, dosed
from vlmprobe.modes.pairs import accuracy, pairs
from vlmprobe.modes.planned import Planned, PlannedStep, Roles
from vlmprobe.modes.rules import Rule
from vlmprobe.modes.shrink import shrink
from vlmprobe.report.modes import closer_look

SIZE = 64


class Judge:
    """Valid is what asks about a cat; the right answer is yes where it says no other color than red."""

    identity = "judge"

    def validity(self, images, questions):
        return [Criteria(grammatical="cat" in q, atomic=True, grounded=True, objective=True) for q in questions]

    def correctness(self, images, questions, answers):
        return [Judgement(correct=a == right(q), reason=right(q)) for q, a in zip(questions, answers, strict=True)]


def right(question):
    return "no" if re.search("blue|green", question) else "yes"


class Answerer:
    """Says the contrary where the question has `striped`, or the picture has fewer pixels than it needs."""

    identity = "answerer"

    def __init__(self, needs=0):
        self.needs, self.asked = needs, []

    def answer(self, images, questions):
        self.asked += zip((image.key for image in images), questions, strict=True)
        wrong = ["striped" in q or area(i) < self.needs for i, q in zip(images, questions, strict=True)]
        return [
            Reply(text={"yes": "no", "no": "yes"}[right(q)] if w else right(q))
            for q, w in zip(questions, wrong, strict=True)
        ]


def picture(number):
    return Image(number, f"picture-{number}", PILImage.new("RGB", (SIZE, SIZE), (number, 0, 0)))


@pytest.fixture
def roles(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        images = Pictures([picture(i) for i in range(12)])
        yield Roles(images=images, answerer=Answerer(), verifier=Judge(), ledger=ledger, run="run")


def test_a_failure_is_shrunk_to_the_words_and_pixels_that_it_needs(roles):
    case = Case(picture(0), "is there a striped red cat beside the large old wooden table ?")
    [found], spent = shrink([case], roles, calls=1000)
    assert set(found.after.question.split()) == {"striped", "cat"}
    assert found.words == (13, 2) and found.pixels[1] <= found.pixels[0] / 16 and spent <= 1000
    assert "cut" in found.after.image.key and found.before == case


def test_of_a_picture_whose_truth_is_known_no_side_is_cut(roles):
    case = Case(replace(picture(0), meta="the scene"), "is there a striped cat ?")
    [found], _ = shrink([case], roles, calls=1000)
    assert "cut" not in found.after.image.key and "downscale" in found.after.image.key
    assert found.after.image.meta == "the scene"


def test_of_a_picture_whose_truth_is_known_the_source_says_what_it_can_be_cut_to(roles):
    whole = replace(picture(0), meta="the scene")
    part = replace(whole, key="part", pixels=PILImage.new("RGB", (16, 16)))

    def smaller(image, question):
        return [part] if image.key == whole.key and "cat" in question else []

    known = replace(roles, smaller=smaller)
    [found], _ = shrink([Case(whole, "is there a striped cat ?")], known, calls=1000, soften=False)
    assert found.after.image.key == "part" and found.pixels == (SIZE * SIZE, 256)


def test_a_shorter_question_of_the_mode_is_tried_where_its_words_are_the_examples(roles):
    case = Case(picture(0), "of all that is striped and red , which one is the cat ?")
    others = ["name the striped cat", "is the striped blue cat there", "why"]
    [found], _ = shrink([case], replace(roles, verifier=Naming()), calls=1000, others=others)
    assert found.after.question == "name the striped cat"


class Naming(Judge):
    """Valid is the example as it is, and a question that no words left out of it make."""

    def validity(self, images, questions):
        valid = [
            (q.endswith("one is the cat ?") and len(q.split()) == 14) or q == "name the striped cat" for q in questions
        ]
        return [Criteria(grammatical=each, atomic=True, grounded=True, objective=True) for each in valid]


def test_the_same_cases_with_other_calls_are_another_plan(roles):
    case = Case(picture(0), "striped cat ?")
    for calls in (5, 9):
        found, _ = ask_cases([case], roles, calls=calls, what="shrink")
        assert found[0].failed


def test_shrinking_stops_at_its_calls_and_pays_nothing_again(roles):
    cases = [Case(picture(i), "is there a striped red cat beside the large table ?") for i in range(3)]
    _, spent = shrink(cases, roles, calls=20)
    assert spent == len(roles.answerer.asked) == 20
    again = shrink(cases, roles, calls=20)
    assert again[1] == 20 and len(roles.answerer.asked) == 20


def test_what_has_to_fail_several_times_is_asked_several_times(roles):
    case = Case(picture(0), "striped cat ?")
    shrink([case], roles, calls=1000, tries=2)
    assert {run.config.get("pass") for run in roles.ledger.runs()} == {None, "shrink", "shrink-1"}
    with pytest.raises(ValueError, match=r"\[shrink\] tries: expected at least 1, got 0"):
        shrink([case], roles, calls=1, tries=0)


def table(texts, answerer):
    images = [picture(i) for i in range(len(texts))]
    said = [reply.text for reply in answerer.answer(images, texts)]
    return described(
        [
            Asked(image=i, key=image.key, text=text, valid=True, wrong=answer != right(text), answer=answer)
            for i, (image, text, answer) in enumerate(zip(images, texts, said, strict=True))
        ]
    )


def test_minimal_pairs_differ_by_a_word_and_one_of_them_is_no(roles):
    texts = ["is a red cat there", "is a blue cat there", "is a red striped cat there", "is a blue striped cat there"]
    found, spent = pairs(table(texts, Answerer()), Rule.of([Concept("word", "cat")]), roles, calls=50)
    assert {(each.yes, each.no, each.told) for each in found} == {
        ("is a red cat there", "is a blue cat there", True),
        ("is a red striped cat there", "is a blue striped cat there", False),
    }
    assert accuracy(found).value == 0.5 and 0 < spent <= 50


def test_without_questions_of_yes_and_no_there_are_no_pairs(roles):
    assert pairs([], Rule.of([Concept("word", "cat")]), roles, calls=50) == ([], 0)


def test_failing_grows_with_the_dose(roles):
    weak = replace(roles, answerer=Answerer(needs=(SIZE // 2) ** 2))
    curve, spent = response([Case(picture(i), "is a cat there") for i in range(12)], "downscale", weak, calls=100)
    assert [each.rate.value for each in curve] == [0, 0, 1, 1] and spent == 48
    assert all(each.rate.n == 12 and each.rate.low < each.rate.high for each in curve)


def test_an_outage_is_no_outcome(roles):
    class Away(Answerer):
        def answer(self, images, questions):
            from vlmprobe.models.replies import Failure

            return [Reply(failure=Failure.REFUSAL) if "old" in q else Reply(text="yes") for q in questions]

    cases = [Case(picture(0), "old cat"), Case(picture(0), "cat"), Case(picture(0), "dog")]
    found, _ = ask_cases(cases, replace(roles, answerer=Away()), calls=9, what="shrink")
    assert found == [Outcome(valid=True), Outcome(valid=True, wrong=False, answer="yes"), Outcome(valid=False)]
    assert not any(each.failed for each in found)


def test_plans_of_other_pictures_are_others():
    steps = [PlannedStep("dose", {0: ["why"]})]
    digests = {Planned(steps, Pictures([picture(i)])).digest for i in range(3)}
    assert len(digests) == 3 and Planned(steps, Pictures([picture(0)])).digest in digests


def test_edits_are_of_the_strength_that_they_say():
    image = replace(picture(9), meta="scene")
    assert crop(image, "left", 0.25).pixels.size == (48, 64) and crop(image, "left", 0.25).meta is None
    assert crop(image, "bottom", 0.5).pixels.size == (64, 32) and crop(image, "top", 0.95) is None
    assert dosed(image, "downscale", 4).pixels.size == (16, 16) and dosed(image, "downscale", 40) is None
    assert dosed(image, "contrast", 1).meta == "scene" and dosed(image, "blur", 0.1).key == "picture-9 [blur 0.1]"
    with pytest.raises(ValueError, match=r"\[crop\] side, share: expected one of left, top"):
        crop(image, "middle", 0.5)
    with pytest.raises(ValueError, match=r"\[dosed\] kind, strength: expected one of downscale"):
        dosed(image, "downscale", 0.5)


def test_a_rate_of_very_few_cases_is_not_told_in_words():
    few, enough = (metrics.rate([True, False] * n, cluster=[str(i) for i in range(2 * n)]) for n in (1, 3))
    found = SimpleNamespace(closer={})
    for rate in (few, enough):
        found.closer["a1"] = Closer(shrunk=[], pairs=rate, kind="downscale", dose=[Response(2, rate), Response(3, few)])
        said = closer_look(found, SimpleNamespace(id="a1"))
        assert len(said) == (0 if rate is few else 2) and not any("3: " in each for each in said)
