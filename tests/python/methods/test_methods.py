"""The methods on the embedded world and behind an endpoint: exact budgets, equal evaluations, each as it says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from vlmprobe import grpo
from vlmprobe._native import core
from vlmprobe.data.order import in_order
from vlmprobe.ledger import Ledger, RunRecord, recorded_questions
from vlmprobe.methods import (
    ChatAsker,
    ConMeAsker,
    RandomValid,
    Sweep,
    WorldTurns,
    expert_iteration,
    rows,
    sft,
)
from vlmprobe.methods.rows import rows_of
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.model import ModelReply, Status
from vlmprobe.models.replies import Reply
from vlmprobe.models.service import BudgetSpent
from vlmprobe.policy.asker import Asker, Completions, tagged
from vlmprobe.policy.questioner import Questioner
from vlmprobe.policy.sampling import completion_states
from vlmprobe.run.probe import probe
from vlmprobe.text import parse_responses
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages, scene_of
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

IMAGES = WorldImages(6, seed=31)
EMBEDDER = HashedNgramEmbedder()
PICTURES = [IMAGES[i] for i in range(6)]


class Saying:
    """Writes what `said(text, n)` gives for the last message's text and the number of the request."""

    identity = "saying@1"

    def __init__(self, said):
        self.said, self.asked = said, []

    def reply(self, requests):
        replies = []
        for request in requests:
            turn = request.messages[-1]
            self.asked.append((turn.text, turn.images[0].sha256, request.vote))
            text = self.said(turn.text, len(self.asked))
            status = text if isinstance(text, Status) else Status.OK
            replies.append(ModelReply(status=status, text="" if isinstance(text, Status) else text, error="no"))
        return replies


def faulty():
    return FaultyAnswerer(ExecutingAnswerer(), load_faults())


def evaluated(asker, *, calls=40, k=2, ledger=None, answerer=None, on_round=None):
    answerer = answerer or faulty()
    return probe(
        asker, answerer, OracleVerifier(), in_order(IMAGES, 3), calls=calls, k=k, seed=5, ledger=ledger,
        annotate=annotator(answerer), on_round=on_round,
    )  # fmt: skip


def generated(text, number):
    """A chat model that knows the world: valid questions, others each time."""
    scene = scene_of(PICTURES[number % 6])
    return tagged([core.world.sample_question(scene, 9, number, slot).question for slot in range(2)])


ASKERS = {
    "questioner": lambda: Questioner(tiny.load("questioner")),
    "chat": lambda: ChatAsker(Saying(generated)),
    "random valid": RandomValid,
    "sweep": Sweep,
}


@pytest.mark.parametrize("name", ASKERS)
def test_an_evaluation_spends_its_calls_exactly_and_two_are_equal(name, tmp_path):
    dumps = []
    for attempt in ("a", "b"):
        asker = ASKERS[name]()
        assert isinstance(asker, Asker) and asker.identity
        with Ledger(tmp_path / attempt) as ledger:
            ledger.begin(RunRecord(id="run"))
            assert evaluated(asker, ledger=ledger).calls == 40
            assert {image for image, _ in recorded_questions(ledger, "run").rows} <= set(range(6))
            dumps.append(list(ledger.dump()))
    assert dumps[0] == dumps[1]


