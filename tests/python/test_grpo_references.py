"""The loss and the advantages against scalar references in plain floats: verl's and OpenRLHF's formulas.

Formulas: verl at 1dda039 (trainer/ppo/core_algos.py, rollout_corr_helper.py), OpenRLHF at 3c3be62 (models/loss.py,
models/utils.py, trainer/ppo_utils/experience_maker.py), both of August 2026; arXiv 1912.09729 for the dual clip,
2507.18071 for GSPO, 2402.14740 for leave-one-out. Their guards of 1e-8 against an empty sum are left out.
"""

import math
import random
from dataclasses import dataclass

import pytest
import torch

from vlmprobe import grpo

LOSS_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-6}  # relative, and absolute below 1
STEP = 1e-6  # of the central differences; their own error is 1e-9 here
HORIZON = 9  # verl's loss_scale_factor, the longest response

each_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


# -- inputs: lists of lists of floats, one list per sequence, without its padding


@dataclass
class Rollout:
    """One sequence's tokens. A list may be empty: a completion can be."""

    logp: list[float]
    old: list[float]
    ref: list[float]
    entropy: list[float]
    sampling: list[float]
    advantage: float


def rollouts(seed: int, *, spread: float = 1.8, distance: float = 1.5) -> list[Rollout]:
    """Five sequences, the fourth empty; log-ratios up to `spread`, log-distances to the reference up to `distance`."""
    draw = random.Random(seed)
    batch = []
    for length, advantage, drift in ((6, -1.4, 0.3), (2, 0.9, 0.0), (4, 1.7, -0.3), (0, 2.0, 0.0), (5, -0.3, 0.0)):
        logp = [draw.uniform(-3, 0) for _ in range(length)]
        old = [x - draw.uniform(-spread, spread) for x in logp]
        batch.append(
            Rollout(
                logp=logp,
                old=old,
                ref=[x + draw.uniform(-distance, distance) for x in logp],
                entropy=[draw.uniform(0, 3) for _ in logp],
                sampling=[x - drift - draw.uniform(-0.4, 0.4) for x in old],
                advantage=advantage,
            )
        )
    return batch


def padded(batch: list[Rollout], name: str, dtype: torch.dtype) -> torch.Tensor:
    """[B, T], 0 in the padding."""
    width = max(len(row.logp) for row in batch)
    values = [getattr(row, name) for row in batch]
    return torch.tensor([row + [0.0] * (width - len(row)) for row in values], dtype=dtype)


def mask_of(batch: list[Rollout]) -> torch.Tensor:
    width = max(len(row.logp) for row in batch)
    return torch.tensor([[t < len(row.logp) for t in range(width)] for row in batch])


def rounded(batch: list[Rollout], dtype: torch.dtype) -> list[Rollout]:
    """The numbers that a tensor of that dtype holds, so that a reference sees what we see."""
    if dtype == torch.float64:
        return batch

    def single(value):
        return torch.tensor(value, dtype=dtype).tolist()

    return [Rollout(**{name: single(value) for name, value in vars(row).items()}) for row in batch]


def tokens_of(batch: list[Rollout]) -> int:
    return sum(len(row.logp) for row in batch)


def filled(batch: list[Rollout]) -> int:
    return sum(1 for row in batch if row.logp)


# -- the references


