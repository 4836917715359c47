"""Only what is known to be a whole answer is one: names on no list, errors beside text, replies of odd models."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import pytest
from PIL import Image as PILImage

from support.chatting import needs_chat_client
from support.scripted_server import body, saying
from vlmprobe._native import core
from vlmprobe.data import Image
from vlmprobe.ledger import CachedModel, Ledger, RecordedModel, RunRecord
from vlmprobe.models.chat import ChatClient
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.judges import ModelAnswerer, ModelVerifier
from vlmprobe.models.model import (
    EncodedImage,
    Message,
    ModelReply,
    Request,
    Status,
    Usage,
    replies_of,
    stream,
)
from vlmprobe.models.native import request_row, to_core
from vlmprobe.models.replies import Failure

pytestmark = needs_chat_client
RED = Image(0, "red.png", PILImage.new("RGB", (6, 4), "red"))
WRONG = '<verdict>{"reason": "it is not", "correct": false}</verdict>'


def client(url: str, **options) -> ChatClient:
    return ChatClient(url, model="m", **{"max_attempts": 2, "first_pause_s": 0.01} | options)


def ask(text: str = "How many?", *images: EncodedImage) -> Request:
    return Request(messages=[Message(role="user", text=text, images=images)])


def parts(*content) -> dict:
    return body() | {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}


def without_a_reason() -> dict:
    whole = body()
    del whole["choices"][0]["finish_reason"]
    return whole


OUTAGES = {
    "no reason": without_a_reason(),
    "null": body(finish=None),
    "a type of its own": body(finish={"type": "stop"}),
    "its network broke": body(finish="network_error"),
    "cancelled": body(finish="cancelled"),
    "a name of tomorrow": body(finish="done_mostly"),
    "an error beside": body(error={"message": "upstream closed", "code": 502}),
    "a part of another type": parts({"type": "text", "text": "There are "}, {"type": "number", "text": "two"}),
    "somebody else's words": body()
    | {"choices": [{"message": {"role": "user", "content": "How many?"}, "finish_reason": "stop"}]},
}


@pytest.mark.parametrize("said", OUTAGES.values(), ids=OUTAGES)
def test_a_reply_that_is_not_known_to_be_whole_is_asked_again_and_never_a_finding(said):
    with saying(lambda _: said) as server:
        (reply,) = client(server.url).reply([ask()])
        assert (reply.status, reply.text, reply.attempts, len(server.bodies)) == (Status.TRANSPORT, "", 2, 2)
        assert reply.error
        (answer,) = ModelAnswerer(client(server.url)).answer([RED], ["How many?"])
        assert answer.failure is Failure.TRANSPORT


def test_half_a_verdict_of_a_judge_that_died_is_none():
    with saying(lambda _: body(WRONG, finish="abort")) as server:
        (judged,) = ModelVerifier(client(server.url)).correctness([RED], ["How many?"], ["three"])
        assert (judged.correct, judged.failure) == (None, Failure.TRANSPORT)


def test_a_server_that_recovers_is_heard():
    said = iter([body("There are th", finish="error"), body("There are three.")])
    with saying(lambda _: next(said)) as server:
        (reply,) = client(server.url).reply([ask()])
        assert (reply.status, reply.text, reply.attempts) == (Status.OK, "There are three.", 2)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (body("The three cups on the", finish="MAX_TOKENS"), Status.TRUNCATED),
        (body("The three cups on", finish="model_context_window_exceeded"), Status.TRUNCATED),
        (body("I", finish="SAFETY"), Status.REFUSAL),
        (body("I", finish="content-filter"), Status.REFUSAL),
        (parts({"type": "refusal", "refusal": "I may not."}), Status.REFUSAL),
        (body("Let me look.", finish="tool_calls"), Status.EMPTY),
        (body("◁think▷two or three"), Status.EMPTY),
        (201, Status.TRANSPORT),
        (202, Status.TRANSPORT),
        (204, Status.TRANSPORT),
        (302, Status.REJECTED),
        (434, Status.REJECTED),
        (599, Status.TRANSPORT),
    ],
)
def test_what_is_no_answer_is_a_typed_failure_of_the_answerer(said, status):
    with saying(lambda _: said) as server:
        (answer,) = ModelAnswerer(client(server.url, max_attempts=1)).answer([RED], ["How many?"])
        assert answer.failure is Failure(status.value)


def test_five_pictures_with_one_placeholder_are_five_pictures(tmp_path):
    pictures = [EncodedImage(data=f"picture {i}".encode(), sha256="0" * 64) for i in range(5)]
    assert len({picture.sha256 for picture in pictures}) == 5
    requests = [ask("What is it?", picture) for picture in pictures]

    def shown(asked):
        return asked["messages"][-1]["content"][0]["image_url"]["url"].rpartition(",")[2]

    with saying(lambda asked: body(f"it is {shown(asked)}")) as server, Ledger(tmp_path / "ledger") as ledger:
        ledger.begin(RunRecord(id="run"))
        ledger.at("run", "train", 0)
        with CachedModel(client(server.url), tmp_path / "replies") as cached:
            texts = [r.text for r in RecordedModel(cached, ledger, role="answerer").reply(requests)]
            assert len(cached) == len(set(texts)) == len({shown(each) for each in server.bodies}) == 5


def test_the_core_hashes_an_image_itself_at_every_size():
    for size in (*range(1, 200), 100_000):
        image = EncodedImage(data=bytes(i * 7 % 251 for i in range(size)))
        assert core.models.EncodedImage(image.data, image.media_type).sha256 == image.sha256
    with pytest.raises(TypeError):
        core.models.EncodedImage(b"x", "image/png", "0" * 64)
    assert EncodedImage(data=bytearray(b"x")) == EncodedImage(data=b"x")
    with pytest.raises(ValueError, match=r"^\[EncodedImage\] data: expected bytes, got str$"):
        EncodedImage(data="x")
    with pytest.raises(ValueError, match=r"^\[Message\] images: expected each an EncodedImage, got bytes$"):
        Message(role="user", text="a", images=[b"x"])


@dataclass(frozen=True)
class Claimed:
    """A picture of somebody's own, with a name in the place of the hash."""

    pixels: PILImage.Image
    id: int = 0
    key: str = "picture"
    sha256: str = "placeholder"


