"""The cases by name, with the ratios that they must reach on one thread and the errors that they may have.

`ratio` is the peer's time over ours, `half_ratio` our time for all rows over that for half of them. A result with a
larger error than `tolerance` is not timed; what each error is relative to, `reference.py` says.
"""

from __future__ import annotations

import torch

from .kinds import AdvantageCase, LinearLossCase, LossFromLogitsCase, TokenLogpCase

LOGITS = {"logp": 2e-5, "entropy": 1e-4}
LOSS_F32 = {**LOGITS, "loss": 1e-5, "gradient": 1e-4}
LOSS_BF16 = {**LOGITS, "loss": 1e-5, "gradient": 4.5e-3}  # a bfloat16 is off by up to 2^-8
LINEAR_F32 = {"logp": 1e-4, "entropy": 2e-4, "loss": 5e-5, "hidden gradient": 2e-4, "weight gradient": 2e-4}
# Logits from 16 to 32 that are rounded to bfloat16 are off by up to 2^-4, and with them each probability by 6 %.
LINEAR_BF16 = {"logp": 8e-2, "entropy": 8e-2, "loss": 2e-2, "hidden gradient": 8e-2, "weight gradient": 8e-2}
F32, BF16 = torch.float32, torch.bfloat16

CASES = (
    TokenLogpCase("token_logp_entropy_f32", F32, ratio=40, half_ratio=1.7, tolerance=LOGITS, of_bandwidth=0.7),
    TokenLogpCase("token_logp_entropy_bf16", BF16, ratio=25, half_ratio=1.7, tolerance=LOGITS),
    LossFromLogitsCase("loss_from_logits_f32", F32, ratio=50, half_ratio=1.4, tolerance=LOSS_F32),
    LossFromLogitsCase("loss_from_logits_bf16", BF16, ratio=20, half_ratio=1.4, tolerance=LOSS_BF16),
    LinearLossCase("linear_loss_f32", F32, ratio=2, half_ratio=1.7, tolerance=LINEAR_F32),
    LinearLossCase("linear_loss_bf16", BF16, ratio=1.3, half_ratio=1.7, tolerance=LINEAR_BF16),
    LinearLossCase("linear_loss_frozen_f32", F32, ratio=2.3, half_ratio=1.7, tolerance=LINEAR_F32, frozen=True),
    LinearLossCase("linear_loss_frozen_bf16", BF16, ratio=1.4, half_ratio=1.7, tolerance=LINEAR_BF16, frozen=True),
    AdvantageCase("advantages_4096", ratio=10),
)
