"""On a CUDA device everything that a user of the CPU has: asking, learning, answering, checkpoints. Beside the CPU's
numbers, in float32 without TF32; in bfloat16 within what eight bits allow."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch

from support import tiny_runs
from support.ragged import RAGGED, ragged_rollouts
from support.tiny_models import qwen2_5, qwen3
from vlmprobe import grpo
from vlmprobe._native import core
from vlmprobe.policy.questioner import Questioner
from vlmprobe.policy.sampling import Rollouts, completion_states
from vlmprobe.text import parse_responses
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages, scene_of

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
IMAGES = WorldImages(8, seed=77)
FIRST = [IMAGES[i] for i in range(3)]
ways = pytest.mark.parametrize("packing", ["packed", "plain"])
each_model = pytest.mark.parametrize("make", [lambda: world(), qwen2_5, qwen3], ids=["world", "qwen2_5", "qwen3"])

LOGP = 2e-5  # float32, nats: sums of up to 400 products in another order, through four layers
GRADIENT = 2e-4  # float32: of a gradient, relative to its norm; the sums above, once more backwards
# bfloat16 keeps eight bits: each rounding is off by up to 2^-9 of its number, and four layers round some fifty times
LOGP_BF16 = 0.1
GRADIENT_BF16 = 0.05
EVERY_TERM = grpo.LossOptions(clip_low=0.1, clip_high=0.3, beta=0.05, entropy_weight=0.02, reduction="dapo")
OPTIONS = {"paper": grpo.PAPER, "trl": grpo.TRL, "gspo": grpo.GSPO, "every term": EVERY_TERM}


@pytest.fixture(autouse=True)
def no_tf32(monkeypatch):
    """Pictures enter through a convolution, which cuDNN would round to ten bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def world(device: str = "cpu", dtype: torch.dtype = torch.float32, name: str = "questioner") -> VisionLanguageModel:
    return VisionLanguageModel.load(tiny.WEIGHTS / name, device=device, dtype=dtype)


def pair(make, packing: str = "packed", dtype: torch.dtype = torch.float32) -> tuple[Questioner, Questioner]:
    """The same questioner in float32 on the CPU, and on the device."""
    here, there = make(), make()
    there.model.to(DEVICE, dtype)
    return tuple(Questioner(model, packing=packing, max_new_tokens=40) for model in (here, there))


def ask(questioner: Questioner, **changes) -> Rollouts:
    return questioner.ask(FIRST, **{"k": 2, "group_size": 4, "seed": 5, "step": 1} | changes)


def moved(rollouts: Rollouts, questioner: Questioner, texts: list[str]) -> Rollouts:
    """The rollouts where the questioner is, with prompts of its own."""
    prompts = questioner.model.prompts([IMAGES[i] for i in range(len(texts))], texts)
    tensors = {name: getattr(rollouts, name).to(questioner.model.device) for name in ("tokens", "logp", "mask")}
    return dataclasses.replace(rollouts, prompts=prompts, **tensors)


def sampled(here: Questioner, there: Questioner) -> tuple[Rollouts, Rollouts]:
    """What the first one said, for each of them."""
    rollouts = ask(here)
    return rollouts, moved(rollouts, there, ["ask 2 questions"] * 3)


def logp_of(questioner: Questioner, rollouts: Rollouts) -> torch.Tensor:
    model = questioner.model
    with torch.no_grad():
        states = completion_states(model, rollouts, packed=questioner.packing == "packed")
    found = grpo.linear_logp(states, model.head, rollouts.tokens, mask=rollouts.mask, banned=model.banned_tokens)
    assert found.logp.device.type == model.device.type
    return found.logp.cpu()


def learned(questioner: Questioner, rollouts: Rollouts, options=grpo.PAPER, advantages=None):
    """The loss, and each weight's gradient in float32 on the CPU."""
    advantages = torch.linspace(-1.0, 1.5, len(rollouts)) if advantages is None else advantages
    found = questioner.loss(rollouts, advantages, options=options)
    questioner.model.model.zero_grad()
    found.loss.backward()
    named = questioner.model.model.named_parameters()
    return found, {name: weight.grad.float().cpu() for name, weight in named if weight.grad is not None}


