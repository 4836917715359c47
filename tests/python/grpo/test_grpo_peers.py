"""Loss, gradient and advantages against TRL's and Liger's own code, as installed (see grpo_peers.py).

What they have and we do not is not here: TRL's vespo, its off-policy mask, its entropy quantile. Where a peer is wrong,
the test's name says so, and the test holds ours to the right value.
"""

import dataclasses
import math

import pytest
import torch

from support.grpo_peers import (
    LEAVES,
    LOSS_TYPES,
    TOLERANCE,
    Setting,
    batch,
    differentiate,
    our_result,
    ours,
    trl,
    trl_logp_and_entropy,
    trl_loss,
)
from support.grpo_settings import (
    LEVELS,
    OPTIONS,
    TRL_SETTINGS,
    assert_same,
    by_name,
    each_dtype,
    each_entrance,
    importance_cases,
    needs_trl,
    our_importance,
    trl_importance,
)
from vlmprobe import grpo


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
