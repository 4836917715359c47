"""The trainer: one step as the paper's data flow, repeatable, and honest about what it does not know."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from support.rounds import asked as asked_round
from vlmprobe.data.order import in_order, shuffled
from vlmprobe.data.source import FolderImages
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.examine import examine
from vlmprobe.loop.learn import learn, remember
from vlmprobe.loop.round import Place, Round
from vlmprobe.loop.score import credit, score
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.policy.questioner import Questioner
from vlmprobe.reward import paper
from vlmprobe.run.probe import probe
from vlmprobe.run.trainer import Trainer
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

EXAMPLES = Path(__file__).parents[3] / "examples"
SMALL = TrainerOptions(k=3, learning_rate=3e-4, credit="question")


def make(*, answerer=None, verifier=None, ledger=None, options=SMALL, **more) -> Trainer:
    answerer = answerer or FaultyAnswerer(ExecutingAnswerer(), load_faults())
    return Trainer(
        Questioner(tiny.load("questioner")),
        answerer,
        verifier or OracleVerifier(),
        HashedNgramEmbedder(),
        WorldImages(64, seed=11),
        options=options,
        ledger=ledger,
        annotate=annotator(answerer),
        **more,
    )


def weights(questioner: Questioner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in questioner.model.model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class SelfGrading(OracleVerifier):
    identity = "owner/Tiny-VL@2 [validity 0a, correctness 0b; t=0.6]"


def test_a_model_does_not_grade_itself_unless_that_is_wanted():
    answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
    answerer.identity = "tiny-vl@1"
    with pytest.raises(ValueError, match=r"\[verifier\] expected another model than the answerer, got 'Tiny-VL'"):
        make(answerer=answerer, verifier=SelfGrading())
    make(answerer=answerer, verifier=SelfGrading(), allow_same_model=True)


def test_the_unrolled_loop_equals_the_trainer_bit_for_bit():
    sys.path.insert(0, str(EXAMPLES))
    try:
        import train_unrolled
    finally:
        sys.path.remove(str(EXAMPLES))
    questioner, history = train_unrolled.train(3)
    trainer = make()
    start = weights(trainer.questioner)
    reports = trainer.train(3)
    assert [report.reward for report in reports] == history
    assert same(weights(trainer.questioner), weights(questioner))
    assert not same(weights(trainer.questioner), start)


def test_equal_seeds_write_equal_ledgers_and_other_seeds_others(tmp_path):
    def dump(name: str, seed: int) -> list[str]:
        with Ledger(tmp_path / name) as ledger:
            ledger.begin(RunRecord(id="run"))
            make(ledger=ledger, options=dataclasses.replace(SMALL, seed=seed)).train(2)
            return list(ledger.dump())

    first = dump("a", 0)
    assert len(first) > 2 * 192 and first == dump("b", 0) != dump("c", 1)


class Outage:
    """An answerer that is down after what it says first."""

    identity = "down"

    def __init__(self, *first):
        self._first = list(first)

    def answer(self, images, questions):
        return self._first + [Reply(failure=Failure.TRANSPORT)] * (len(questions) - len(self._first))


def test_an_outage_is_neither_a_finding_nor_a_zero():
    trainer = make(answerer=Outage(Reply(failure=Failure.EMPTY)))
    report = trainer.step()
    assert report.wrong == 0 and report.unscored == report.valid > 0
    assert report.failures == {"answer": {"empty": 1, "transport": report.valid - 1}}
    assert len(trainer.memory) == 0
    numbers = trainer.summary(trainer.tally)
    assert numbers["n_unscored"] == report.valid and numbers["fdr"] != numbers["fdr"]
    assert all(value.isfinite().all() for value in weights(trainer.questioner).values())


class Mumbling(OracleVerifier):
    """A verifier whose verdicts cannot be read."""

    identity = "mumbling"

    def validity(self, images, questions):
        return [Criteria(failure=Failure.UNPARSABLE)] * len(questions)


def test_an_unreadable_verdict_costs_no_call_and_changes_no_weight():
    trainer = make(verifier=Mumbling(), options=dataclasses.replace(SMALL, k=1, images_per_step=2, group_size=4))
    before = weights(trainer.questioner)
    report = trainer.step()
    assert report.posed == report.questions  # a slot without a question would be invalid
    assert report.calls == 0 and report.unscored == report.questions == 8
    assert same(weights(trainer.questioner), before)


def test_examine_asks_only_valid_questions_and_judges_only_answers():
    images = WorldImages(1, seed=3)
    said = "<response_1> how many objects are there ? </response_1> <response_2> is it nice ? </response_2>"
    asked: list[str] = []

    class Listening(ExecutingAnswerer):
        def answer(self, images, questions):
            asked.extend(questions)
            return super().answer(images, questions)

    examined = examine(asked_round([images[0]], [said], k=3), Listening(), OracleVerifier())
    assert asked == ["how many objects are there ?"]
    assert examined.valid.tolist() == [1, 0, 0] and examined.correct.tolist() == [1, -1, -1]
    assert examined.verdicts[2] is None and examined.answers[1] is None and examined.answered == 1


def test_a_stage_names_the_column_that_is_not_there():
    shown = Round(place=Place(), images=[WorldImages(1)[0]])
    embedder = HashedNgramEmbedder()
    memory = QuestionMemory(embedder.dim)
    for stage, text in {
        lambda: examine(shown, ExecutingAnswerer(), OracleVerifier()): "[examine] questions: expected an asked round",
        lambda: score(shown, memory, embedder, paper()): "[score] verdicts: expected an examined round",
        lambda: credit(shown): "[credit] rewards: expected a scored round",
        lambda: learn(shown, None, None): "[learn] advantages: expected a credited round",
        lambda: remember(memory, shown): "[remember] novelties: expected a scored round",
    }.items():
        with pytest.raises(ValueError) as error:
            stage()
        assert str(error.value) == text


def test_an_evaluation_spends_exactly_its_calls_and_changes_nothing():
    trainer = make()
    trainer.step()
    before, held_out = weights(trainer.questioner), WorldImages(48, seed=22)
    first, again = (trainer.evaluate(held_out, 100, phase=f"e{i}") for i in (1, 2))
    assert first.calls == again.calls == 100
    assert repr(trainer.summary(first)) == repr(trainer.summary(again))
    assert same(weights(trainer.questioner), before) and len(trainer.tally) == 192


def test_an_evaluation_of_a_questioner_that_never_ends_stops():
    silent = Questioner(tiny.load("questioner"), max_new_tokens=1)
    tally = probe(
        silent,
        ExecutingAnswerer(),
        OracleVerifier(),
        in_order(WorldImages(2, seed=1), 2),
        calls=5,
        k=2,
        seed=0,
        max_slots=12,
    )
    numbers = tally.numbers(HashedNgramEmbedder())
    assert tally.calls == 0 and numbers["n_questions"] == 12 and numbers["qvr"] == 0
    assert numbers["fdr_interval"] == [0.0, 1.0] and numbers["vendi"] != numbers["vendi"]


def test_a_checkpoint_asks_as_the_trainer_does(tmp_path):
    trainer = make()
    trainer.train(2)
    checkpoint = trainer.save(tmp_path)
    loaded = Questioner(VisionLanguageModel.load(checkpoint / "questioner"))
    images = [trainer.images[i] for i in range(4)]
    ask = {"k": 3, "group_size": 2, "seed": 9, "step": 9}
    assert loaded.ask(images, **ask).texts == trainer.questioner.ask(images, **ask).texts
    memory = QuestionMemory.load(checkpoint / "memory")
    assert len(memory) == len(trainer.memory) > 0


def test_every_epoch_shows_each_image_once():
    images = WorldImages(10, seed=1)
    of = shuffled(images, 4, seed=3)
    seen = [image.id for step in range(5) for image in of(step)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10)) and seen[:10] != seen[10:]


def test_a_folder_of_pictures_trains_too(tmp_path):
    world = WorldImages(8, seed=11)
    for i in range(8):
        world[i].pixels.save(tmp_path / f"{i}.png")

    class Lenient:
        identity = "lenient"

        def validity(self, images, questions):
            return [Criteria(grammatical=True, atomic=True, grounded=True, objective=True)] * len(questions)

        def correctness(self, images, questions, answers):
            return [Judgement(correct="red" not in question) for question in questions]

    class Anything:
        identity = "anything"

        def answer(self, images, questions):
            return [Reply(text="yes")] * len(questions)

    questioner = Questioner(tiny.load("questioner"))
    trainer = Trainer(
        questioner, Anything(), Lenient(), HashedNgramEmbedder(), FolderImages(tmp_path), options=TrainerOptions(k=2)
    )
    report = trainer.step()
    assert report.wrong > 0 and len(trainer.memory) > 0


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"k": 0}, "[TrainerOptions] k: expected at least 1, got 0"),
        ({"group_size": -1}, "[TrainerOptions] group_size: expected at least 1, got -1"),
        ({"learning_rate": 0}, "[TrainerOptions] learning_rate: expected a finite number above 0, got 0"),
        ({"learning_rate": float("nan")}, "[TrainerOptions] learning_rate: expected a finite number above 0, got nan"),
        ({"k": 2.5}, "[TrainerOptions] k: expected a whole number, got 2.5"),
        ({"seed": -1}, "[TrainerOptions] seed: expected 0 to 2**63 - 1, got -1"),
        ({"loss": None}, "[TrainerOptions] loss: expected LossOptions, got NoneType"),
        ({"credit": "token"}, "[TrainerOptions] credit: expected sequence or question, got 'token'"),
        ({"within": "run"}, "[TrainerOptions] within: expected none or sequence or step, got 'run'"),
    ],
)
def test_wrong_options_are_named(changes, text):
    with pytest.raises(ValueError) as error:
        TrainerOptions(**changes)
    assert str(error.value) == text


def test_counts_of_steps_and_calls_are_checked():
    trainer = make()
    with pytest.raises(ValueError, match=r"^\[train\] steps: expected at least 0, got -1$"):
        trainer.train(-1)
    with pytest.raises(ValueError, match=r"^\[evaluate\] calls: expected at least 1, got 0$"):
        trainer.evaluate(WorldImages(1), 0)
    assert len(trainer.tally) == 0


@pytest.mark.parametrize(
    "changes, text",
    [
        (
            {"reward": "paper"},
            "[Trainer] reward: expected an expression such as reward.paper() or reward.parse(text), got",
        ),
        ({"memory": QuestionMemory(7)}, "[Trainer] memory: expected width 256 as embedded, got 7"),
        ({"options": {}}, "[Trainer] options: expected TrainerOptions, got dict"),
    ],
)
def test_what_would_fail_in_the_middle_of_a_step_fails_at_once(changes, text):
    with pytest.raises(ValueError) as error:
        make(**changes)
    assert str(error.value).startswith(text)


def test_a_model_that_returns_too_few_rows_is_named():
    class Short(OracleVerifier):
        def validity(self, images, questions):
            return super().validity(images, questions)[1:]

    round = asked_round([WorldImages(1)[0]], ["<response_1> how many objects are there ? </response_1>"])
    with pytest.raises(ValueError, match=r"^\[examine\] verifier.validity: expected 1 rows, got 0$"):
        examine(round, ExecutingAnswerer(), Short())


def test_a_step_that_the_ledger_has_already_is_an_error_and_not_lost(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin(RunRecord(id="run"))
        make(ledger=ledger).step()
        with pytest.raises(RuntimeError, match=r"step 0 of run 'run' is in the ledger already"):
            make(ledger=ledger).step()


def test_evaluations_between_steps_are_runs_of_their_own(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin(RunRecord(id="run"))
        trainer = make(ledger=ledger)
        for _ in range(2):
            trainer.evaluate(WorldImages(8, seed=22), 10)
            trainer.step()
        assert [run.id for run in ledger.runs()] == ["run", "run/evaluation-0", "run/evaluation-1"]
