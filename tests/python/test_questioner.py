"""Sampling, log-probabilities and learning of a real model class, the world's own questioner."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tiny_models import qwen2_5
from vlmprobe import grpo
from vlmprobe.models.hf import HFAnswerer, VisionLanguageModel
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.questioner import Questioner
from vlmprobe.rollout import Rollouts, completion_states
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages

IMAGES = WorldImages(4, seed=77)


@pytest.fixture
def questioner() -> Questioner:
    return Questioner(tiny.load("questioner"))


def ask(questioner: Questioner, images=(0, 1), **changes):
    arguments = {"k": 2, "group_size": 3, "seed": 5, "step": 1} | changes
    return questioner.ask([IMAGES[i] for i in images], **arguments)


def completion_logp(questioner: Questioner, rollouts: Rollouts, packed: bool = True):
    """Log-probability and entropy [B, T] under the present weights."""
    model = questioner.model
    with torch.no_grad():
        states = completion_states(model, rollouts, packed=packed)
    return grpo.linear_logp(
        states, model.head, rollouts.tokens, mask=rollouts.mask, banned=model.banned_tokens,
        temperature=questioner.temperature,
    )  # fmt: skip


def test_equal_names_give_equal_draws_and_other_steps_other_ones(questioner):
    first, again, other = ask(questioner), ask(questioner), ask(questioner, step=2)
    assert torch.equal(first.tokens, again.tokens) and torch.equal(first.logp, again.logp)
    assert first.texts == again.texts != other.texts


def test_a_sequence_does_not_depend_on_the_images_after_it(questioner):
    alone, beside = ask(questioner, images=(0,)), ask(questioner, images=(0, 1))
    assert beside.texts[:3] == alone.texts


def test_recomputed_log_probabilities_equal_the_sampled_ones(questioner):
    rollouts = ask(questioner)
    logp, entropy = completion_logp(questioner, rollouts)
    # float32, one pass against a decode loop with a cache
    assert torch.allclose(logp, rollouts.logp, atol=1e-4)
    assert (logp[~rollouts.mask] == 0).all() and (entropy >= 0).all()


def test_special_tokens_are_never_drawn(questioner):
    hot = Questioner(questioner.model, temperature=50.0, max_new_tokens=24)  # nearly uniform over what is allowed
    tokens = ask(hot, group_size=32).tokens
    assert not np.isin(tokens.numpy(), list(set(questioner.model.banned_ids) - {questioner.model.pad_id})).any()


def test_token_ends_walk_through_the_text(questioner):
    rollouts = ask(questioner)
    for text, ends, mask in zip(rollouts.texts, rollouts.token_ends, rollouts.mask, strict=True):
        assert len(ends) == mask.sum() and (np.diff(ends) >= 0).all() and ends[-1] == len(text.encode())


def test_padding_on_the_left_changes_nothing(questioner):
    model = questioner.model
    texts = ["ask 2 questions", "how many large red circles are left of the small blue square ?"]
    with torch.no_grad():
        together, _ = model.prefill(model.prompts([IMAGES[0], IMAGES[1]], texts))
        alone = [model.prefill(model.prompts([IMAGES[i]], [texts[i]]))[0] for i in (0, 1)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)  # float32, other shapes


def test_one_update_raises_what_had_a_positive_advantage(questioner):
    rollouts = ask(questioner, images=(0,), group_size=6)
    advantages = torch.tensor([1.0, -1.0] * 3)
    before = {name: weight.clone() for name, weight in questioner.model.model.named_parameters()}
    optimizer = torch.optim.SGD(questioner.parameters(), lr=1e-2)
    questioner.loss(rollouts, advantages, options=grpo.PAPER).loss.backward()
    optimizer.step()
    logp, _ = completion_logp(questioner, rollouts)
    gain = ((logp - rollouts.logp) * rollouts.mask).sum(1) / rollouts.mask.sum(1)
    assert (gain * advantages).sum() > 0
    changed = {n for n, w in questioner.model.model.named_parameters() if not torch.equal(w, before[n])}
    assert changed and not any("visual" in name for name in changed)


def test_the_reference_stays_as_it_was(questioner):
    rollouts = ask(questioner)
    held = {name: weight.clone() for name, weight in questioner.reference.model.named_parameters()}
    optimizer = torch.optim.SGD(questioner.parameters(), lr=1.0)
    questioner.loss(rollouts, torch.ones(len(rollouts)), options=grpo.PAPER).loss.backward()
    optimizer.step()
    assert all(torch.equal(weight, held[name]) for name, weight in questioner.reference.model.named_parameters())


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda q: Questioner(q.model, prompt="ask"), "[Questioner] prompt: expected text with {k} in it, got 'ask'"),
        (
            lambda q: Questioner(q.model, temperature=0),
            "[Questioner] temperature: expected a finite number above 0, got 0",
        ),
        (lambda q: Questioner(q.model, max_new_tokens=0), "[Questioner] max_new_tokens: expected at least 1, got 0"),
        (lambda q: ask(q, k=0), "[ask] k: expected at least 1, got 0"),
        (lambda q: ask(q, group_size=0), "[ask] group_size: expected at least 1, got 0"),
        (lambda q: ask(q, images=()), "[ask] images: expected at least one, got none"),
    ],
)
def test_wrong_input_is_named(questioner, call, text):
    with pytest.raises(ValueError) as error:
        call(questioner)
    assert str(error.value) == text


def test_answers_do_not_depend_on_the_batch():
    model = tiny.load("answerer")
    questions = ["how many objects are there ?", "is there a red circle ?", "what color is the leftmost object ?"] * 2
    images = [IMAGES[i % 4] for i in range(6)]
    whole = HFAnswerer(model).answer(images, questions)
    single = HFAnswerer(model, batch_size=1).answer(images, questions)
    assert whole == single and all(reply.ok for reply in whole)


def test_an_answer_without_an_end_is_truncated_and_not_a_finding():
    replies = HFAnswerer(tiny.load("questioner"), max_new_tokens=2).answer([IMAGES[0]], ["ask 2 questions"])
    assert replies[0].failure is Failure.TRUNCATED


@pytest.mark.parametrize(
    "said, reply",
    [
        ("<think>or blue</think>\n\nred", Reply(text="red")),
        ("or blue</think>red", Reply(text="red")),
        ("<think>or blue", Reply(failure=Failure.TRUNCATED)),
        ("<think>red</think>", Reply(failure=Failure.EMPTY)),
        ("\u3164", Reply(failure=Failure.EMPTY)),
        ("red", Reply(text="red")),
    ],
)
def test_an_answerer_in_this_process_that_thinks_is_heard_behind_its_thinking(said, reply):
    tokenizer = SimpleNamespace(batch_decode=lambda tokens, skip_special_tokens: [said])
    model = SimpleNamespace(eos_ids=[1], processor=SimpleNamespace(tokenizer=tokenizer))
    assert HFAnswerer(model)._reply(torch.tensor([5, 1])) == reply


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"path: expected a folder with config.json, got"):
        VisionLanguageModel.load(tmp_path)


def test_the_qwen2_5_class_samples_and_recomputes_alike():
    questioner = Questioner(qwen2_5(), max_new_tokens=12)
    rollouts = ask(questioner)
    logp, _ = completion_logp(questioner, rollouts)
    assert torch.allclose(logp, rollouts.logp, atol=1e-4)
    questioner.loss(rollouts, torch.randn(len(rollouts)), options=grpo.PAPER).loss.backward()
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in questioner.parameters())


def test_another_class_is_refused_by_name():
    model = torch.nn.Module()
    model.model = torch.nn.Linear(1, 1)
    with pytest.raises(
        ValueError, match=r"^\[VisionLanguageModel\] model: expected a model of the Qwen2-VL,.* got Module$"
    ):
        VisionLanguageModel(model, tiny.processor(), identity="linear")
