"""Packed and plain are the same computation: sampled tokens, hidden states, losses, gradients."""

from __future__ import annotations

import copy
import dataclasses
import warnings

import pytest
import torch

from support.ragged import IMAGES, RAGGED, prompts_of, ragged_rollouts
from support.tiny_models import qwen2_5, qwen3
from vlmprobe import grpo
from vlmprobe.policy.questioner import Questioner, sharing_pays_in_loss, sharing_pays_in_sampling
from vlmprobe.policy.sampling import completion_states
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.shared_prefix import TrainingRow

classes = pytest.mark.parametrize("make", [qwen2_5, qwen3])

STATES = 1e-5  # float32: largest difference of a logit or state
GRADIENT = 1e-4  # float32: of a gradient, relative to its norm


def questioner(make, packing="packed", **changes) -> Questioner:
    return Questioner(make(), packing=packing, **{"max_new_tokens": 20} | changes)


def gradients(asker: Questioner, rollouts, options=grpo.PAPER) -> tuple[float, dict[str, torch.Tensor]]:
    advantages = torch.linspace(-1.0, 1.5, len(rollouts))
    result = asker.loss(rollouts, advantages, options=options)
    asker.model.model.zero_grad()
    result.loss.backward()
    found = {n: w.grad.clone() for n, w in asker.model.model.named_parameters() if w.grad is not None}
    return float(result.loss.detach()), found


