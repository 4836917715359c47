"""The questions of a probe's run, and who names the skills that they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vlmprobe.ledger import Ledger
from vlmprobe.models.model import Model
from vlmprobe.probe.build import RUN, client_of, encoder_of, images_of, prompts_of, python_of, sampling_of
from vlmprobe.probe.config import Probe
from vlmprobe.probe.local import LocalModels, weights_of
from vlmprobe.probe.roles import WORLD, Role
from vlmprobe.run.pictures import recalled
from vlmprobe.taxonomy.asking import ROLE, Labeller
from vlmprobe.taxonomy.build import Method
from vlmprobe.taxonomy.corpus import valid_questions

VERIFIER = "verifier"
Progress = Callable[[str, int, int], None]


def method_of(probe: Probe, folder: str | Path, ledger: Ledger, *, name: str, role: str, progress: Progress) -> Method:
    """The valid questions of a run with their pictures, and the labeller, each call of it in the run's ledger.

    Args:
        probe, folder, ledger: of the run.
        name: that the run has among others.
        role: of the probe, whose model labels: `labeller` or `verifier`.
        progress: see `Labeller`.

    Raises:
        ValueError: no such role, or one that is not asked by message; other pictures than the run's.
    """
    images = recalled(images_of(probe, folder), ledger, RUN)
    labeller = Labeller(
        model_of(probe, folder, ledger, role=role), prompts=prompts_of(probe, folder), images=encoder_of(probe),
        sampling=sampling_of(ROLE, getattr(probe, role)), ledger=ledger, run=RUN, progress=progress,
    )  # fmt: skip
    return Method(name=name, questions=valid_questions(ledger, RUN), picture=images.__getitem__, labeller=labeller)


def named_by(labeller: str | None) -> tuple[str, list[str]]:
    """The role whose model labels by the word of a command, and what is set for it.

    >>> named_by(None), named_by("verifier"), named_by("M@http://127.0.0.1:8000/v1")
    (('labeller', []), ('verifier', []), ('labeller', ['labeller=M@http://127.0.0.1:8000/v1']))
    """
    if labeller == VERIFIER:
        return VERIFIER, []
    return ROLE, [] if labeller is None else [f"{ROLE}={labeller}"]


def role_of(probe: Probe, role: str) -> Role:
    """The role whose model labels.

    Raises:
        ValueError: the probe has none.
    """
    wanted: Role | None = getattr(probe, role)
    if wanted is None:
        raise ValueError(
            "[taxonomy] labeller: expected a model, got none; name one with --labeller NAME@URL, or with "
            "--labeller verifier the model that judges"
        )
    return wanted


def model_of(probe: Probe, folder: str | Path, ledger: Ledger, *, role: str) -> Model:
    """The model that labels.

    Raises:
        ValueError: no such role, or one that is not asked by message.
    """
    wanted = role_of(probe, role)
    if wanted.endpoint:
        return client_of(wanted, spent=ledger.spent(RUN, ROLE))
    if wanted.python:
        found = python_of(wanted, folder)
        if isinstance(found, Model):
            return found
    elif weights_of(probe, role, folder) is not None:
        return LocalModels(probe, folder).by_message(role)
    elif role == ROLE and wanted.of_world:
        from vlmprobe.world.labeller import WordLabeller
        from vlmprobe.world.sight import Sight

        sight = Sight(images_of(probe, folder), encoder_of(probe)) if probe.images.source == WORLD else None
        return WordLabeller(seed=probe.seed, sight=sight)
    raise ValueError(
        f"[taxonomy] labeller: expected a model that is asked by message, got {wanted.python or wanted.model!r}; "
        "`world` names the stand-in for questions about pictures of the world"
    )
