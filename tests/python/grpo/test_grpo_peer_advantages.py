"""Advantages against TRL's own code, as installed (see support/grpo_peers.py)."""

import math

import pytest
import torch

from support.grpo_settings import each_dtype, needs_trl
from vlmprobe import grpo

ADVANTAGE_TOLERANCE = {torch.float64: 1e-7, torch.float32: 5e-6}  # TRL's n / (n - 1) is float32 whatever the rewards


def trl_advantages(rewards, group_size, scale):
    """TRL's sum_then_normalize for one reward function, from its formula; groups are consecutive, NaN is unscored."""
    from trl.trainer.utils import nanstd

    groups = rewards.view(-1, group_size)
    advantages = rewards - torch.nanmean(groups, 1).repeat_interleave(group_size)
    if scale != "none":
        std = nanstd(groups, dim=1).repeat_interleave(group_size) if scale == "group" else nanstd(rewards)
        advantages = advantages / (std + 1e-4)
    return torch.nan_to_num(advantages, nan=0.0)


def trl_gdpo(rewards, group_size, weights):
    """TRL's normalize_then_sum, from its formula. rewards [B, K]."""
    from trl.trainer.utils import nanstd

    groups = rewards.view(-1, group_size, rewards.shape[1])
    normalised = (groups - torch.nanmean(groups, 1, keepdim=True)) / (nanstd(groups, dim=1, keepdim=True) + 1e-4)
    sums = (normalised.view_as(rewards) * weights).nansum(1)
    sums[rewards.isnan().all(1)] = math.nan
    return torch.nan_to_num((sums - torch.nanmean(sums)) / (nanstd(sums) + 1e-4), nan=0.0)


def rewards_of(seed, *shape, dtype):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def labels(groups, size):
    return torch.arange(groups).repeat_interleave(size)


@needs_trl
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@each_dtype
def test_group_advantages_equal_trls_with_every_scale_and_with_unscored_rewards(dtype, scale):
    rewards = rewards_of(21, 40, dtype=dtype)
    rewards[[3, 9, 10]] = math.nan
    rewards[15:20] = torch.tensor([math.nan, math.nan, 0.5, math.nan, math.nan], dtype=dtype)  # one scorable
    rewards[20:25] = math.nan  # none
    found = grpo.group_advantages(rewards, group=labels(8, 5), options=grpo.AdvantageOptions(scale=scale))
    expected = trl_advantages(rewards, 5, scale)
    torch.testing.assert_close(found.values, expected, rtol=ADVANTAGE_TOLERANCE[dtype], atol=ADVANTAGE_TOLERANCE[dtype])
    assert found.values[15:25].count_nonzero() == 0 and found.degenerate[15:25].all()
    assert not found.degenerate[:15].any() and not found.degenerate[25:].any()


@needs_trl
@pytest.mark.parametrize("weights", [None, [0.25, 2.0, -1.0]], ids=["unweighted", "weighted"])
@each_dtype
def test_gdpo_advantages_equal_trls_normalize_then_sum(dtype, weights):
    rewards = rewards_of(22, 24, 3, dtype=dtype)
    rewards[2, 1] = rewards[7, 0] = math.nan  # a reward function that does not apply
    rewards[[5, 13]] = math.nan  # an unscored row
    rewards[16:20, 2] = torch.tensor([math.nan, math.nan, 0.5, math.nan], dtype=dtype)
    tensor = None if weights is None else torch.tensor(weights, dtype=dtype)
    found = grpo.gdpo_advantages(rewards, group=labels(6, 4), weights=tensor)
    expected = trl_gdpo(rewards, 4, torch.ones(3, dtype=dtype) if tensor is None else tensor)
    torch.testing.assert_close(found.values, expected, rtol=ADVANTAGE_TOLERANCE[dtype], atol=ADVANTAGE_TOLERANCE[dtype])
    assert found.values[[5, 13]].count_nonzero() == 0


@needs_trl
@pytest.mark.parametrize("size", [6, 7, 8, 12])
def test_trls_advantages_of_identical_float32_rewards_are_not_zero_and_ours_are_exactly_zero(size):
    rewards = 3 * torch.full((size,), 0.7)
    assert trl_advantages(rewards, size, "group").abs().max() > 5e-4
    for scale in ("group", "batch", "none"):
        found = grpo.group_advantages(rewards, group=labels(1, size), options=grpo.AdvantageOptions(scale=scale))
        assert found.values.count_nonzero() == 0 and found.degenerate.all()


@needs_trl
def test_trls_gdpo_of_a_group_of_identical_float32_rewards_is_not_zero_and_ours_is_exactly_zero():
    rewards = rewards_of(23, 14, 2, dtype=torch.float32)
    rewards[7:] = 3 * torch.full((7, 2), 0.7)
    assert trl_gdpo(rewards, 7, torch.ones(2))[7:].abs().max() > 1e-3
    found = grpo.gdpo_advantages(rewards, group=labels(2, 7))
    assert found.values[7:].count_nonzero() == 0 and found.values[:7].count_nonzero() == 7
