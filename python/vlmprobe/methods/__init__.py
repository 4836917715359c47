"""The methods that the paper compares, and controls; a file each.

A method leaves something that asks (`vlmprobe.asked.Asker`): a questioner after training, a model behind an endpoint, a
generator of questions. What it asked on the way is in the ledger; the tables come from an evaluation pass that is the
same for all: `vlmprobe.evaluation.probe` with equal images, calls and seed.

    zero-shot           the untrained questioner, or `ChatAsker`
    ConMe               `ConMeAsker`
    SFT                 `sft.train` on rows of image and question
    Expert Iteration    `expert_iteration.train`
    RL                  `vlmprobe.Trainer`
    RL+SFT              `sft.train`, then `vlmprobe.Trainer`
    random valid        `RandomValid`, a control
    sweep               `Sweep`, a control
"""

from vlmprobe.methods.chat import ChatAsker
from vlmprobe.methods.conme import ConMeAsker
from vlmprobe.methods.controls import RandomValid, Sweep

__all__ = ["ChatAsker", "ConMeAsker", "RandomValid", "Sweep"]
