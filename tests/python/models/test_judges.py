"""Answerers and verifiers over any model: injections, votes, retries, prompts; unknown stays unknown."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re

import numpy as np
import pytest
from PIL import Image as PILImage

from support.judging import BLUE, HOSTILE, OBJECT, RED, RIGHT, UNSURE, VALID, WRONG, Script, in_turn, judged, text_of
from support.rounds import asked as asked_round
from vlmprobe.data import Image
from vlmprobe.loop.examine import examine
from vlmprobe.models.chat import ScriptedModel
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.judges import ModelAnswerer, ModelVerifier, check_other_model, model_name
from vlmprobe.models.model import EncodedImage, ModelReply, Sampling, Status
from vlmprobe.models.prompt_files import FOLDER, PLACEHOLDERS, PromptFiles
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.models.verdict import Asked, Cause, Reading, read_verdict
from vlmprobe.models.votes import Quota, Vote, poll


def test_both_are_what_the_loop_asks_for():
    model = Script(lambda request: RIGHT)
    assert isinstance(ModelAnswerer(model), Answerer) and isinstance(ModelVerifier(model), Verifier)


def test_the_answerer_sends_picture_and_question_once_and_keeps_the_text():
    model = Script(lambda request: " Two\n")
    replies = ModelAnswerer(model, sampling=Sampling(max_tokens=7)).answer([RED, BLUE], ["How many?", "Is a < b?"])
    assert replies == [Reply(text=" Two\n")] * 2
    assert [text_of(request).splitlines()[-1] for request in model.asked] == ["How many?", "Is a ‹ b?"]
    assert model.batches == [2] and all(request.sampling.max_tokens == 7 for request in model.asked)
    [picture] = model.asked[0].messages[0].images
    assert np.array_equal(np.asarray(PILImage.open(io.BytesIO(picture.data))), np.asarray(RED.pixels))
    assert picture.media_type == "image/png" and picture.sha256 == hashlib.sha256(picture.data).hexdigest()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_what_fails_stays_a_typed_failure(status):
    model = Script(lambda request: ModelReply(status=status, text=RIGHT if status == Status.TRUNCATED else ""))
    [reply] = ModelAnswerer(model).answer([RED], ["How many?"])
    assert reply == Reply(failure=Failure(status.value)) and len(model.asked) == 1
    [judgement] = judged(model)
    [criteria] = ModelVerifier(model).validity([RED], ["How many?"])
    assert judgement.correct is None and judgement.failure == Failure(status.value)
    assert criteria.valid is None and criteria.failure == Failure(status.value)


def test_a_blank_answer_is_empty_and_lists_of_different_lengths_are_refused():
    assert ModelAnswerer(Script(lambda request: " \n")).answer([RED], ["?"]) == [Reply(failure=Failure.EMPTY)]
    with pytest.raises(ValueError, match=r"^\[ModelAnswerer.answer\] questions: expected 1 rows, got 0$"):
        ModelAnswerer(Script(str)).answer([RED], [])
    with pytest.raises(ValueError, match=r"^\[Model.reply\] scripted@1: expected 1 rows, got 0$"):
        model = Script(str)
        model.reply = lambda requests: []
        judged(model)


@pytest.mark.parametrize(
    "said, reply",
    [
        ("<think>Or blue?</think>\n\nred", Reply(text="red")),
        ("It may be blue.</THINK> red ", Reply(text="red")),
        ("[THINK]blue[/THINK]red", Reply(text="red")),
        ("\u25c1think\u25b7blue\u25c1/think\u25b7red", Reply(text="red")),
        ("<think>a<think>b</think>blue</think>red", Reply(text="red")),
        ("<think>It is red", Reply(failure=Failure.TRUNCATED)),
        ("red <thinking>or", Reply(failure=Failure.TRUNCATED)),
        ("<think>red</think>\n", Reply(failure=Failure.EMPTY)),
        ("\u200b\u3164 \u00ad", Reply(failure=Failure.EMPTY)),
        ("caf\ud800", Reply(text="caf\ud800")),
    ],
)
def test_an_answer_is_what_stands_behind_the_thinking(said, reply):
    assert Reply.of(said) == reply
    assert ModelAnswerer(Script(lambda request: said)).answer([RED], ["What color?"]) == [reply]


def test_nothing_is_asked_about_nothing():
    model = Script(lambda request: pytest.fail("asked"))
    assert ModelAnswerer(model).answer([], []) == [] == ModelVerifier(model).validity([], [])


def test_verdicts_are_read_after_the_thinking():
    model = Script(lambda request: f"<think>{VALID}</think>I see.\n{VALID}")
    [criteria] = ModelVerifier(model).validity([RED], ["What color is it?"])
    assert criteria == Criteria(grammatical=True, atomic=True, grounded=True, objective=True, reason="fine")
    assert judged(Script(lambda request: f"<think>{RIGHT}</think>{WRONG}")) == [
        Judgement(correct=False, reason="it is not")
    ]


def test_unknown_never_becomes_a_default():
    assert judged(Script(lambda request: UNSURE)) == [Judgement(correct=None, reason="hidden [correct: said_unknown]")]
    for said, failure in (
        ("I would say it is right.", Failure.UNPARSABLE),
        ("<verdict>maybe</verdict>", Failure.UNPARSABLE),
        ('{"correct": true}', Failure.UNPARSABLE),
        ('<verdict>{"correct": true, "correct": false}</verdict>', Failure.UNPARSABLE),
        (f"{RIGHT} No: {WRONG}", Failure.UNPARSABLE),
        ("<think>it is right", Failure.TRUNCATED),
        ("<verdict>{", Failure.TRUNCATED),
        ("<think></think>", Failure.EMPTY),
    ):
        [judgement] = judged(Script(lambda request, said=said: said))
        assert (judgement.correct, judgement.failure) == (None, failure), said


def test_a_partial_verdict_keeps_what_it_says_and_says_what_is_missing():
    model = Script(lambda request: '<verdict>{"grammatical": false, "atomic": "so-so", "objective": true}</verdict>')
    [criteria] = ModelVerifier(model).validity([RED], ["Color what?"])
    assert (criteria.grammatical, criteria.atomic, criteria.grounded, criteria.objective) == (False, None, None, True)
    assert criteria.reason == "[atomic: off_menu, grounded: missing]" and criteria.valid is False
    assert len(model.asked) == 2  # it was asked again


def test_an_unparsable_verdict_is_asked_for_again_the_stated_number_of_times():
    model = in_turn("Hm.", RIGHT)
    assert judged(model) == [Judgement(correct=True, reason="it is")]
    assert [request.vote for request in model.asked] == [0, 1000]  # apart in caches
    model = in_turn("Hm.", "Hm.", "Hm.", RIGHT)
    assert judged(model, again=2)[0].failure == Failure.UNPARSABLE and len(model.asked) == 3
    model = in_turn("Hm.")
    assert judged(model, again=0)[0].failure == Failure.UNPARSABLE
    model = in_turn("<verdict>grammatical: false</verdict>", Status.TIMEOUT)
    [criteria] = ModelVerifier(model).validity([RED], ["Color what?"])
    assert criteria.grammatical is False  # the outage does not undo it


def test_an_empty_or_cut_verdict_gets_one_retry_with_more_tokens():
    for first in (Status.EMPTY, Status.TRUNCATED, "<think>so", "</think>"):
        model = in_turn(first, WRONG)
        assert judged(model, sampling=Sampling(temperature=1, max_tokens=100, seed=5)) == [
            Judgement(correct=False, reason="it is not")
        ]
        assert [request.sampling.max_tokens for request in model.asked] == [100, 400]
        assert [request.sampling.seed for request in model.asked] == [5, 1005]
    model = in_turn(Status.TRUNCATED, Status.EMPTY)
    assert judged(model)[0].failure == Failure.EMPTY and len(model.asked) == 2
    model = in_turn(Status.TRUNCATED, "Hm.", RIGHT)
    assert judged(model)[0].correct is True
    assert [request.sampling.max_tokens for request in model.asked] == [4096, 16384, 16384]


def test_only_claimed_failures_are_confirmed():
    model = in_turn(RIGHT)
    assert judged(model, confirm=2) == [Judgement(correct=True, reason="it is")]
    assert judged(in_turn(UNSURE), confirm=2)[0].correct is None
    assert judged(in_turn(Status.TIMEOUT), confirm=2)[0].failure == Failure.TIMEOUT
    model = in_turn(WRONG, WRONG)
    assert judged(model, confirm=2) == [Judgement(correct=False, reason="[2 of 2 votes agree] it is not")]
    assert [request.vote for request in model.asked] == [0, 1]
    assert judged(in_turn(WRONG, RIGHT, RIGHT), confirm=2) == [
        Judgement(correct=True, reason="[2 of 3 votes agree] it is")
    ]
    assert judged(in_turn(WRONG, Status.TIMEOUT, WRONG), confirm=2)[0].correct is False
    [judgement] = judged(in_turn(WRONG, RIGHT, UNSURE), confirm=2)  # one each: nobody has a majority of three
    assert judgement.correct is None and judgement.failure is None
    assert judgement.reason.startswith("[1 of 3 votes agree]")


def test_only_what_is_not_decided_is_asked_about_again():
    def say(request):
        return RIGHT if request.id == "correctness-1" or request.vote == 2 else WRONG

    model = Script(say)
    found = judged(model, 3, confirm=2)
    assert [judgement.correct for judgement in found] == [False, True, False]
    assert model.batches == [3, 2]


def test_votes_stop_when_the_majority_cannot_change():
    assert [judged(in_turn(*said), votes=5)[0].correct for said in (
        (RIGHT, RIGHT, RIGHT),
        (RIGHT, WRONG, WRONG, WRONG),
        (RIGHT, WRONG, RIGHT, WRONG, RIGHT),
        (UNSURE, Status.TIMEOUT, UNSURE),  # three of five are lost
    )] == [True, False, True, None]  # fmt: skip
    assert judged(in_turn(Status.TIMEOUT, Status.REFUSAL), votes=3)[0].failure == Failure.TIMEOUT
    [criteria] = ModelVerifier(
        in_turn(VALID, VALID.replace('"atomic": true', '"atomic": false'), VALID), votes=3
    ).validity([RED], ["What color is it?"])
    assert criteria.valid is True and criteria.reason == "[2 of 3 votes agree] fine"


def by_definition(values, of):
    """Asks on while some way of filling in the missing votes gives another outcome."""
    outcome = lambda votes: next((t for t in (True, False) if votes.count(t) > of / 2), None)  # noqa: E731
    for asked in range(1, of + 1):
        rest = [[]]
        for _ in range(of - asked):
            rest = [[*votes, value] for votes in rest for value in (True, False, None)]
        if len({outcome([*values[:asked], *votes]) for votes in rest}) == 1:
            return outcome([*values[:asked], *rest[0]]), asked
    raise AssertionError


def test_votes_are_what_their_definition_says():
    draw = np.random.default_rng(3)
    for _ in range(300):
        of = int(draw.integers(1, 6))
        values = [(True, False, None)[i] for i in draw.integers(3, size=of)]
        asked = []

        def ask(places, number, values=values, asked=asked):
            asked.append(number)
            return [Vote(truths={"correct": values[number]}, reason="so")]

        [vote] = poll(ask, 1, Quota(votes=of))
        assert (vote.truths["correct"], len(asked)) == by_definition(values, of), values


def test_votes_need_a_temperature_and_one_rule():
    with pytest.raises(ValueError, match=r"^\[ModelVerifier\] sampling: expected a temperature above 0 with several"):
        judged(Script(str), votes=3, sampling=Sampling())
    with pytest.raises(ValueError, match=r"^\[ModelVerifier\] confirm: expected 0 with votes=3, got 2$"):
        judged(Script(str), votes=3, confirm=2)
    with pytest.raises(ValueError, match=r"^\[ModelVerifier\] again: expected at least 0, got -1$"):
        judged(Script(str), again=-1)
    with pytest.raises(ValueError, match=r"^\[ModelVerifier\] votes: expected at least 1, got 0$"):
        judged(Script(str), votes=0)


def test_a_prompt_that_asks_for_no_tags_is_refused_where_no_schema_does(tmp_path):
    (tmp_path / "correctness.txt").write_text('{question} {answer} Reply with {"correct": true} or {"correct": false}.')
    prompts = PromptFiles.load(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"^\[ModelVerifier\] prompts: expected correctness.txt to ask for <verdict>...</verdict>, got a",
    ):
        ModelVerifier(Script(str), prompts=prompts)
    model = Script(lambda request: '{"correct": true}')
    assert judged(model, prompts=prompts, schema=True)[0].correct is True
    (tmp_path / "correctness.txt").write_text("{question} {answer} Reply with <VERDICT>true</VERDICT> or false.")
    assert judged(Script(lambda request: RIGHT), prompts=PromptFiles.load(tmp_path))[0].correct is True


def test_examine_takes_them_from_questions_to_verdicts():
    round = asked_round([RED], ["<response_1>What color?</response_1><response_2>Why?</response_2>"], k=2)

    def judge(request):
        if "Why?" in text_of(request):
            return VALID.replace('"objective": true', '"objective": false')
        return WRONG if "<answer>" in text_of(request) else VALID

    answerer = ModelAnswerer(Script(lambda request: "blue"))
    examined = examine(round, answerer, ModelVerifier(Script(judge)))
    assert examined.valid.tolist() == [1, 0] and examined.correct.tolist() == [0, -1] and examined.answered == 1


def test_a_model_of_the_core_can_be_asked():
    prompts = PromptFiles.load()
    model = ScriptedModel({
        prompts.render("answerer", question="What color?"): "red",
        prompts.render("correctness", question="What color?", answer="red"): f"<think>Red.</think>{RIGHT}",
    })  # fmt: skip
    replies = ModelAnswerer(model).answer([RED, RED], ["What color?", HOSTILE["no UTF-8"]])
    assert replies == [Reply(text="red"), Reply(failure=Failure.REJECTED)]
    assert judged(model) == [Judgement(correct=True, reason="it is")]


def test_each_picture_is_encoded_once():
    images, calls = EncodedImages(capacity=2), []

    picture = dataclasses.replace(RED, pixels=RED.pixels.copy())
    picture.pixels.save = lambda *a, **k: (calls.append(1), PILImage.Image.save(RED.pixels, *a, **k))
    answerer = ModelAnswerer(Script(lambda request: "red"), images=images)
    answerer.answer([picture] * 5, ["?"] * 5)
    ModelVerifier(Script(lambda request: VALID), images=images).validity([picture], ["?"])
    assert len(calls) == 1 and images(picture) is images(RED)  # equal pixels
    images(BLUE), images(Image(2, "green.png", PILImage.new("RGB", (6, 4), "green")))
    images(picture)
    assert len(calls) == 2 and repr(images) == "EncodedImages(2 of 2)"
    assert isinstance(images(RED), EncodedImage)


def test_a_schema_is_sent_where_it_is_asked_for():
    model = Script(lambda request: VALID)
    model.say = lambda request: OBJECT
    assert ModelVerifier(model, schema=True).validity([RED], ["?"])[0].valid is True
    schema = json.loads(model.asked[0].schema)
    assert list(schema["properties"]) == ["reason", "grammatical", "atomic", "grounded", "objective"]
    assert schema["properties"]["atomic"]["enum"] == ["true", "false", "unknown"]
    assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False
    assert ModelVerifier(model).validity([RED], ["?"])[0].failure == Failure.UNPARSABLE  # asked for tags
    assert model.asked[1].schema == ""


def test_the_package_has_every_prompt_and_no_other():
    assert {file.name for file in FOLDER.iterdir()} == {f"{name}.txt" for name in PLACEHOLDERS}
    prompts = PromptFiles.load()
    values = {"k": 3, "questions": ["a <b>", "c"], "answers": ["d", "e"], "skills": ["f", "g"], "question": "h?"}
    values |= {"primitives": ["m", "n"], "groups": ["o", "p"], "before": ["q", "r"]}
    values |= {"answer": "i", "label": "j", "hint": "l"}
    for name, places in PLACEHOLDERS.items():
        text = prompts.render(name, **{place: values[place] for place in places})
        assert not re.search(r"\{[a-z_]+\}", text) and text == text.strip("\n")
        for place in places - {"k", "questions", "answers", "skills", "primitives", "groups", "before"}:
            assert values[place] in text
    assert "<item_1>a ‹b›</item_1>\n<item_2>c</item_2>" in prompts.render("primitives", questions=["a <b>", "c"])
    assert "{k}" in prompts["questioner"]  # as `Questioner(prompt=)` takes it


def test_a_users_prompt_takes_the_place_of_one_and_changes_the_identity(tmp_path):
    (tmp_path / "answerer.txt").write_text("{question}\n")
    (tmp_path / ".hidden").write_text("passed over")
    own, prompts = PromptFiles.load(tmp_path), PromptFiles.load()
    assert own.replaced == ("answerer",) and own["validity"] == prompts["validity"]
    assert own.sha256("answerer") == hashlib.sha256(b"{question}").hexdigest()
    model = Script(lambda request: RIGHT)
    ModelAnswerer(model, prompts=own).answer([RED], ["What color?"])
    assert text_of(model.asked[0]) == "What color?"

    assert ModelAnswerer(model, prompts=own).identity == (
        f"scripted@1 [answerer {own.sha256('answerer')[:12]}; t=0, top_p=1, n=256]"
    )
    assert ModelAnswerer(model).identity != ModelAnswerer(model, prompts=own).identity
    assert ModelVerifier(model).identity == ModelVerifier(model, prompts=own).identity  # its prompts are the same
    names = {ModelVerifier(model, **options).identity for options in (
        {}, {"votes": 3}, {"confirm": 2}, {"schema": True}, {"sampling": Sampling(temperature=1, seed=1)},
    )}  # fmt: skip
    assert len(names) == 5


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("valididy.txt", "{question}", r"valididy.txt: expected the name of a prompt; did you mean validity.txt\?"),
        ("validity.md", "{question}", r"validity.md: expected the name of a prompt; did you mean validity.txt\?"),
        ("zzz", "", r"zzz: expected the name of a prompt; prompts are questioner.txt, questioner_hint.txt, "),
        ("validity.txt", "{question} {answr}", r"expected \{question\}, got \{answr\} as well$"),
        ("validity.txt", "{quesion}", r"got \{quesion\} as well; did you mean \{question\}\?"),
        ("correctness.txt", "{question}", r"correctness.txt: expected \{answer\} in it, got none"),
        ("answerer.txt", "\xff{question}", r"answerer.txt: expected UTF-8, got other bytes at 0"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_an_error_that_names_it(tmp_path, file, text, message):
    (tmp_path / file).write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=rf"^\[PromptFiles.load\] .*{message}"):
        PromptFiles.load(tmp_path)


def test_a_missing_folder_name_or_value_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"^\[PromptFiles.load\] directory: expected a folder, got '.*none'$"):
        PromptFiles.load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"expected a prompt, got 'judge'"):
        PromptFiles.load()["judge"]
    with pytest.raises(ValueError, match=r"correctness: expected values for answer, question, got question$"):
        PromptFiles.load().render("correctness", question="?")


def test_a_model_does_not_grade_itself_unless_that_is_wanted():
    def named(kind, identity):
        model = Script(str)
        model.identity = identity
        return kind(model)

    answerer = named(ModelAnswerer, "Qwen/Qwen2.5-VL-3B-Instruct@66285546")
    for same in ("Qwen/Qwen2.5-VL-3B-Instruct@other", "qwen2.5-vl-3b-instruct"):
        with pytest.raises(
            ValueError, match=r"^\[verifier\] expected another model than the answerer, got '.*' for both"
        ):
            check_other_model(answerer, named(ModelVerifier, same))
        check_other_model(answerer, named(ModelVerifier, same), allow_same_model=True)
    check_other_model(answerer, named(ModelVerifier, "Qwen/Qwen2.5-VL-7B-Instruct@66285546"))
    assert model_name("world-noisy(seed=0, ErrorRates())") == "world-noisy(seed=0, ErrorRates())"


def test_verdict_texts_have_a_face():
    found = read_verdict("\ud800<verdict>correct: yes</verdict>", ["correct"])
    assert found.truths == {"correct": True} and found.causes == {"correct": Cause.NONE} and found.whole
    assert found.reason == "\ufffd\ufffd\ufffd" and found.reading == Reading.OK
    assert read_verdict(b"\xff", ["correct"]).reading == Reading.UNPARSABLE
    said = '{"correct": true}'
    assert read_verdict(said, ["correct"]).reading == Reading.UNPARSABLE
    for asked in (Asked.OBJECT, "object"):
        assert read_verdict(said, ["correct"], asked=asked).truths == {"correct": True}
    with pytest.raises(ValueError, match=r"^\[text::read_verdict\] asked: expected tags or object, got 'text'$"):
        read_verdict(said, ["correct"], asked="text")
    with pytest.raises(ValueError, match=r"\[text::read_verdict\] keys: expected at least one, got none"):
        read_verdict("", [])
    with pytest.raises(ValueError, match=r"\[text::read_verdict\] keys: expected a list of texts, got one text"):
        read_verdict("", "correct")
