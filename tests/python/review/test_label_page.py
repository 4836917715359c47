"""The page for labels: who gets in, what a key says, and 20 items by keyboard in a browser."""

from __future__ import annotations

import http.client
import json
import shutil
import threading

import pytest
from playwright.sync_api import expect, sync_playwright

from support.ledgers import answered, question, verdict
from support.suites import HOSTILE
from vlmprobe.data.order import in_order
from vlmprobe.ledger import ImageRecord, LabelRecord, Ledger, RunRecord, SequenceRecord, StepRecord
from vlmprobe.methods import RandomValid
from vlmprobe.modes.asked import asked_of
from vlmprobe.review.desk import KEYS, Desk
from vlmprobe.review.serve import LabelServer
from vlmprobe.review.study import study
from vlmprobe.run.probe import probe
from vlmprobe.world import ErrorRates, ExecutingAnswerer, FaultyAnswerer, NoisyVerifier, WorldImages, judge, load_faults
from vlmprobe.world.source import scene_of

RUN = "probe"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")
IMAGES = WorldImages(24, seed=5)


def probed(path, *, calls=240):
    ledger = Ledger(path)
    ledger.begin(RunRecord(id=RUN))
    noisy = NoisyVerifier(ErrorRates(wrong_sensitivity=0.8, wrong_specificity=0.85), seed=1)
    answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
    probe(RandomValid(), answerer, noisy, in_order(IMAGES, 12), calls=calls, k=4, group_size=3, seed=0, ledger=ledger,
          run=RUN)  # fmt: skip
    return ledger


@pytest.fixture
def ledger(tmp_path):
    with probed(tmp_path / "ledger.sqlite") as made:
        yield made


@pytest.fixture
def served(ledger):
    with served_by(Desk(ledger, RUN, annotator="ann", items=20)) as server:
        yield server


class served_by:  # used as a function
    def __init__(self, *desks):
        self.server = LabelServer(desks, IMAGES.__getitem__)
        self.server.token, *_ = self.server.desks
        self.server.url, *_ = self.server.urls

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self.server

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def reply(server, path, *, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, body=body, headers=headers)
    found = connection.getresponse()
    return found.status, found.read(), found


def key_of(item):
    """What the truth says of an item."""
    found = judge(scene_of(IMAGES[item.image]), item.question)
    if not found.valid:
        return "3"
    return "v" if item.answer is None else "c" if item.answer == found.answer else "w"


def test_without_the_token_or_with_another_host_nobody_sees_anything(served):
    path = f"/{served.token}/"
    assert reply(served, path)[0] == 200 and reply(served, f"{path}item")[0] == 200
    assert reply(served, "/")[0] == reply(served, "/item")[0] == reply(served, "/guess/item")[0] == 404
    assert reply(served, path, Host="evil.example")[0] == reply(served, path, Host="evil.example:80")[0] == 403
    assert reply(served, path, Host=f"localhost:{served.port}")[0] == 200
    assert served.server_address[0] == "127.0.0.1"
    _, _, found = reply(served, path)
    assert found.getheader("Content-Security-Policy").startswith("default-src 'none'")
    assert (found.getheader("Referrer-Policy"), found.getheader("Cache-Control")) == ("no-referrer", "no-store")


def test_each_annotator_has_a_token_of_their_own(ledger):
    ann, bob = (Desk(ledger, RUN, annotator=name, items=20) for name in ("ann", "bob"))
    with served_by(ann, bob) as server:
        first, second = server.desks
        assert first != second and len(first) >= 32
        reply(server, f"/{second}/label", method="POST", body=json.dumps({"at": 0, "key": "u"}))
        said = [json.loads(reply(server, f"/{token}/item")[1])["done"] for token in (first, second)]
    assert said == [0, 1] and {label.annotator for label in ledger.labels(RUN)} == {"bob"}


def test_another_sites_page_cannot_label(served, ledger):
    path, body = f"/{served.token}/label", json.dumps({"at": 0, "key": "u"})
    assert reply(served, path, method="POST", body=body, Origin="http://evil.example")[0] == 403
    assert ledger.labels(RUN) == []
    assert reply(served, path, method="POST", body=body, Origin=f"http://127.0.0.1:{served.port}")[0] == 200
    assert len(ledger.labels(RUN)) == 1


NOTHING = ['{"at": 0}', '{"at": 99, "key": "u"}', '{"at": 0, "key": "x"}', "[]", "no", '{"at": "a", "key": "u"}']


@pytest.mark.parametrize("body", NOTHING)
def test_what_says_nothing_changes_nothing(served, ledger, body):
    status, said, _ = reply(served, f"/{served.token}/label", method="POST", body=body)
    assert status == 400 and json.loads(said)["error"] and ledger.labels(RUN) == []


def test_an_item_shows_no_verdict(served):
    shown = json.loads(reply(served, f"/{served.token}/item")[1])
    assert set(shown) == {"at", "of", "done", "finished", "question", "answer", "keys", "said"}
    status, picture, found = reply(served, f"/{served.token}/picture/0")
    assert status == 200 and picture.startswith(b"\x89PNG") and found.getheader("Content-Type") == "image/png"


