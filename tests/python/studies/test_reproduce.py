"""`vlmprobe reproduce`: the arms of the paper, results that depend on the seed alone, claims, real models by name."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.tiny_runs import dump
from vlmprobe import cli
from vlmprobe._native import core
from vlmprobe.ledger import Ledger
from vlmprobe.methods import pool, pool_runs
from vlmprobe.run.directory import versions
from vlmprobe.studies import comparisons
from vlmprobe.studies.arms import EVALUATOR
from vlmprobe.studies.claims import CLAIMS, verdict
from vlmprobe.studies.comparisons import Above, Difference, Flat
from vlmprobe.studies.config import parse
from vlmprobe.studies.plan import PAPER, SMALL, arms
from vlmprobe.studies.setup import FileSetup
from vlmprobe.studies.tables import published
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import NoisyVerifier, OracleVerifier

TINY = {
    "pool": 4,
    "held_out": 10,
    "calls": 40,
    "n": 40,
    "equal_n": 20,
    "sft_images": 12,
    "above": 2,
    "group_size": 4,
    "images_per_step": 2,
}


def config(path, **more):
    path.write_text(json.dumps({"scale": TINY, "embedder": "hashed", **more}))
    return str(path)


def reproduce(run, *words):
    return cli.main(["reproduce", "--run", str(run), "--jobs", "2", *words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    assert reproduce(folder / "run", "--config", config(folder / "config.json"), "--tables", "1") == 0
    return folder / "run"


def results(run):
    return json.loads((run / "results.json").read_text())


def test_every_row_that_the_paper_prints_has_an_arm_and_no_arm_is_there_twice():
    planned = arms(SMALL)
    names = [arm.name for arm in planned]
    assert len(set(names)) == len(names)
    for number in range(1, 6):
        printed = published()[f"table-{number}"]
        assert printed.keys() <= {arm.name for arm in planned if number in arm.tables}
    assert sum(map(len, (published()[f"table-{n}"] for n in range(1, 6)))) == 29
    assert {name for claim in CLAIMS for name in claim.arms} <= set(names)
    assert [arm.name for arm in arms(SMALL, tables=(3,))] == ["RL", "RL k=1", "RL k=4"]
    assert {"random valid", "template sweep"}.isdisjoint(arm.name for arm in arms(PAPER, world=False))


def test_all_six_methods_and_the_controls_have_a_row_beside_the_papers_numbers(finished):
    (table, *_) = results(finished)["tables"]
    rows = {row["labels"][0]: row for row in table["rows"]}
    assert list(rows)[:6] == ["zero-shot", "SFT", "Expert Iteration", "ConMe", "RL", "RL+SFT"]
    assert rows["RL"]["paper"]["fdr"] == 47.58 and rows["random valid"]["paper"] == {}
    for row in rows.values():
        qvr = row["ours"]["qvr"]
        assert 0 <= qvr["low"] <= qvr["value"] <= qvr["high"] <= 1
        assert row["ours"]["fdr"]["n"] >= 20 and row["ours"]["sd"]["n"] == 20
    assert table["notes"][0].startswith("Unscored, of QVR and of FDR") and "template sweep: 0 and " in table["notes"][0]
    assert rows["random valid"]["ours"]["qvr"]["value"] == 1  # by the evaluator, who knows


def test_the_report_has_its_files(finished):
    assert {"report.html", "report.md", "results.json", "figures"} <= {path.name for path in finished.iterdir()}
    names = {path.name for path in (finished / "figures").iterdir()}
    assert names == {f"{name}.svg" for name in ("figure-4", "figure-5a", "figure-5b", "figure-6", "figure-7", "curve")}


def test_two_runs_with_one_seed_make_the_same_results_whatever_runs_beside(finished, tmp_path):
    words = ["--config", config(tmp_path / "config.json"), "--tables", "1", "--jobs", "1"]
    assert reproduce(tmp_path / "run", *words) == 0
    again, before = results(tmp_path / "run"), results(finished)
    assert again == before
    dumps = [dump(run / "seed-0" / "rl" / "ledger.sqlite") for run in (finished, tmp_path / "run")]
    assert dumps[0] == dumps[1]


def test_what_has_ended_is_not_run_again_and_other_settings_are_refused(finished, tmp_path, capsys):
    done = finished / "seed-0" / "rl" / "done.json"
    before = done.read_text(), results(finished)
    assert reproduce(finished, "--config", config(tmp_path / "config.json"), "--tables", "1") == 0
    assert "0 of 9 arms to run" in capsys.readouterr().err
    assert (done.read_text(), results(finished)) == before
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"scale": TINY | {"n": 41}, "embedder": "hashed"}))
    assert reproduce(finished, "--config", str(path), "--tables", "1") == 2
    assert "expected an arm that was run with n 41, got 40" in capsys.readouterr().err
    assert reproduce(finished, "--config", str(path), "--tables", "1", "--report-only") == 2
    assert "expected an arm that was run with n 41, got 40" in capsys.readouterr().err


def test_what_was_run_with_is_read_from_the_ledgers(finished):
    found = results(finished)
    assert found["versions"] == versions() and found["settings"]["judge_pool"] is True
    with Ledger(finished / "seed-0" / "expert-iteration" / "ledger.sqlite", read_only=True) as ledger:
        runs = pool_runs(ledger, "Expert Iteration")
        assert runs == [f"Expert Iteration/round-{n}" for n in range(SMALL.rounds)]
        seen = {judging: pool(ledger, "Expert Iteration", judging=judging) for judging in (None, EVALUATOR)}
    asked = {judging: [question.text for _, question in tally.rows] for judging, tally in seen.items()}
    assert asked[None] == asked[EVALUATOR]
    judges = {judging: {q.verdict.judge for _, q in tally.rows if q.verdict} for judging, tally in seen.items()}
    assert judges == {None: {NoisyVerifier().identity}, EVALUATOR: {OracleVerifier.identity}}


def test_a_claim_holds_fails_or_is_undecided():
    up, down, open_ = Difference("", 2, 1, 3), Difference("", -2, -3, -1), Difference("", 1, -1, 3)
    assert verdict([up, up], [up, up], seeds=2) == "holds"
    assert verdict([up, down], [up, down], seeds=2) == "does not hold" == verdict([open_, down], [open_, down], seeds=5)
    assert verdict([up, down], [up, open_], seeds=2) == "undecided"  # one of two, below 0 only when not corrected
    assert verdict([up, open_], [up, open_], seeds=2) == "undecided"
    assert verdict([up, replace(open_, value=math.nan)], [up, up], seeds=2) == "not measured"
    assert verdict([up], [up], seeds=1) == "points to it" and verdict([down], [down], seeds=1) == "points against it"
    assert str(replace(up, text="FDR:", points=True)) == "FDR: +200 [+100, +300] points"


def test_a_flat_curve_is_one_whose_rise_is_small_with_its_interval(monkeypatch):
    def difference(value, low, high):
        monkeypatch.setattr(comparisons, "rises", lambda seeds: [(value, low, high)])
        return Flat("SFT").joined(comparisons.rises([]))

    assert difference(0.01, -0.02, 0.04).low == pytest.approx(0.01)
    assert difference(0.01, -0.02, 0.06).low < 0 < difference(0.01, -0.02, 0.06).high
    assert difference(0.1, 0.06, 0.14).high < 0 and difference(-0.1, -0.14, -0.06).high < 0


def test_a_claims_numbers_of_the_paper_are_those_of_its_table():
    by_id = {claim.id: claim for claim in CLAIMS}
    assert by_id["no-lexical"].paper == "LD: RL 0.53, RL no lexical 0.19; FDR: RL no lexical 56.54, RL 47.58"
    assert by_id["curves"].paper == "not published" and by_id["exclusive"].paper == "RL 36, SFT 17"
    assert Above("fdr", "RL", "SFT").arms == ("RL", "SFT")


def test_wrong_input_says_what_was_expected(tmp_path, capsys):
    def said(*words):
        assert reproduce(tmp_path / "run", *words) == 2
        return capsys.readouterr().err

    def written(content):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(content))
        return str(path)

    assert "scale: expected --config with models" in said("--scale", "paper")
    assert "expected a JSON file" in said("--config", str(tmp_path / "none.json"))
    assert "[Scale] expected above, beta" in said("--config", written({"scale": {"steps": 3}}))
    assert "config: evaluation_images: expected a value" in said("--config", written({"images": "a"}))
    assert "picture: expected one of images, " in said("--config", written({"picture": "a"}))
    assert "seed: expected different seeds, got 1 1" in said("--seed", "1", "1")
    assert "seed: expected 0 to 2**32 - 1, got -1" in said("--seed", "-1")
    assert "expected an arm that has ended" in said("--report-only")
    assert "config.scale: expected an object, got 5" in said("--config", written({"scale": 5}))
    assert "config.embedder: expected minilm or hashed, got 'bert'" in said("--config", written({"embedder": "bert"}))


def test_a_dry_run_lists_the_arms_and_runs_none(tmp_path, capsys):
    assert reproduce(tmp_path / "run", "--dry-run", "--tables", "3", "--seed", "0", "1") == 0
    said = capsys.readouterr().out
    calls = 2 * 3 * (SMALL.calls + SMALL.n)
    assert said.splitlines()[-1] == f"3 arms, 2 seeds, {calls} answerer calls in all"
    assert not (tmp_path / "run").exists()
    assert reproduce(tmp_path / "run", "--dry-run", "--tables", "1") == 0
    first = 2 * (SMALL.n // 2) * 2  # of ConMe and RL ConMe: two questions before the two of a sequence
    assert capsys.readouterr().out.endswith(f" and about {first} for first turns in ConMe's evaluation\n")


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # connections that wait; with the default of 5 the others come again a second later


class Judge(BaseHTTPRequestHandler):
    """A chat server that answers, and holds every question valid; an answer is right by its hash."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = json.dumps(json.loads(body)["messages"])
        if "four criteria" in text:
            criteria = dict.fromkeys(("grammatical", "atomic", "grounded", "objective"), True)
            said = f"<verdict>{json.dumps({'reason': 'a', **criteria})}</verdict>"
        elif "whether an answer" in text:
            said = f'<verdict>{{"reason": "b", "correct": {json.dumps(core.hash(text) % 2 == 0)}}}</verdict>'
        else:
            said = "two"
        message = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        reply = json.dumps({"object": "chat.completion", "choices": [message], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


@pytest.mark.skipif(
    not core.models.has_chat_client(), reason="libcurl is missing: apt-get install libcurl4-openssl-dev"
)
def test_names_of_checkpoints_folders_and_endpoints_are_all_that_real_models_need(tmp_path):
    server = Server(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    (tmp_path / "images").mkdir()
    source = WorldImages(14, seed=3)
    for i in range(14):
        source[i].pixels.save(tmp_path / "images" / f"{i}.png")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "questioner.txt").write_text("ask {k} questions")
    rows = [{"image": f"{i}.png", "question": text} for i in range(4) for text in ("is there a star ?", "any circle ?")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    checkpoint = {"model": str(tiny.WEIGHTS / "questioner")}
    written = config(
        tmp_path / "config.json",
        images=str(tmp_path / "images"),
        evaluation_images=str(tmp_path / "images"),
        questioners={"small": checkpoint, "large": checkpoint},
        answerers={size: {"model": f"answerer-{size}", "endpoint": url} for size in ("small", "medium", "large")},
        verifier={"model": "judge", "endpoint": url},
        evaluator={"model": "other-judge", "endpoint": url},
        prompts=str(tmp_path / "prompts"),
        sft_rows=str(tmp_path / "rows.jsonl"),
    )
    try:
        assert reproduce(tmp_path / "run", "--config", written, "--scale", "small", "--tables", "3") == 0
    finally:
        server.shutdown()
    found = results(tmp_path / "run")
    assert not found["world"] and [row["labels"] for row in found["tables"][0]["rows"]] == [["1"], ["2"], ["4"]]
    for row in found["tables"][0]["rows"]:
        assert 0 < row["ours"]["fdr"]["value"] < 1 and "faults" not in row["ours"]
        assert row["ours"]["skills"]["value"] is None  # nobody named any
    assert "figure-4" not in found["figures"] and "figure-7" in found["figures"]
    with Ledger(tmp_path / "run" / "seed-0" / "rl" / "ledger.sqlite", read_only=True) as ledger:
        used = {role: ledger.spent("RL", role).calls for role in ("answerer", "verifier", "evaluator")}
    assert all(used.values())
    setup = FileSetup(
        scale=SMALL.changed(TINY), config=parse(json.loads((tmp_path / "config.json").read_text())), embedding="hashed"
    )
    keys = [{source[i].key for i in range(len(source))} for source in (setup.pool, setup.held_out)]
    assert [len(each) for each in keys] == [4, 10] and not keys[0] & keys[1]  # from one folder, none in both
    assert [setup.pool[i].id for i in range(4)] == [0, 1, 2, 3] and setup.settings()["embedder"] == "hashed"
    moved = json.loads((tmp_path / "config.json").read_text())
    moved["verifier"] |= {"endpoint": "http://127.0.0.1:1/v1", "client": {"max_calls": 9}}
    assert FileSetup(scale=setup.scale, config=parse(moved), embedding="hashed").settings() == setup.settings()
    moved["verifier"]["model"] = "other"
    assert FileSetup(scale=setup.scale, config=parse(moved), embedding="hashed").settings() != setup.settings()
    moved["evaluation_images"] = str(tmp_path)
    with pytest.raises(
        ValueError, match=r"config\.evaluation_images: expected a folder apart from images, or the same"
    ):
        len(FileSetup(scale=setup.scale, config=parse(moved), embedding="hashed").held_out)
    few = FileSetup(scale=setup.scale.changed({"pool": 5}), config=setup.config, embedding="hashed")
    with pytest.raises(ValueError, match=r"config\.images: expected at least 15 pictures, got 14"):
        len(few.pool)


def test_skills_by_a_taxonomy_stand_beside_the_worlds_own(finished):
    (table,) = [each for each in results(finished)["tables"] if each["id"] == "taxonomy"]
    methods = [row["labels"][0] for row in table["rows"]]
    assert methods[:6] == ["zero-shot", "SFT", "Expert Iteration", "ConMe", "RL", "RL+SFT"]
    for row in table["rows"]:
        ours = row["ours"]
        assert ours["coverage_taxonomy"]["value"] > 1 and ours["coverage_world"]["value"] >= 1
        assert ours["skills_taxonomy"]["n"] == ours["skills_world"]["n"] == ours["ami"]["n"] == 20
        assert ours["combinations_taxonomy"]["value"] <= 20
    valid = next(row["ours"] for row in table["rows"] if row["labels"] == ["random valid"])
    assert valid["ami"]["value"] > 0.3  # 20 questions, by hashed n-grams
    assert "One taxonomy of all methods" in table["notes"][0]
