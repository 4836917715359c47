"""The training loop without the Trainer: the method of the paper, top to bottom, on the embedded world.

    python examples/train_unrolled.py --steps 20

Every line calls a public function, so each can be replaced. `tests/python/loop/test_trainer.py` holds this loop and
`vlmprobe.Trainer` equal, bit for bit. Departures from the paper: docs/departures.md.
"""

from __future__ import annotations

import argparse

import torch

from vlmprobe import grpo, reward
from vlmprobe.data.order import epoch_order
from vlmprobe.loop.ask import ask
from vlmprobe.loop.examine import examine
from vlmprobe.loop.learn import learn, remember
from vlmprobe.loop.round import Place, Round
from vlmprobe.loop.score import credit, score
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.reward import invalid, lexical, semantic, valid, wrong
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

K, GROUP_SIZE, IMAGES_PER_STEP, LEARNING_RATE = 3, 8, 8, 3e-4


def train(steps: int, *, seed: int = 0, pool: int = 64) -> tuple[Questioner, list[float]]:
    """Trains the world's questioner; returns it and the mean reward of each step."""
    images = WorldImages(pool, seed=11)
    questioner = Questioner(tiny.load("questioner"))
    answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
    verifier = OracleVerifier()
    embedder = HashedNgramEmbedder()
    memory = QuestionMemory(embedder.dim, prefix_length=2)
    optimizer = torch.optim.AdamW(questioner.parameters(), lr=LEARNING_RATE, weight_decay=0.0)

    # Equation 5. `semantic` and `lexical` are novelties in [0, 1]; `valid`, `wrong` and `invalid` are indicators.
    formula = 0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid
    assert repr(formula) == repr(reward.paper())

    history = []
    for step in range(steps):
        # Images of this step: every epoch in an order of its own.                                     [I]
        places = range(step * IMAGES_PER_STEP, (step + 1) * IMAGES_PER_STEP)
        batch = [images[epoch_order(pool, seed=seed, epoch=at // pool)[at % pool]] for at in places]

        # k questions in each of G sequences per image.                                         [B, T], [Q], Q = B x k
        shown = Round(place=Place(step=step), images=batch)
        asked = ask(shown, questioner, k=K, group_size=GROUP_SIZE, seed=seed)

        # Valid? Only then answered. Correct? Unknown stays unknown.                            [Q]
        examined = examine(asked, answerer, verifier)

        # How new, against the failures of earlier steps; then the reward.                      [Q], [B]
        scored = score(examined, memory, embedder, formula)

        # Group-relative advantages, each question's on its own tokens; the clipped loss; one update.
        credited = credit(scored, "question")  #                                                [B, T]
        learn(credited, questioner, optimizer, loss=grpo.PAPER, max_grad_norm=1.0)

        # Failures enter the memory at the end of the step.
        remember(memory, credited)
        history.append(float(credited.rewards.total.nanmean()))
    return questioner, history


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for number, value in enumerate(train(arguments.steps, seed=arguments.seed)[1]):
        print(f"step {number}  mean reward {value:+.3f}")