def test_each_key_says_what_it_names_and_a_second_takes_the_place_of_the_first(ledger):
    desk = Desk(ledger, RUN, annotator="ann", items=40)
    at = next(i for i, item in enumerate(desk.items) if item.answer is not None)
    for key, said in KEYS.items():
        desk.say(at, key)
        [label] = ledger.labels(RUN)
        assert (label.valid, label.correct, label.criterion) == (said.valid, said.correct, said.criterion)
        assert 0 < label.probability <= 1 and desk.shown(at)["said"] == key
    silent = next(i for i, item in enumerate(desk.items) if item.answer is None)
    with pytest.raises(ValueError, match=r"\[label\] key: expected one of v, 1, 2, 3, 4, u, got 'c'"):
        desk.say(silent, "c")


def test_annotators_see_the_same_items_and_go_on_where_they_were(ledger):
    ann, bob = (Desk(ledger, RUN, annotator=name, items=20) for name in ("ann", "bob"))
    assert ann.items == bob.items
    for at in range(3):
        ann.say(at, "u")
    again = Desk(ledger, RUN, annotator="ann", items=30)
    assert (again.first, again.done) == (next(i for i, each in enumerate(again.items) if each not in ann.items[:3]), 3)
    assert bob.done == bob.first == 0 and {each.place for each in ann.items} <= {each.place for each in again.items}


def test_twenty_items_by_keyboard_and_the_intervals_are_narrower_after(served, ledger):
    desk = Desk(ledger, RUN, annotator="nobody", items=20)
    widths = []

    def look():
        found = study(ledger, RUN)
        widths.append((found.qvr.high - found.qvr.low, found.fdr.high - found.fdr.low))

    look()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(served.url)
        for at, item in enumerate(desk.items):
            expect(page.locator("body")).to_have_attribute("data-at", str(at))
            assert page.locator("#question").inner_text() == item.question
            assert page.evaluate("document.getElementById('picture').decode().then(() => true)")
            if at == 5:  # a slip, and back
                page.keyboard.press("u")
                expect(page.locator("body")).to_have_attribute("data-at", "6")
                page.keyboard.press("Backspace")
                expect(page.locator("body")).to_have_attribute("data-at", "5")
                assert page.locator("button[aria-pressed=true]").inner_text() == "u unsure"
            page.keyboard.press(key_of(item))
            if at == 9:
                expect(page.locator("body")).to_have_attribute("data-at", "10")
                look()
        expect(page.locator("#end")).to_be_visible()
        assert page.locator("#progress").inner_text() == "20 of 20 labelled"
        browser.close()
    look()
    assert problems == []
    assert widths[0] == (1.0, 1.0) and all(after < before for after, before in zip(widths[2], widths[1], strict=True))
    labels = {(each.step, each.sequence, each.slot): each for each in ledger.labels(RUN)}
    assert len(labels) == 20 and {each.annotator for each in labels.values()} == {"ann"}
    for item in desk.items:
        said, label = KEYS[key_of(item)], labels[item.step, item.sequence, item.slot]
        assert (label.valid, label.correct) == (said.valid, said.correct)


def test_hostile_texts_are_shown_and_do_nothing(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id=RUN))
        step = StepRecord(
            run=RUN, phase=RUN, step=0, images=[ImageRecord(id=0, key="a", sha256="b")],
            sequences=[SequenceRecord(sequence=0, image=0, group=0, text="", tokens=0)],
            questions=[question(0, 0, text=HOSTILE, verdict=verdict(False), answer=answered(f"<img src=x>{HOSTILE}"))],
        )  # fmt: skip
        ledger.record(step)
        with (
            served_by(Desk(ledger, RUN, annotator="ann", items=1)) as server,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            asked, dialogs = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("dialog", lambda dialog: dialogs.append(dialog.message))
            page.goto(server.url)
            expect(page.locator("body")).to_have_attribute("data-at", "0")
            text = page.locator("#question").inner_text()
            assert "<script>alert(1)</script>" in text and "\u202e" not in text and "{{7*7}}" in text
            assert dialogs == [] and all(url.startswith(server.url) for url in asked)
            assert page.locator("main img").count() == 1 and page.locator("script").count() == 1
            browser.close()


def test_most_annotators_take_the_place_of_the_verifier(ledger):
    before = {each.pair: each for each in asked_of(ledger, [RUN])}
    failure = next(each for each in ledger.failures(run=RUN))
    place = {name: getattr(failure, name) for name in ("run", "phase", "step", "sequence", "slot")}

    def says(name, correct):
        ledger.add_labels([LabelRecord(**place, annotator=name, valid=True, correct=correct)])
        return {each.pair: each for each in asked_of(ledger, [RUN])}[failure.image_key, failure.question]

    assert before[failure.image_key, failure.question].wrong
    assert not says("ann", True).wrong
    assert says("bob", False).wrong and not says("bob2", True).wrong
