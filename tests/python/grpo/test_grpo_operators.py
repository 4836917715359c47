"""The torch operators: registration, tracing, autograd, compilation, and their errors."""

import math

import pytest
import torch

from vlmprobe import grpo

OPS = torch.ops.vlmprobe
B, T, V, H = 3, 5, 37, 16
ALL_TERMS = grpo.LossOptions(clip_low=0.1, clip_high=0.3, beta=0.05, entropy_weight=0.02)


def batch(dtype=torch.float64):
    draw = torch.Generator().manual_seed(4)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    hidden = torch.randn(B, T, H, generator=draw, dtype=torch.float64).to(dtype)
    weight = (0.4 * torch.randn(V, H, generator=draw, dtype=torch.float64)).to(dtype)
    logits = hidden @ weight.T
    tokens = torch.randint(V, (B, T), generator=draw)
    logp = logits.double().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    noise = torch.rand(2, B, T, generator=draw, dtype=torch.float64) - 0.5
    return {
        "hidden": hidden,
        "weight": weight,
        "logits": logits,
        "tokens": tokens,
        "mask": torch.arange(T) < torch.tensor([5, 3, 0])[:, None],
        "advantages": torch.tensor([1.5, -0.7, 0.3], dtype=wide),
        "old_logp": (logp + 0.5 * noise[0]).to(wide),
        "ref_logp": (logp + noise[1]).to(wide),
        "normalizer": torch.tensor(3.0, dtype=torch.float64),
    }


def arguments(name, dtype=torch.float64, options=ALL_TERMS):
    """What an operator is called with; the tensors that it is differentiated in require a gradient."""
    b = batch(dtype)
    terms = (b["advantages"], b["mask"], b["old_logp"], b["ref_logp"])
    leaf = {key: b[key].clone().requires_grad_() for key in ("hidden", "weight", "logits")}
    if name == "token_logp":
        return leaf["logits"], b["tokens"], b["mask"], 0.9, True
    if name == "loss":
        logp = b["old_logp"].add(0.1).requires_grad_()
        return logp, *terms, logp.detach().neg().requires_grad_(), b["normalizer"], options.packed
    if name == "loss_from_logits":
        return leaf["logits"], b["tokens"], *terms, b["normalizer"], 0.9, options.packed
    if name == "linear_loss":
        return (
            leaf["hidden"],
            leaf["weight"],
            b["tokens"],
            *terms,
            b["normalizer"],
            0.9,
            None,
            torch.tensor([3]),
            options.packed,
        )
    rewards = torch.tensor([0.0, 2.0, 5.0], dtype=dtype)
    return rewards, torch.tensor([0, 0, 0]), grpo.DEFAULT_ADVANTAGES.packed


DIFFERENTIABLE = ["token_logp", "loss", "loss_from_logits", "linear_loss"]
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)


@pytest.mark.parametrize("name", [*DIFFERENTIABLE, "group_advantages"])
def test_opcheck_passes(name):
    torch.library.opcheck(getattr(OPS, name).default, arguments(name))