def hold(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def ratio(logp: float, old: float) -> float:
    return math.exp(hold(logp - old, -20, 20))


def clipped(r: float, advantage: float, low: float, high: float) -> float:
    return min(r * advantage, hold(r, 1 - low, 1 + high) * advantage)


def dual_clipped(r: float, advantage: float, low: float, high: float, c: float) -> float:
    objective = clipped(r, advantage, low, high)
    return max(objective, c * advantage) if advantage < 0 else objective


def kl(estimator: str, logp: float, ref: float) -> float:
    """Without the output's clamp to 10, which both libraries have: see the tests of it."""
    d = ref - logp
    return {"k1": -d, "k2": d * d / 2, "k3": math.exp(d) - d - 1}[estimator]


def aggregate(per_token: list[list[float]], mode: str) -> float:
    """verl's four modes. A sequence without tokens leaves the denominator."""
    sums = [math.fsum(row) for row in per_token if row]
    if mode == "token-mean":
        return math.fsum(sums) / sum(len(row) for row in per_token)
    if mode == "seq-mean-token-mean":
        return math.fsum(math.fsum(row) / len(row) for row in per_token if row) / len(sums)
    mean = math.fsum(sums) / len(sums)
    return mean / HORIZON if mode == "seq-mean-token-sum-norm" else mean


# verl's aggregation -> our reduction and its normalizer
AGGREGATIONS = {
    "token-mean": ("dapo", tokens_of),
    "seq-mean-token-sum": ("dr_grpo", filled),
    "seq-mean-token-mean": ("grpo", filled),
    "seq-mean-token-sum-norm": ("dr_grpo", lambda batch: filled(batch) * HORIZON),
}
each_aggregation = pytest.mark.parametrize("mode", list(AGGREGATIONS))


def gradient(function, batch: list[Rollout], name: str = "logp") -> list[list[float]]:
    """d function(batch) / d batch.name by central differences, padded with 0 to a matrix."""
    width = max(len(row.logp) for row in batch)
    result = [[0.0] * width for _ in batch]
    for b, row in enumerate(batch):
        values = getattr(row, name)
        for t, centre in enumerate(list(values)):
            values[t] = centre + STEP
            above = function(batch)
            values[t] = centre - STEP
            below = function(batch)
            values[t] = centre
            result[b][t] = (above - below) / (2 * STEP)
    return result


def ours(batch, options, normalizer, dtype=torch.float64, **extra):
    """Our loss and its gradients in logp and entropy."""
    logp = padded(batch, "logp", dtype).requires_grad_()
    entropy = padded(batch, "entropy", dtype).requires_grad_()
    arguments = {
        "old_logp": padded(batch, "old", dtype),
        "advantages": torch.tensor([row.advantage for row in batch], dtype=dtype),
        "ref_logp": padded(batch, "ref", dtype),
        **extra,
    }
    result = grpo.loss(logp, entropy=entropy, mask=mask_of(batch), normalizer=normalizer, options=options, **arguments)
    found = torch.autograd.grad(result.loss, (logp, entropy), allow_unused=True)
    return result.loss.item(), found[0], found[1]


def assert_loss(found: float, expected: float, dtype: torch.dtype = torch.float64):
    assert found == pytest.approx(expected, rel=LOSS_TOLERANCE[dtype], abs=LOSS_TOLERANCE[dtype])


def assert_gradient(found: torch.Tensor, expected: list[list[float]]):
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-7, atol=1e-8)


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


def openrlhf(batch, *, token_level, dual_clip, estimator="k3", beta=0.01, weights=None):
    """OpenRLHF's policy loss and KL loss: a mean over tokens, or over sequences of their token means."""
    per_token = []
    for b, row in enumerate(batch):
        per_token.append([])
        for t, logp in enumerate(row.logp):
            r = ratio(logp, row.old[t])
            objective = clipped(r, row.advantage, 0.2, 0.2)
            if dual_clip is not None:
                objective = dual_clipped(r, row.advantage, 0.2, 0.2, dual_clip)
            weight = 1 if weights is None else weights[b][t]
            per_token[-1].append(-weight * objective + beta * kl(estimator, logp, row.ref[t]))
    return aggregate(per_token, "token-mean" if token_level else "seq-mean-token-mean")


def openrlhf_options(token_level, dual_clip, estimator="k3"):
    return grpo.LossOptions(
        dual_clip=math.inf if dual_clip is None else dual_clip,
        beta=0.01,
        kl=estimator,
        reduction="dapo" if token_level else "grpo",
    )


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
