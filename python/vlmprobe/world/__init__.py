"""The embedded world: scenes whose truth is known, questions that can be executed, answerers with planted faults.

It runs the same code as real images and models, without a hub, and it can say which of the true failures were found.
docs/world.md describes it.
"""

from vlmprobe._native import core
from vlmprobe.world import tiny
from vlmprobe.world.answerers import SHIPPED_FAULTS, ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.discovery import discovery
from vlmprobe.world.render import render
from vlmprobe.world.source import WorldImages, scene_of
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import ErrorRates, NoisyVerifier, OracleVerifier

Scene = core.world.Scene
judge = core.world.judge
random_faults = core.world.random_faults
sample_question = core.world.sample_question
sample_scene = core.world.sample_scene

__all__ = [
    "SHIPPED_FAULTS",
    "ErrorRates",
    "ExecutingAnswerer",
    "FaultyAnswerer",
    "NoisyVerifier",
    "OracleVerifier",
    "Scene",
    "WorldImages",
    "annotator",
    "discovery",
    "judge",
    "load_faults",
    "random_faults",
    "render",
    "sample_question",
    "sample_scene",
    "scene_of",
    "tiny",
]
