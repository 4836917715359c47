"""The taxonomy's results of record: what comes back of the world's labels, what is left of it where a stage is broken,
and what 10,000 questions take, as JSON.

    OMP_NUM_THREADS=1 python benchmarks/python/record_taxonomy.py --out docs/results/taxonomy.json

The labeller is the world's stand-in: free words, one in ten of them wrong (`vlmprobe.world.labeller`). Intervals leave
out groups of pictures (`metrics.at_equal_n`).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python"))
from support.taxonomies import Saying, family, first_skills, labels, made, method, pool, questions, shuffled
from vlmprobe import metrics
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.metrics.partitions import adjusted_mutual_information, adjusted_rand, harmonic_purity
from vlmprobe.models.embedder import MiniLMEmbedder, shared_embedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.taxonomy.again import named_again
from vlmprobe.taxonomy.assign import needed
from vlmprobe.taxonomy.build import Built, build
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.figures import with_numbers
from vlmprobe.taxonomy.primitives import primitives
from vlmprobe.world import tiny
from vlmprobe.world.labeller import WordLabeller
from vlmprobe.world.measure import asked

PROSE = "I cannot say."
LEAST = 0.8  # adjusted mutual information
TIME_S, PEAK_GB = 600.0, 4.0


def score(what: str, corpus: Sequence[Question], built: Built) -> dict[str, Any]:
    """How well the skill that each question turns on fits its family, and all skills family and attributes."""
    images = [each.image for each in corpus]
    pairs = list(zip(map(family, corpus), first_skills(built, corpus), strict=True))
    own = needed(built.assigned["a"])
    found = {"what": what, "questions": len(corpus), "pictures": len(set(images))}
    for name, measure in (("ami", adjusted_mutual_information), ("ari", adjusted_rand)):
        estimate = metrics.at_equal_n(
            lambda rows, measure=measure: measure(*zip(*rows, strict=True)), pairs, len(pairs), cluster=images,
            bounds=(-1.0, 1.0),
        )  # fmt: skip
        found[name] = [round(number, 4) for number in (estimate.value, estimate.low, estimate.high)]
    classes = list(map(labels, corpus))
    found["harmonic_purity"] = round(harmonic_purity(classes, [own[each.image, each.text] for each in corpus]), 4)
    return {**found, "topics": len(built.taxonomy.topics), "skills": len(built.taxonomy.live)}


def recovery(count: int) -> list[dict[str, Any]]:
    rows = []
    for name in ("questioner", "questioner-medium", "questioner-broad", "questioner-broad-medium"):
        images = [pool()[i] for i in range(count // 4)]
        slots = asked(Questioner(tiny.load(name)), images, k=2, group_size=2, seed=5)
        corpus = [Question(slot.image.id, slot.image.key, slot.text, None) for slot in slots if slot.valid]
        rows.append(score(name, corpus, made(corpus)))
    for seed in range(3):
        corpus = questions(count, seed=seed)
        rows.append(score(f"uniform, seed {seed}", corpus, made(corpus, WordLabeller(seed=seed))))
    return rows


def broken(count: int) -> list[dict[str, Any]]:
    """Each stage broken once, and what the stages before it come to alone."""
    corpus = questions(count)
    silent = Saying(lambda at, text, request: PROSE if at == "skills" else None)

    def merges(at: str, text: str, request: object) -> str | None:
        known = text.partition("<known_skills>\n<item_1>")[2].partition("</item_1>")[0]
        return json.dumps({"action": "merge", "labels": [known]}) if at == "skills" and known else None

    rows = [score("whole", corpus, made(corpus)), score("topics alone", corpus, made(corpus, silent))]
    with (
        patch("vlmprobe.taxonomy.build.primitives", shuffled(primitives)),
        patch("vlmprobe.taxonomy.build.named_again", shuffled(named_again)),
    ):
        rows.append(score("primitives of other questions", corpus, made(corpus)))
    unheard = Saying(lambda at, text, request: PROSE if at == "again" else None)
    rows.append(score("nothing named again", corpus, made(corpus, unheard)))
    with patch("vlmprobe.taxonomy.topics.clustered", lambda texts, rows, **more: [0] * len(texts)):
        rows.append(score("one topic, no stage 3", corpus, made(corpus, silent)))
    rows.append(score("everything merged", corpus, made(corpus, Saying(merges))))
    rows.append(score("hashed n-grams in place of MiniLM", corpus, made(corpus, embedder="hashed")))
    return rows


def scale(count: int) -> dict[str, Any]:
    """What all four stages and the numbers take, each call kept in a ledger."""
    corpus, embedder = questions(count), MiniLMEmbedder()
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        one = method(corpus, WordLabeller(), ledger=ledger, run="run")
        began = time.monotonic()
        built = build([one], one.labeller, embedder)
        with_numbers(built, [one], embedder)
        seconds = time.monotonic() - began
    requests = {stage: each.requests for stage, each in one.labeller.asked.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "what": "scale", "questions": count, "seconds": round(seconds, 1), "peak_gb": round(peak, 2),
        "requests": requests, "threads": torch.get_num_threads(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--questions", type=int, default=1200, help="of each corpus, slots of a questioner's among them"
    )
    parser.add_argument("--scale", type=int, default=10_000, help="questions of the corpus that is timed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shared_embedder("minilm")
    rows, stages, timed = recovery(arguments.questions), broken(arguments.questions), scale(arguments.scale)
    claims = {
        f"AMI surely >= {LEAST} on every corpus": min(row["ami"][1] for row in rows) >= LEAST,
        "every broken stage below the whole by 0.3 or more": all(
            row["ami"][0] <= stages[0]["ami"][0] - 0.3 for row in (stages[2], *stages[4:6])
        ),
        f"{arguments.scale} questions in {TIME_S:.0f} s and {PEAK_GB:g} GB": timed["seconds"] < TIME_S
        and timed["peak_gb"] < PEAK_GB,
    }
    lines = ",\n".join(json.dumps(row) for row in (*rows, *stages, timed))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(f'{{"claims": {json.dumps(claims, indent=1)},\n"rows": [\n{lines}\n]}}\n')
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
