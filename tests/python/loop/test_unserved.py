"""Nobody trains on nothing: a step of which no call of a role came through is not made, in any loop."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from support.planned_server import planned
from support.rounds import asked
from support.tiny_runs import TINY, dump, make, whole_state
from vlmprobe.data.order import in_order
from vlmprobe.ledger import Ledger, RecordedModel, RunRecord, StepRecord
from vlmprobe.loop.examine import examine
from vlmprobe.methods import RL, ChatAsker, ConMeAsker, RandomValid, Task, expert_iteration
from vlmprobe.methods.rows import world_rows
from vlmprobe.models.chat import ChatClient
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.judges import ModelAnswerer
from vlmprobe.models.model import Message, ModelReply, Request, Status, http_status
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.models.service import Call, Service, StepNotMade, Unserved
from vlmprobe.policy.questioner import Questioner
from vlmprobe.review.again import rejudge
from vlmprobe.run.canaries import CanaryVerifier
from vlmprobe.run.probe import probe
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

IMAGES = WorldImages(6, seed=31)
DENIED = (Failure.REJECTED, "HTTP 402: Insufficient credits")
TOO_LARGE = (Failure.REJECTED, "HTTP 413: the picture is too large")


class Door:
    """Answerer or verifier that can be shut: every call fails then."""

    def __init__(self, inner, identity):
        self.inner, self.identity, self.shut = inner, identity, None

    def answer(self, images, questions):
        if self.shut is None:
            return self.inner.answer(images, questions)
        return [Reply(failure=self.shut[0], error=self.shut[1])] * len(questions)

    def validity(self, images, questions):
        if self.shut is None:
            return self.inner.validity(images, questions)
        return [Criteria(failure=self.shut[0], reason=self.shut[1])] * len(questions)

    def correctness(self, images, questions, answers):
        if self.shut is None:
            return self.inner.correctness(images, questions, answers)
        return [Judgement(failure=self.shut[0], reason=self.shut[1])] * len(questions)


@pytest.fixture
def server():
    with planned() as server:
        yield server


def doors():
    return {"answerer": Door(ExecutingAnswerer(), "answering"), "verifier": Door(OracleVerifier(), "judging")}


class Scripted:
    """A model behind a place; says what `said(request)` gives."""

    identity, endpoints = "scripted@1", ("http://10.0.0.1/v1",)

    def __init__(self, said):
        self.said, self.asked = said, 0

    def reply(self, requests):
        self.asked += len(requests)
        return [self.said(request) for request in requests]


def refusing(error, status=Status.REJECTED):
    return Scripted(lambda _: ModelReply(status=status, error=error))


def ask(text="How many?"):
    return [Request(messages=[Message(role="user", text=text)])]


def of_one(*failures):
    return [Call(failure, "HTTP 400: too thin", about=7) for failure in failures]


def test_a_step_is_served_by_a_single_reply_and_by_one_that_is_useless():
    for served in (None, Failure.TRUNCATED, Failure.EMPTY, Failure.REFUSAL, Failure.UNPARSABLE):
        Service().check("verifier", None, [Call(Failure.REJECTED, "HTTP 401: no")] * 99 + [Call(served)])
        Service().check("verifier", None, [Call(served)] * 4)
    Service().check("verifier", None, [])
    for failure in (Failure.REJECTED, Failure.TRANSPORT, Failure.TIMEOUT):
        with pytest.raises(Unserved):
            Service().check("verifier", None, [Call(failure)])


def test_the_error_is_one_line_with_role_place_number_and_the_servers_words():
    calls = [Call(Failure.TIMEOUT, "no reply"), *[Call(Failure.REJECTED, "HTTP 403: not\n  for  you")] * 3]
    with pytest.raises(Unserved) as caught:
        Service().check("verifier", ModelAnswerer(refusing("")), calls)
    assert str(caught.value) == (
        "[verifier] scripted@1 at http://10.0.0.1/v1: expected a reply, got none to 4 calls (rejected 3, timeout 1): "
        "HTTP 403: not for you; the step is not made: put this right, then go on from the last checkpoint"
    )


def test_what_may_be_one_pictures_own_fault_is_passed_over_once_where_the_role_was_served_before():
    service, thin = Service(), of_one(Failure.REJECTED, Failure.REJECTED)
    with pytest.raises(Unserved):
        service.check("answerer", None, thin)  # never served: the fault may be anything
    service.check("answerer", None, [Call(None)])
    service.check("answerer", None, thin)
    with pytest.raises(Unserved):
        service.check("answerer", None, thin)
    for calls in (
        [*thin, Call(Failure.REJECTED, "HTTP 400: too thin", about=8)],  # two pictures
        [*thin, Call(Failure.TIMEOUT, "no reply before the deadline", about=7)],
        [Call(Failure.REJECTED, "HTTP 401: no", about=7)],
        [Call(Failure.REJECTED, "not in the script", about=7)],
    ):
        service.check("answerer", None, [Call(None)])
        with pytest.raises(Unserved):
            service.check("answerer", None, calls)


def test_only_a_closed_list_of_refusals_by_http_is_the_requests_own_fault():
    def final(error):
        return ModelReply(status=Status.REJECTED, error=error).final

    assert {status for status in range(300, 600) if final(f"HTTP {status}: words")} == {400, 413, 414, 415, 422}
    assert [http_status(error) for error in ("", "HTTP", "HTTP 4000: x", "it says HTTP 400: x")] == [None] * 4
    assert final("not in the script")  # as the model itself says by its status


@pytest.mark.parametrize(
    ("error", "again"),
    [
        *((f"HTTP {status}: no", True) for status in (302, 401, 402, 403, 404, 405, 410, 429)),
        *((f"HTTP {status}: no", False) for status in (400, 413, 422)),
        ("not in the script", False),
    ],
)
def test_what_its_sender_puts_right_is_asked_again_and_what_the_request_caused_is_not(error, again):
    with Ledger(":memory:") as ledger:
        ledger.begin(RunRecord(id="r"))
        ledger.at("r", "train", 3)
        model = refusing(error)
        recorded = RecordedModel(model, ledger, role="verifier")
        assert recorded.reply(ask())[0].error == error
        model.said = lambda _: ModelReply(status=Status.OK, text="two")
        assert (recorded.reply(ask())[0].status is Status.OK) is again
        assert model.asked == 1 + again
        assert recorded.reply(ask())[0].status is (Status.OK if again else Status.REJECTED)
        assert model.asked == 1 + again


def state(trainer):
    weights = {name: value.clone() for name, value in trainer.questioner.model.model.state_dict().items()}
    return weights, trainer.optimizer.state_dict()["state"].keys(), len(trainer.memory), len(trainer.tally)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Four steps that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with Ledger(folder / "ledger.sqlite") as ledger:
        trainer = make(ledger=ledger, **doors())
        trainer.train(4)
        trainer.save(folder / "checkpoints")
    return folder


@pytest.mark.parametrize(
    ("role", "shut", "overlap"),
    [
        ("verifier", DENIED, False),
        ("answerer", TOO_LARGE, False),
        ("answerer", (Failure.TRANSPORT, "Failed to connect"), True),
        ("verifier", TOO_LARGE, True),
    ],
)
def test_a_run_that_stood_before_a_shut_door_equals_one_that_did_not(role, shut, overlap, whole, tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        models = doors()
        trainer = make(ledger=ledger, options=dataclasses.replace(TINY, overlap=overlap), **models)
        trainer.train(2)
        before = state(trainer)
        models[role].shut = shut
        for _ in range(2):
            with pytest.raises(Unserved, match=rf"^\[{role}\] {models[role].identity}: expected a reply, got none to"):
                trainer.step()
        after = state(trainer)
        assert after[1:] == before[1:] and trainer.next_step == 2 and ledger.step("run", "train", 2) is None
        assert all(torch.equal(after[0][name], value) for name, value in before[0].items())
        assert shut[1] in ledger.events("run", kind="stopped")[0].text
        models[role].shut = None
        trainer.train(2)
        end = trainer.save(tmp_path / "checkpoints")
    assert dump(tmp_path / "ledger.sqlite") == dump(whole / "ledger.sqlite")
    assert whole_state(end) == whole_state(whole / "checkpoints" / end.name)


def test_a_picture_that_is_refused_alone_does_not_hold_up_a_run_that_is_resumed_at_it(tmp_path):
    options = dataclasses.replace(TINY, images_per_step=1)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        trainer = make(ledger=ledger, options=options, **doors())
        trainer.train(2)
        trainer.save(tmp_path / "checkpoints")
        models = doors()
        again = make(ledger=ledger, options=options, **models)
        again.load(tmp_path / "checkpoints")
        models["answerer"].shut = TOO_LARGE
        report = again.step()
        assert report.unscored > 0 and report.failures == {"answer": {"rejected": report.asked}}
        with pytest.raises(Unserved):  # the next picture, too: it is not the picture
            again.step()


def test_canaries_of_a_step_that_was_not_made_are_not_counted():
    models = doors()
    verifier = CanaryVerifier(models["verifier"], share=1.0)
    trainer = make(answerer=models["answerer"], verifier=verifier)
    models["answerer"].shut = DENIED
    with pytest.raises(Unserved):
        trainer.step()
    models["answerer"].shut, seen = None, []
    trainer.watch.see = lambda step, reward, canaries: seen.append(sum(each.n for each in canaries.values()))
    trainer.step()
    alone = make(answerer=models["answerer"], verifier=CanaryVerifier(models["verifier"], share=1.0))
    alone.watch.see = trainer.watch.see
    alone.step()
    assert seen[0] == seen[1] > 0


def evaluated(ledger, models, *, resumed=False):
    return probe(
        RandomValid(), **models, images_of=in_order(IMAGES, 2), calls=9, k=2, seed=5, run="r", phase="p", ledger=ledger,
        resumed=resumed,
    )  # fmt: skip


def test_an_evaluation_stops_and_goes_on(tmp_path):
    dumps = []
    for name in ("stopped", "whole"):
        with Ledger(tmp_path / name) as ledger:
            ledger.begin(RunRecord(id="r"))
            models = doors()
            if name == "stopped":
                models["verifier"].shut = (Failure.TIMEOUT, "no reply before the deadline")
                with pytest.raises(Unserved, match="no reply before the deadline"):
                    evaluated(ledger, models)
                assert ledger.recorded_steps("r") == []
                models["verifier"].shut = None
            assert evaluated(ledger, models).calls == 9
        dumps.append(dump(tmp_path / name))
    assert dumps[0] == dumps[1]


def test_examining_without_a_loop_stops_as_well():
    models, said = doors(), ["<response_1> is there a star ? </response_1>"]
    models["answerer"].shut = TOO_LARGE
    with pytest.raises(Unserved, match="HTTP 413"):
        examine(asked([IMAGES[0]], said), **models)


def test_what_could_not_be_asked_at_all_costs_no_step(tmp_path):
    report = make(answerer=doors()["answerer"], verifier=AllInvalid()).step()
    assert report.asked == 0 and report.valid == 0 and report.failures == {}


class AllInvalid(OracleVerifier):
    identity = "severe"

    def validity(self, images, questions):
        return [Criteria(grammatical=False, atomic=True, grounded=True, objective=True)] * len(questions)


def test_a_questioner_on_an_endpoint_that_refuses_stops_the_evaluation_and_is_asked_again(tmp_path):
    model = refusing("HTTP 400: unknown model 'writer'")
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin(RunRecord(id="run"))
        more = {"calls": 4, "k": 1, "seed": 0, "ledger": ledger}
        with pytest.raises(StepNotMade, match=r"^\[ask\] scripted@1 at http://10\.0\.0\.1/v1: expected a completion"):
            probe(ChatAsker(model), ExecutingAnswerer(), OracleVerifier(), in_order(IMAGES, 2), **more)
        text = "<response_1> how many objects are there ? </response_1>"
        model.said = lambda _: ModelReply(status=Status.OK, text=text)
        tally = probe(ChatAsker(model), ExecutingAnswerer(), OracleVerifier(), in_order(IMAGES, 2), **more)
    assert tally.calls == 4 and model.asked == 2 + 4


def test_conme_whose_first_turns_bring_no_reply_stops():
    text = "<response_1> how many objects are there ? </response_1>"
    writer = Scripted(lambda _: ModelReply(status=Status.OK, text=text))
    door = doors()["answerer"]
    door.shut = DENIED
    with pytest.raises(Unserved, match=r"^\[answerer\] answering: .* \(rejected 2\): HTTP 402: Insufficient credits"):
        ConMeAsker(writer, door).ask([IMAGES[0], IMAGES[1]], k=1, seed=0, step=0)


def test_an_asker_that_leaves_everything_out_comes_to_an_end():
    text = "<response_1> how many objects are there ? </response_1>"
    writer, cut = Scripted(lambda _: ModelReply(status=Status.OK, text=text)), doors()["answerer"]
    cut.shut = (Failure.TRUNCATED, "")
    asker = ConMeAsker(writer, cut)
    tally = probe(
        asker, ExecutingAnswerer(), OracleVerifier(), in_order(IMAGES, 2), calls=3, k=1, seed=0, asking_counts=False
    )
    assert len(tally) == 0


@pytest.mark.parametrize("role", ["answerer", "verifier"])
def test_rows_are_not_made_of_nothing(role):
    models = doors()
    models[role].shut = DENIED
    with pytest.raises(Unserved, match=rf"^\[{role}\]"):
        world_rows(IMAGES, k=1, per_image=2, **models)
    models[role].shut = None
    world_rows(IMAGES, k=1, per_image=2, **models)


def test_expert_iteration_learns_nothing_from_a_round_that_was_refused():
    models, questioner = doors(), Questioner(tiny.load("questioner"))
    models["answerer"].shut = DENIED
    before = {name: value.clone() for name, value in questioner.model.model.state_dict().items()}
    with pytest.raises(Unserved):
        expert_iteration.train(questioner, **models, images_of=in_order(IMAGES, 2), calls=10, k=2, rounds=2)
    assert all(torch.equal(value, before[name]) for name, value in questioner.model.model.state_dict().items())


def test_rl_saves_what_it_made_before_it_stops(tmp_path):
    models = doors()
    with Ledger(tmp_path / "ledger") as ledger:
        task = Task(
            images=IMAGES, **models, embedder=HashedNgramEmbedder(), calls=60, ledger=ledger, group_size=2,
            images_per_step=2, checkpoints=tmp_path / "checkpoints",
        )  # fmt: skip
        method = RL(questioner=Questioner(tiny.load("questioner")))
        answer = models["answerer"].inner.answer

        def once(images, questions):
            models["answerer"].shut = DENIED
            return answer(images, questions)

        models["answerer"].inner.answer = once
        with pytest.raises(Unserved):
            method.run(task)
    assert (tmp_path / "checkpoints" / "RL" / "step-00000001").is_dir()


def test_a_verifier_that_is_refused_leaves_the_earlier_judgings(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        trainer = make(ledger=ledger, **doors())
        trainer.train(2)
        rejudge(ledger, "run", OracleVerifier(), trainer.images, name="oracle")
        before = [line for line in ledger.dump() if '"judging_verdicts"' in line]
        door = Door(OracleVerifier(), "another")
        door.shut = (Failure.REJECTED, "HTTP 404: no such model")
        with pytest.raises(Unserved, match="no such model"):
            rejudge(ledger, "run", door, trainer.images, name="another")
        assert [line for line in ledger.dump() if '"judging_verdicts"' in line] == before
        door.shut = None
        assert rejudge(ledger, "run", door, trainer.images, name="another") == 2


def test_a_runs_head_may_be_replaced_until_a_step_of_it_or_within_it_is_recorded():
    first, second = (
        RunRecord(id="r", config={"seed": 1}, identities={"verifier": name}) for name in ("jugde", "judge")
    )
    with Ledger(":memory:") as ledger:
        ledger.begin(first)
        with pytest.raises(ValueError, match="has another identities"):
            ledger.begin(second)  # unless it is asked for
        ledger.begin(second, replace=True)
        assert ledger.runs() == [second] and not ledger.progress()[0].finished
        ledger.begin(RunRecord(id="r/round-0"))
        ledger.record(StepRecord(run="r/round-0", phase="p", step=0))
        with pytest.raises(ValueError, match="has another identities: verifier: expected 'judge', got 'jugde'"):
            ledger.begin(first, replace=True)
        ledger.begin(second, replace=True)


def test_credit_that_is_spent_is_a_refusal_with_the_servers_words_at_once(server):
    said = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}
    server.plan = lambda *_: (429, {"error": said})
    reply = ChatClient(server.url, model="m", deadline_s=60.0).reply(ask())[0]
    assert (reply.status, reply.final, reply.attempts) == (Status.REJECTED, False, 1)
    assert reply.error == "HTTP 429: You exceeded your current quota"
    server.plan = lambda *_: (429, {"error": said | {"type": "requests", "code": "rate_limit_exceeded"}})
    assert ChatClient(server.url, model="m", deadline_s=0.3).reply(ask())[0].status is Status.TIMEOUT