@pytest.mark.parametrize("name", ["token_logp", "loss_from_logits", "linear_loss"])
def test_opcheck_passes_in_bfloat16_and_with_the_ratio_of_a_sequence(name):
    options = grpo.LossOptions(ratio="sequence", beta=0.02)
    # the traced step multiplies the rounded gradient by one from upstream, the eager one computes it again
    torch.library.opcheck(getattr(OPS, name).default, arguments(name, torch.bfloat16, options), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("target", grpo.simd_targets())
@pytest.mark.parametrize("ratio", ["token", "sequence"])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradcheck_passes(name, ratio, target):
    options = grpo.LossOptions(ratio=ratio, clip_high=0.9, clip_low=0.8, beta=0.05, entropy_weight=0.02)
    given = arguments(name, options=options)
    leaves = [x for x in given if isinstance(x, torch.Tensor) and x.requires_grad]

    def differentiable(*replaced):
        new = iter(replaced)
        out = getattr(OPS, name)(*[next(new) if isinstance(x, torch.Tensor) and x.requires_grad else x for x in given])
        return out[:2] if name == "token_logp" else out[0]

    grpo.limit_simd(target)
    try:
        assert torch.autograd.gradcheck(differentiable, leaves)
    finally:
        grpo.limit_simd(None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["token_logp", "loss_from_logits", "linear_loss"])
def test_fake_tensors_get_the_shapes_and_dtypes_of_real_ones(name, dtype):
    real = getattr(OPS, name)(*arguments(name, dtype))
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = [mode.from_tensor(x) if isinstance(x, torch.Tensor) else x for x in arguments(name, dtype)]
        fake = getattr(OPS, name)(*fakes)
    assert [(x.shape, x.dtype, x.requires_grad) for x in fake] == [(x.shape, x.dtype, x.requires_grad) for x in real]


def small_step(hidden, weight, b):
    """Hidden states to gradients through three of the functions, as a training step would use them."""
    terms = {key: b[key] for key in ("advantages", "mask", "old_logp", "ref_logp", "normalizer")}
    linear = grpo.linear_loss(hidden, weight, b["tokens"], **terms).loss
    logits = grpo.loss_from_logits(hidden @ weight.T, b["tokens"], **terms, options=ALL_TERMS).loss
    logp, entropy = grpo.token_logp(hidden @ weight.T, b["tokens"], mask=b["mask"])
    plain = grpo.loss(logp, **terms, entropy=entropy, options=ALL_TERMS).loss
    advantages = grpo.group_advantages(b["advantages"], group=b["tokens"][:, 0] * 0).values
    return linear + logits + plain + advantages.sum()


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_a_training_step_compiles_without_a_break_and_gives_the_same_gradients(dynamic):
    torch._dynamo.reset()
    compiled = torch.compile(small_step, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for dtype in (torch.float32, torch.float64):
        b = batch(dtype)
        results = []
        for step in (small_step, compiled):
            hidden, weight = b["hidden"].clone().requires_grad_(), b["weight"].clone().requires_grad_()
            loss = step(hidden, weight, b)
            loss.backward()
            results.append((loss.detach(), hidden.grad, weight.grad))
        for eager, traced in zip(*results, strict=True):
            torch.testing.assert_close(traced, eager)


def test_inductor_compiles_the_step_too(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # its cache mixes up code for AVX2 and for AVX-512
    torch._dynamo.reset()
    b = batch(torch.float32)
    results = []
    for step in (small_step, torch.compile(small_step, fullgraph=True)):
        hidden, weight = b["hidden"].clone().requires_grad_(), b["weight"].clone().requires_grad_()
        step(hidden, weight, b).backward()
        results.append((hidden.grad, weight.grad))
    for eager, traced in zip(*results, strict=True):
        torch.testing.assert_close(traced, eager)


def test_the_backward_operator_reads_nothing_out_of_bounds():
    b = batch(torch.float32)
    logp, entropy, log_z, _ = OPS.token_logp(b["logits"], b["tokens"], None, 1.0, False)
    one = torch.ones(B, T)

    def call(**changes):
        given = {"d_logp": one, "d_entropy": one, "logp": logp, "entropy": entropy, "log_z": log_z} | changes
        order = (given["d_logp"], given["d_entropy"], b["logits"], b["tokens"], None)
        return OPS.token_logp_backward(*order, given["logp"], given["entropy"], given["log_z"], 1.0)

    right = call()
    strided = torch.stack([log_z, log_z * 0], -1)[..., 0]
    assert torch.equal(call(log_z=strided), right)
    for name in ("d_logp", "d_entropy", "logp", "entropy", "log_z"):
        dtype = "Double" if name == "log_z" else "Float"
        with pytest.raises(ValueError, match=rf"{name}: expected shape \[3, 5\], got \[1\]"):
            call(**{name: torch.ones(1)})
        with pytest.raises(ValueError, match=f"{name}: expected {dtype}, got Half"):
            call(**{name: torch.ones(B, T, dtype=torch.float16)})


def test_in_place_forms_are_not_operators():
    names = {schema.name for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("vlmprobe::")}
    assert "vlmprobe::loss_from_logits" in names and not any("in_place" in name or name.endswith("_") for name in names)
    for schema in torch._C._jit_get_all_schemas():
        if schema.name.startswith("vlmprobe::"):
            assert not any(argument.alias_info for argument in [*schema.arguments, *schema.returns])


def test_in_place_logits_that_something_else_needs_are_noticed():
    logits = batch(torch.float32)["logits"].clone().requires_grad_()
    b = batch(torch.float32)
    scaled = logits * 1.0
    squared = scaled.pow(2).sum()  # its backward needs `scaled` as it was
    terms = {key: b[key] for key in ("advantages", "mask", "old_logp", "ref_logp", "normalizer")}
    loss = grpo.loss_from_logits(scaled, b["tokens"], **terms, inplace=True).loss
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (loss + squared).backward()


def test_no_gradient_is_computed_where_none_is_wanted():
    for name in ("loss_from_logits", "linear_loss"):
        given = [x.detach() if isinstance(x, torch.Tensor) else x for x in arguments(name, torch.float32)]
        assert not getattr(OPS, name)(*given)[0].requires_grad
        with torch.no_grad():
            assert not getattr(OPS, name)(*arguments(name, torch.float32))[0].requires_grad
        with torch.inference_mode():
            assert math.isfinite(getattr(OPS, name)(*given)[0].item())


def test_inference_of_a_frozen_head_asks_for_the_hidden_gradient_only():
    hidden, weight, *rest = arguments("linear_loss", torch.float32)
    OPS.linear_loss(hidden, weight.detach(), *rest)[0].backward()
    assert hidden.grad.abs().sum() > 0


def test_errors_are_value_errors_in_the_houses_words():
    b = batch(torch.float32)
    terms = {key: b[key] for key in ("advantages", "mask", "normalizer")}

    def error(call):
        with pytest.raises(ValueError) as caught:
            call()
        return str(caught.value)

    assert error(lambda: grpo.token_logp(b["logits"], b["tokens"] + V)) == (
        f"[grpo::token_logp] tokens: expected ids in [0, {V}), got {int((b['tokens'] + V)[0, 0])}"
    )
    assert error(lambda: grpo.loss_from_logits(b["logits"], b["tokens"], **terms)) == (
        "[grpo::loss_from_logits] ref_logp: expected a tensor, because beta is 0.01, got none"
    )
    assert error(lambda: grpo.linear_loss(b["hidden"], b["weight"][:, :8], b["tokens"], **terms)) == (
        f"[grpo::linear_loss] weight: expected shape [V, H], got [{V}, 8] (H=16 was set by hidden)"
    )
    assert error(lambda: grpo.token_logp(b["logits"], b["tokens"].to("meta"))) == (
        "[grpo::token_logp] tokens: expected a tensor on cpu as logits, got meta"
    )
    bad = dict(terms, advantages=torch.tensor([1.0, math.nan, 0.0]))
    assert error(lambda: grpo.linear_loss(b["hidden"], b["weight"], b["tokens"], **bad, options=grpo.TRL)) == (
        "[grpo::linear_loss] advantages: row 1 is not finite where the mask is true"
    )
    assert error(
        lambda: OPS.loss(b["old_logp"], b["advantages"], b["mask"], None, None, None, b["normalizer"], [0.2])
    ) == ("[grpo::loss] options: expected 14 numbers, got 1")
    assert error(lambda: grpo.limit_simd("mmx")).startswith("[grpo::limit_simd] target: expected one of aten")
    assert error(lambda: grpo.LossOptions(policy="ppo")) == (
        "[grpo::LossOptions] policy: expected one of clip, cispo, sapo, got 'ppo'"
    )
    assert error(lambda: grpo.AdvantageOptions(scale="all")) == (
        "[grpo::AdvantageOptions] scale: expected one of group, batch, none, got 'all'"
    )


@pytest.mark.gpu
@each_dtype
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_on_cuda_the_numbers_are_those_of_the_cpu(name, dtype):
    if name == "loss" and dtype == torch.bfloat16:
        dtype = torch.float32
    given = arguments(name, dtype)
    expected = getattr(OPS, name)(*given)
    expected[0].sum().backward()
    moved = [x.detach().cuda().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) else x for x in given]
    found = getattr(OPS, name)(*moved)
    found[0].sum().backward()
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.device.type == "cuda"
        torch.testing.assert_close(ours.cpu(), theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
    for ours, theirs in zip(moved, given, strict=True):
        if isinstance(theirs, torch.Tensor) and theirs.requires_grad:
            torch.testing.assert_close(ours.grad.cpu(), theirs.grad, rtol=tolerance, atol=tolerance)