def largest_error(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Of a weight's gradient, relative to its norm; a gradient that vanishes counts by the norm of all."""
    assert ours.keys() == theirs.keys() and len(ours) > 3
    floor = 1e-3 * torch.stack([gradient.norm() for gradient in theirs.values()]).norm()
    return max(float((ours[n] - g).norm() / g.norm().clamp(min=floor)) for n, g in theirs.items())


def whole_error(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Of the gradient of all weights, relative to its norm."""
    ours, theirs = (torch.cat([some[name].flatten() for name in sorted(theirs)]) for some in (ours, theirs))
    return float((ours - theirs).norm() / theirs.norm())


@ways
def test_completions_parse_and_equal_seeds_give_equal_questions(packing, record_property):
    here, there = pair(world, packing)
    first, again, other = ask(there), ask(there), ask(there, step=2)
    assert first.tokens.device.type == first.logp.device.type == first.mask.device.type == DEVICE
    assert first.texts == again.texts != other.texts
    questions = parse_responses(first.texts, k=2, token_ends=first.token_ends)
    assert questions.ok.float().mean() > 0.9
    assert torch.allclose(logp_of(there, first), first.logp.cpu(), atol=LOGP)
    equal = [ours == theirs for ours, theirs in zip(first.texts, ask(here).texts, strict=True)]
    record_property("completions as on the CPU", f"{sum(equal)} of {len(equal)}")
    assert sum(equal) >= 0.8 * len(equal)  # a draw within a rounding of the border between two words falls either way


@each_model
@ways
def test_log_probabilities_are_those_of_the_cpu(make, packing, record_property):
    here, there = pair(make, packing)
    ours, theirs = (logp_of(*each) for each in zip((there, here), reversed(sampled(here, there)), strict=True))
    record_property("largest difference", float((ours - theirs).abs().max()))
    assert (ours - theirs).abs().max() <= LOGP


@pytest.mark.parametrize("name", OPTIONS)
@ways
def test_the_loss_and_its_gradients_are_those_of_the_cpu(packing, name, record_property):
    here, there = pair(world, packing)
    rollouts = sampled(here, there)
    for old in (here, there):  # a policy that has moved away from the reference and from the one that sampled
        with torch.no_grad():
            for weight in old.parameters():
                weight.mul_(1.01)
    theirs, ours = (learned(*each, options=OPTIONS[name]) for each in zip((here, there), rollouts, strict=True))
    assert ours[0].loss.device.type == DEVICE
    torch.testing.assert_close(ours[0].loss.cpu(), theirs[0].loss, rtol=GRADIENT, atol=1e-5)
    torch.testing.assert_close(ours[0].monitors.cpu(), theirs[0].monitors, rtol=GRADIENT, atol=1e-4, equal_nan=True)
    record_property("largest relative difference", largest_error(ours[1], theirs[1]))
    assert largest_error(ours[1], theirs[1]) <= GRADIENT


def test_advantages_of_each_token_count_as_on_the_cpu():
    here, there = pair(world)
    rollouts = sampled(here, there)
    advantages = torch.randn(rollouts[0].tokens.shape, generator=torch.Generator().manual_seed(2))
    theirs, ours = (learned(*each, advantages=advantages) for each in zip((here, there), rollouts, strict=True))
    assert largest_error(ours[1], theirs[1]) <= GRADIENT


@each_model
@ways
def test_groups_of_ragged_prompts_and_completions_learn_as_on_the_cpu(make, packing, record_property):
    here, there = pair(make, packing)
    rollouts = ragged_rollouts(here)
    theirs, ours = learned(here, rollouts), learned(there, moved(rollouts, there, RAGGED))
    assert float(ours[0].loss.detach()) == pytest.approx(float(theirs[0].loss.detach()), rel=GRADIENT)
    record_property("largest relative difference", largest_error(ours[1], theirs[1]))
    assert largest_error(ours[1], theirs[1]) <= GRADIENT


def test_prompts_are_shared_in_the_loss_alone_unless_asked_for():
    there = Questioner(world(DEVICE))
    assert not there.packs(prompt=1000, group_size=8) and there.packs(prompt=1000, completion=64, group_size=8)
    there.packing = "packed"
    assert there.packs(prompt=1000, group_size=8)


@ways
def test_checkpointed_layers_give_the_same_gradients(packing):
    _, there = pair(world, packing)
    rollouts = ask(there)
    _, ordinary = learned(there, rollouts)
    there.checkpointing = True
    assert largest_error(learned(there, rollouts)[1], ordinary) <= GRADIENT


@ways
def test_in_bfloat16_it_asks_and_learns_the_same_within_its_rounding(packing, record_property):
    here, there = pair(world, packing, torch.bfloat16)
    said = ask(there)
    assert said.texts == ask(there).texts and said.logp.dtype == torch.float32
    assert parse_responses(said.texts, k=2, token_ends=said.token_ends).ok.float().mean() > 0.9
    rollouts = sampled(here, there)
    difference = (logp_of(there, rollouts[1]) - logp_of(here, rollouts[0])).abs()
    record_property("largest difference", float(difference.max()))
    record_property("mean difference", float(difference[rollouts[0].mask].mean()))
    assert difference.max() <= LOGP_BF16
    theirs, ours = (learned(*each) for each in zip((here, there), rollouts, strict=True))
    record_property("relative difference of the gradient", whole_error(ours[1], theirs[1]))
    assert whole_error(ours[1], theirs[1]) <= GRADIENT_BF16


def test_given_completions_are_scored_as_on_the_cpu():
    here, there = pair(world)
    texts = [ask(here, group_size=1).texts[i] for i in range(3)]
    theirs, ours = (questioner.say(FIRST, texts, k=2) for questioner in (here, there))
    assert ours.texts == theirs.texts and torch.allclose(ours.logp.cpu(), theirs.logp, atol=LOGP)


def finite(report) -> bool:
    return all(math.isfinite(value) for value in (report.reward, report.loss, report.kl, report.grad_norm))


def test_three_steps_of_training_in_the_world():
    trainer = tiny_runs.make(device=DEVICE)
    before = [weight.detach().clone() for weight in trainer.questioner.parameters()]
    reports = trainer.train(3)
    assert all(finite(report) and report.valid > 0 for report in reports)
    assert {weight.device.type for weight in trainer.questioner.parameters()} == {DEVICE}
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.questioner.parameters(), strict=True))


def test_a_training_is_repeated_to_the_word():
    ends = [tiny_runs.make(device=DEVICE).train(2) for _ in range(2)]
    assert [report.reward for report in ends[0]] == [report.reward for report in ends[1]]


@pytest.mark.parametrize("saved, resumed", [(DEVICE, "cpu"), ("cpu", DEVICE)])
def test_a_checkpoint_of_one_device_goes_on_on_the_other(saved, resumed, tmp_path):
    first, second = tiny_runs.make(device=saved), tiny_runs.make(device=resumed)
    first.train(2)
    first.save(tmp_path)
    assert second.load(tmp_path) and second.next_step == 2
    for ours, theirs in zip(second.questioner.parameters(), first.questioner.parameters(), strict=True):
        assert ours.device.type == resumed and torch.equal(ours.cpu(), theirs.cpu())
        kept = second.optimizer.state[ours]["exp_avg"], first.optimizer.state[theirs]["exp_avg"]
        assert kept[0].device.type == resumed and torch.equal(kept[0].cpu(), kept[1].cpu())
    assert finite(second.step()) and second.next_step == 3


def test_an_answerer_answers_as_on_the_cpu(record_property):
    images = list(itertools.chain.from_iterable([image] * 25 for image in IMAGES))
    questions = [core.world.sample_question(scene_of(image), 3, i, 0).question for i, image in enumerate(images)]
    theirs, ours = (HFAnswerer(world(device, name="answerer")).answer(images, questions) for device in ("cpu", DEVICE))
    assert len(ours) == 200 and sum(reply.ok for reply in theirs) > 190
    equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
    record_property("answers as on the CPU", f"{equal} of {len(ours)}")
    assert equal >= 196  # greedy: where two words are within a rounding of each other, either may come first


def test_an_answer_without_an_end_is_truncated():
    replies = HFAnswerer(world(DEVICE), max_new_tokens=2).answer([IMAGES[0]], ["ask 2 questions"])
    assert replies[0].failure is not None and not replies[0].ok
