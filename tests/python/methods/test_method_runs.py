"""Every method by one interface in the embedded world: exact budgets, one evaluation, equal ledgers, resumption."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from support.tasks import CALLS, HELD_OUT, POOL, task_of
from vlmprobe._native import core
from vlmprobe.ledger import Ledger, RecordedQuestions, RunRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods import (
    RL,
    RLSFT,
    SFT,
    ChatAsker,
    ConMe,
    ConMeAsker,
    ExpertIteration,
    PromptedTurns,
    RandomValid,
    Sweep,
    WorldTurns,
    ZeroShot,
    evaluate,
    evaluation,
    pool,
    rows,
    sft,
)
from vlmprobe.methods.local_search import FollowUpOptions
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import ModelReply, Status
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.policy.asker import Asker, tagged
from vlmprobe.policy.questioner import Questioner, _renumbered
from vlmprobe.run.trainer import Trainer
from vlmprobe.text import parse_responses
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages, scene_of
from vlmprobe.world.verifiers import OracleVerifier

OPTIONS = TrainerOptions(learning_rate=3e-4, credit="question")
LEARNING = sft.SFTOptions(batch=4, learning_rate=3e-4)
N = 25
PICTURES = [source[i] for source in (POOL, HELD_OUT) for i in range(len(source))]
SCENES = {EncodedImages()(picture).sha256: scene_of(picture) for picture in PICTURES}


class Generated:
    """A chat model that knows the world: valid questions about the picture that it is shown, others at each call."""

    identity = "generated@1"

    def reply(self, requests):
        return [ModelReply(status=Status.OK, text=self._said(request)) for request in requests]

    def _said(self, request):
        scene = SCENES[request.messages[-1].images[0].sha256]
        drawn = [core.world.sample_question(scene, 9, request.vote % 2**20, slot) for slot in range(2)]
        return tagged([sample.question for sample in drawn])


def questioner():
    return Questioner(tiny.load("questioner"))


def some_rows():
    return rows.world_rows(WorldImages(12, seed=8), k=2, per_image=48)


METHODS = {
    "zero-shot": lambda: ZeroShot(asker=questioner()),
    "chat": lambda: ZeroShot(asker=ChatAsker(Generated()), name="chat"),
    "ConMe": lambda: ConMe(asker=lambda answerer: questioner().with_preface(WorldTurns(answerer))),
    "chat ConMe": lambda: ConMe(asker=lambda answerer: ConMeAsker(Generated(), answerer), name="chat ConMe"),
    "SFT": lambda: SFT(questioner=questioner(), rows=some_rows(), options=LEARNING),
    "Expert Iteration": lambda: ExpertIteration(questioner=questioner(), rounds=2, options=LEARNING),
    "RL": lambda: RL(questioner=questioner(), options=OPTIONS),
    "RL followed": lambda: RL(
        questioner=questioner(), options=OPTIONS, group=(3, 2), follow_up=FollowUpOptions(floor=0), name="RL followed"
    ),
    "RL ConMe": lambda: RL(questioner=questioner(), options=OPTIONS, preface=WorldTurns, name="RL ConMe"),
    "RL+SFT": lambda: RLSFT(rl=RL(questioner=questioner(), options=OPTIONS), rows=some_rows(), options=LEARNING),
    "random valid": RandomValid,
    "template sweep": Sweep,
}


def whole(name, path, **more):
    """A method with its evaluation; what the ledger holds then."""
    with Ledger(path) as ledger:
        task = task_of(ledger, **more)
        method = METHODS[name]()
        asker = method.run(task)
        assert isinstance(asker, Asker) and method.name == name
        evaluate(asker, task, HELD_OUT, n=N, name=name)
        return pool(ledger, name), evaluation(ledger, name), list(ledger.dump())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_spends_its_budget_and_two_of_one_seed_write_equal_ledgers(name, tmp_path):
    asked, evaluated, dump = whole(name, tmp_path / "a")
    assert evaluated.calls == N
    if "ConMe" in name:
        assert asked.asking > 0 and evaluated.asking > 0
        assert CALLS - 4 <= asked.spent <= CALLS  # a rest that is no first turn and one question stays
    else:
        assert (asked.spent, asked.asking, evaluated.asking) == (CALLS, 0, 0)
    assert whole(name, tmp_path / "b")[2] == dump


def test_every_evaluation_sees_the_same_images_in_the_same_order(tmp_path):
    seen = {}
    for name in ("zero-shot", "chat ConMe", "RL", "template sweep"):
        _, evaluated, _ = whole(name, tmp_path / name)
        seen[name] = list(dict.fromkeys(image for image, _ in evaluated.rows))
    shortest = min(map(len, seen.values()))
    assert shortest > 8 and all(images[:shortest] == list(range(shortest)) for images in seen.values())


def test_pool_and_evaluation_are_told_apart_in_the_ledger(tmp_path):
    whole("Expert Iteration", tmp_path / "ledger")
    with Ledger(tmp_path / "ledger") as ledger:
        passes = {run.id: run.config["pass"] for run in ledger.runs()}
        assert all(run.finished for run in ledger.progress())
        with pytest.raises(ValueError, match=r"^\[methods::pool\] name: expected a method with runs .*, got 'none'$"):
            pool(ledger, "none")
        with pytest.raises(ValueError, match=r"^\[methods::evaluation\] name: expected"):
            evaluation(ledger, "none")
        ledger.begin(RunRecord(id="plain"))
        with pytest.raises(ValueError, match=r"^\[methods::pool\] name: expected a method .*, got 'plain'$"):
            pool(ledger, "plain")
    rounds = {f"Expert Iteration/round-{n}": "pool" for n in range(2)}
    assert passes == {"Expert Iteration": "rounds", **rounds, "Expert Iteration/evaluation": "evaluation"}


class Stopping:
    """An answerer that dies at a call."""

    def __init__(self, inner, at):
        self.inner, self.at, self.calls, self.identity = inner, at, 0, inner.identity

    def answer(self, images, questions):
        self.calls += len(questions)
        if self.calls > self.at:
            raise ConnectionError("gone")
        return self.inner.answer(images, questions)


@pytest.mark.parametrize("name", ["zero-shot", "ConMe", "SFT", "Expert Iteration", "RL", "RL followed", "RL+SFT"])
@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_stopped_method_goes_on_to_the_same_ledger(name, checkpoints, tmp_path):
    if checkpoints and "RL" not in name:
        return
    folder = {"checkpoints": tmp_path / "saved", "checkpoint_every": 1} if checkpoints else {}
    _, _, dump = whole(name, tmp_path / "whole")
    with Ledger(tmp_path / "stopped") as ledger:
        task = task_of(ledger, **folder)
        with pytest.raises(ConnectionError):
            METHODS[name]().run(replace(task, answerer=Stopping(task.answerer, 50)))
        stopped = len(ledger.recorded_steps(name)) + len(ledger.recorded_steps(f"{name}/round-0"))
        assert stopped > 0
    assert whole(name, tmp_path / "stopped", resumed=True, **folder)[2] == dump


def test_a_ledger_with_another_task_under_the_name_is_refused(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        RandomValid().run(task_of(ledger))
        with pytest.raises(ValueError, match=r"run 'random valid' has another config: calls: expected 61, got 62"):
            RandomValid().run(task_of(ledger, calls=62, resumed=True))
        with pytest.raises(RuntimeError, match=r"step 0 of run 'random valid' is in the ledger already"):
            RandomValid().run(task_of(ledger))


def test_rl_changes_the_policy_and_sft_before_it_is_what_its_reference_holds(tmp_path):
    learned, trained = questioner(), questioner()
    with Ledger(tmp_path / "ledger") as ledger:
        task = task_of(ledger)
        SFT(questioner=learned, rows=some_rows(), options=LEARNING).run(task)
        RLSFT(rl=RL(questioner=trained, options=OPTIONS), rows=some_rows(), options=LEARNING).run(task)
        losses = [
            ledger.step("SFT/learning", *place).numbers["loss"] for place in ledger.recorded_steps("SFT/learning")
        ]
        assert abs(ledger.step("RL+SFT", "train", 0).numbers["kl"]) < 1e-6 < losses[0]
    assert len(losses) == -(-len(some_rows()) // 4)
    anchored = RLSFT(rl=RL(questioner=learned), rows=()).rl.questioner.anchored()
    weights = [dict(each.model.named_parameters()) for each in (learned.model, trained.model, anchored.reference)]
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(w, dict(learned.reference.model.named_parameters())[n]) for n, w in weights[0].items())


class Replying:
    identity = "replying@1"

    def __init__(self, word):
        self.word = word

    def answer(self, images, questions):
        return [Reply(text=self.word) for _ in questions]


def test_the_worlds_second_turn_depends_on_the_replies_and_stays_a_sample_of_the_policy():
    pictures, base = [POOL[i] for i in range(4)], questioner()
    said = {}
    for word in ("yes", "red"):
        asking = base.with_preface(WorldTurns(Replying(word)))
        said[word] = asking.ask(pictures, k=2, group_size=3, seed=3, step=0)
        rollouts = said[word]
        again = asking._logp(asking.model, rollouts)
        torch.testing.assert_close(again * rollouts.mask, rollouts.logp * rollouts.mask, rtol=1e-4, atol=1e-4)
        shown = base.model.processor.tokenizer.batch_decode(rollouts.prompts.ids)
        assert all(f"? {word} </response_" in text for text in shown)
        assert rollouts.calls == 8 and len(rollouts) == 12
        parsed = parse_responses(rollouts.texts, k=2, token_ends=rollouts.token_ends)
        assert parsed.ok.float().mean() > 0.7
    assert said["yes"].texts != said["red"].texts
    assert (
        said["yes"].texts
        == base.with_preface(WorldTurns(Replying("yes"))).ask(pictures, k=2, group_size=3, seed=3, step=0).texts
    )


def test_a_first_turn_without_a_reply_leaves_the_questioners_own_prompt():
    class Silent:
        identity = "silent@1"

        def answer(self, images, questions):
            return [Reply(failure=Failure.TIMEOUT) for _ in questions]

    pictures, base = [POOL[0]], questioner()
    asked = base.with_preface(WorldTurns(Silent())).ask(pictures, k=2, seed=3, step=0)
    assert asked.texts == base.ask(pictures, k=2, seed=3, step=0).texts and asked.calls == 2


def test_prompted_turns_ask_again_with_questions_and_replies_in_the_prompt():
    base, seen = questioner(), []
    world_prompts = base.model.prompts

    def prompts(images, texts, begun=None):
        seen.append(list(texts))
        return world_prompts(images, ["ask 2 questions"] * len(texts), begun)

    base.model.prompts = prompts
    asked = base.with_preface(PromptedTurns(Replying("seven apples"))).ask(
        [POOL[0], POOL[1]], k=2, group_size=2, seed=0, step=0
    )
    first, second = seen
    assert asked.calls == 4 and len(asked) == 4
    assert all("write 2 questions" in text.lower() and "{k}" not in text for text in first)
    assert all(text.count("seven apples") == 2 and "Compare each answer" in text for text in second)


def test_prompted_turns_train_in_rl(tmp_path):
    base = questioner()
    world_prompts = base.model.prompts
    base.model.prompts = lambda images, texts, begun=None: world_prompts(
        images, ["ask 2 questions"] * len(texts), begun
    )
    with Ledger(tmp_path / "ledger") as ledger:
        RL(questioner=base, options=OPTIONS, preface=PromptedTurns, name="RL").run(task_of(ledger))
        asked = pool(ledger, "RL")
    assert asked.asking > 0 and CALLS - 2 <= asked.spent <= CALLS


@pytest.mark.parametrize("name", ["ConMe", "RL ConMe", "chat ConMe"])
@pytest.mark.parametrize("calls", [2, 5, 7])
def test_first_turns_never_cost_more_than_is_left(name, calls, tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        METHODS[name]().run(task_of(ledger, calls=calls, group_size=1))
        found = pool(ledger, name) if calls > 2 else RecordedQuestions()
        assert all(step.numbers.get("asking_calls", 0) <= calls for step in steps_of(ledger, name))
    assert found.spent <= calls and (found.asking > 0) == (calls > 2)


def steps_of(ledger, run):
    return [ledger.step(run, phase, number) for phase, number in ledger.recorded_steps(run)]


def test_a_step_that_cannot_pay_for_asking_is_refused():
    asking = questioner().with_preface(WorldTurns(Replying("yes")))
    trainer = Trainer(
        asking, Replying("yes"), OracleVerifier(), HashedNgramEmbedder(), POOL, options=TrainerOptions(k=2)
    )
    with pytest.raises(ValueError, match=r"^\[ask\] max_calls: expected enough to ask about an image, 3, got 2$"):
        trainer.step(max_calls=2)
    assert trainer.step(max_calls=4).calls <= 4


def test_a_budget_ends_in_the_middle_of_a_step_with_the_rest_unscored(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        RL(questioner=questioner(), options=OPTIONS).run(task_of(ledger, calls=5))
        [(phase, number)] = ledger.recorded_steps("RL")
        step = ledger.step("RL", phase, number)
    answered = [question for question in step.questions if question.answer is not None]
    rest = [q for q in step.questions if q.answer is None and q.verdict is not None and q.verdict.valid]
    assert len(answered) == 5 and rest and all(q.rewards["total"] is None for q in rest)


def test_questions_after_many_slots_are_numbered_from_one():
    text = "<response_3> a </response_3> <response_4> b </response_4> <response_5> c </response_5> <response_1> d"
    [found] = _renumbered([text], [2], 2)
    assert (
        found == "<response_1> a </response_1> <response_2> b </response_2> <response_0> c </response_0> <response_0> d"
    )
    assert _renumbered([text], [0], 2) == [text]
    with pytest.raises(ValueError, match=r"^\[ask\] k: expected at most 1 questions after 8, got 2$"):
        _renumbered([text], [8], 2)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda ledger: task_of(ledger, calls=0), "[Task] calls: expected at least 1, got 0"),
        (lambda ledger: task_of(ledger, seed=-1), "[Task] seed: expected 0 to 2**62 - 1, got -1"),
        (
            lambda ledger: SFT(questioner=questioner(), rows=[]).run(task_of(ledger)),
            "[sft.train] rows: expected at least one, got none",
        ),
        (
            lambda ledger: ExpertIteration(questioner=questioner()).run(task_of(ledger, calls=4)),
            "[expert_iteration.train] calls: expected at least 5, one a round, got 4",
        ),
    ],
)
def test_wrong_input_is_refused(make, text, tmp_path):
    with Ledger(tmp_path / "ledger") as ledger, pytest.raises(ValueError, match=re.escape(text)):
        make(ledger)


def test_learning_again_that_comes_out_otherwise_is_refused(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        SFT(questioner=questioner(), rows=some_rows(), options=LEARNING).run(task_of(ledger))
        other = questioner()
        with torch.no_grad():
            next(iter(other.parameters())).add_(0.01)
        with pytest.raises(
            ValueError, match=r"^\[SFT\] update 0 of run 'SFT/learning': expected a loss of .* as recorded"
        ):
            SFT(questioner=other, rows=some_rows(), options=LEARNING).run(task_of(ledger, resumed=True))
