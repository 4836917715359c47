"""What the tests beside TRL and Liger compare: settings of the loss, importance weights, what counts as equal."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from support.grpo_peers import LEAVES, LOSS_TYPES, TOLERANCE, Setting
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
