"""Replies are paid for once: across runs by the cache, within a run by its own ledger."""

from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.counting import Counting, ask
from vlmprobe.ledger import CachedModel, Ledger, RecordedModel, RunRecord
from vlmprobe.ledger.requests import request_key
from vlmprobe.models.model import EncodedImage, Message, Model, Request, Sampling, Status


@pytest.fixture
def cache(tmp_path):
    with CachedModel(Counting(), tmp_path / "replies.sqlite") as model:
        yield model


def test_a_reply_is_paid_for_once_across_runs(cache):
    first = cache.reply([ask("a"), ask("b")])
    with CachedModel(other := Counting(), cache.path) as again:
        second = again.reply([ask("b"), ask("a"), ask("c")])
        assert other.asked == ["c"] and len(again) == 3
    assert [reply.text for reply in second[:2]] == [first[1].text, first[0].text]
    assert (second[0].attempts, second[0].usage, first[0].attempts) == (0, first[1].usage, 1)
    assert isinstance(cache, Model)


def test_equal_requests_of_a_batch_are_asked_once(cache):
    replies = cache.reply([ask("a", id="1"), ask("b", id="2"), ask("a", id="3")])
    assert cache._model.asked == ["a", "b"] and replies[0] == replies[2] != replies[1]
    assert cache.reply([]) == []


KEY = request_key("m", ask())
DIFFERENT = {
    "model": request_key("m2", ask()),
    "text": request_key("m", ask("how")),
    "role": request_key("m", ask(role="system")),
    "image": request_key("m", ask(image=b"other")),
    "extra": request_key("m", ask(), '{"reasoning_effort": "low"}'),
    "temperature": request_key("m", ask(sampling=Sampling(temperature=1.0))),
    "top_p": request_key("m", ask(sampling=Sampling(top_p=0.5))),
    "max_tokens": request_key("m", ask(sampling=Sampling(max_tokens=9))),
    "seed": request_key("m", ask(sampling=Sampling(seed=0))),
    "schema": request_key("m", ask(schema="{}")),
    "vote": request_key("m", ask(vote=1)),
    "messages": request_key("m", Request(messages=[*ask().messages, Message(role="user", text="")])),
}


def test_all_that_decides_a_reply_is_in_its_key_and_nothing_else():
    assert len({KEY, *DIFFERENT.values()}) == 1 + len(DIFFERENT)
    jpeg = [EncodedImage(data=b"png", media_type="image/jpeg")]
    assert request_key("m", Request(messages=[Message(role="user", text="why", images=jpeg)], id="name")) == KEY
    assert (
        KEY == "c4fe52952636111fe156ba0dbe5bfd840ebeb02900d40ea9d69be494c96dd08c"
    )  # a key that changes makes every cache worthless


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_only_whole_replies_are_kept(tmp_path, status):
    with CachedModel(Counting(a=status), tmp_path / "replies.sqlite") as cache:
        assert [reply.status for reply in cache.reply([ask("a"), ask("b")])] == [status, Status.OK]
        assert len(cache) == 1
        cache.reply([ask("a"), ask("b")])
        assert cache._model.asked == ["a", "b", "a"]


def test_a_reply_that_cannot_be_used_is_not_kept(tmp_path):
    seen = []

    def usable(request, reply):
        seen.append((request.messages[-1].text, reply.text))
        return "to b" not in reply.text

    with CachedModel(Counting(), tmp_path / "replies.sqlite", usable=usable) as cache:
        cache.reply([ask("a"), ask("b")])
        cache.reply([ask("a"), ask("b")])
        assert cache._model.asked == ["a", "b", "b"]
    assert all(reply.endswith(f"to {text}") for text, reply in seen)


def test_a_full_cache_loses_no_reply(cache):
    cache._db.execute("PRAGMA query_only = ON")
    with pytest.warns(
        UserWarning, match=r"^\[CachedModel\] .*replies\.sqlite: 1 replies were not kept \(attempt to wri"
    ):
        (reply,) = cache.reply([ask("a")])
    assert reply.status is Status.OK and len(cache) == 0


