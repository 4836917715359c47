"""Importance weights and advantages against scalar references in plain floats."""

import math
import random

import pytest
import torch

from support.grpo_references import (
    LOSS_TOLERANCE,
    assert_gradient,
    assert_loss,
    each_dtype,
    gradient,
    hold,
    mask_of,
    openrlhf,
    openrlhf_options,
    ours,
    padded,
    rollouts,
    rounded,
    tokens_of,
)
from vlmprobe import grpo


def importance(batch, level, mode, low, high):
    """Lists like logp: exp(old - sampling), or exp of its sum over the sequence; held to bounds, or 0 beyond them."""
    result = []
    for row in batch:
        log_weights = [x - y for x, y in zip(row.old, row.sampling, strict=True)]
        if level == "sequence":
            log_weights = [math.fsum(log_weights)] * len(log_weights)
        weights = [math.exp(x) for x in log_weights]
        if mode == "truncate":
            result.append([hold(w, low, high) for w in weights])
        else:
            result.append([w if low <= w <= high else 0.0 for w in weights])
    return result


def our_weights(batch, level, mode, low, high, dtype=torch.float64):
    weights = grpo.importance_weights(
        padded(batch, "old", dtype),
        sampling_logp=padded(batch, "sampling", dtype),
        mask=mask_of(batch),
        level=level,
        mode=mode,
        minimum=low,
        maximum=high,
    )
    return (weights if weights.dim() == 2 else weights[:, None]).expand(mask_of(batch).shape)


each_importance = pytest.mark.parametrize(
    ("level", "mode"), [(level, mode) for level in ("token", "sequence") for mode in ("truncate", "mask")]
)


@each_dtype
@each_importance
def test_importance_weights_equal_the_reference(level, mode, dtype):
    batch = rounded(rollouts(25), dtype)
    weights = our_weights(batch, level, mode, 0.6, 1.4, dtype)
    seen = set()
    for row, expected in zip(weights, importance(batch, level, mode, 0.6, 1.4), strict=True):
        assert row[: len(expected)].tolist() == pytest.approx(expected, rel=LOSS_TOLERANCE[dtype])
        seen.update(expected)
    assert weights.dtype == dtype
    assert ({0.0} if mode == "mask" else {0.6, 1.4}) <= seen and len(seen) > 2  # held at both ends, and free


@each_importance
def test_without_bounds_importance_weights_are_the_plain_ratio(level, mode):
    batch = rollouts(25)
    weights = grpo.importance_weights(
        padded(batch, "old", torch.float64),
        sampling_logp=padded(batch, "sampling", torch.float64),
        mask=mask_of(batch),
        level=level,
        mode=mode,
    )
    weights = weights if weights.dim() == 2 else weights[:, None].expand(mask_of(batch).shape)
    for row, expected in zip(weights, importance(batch, level, "truncate", 0, math.inf), strict=True):
        assert row[: len(expected)].tolist() == pytest.approx(expected, rel=1e-12)


@each_importance
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_importance_weights_do_not_read_what_lies_behind_the_mask(level, mode, poison):
    batch = rollouts(25)
    mask = mask_of(batch)
    clean = our_weights(batch, level, mode, 0.6, 1.4)
    found = grpo.importance_weights(
        padded(batch, "old", torch.float64).masked_fill(~mask, poison),
        sampling_logp=padded(batch, "sampling", torch.float64).masked_fill(~mask, poison),
        mask=mask,
        level=level,
        mode=mode,
        minimum=0.6,
        maximum=1.4,
    )
    found = (found if found.dim() == 2 else found[:, None]).expand(mask.shape)
    assert torch.equal(found[mask], clean[mask]) and found.isfinite().all()


@each_importance
def test_weighted_advantages_give_openrlhfs_corrected_loss_and_its_gradient(level, mode):
    batch = rollouts(25)
    weights = importance(batch, level, mode, 0.6, 1.4)
    advantages = torch.tensor([row.advantage for row in batch], dtype=torch.float64)[:, None]
    weighted = advantages * our_weights(batch, level, mode, 0.6, 1.4)
    loss, d_logp, _ = ours(batch, openrlhf_options(True, 3.0), tokens_of(batch), advantages=weighted)

    def reference(rows):
        return openrlhf(rows, token_level=True, dual_clip=3.0, weights=weights)

    assert_loss(loss, reference(batch))
    assert_gradient(d_logp, gradient(reference, batch))


# -- advantages


def mean_std(values):
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1))


def normalised(rewards, group, epsilon, minimum=0.0):
    """(R - mean) / (max(std, minimum) + epsilon) with the sample standard deviation; no group of one."""
    result = []
    for reward, label in zip(rewards, group, strict=True):
        mean, std = mean_std([x for x, other in zip(rewards, group, strict=True) if other == label])
        result.append((reward - mean) / (max(std, minimum) + epsilon))
    return result


def ragged(seed):
    """Rewards and labels of groups of 4, 2, 5 and 3, interleaved."""
    draw = random.Random(seed)
    group = [7] * 4 + [-1] * 2 + [3] * 5 + [100] * 3
    draw.shuffle(group)
    return [draw.uniform(-1, 2) for _ in group], group


def our_advantages(rewards, group, dtype=torch.float64, **options):
    return grpo.group_advantages(
        torch.tensor(rewards, dtype=dtype), group=torch.tensor(group), options=grpo.AdvantageOptions(**options)
    )


