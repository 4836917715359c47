"""Results as `vlmprobe demo` computes them, made up, for the tests of what people read."""

import math
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


def evaluation(scale, *, n=1536, qvr=0.79, fdr=0.041):
    valid = round(n * qvr)
    return {
        "n_questions": n,
        "n_valid": valid,
        "n_unscored": 3,
        "qvr": qvr,
        "fdr": fdr,
        "qvr_interval": [qvr - 0.021, qvr + 0.019],
        "fdr_interval": [fdr * 0.82, fdr * 1.2],
        "vendi": 41.27 / scale,
        "prefix_entropy": 4.1,
        "prefix_entropy_normalized": 0.581,
        "distinct_failures": round(46 * scale),
        "effective_families": 12.4 / scale,
        "effective_failure_families": 9.26 / scale,
        "duplicates": 0.062,
        "answerer_calls": valid,
        "faults": {
            name: {
                "mass": mass,
                "when": when,
                "effect": effect,
                "reached": round(mass * n * scale),
                "triggered": int(mass * n * scale * 0.95),
                "detected": int(mass * n * scale * 0.95),
            }
            for name, (mass, when, effect) in FAULTS.items()
        },
    }


def summary():
    return {
        "before": evaluation(1.0),
        "after": evaluation(3.1, qvr=0.912, fdr=0.3125),
        "arms": {
            "zero-shot": evaluation(1.2, n=24576, qvr=0.788, fdr=0.0405),
            "paper": evaluation(2.9, n=21312, qvr=0.905, fdr=0.241),
            "coverage": evaluation(1.7, n=22600, qvr=0.861, fdr=0.163),
        },
        "seconds": 268.4,
        "seed": 7,
        "steps": 150,
        "versions": {"vlmprobe": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
    }


def curves(steps=150):
    draw = random.Random(3)
    rise = [1 / (1 + math.exp(-(step - 60) / 15)) for step in range(steps)]
    return [
        {
            "step": step,
            "reward": -0.1 + 0.4 * r + draw.gauss(0, 0.05),
            "qvr": 0.78 + 0.13 * r + draw.gauss(0, 0.02),
            "fdr": max(0.0, 0.04 + 0.27 * r + draw.gauss(0, 0.03)) if step % 10 else None,
            "semantic": 0.95 - 0.4 * r + draw.gauss(0, 0.02),
            "lexical": 0.6 - 0.5 * r + draw.gauss(0, 0.02),
            "kl": 0.08 * r + abs(draw.gauss(0, 0.005)),
            "effective_families": 12.4 - 6 * r + draw.gauss(0, 0.3),
            "effective_failure_families": 8.9 - 6.5 * r + draw.gauss(0, 0.4),
        }
        for step, r in enumerate(rise)
    ]


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
            source=f"after, step {i // 3}, image {i}",
        )
        for i, (family, question, answer, truth, fault) in enumerate(asked * 4)
    ]