def test_pictures_that_call_themselves_the_same_are_told_apart_by_their_pixels():
    images = EncodedImages(capacity=3)
    pictures = [Claimed(PILImage.new("RGB", (2, 2), (i, 0, 0))) for i in range(5)]
    assert len({images(picture).sha256 for picture in pictures}) == 5
    assert images(pictures[4]) is images(Claimed(pictures[4].pixels.copy(), sha256="another"))
    for i in range(40):  # objects come and go, and their places in memory are used again
        assert images(Claimed(PILImage.new("RGB", (1, 1), (0, i, 0)))).data == _png((0, i, 0))


def test_pictures_that_differ_in_their_palette_alone_are_two_pictures():
    red, green = (PILImage.new("P", (4, 4), 1) for _ in range(2))
    red.putpalette([0, 0, 0, 255, 0, 0]), green.putpalette([0, 0, 0, 0, 255, 0])
    images = EncodedImages()
    assert images(Claimed(red)).sha256 != images(Claimed(green)).sha256


def _png(color) -> bytes:
    return EncodedImages()(Claimed(PILImage.new("RGB", (1, 1), color))).data


class Odd:
    """A model in Python that replies what it is told."""

    identity = "odd@1"

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), 0

    def reply(self, requests):
        self.asked += len(requests)
        return self.replies