@each_dtype
@pytest.mark.parametrize("epsilon", [1e-4, 1e-6, 1e-9], ids=["trl", "verl", "openrlhf"])
def test_ragged_groups_are_normalised_with_each_librarys_epsilon(epsilon, dtype):
    rewards, group = ragged(41)
    rewards = torch.tensor(rewards, dtype=dtype).tolist()
    found = our_advantages(rewards, group, dtype, epsilon=epsilon)
    assert found.values.tolist() == pytest.approx(normalised(rewards, group, epsilon), rel=LOSS_TOLERANCE[dtype])
    assert not found.degenerate.any()


def test_a_group_of_one_keeps_its_raw_reward_as_in_verl_and_is_zero_by_default():
    rewards, group = ragged(42)
    rewards, group = [*rewards, 1.75], [*group, 55]
    verls = our_advantages(rewards, group, singleton="raw", epsilon=1e-6)
    # verl divides it by its std of 1 + epsilon: 1.75 / 1.000001
    assert verls.values[-1].item() == pytest.approx(1.75, rel=2e-6)
    assert verls.values[:-1].tolist() == pytest.approx(normalised(rewards[:-1], group[:-1], 1e-6), rel=1e-10)
    assert our_advantages(rewards, group, epsilon=1e-6).values[-1] == 0
    plain = our_advantages(rewards, group, singleton="raw", scale="none")
    assert plain.values[-1].item() == 1.75  # Dr. GRPO and leave-one-out in verl: the reward itself


@pytest.mark.parametrize("epsilon", [1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3])
@each_dtype
def test_identical_rewards_are_exactly_zero_with_every_epsilon(dtype, value, epsilon):
    for size in (2, 3, 7, 8):
        for scale in ("group", "batch", "none"):
            rewards = [3 * value] * size + [0.0, 1.0]
            found = our_advantages(rewards, [0] * size + [1] * 2, dtype, epsilon=epsilon, scale=scale)
            assert found.values[:size].count_nonzero() == 0 and found.degenerate[:size].all()
            assert found.values[size:].count_nonzero() == 2


@each_dtype
def test_leave_one_out_subtracts_the_mean_of_the_others(dtype):
    rewards, group = ragged(43)
    rewards = torch.tensor(rewards, dtype=dtype).tolist()
    found = our_advantages(rewards, group, dtype, baseline="leave_one_out", scale="none")
    expected = []
    for i, label in enumerate(group):
        others = [rewards[j] for j, other in enumerate(group) if other == label and j != i]
        expected.append(rewards[i] - math.fsum(others) / len(others))
    tolerance = LOSS_TOLERANCE[dtype]
    assert found.values.tolist() == pytest.approx(expected, rel=tolerance, abs=tolerance)
    # verl writes it n / (n - 1) (R - mean)
    for i, label in enumerate(group):
        members = [x for x, other in zip(rewards, group, strict=True) if other == label]
        same = len(members) / (len(members) - 1) * (rewards[i] - math.fsum(members) / len(members))
        assert found.values[i].item() == pytest.approx(same, rel=tolerance, abs=tolerance)


def test_leave_one_out_leaves_unscored_rewards_out_too():
    found = our_advantages([1.0, math.nan, 3.0, 8.0], [0] * 4, baseline="leave_one_out", scale="none")
    # the others of 1, 3 and 8 are {3, 8}, {1, 8} and {1, 3}
    assert found.values.tolist() == pytest.approx([1 - 5.5, 0, 3 - 4.5, 8 - 2])


@pytest.mark.parametrize("minimum", [0.0, 0.3, 5.0])
def test_the_standard_deviation_is_held_to_its_minimum(minimum):
    rewards, group = ragged(44)
    stds = [mean_std([x for x, other in zip(rewards, group, strict=True) if other == label])[1] for label in set(group)]
    assert min(stds) < 5.0 and max(stds) > 0.3
    found = our_advantages(rewards, group, minimum_std=minimum)
    assert found.values.tolist() == pytest.approx(normalised(rewards, group, 1e-4, minimum), rel=1e-10)


def test_the_minimum_standard_deviation_makes_small_differences_small_and_leaves_none_at_exactly_zero():
    rewards, group = [0.5, 0.5 + 1e-6, 3 * 0.1, 3 * 0.1], [0, 0, 1, 1]
    found = our_advantages(rewards, group, minimum_std=0.1, epsilon=1e-6)
    assert found.values[:2].tolist() == pytest.approx([-5e-6, 5e-6], rel=1e-4)
    assert found.values[2:].count_nonzero() == 0 and found.degenerate.tolist() == [False, False, True, True]


def test_the_batch_scale_divides_by_the_standard_deviation_of_all_scorable_rewards():
    rewards, group = ragged(45)
    rewards[2] = math.nan
    scorable = [x for x in rewards if not math.isnan(x)]
    _, std = mean_std(scorable)
    expected = []
    for reward, label in zip(rewards, group, strict=True):
        members = [x for x, other in zip(rewards, group, strict=True) if other == label and not math.isnan(x)]
        centred = 0.0 if math.isnan(reward) or len(members) < 2 else reward - math.fsum(members) / len(members)
        expected.append(centred / (std + 1e-4))
    assert our_advantages(rewards, group, scale="batch").values.tolist() == pytest.approx(expected, rel=1e-10)
