"""Scalar references in plain floats: verl's and OpenRLHF's formulas on lists of lists."""

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
