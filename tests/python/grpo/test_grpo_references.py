"""The loss and the advantages against scalar references in plain floats: verl's and OpenRLHF's formulas.

Formulas: verl at 1dda039 (trainer/ppo/core_algos.py, rollout_corr_helper.py), OpenRLHF at 3c3be62 (models/loss.py,
models/utils.py, trainer/ppo_utils/experience_maker.py), both of August 2026; arXiv 1912.09729 for the dual clip,
2507.18071 for GSPO, 2402.14740 for leave-one-out. Their guards of 1e-8 against an empty sum are left out.
"""

import math

import pytest
import torch

from support.grpo_references import (
    AGGREGATIONS,
    HORIZON,
    Rollout,
    aggregate,
    assert_gradient,
    assert_loss,
    clipped,
    dual_clipped,
    each_aggregation,
    each_dtype,
    filled,
    gradient,
    kl,
    openrlhf,
    openrlhf_options,
    ours,
    ratio,
    rollouts,
    rounded,
    tokens_of,
)
from vlmprobe import grpo


def test_the_rollouts_reach_every_branch_of_the_dual_clip():
    pairs = [(ratio(x, y), row.advantage) for row in rollouts(22) for x, y in zip(row.logp, row.old, strict=True)]
    for sign, low, high in ((1, 0, 0.8), (1, 0.8, 1.3), (1, 1.3, 9), (-1, 0, 0.8), (-1, 1.3, 3), (-1, 3, 9)):
        assert any(sign * advantage > 0 and low < r < high for r, advantage in pairs)
    assert all(abs(r - edge) > 1e-4 for r, _ in pairs for edge in (0.8, 1.2, 1.3, 2, 3))


# -- verl


def verl(batch, mode, *, low=0.2, high=0.3, c=3.0, estimator="k3", beta=0.04, entropy_coeff=0.02):
    """verl's actor loss: dual-clipped policy, entropy bonus and KL loss, each aggregated alike."""
    policy = [
        [-dual_clipped(ratio(x, y), row.advantage, low, high, c) for x, y in zip(row.logp, row.old, strict=True)]
        for row in batch
    ]
    distance = [[kl(estimator, x, y) for x, y in zip(row.logp, row.ref, strict=True)] for row in batch]
    bonus = aggregate([row.entropy for row in batch], mode)
    return aggregate(policy, mode) + beta * aggregate(distance, mode) - entropy_coeff * bonus


def verl_options(mode, **change):
    base = {"clip_low": 0.2, "clip_high": 0.3, "dual_clip": 3.0, "beta": 0.04, "entropy_weight": 0.02}
    return grpo.LossOptions(**{**base, "reduction": AGGREGATIONS[mode][0], **change})


@each_dtype
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@each_aggregation
def test_the_loss_equals_verls_in_every_aggregation_and_kl(mode, estimator, dtype):
    batch = rounded(rollouts(22), dtype)
    options = verl_options(mode, kl=estimator)
    loss, *_ = ours(batch, options, AGGREGATIONS[mode][1](batch), dtype)
    assert_loss(loss, verl(batch, mode, estimator=estimator), dtype)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@each_aggregation
def test_the_gradients_are_central_differences_of_verls_loss(mode, estimator):
    batch = rollouts(22)
    _, d_logp, d_entropy = ours(batch, verl_options(mode, kl=estimator), AGGREGATIONS[mode][1](batch))
    assert_gradient(d_logp, gradient(lambda rows: verl(rows, mode, estimator=estimator), batch))
    assert_gradient(d_entropy, gradient(lambda rows: verl(rows, mode, estimator=estimator), batch, "entropy"))


def test_bnpo_and_dapo_are_one_loss_when_they_are_given_one_normalizer():
    batch = rollouts(22)
    first, *gradients = ours(batch, verl_options("token-mean"), 17)
    second, *others = ours(batch, verl_options("token-mean", reduction="bnpo"), 17)
    assert first == second and all(torch.equal(x, y) for x, y in zip(gradients, others, strict=True))


