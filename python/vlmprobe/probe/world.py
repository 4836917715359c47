"""The embedded world as a probe has it: its own values, and its models by `world` or `world:NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.hints import Hints
from vlmprobe.methods.world_hints import world_prompt
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.policy.questioner import Questioner
from vlmprobe.probe.config import Probe
from vlmprobe.probe.roles import Answerer as AnswererRole
from vlmprobe.probe.roles import Role
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.verifiers import OracleVerifier

_RL = {"k": 3, "group_size": 8, "training": {"learning_rate": 2e-4, "beta": 0.04}}
_HINTED = {"k": 2, "group_size": 4, "training": {"learning_rate": 5e-5, "beta": 0.04}}


def values(method: str) -> dict[str, Any]:
    """What fits models of the world's size, where a real model's values are other ones; why: docs/decisions/0006."""
    if method == "rl":
        return {"images": {"source": "world", "n": 64}, **_RL}
    return {"images": {"source": "world", "n": 256}, "images_per_step": 16, **_HINTED}


def questioner(probe: Probe, hints: Hints | None = None) -> Questioner:
    """Who asks, told what to ask about where there are hints.

    Raises:
        ValueError: no such model, or more questions than its tokenizer has tags for.
    """
    role, training = probe.questioner, probe.training
    if probe.k > tiny.MAX_SLOTS:
        raise ValueError(f"[probe] k: expected at most {tiny.MAX_SLOTS} for the world's questioner, got {probe.k}")
    temperature = 1.0 if role.temperature is None else role.temperature
    model = tiny.load(_name(role, "questioner"))
    return Questioner(
        model, preface=None if hints is None else Hinted(hints, world_prompt), temperature=temperature, reference=False,
        micro_groups=training.micro_groups, checkpointing=training.gradient_checkpointing,
    )  # fmt: skip


def answerer(role: Role) -> Answerer:
    """The model under test, without faults: one that is always right, or the small model that is named."""
    if role.model == "world":
        return ExecutingAnswerer()
    return HFAnswerer(tiny.load(_name(role, "answerer")))


def faulty(inner: Answerer, role: AnswererRole, folder: str | Path) -> Answerer:
    """An answerer with the faults that are planted in it.

    Raises:
        ValueError: see `load_faults`.
    """
    if role.faults:
        return FaultyAnswerer(inner, load_faults(Path(folder) / Path(role.faults).expanduser()))
    return FaultyAnswerer(inner, load_faults()) if role.model == "world" else inner


def verifier() -> Verifier:
    """The truth."""
    return OracleVerifier()


def check(name: str, role: Role, folder: str | Path) -> None:
    """Looks whether the role `name` can be had.

    Raises:
        ValueError: a model that the world has not, or not for this role; faults that cannot be read.
    """
    if name == "verifier" and role.model != "world":
        raise ValueError(f"[probe] verifier.model: expected world, which is the truth, got {role.model!r}")
    if name != "verifier" and role.model != "world":
        _name(role, name)
    if isinstance(role, AnswererRole) and role.faults:
        load_faults(Path(folder) / Path(role.faults).expanduser())


def _name(role: Role, default: str) -> str:
    name = role.model.partition(":")[2] or default
    fitting = [each for each in tiny.MODELS if each.split("-")[0] == default]
    if name not in fitting:
        raise ValueError(f"[probe] {default}.model: expected world:NAME with one of {', '.join(fitting)}, got {name!r}")
    return name
