"""A task for methods in the embedded world."""

from vlmprobe.methods import Task
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

POOL, HELD_OUT = WorldImages(6, seed=41), WorldImages(48, seed=42)
CALLS = 61


def task_of(ledger, **more):
    answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
    settings = {"calls": CALLS, "k": 2, "group_size": 2, "images_per_step": 4, **more}
    return Task(
        images=POOL, answerer=answerer, verifier=OracleVerifier(), embedder=HashedNgramEmbedder(), ledger=ledger,
        annotate=annotator(answerer), **settings,
    )  # fmt: skip
