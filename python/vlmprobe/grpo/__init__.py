"""GRPO on tensors: advantages, log-probabilities, the loss from log-probabilities, logits or hidden states, presets.

Formulas and edge cases are told once, in `include/vlmprobe/grpo/`. A step in full:

    advantages = grpo.group_advantages(rewards, group=group).values
    result = grpo.loss_from_logits(logits, tokens, old_logp=old_logp, advantages=advantages, mask=mask,
                                   ref_logp=ref_logp, normalizer=grpo.normalizer(mask), options=grpo.PAPER)
    result.loss.backward()

`linear_loss` starts from hidden states and never holds all logits; `loss` starts from log-probabilities, which
`token_logp` gives. The same are torch operators, `torch.ops.vlmprobe`; `torch.compile` sees through these functions.

Differences from the paper: the ratio is pi/pi_old (it is printed upside down), the KL is k3 with safe tails.
"""

from vlmprobe.grpo.advantages import (
    Advantages,
    gdpo_advantages,
    group_advantages,
    importance_weights,
    question_advantages,
)
from vlmprobe.grpo.draw import Drawn, draw_tokens, linear_draw
from vlmprobe.grpo.logp import TokenLogp, TokenLogpArgmax, linear_logp, token_logp, token_logp_and_argmax
from vlmprobe.grpo.losses import Loss, TokenLoss, linear_loss, loss, loss_from_logits, normalizer
from vlmprobe.grpo.options import (
    DEFAULT_ADVANTAGES,
    DR_GRPO,
    GSPO,
    OPENRLHF,
    PAPER,
    PRESETS,
    TRL,
    VERL,
    AdvantageOptions,
    LossOptions,
)
from vlmprobe.grpo.simd import limit_simd, simd_targets

__all__ = [
    "DEFAULT_ADVANTAGES",
    "DR_GRPO",
    "GSPO",
    "OPENRLHF",
    "PAPER",
    "PRESETS",
    "TRL",
    "VERL",
    "AdvantageOptions",
    "Advantages",
    "Drawn",
    "Loss",
    "LossOptions",
    "TokenLogp",
    "TokenLogpArgmax",
    "TokenLoss",
    "draw_tokens",
    "gdpo_advantages",
    "group_advantages",
    "importance_weights",
    "limit_simd",
    "linear_draw",
    "linear_logp",
    "linear_loss",
    "loss",
    "loss_from_logits",
    "normalizer",
    "question_advantages",
    "simd_targets",
    "token_logp",
    "token_logp_and_argmax",
]
