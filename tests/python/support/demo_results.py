"""Results as `vlmprobe demo` computes them, made up, for the tests of what people read."""

import random

from PIL import Image as PILImage
from PIL import ImageDraw

from vlmprobe.report import FailureCard

FAULTS = {
    "count_many_off": (0.041, {"family": "count", "num_objects": {"min": 5}}, "off_by_one"),
    "left_right_swap": (0.032, {"family": "relation", "relation": ["left", "right"]}, "swap"),
    "purple_is_blue": (0.018, {"family": "color", "answer": "purple"}, "replace"),
    "striped_same": (0.0071, {"family": "same", "texture": "striped"}, "swap"),
    "small_star_negation": (0.00052, {"family": "negation", "shape": "star", "size": "small"}, "other"),
}


def arm(detected, *, asked=4672, qvr=0.79, fdr=0.041, programs=46):
    """An arm that detected the first faults, each after 100 calls more."""
    found = {name: 100 * (place + 1) for place, name in enumerate(FAULTS) if place < detected}
    rises = [[calls, place + 1, place + 1] for place, calls in enumerate(found.values())]
    return {
        "answerer_calls": 3000,
        "questions_asked": asked,
        "seconds": 12.3,
        "n_valid": round(asked * qvr),
        "n_unscored": 3,
        "qvr": qvr,
        "fdr": fdr,
        "qvr_interval": [qvr - 0.021, qvr + 0.019],
        "fdr_interval": [fdr * 0.82, fdr * 1.2],
        "ld": 0.284,
        "families": 6.21,
        "distinct_failing_programs": programs,
        "reached": 5,
        "detected_3": detected,
        "detected_10": detected,
        "curve": [[0, 0, 0], *rises, [3000, detected, detected]],
        "faults": {
            name: {"reached": 31, "detected": 12 if name in found else 2, "calls_to_10": found.get(name)}
            for name in FAULTS
        },
    }


def summary():
    return {
        "arms": {
            "default": arm(4, asked=7013, qvr=0.512, fdr=0.3125, programs=143),
            "zero-shot": arm(2),
            "paper": arm(1, asked=4352, qvr=0.912, fdr=0.241, programs=38),
        },
        "planted": {
            name: {"mass": mass, "when": when, "effect": effect} for name, (mass, when, effect) in FAULTS.items()
        },
        "reachable": 5,
        "hints": [
            {"hint": "purple", "pulls": 12, "judged": 31, "failures": 9},
            {"hint": "left square", "pulls": 3, "judged": 7, "failures": 0},
        ],
        "seconds": 68.4,
        "seed": 7,
        "pictures": 256,
        "versions": {"vlmprobe": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
    }


def scene(seed):
    draw = random.Random(seed)
    image = PILImage.new("RGB", (64, 64), (224, 221, 214))
    pen = ImageDraw.Draw(image)
    for _ in range(draw.randint(3, 6)):
        x, y, r = draw.randint(4, 48), draw.randint(4, 48), draw.choice((8, 13))
        shape = draw.choice((pen.ellipse, pen.rectangle))
        shape((x, y, x + r, y + r), fill=draw.choice(["#c0392b", "#2e86c1", "#239b56", "#8e44ad", "#e67e22"]))
    return image


def gallery():
    asked = [
        ("count", "how many purple shapes are there", "2", "3", "count_many_off"),
        ("count", "what number of small circles can you see", "1", "2", "count_many_off"),
        ("relation", "is the red circle left of the large blue square", "no", "yes", "left_right_swap"),
        ("relation", "what is above the striped triangle", "a green star", "a purple cross", None),
        ("color", "what color is the large square", "blue", "purple", "purple_is_blue"),
    ]
    return [
        FailureCard(
            family=family,
            question=question,
            answer=answer,
            truth=truth,
            fault=fault,
            image=scene(i),
            reason=f"The scene says {truth}.",
            source=f"default, step {i // 3}, image {i}",
        )
        for i, (family, question, answer, truth, fault) in enumerate(asked * 4)
    ]
