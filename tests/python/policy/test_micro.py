"""A step in parts has the loss, the gradient and the monitors of the whole."""

from __future__ import annotations

import pytest
import torch

from support.ragged import ragged_rollouts
from support.tiny_models import qwen2_5, qwen3
from vlmprobe import grpo
from vlmprobe.loop.learn import stepped, update
from vlmprobe.policy.micro import together
from vlmprobe.policy.questioner import Questioner

GRADIENT = 1e-5  # float32: of a gradient, relative to its norm


def backward(questioner, rollouts, advantages, options):
    questioner.model.model.zero_grad()
    found = questioner.backward(rollouts, advantages, options=options)
    return found, {n: w.grad.clone() for n, w in questioner.model.model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("make", [qwen2_5, qwen3])
@pytest.mark.parametrize("packing", ["packed", "plain"])
@pytest.mark.parametrize("preset", ["paper", "trl", "dr_grpo", "gspo"])
@pytest.mark.parametrize("per_token", [False, True])
def test_parts_add_up_to_the_whole(make, packing, preset, per_token):
    """Groups of ragged prompts and completions, one completion of them empty."""
    questioner, options = Questioner(make(), packing=packing, max_new_tokens=20), grpo.PRESETS[preset]
    rollouts = ragged_rollouts(questioner)
    advantages = torch.linspace(-1.0, 1.5, len(rollouts))
    if per_token:
        advantages = advantages[:, None] + torch.linspace(0, 1, rollouts.tokens.shape[1])
    whole, theirs = backward(questioner, rollouts, advantages, options)
    for micro_groups in (1, 3):
        questioner.micro_groups = micro_groups
        parts, ours = backward(questioner, rollouts, advantages, options)
        assert parts.loss.item() == pytest.approx(whole.loss.item(), rel=1e-5, abs=1e-6)
        assert torch.allclose(parts.monitors, whole.monitors, rtol=1e-4, atol=1e-6, equal_nan=True)
        assert ours.keys() == theirs.keys()
        for name, gradient in theirs.items():
            assert (ours[name] - gradient).norm() <= GRADIENT * gradient.norm() + 1e-9, name


def test_the_whole_at_once_is_what_it_was_to_the_bit():
    one, other = (Questioner(qwen3(), max_new_tokens=20, micro_groups=m) for m in (None, 4))
    rollouts = ragged_rollouts(one)
    advantages = torch.linspace(-1.0, 1.5, len(rollouts))
    optimizers = [torch.optim.AdamW(q.parameters(), lr=1e-3, weight_decay=0.0) for q in (one, other)]
    for _ in range(2):
        update(optimizers[0], one.loss(rollouts, advantages, options=grpo.PAPER).loss, max_grad_norm=1.0)
        optimizers[1].zero_grad(set_to_none=True)
        other.backward(rollouts, advantages, options=grpo.PAPER)
        stepped(optimizers[1], max_grad_norm=1.0)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_part_holds_less_than_the_whole():
    questioner = Questioner(qwen3(), max_new_tokens=20)
    rollouts, kept = ragged_rollouts(questioner), []
    for micro_groups in (None, 1):
        questioner.micro_groups, most, held = micro_groups, 0, 0

        def count(tensor):
            nonlocal held, most
            held += tensor.numel()
            most = max(most, held)
            return tensor

        def free(tensor):
            nonlocal held
            held -= tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, free):
            questioner.backward(rollouts, torch.ones(len(rollouts)), options=grpo.TRL)
        kept.append(most)
    assert kept[1] < 0.5 * kept[0]


def test_a_part_is_its_groups_and_no_longer_than_the_longest_of_them():
    questioner = Questioner(qwen3(), max_new_tokens=20)
    rollouts = ragged_rollouts(questioner)
    part = rollouts.part(1, 3)
    assert len(part) == 6 and part.group.tolist() == [0, 0, 0, 1, 1, 1] and len(part.prompts.ids) == 2
    assert part.tokens.shape[1] == rollouts.lengths[3:9].max()
    assert torch.equal(part.tokens, rollouts.tokens[3:9, : part.tokens.shape[1]])
    features = rollouts.prompts.features.pooler_output
    assert all(torch.equal(a, b) for a, b in zip(part.prompts.features.pooler_output, features[1:3], strict=True))


def test_monitors_are_means_over_all_tokens():
    """2 tokens of KL 1 and 6 of KL 3: (2 * 1 + 6 * 3) / 8 = 2.5; a part without a token says nothing."""
    nan = float("nan")
    parts = [[1.0, 0.0, 1.0, 1.5, nan, 2.0], [nan] * 5 + [0.0], [3.0, 0.4, 2.0, 1.2, nan, 6.0]]
    losses = [grpo.Loss(torch.tensor(0.5), torch.tensor(row, dtype=torch.float64)) for row in parts]
    found = together(losses)
    assert found.loss.item() == 1.5 and found.kl == 2.5 and found.clip_fraction == pytest.approx(0.3)
    assert found.ratio_mean == 1.75 and found.ratio_max == 1.5 and found.tokens == 8 and found.entropy != found.entropy
    assert together(losses[1:2]).tokens == 0


def test_a_count_below_one_is_named():
    with pytest.raises(ValueError, match=r"^\[Questioner\] micro_groups: expected at least 1, got 0$"):
        Questioner(qwen3(), micro_groups=0)
