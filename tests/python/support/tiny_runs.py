"""The smallest training runs that still do everything, for tests of checkpoints and resumption."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.trainer import Trainer
from vlmprobe.vlm.lora import add_lora
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

TINY = TrainerOptions(k=2, group_size=4, images_per_step=2, learning_rate=3e-4, credit="question")


def make(
    *, answerer=None, verifier=None, ledger=None, adapters=False, options=TINY, pool=3, device="cpu", **more
) -> Trainer:
    answerer = answerer or FaultyAnswerer(ExecutingAnswerer(), load_faults())
    if ledger is not None:
        ledger.begin(RunRecord(id="run"))
    model = tiny.load("questioner-broad")
    model.model.to(device)
    if adapters:
        torch.manual_seed(0)
        add_lora(model, rank=2)
    return Trainer(
        Questioner(model),
        answerer,
        verifier or OracleVerifier(),
        HashedNgramEmbedder(),
        WorldImages(pool, seed=11),
        options=options,
        ledger=ledger,
        annotate=annotator(answerer),
        **more,
    )


def whole_state(folder: Path) -> dict[str, object]:
    """Everything in a checkpoint, by file: tensors as bytes, the rest as it is."""
    found: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors" and not name.startswith("memory"):
            tensors = load_file(path)
            found |= {f"{name}:{key}": value.flatten().view(torch.uint8).tolist() for key, value in tensors.items()}
        else:
            found[name] = path.read_bytes()
    return found


def dump(path: Path) -> list[str]:
    """What the ledger holds, but for times and events."""
    with Ledger(path, read_only=True) as ledger:
        return [line for line in ledger.dump() if '"table": "events"' not in line]
