"""The models of a probe that are in this process: each is loaded once, whoever names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlmprobe.probe.config import Probe
from vlmprobe.probe.roles import Role

if TYPE_CHECKING:
    from vlmprobe.vlm.local import LocalModel
    from vlmprobe.vlm.model import VisionLanguageModel

ROLES = ("questioner", "answerer", "verifier")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a role loads. Equal ones are loaded once, and whoever asks by message sees them without what the questioner
    puts beside them."""

    path: str
    """A folder, or a name on the hub."""
    device: str
    dtype: str
    revision: str
    attention: str
    quantization: str
    adapters: str
    """A folder; empty for the questioner's, which come beside weights that others may use."""
    alone: bool
    """Whether training changes them, so that no other role may use them."""

    def load(self) -> VisionLanguageModel:
        """The model.

        Raises:
            ValueError, OSError: as of `VisionLanguageModel.load`.
            ModuleNotFoundError: accelerate or bitsandbytes is needed and not there.
        """
        import torch

        from vlmprobe.vlm.load import quiet
        from vlmprobe.vlm.model import VisionLanguageModel

        quiet()  # the progress is said here
        return VisionLanguageModel.load(
            self.adapters or self.path,
            base=self.path if self.adapters else None,
            device=self.device,
            dtype=getattr(torch, self.dtype),
            revision=self.revision,
            attention=self.attention,
            quantization=self.quantization,
        )


@dataclass(frozen=True)
class _Loaded:
    model: VisionLanguageModel
    identity: str
    """Before the questioner put anything beside it."""


class LocalModels:
    """The models in this process, loaded when they are first wanted.

    Args:
        probe: whose roles.
        folder: of `probe.yaml`; paths are seen from there.
    """

    def __init__(self, probe: Probe, folder: str | Path):
        self._probe, self._folder = probe, folder
        self._loaded: dict[Weights, _Loaded] = {}

    def asking(self) -> VisionLanguageModel:
        """The questioner's model, with the adapters that it has or learns."""
        import torch

        from vlmprobe.vlm.lora import add_lora
        from vlmprobe.vlm.model import VisionLanguageModel

        role, model = self._probe.questioner, self._of("questioner").model
        if role.adapters:
            return VisionLanguageModel.load(seen_from(role.adapters, self._folder), base=model)
        if role.lora is not None and self._probe.learns:
            with torch.random.fork_rng(devices=[]):  # adapters begin the same in each process
                torch.manual_seed(self._probe.seed)
                add_lora(model, rank=role.lora.rank, alpha=role.lora.alpha, vision=role.lora.vision)
        return model

    def by_message(self, name: str) -> LocalModel:
        """The model of the answerer or the verifier, which does not change."""
        from vlmprobe.vlm.local import LocalModel

        weights, loaded = weights_of(self._probe, name, self._folder), self._of(name)
        assert weights is not None
        own = bool(weights.adapters) or is_adapters(weights.path)
        size = getattr(self._probe, name).batch_size
        return LocalModel(loaded.model, identity=loaded.identity, adapters=own, batch_size=size, seed=self._probe.seed)

    def _of(self, name: str) -> _Loaded:
        weights = weights_of(self._probe, name, self._folder)
        if weights is None:
            raise ValueError(f"[probe] {name}: expected a model in this process, got another")
        if weights not in self._loaded:
            model = weights.load()
            self._loaded[weights] = _Loaded(model, model.identity)
        return self._loaded[weights]


def weights_of(probe: Probe, name: str, folder: str | Path) -> Weights | None:
    """What a role loads; None where it loads nothing."""
    role: Role = getattr(probe, name)
    if not role.local or role.of_world:
        return None
    asks = name == "questioner"
    trained = asks and probe.learns and not probe.trains_adapters
    return named_by(
        role, folder, adapters=not asks, alone=trained or (asks and is_adapters(seen_from(role.model, folder)))
    )


def named_by(role: Role, folder: str | Path = "", *, adapters: bool = True, alone: bool = True) -> Weights:
    """What a role in this process loads: with its adapters, and whether for itself alone."""
    return Weights(
        path=seen_from(role.model, folder), device=role.device, dtype=role.dtype, revision=role.revision,
        attention=role.attention, quantization=role.quantization, alone=alone,
        adapters=seen_from(role.adapters, folder) if role.adapters and adapters else "",
    )  # fmt: skip


def sharing(probe: Probe, folder: str | Path) -> list[list[str]]:
    """The roles that use one model, where several do."""
    users: dict[Weights, list[str]] = {}
    for name in ROLES:
        if (weights := weights_of(probe, name, folder)) is not None:
            users.setdefault(weights, []).append(name)
    return [names for names in users.values() if len(names) > 1]


def seen_from(name: str, folder: str | Path) -> str:
    """A folder as it is seen from the probe's, where it is one; else the name as it is."""
    seen = Path(folder) / Path(name).expanduser()
    return str(seen) if seen.is_dir() else name


def is_adapters(path: str) -> bool:
    """Whether a folder holds adapters alone."""
    return (Path(path) / "adapter_config.json").is_file() and not (Path(path) / "config.json").is_file()


def described(probe: Probe, name: str, folder: str | Path) -> str:
    """What a role would load, in words; no weight is read.

    Raises:
        ValueError: no model that takes pictures and writes text; no adapters where some are named.
        OSError: it cannot be read.
        ModuleNotFoundError: accelerate or bitsandbytes is needed and not there.
    """
    from vlmprobe.vlm.family import family
    from vlmprobe.vlm.opening import Opening

    role, weights = getattr(probe, name), weights_of(probe, name, folder)
    if weights is None:
        raise ValueError(f"[probe] {name}: expected a model in this process, got another")
    Opening(device=role.device, quantization=role.quantization).check()
    words = [family(weights.path, revision=role.revision), f"{role.dtype} on {role.device}"]
    if role.quantization:
        words.append(f"{role.quantization} by bitsandbytes")
    if role.adapters:
        adapters = seen_from(role.adapters, folder)
        if not is_adapters(adapters):
            raise ValueError(f"[probe] {name}: adapters: expected a folder with adapter_config.json, got {adapters!r}")
        words.append(f"adapters {role.adapters}")
    elif name == "questioner" and probe.learns and probe.questioner.lora is not None:
        beside = " and the vision tower" if probe.questioner.lora.vision else ""
        words.append(f"new adapters of rank {probe.questioner.lora.rank} beside the language part{beside}")
    others = [each for names in sharing(probe, folder) if name in names for each in names if each != name]
    if others:
        words.append(f"loaded once for the {' and the '.join((name, *others))}")
    return "; ".join(words)
