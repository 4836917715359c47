"""A finished run seen again: other verdicts and rewards stand beside the first, and nobody is asked for answers."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from support.ledgers import RUN, make_step
from support.tiny_runs import make
from vlmprobe import reward
from vlmprobe.ledger import Ledger, RecordedQuestions
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.replies import Criteria, Failure, Judgement
from vlmprobe.review.again import rejudge, reweight
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

STEPS = 3
IMAGES = WorldImages(3, seed=11)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("judgings") / "ledger.sqlite"
    with Ledger(path) as ledger:
        make(ledger=ledger).train(STEPS)
    return path


@pytest.fixture
def ledger(finished, tmp_path):
    with Ledger(shutil.copy(finished, tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


class Severe:
    """Holds everything valid and every answer wrong; breaks down after so many steps."""

    identity, prompt_sha256 = "severe@1", "ab"

    def __init__(self, steps=99):
        self.left = steps

    def validity(self, images, questions):
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("down")
        return [Criteria(grammatical=True, atomic=True, grounded=True, objective=True)] * len(questions)

    def correctness(self, images, questions, answers):
        return [Judgement(correct=False, reason="never")] * len(questions)


def steps(ledger, judging=None):
    return [ledger.step("run", "train", step, judging=judging) for step in range(STEPS)]


def first_tables(ledger):
    return [line for line in ledger.dump() if '"table": "judg' not in line]


def tally(ledger, judging=None):
    found = RecordedQuestions()
    for step in steps(ledger, judging):
        found.add(step)
    return found


def test_the_same_verifier_says_the_same_again(ledger):
    assert rejudge(ledger, "run", OracleVerifier(), IMAGES, name="again") == STEPS
    for old, new in zip(steps(ledger), steps(ledger, "again"), strict=True):
        assert [q.verdict for q in new.questions] == [q.verdict for q in old.questions]
        assert [q.answer for q in new.questions] == [q.answer for q in old.questions]
        assert all(q.rewards == {} for q in new.questions) and all(s.reward is None for s in new.sequences)


def test_another_verifiers_verdicts_stand_beside_the_first(ledger):
    before, first = first_tables(ledger), tally(ledger)
    rejudge(ledger, "run", Severe(), IMAGES, name="severe")
    assert first_tables(ledger) == before
    severe = tally(ledger, "severe")
    assert len(severe.failures()) == first.calls > len(first.failures())  # every answer that there is
    assert len(severe.valid()) > len(first.valid())
    never_asked = [q for _, q in severe.valid() if q.answer is None]
    assert never_asked and all(q.verdict.correct is None for q in never_asked)
    query = "SELECT DISTINCT identity, prompt_sha256 FROM judging_verdicts JOIN judges USING (judge_id)"
    assert ledger._db.execute(query).fetchall() == [("severe@1", "ab")]


def test_a_verifier_that_breaks_down_goes_on_where_it_was(ledger):
    with pytest.raises(ConnectionError):
        rejudge(ledger, "run", Severe(2), IMAGES, name="severe")
    assert rejudge(ledger, "run", Severe(1), IMAGES, name="severe") == 1
    assert rejudge(ledger, "run", Severe(0), IMAGES, name="severe") == 0
    assert len(tally(ledger, "severe").failures()) == tally(ledger).calls


def test_a_verdict_that_is_missing_stays_unknown(ledger):
    class Down(Severe):
        def correctness(self, images, questions, answers):
            return [Judgement(failure=Failure.TRANSPORT)] * len(questions)

    rejudge(ledger, "run", Down(), IMAGES, name="down")
    assert tally(ledger, "down").failures() == []
    answered = [q for step in steps(ledger, "down") for q in step.questions if q.answer is not None]
    assert {(q.verdict.correct, q.verdict.failure) for q in answered} == {(None, "transport")}


def test_other_pictures_than_the_runs_are_refused(ledger):
    with pytest.raises(ValueError, match=r"^\[rejudge\] images\[\d\]: expected \w{12} as recorded, got \w{12}$"):
        rejudge(ledger, "run", OracleVerifier(), WorldImages(3, seed=12), name="again")


def test_the_runs_own_reward_comes_out_bit_for_bit(ledger):
    reweight(ledger, "run", reward.paper(), HashedNgramEmbedder(), name="paper")
    for old, new in zip(steps(ledger), steps(ledger, "paper"), strict=True):
        assert [q.rewards for q in new.questions] == [q.rewards for q in old.questions]
        assert [s.reward for s in new.sequences] == [s.reward for s in old.sequences]
    assert any(0 < (q.rewards["semantic"] or 0) < 1 for q in steps(ledger, "paper")[-1].questions)


def test_another_reward_stands_beside_the_first(ledger):
    before = first_tables(ledger)
    reweight(ledger, "run", reward.parse("valid * wrong - 0.5 * invalid"), HashedNgramEmbedder(), name="plain")
    assert first_tables(ledger) == before
    totals = {q.rewards["total"] for step in steps(ledger, "plain") for q in step.questions}
    assert totals == {0.0, 1.0, -0.5}


def test_a_reward_over_other_verdicts_sees_those(ledger):
    rejudge(ledger, "run", Severe(), IMAGES, name="severe")
    reweight(ledger, "run", reward.parse("valid * wrong"), HashedNgramEmbedder(), name="both", base="severe")
    questions = [q for step in steps(ledger, "both") for q in step.questions]
    answered = [q for q in questions if q.answer is not None]
    assert {q.rewards["total"] for q in answered} == {1.0} and {q.verdict.judge for q in answered} == {"severe@1"}
    assert {q.rewards["total"] for q in questions if q.status == "ok" and q.answer is None} == {None}


def test_a_name_means_one_thing(ledger):
    reweight(ledger, "run", reward.paper(), HashedNgramEmbedder(), name="a")
    with pytest.raises(
        ValueError, match=r"judging 'a' is another: expected base None, reward '0\.5 .*', got None, None"
    ):
        rejudge(ledger, "run", OracleVerifier(), IMAGES, name="a")
    with pytest.raises(ValueError, match=r"base: expected another verifier's verdicts, got the reward 'a'"):
        reweight(ledger, "run", reward.paper(), HashedNgramEmbedder(), name="b", base="a")
    with pytest.raises(ValueError, match=r"^\[Ledger\] judging: expected one of a, got 'c'$"):
        ledger.step("run", "train", 0, judging="c")


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "caf\udce9"])
def test_a_name_that_nobody_sees_or_that_is_no_utf8_is_none(ledger, name):
    before = list(ledger.dump())
    with pytest.raises(ValueError, match=r"^\[Ledger\.begin_judging\] name: expected letters in UTF-8, got '"):
        rejudge(ledger, "run", OracleVerifier(), IMAGES, name=name)
    assert list(ledger.dump()) == before


@pytest.fixture
def hostile(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        questions = list(make_step().questions)
        questions[0] = type(questions[0])(**{**vars(questions[0]), "text": "=cmd|' /C calc'!A0\x00\n\u202e\"" * 10_000})
        ledger.record(make_step(questions=questions))
        yield ledger


def test_exports_hold_every_question_whole(hostile, tmp_path):
    import pyarrow.parquet

    assert hostile.export(tmp_path / "all.jsonl") == hostile.export(tmp_path / "all.parquet") == 4
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pylist()
    for name in ("rewards", "annotations"):
        for row in table:
            row[name] = json.loads(row[name])
    assert table == lines
    assert (
        lines[0]["question"] == hostile.step("demo", "train", 0).questions[0].text and len(lines[0]["question"]) > 10**5
    )
    assert [(row["valid"], row["correct"], row["found"], row["asked"]) for row in lines] == [
        (True, False, True, True),
        (True, True, False, True),
        (False, None, None, False),
        (None, None, None, False),
    ]
    assert lines[0]["rewards"] == {"lexical": 0.5, "semantic": 1.0, "total": 0.75}
    assert lines[0]["annotations"] == {"family": "count", "faults": ["c1"], "truth": "3"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".jsonl", ".parquet", ".part")) == [
        "all.jsonl",
        "all.parquet",
    ]


@pytest.mark.parametrize("ending", [b".jsonl", b".parquet"])
def test_an_export_may_have_a_name_that_is_no_utf8(hostile, tmp_path, ending):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9" + ending))
    assert hostile.export(path) == 4 and path.stat().st_size


def test_an_export_names_what_it_needs(hostile, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"path: expected a name that ends in \.jsonl or \.parquet, got 'all\.xlsx'"):
        hostile.export(tmp_path / "all.xlsx")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'vlmprobe\[parquet\]'"):
        hostile.export(tmp_path / "all.parquet")
