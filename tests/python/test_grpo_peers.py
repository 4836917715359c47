"""Loss, gradient and advantages against TRL's and Liger's own code, as installed (see grpo_peers.py).

What they have and we do not is not here: TRL's vespo, its off-policy mask, its entropy quantile. Where a peer is wrong,
the test's name says so, and the test holds ours to the right value.
"""

import dataclasses
import math

import pytest
import torch

from grpo_peers import (
    LEAVES,
    LOSS_TYPES,
    TOLERANCE,
    UPSTREAM,
    Setting,
    batch,
    differentiate,
    liger,
    our_result,
    ours,
    poisoned,
    trl,
    trl_logp_and_entropy,
    trl_loss,
)
from vlmprobe import grpo

needs_trl = pytest.mark.peers("trl")
needs_liger = pytest.mark.peers("liger_kernel")
each_entrance = pytest.mark.parametrize("entrance", list(LEAVES))
each_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])

CLIP_TYPES = [name for name, (policy, _) in LOSS_TYPES.items() if policy == "clip"]
LEVELS = {
    f"{name}-{level}": Setting(name, level, epsilon_high=1.3 if name == "cispo" else 0.2)
    for name in LOSS_TYPES
    for level in ("token", "sequence")
}
OPTIONS = {
    **{f"{name}-kl": dataclasses.replace(setting, beta=0.05) for name, setting in LEVELS.items()},
    **{
        f"{name}-kl-weighted": dataclasses.replace(setting, beta=0.05, bias_corrected_kl=True)
        for name, setting in LEVELS.items()
    },
    "two-bounds": Setting(epsilon_low=0.1, epsilon_high=0.35),
    "two-bounds-sequence": Setting("grpo", "sequence", epsilon_low=0.05, epsilon_high=0.4),
    "delta": Setting(delta=1.4),
    "delta-sequence": Setting("grpo", "sequence", delta=1.4),
    "delta-inside-the-clip": Setting("bnpo", epsilon_high=0.5, delta=1.1),
    "delta-does-not-reach-the-kl": Setting(delta=1.1, beta=0.05, bias_corrected_kl=True),
    "sapo-temperatures": Setting("sapo", sapo_temperatures=(2.5, 0.625)),
    "temperature": Setting("grpo", beta=0.05, temperature=0.7),
    "temperature-cispo": Setting("cispo", epsilon_high=2.0, temperature=1.6),
}
# TRL's bonus is the micro-batch's mean entropy whatever the loss type; ours is reduced as the rest of the loss. The two
# agree where the loss itself is a mean over the tokens.
ENTROPY = {
    f"{name}-entropy": Setting(name, epsilon_high=1.3 if name == "cispo" else 0.2, entropy_coef=0.03, temperature=0.9)
    for name in ("bnpo", "dapo", "cispo")
}
TRL_SETTINGS = {**LEVELS, **OPTIONS, **ENTROPY}
LIGER_SETTINGS = {  # Liger refuses cispo and sapo with the ratio of a sequence; for its luspo see the test of its own
    name: setting
    for name, setting in {**LEVELS, **OPTIONS}.items()
    if not (setting.level == "sequence" and setting.loss_type in ("cispo", "sapo"))
    and not (setting.loss_type == "luspo" and name != "luspo-sequence")
}


def by_name(settings):
    return pytest.mark.parametrize("setting", settings.values(), ids=settings.keys())


def assert_same(found, expected, dtype):
    """Two results of `differentiate`."""
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(found[0], expected[0], **tolerance)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in found[1].items():
        torch.testing.assert_close(gradient, expected[1][name], **tolerance, msg=lambda text, n=name: f"d {n}: {text}")


def assert_identical(found, expected):
    assert torch.equal(found[0], expected[0])
    for name, gradient in found[1].items():
        assert torch.equal(gradient, expected[1][name]), name


@needs_trl
def test_the_batch_reaches_every_branch():
    inputs = batch(torch.float64)
    log_ratio = inputs.logp - inputs.old_logp
    mean = (log_ratio * inputs.mask).sum(1, keepdim=True) / inputs.mask.sum(1, keepdim=True).clamp(min=1)
    advantages = inputs.advantages[:, None].expand_as(log_ratio)
    for ratio in (log_ratio.exp(), mean.exp().expand_as(log_ratio)):
        for sign in (-1, 1):
            seen = ratio[inputs.mask & (sign * advantages > 0)]
            for low, high in ((0, 0.8), (0.8, 1.2), (1.4, 9)):
                assert ((seen > low) & (seen < high)).any()
        for edge in (0.8, 1.1, 1.2, 1.3, 1.4):  # nothing so near to an edge that float32 decides
            assert (ratio[inputs.mask] - edge).abs().min() > 1e-5
    assert (advantages == 0).any() and not inputs.mask[3].any() and not inputs.mask[0, 2]