@pytest.mark.parametrize("mode", ["seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"])
def test_a_fully_masked_sequence_leaves_verls_denominator_and_stays_in_that_of_all_sequences(mode):
    batch = rollouts(22)
    without = [row for row in batch if row.logp]
    options, scale = verl_options(mode), HORIZON if mode.endswith("norm") else 1
    assert len(batch) == 5 and len(without) == 4
    verls, *_ = ours(batch, options, 4 * scale)
    assert_loss(verls, verl(without, mode))
    trls, *_ = ours(batch, options, 5 * scale)
    assert_loss(trls, verl(without, mode) * 4 / 5)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
@each_aggregation
def test_the_straight_through_kl_has_verls_value_and_the_gradient_of_k2(mode, estimator):
    batch = rollouts(32)
    options = verl_options(mode, kl=estimator, kl_straight_through=True)
    loss, d_logp, _ = ours(batch, options, AGGREGATIONS[mode][1](batch))
    assert_loss(loss, verl(batch, mode, estimator=estimator))
    assert_gradient(d_logp, gradient(lambda rows: verl(rows, mode, estimator="k2"), batch))


@pytest.mark.parametrize("log_ratio", [25.0, -25.0])
@pytest.mark.parametrize("advantage", [1.5, -1.5])
def test_beyond_a_log_ratio_of_20_the_ratio_is_verls_constant_and_passes_no_gradient(log_ratio, advantage):
    row = Rollout([-1.0, -2.0], [-1.0 - log_ratio, -2.1], [-1.0, -2.0], [0.0, 0.0], [0.0, 0.0], advantage)
    options = verl_options("token-mean", beta=0.0, entropy_weight=0.0, dual_clip=math.inf)
    loss, d_logp, _ = ours([row], options, 2)
    held = ratio(row.logp[0], row.old[0])
    assert held == math.exp(math.copysign(20, log_ratio))
    other = ratio(row.logp[1], row.old[1])
    expected = [clipped(r, advantage, 0.2, 0.3) for r in (held, other)]
    assert loss == pytest.approx(-sum(expected) / 2, rel=1e-12)
    assert d_logp[0, 0] == 0 and d_logp[0, 1].item() == pytest.approx(-other * advantage / 2)


def test_verls_and_openrlhfs_k3_has_no_gradient_beyond_its_clamp_at_10_and_ours_is_alive():
    distance = (
        3.0  # exp(3) - 3 - 1 = 16.1, so that their clamp of the estimate to [-10, 10] holds it: value 10, slope 0
    )
    row = Rollout([-4.0], [-4.0], [-4.0 + distance], [0.0], [0.0], 0.0)
    assert kl("k3", row.logp[0], row.ref[0]) > 10
    loss, d_logp, _ = ours([row], verl_options("token-mean", beta=1.0, entropy_weight=0.0), 1)
    assert_loss(loss, math.exp(3) - 4)
    assert d_logp.item() == pytest.approx(-math.expm1(3))


@pytest.mark.parametrize("distance", [6.0, 60.0, 600.0])
@pytest.mark.parametrize("straight_through", [False, True])
def test_far_from_the_reference_k3_is_its_tangent_at_5_and_straight_through_keeps_the_slope_of_k2(
    distance, straight_through
):
    row = Rollout([-700.0], [-700.0], [-700.0 + distance], [0.0], [0.0], 0.0)
    options = verl_options("token-mean", beta=1.0, entropy_weight=0.0, kl_straight_through=straight_through)
    loss, d_logp, _ = ours([row], options, 1)
    assert loss == pytest.approx(math.exp(5) - 6 + (distance - 5) * math.expm1(5), rel=1e-12)
    assert d_logp.item() == pytest.approx(-distance if straight_through else -math.expm1(5), rel=1e-12)


def test_verls_preset_has_its_dual_clip_and_its_token_mean():
    assert grpo.VERL.dual_clip == 3 and grpo.VERL.kl == "k3" and not grpo.VERL.kl_straight_through
    assert grpo.VERL.reduction in ("dapo", "bnpo") and grpo.VERL.ratio == "token"


# -- OpenRLHF


