"""Following up failures: which texts are asked again, about which pictures, and when that ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.chatting import client, needs_chat_client
from support.hinting import Obedient
from support.rounds import INVALID, RIGHT, WRONG, told
from support.scripted_server import saying
from support.tasks import task_of
from vlmprobe.ledger import Ledger
from vlmprobe.loop.ask import learner_of
from vlmprobe.methods import ChatAsker, RandomValid, ZeroShot
from vlmprobe.methods.archive import Archive
from vlmprobe.methods.local_search import FOLLOWED, KNOWN, FollowUp, FollowUpOptions
from vlmprobe.policy.asker import Completions, tagged
from vlmprobe.policy.questioner import Questioner
from vlmprobe.text import SlotStatus, parse_responses
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages

SOURCE = WorldImages(6, seed=31)
PICTURES = [SOURCE[i] for i in range(6)]


class Steady:
    """Asks the same two questions about every picture."""

    identity = "steady"

    def ask(self, images, *, k, group_size=1, seed, step):
        self.images = [image.id for image in images]
        text = tagged(["is it round ?", f"is it {step} ?"][:k])
        return Completions.of([[text] * group_size for _ in images], hints=["round"] * len(images))


def archive(*rows, close=0.6):
    made = Archive(close)
    for image, text, valid, correct in rows:
        made.take(image, text, valid=valid, correct=correct)
    return made


def entry(made, text):
    return next(each for each in made.unsettled(10**9) if each.text == text)


def test_what_failed_is_counted_over_pictures_and_each_pair_once():
    text = "is the red circle large ?"
    made = archive((0, text, True, False), (0, text, True, True), (1, text, True, True), (2, text, False, None),
                   (3, text, True, None), (4, "is it blue ?", True, True))  # fmt: skip
    [found] = made.unsettled(100)
    assert (found.asked, found.valid, found.judged, found.failed) == (4, 3, 2, 1)
    assert found.images == {0, 1, 2, 3} and (4, "is it blue ?") in made and (5, text) not in made


def test_a_kind_is_known_when_enough_of_what_is_close_has_failed():
    made = archive(
        (0, "is the red circle large ?", True, False), (1, "is the red circle small ?", True, False),
        (2, "how many blue stars ?", True, False), close=0.5,
    )  # fmt: skip
    assert entry(made, "is the red circle large ?").near == 2, "two of four content words are shared"
    assert [each.text for each in made.unsettled(2)] == ["how many blue stars ?"]


def test_a_variant_changes_one_word_for_another_that_stood_in_its_place():
    made = archive((0, "is the red circle large ?", True, False), (1, "is the blue circle small ?", True, True),
                   (2, "is the green circle large ?", False, None))  # fmt: skip
    made.vary(9, cap=9, seed=0)
    texts = {each.text for each in made.unsettled(9)}
    assert texts == {"is the red circle large ?", "is the blue circle large ?", "is the red circle small ?"}, (
        "green stood in a question that was not valid"
    )
    made.vary(9, cap=9, seed=1)
    assert len(made) == 3, "each text is varied once"


def test_a_text_is_likelier_to_be_valid_about_a_picture_where_its_parts_were():
    made = archive(
        (0, "is the red star large ?", True, False), (1, "what shape is red star ?", True, True),
        (2, "what size is red star ?", False, None),
    )  # fmt: skip
    known = [entry(made, "is the red star large ?")]
    [yes], [no], [unseen] = (made.chances(image, known) for image in (1, 2, 3))
    assert no < unseen < yes
    assert unseen == pytest.approx(0.25), "nothing is known: one half for each piece, squared"


def followed(asker, step=1, **more):
    return asker.ask(PICTURES[:4], k=2, group_size=1, seed=5, step=step, **more)


def test_failures_are_asked_about_other_pictures_and_the_rest_is_asked_as_before():
    inner = Steady()
    asker = FollowUp(inner, FollowUpOptions(share=0.5, floor=0.0, variants=0))
    assert learner_of(asker) is asker
    asker.see(told(PICTURES, ("is the red circle large ?", WRONG), ("is it striped ?", RIGHT), hints=["", ""]))
    asked = followed(asker)
    again = [i for i, hint in enumerate(asked.hints) if hint == FOLLOWED + "is the red circle large ?"]
    assert len(again) == 2 and 0 not in again, "half of the pictures; none that it was asked about"
    assert inner.images == [PICTURES[i].id for i in range(4) if i not in again]
    for place, text in enumerate(asked.texts):
        expected = ["is the red circle large ?"] if place in again else ["is it round ?", "is it 1 ?"]
        assert text == tagged(expected)
    assert followed(asker).texts == asked.texts, "asking changes nothing"


def test_what_was_asked_about_a_picture_before_leaves_its_slot_empty():
    asker = FollowUp(Steady())
    asker.see(told(PICTURES, ("is it round ?", RIGHT), hints=[""]))
    asked = followed(asker)
    texts = parse_responses(asked.texts, k=2).text
    assert texts == ["", "is it 1 ?", *["is it round ?", "is it 1 ?"] * 3]


class Cut(Steady):
    """Asks one whole question, after some thought, and one that is cut; of each completion the tokens are known."""

    def ask(self, images, *, k, group_size=1, seed, step):
        said = "Let me see. <response_1> is it röund ? </response_1> and <response_2> is it"
        made = Completions.of([[said], ["<response_1> is it odd ? </response_1>"]])
        return replace(made, tokens=[17, 9])


def test_a_completion_that_is_passed_on_keeps_its_tokens_and_one_without_a_question_its_cut_slot():
    asker = FollowUp(Cut())
    asker.see(told(PICTURES, ("is it röund ?", RIGHT), hints=[""]))
    asked = asker.ask(PICTURES[:2], k=2, seed=0, step=1)
    assert asked.lengths.tolist() == [17, 9]
    assert asked.texts == [
        f"Let me see. <response_1> </response_1> and <response_2> is it {KNOWN}",
        "<response_1> is it odd ? </response_1>",
    ]
    status = parse_responses(asked.texts, k=2).status.tolist()
    assert status == [SlotStatus.empty, SlotStatus.unclosed, SlotStatus.ok, SlotStatus.missing]


def test_the_ledger_has_the_tokens_of_what_a_questioner_wrote_and_none_of_a_follow_up(tmp_path):
    """Each as many as without follow-ups where it was asked alike; so figures of tokens are those of the questioner."""
    asker = FollowUp(Questioner(tiny.load("questioner")), FollowUpOptions(floor=0.0))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ZeroShot(asker=asker, name="name").run(task_of(ledger, calls=90, images_per_step=6))
        sequences = [
            (question.annotations.get("hint", ""), step.sequences[question.sequence].tokens)
            for step in ledger.each_step("name") for question in step.questions
        ]  # fmt: skip
    again = [tokens for hint, tokens in sequences if hint.startswith(FOLLOWED)]
    written = [tokens for hint, tokens in sequences if not hint.startswith(FOLLOWED)]
    assert again and set(again) == {0}
    assert written and min(written) > 8


def test_nothing_is_followed_up_without_a_failure_or_once_the_kind_is_known():
    asker = FollowUp(Steady(), FollowUpOptions(cap=1, floor=0.0))
    asker.see(told(PICTURES, ("is it large ?", RIGHT), ("is it odd ?", INVALID), hints=["", ""]))
    assert not any(hint.startswith(FOLLOWED) for hint in followed(asker).hints)
    asker.see(told(PICTURES, ("is the red circle large ?", WRONG), hints=[""], step=1))
    assert not any(hint.startswith(FOLLOWED) for hint in followed(asker, step=2).hints)


def test_it_finds_more_failures_than_what_it_follows_at_equal_calls(tmp_path):
    """By a factor: half of its questions are about what failed once already."""

    def failures(asker, name):
        with Ledger(tmp_path / f"{name}.sqlite") as ledger:
            ZeroShot(asker=asker, name=name).run(task_of(ledger, calls=600, images_per_step=6))
            return {(row.image, row.question) for row in ledger.failures(run=name)}

    assert len(failures(FollowUp(RandomValid()), "followed")) > 1.5 * len(failures(RandomValid(), "random"))


class Stopping(RandomValid):
    """Is interrupted at a step."""

    def ask(self, images, *, step, **more):
        if step == 9:
            raise KeyboardInterrupt
        return super().ask(images, step=step, **more)


def test_a_run_that_is_stopped_goes_on_with_the_same_follow_ups(tmp_path):
    def questions(ledger):
        return [(q.text, q.annotations.get("hint")) for step in ledger.each_step("name") for q in step.questions]

    with Ledger(tmp_path / "whole.sqlite") as whole, Ledger(tmp_path / "stopped.sqlite") as stopped:
        ZeroShot(asker=FollowUp(RandomValid()), name="name").run(task_of(whole, calls=300, images_per_step=6))
        with pytest.raises(KeyboardInterrupt):
            ZeroShot(asker=FollowUp(Stopping()), name="name").run(task_of(stopped, calls=300, images_per_step=6))
        assert 0 < len(questions(stopped)) < len(questions(whole))
        task = task_of(stopped, calls=300, images_per_step=6, resumed=True)
        ZeroShot(asker=FollowUp(RandomValid()), name="name").run(task)
        assert questions(stopped) == questions(whole)
        assert any(hint and hint.startswith(FOLLOWED) for _, hint in questions(whole))


@needs_chat_client
def test_the_calls_of_a_model_that_is_followed_are_in_the_ledger(tmp_path):
    """So that a run that is stopped pays for none of them twice."""
    model = Obedient(WorldImages(6, seed=41))
    with Ledger(tmp_path / "ledger.sqlite") as ledger, saying(model) as server:
        asker = FollowUp(ChatAsker(client(server.url)))
        ZeroShot(asker=asker, name="name").run(task_of(ledger, calls=40))
        assert ledger.spent("name", "questioner").calls == len(model.hints) > 0
    local = FollowUp(Questioner(tiny.load("questioner")))
    assert local.model is None and not local.cannot_ask(PICTURES[0])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"share": 1.5}, r"share: expected a share in \[0, 1\], got 1.5"),
        ({"cap": 0}, "cap: expected"),
        ({"variants": -1}, "variants: expected at least 0, got -1"),
    ],
)
def test_options_out_of_range_are_refused(bad, said):
    with pytest.raises(ValueError, match=rf"\[FollowUpOptions\] {said}"):
        FollowUpOptions(**bad)