@needs_trl
@by_name(TRL_SETTINGS)
@each_dtype
@each_entrance
def test_loss_and_gradient_equal_trls(entrance, dtype, setting):
    inputs = batch(dtype, temperature=setting.temperature)
    found = differentiate(ours(entrance, setting), inputs, LEAVES[entrance])
    assert_same(found, differentiate(trl(entrance, setting), inputs, LEAVES[entrance]), dtype)


@needs_trl
@by_name({**LEVELS, **{name: s for name, s in OPTIONS.items() if name.endswith("-kl-weighted")}})
@each_entrance
def test_without_old_log_probabilities_loss_and_gradient_equal_trls(entrance, setting):
    inputs = batch(torch.float64, on_policy=True)
    found = differentiate(ours(entrance, setting), inputs, LEAVES[entrance])
    assert_same(found, differentiate(trl(entrance, setting), inputs, LEAVES[entrance]), torch.float64)


@needs_trl
@by_name({name: s for name, s in TRL_SETTINGS.items() if name.endswith(("-kl-weighted", "-token", "delta-sequence"))})
@each_entrance
def test_with_an_advantage_per_token_loss_and_gradient_equal_trls(entrance, setting):
    inputs = batch(torch.float64, per_token=True)
    found = differentiate(ours(entrance, setting), inputs, LEAVES[entrance])
    assert_same(found, differentiate(trl(entrance, setting), inputs, LEAVES[entrance]), torch.float64)


# -- importance sampling: a sampler whose probabilities differ from training's


def trl_importance(inputs, level, mode, minimum, maximum):
    """TRL's ratio, from its formula: 1 behind the mask and where the sampler gave NaN; [B, 1] for a sequence's."""
    difference = torch.nan_to_num((inputs.old_logp - inputs.sampling_logp) * inputs.mask, nan=0.0)
    ratio = (difference.sum(1, keepdim=True) if level == "sequence" else difference).exp()
    if mode == "truncate":
        return ratio.clamp(minimum, maximum)
    return ratio.masked_fill((ratio < minimum) | (ratio > maximum), 0.0)


def our_importance(inputs, level, mode, minimum, maximum):
    weights = grpo.importance_weights(
        inputs.old_logp,
        sampling_logp=inputs.sampling_logp,
        mask=inputs.mask,
        level=level,
        mode=mode,
        minimum=minimum,
        maximum=maximum,
    )
    return weights if weights.dim() == 2 else weights[:, None]


IMPORTANCE = [(level, mode, 0.7, 1.5) for level in ("token", "sequence") for mode in ("truncate", "mask")]
importance_cases = pytest.mark.parametrize("how", IMPORTANCE, ids=[f"{level}-{mode}" for level, mode, *_ in IMPORTANCE])


@needs_trl
@importance_cases
@each_dtype
def test_importance_weights_equal_trls_ratio_where_the_mask_is_true(dtype, how):
    inputs = batch(dtype)
    inputs.sampling_logp[1, 0] = math.nan  # what vLLM gives for a token that it did not score
    found, expected = our_importance(inputs, *how), trl_importance(inputs, *how)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    shape, mask = inputs.mask.shape, inputs.mask
    torch.testing.assert_close(found.expand(shape)[mask], expected.expand(shape)[mask], **tolerance)
    assert len(expected.expand(shape)[mask].unique()) > 2  # neither all held nor all free


@needs_trl
@importance_cases
@pytest.mark.parametrize("name", ["grpo", "dapo", "cispo", "sapo", "luspo"])
@each_entrance
def test_importance_weights_in_the_advantages_are_trls_ratio_in_the_policy_term(entrance, name, how):
    setting = Setting(name, epsilon_high=1.3 if name == "cispo" else 0.2, beta=0.05)
    inputs = batch(torch.float64)
    weighted = inputs.advantages[:, None] * our_importance(inputs, *how)
    found = differentiate(ours(entrance, setting, advantages=weighted), inputs, LEAVES[entrance])
    peer = trl(entrance, setting, weights=trl_importance(inputs, *how))
    assert_same(found, differentiate(peer, inputs, LEAVES[entrance]), torch.float64)