@each_dtype
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("dual_clip", [None, 2.0, 3.0])
@pytest.mark.parametrize("token_level", [True, False], ids=["tokens", "sequences"])
def test_the_loss_equals_openrlhfs_with_and_without_a_dual_clip(token_level, dual_clip, estimator, dtype):
    batch = rounded(rollouts(22), dtype)
    normalizer = tokens_of(batch) if token_level else filled(batch)
    loss, *_ = ours(batch, openrlhf_options(token_level, dual_clip, estimator), normalizer, dtype)
    assert_loss(loss, openrlhf(batch, token_level=token_level, dual_clip=dual_clip, estimator=estimator), dtype)


@pytest.mark.parametrize("dual_clip", [None, 2.0, 3.0])
@pytest.mark.parametrize("token_level", [True, False], ids=["tokens", "sequences"])
def test_the_gradient_is_a_central_difference_of_openrlhfs_loss(token_level, dual_clip):
    batch = rollouts(22)
    normalizer = tokens_of(batch) if token_level else filled(batch)
    _, d_logp, _ = ours(batch, openrlhf_options(token_level, dual_clip), normalizer)
    assert_gradient(d_logp, gradient(lambda x: openrlhf(x, token_level=token_level, dual_clip=dual_clip), batch))


# -- GSPO: the ratio of a sequence


def gspo(batch, mode, *, low, high, beta=0.0):
    """arXiv 2507.18071: every token of a sequence has the ratio exp(mean of logp - old), not held to +-20."""
    per_token = []
    for row in batch:
        mean = sum(x - y for x, y in zip(row.logp, row.old, strict=True)) / max(len(row.logp), 1)
        objective = clipped(math.exp(mean), row.advantage, low, high)
        per_token.append([-objective + beta * kl("k3", x, y) for x, y in zip(row.logp, row.ref, strict=True)])
    return aggregate(per_token, mode)


@each_dtype
@pytest.mark.parametrize("beta", [0.0, 0.04])
@each_aggregation
def test_the_loss_with_a_sequences_ratio_equals_gspos(mode, beta, dtype):
    batch = rounded(rollouts(33), dtype)
    options = grpo.LossOptions(
        ratio="sequence", clip_low=0.1, clip_high=0.5, beta=beta, reduction=AGGREGATIONS[mode][0]
    )
    loss, *_ = ours(batch, options, AGGREGATIONS[mode][1](batch), dtype)
    assert_loss(loss, gspo(batch, mode, low=0.1, high=0.5, beta=beta), dtype)


@pytest.mark.parametrize("beta", [0.0, 0.04])
@each_aggregation
def test_the_gradient_with_a_sequences_ratio_is_a_central_difference_of_gspos_loss(mode, beta):
    batch = rollouts(33)
    options = grpo.LossOptions(
        ratio="sequence", clip_low=0.1, clip_high=0.5, beta=beta, reduction=AGGREGATIONS[mode][0]
    )
    _, d_logp, _ = ours(batch, options, AGGREGATIONS[mode][1](batch))
    assert_gradient(d_logp, gradient(lambda rows: gspo(rows, mode, low=0.1, high=0.5, beta=beta), batch))
    held = [row.abs().sum() == 0 for row in d_logp]
    assert beta or (any(held) and not all(held))  # some sequences are clipped, some are not


def test_gspos_gradient_equals_that_of_verls_token_form_when_a_sequence_has_one_advantage():
    # sg(s) exp(logp_t - sg(logp_t)) A has the gradient s A in logp_t, and s A / |y| in the mean over the tokens
    batch = rollouts(33)
    options = grpo.LossOptions(ratio="sequence", clip_low=0.99, clip_high=9.0, beta=0.0, reduction="grpo")
    _, d_logp, _ = ours(batch, options, filled(batch))
    for b, row in enumerate(batch):
        if not row.logp:
            continue
        s = math.exp(sum(x - y for x, y in zip(row.logp, row.old, strict=True)) / len(row.logp))
        expected = -s * row.advantage / len(row.logp) / filled(batch)
        assert d_logp[b, : len(row.logp)].tolist() == pytest.approx([expected] * len(row.logp))


# -- importance weights against the sampler