def test_files_that_are_no_caches(tmp_path):
    with pytest.raises(ValueError, match=r"^\[CachedModel\] path: no folder '.*nowhere'"):
        CachedModel(Counting(), tmp_path / "nowhere" / "replies")
    (tmp_path / "text").write_text("not a database, " * 100)
    with pytest.raises(ValueError, match=r"^\[CachedModel\] .*text: not a reply cache \(file is not a database\)"):
        CachedModel(Counting(), tmp_path / "text")
    Ledger(tmp_path / "ledger").close()
    with pytest.raises(ValueError, match=r"^\[CachedModel\] .*ledger: a database, but not a reply cache"):
        CachedModel(Counting(), tmp_path / "ledger")
    CachedModel(Counting(), tmp_path / "new").close()
    with sqlite3.connect(tmp_path / "new") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(
        ValueError, match=r"^\[CachedModel\] .*new: expected schema 1, got 9; a newer vlmprobe wrote it"
    ):
        CachedModel(Counting(), tmp_path / "new")


def fill(path, part, ready):
    ready.wait()
    with CachedModel(Counting(), path) as cache:
        for i in range(200):
            cache.reply([ask(f"shared {i}"), ask(f"{part} {i}")])


def test_two_processes_share_a_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    both = [context.Process(target=fill, args=(tmp_path / "replies.sqlite", part, ready)) for part in "ab"]
    for process in both:
        process.start()
    ready.set()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    with CachedModel(Counting(), tmp_path / "replies.sqlite") as cache:
        assert len(cache) == 600
        cache.reply([ask(f"{part} {i}") for part in ("a", "b", "shared") for i in range(200)])
        assert cache._model.asked == []


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        ledger.at("run", "train", 3)
        yield ledger


def test_a_step_that_was_cut_takes_its_replies_from_the_ledger(ledger):
    first = RecordedModel(Counting(), ledger, role="answerer").reply([ask("a"), ask("b")])
    again = RecordedModel(other := Counting(), ledger, role="answerer")
    assert again.reply([ask("b"), ask("c"), ask("a")])[::2] == first[::-1]
    assert other.asked == ["c"]
    ledger.at("run", "train", 4)  # another step is another question, whatever the text
    again.reply([ask("a")])
    RecordedModel(other, ledger, role="verifier").reply([ask("a")])
    assert other.asked == ["c", "a", "a"]


def test_what_failed_is_asked_again_and_what_was_refused_is_not(ledger):
    script = {status.value: status for status in Status if status is not Status.OK}
    requests = [ask(text) for text in script]
    RecordedModel(Counting(**script), ledger, role="answerer").reply(requests)
    again = RecordedModel(other := Counting(), ledger, role="answerer")
    again.reply(requests)
    assert sorted(other.asked) == ["budget", "timeout", "transport"]
    assert again.reply(requests) and len(other.asked) == 3


def test_every_call_is_in_the_ledger_with_its_cost(ledger):
    RecordedModel(Counting(), ledger, role="answerer").reply([ask("a"), ask("a"), ask("b")])
    columns = "phase, step, role, status, text, attempts, prompt_tokens, completion_tokens, latency_time"
    rows = ledger._db.execute(f"SELECT {columns} FROM calls ORDER BY call_id").fetchall()
    assert rows[0] == ("train", 3, "answerer", "ok", "answer 2.0 to a", 1, 7, 3, 0.5) and len(rows) == 2
    assert sum('"table": "calls"' in line and "latency" not in line for line in ledger.dump()) == 2


def test_calls_are_recorded_from_several_threads(ledger):
    model = RecordedModel(Counting(), ledger, role="answerer")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: model.reply([ask(f"{i}")]), range(100)))
    assert ledger._db.execute("SELECT count(*) FROM calls").fetchone() == (100,)


def test_calls_need_a_step(tmp_path):
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        pytest.raises(RuntimeError, match=r"name it by Ledger\.at first"),
    ):
        RecordedModel(Counting(), ledger, role="answerer").reply([ask()])


def test_a_model_that_returns_too_few_replies_is_named(ledger):
    class Short(Counting):
        def reply(self, requests):
            return super().reply(requests)[1:]

    with pytest.raises(ValueError, match=r"^\[Model\.reply\] counting@1: expected 1 rows, got 0$"):
        RecordedModel(Short(), ledger, role="answerer").reply([ask()])


def test_clients_that_add_other_fields_share_no_reply(tmp_path):
    low, high = Counting(), Counting()
    low.extra, high.extra = '{"reasoning_effort": "low"}', '{"reasoning_effort": "high"}'
    for model in (low, high, low):
        with CachedModel(model, tmp_path / "replies.sqlite") as cached:
            cached.reply([ask("a")])
    assert low.asked == high.asked == ["a"]