# -- windows, monitors, empty inputs


@needs_trl
@pytest.mark.parametrize("name", list(LOSS_TYPES))
def test_micro_batches_with_the_windows_normalizer_add_up_to_trls_accumulated_loss(name):
    setting = Setting(name, epsilon_high=1.3 if name == "cispo" else 0.2, beta=0.05)
    inputs = batch(torch.float64)
    window = setting.normalizer(inputs.mask)
    for half in (inputs.rows(0, 4), inputs.rows(4, 8)):
        peer = trl("logits", setting, accumulation=2, window_tokens=int(inputs.mask.sum()))
        # bnpo is the mean of the micro-batches' token means, so that its normalizer is the micro-batch's own
        count = 2 * setting.normalizer(half.mask) if name == "bnpo" else window
        found = differentiate(ours("logits", setting, count), half, ("logits",))
        assert_same(found, differentiate(peer, half, ("logits",)), torch.float64)


@needs_trl
@each_entrance
def test_monitors_equal_trls_metrics(entrance):
    setting = Setting(beta=0.05, entropy_coef=0.01)
    inputs = batch(torch.float64)
    result = our_result(entrance, setting, inputs)
    _, metrics = trl_loss(setting, inputs, *trl_logp_and_entropy(entrance, setting, inputs))
    assert result.kl == pytest.approx(metrics["kl"][0])
    assert result.entropy == pytest.approx(metrics["entropy"][0])
    assert result.clip_fraction == pytest.approx(metrics["clip_ratio/region_mean"][0])
    assert result.tokens == int(inputs.mask.sum())


@needs_trl
@pytest.mark.parametrize("name", list(LOSS_TYPES))
@each_entrance
def test_a_window_of_empty_completions_is_zero_as_in_trl(entrance, name):
    setting = Setting(name, beta=0.05)
    setting = dataclasses.replace(setting, epsilon_high=1.2 if name == "cispo" else 0.2)
    inputs = batch(torch.float64)
    inputs = dataclasses.replace(inputs, mask=torch.zeros_like(inputs.mask))
    found = differentiate(ours(entrance, setting), inputs, LEAVES[entrance])
    assert found[0] == 0 and all(gradient.count_nonzero() == 0 for gradient in found[1].values())
    assert_same(found, differentiate(trl(entrance, setting), inputs, LEAVES[entrance]), torch.float64)


@needs_trl
@pytest.mark.parametrize("level", ["token", "sequence"])
@each_dtype
def test_the_gradient_in_place_equals_trls(dtype, level):
    setting = Setting("grpo", level, beta=0.05)
    inputs = batch(dtype)

    def in_place(leaves):
        copy = dataclasses.replace(leaves, logits=leaves.logits * 1)  # the leaf itself is not overwritten
        return our_result("logits", setting, copy, inplace=True).loss

    found = differentiate(in_place, inputs, ("logits",))
    assert_same(found, differentiate(trl("logits", setting), inputs, ("logits",)), dtype)


@needs_trl
@by_name({name: LEVELS[name] for name in ("dapo-token", "grpo-sequence", "cispo-token")})
@each_dtype
def test_the_linear_loss_in_several_chunks_equals_trls(dtype, setting):
    inputs = batch(dtype)
    found = differentiate(ours("linear", setting, logits_bytes=1024), inputs, LEAVES["linear"])
    assert_same(found, differentiate(trl("linear", setting), inputs, LEAVES["linear"]), dtype)


@needs_trl
@by_name({name: LEVELS[name] for name in ("dapo-token", "grpo-sequence", "sapo-token")})
def test_with_a_frozen_head_the_gradient_of_the_hidden_states_equals_trls(setting):
    inputs = batch(torch.float64)
    found = differentiate(ours("linear", setting), inputs, ("hidden",))
    assert_same(found, differentiate(trl("linear", setting), inputs, ("hidden",)), torch.float64)


# -- log-probabilities and entropies