def assert_same_gradients(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    assert ours[1].keys() == theirs[1].keys() and len(ours[1]) > 3
    for name, gradient in theirs[1].items():
        assert (ours[1][name] - gradient).norm() <= GRADIENT * gradient.norm() + 1e-9, name


@classes
def test_hidden_states_of_ragged_groups_are_the_plain_ones(make):
    asker = questioner(make)
    rollouts = ragged_rollouts(asker)
    with torch.no_grad():
        packed = completion_states(asker.model, rollouts, packed=True)
        plain = completion_states(asker.model, rollouts, packed=False)
        logits = [states @ asker.model.head.T for states in (packed, plain)]
    counted = rollouts.mask
    assert (packed - plain)[counted].abs().max() <= STATES
    assert (logits[0] - logits[1])[counted].abs().max() <= STATES


@classes
def test_gradients_of_ragged_groups_are_the_plain_ones(make):
    packed = questioner(make)
    plain = questioner(make, "plain")
    rollouts = ragged_rollouts(packed)
    assert_same_gradients(gradients(packed, rollouts), gradients(plain, rollouts))


@classes
def test_gradients_of_sampled_groups_are_the_plain_ones(make):
    packed, plain = questioner(make), questioner(make, "plain")
    rollouts = packed.ask([IMAGES[0], IMAGES[1]], k=2, group_size=4, seed=1, step=0)
    assert_same_gradients(gradients(packed, rollouts), gradients(plain, rollouts))


@classes
def test_both_ways_draw_the_same_tokens(make):
    packed, plain = questioner(make), questioner(make, "plain")
    ours, theirs = (q.ask([IMAGES[i] for i in range(4)], k=2, group_size=5, seed=2, step=3) for q in (packed, plain))
    assert torch.equal(ours.tokens, theirs.tokens) and torch.equal(ours.mask, theirs.mask)
    assert torch.allclose(ours.logp, theirs.logp, atol=1e-5)
    assert not ours.mask.all()  # some ended early, so that rows left while others went on


@classes
@pytest.mark.parametrize("packing", ["packed", "plain"])
def test_prompts_of_different_lengths_are_sampled_as_alone(make, packing, monkeypatch):
    asker = questioner(make, packing)
    whole = prompts_of(asker.model, RAGGED)
    alone = asker.model.prompts([IMAGES[0]], RAGGED[:1])

    def ask(prompts, count):
        monkeypatch.setattr(asker.model, "prompts", lambda *_: prompts)
        return asker.ask([IMAGES[i] for i in range(count)], k=2, group_size=2, seed=4, step=0)

    together, single = ask(whole, 4), ask(alone, 1)
    length = single.tokens.shape[1]
    assert torch.equal(together.tokens[:2, :length], single.tokens)
    assert torch.allclose(together.logp[:2, :length], single.logp, atol=1e-5)


@classes
@pytest.mark.parametrize("packing", ["packed", "plain"])
def test_gradient_checkpointing_changes_no_gradient_and_keeps_less(make, packing):
    ordinary, checkpointed = questioner(make, packing), questioner(make, packing, checkpointing=True)
    rollouts = ragged_rollouts(ordinary)
    assert_same_gradients(gradients(checkpointed, rollouts), gradients(ordinary, rollouts))
    kept = []
    for asker in (checkpointed, ordinary):
        total = 0

        def count(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            asker.loss(rollouts, torch.ones(len(rollouts)), options=grpo.TRL)
        kept.append(total)
    assert kept[0] < 0.7 * kept[1]
    again = checkpointed.ask([IMAGES[0]], k=2, seed=0, step=0)  # sampling still works, in evaluation mode
    assert torch.equal(again.tokens, ordinary.ask([IMAGES[0]], k=2, seed=0, step=0).tokens)


@classes
def test_adapters_learn_and_the_weights_beside_them_do_not(make):
    models = [add_lora(make(), rank=4), add_lora(make(), rank=4)]
    models[1].model.load_state_dict(models[0].model.state_dict())
    for model in models:  # an adapter starts at zero: give it something, so that every gradient counts
        for name, weight in model.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02, generator=torch.Generator().manual_seed(len(name)))
    packed, plain = Questioner(models[0], packing="packed"), Questioner(models[1], packing="plain")
    assert packed.reference is packed.model
    rollouts = ragged_rollouts(packed)
    ours, theirs = gradients(packed, rollouts), gradients(plain, rollouts)
    assert_same_gradients(ours, theirs)
    assert all("lora_" in name and "visual" not in name for name in ours[1])
    assert all(gradient.abs().sum() > 0 for gradient in ours[1].values())
    assert packed.loss(rollouts, torch.ones(len(rollouts)), options=grpo.PAPER).kl > 0  # the reference has no adapter

    before = {n: w.clone() for n, w in packed.model.model.named_parameters() if "lora_" not in n}
    torch.optim.SGD(packed.parameters(), lr=1.0).step()
    assert all(torch.equal(before[n], w) for n, w in packed.model.model.named_parameters() if n in before)


def test_a_padded_prompt_may_hold_anything_where_it_is_masked():
    asker = questioner(qwen3)
    rollouts = ragged_rollouts(asker)
    poisoned = dataclasses.replace(rollouts, tokens=rollouts.tokens.masked_fill(~rollouts.mask, 99))
    ids = rollouts.prompts.ids.masked_fill(rollouts.prompts.mask == 0, 98)
    poisoned = dataclasses.replace(poisoned, prompts=dataclasses.replace(rollouts.prompts, ids=ids))
    with torch.no_grad():
        first, second = (completion_states(asker.model, r, packed=True) for r in (rollouts, poisoned))
    assert torch.equal(first[rollouts.mask], second[rollouts.mask])


def test_a_row_holds_prompts_once_and_no_padding():
    asker = questioner(qwen3)
    rollouts = ragged_rollouts(asker)
    row = TrainingRow(rollouts.prompts, rollouts.tokens, rollouts.mask)
    fed = (rollouts.mask.sum(1) - 1).clamp(min=0).sum()  # the last token of a completion predicts nothing
    assert row.ids.shape[1] == rollouts.prompts.mask.sum() + fed


def test_the_way_is_chosen_by_what_it_costs():
    assert not sharing_pays_in_loss(1000, 64, group_size=1) and not sharing_pays_in_sampling(1000, group_size=1)
    assert sharing_pays_in_loss(1000, 64, group_size=8) and sharing_pays_in_sampling(1000, group_size=8)
    assert not sharing_pays_in_loss(4, 96, group_size=2) and not sharing_pays_in_sampling(23, group_size=2)
    assert not sharing_pays_in_sampling(1000, group_size=8, device="cuda")


def test_another_attention_falls_back_and_says_so_once():
    model = qwen3().model
    model.set_attn_implementation("eager")
    eager = type(qwen3())(model, qwen3().processor, identity="eager")
    with pytest.warns(UserWarning, match=r"not shared.*expected attn_implementation='sdpa', got 'eager'"):
        asker = Questioner(eager)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rollouts = asker.ask([IMAGES[0]], k=2, group_size=8, seed=0, step=0)
        asker.loss(rollouts, torch.ones(8), options=grpo.PAPER).loss.backward()
    with pytest.raises(ValueError, match=r"^\[Questioner\] packing: expected attn_implementation='sdpa', got 'eager'$"):
        Questioner(eager, packing="packed")


def test_an_unknown_way_is_named():
    with pytest.raises(ValueError, match=r"^\[Questioner\] packing: expected auto, packed or plain, got 'flash'$"):
        questioner(qwen3, "flash")


def test_a_copied_model_still_shares():
    asker = questioner(qwen3)
    copied = copy.deepcopy(asker.model.model)
    assert copied.config.get_text_config()._attn_implementation == "vlmprobe_shared_prefix"


def test_one_end_of_text_of_several_is_enough():
    asker = questioner(qwen3)
    rollouts = asker.ask([IMAGES[0]], k=2, group_size=4, seed=0, step=0)
    common = int(rollouts.tokens[0, 2])
    asker.model.eos_ids = [*asker.model.eos_ids, common]
    stopped = asker.ask([IMAGES[0]], k=2, group_size=4, seed=0, step=0)
    assert stopped.mask[0].sum() == (rollouts.tokens[0] == common).nonzero()[0, 0] + 1
