"""The bandit over hints: its counts on scripted rounds, the hints that failures bring, and equal hints after equal
steps, also where a run was stopped and goes on."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from support.chatting import client, needs_chat_client
from support.hinting import Obedient
from support.rounds import INVALID, RIGHT, UNKNOWN, WRONG, told
from support.scripted_server import saying
from support.tasks import HELD_OUT, task_of
from support.tiny_runs import make
from vlmprobe.data.order import shuffled
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.ask import Learns, learner_of, show_learner
from vlmprobe.methods import ChatAsker, ZeroShot, evaluate
from vlmprobe.methods.bandit import Bandit, BanditOptions
from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.hints import SKILLS, Hint, UniformHints, content_words, read_hints, word_hints
from vlmprobe.models.model import Sampling
from vlmprobe.models.service import Unserved
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

SOURCE = WorldImages(6, seed=31)
PICTURES = [SOURCE[i] for i in range(6)]
PAIRS = [Hint.of(pair) for pair in (("red", "circle"), ("blue", "star"), ("large", "square"))]


def values(bandit):
    return {each.hint: (each.pulls, each.n, each.failures) for each in bandit.values()}


def test_a_question_counts_for_each_hint_whose_words_it_has_and_only_once():
    bandit = Bandit(PAIRS, BanditOptions(grows=False))
    bandit.see(told(
        PICTURES,
        ("is the red circle large ?", WRONG), ("is a blue star red ?", RIGHT), ("is the circle red ?", UNKNOWN),
        ("is it a Red circle?", INVALID),
        hints=["circle red", "circle red", "blue star", "large square"],
    ))  # fmt: skip
    assert values(bandit) == {"circle red": (2, 1, 1), "blue star": (1, 1, 0), "large square": (1, 0, 0)}
    assert bandit.base_rate == 2 / 22  # one failure of two judged pairs: (1 + 1) / (20 + 2)
    worth = [each.value for each in bandit.values()]
    # Posterior means of Beta(20 * 2/22 + f, 20 + n - f), divided by (1 + f/10) (1 + pulls/20)
    assert worth[0] == pytest.approx((1.8182 + 1) / 22.8182 / (1.1 * 1.1), rel=1e-4)
    assert worth[1] == pytest.approx(1.8182 / 22.8182 / 1.05, rel=1e-4)
    again = told(
        PICTURES, ("is the red circle large ?", WRONG), ("is the red circle large ?", RIGHT), hints=["", ""], step=1
    )
    bandit.see(again)  # known about the first picture, new about the second
    assert values(bandit)["circle red"] == (2, 2, 1)


def test_a_phrase_counts_the_questions_that_were_asked_for_it():
    bandit = Bandit([Hint("reading a sign"), Hint("mirrors")], BanditOptions(grows=False))
    bandit.see(
        told(PICTURES, ("what does it say ?", WRONG), ("reading a sign ?", RIGHT), hints=["reading a sign", "mirrors"])
    )
    assert values(bandit) == {"reading a sign": (1, 1, 1), "mirrors": (1, 1, 0)}


def test_failures_bring_their_words_their_pairs_and_two_failed_hints_at_once():
    bandit = Bandit(PAIRS[:2])
    bandit.see(told(PICTURES, ("is the red circle striped ?", RIGHT), hints=["circle red"]))
    bandit.see(told(
        PICTURES,
        ("is the red circle plain ?", WRONG), ("how many blue stars ?", WRONG), hints=["circle red", "blue star"],
        step=1,
    ))  # fmt: skip
    found = values(bandit)
    assert found["circle"] == (0, 2, 1) and found["circle plain"] == (0, 1, 1)  # with what was asked before they came
    assert found["blue many"] == (0, 1, 1)
    assert found["blue circle red star"] == (0, 0, 0)
    assert "striped" not in found, "what did not fail brings nothing"


def test_no_more_hints_are_taken_up_than_there_may_be():
    bandit = Bandit(PAIRS, BanditOptions(most=4))
    bandit.see(told(PICTURES, ("is the green cross small ?", WRONG), hints=["circle red"]))
    assert len(bandit.values()) == 4


def chosen(failures, n=40, pulled=0, count=400, **options):
    """How often each of two hints is pulled: the first failed `failures` times of n, the second never of n."""
    bandit = Bandit([Hint.of(["red"]), Hint.of(["blue"])], BanditOptions(grows=False, **options))
    pictures = [SOURCE[0]] * n
    for step, (word, wrong) in enumerate((("red", failures), ("blue", 0))):
        became = [(f"is the {word} one {i} ?", WRONG if i < wrong else RIGHT) for i in range(n)]
        hints = ["red" if i < pulled and word == "red" else "" for i in range(n)]
        bandit.see(told(pictures, *became, hints=hints, step=step))
    found = list(itertools.chain(*(bandit.choose(1, seed=3, step=step) for step in range(count))))
    return found.count("red") / count


def test_what_fails_is_asked_for_until_its_kind_is_known():
    rare = chosen(0)
    assert 0.4 < rare < 0.6, "nothing tells two equal hints apart"
    assert chosen(10) > 0.8
    assert chosen(10, cap=1.0) < chosen(10) - 0.3, "failures found make a kind worth less"
    assert chosen(10, pulled=40) < chosen(10) - 0.1, "and so do pulls"


def test_the_draws_are_those_of_the_stated_posterior():
    bandit = Bandit(PAIRS, BanditOptions(grows=False))
    bandit.see(
        told(PICTURES, ("is the red circle large ?", WRONG), ("is a blue star red ?", RIGHT), hints=["circle red", ""])
    )
    rng = np.random.default_rng([7, 5])
    base = 20 * 2 / 22  # of two judged pairs one failed
    n, f, pulls = np.array([1, 1, 0]), np.array([1, 0, 0]), np.array([1, 0, 0])
    expected = []
    for _ in range(9):
        value = rng.beta(base + f, 20 + n - f) / (1 + f / 10) / (1 + 0.05 * pulls)
        best = int(value.argmax())
        pulls[best] += 1
        expected.append(["circle red", "blue star", "large square"][best])
    assert bandit.choose(9, seed=7, step=5) == expected
    assert bandit.choose(9, seed=7, step=5) == expected, "choosing changes nothing until the step is seen"


def test_hints_are_read_and_refused(tmp_path):
    skills = [hint.text for hint in read_hints()]
    assert 70 <= len(skills) <= 100 and "negation: what is not there or not so" in skills
    assert all(line.startswith("#") or not line or line in skills for line in SKILLS.read_text().splitlines())
    (tmp_path / "none.txt").write_text("# nothing\n\n")
    with pytest.raises(ValueError, match=r"\[read_hints\] hints: expected at least one, got none"):
        read_hints(tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"\[Bandit\] hints: expected different texts, got 'circle red' twice"):
        Bandit([PAIRS[0], PAIRS[0]])
    with pytest.raises(ValueError, match=r"\[BanditOptions\] cap: expected .*, got 0"):
        BanditOptions(cap=0)
    assert content_words("How many of THE red circles are not left of 2?") == {
        "many",
        "red",
        "circles",
        "not",
        "left",
    }
    assert [hint.text for hint in word_hints(["b", "a"])] == ["a", "b", "a b"]
    assert UniformHints(PAIRS).choose(5, seed=1, step=2) == UniformHints(PAIRS).choose(5, seed=1, step=2)


class Recorded:
    """Keeps what it is shown."""

    identity = "recorded"

    def __init__(self):
        self.rounds = []

    def choose(self, count, *, seed, step):
        return [f"hint {step}"] * count

    def see(self, round):
        self.rounds.append(round)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as made:
        yield made


def endpoint_run(ledger, url, hints, *, resumed=False, **more):
    """Probes with a questioner behind an endpoint; no model is in this process."""
    answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
    ledger.begin(RunRecord(id="run"), replace=True)
    images = shuffled(of_run(SOURCE, ledger, "run"), 3, seed=0)
    asker = ChatAsker(client(url), sampling=Sampling(temperature=1.0, max_tokens=99, seed=1), hints=hints)
    return probe(
        asker, answerer, OracleVerifier(), images, calls=70, k=2, group_size=2, seed=4, ledger=ledger, resumed=resumed,
        annotate=annotator(answerer), **more,
    )  # fmt: skip


def hints_by_step(ledger):
    """Of each step the hints of its pictures, each once, as the ledger has them."""
    return [
        [next(iter(said)) for _, each in itertools.groupby(step.questions, key=lambda q: q.sequence // 2)
         if len(said := {question.annotations["hint"] for question in each}) == 1]
        for step in ledger.each_step("run")
    ]  # fmt: skip


@needs_chat_client
def test_a_questioner_behind_an_endpoint_is_told_hints_and_the_ledger_has_them(ledger):
    model = Obedient(SOURCE)
    with saying(model) as server:
        found = endpoint_run(ledger, server.url, Bandit(PAIRS))
    assert found.calls == 70
    by_step = hints_by_step(ledger)
    assert all(len(hints) == 3 for hints in by_step), "one for each picture, the same for its group"
    assert Counter(model.hints) == Counter(hint for hints in by_step for hint in hints for _ in range(2))
    assert set(by_step[0]) <= {hint.text for hint in PAIRS}
    assert any(hint not in {pair.text for pair in PAIRS} for hints in by_step for hint in hints), "failures bring hints"


@needs_chat_client
def test_a_run_that_is_stopped_goes_on_with_the_same_hints_and_pays_no_call_twice(ledger, tmp_path):
    whole, stopped, rest = Obedient(SOURCE), Obedient(SOURCE, stops_at=30), Obedient(SOURCE)
    bandits = [Bandit(PAIRS) for _ in range(3)]
    with Ledger(tmp_path / "other.sqlite") as other:
        with saying(whole) as server:
            endpoint_run(other, server.url, bandits[0])
        with saying(stopped) as server, pytest.raises(Unserved):
            endpoint_run(ledger, server.url, bandits[1])
        done = sum(len(step.sequences) for step in ledger.each_step("run"))
        assert 12 <= done <= 30
        with saying(rest) as server:
            endpoint_run(ledger, server.url, bandits[2], resumed=True)
        assert hints_by_step(ledger) == hints_by_step(other)
    assert bandits[2].values() == bandits[0].values()
    assert len(rest.hints) == len(whole.hints) - done


@needs_chat_client
def test_steps_side_by_side_are_asked_by_the_same_steps_each_time(ledger, tmp_path):
    bandits = Bandit(PAIRS), Bandit(PAIRS)
    with Ledger(tmp_path / "other.sqlite") as other, saying(Obedient(SOURCE)) as server:
        endpoint_run(ledger, server.url, bandits[0], overlap=True)
        endpoint_run(other, server.url, bandits[1], overlap=True)
        assert hints_by_step(ledger) == hints_by_step(other)


def test_what_the_world_knows_is_not_shown_to_what_learns():
    round = replace(
        told(PICTURES, ("is it red ?", WRONG), hints=["red"]), annotations=[{"program": "exist", "triggered": "f"}]
    )
    learner = Recorded()
    show_learner(SimpleNamespace(learner=learner), round)
    [seen] = learner.rounds
    assert not seen.annotations and seen.hints == ["red"] and seen.correct.tolist() == [0]


def test_an_evaluation_teaches_nothing_and_a_questioner_in_this_process_is_told_hints(ledger):
    learner = Recorded()
    asker = Questioner(tiny.load("questioner")).with_preface(Hinted(learner, lambda k, hint: f"ask {k} questions"))
    assert learner_of(asker) is learner and isinstance(learner, Learns)
    assert learner_of(Questioner(tiny.load("questioner"))) is None
    task = task_of(ledger, calls=20)
    ZeroShot(asker=asker).run(task)
    steps = list(ledger.each_step("zero-shot"))
    assert [round.place.step for round in learner.rounds] == [step.step for step in steps]
    assert [round.hints for round in learner.rounds] == [
        [question.annotations["hint"] for question in step.questions] for step in steps
    ]
    evaluate(asker, task, HELD_OUT, n=10, name="zero-shot")
    assert len(learner.rounds) == len(steps)


def test_a_trainer_shows_each_step_once_in_order_and_a_checkpoint_is_taken_up_after_those_before_it(tmp_path):
    def trainer(learner, ledger):
        made = make(ledger=ledger)
        made.questioner = made.questioner.with_preface(Hinted(learner, lambda k, hint: f"ask {k} questions"))
        return made

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first = Recorded()
        live = trainer(first, ledger)
        live.train(1)
        live.save(tmp_path / "saved")
        live.train(1)
        assert [round.place.step for round in first.rounds] == [0, 1]
        again = Recorded()
        resumed = trainer(again, ledger)
        resumed.load(tmp_path / "saved")
        assert [round.place.step for round in again.rounds] == [0]
        resumed.train(1)
        for one, other in zip(first.rounds, again.rounds, strict=True):
            assert (one.questions.text, one.hints) == (other.questions.text, other.hints)
            assert one.correct.tolist() == other.correct.tolist()