@needs_trl
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@each_dtype
def test_log_probability_and_entropy_and_their_gradients_equal_trls_two_functions(dtype, temperature):
    setting = Setting(temperature=temperature)
    inputs = batch(dtype, vocabulary=1031)  # past a block of any width
    draw = torch.Generator().manual_seed(62)
    cotangents = [torch.randn(inputs.mask.shape, generator=draw, dtype=dtype) for _ in range(2)]

    def gradient(function):
        leaf = inputs.logits.clone().requires_grad_()
        outputs = function(dataclasses.replace(inputs, logits=leaf))
        return [x.detach() for x in outputs], *torch.autograd.grad(outputs, leaf, cotangents)

    found = gradient(lambda x: grpo.token_logp(x.logits, x.tokens, temperature=temperature))
    expected = gradient(lambda x: trl_logp_and_entropy("logits", setting, x))
    torch.testing.assert_close(found, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def exact(inputs):
    """Log-probability and entropy in float64, whatever the dtype of the logits."""
    scores = torch.log_softmax(inputs.logits.double(), -1)
    return scores.gather(-1, inputs.tokens[..., None]).squeeze(-1), -(scores.exp() * scores).sum(-1)


def bfloat16_batch():
    """Logits in bfloat16, the rest in float32 and for those logits exact: a ratio of exp(0.05) everywhere."""
    inputs = batch(torch.float32, vocabulary=4096)
    inputs = dataclasses.replace(inputs, logits=inputs.logits.bfloat16())
    logp, _ = exact(inputs)
    return dataclasses.replace(inputs, old_logp=(logp - 0.05).float(), ref_logp=(logp + 0.1).float())


@needs_trl
def test_in_bfloat16_trls_log_probability_is_off_by_more_than_a_hundredth_and_ours_by_less_than_2e_5():
    inputs = bfloat16_batch()
    logp, entropy = exact(inputs)
    peer = trl_logp_and_entropy("logits", Setting(), inputs)
    assert (peer[0].double() - logp).abs().max() > 1e-2 and (peer[1].double() - entropy).abs().max() > 1e-2
    found = grpo.token_logp(inputs.logits, inputs.tokens)
    assert found.logp.dtype == found.entropy.dtype == torch.float32
    assert (found.logp.double() - logp).abs().max() < 2e-5
    assert (found.entropy.double() - entropy).abs().max() < 2e-5


@needs_trl
def test_in_bfloat16_trls_gradient_is_off_by_a_hundredth_of_its_largest_entry_and_ours_is_only_rounded():
    setting = Setting(beta=0.05)
    inputs = bfloat16_batch()
    double = dataclasses.replace(
        inputs, **{n: getattr(inputs, n).double() for n in ("logits", "old_logp", "ref_logp", "advantages")}
    )
    loss, right = differentiate(trl("logits", setting), double, ("logits",))
    right = right["logits"]
    _, peer = differentiate(trl("logits", setting), inputs, ("logits",))
    assert (peer["logits"].double() - right).abs().max() > 1e-2 * right.abs().max()
    our_loss, found = differentiate(ours("logits", setting), inputs, ("logits",))
    assert our_loss.dtype == torch.float32 and found["logits"].dtype == torch.bfloat16
    assert our_loss.item() == pytest.approx(loss.item(), abs=2e-5)
    # once by the loss and once by the factor from upstream, half a unit in the last place each
    assert ((found["logits"].double() - right).abs() <= 2.02 * 2**-8 * right.abs() + 1e-6).all()


@needs_trl
def test_trls_entropy_of_a_banned_token_is_nan_and_ours_is_that_of_the_others():
    inputs = batch(torch.float32)
    banned = inputs.logits.clone()
    banned[..., 4] = -math.inf
    tokens = inputs.tokens.masked_fill(inputs.tokens == 4, 5)
    _, peer = trl_logp_and_entropy("logits", Setting(), dataclasses.replace(inputs, logits=banned, tokens=tokens))
    assert peer.isnan().all()
    others = torch.cat([inputs.logits[..., :4], inputs.logits[..., 5:]], -1)
    index = tokens - (tokens > 4).long()
    expected = trl_logp_and_entropy("logits", Setting(), dataclasses.replace(inputs, logits=others, tokens=index))
    leaf = banned.requires_grad_()
    found = grpo.token_logp(leaf, tokens)
    torch.testing.assert_close(tuple(found), expected, rtol=5e-6, atol=5e-6)
    gradient = torch.autograd.grad(found.logp.sum() + found.entropy.sum(), leaf)[0]
    assert gradient.isfinite().all() and gradient[..., 4].count_nonzero() == 0


# -- where the peers' numbers leave the range of floating point


POISONS = {"nan": math.nan, "inf": math.inf, "minus-inf": -math.inf}
each_poison = pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())