@pytest.mark.parametrize("asker", [RandomValid(), Sweep()])
def test_a_control_asks_valid_questions_only(asker):
    tally = evaluated(asker, calls=60)
    assert tally.valid == len(tally) == 60
    asked = asker.ask(PICTURES, k=3, group_size=2, seed=1, step=0)
    assert len(asked) == 12 and asked.group.tolist() == [i // 2 for i in range(12)]
    other = asker.ask(PICTURES, k=3, group_size=2, seed=1, step=1)
    assert asked.texts != other.texts and asked.texts == asker.ask(PICTURES, k=3, group_size=2, seed=1, step=0).texts


def test_random_questions_do_not_repeat_in_a_completion():
    texts = RandomValid().ask(PICTURES, k=6, seed=1, step=0).texts
    assert all(len({*parse_responses([text], k=6).text}) == 6 for text in texts)


def test_the_sweep_goes_through_all_families():
    families = core.world.families
    asked: list[str] = []
    evaluated(
        Sweep(),
        calls=8 * len(families),
        on_round=lambda round: asked.extend(known["family"] for known in round.annotations),
    )
    share = [asked.count(family) / len(asked) for family in families]
    assert min(share) > 0.5 / len(families) and max(share) < 2 / len(families)


def test_a_chat_model_is_asked_once_for_each_completion_and_what_failed_is_no_invalid_question():
    model = Saying(lambda text, n: Status.TIMEOUT if n in (2, 3, 4) else generated(text, n))
    asked = ChatAsker(model).ask(PICTURES[:3], k=2, group_size=2, seed=0, step=4)
    assert len(model.asked) == 6 and len({vote for _, _, vote in model.asked}) == 6
    assert "write 2 questions" in model.asked[0][0]
    assert asked.group.tolist() == [0, 2, 2] and len(asked.texts) == 3
    with pytest.raises(RuntimeError, match=r"^\[ask\] saying@1: expected a completion, got timeout: no$"):
        ChatAsker(Saying(lambda *_: Status.TIMEOUT)).ask(PICTURES[:1], k=2, seed=0, step=0)
    with pytest.raises(BudgetSpent, match=r"1 of 1 calls were not made"):
        ChatAsker(Saying(lambda *_: Status.BUDGET)).ask(PICTURES[:1], k=2, seed=0, step=0)


def test_a_chat_models_completions_are_in_the_ledger_and_a_resumed_evaluation_asks_none_again(tmp_path):
    def evaluation(model, ledger, calls, **more):
        return probe(
            ChatAsker(model), faulty(), OracleVerifier(), in_order(IMAGES, 3), calls=calls, k=2, seed=5, ledger=ledger,
            **more,
        )  # fmt: skip

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        first, second = Saying(generated), Saying(lambda text, n: generated(text, n + 1000))
        short = evaluation(first, ledger, 20)
        asked = len(first.asked)
        assert ledger.spent("run", "questioner").calls == asked
        again = evaluation(second, ledger, 20, resumed=True)
        assert second.asked == [] and repr(again.numbers(EMBEDDER)) == repr(short.numbers(EMBEDDER))


class Parrot:
    identity = "parrot@1"

    def answer(self, images, questions):
        return [Reply(text=f"reply to {question}") for question in questions]


def test_conmes_second_turn_sees_the_first_replies_and_they_cost_calls():
    def said(text, number):
        if "Compare each answer" not in text:
            return tagged([f"first {number} a", f"first {number} b"])
        return tagged([f"harder {number}"]) + " <response_2> and more </response_2>"

    model = Saying(said)
    asked = ConMeAsker(model, Parrot()).ask(PICTURES[:2], k=2, group_size=2, seed=0, step=0)
    second = [text for text, _, _ in model.asked if "Compare each answer" in text]
    assert len(model.asked) == 8 and len(second) == 4
    for number, text in enumerate(second, 1):
        assert f"first {number} a" in text and f"reply to first {number} b" in text
    images = [image for _, image, _ in model.asked]
    assert images[:4] == images[4:] and len(set(images)) == 2
    assert asked.calls == 8 and asked.group.tolist() == [0, 0, 1, 1]
    assert asked.texts[0].startswith("<response_1> harder 5")


def test_conmes_first_turn_counts_in_the_budget_of_an_evaluation():
    def said(text, number):
        return generated(text, number)

    model = Saying(said)
    tally = evaluated(ConMeAsker(model, faulty()), calls=40)
    first = sum("Compare each answer" not in text for text, _, _ in model.asked) * 2
    assert tally.calls + first <= 40 + 6 and tally.calls < 40


def test_an_image_without_a_first_reply_has_no_second_turn():
    model = Saying(lambda text, n: "no questions here" if n == 1 else generated(text, n))
    asked = ConMeAsker(model, ExecutingAnswerer()).ask(PICTURES[:2], k=2, seed=0, step=0)
    assert asked.group.tolist() == [1]


def lessons(count=12):
    """Questions of one family, two to a row."""

    def questions(i):
        scene = scene_of(PICTURES[i % 6])
        return [core.world.sample_question_of(scene, core.world.Family.count, 3, i, slot).question for slot in range(2)]

    return [sft.Row(PICTURES[i % 6], tagged(questions(i))) for i in range(count)]


def test_sft_raises_the_likelihood_of_its_rows_and_of_nothing_it_was_not_told():
    questioner = Questioner(tiny.load("questioner"))
    said = questioner.say([row.image for row in lessons()], [row.completion for row in lessons()], k=2)
    before = float(said.logp.sum())
    losses = sft.train(questioner, lessons(), sft.SFTOptions(epochs=4, batch=6, k=2, learning_rate=3e-4))
    assert len(losses) == 8 and sum(losses[-2:]) < 0.7 * sum(losses[:2])
    again = questioner.say([row.image for row in lessons()], [row.completion for row in lessons()], k=2)
    assert float(again.logp.sum()) > before
    assert losses[0] > 0


def test_the_sft_loss_is_the_cross_entropy_and_its_gradient():
    questioner = Questioner(tiny.load("questioner"))
    some = lessons(3)
    said = questioner.say([row.image for row in some], [row.completion for row in some], k=2)
    assert said.texts == [row.completion for row in some]
    hidden = completion_states(questioner.model, said, packed=False).detach().requires_grad_()
    count = int(said.mask.sum())
    logits = hidden @ questioner.model.head.detach().T
    logits[..., questioner.model.banned_tokens] = -torch.inf
    plain = -(logits.log_softmax(-1).gather(-1, said.tokens[..., None])[..., 0] * said.mask).sum() / count
    [expected] = torch.autograd.grad(plain, hidden)
    ours = grpo.linear_loss(
        hidden, questioner.model.head.detach(), said.tokens, old_logp=said.logp, advantages=torch.ones(3),
        mask=said.mask, normalizer=count, banned=questioner.model.banned_tokens, options=sft.LOSS,
    )  # fmt: skip
    [gradient] = torch.autograd.grad(ours.loss, hidden)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
    assert float(plain.detach()) == pytest.approx(-float((said.logp * said.mask).sum()) / count, rel=1e-5)


def test_two_trainings_of_one_seed_are_equal():
    ends = []
    for _ in range(2):
        questioner = Questioner(tiny.load("questioner"))
        losses = sft.train(questioner, lessons(), sft.SFTOptions(batch=5, learning_rate=1e-4, seed=3))
        ends.append((losses, {n: w.clone() for n, w in questioner.model.model.named_parameters()}))
    assert ends[0][0] == ends[1][0] and all(torch.equal(ends[0][1][name], ends[1][1][name]) for name in ends[0][1])


def test_rows_are_run_a_few_at_a_time_and_learned_as_at_once(monkeypatch):
    widest, losses = [], []
    for micro_groups in (None, 2):
        questioner = Questioner(tiny.load("questioner"), reference=False, micro_groups=micro_groups)
        way, seen = questioner._way, []
        monkeypatch.setattr(type(way), "loss", counting(type(way).loss, seen))
        losses.append(sft.train(questioner, lessons(5), sft.SFTOptions(batch=5, epochs=2, learning_rate=1e-4)))
        widest.append(max(seen))
        monkeypatch.undo()
    assert widest == [5, 2] and losses[0] == pytest.approx(losses[1], rel=1e-4)


def counting(loss, seen):
    return lambda way, model, rollouts, **named: seen.append(len(rollouts)) or loss(way, model, rollouts, **named)


def test_expert_iteration_learns_verified_failures_in_rounds_of_its_budget(tmp_path):
    questioner, answerer = Questioner(tiny.load("questioner")), faulty()
    before = {name: weight.clone() for name, weight in questioner.model.model.named_parameters()}
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        tallies = expert_iteration.train(
            questioner, answerer, OracleVerifier(), in_order(IMAGES, 6), calls=302, k=2, group_size=4, rounds=3,
            options=sft.SFTOptions(learning_rate=1e-4), ledger=ledger, annotate=annotator(answerer),
        )  # fmt: skip
        assert [tally.calls for tally in tallies] == [101, 101, 100]
        runs = [run.id for run in ledger.runs()]
        assert runs == [f"expert iteration/round-{n}" for n in range(3)]
        steps = [number for run in runs for _, number in ledger.recorded_steps(run)]
        assert steps == list(range(len(steps)))  # no round begins at the first pictures again
        failures = [recorded_questions(ledger, run).failures() for run in runs]
    assert any(failures) and [len(each) for each in failures] == [tally.wrong for tally in tallies]
    assert any(not torch.equal(before[name], w) for name, w in questioner.model.model.named_parameters())
    for wrong in failures:
        known = {(image, question.text) for image, question in wrong}
        for row in rows_of([(PICTURES[image], question.text) for image, question in wrong], 2):
            texts = parse_responses([row.completion], k=2).text
            assert len(set(texts)) == 2 and all((row.image.id, text) in known for text in texts)


def test_expert_iteration_without_a_failure_changes_nothing():
    questioner = Questioner(tiny.load("questioner"))
    before = {name: weight.clone() for name, weight in questioner.model.model.named_parameters()}
    expert_iteration.train(
        questioner, ExecutingAnswerer(), OracleVerifier(), in_order(IMAGES, 6), calls=20, k=2, group_size=2, rounds=2
    )
    assert all(torch.equal(before[name], weight) for name, weight in questioner.model.model.named_parameters())


def test_rows_come_from_files_of_two_kinds_and_from_an_export(tmp_path):
    given = [(IMAGES[i % 2].key, f"is there a star {i}?") for i in range(5)] + [(IMAGES[5].key, "alone?")]
    lines = [{"image": key, "question": text, "more": 1} for key, text in given]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    found = rows.read_rows(tmp_path / "rows.jsonl", IMAGES, k=2)
    assert [(row.image.id, parse_responses([row.completion], k=2).text) for row in found] == [
        (0, ["is there a star 0?", "is there a star 2?"]),
        (0, ["is there a star 4?", "is there a star 0?"]),
        (1, ["is there a star 1?", "is there a star 3?"]),
    ]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pylist(lines)
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert [r.completion for r in rows.read_rows(tmp_path / "rows.parquet", IMAGES, k=2)] == [
        r.completion for r in found
    ]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        evaluated(RandomValid(), calls=30, ledger=ledger)
        assert ledger.export(tmp_path / "all.jsonl") == 30
    assert (
        sum(len(parse_responses([r.completion], k=1).text) for r in rows.read_rows(tmp_path / "all.jsonl", IMAGES, k=1))
        > 20
    )


def test_the_worlds_rows_are_failures_of_other_faults_and_none_of_those_under_test():
    other = FaultyAnswerer(ExecutingAnswerer(), load_faults(rows.OTHER_FAULTS))
    tested, oracle = faulty(), OracleVerifier()
    found = rows.world_rows(WorldImages(24, seed=8), k=1)
    pairs = [(row.image, parse_responses([row.completion], k=1).text[0]) for row in found]
    images, questions = [image for image, _ in pairs], [text for _, text in pairs]
    for answerer, right in ((other, False), (tested, True)):
        replies = [reply.text for reply in answerer.answer(images, questions)]
        verdicts = [judgement.correct for judgement in oracle.correctness(images, questions, replies)]
        assert len(verdicts) > 30 and verdicts == [right] * len(verdicts)
    reached = [set(tested.exposure(image, text).reached) for image, text in pairs]
    assert not any(reached)
    hit = {fault for image, text in pairs for fault in other.exposure(image, text).reached}
    assert len(hit) >= 12


@pytest.mark.parametrize("word", ["<response_3>", "</think>", "<|im_end|>", "[/THINK]"])
def test_a_reply_of_the_first_turn_ends_nothing_in_the_completion_that_begins_with_it(word):
    turns = WorldTurns(answerer=None)
    turns._known = lambda *asked: ([[("is there a star ?", word), ("why ?", "no")]], 2)
    begun = turns(SimpleNamespace(prompt="ask {k}"), [None], k=1, seed=0, step=0).begun[0]
    assert word not in begun and parse_responses([begun], k=2).ok.tolist() == [True, True]


def test_completions_know_their_images():
    made = Completions.of([["a", "b"], [], ["c"]], calls=3)
    assert (made.texts, made.group.tolist(), len(made), made.calls) == (["a", "b", "c"], [0, 0, 2], 3, 3)
    assert made.lengths.tolist() == [0, 0, 0] and made.token_ends is None


@pytest.mark.parametrize(
    "line, text",
    [
        ("[]", r"line 1: expected an object, got list"),
        ("{", r"line 1: expected JSON"),
        ('{"image": "scene-31-0"}', r"line 1: question: expected a text, got None"),
        (
            '{"image": "nowhere", "question": "why?"}',
            r"line 1: image: expected the key of a picture of the source, got",
        ),
    ],
)
def test_a_wrong_line_of_rows_is_named(line, text, tmp_path):
    (tmp_path / "rows.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"^\[read_rows\] rows\.jsonl, " + text):
        rows.read_rows(tmp_path / "rows.jsonl", IMAGES, k=2)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda q: sft.train(q, []), r"\[sft\.train\] rows: expected at least one, got none"),
        (lambda q: q.say(PICTURES[:1], ["red " * 500], k=2), r"\[say\] texts\[0\]: expected at most \d+ tokens"),
        (
            lambda q: rows.read_rows("rows.csv", IMAGES, k=2),
            r"\[read_rows\] path: expected a name that ends in \.jsonl",
        ),
        (lambda q: rows.read_rows("none.jsonl", IMAGES, k=2), r"\[read_rows\] path: expected a file, got 'none"),
        (lambda q: q.say(PICTURES[:1], [], k=2), r"\[say\] texts: expected 1 rows, got 0"),
        (lambda q: sft.SFTOptions(batch=0), r"\[SFTOptions\] batch: expected at least 1, got 0"),
        (
            lambda q: expert_iteration.train(q, None, None, None, calls=4, k=2),
            r"\[expert_iteration\.train\] calls: expected at least 5, one a round, got 4",
        ),
        (lambda q: RandomValid().ask(PICTURES, k=0, seed=0, step=0), r"\[RandomValid\.ask\] k: expected at least 1"),
    ],
)
def test_wrong_input_is_named(call, text):
    with pytest.raises(ValueError, match=text):
        call(Questioner(tiny.load("questioner")))
