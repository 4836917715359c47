"""The face of the GRPO core: what Python sees, against plain torch expressions."""

import dataclasses
import doctest
import importlib
import math

import pytest
import torch

from vlmprobe import grpo


def inputs(dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """A batch of 6 sequences, the fourth fully masked."""
    draw = torch.Generator().manual_seed(7)
    shape = (6, 9)
    logp = (-3 * torch.rand(shape, generator=draw, dtype=torch.float64)).to(dtype)
    lengths = torch.tensor([9, 3, 5, 0, 1, 8])
    return {
        "logp": logp,
        "old_logp": logp + (torch.rand(shape, generator=draw) - 0.5).to(dtype),
        "ref_logp": logp + (2 * torch.rand(shape, generator=draw) - 1).to(dtype),
        "entropy": (3 * torch.rand(shape, generator=draw)).to(dtype),
        "advantages": 4 * torch.rand(6, generator=draw) - 2,
        "mask": torch.arange(9) < lengths[:, None],
    }


def composition(batch: dict[str, torch.Tensor], options: grpo.LossOptions, normalizer: float) -> torch.Tensor:
    """Equation 1 as a composition of torch's operators; a mask by multiplication, so for clean inputs only."""
    logp, mask = batch["logp"], batch["mask"]
    ratio = torch.exp(logp - batch["old_logp"])
    advantage = batch["advantages"][:, None]
    clipped = ratio.clamp(1 - options.clip_low, 1 + options.clip_high)
    d = batch["ref_logp"] - logp
    token = -torch.minimum(ratio * advantage, clipped * advantage) + options.beta * (d.exp() - d - 1)
    token = (token - options.entropy_weight * batch["entropy"]) * mask
    per_sequence = token.sum(1) / mask.sum(1).clamp(min=1) if options.reduction == "grpo" else token.sum(1)
    return per_sequence.sum() / normalizer


ALL_TERMS = grpo.LossOptions(clip_low=0.1, clip_high=0.3, beta=0.05, entropy_weight=0.02)


def test_examples_in_the_docstrings_run():
    modules = [importlib.import_module(f"vlmprobe.grpo.{name}") for name in ("advantages", "logp", "losses")]
    results = [doctest.testmod(module, extraglobs=vars(grpo)) for module in modules]
    assert sum(result.attempted for result in results) >= 16 and not any(result.failed for result in results)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_group_advantages_equal_the_torch_expression_on_full_groups(seed, dtype):
    rewards = torch.rand(8, 5, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    result = grpo.group_advantages(rewards.flatten(), group=torch.arange(8).repeat_interleave(5))
    expected = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    torch.testing.assert_close(result.values, expected.flatten())
    assert result.values.dtype == dtype and not result.degenerate.any()


def test_identical_rewards_give_exactly_zero_in_float32_where_the_torch_expression_does_not():
    rewards = torch.full((7,), 0.1) * 3
    result = grpo.group_advantages(rewards, group=torch.zeros(7, dtype=torch.int64))
    assert result.values.count_nonzero() == 0 and result.degenerate.all()
    assert repr(result) == "Advantages(values=[7], degenerate=7 of 7)"


def test_unscored_rewards_get_zero_and_options_are_used():
    rewards, group = torch.tensor([1.0, math.nan, 3.0]), torch.tensor([4, 4, 4])
    plain = grpo.group_advantages(rewards, group=group, options=grpo.AdvantageOptions(scale="none"))
    assert plain.values.tolist() == [-1, 0, 1]


def test_question_advantages_fill_spans_and_the_rest():
    result = grpo.question_advantages(
        torch.tensor([0.0, 2.0, 4.0, math.nan]),
        sequence=torch.tensor([0, 0, 1, 1]),
        token_begin=torch.tensor([0, -1, 1, 2]),
        token_end=torch.tensor([2, -1, 2, 3]),
        group=torch.tensor([9, 9]),
        length=4,
    )
    question = grpo.group_advantages(torch.tensor([0.0, 2.0, 4.0]), group=torch.tensor([0, 0, 0])).values
    sequence = grpo.group_advantages(torch.tensor([1.0, 4.0]), group=torch.tensor([0, 0])).values
    expected = [[question[0]] * 2 + [sequence[0]] * 2, [sequence[1], question[2], 0, sequence[1]]]
    torch.testing.assert_close(result.values, torch.tensor(expected))


@pytest.mark.parametrize("reduction", ["grpo", "bnpo", "dapo", "dr_grpo"])
def test_loss_and_gradients_equal_the_torch_composition(reduction):
    options = dataclasses.replace(ALL_TERMS, reduction=reduction)
    batch = inputs()
    count = grpo.normalizer(batch["mask"], reduction=reduction, max_length=12)
    ours, theirs = dict(batch), dict(batch)
    for name in ("logp", "entropy"):
        ours[name], theirs[name] = batch[name].clone().requires_grad_(), batch[name].clone().requires_grad_()
    result = grpo.loss(ours.pop("logp").requires_grad_(), normalizer=count, options=options, **ours)
    expected = composition(theirs, options, count)
    torch.testing.assert_close(result.loss, expected)

    leaf = batch["logp"].clone().requires_grad_()
    rest = {name: tensor for name, tensor in batch.items() if name != "logp"}
    grpo.loss(leaf, normalizer=count, options=options, **rest).loss.backward()
    expected.backward()
    torch.testing.assert_close(leaf.grad, theirs["logp"].grad)
    result.loss.backward()
    torch.testing.assert_close(ours["entropy"].grad, theirs["entropy"].grad)


def test_gradcheck_passes_through_token_logp_into_the_loss():
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 4, 6, generator=draw, dtype=torch.float64, requires_grad=True)
    tokens = torch.randint(6, (2, 4), generator=draw)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    old = grpo.token_logp(logits.detach(), tokens, temperature=0.8).logp - 0.05
    reference = old - 0.3
    advantages = torch.tensor([1.5, -0.5])

    def value(x: torch.Tensor) -> torch.Tensor:
        logp, entropy = grpo.token_logp(x, tokens, temperature=0.8, mask=mask)
        return grpo.loss(
            logp,
            old_logp=old,
            advantages=advantages,
            mask=mask,
            normalizer=2,
            ref_logp=reference,
            entropy=entropy,
            options=ALL_TERMS,
        ).loss

    assert torch.autograd.gradcheck(value, (logits,))


def test_poison_behind_the_mask_reaches_neither_loss_nor_parameters():
    draw = torch.Generator().manual_seed(5)
    weight = torch.randn(6, 3, generator=draw)
    hidden = torch.randn(2, 4, 3, generator=draw)
    tokens, mask = torch.randint(6, (2, 4), generator=draw), torch.tensor([[True] * 3 + [False], [False] * 4])

    def gradient(poison: float) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = weight.clone().requires_grad_()
        logits = (hidden @ leaf.T).masked_fill(~mask[..., None], poison)
        logp, entropy = grpo.token_logp(logits, tokens.masked_fill(~mask, -100), mask=mask)
        constant = logp.detach().masked_fill(~mask, poison)
        result = grpo.loss(
            logp.masked_fill(~mask, poison),
            old_logp=constant - 0.1 * mask,
            advantages=torch.tensor([1.0, math.nan]),
            mask=mask,
            normalizer=1,
            ref_logp=constant - 0.2 * mask,
            entropy=entropy,
            options=ALL_TERMS,
        )
        result.loss.backward()
        return result.loss.detach(), leaf.grad

    expected = gradient(0.0)
    for poison in (math.nan, math.inf, -math.inf):
        for found, clean in zip(gradient(poison), expected, strict=True):
            assert torch.equal(found, clean)


def test_entropy_of_weight_zero_is_a_monitor_without_a_gradient():
    batch = inputs()
    batch["entropy"].requires_grad_()
    result = grpo.loss(batch.pop("logp").requires_grad_(), normalizer=1, **batch)
    result.loss.backward()
    assert batch["entropy"].grad is None and math.isfinite(result.entropy)


def test_monitors_are_token_means():
    batch = inputs()
    result = grpo.loss(normalizer=1, **batch)
    mask = batch["mask"]
    ratio = torch.exp(batch["logp"] - batch["old_logp"])[mask]
    d = (batch["ref_logp"] - batch["logp"])[mask]
    assert result.tokens == int(mask.sum())
    assert result.ratio_mean == pytest.approx(ratio.mean().item())
    assert result.ratio_max == pytest.approx(ratio.max().item())
    assert result.kl == pytest.approx((d.exp() - d - 1).mean().item())
    assert result.entropy == pytest.approx(batch["entropy"][mask].mean().item())
    assert 0 < result.clip_fraction < 1


def test_presets_are_the_values_the_design_names():
    assert grpo.PAPER == grpo.LossOptions() == grpo.LossOptions(clip_low=0.2, clip_high=0.2, beta=1e-2)
    assert dataclasses.replace(grpo.PAPER, beta=0.0, reduction="dapo") == grpo.TRL
    assert list(grpo.PRESETS) == ["paper", "trl", "verl", "openrlhf", "dr_grpo", "gspo"]
    assert grpo.VERL.dual_clip == 3 and grpo.GSPO.ratio == "sequence" and grpo.DR_GRPO.reduction == "dr_grpo"
    assert grpo.AdvantageOptions() == grpo.AdvantageOptions(epsilon=1e-4, scale="group")


def test_errors_are_value_errors_in_the_house_wording():
    batch = inputs()

    def error(call) -> str:
        with pytest.raises(ValueError) as caught:
            call()
        return str(caught.value)

    def changed(**change) -> str:
        return error(lambda: grpo.loss(**{**batch, "normalizer": 1, **change}))

    assert changed(advantages=torch.zeros(3)) == (
        "[grpo::loss] advantages: expected shape [B], got [3] (B=6 was set by logp)"
    )
    assert changed(mask=batch["mask"].long()) == "[grpo::loss] mask: expected bool, got Long"
    assert changed(ref_logp=None) == "[grpo::loss] ref_logp: expected a tensor, because beta is 0.01, got none"
    assert error(lambda: grpo.LossOptions(clip_low=2)) == "[grpo::LossOptions] clip_low must be in [0, 1), got 2"
    assert error(lambda: grpo.LossOptions(beta=math.nan)).startswith("[grpo::LossOptions] beta must be in [0, inf)")
    assert error(lambda: grpo.LossOptions(reduction="mean")) == (
        "[grpo::LossOptions] reduction: expected one of grpo, bnpo, dapo, dr_grpo, got 'mean'"
    )
    assert error(lambda: grpo.group_advantages(torch.tensor([math.inf]), group=torch.tensor([0]))) == (
        "[grpo::group_advantages] rewards: row 0 is infinite; NaN marks an unscored row"
    )
    assert error(lambda: grpo.token_logp(torch.zeros(1, 3), torch.tensor([3]))) == (
        "[grpo::token_logp] tokens: expected ids in [0, 3), got 3"
    )
    assert error(lambda: grpo.normalizer(batch["mask"], reduction="dr_grpo")) == (
        "[grpo::normalizer] max_length: expected a number, because the reduction is dr_grpo, got none"
    )


def test_a_second_derivative_is_refused():
    batch = inputs()
    leaf = batch.pop("logp").requires_grad_()
    result = grpo.loss(leaf, normalizer=1, **batch)
    with pytest.raises(RuntimeError, match="expected create_graph=False, the loss is differentiable once"):
        torch.autograd.grad(result.loss, leaf, create_graph=True)