@needs_trl
@each_poison
@by_name(
    {
        "dapo": Setting(beta=0.05, entropy_coef=0.02),
        "gspo": Setting("grpo", "sequence", beta=0.05, bias_corrected_kl=True),
        "cispo": Setting("cispo", epsilon_high=1.3),
        "sapo": Setting("sapo", beta=0.05),
    }
)
@each_entrance
def test_poison_behind_the_mask_makes_trls_loss_nan_and_changes_no_bit_of_ours(entrance, setting, poison):
    for per_token in (False, True):
        clean = batch(torch.float32, per_token=per_token)
        foul = poisoned(clean, poison)
        peer, _ = differentiate(
            trl(entrance, setting), dataclasses.replace(foul, tokens=clean.tokens), LEAVES[entrance]
        )
        assert peer.isnan()
        expected = differentiate(ours(entrance, setting), clean, LEAVES[entrance])
        assert_identical(differentiate(ours(entrance, setting), foul, LEAVES[entrance]), expected)
        for name in LEAVES[entrance]:
            if name != "weight":
                assert expected[1][name][~clean.mask].count_nonzero() == 0


def one_token(logp, old_logp, ref_logp, advantage):
    """A batch of one token for the entrance of log-probabilities."""
    one = {
        "logp": torch.tensor([[logp]]),
        "entropy": torch.zeros(1, 1),
        "old_logp": torch.tensor([[old_logp]]),
        "ref_logp": torch.tensor([[ref_logp]]),
        "advantages": torch.tensor([advantage]),
        "mask": torch.ones(1, 1, dtype=torch.bool),
        "tokens": torch.zeros(1, 1, dtype=torch.int64),
    }
    return dataclasses.replace(batch(torch.float32), **one)


@needs_trl
def test_trls_k3_overflows_far_from_the_reference_and_ours_stays_finite_with_a_live_gradient():
    setting = Setting("grpo", beta=0.05)
    slopes = []
    for distance in (4.0, 90.0, 200.0):
        inputs = one_token(-distance - 1, -distance - 1, -1.0, 0.0)
        peer_loss, peer = differentiate(trl("logp", setting), inputs, ("logp",))
        loss, gradients = differentiate(ours("logp", setting), inputs, ("logp",))
        if distance < 5:
            assert_same((loss, gradients), (peer_loss, peer), torch.float32)
        else:
            assert peer_loss.isinf() and peer["logp"].isinf().all()
        assert loss.isfinite() and loss > 0
        slopes.append(gradients["logp"].item())
    # d loss/d logp = -beta (exp(d) - 1) up to d = 5, and stays there: our k3 goes on as its tangent
    assert slopes[0] == pytest.approx(-UPSTREAM * 0.05 * math.expm1(4), rel=1e-5)
    assert slopes[1] == slopes[2] == pytest.approx(-UPSTREAM * 0.05 * math.expm1(5), rel=1e-5)


@needs_trl
def test_beyond_a_distance_of_5_our_k3_is_the_tangent_where_trls_still_grows_exponentially():
    setting = Setting("grpo", beta=1.0)
    inputs = one_token(-9.0, -9.0, -1.0, 0.0)  # d = 8
    peer, _ = differentiate(trl("logp", setting), inputs, ("logp",))
    found, _ = differentiate(ours("logp", setting), inputs, ("logp",))
    assert peer.item() == pytest.approx(math.exp(8) - 9, rel=1e-5)
    assert found.item() == pytest.approx(math.exp(5) - 6 + 3 * math.expm1(5), rel=1e-5)


@needs_trl
@pytest.mark.parametrize("level", ["token", "sequence"])
def test_trls_gradient_is_nan_where_the_ratio_overflows_and_ours_is_exactly_zero(level):
    setting = Setting("grpo", level)
    inputs = one_token(-1.0, -101.0, -1.0, 1.5)  # the clipped product is the smaller: no gradient is right
    _, peer = differentiate(trl("logp", setting), inputs, ("logp",))
    assert peer["logp"].isnan().all()
    loss, gradients = differentiate(ours("logp", setting), inputs, ("logp",))
    assert loss.item() == pytest.approx(-1.2 * 1.5) and gradients["logp"].item() == 0


