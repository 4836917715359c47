"""`reward_4096`: 2048 completions, k = 2 (256 images, G = 8), verdicts, cosines, and a history of questions.

About one completion in four has a malformed slot: not closed, missing, doubled, empty, or out of order.
"""

from __future__ import annotations

import random

import numpy as np

IMAGES, GROUP, K, HISTORY = 256, 8, 2, 20_000
STARTS = (
    "How many", "What color is", "What shape is", "Is there a", "Are there any", "Which of the", "Where is the",
    "Does the", "Can you tell", "What's the", "Do any of", "How far is", "Which one,", "What kind of", "Is the",
)  # fmt: skip
OBJECTS = ("red circle", "small blue square", "striped star", "large cross", "green triangle", "dog", "traffic light")
PLACES = ("left of the tree", "behind the car", "in the corner", "near the café", "on the table", "below the window")


def _question(draw: random.Random) -> str:
    return f"{draw.choice(STARTS)} {draw.choice(OBJECTS)}s {draw.choice(PLACES)}, {draw.choice(OBJECTS)}?"


def _completion(draw: random.Random) -> str:
    first, second = (f"<response_{i}> {_question(draw)} </response_{i}>" for i in (1, 2))
    match draw.randrange(20):
        case 0:
            return f"{first}\n<response_2> {_question(draw)}"
        case 1:
            return f"Here is one question.\n{first}"
        case 2:
            return f"{first}\n{first}\n{second}"
        case 3:
            return f"{first}\n<response_2>  </response_2>"
        case 4:
            return f"{second}\n{first}"
    return f"{first}\n{second}\n"


def problem(seed: int, *, images: int = IMAGES) -> dict:
    draw, numbers = random.Random(seed), np.random.default_rng(seed)
    sequences = images * GROUP
    questions = sequences * K
    return {
        "k": K,
        "completions": [_completion(draw) for _ in range(sequences)],
        "history": [_question(draw) for _ in range(HISTORY)],
        # Validity, where there is a question at all.
        "judged": numbers.choice([1, 0, -1], questions, p=[0.8, 0.17, 0.03]).astype(np.int8),
        "correct": numbers.choice([1, 0, -1], questions, p=[0.6, 0.37, 0.03]).astype(np.int8),
        "semantic": numbers.random(questions),  # 1 - largest cosine
    }
