"""Questions of the world."""

import json
import math
from functools import cache

from PIL import Image as PILImage

from vlmprobe._native import core
from vlmprobe.data.image import Image

world = core.world
BLANK = PILImage.new("RGB", (64, 64))


def plausible(count, n, rate):
    """Within 4.5 standard deviations of a binomial count."""
    return abs(count - n * rate) <= 4.5 * math.sqrt(n * rate * (1 - rate))


@cache
def valid_questions(count, seed=3):
    """`count` scenes and a valid question about each."""
    scenes = [world.sample_scene(seed, i) for i in range(count)]
    images = [Image(i, f"scene-{i}", BLANK, meta=scene) for i, scene in enumerate(scenes)]  # nobody looks at them
    return images, [world.sample_question(image.meta, seed, i).question for i, image in enumerate(images)]


def invalid_questions(count, seed=3):
    images, _ = valid_questions(count, seed)
    kinds = [getattr(world.Criterion, name) for name in ("grammatical", "atomic", "grounded", "objective")]
    return images, [world.sample_invalid(image.meta, kinds[i % 4], seed, i) for i, image in enumerate(images)]


def wrong(right):
    """Another value of the same type, in a sentence."""
    if right.isdigit():
        return f"There are {int(right) + 1} of them."
    types = ("yes no", "red green blue", "yellow orange purple", "circle square triangle", "star cross", "small large")
    values = next((each for each in map(str.split, types) if right in each), ["plain", "striped"])
    return f"{values[values.index(right) - 1].title()}, I think."


def faults_of(*faults, seed=0):
    return world.FaultSet.parse(json.dumps(faults), seed)