@pytest.mark.parametrize("status", ["weird", None, 7, "", "OK "])
def test_a_status_that_is_none_is_refused_by_name(status):
    with pytest.raises(ValueError, match=r"^\[ModelReply\] status: expected ok, timeout, .* budget, got"):
        ModelReply(status=status, text="two")


def test_a_status_may_be_given_by_its_name_and_a_blank_text_is_no_answer():
    assert ModelReply(status="ok", text="two").status is Status.OK
    for blank in ("", "  ", "\n\u3000", "\u200b\u2060", "\u00ad \ufeff"):
        assert ModelReply(status=Status.OK, text=blank).status is Status.EMPTY
        (answer,) = ModelAnswerer(Odd(ModelReply(status=Status.OK, text=blank))).answer([RED], ["How many?"])
        assert answer.failure is Failure.EMPTY
    with pytest.raises(ValueError, match=r"^\[ModelReply\] text: expected a text, got None$"):
        ModelReply(status=Status.OK, text=None)


@pytest.mark.parametrize("reply", ["two", None, {"status": "ok", "text": "two"}, ("ok", "two")])
def test_what_is_no_reply_is_refused_with_the_models_name(reply):
    expected = r"^\[Model\.reply\] odd@1: \[0\]: expected a ModelReply, got"
    for asked in (
        lambda: replies_of(Odd(reply), [ask()]),
        lambda: stream(Odd(reply), [ask()], print),
        lambda: ModelAnswerer(Odd(reply)).answer([RED], ["How many?"]),
        lambda: to_core(Odd(reply)).reply([request_row(ask())]),
    ):
        with pytest.raises(ValueError, match=expected):
            asked()
    with pytest.raises(ValueError, match=r"^\[Model\.reply\] nothing@1: expected a list of replies, got None$"):
        replies_of(type("Nothing", (), {"identity": "nothing@1", "reply": lambda self, requests: None})(), [ask()])


@pytest.mark.parametrize("reason", ["abort", "length", "content_filter", "tool_calls", "done_mostly"])
def test_a_cache_neither_keeps_nor_gives_back_what_did_not_end_by_itself(tmp_path, reason):
    half = ModelReply(status=Status.OK, text="The three cups on the", finish_reason=reason)
    whole = ModelReply(status=Status.OK, text="three", finish_reason="stop")
    with CachedModel(model := Odd(half), tmp_path / "replies") as cache:
        assert cache.reply([ask()]) == [half] and len(cache) == 0
        model.replies = [whole]
        assert cache.reply([ask()]) == [whole] and len(cache) == 1
        with sqlite3.connect(tmp_path / "replies") as db:  # as an earlier version kept it
            db.execute("UPDATE replies SET text = 'The three cups on the', finish_reason = ?", (reason,))
        assert cache.reply([ask()]) == [whole] and model.asked == 3
        assert cache.reply([ask()])[0].text == "three" and model.asked == 3


def test_a_row_of_a_cache_without_a_text_is_asked_again(tmp_path):
    with CachedModel(model := Odd(ModelReply(status=Status.OK, text="three")), tmp_path / "replies") as cache:
        cache.reply([ask()])
        with sqlite3.connect(tmp_path / "replies") as db:
            db.execute("UPDATE replies SET text = ' '")
        assert cache.reply([ask()])[0].text == "three" and model.asked == 2


def test_a_call_of_the_ledger_with_a_status_of_tomorrow_is_made_again(tmp_path):
    reply = ModelReply(status=Status.OK, text="three", usage=Usage(prompt_tokens=5, completion_tokens=1))
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin(RunRecord(id="run"))
        ledger.at("run", "train", 0)
        model = RecordedModel(odd := Odd(reply), ledger, role="answerer")
        model.reply([ask()])
        ledger._db.execute("UPDATE calls SET status = 'postponed'")
        assert model.reply([ask()]) == [reply] and odd.asked == 2
        assert model.reply([ask()])[0].text == "three" and odd.asked == 2
        assert ledger.spent("run", "answerer").prompt_tokens == 10
