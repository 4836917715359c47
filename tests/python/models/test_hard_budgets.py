"""A hard budget is hard: whatever a server says of its usage, whatever the body allows, and after a resume."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from PIL import Image as PILImage

from support.chatting import needs_chat_client
from support.scripted_server import CUT, HANG, body, saying, slowly, tokens
from vlmprobe.data import Image
from vlmprobe.ledger import CachedModel, Ledger, RecordedModel, RunRecord
from vlmprobe.loop.examine import check_budget
from vlmprobe.models.chat import ChatClient, Prices, Spent
from vlmprobe.models.judges import ModelVerifier
from vlmprobe.models.model import Charge, EncodedImage, Message, ModelReply, Request, Sampling, Status, Usage
from vlmprobe.models.replies import Failure
from vlmprobe.models.service import BudgetSpent
from vlmprobe.models.votes import Quota, Vote
from vlmprobe.probe.build import client_of
from vlmprobe.probe.roles import Role

pytestmark = needs_chat_client
RED = Image(0, "red.png", PILImage.new("RGB", (6, 4), "red"))
UNSAID = {  # what a server may say of its usage that tells nothing
    "none": None,
    "zeros": tokens(0, 0),
    "words": tokens("9", "4"),
    "negative": tokens(-9, -4),
    "null": tokens(None, None),
    "half tokens": tokens(1.5, 2.5),
    "too large to be": tokens(1e30, 1e30),
    "a list": [9, 4],
}


def client(url: str, **options) -> ChatClient:
    quick = {"attempt_timeout_s": 20.0, "max_attempts": 1, "first_pause_s": 0.01}
    return ChatClient(url, model="m", **quick | options)


def asks(count: int, *, most: int = 100, images: int = 0) -> list[Request]:
    shown = [EncodedImage(data=f"{i}".encode()) for i in range(images)]
    return [
        Request(messages=[Message(role="user", text=f"{i}?", images=shown)], sampling=Sampling(max_tokens=most))
        for i in range(count)
    ]


def total(spent: Spent) -> int:
    return spent.prompt_tokens + spent.completion_tokens


@pytest.mark.parametrize("usage", UNSAID.values(), ids=UNSAID)
def test_a_budget_of_tokens_ends_whatever_the_server_says_of_its_usage(usage):
    with saying(lambda _: body(usage=usage)) as server:
        chat = client(server.url, max_tokens=1000)
        statuses = Counter(reply.status for reply in chat.reply(asks(40)))
        # a call is charged 2 bytes of text, 64 of a template and 100 of a reply
        assert statuses == {Status.OK: 6, Status.BUDGET: 34} and len(server.bodies) == 6
        assert chat.spent == Spent(calls=6, prompt_tokens=6 * 66, completion_tokens=600)


def test_a_count_of_less_than_was_said_is_none():
    long = "word " * 200  # 1000 bytes: 32 tokens at the least
    with saying(lambda _: body(long, usage=tokens(9, 3))) as server:
        chat = client(server.url)
        (reply,) = chat.reply(asks(1))
        assert (reply.status, reply.usage) == (Status.OK, Usage(prompt_tokens=9, completion_tokens=0))
        assert reply.charged == Charge(calls=1, prompt_tokens=9, completion_tokens=100)


def test_thinking_that_only_the_total_counts_is_charged():
    with saying(lambda _: body(usage=tokens(9, 1, total_tokens=90))) as server:
        chat = client(server.url)
        chat.reply(asks(1))
        assert chat.spent.completion_tokens == 81


@pytest.mark.parametrize("fault", [HANG, CUT, 502, 504, 202, 599])
def test_what_a_server_may_have_worked_on_is_charged_as_it_was_held(fault):
    with saying(lambda _: fault) as server:
        chat = client(server.url, max_tokens=400, attempt_timeout_s=0.3, max_attempts=2)
        assert {reply.status for reply in chat.reply(asks(4))} <= {Status.TIMEOUT, Status.TRANSPORT, Status.BUDGET}
        assert len(server.bodies) == chat.spent.calls == 2  # the attempts after the first ones, too, would exceed it
        assert total(chat.spent) == 2 * 166


@pytest.mark.parametrize(("fault", "calls"), [(500, 2), (503, 2), (400, 0), (404, 0)])
def test_what_a_server_says_it_did_not_do_costs_no_tokens(fault, calls):
    with saying(lambda _: fault) as server:
        chat = client(server.url, max_tokens=400, max_attempts=2)
        (reply,) = chat.reply(asks(1))
        assert reply.charged == Charge(calls=calls) and chat.spent == Spent(
            calls=calls, prompt_tokens=0, completion_tokens=0
        )


def test_half_a_reply_is_charged_as_the_server_counts_it():
    with saying(lambda _: body(finish="error", usage=tokens(9, 40))) as server:
        chat = client(server.url, max_attempts=3)
        (reply,) = chat.reply(asks(1))
        assert (reply.status, reply.attempts) == (Status.TRANSPORT, 3)
        assert reply.charged == Charge(calls=3, prompt_tokens=27, completion_tokens=120)


def longest(asked: dict) -> int:
    """What a server that knows all names makes."""
    inner = asked.get("options", {})
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict")
    length = max([asked.get(name) or 0 for name in names] + [inner.get("num_predict", 0)])
    return (length + asked.get("thinking_budget", 0)) * (asked.get("n") or 1)


@pytest.mark.parametrize(
    "extra",
    [
        {"max_output_tokens": 900},
        {"n_predict": 900},
        {"n": 4, "max_tokens": 300},
        {"options": {"num_predict": 1200}},
        {"thinking_budget": 1000},
        {"max_tokens": None, "max_completion_tokens": 1100},
    ],
)
def test_a_budget_holds_whatever_sets_the_length(extra):
    with saying(lambda asked: slowly(body(usage=tokens(10, longest(asked))))) as server:
        chat = client(server.url, max_tokens=3000, extra=extra)
        statuses = Counter(reply.status for reply in chat.reply(asks(30)))
        assert 1200 < total(chat.spent) <= 3000
        assert set(statuses) == {Status.OK, Status.BUDGET}
        cost = client(server.url, max_cost=3.0, prices=Prices(prompt=0.0, completion=1000.0), extra=extra)
        cost.reply(asks(30))
        assert 1.0 < cost.spent.cost <= 3.0


def test_a_budget_holds_where_pictures_take_more_than_was_guessed():
    with saying(lambda _: slowly(body(usage=tokens(4000, 10)))) as server:
        chat = client(server.url, max_tokens=30_000)
        replies = chat.reply(asks(30, images=1))
        assert [reply.status for reply in replies].count(Status.OK) == 7
        assert 28_000 <= total(chat.spent) <= 30_000


def test_a_server_that_goes_beyond_its_limit_does_so_once():
    with saying(lambda _: slowly(body(usage=tokens(10, 700)))) as server:
        chat = client(server.url, max_tokens=3000)
        chat.reply(asks(30))
        assert 2000 < total(chat.spent) <= 3000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"extra": {"max_tokens": None}, "max_tokens": 100}, r"extra: expected a length such as max_completion_tokens"),
        ({"extra": {"n_predict": -1}, "max_cost": 1.0, "prices": Prices(prompt=1.0, completion=1.0)}, r"extra: expec"),
        ({"extra": {"max_completion_tokens": "900"}}, r"extra\.max_completion_tokens: expected a whole number or null"),
        ({"extra": {"n": 2.5}}, r"extra\.n: expected a whole number of at least 1, or null, got 2\.5"),
        ({"extra": {"temperature": [1]}}, r"extra\.temperature: expected a number or null, got \[1\]"),
        ({"extra": {"model": "another"}}, r"extra: expected neither messages, model nor stream"),
        ({"extra": {"stream": "yes"}}, r"extra: expected neither messages, model nor stream"),
        (
            {"extra": {"a": {1, 2}}},
            r"\[ChatClient\] extra: .* plain JSON values \(Object of type set",
        ),
        ({"extra": {"a": float("nan")}}, r"\[ChatClient\] extra: expected an object of plain JSON values"),
        ({"extra": "max_tokens"}, r"\[ChatClient\] extra: expected an object of plain JSON values"),
        ({"max_tokens": 0.5}, r"\[ChatClient\] max_tokens: expected a whole number, or None, got 0\.5"),
        ({"max_calls": 2.5}, r"\[ChatClient\] max_calls: expected a whole number, or None, got 2\.5"),
        ({"max_calls": float("inf")}, r"\[ChatClient\] max_calls: expected more than 0, or None, got inf"),
        ({"max_calls": True}, r"\[ChatClient\] max_calls: expected more than 0, or None, got True"),
        ({"max_cost": "9"}, r"\[ChatClient\] max_cost: expected more than 0, or None, got '9'"),
    ],
)
def test_what_no_budget_can_be_kept_with_is_refused_at_the_start(options, said):
    with pytest.raises(ValueError, match=said):
        client("http://127.0.0.1:9/v1", **options)
    assert client("http://127.0.0.1:9/v1", extra={"max_tokens": None}).spent.calls == 0  # without a budget it may be


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin(RunRecord(id="run"))
        ledger.at("run", "train", 0)
        yield ledger


def uneven(asked: dict) -> object:
    """A server that counts, does not, fails and breaks off in turn."""
    number = int(asked["messages"][-1]["content"].rstrip("?"))
    return (body(usage=tokens(10, 5)), body(), 500, 502, body(finish="abort", usage=tokens(10, 7)), 404, CUT)[
        number % 7
    ]


def test_the_ledger_has_what_the_client_was_charged_and_a_resumed_run_the_same_budget_left(ledger):
    limits = {"max_tokens": 9000, "max_calls": 60, "max_attempts": 2}
    with saying(uneven) as server:
        role = Role(model="m", endpoint=[server.url], client=limits)
        whole = client_of(role)
        RecordedModel(whole, ledger, role="answerer").reply(asks(14))
        assert ledger.spent("run", "answerer") == whole.spent and total(whole.spent) > 1000
        ledger.at("run", "train", 1)
        first = client_of(role, spent=ledger.spent("run", "answerer"))  # as after a stop
        RecordedModel(first, ledger, role="answerer").reply(asks(60))
        both = [whole.spent, first.spent]
        assert ledger.spent("run", "answerer") == Spent(
            calls=sum(each.calls for each in both),
            prompt_tokens=sum(each.prompt_tokens for each in both),
            completion_tokens=sum(each.completion_tokens for each in both),
        )
        used = ledger.spent("run", "answerer")
        assert total(used) <= 9000 and used.calls == 60


def test_what_was_asked_again_after_an_outage_is_charged_twice(ledger):
    said = iter([CUT, body()])
    with saying(lambda _: next(said)) as server:
        model = RecordedModel(client(server.url), ledger, role="answerer")
        assert [model.reply(asks(1))[0].status for _ in range(3)] == [Status.TRANSPORT, Status.OK, Status.OK]
    assert ledger.spent("run", "answerer") == Spent(calls=2, prompt_tokens=132, completion_tokens=200)


def test_a_reply_from_a_cache_is_charged_to_nobody(ledger, tmp_path):
    with (
        saying(lambda _: body(usage=tokens(10, 5))) as server,
        CachedModel(client(server.url), tmp_path / "r") as cache,
    ):
        cache.reply(asks(3))
        (*_, reply) = RecordedModel(cache, ledger, role="answerer").reply(asks(4))
        assert reply.usage.prompt_tokens == 10
    assert ledger.spent("run", "answerer") == Spent(calls=1, prompt_tokens=10, completion_tokens=5)


def test_a_model_without_budgets_is_charged_what_it_says():
    usage = Usage(prompt_tokens=7, completion_tokens=3)
    reply = ModelReply(status=Status.OK, text="two", usage=usage, attempts=2)
    assert reply.charged == Charge(calls=2, prompt_tokens=7, completion_tokens=3)


def test_two_who_ask_the_same_at_once_are_charged_once():
    asked = threading.Event()

    def say(_):
        asked.wait(10)
        return body()

    with saying(say) as server:
        chat, replies = client(server.url), []
        threads = [threading.Thread(target=lambda: replies.extend(chat.reply(asks(1)))) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not server.bodies:
            threading.Event().wait(0.01)
        asked.set()
        for thread in threads:
            thread.join()
        assert sum(reply.charged.calls for reply in replies) == chat.spent.calls
        assert sum(reply.charged.completion_tokens for reply in replies) == chat.spent.completion_tokens


WRONG = '<verdict>{"reason": "no", "correct": false}</verdict>'


@pytest.mark.parametrize(("most", "failure"), [(3, None), (2, Failure.BUDGET), (1, Failure.BUDGET)])
def test_a_claim_that_the_budget_leaves_unconfirmed_is_not_judged(most, failure):
    said = iter([WRONG, '<verdict>{"reason": "yes", "correct": true}</verdict>', WRONG])
    with saying(lambda _: body(next(said))) as server:
        verifier = ModelVerifier(client(server.url, max_calls=most), confirm=2)
        (judged,) = verifier.correctness([RED], ["How many?"], ["three"])
    assert (judged.correct, judged.failure) == (None if failure else False, failure)
    if failure:
        with pytest.raises(BudgetSpent):
            check_budget(verifier, [judged])


def test_a_verdict_that_was_to_be_asked_for_again_waits_for_a_larger_budget():
    half = '<verdict>{"reason": "so far", "grammatical": true, "atomic": true}</verdict>'
    with saying(lambda _: body(half)) as server:
        (criteria,) = ModelVerifier(client(server.url, max_calls=1)).validity([RED], ["How many?"])
    assert criteria.failure is Failure.BUDGET and criteria.atomic is None


def test_votes_that_are_settled_need_no_budget():
    true, unasked = Vote(truths={"a": True}, reason="yes"), Vote(truths={"a": None}, failure=Failure.BUDGET)
    assert Quota(votes=3).outcome([true, true, unasked]).truths == {"a": True}
    assert Quota(votes=3).outcome([true, unasked, unasked]) == unasked
