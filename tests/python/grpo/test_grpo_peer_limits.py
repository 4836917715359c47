"""Where the peers' numbers leave the range of floating point, and Liger's own code (see support/grpo_peers.py)."""

import dataclasses
import math

import pytest
import torch

from support.grpo_peers import (
    LEAVES,
    UPSTREAM,
    Setting,
    batch,
    differentiate,
    liger,
    ours,
    poisoned,
    trl,
    trl_logp_and_entropy,
)
from support.grpo_settings import (
    LIGER_SETTINGS,
    assert_identical,
    assert_same,
    by_name,
    each_entrance,
    importance_cases,
    needs_liger,
    needs_trl,
    our_importance,
    trl_importance,
)
from vlmprobe import grpo


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