@needs_trl
def test_trls_loss_is_infinite_where_the_ratio_of_a_negative_advantage_overflows_and_ours_is_finite():
    setting = Setting("grpo")
    inputs = one_token(-1.0, -101.0, -1.0, -1.5)
    assert differentiate(trl("logp", setting), inputs, ("logp",))[0].isinf()
    loss, gradients = differentiate(ours("logp", setting), inputs, ("logp",))
    assert loss.item() == pytest.approx(1.5 * math.exp(20), rel=1e-5)  # the log-ratio is held to 20
    assert gradients["logp"].item() == 0


# -- Liger


@needs_liger
@by_name(LIGER_SETTINGS)
@pytest.mark.parametrize("leaves", [("hidden", "weight"), ("hidden",)], ids=["trainable", "frozen"])
def test_linear_loss_and_gradient_equal_ligers(leaves, setting):
    inputs = batch(torch.float32, temperature=setting.temperature)
    found = differentiate(ours("linear", setting), inputs, leaves)
    assert_same(found, differentiate(liger(setting), inputs, leaves), torch.float32)


@needs_liger
@pytest.mark.parametrize("name", ["grpo", "dapo", "cispo", "sapo"])
def test_without_old_log_probabilities_the_linear_loss_equals_ligers(name):
    setting = Setting(name, epsilon_high=1.3 if name == "cispo" else 0.2, beta=0.05)
    inputs = batch(torch.float32, on_policy=True)
    found = differentiate(ours("linear", setting), inputs, LEAVES["linear"])
    assert_same(found, differentiate(liger(setting), inputs, LEAVES["linear"]), torch.float32)


@needs_liger
@importance_cases
@pytest.mark.parametrize("name", ["grpo", "dapo", "cispo", "sapo"])
def test_importance_weights_in_the_advantages_are_ligers_ratio_in_the_policy_term(name, how):
    setting = Setting(name, epsilon_high=1.3 if name == "cispo" else 0.2, beta=0.05)
    inputs = batch(torch.float32)
    weighted = inputs.advantages[:, None] * our_importance(inputs, *how)
    found = differentiate(ours("linear", setting, advantages=weighted), inputs, LEAVES["linear"])
    peer = liger(setting, weights=trl_importance(inputs, *how))
    assert_same(found, differentiate(peer, inputs, LEAVES["linear"]), torch.float32)


@needs_liger
@each_poison
def test_poison_behind_the_mask_makes_ligers_loss_nan_and_changes_no_bit_of_ours(poison):
    setting = Setting(beta=0.05)
    clean = batch(torch.float32)
    foul = poisoned(clean, poison)
    peer, _ = differentiate(liger(setting), dataclasses.replace(foul, tokens=clean.tokens), LEAVES["linear"])
    assert peer.isnan()
    expected = differentiate(ours("linear", setting), clean, LEAVES["linear"])
    assert_identical(differentiate(ours("linear", setting), foul, LEAVES["linear"]), expected)


@needs_trl
@needs_liger
def test_ligers_luspo_with_the_ratio_of_a_token_reads_masked_tokens_and_ours_is_trls():
    setting = Setting("luspo")
    clean = batch(torch.float32)
    # other, finite, values behind the mask are no change of the loss
    other = dataclasses.replace(clean, old_logp=clean.old_logp - (~clean.mask).float())
    peer, changed = (differentiate(liger(setting), inputs, LEAVES["linear"])[0] for inputs in (clean, other))
    assert abs(peer - changed) > 1e-2
    found, unchanged = (differentiate(ours("linear", setting), inputs, LEAVES["linear"]) for inputs in (clean, other))
    assert_identical(found, unchanged)
    assert_same(found, differentiate(trl("linear", setting), clean, LEAVES["linear"]), torch.float32)
    assert abs(peer - found[0]) > 1e-2


@needs_liger
def test_ligers_k3_overflows_far_from_the_reference_and_ours_stays_finite_with_a_live_gradient():
    setting = Setting("grpo", beta=0.05)
    inputs = batch(torch.float32)
    inputs = dataclasses.replace(inputs, ref_logp=inputs.ref_logp + 100 * inputs.mask)
    loss, gradients = differentiate(liger(setting), inputs, LEAVES["linear"])
    assert loss.isinf() and not gradients["hidden"].isfinite().all()
    loss, gradients = differentiate(ours("linear", setting), inputs, LEAVES["linear"])
    assert loss.isfinite() and all(gradient.isfinite().all() for gradient in gradients.values())
    assert (gradients["hidden"][inputs.mask].abs().amax(-1) > 0).all()


# -- advantages

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
