"""The models and pictures of a reproduction, by the labels of `vlmprobe.studies.plan`.

`WorldSetup` is the embedded world; `FileSetup` takes real models from a configuration (`vlmprobe.studies.config`).

Pictures are drawn from the folders by a fixed seed; those of the evaluation are others than the pool's also where both
are drawn from one folder. `sft_images` is where the pictures of `sft_rows` are, by default `images`. The names of all
pictures are kept in `<run>/pictures.json` when the reproduction begins: one that is taken away later is left out, and
shifts no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from vlmprobe._native import core
from vlmprobe._util.files import write_text
from vlmprobe.data.order import epoch_order
from vlmprobe.data.source import Chosen, FolderImages, ImageSource
from vlmprobe.ledger import Ledger, RecordedModel
from vlmprobe.methods import PromptedTurns, WorldTurns
from vlmprobe.methods.rows import read_rows, world_rows
from vlmprobe.methods.sft import Row
from vlmprobe.models.embedder import shared_embedder
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Embedder, Verifier
from vlmprobe.policy.preface import Preface
from vlmprobe.policy.questioner import Questioner
from vlmprobe.probe.build import client_of, judge
from vlmprobe.probe.local import named_by
from vlmprobe.probe.roles import Answerer as AnswererRole
from vlmprobe.probe.roles import Verifier as VerifierRole
from vlmprobe.run.journal import Annotator
from vlmprobe.run.pictures import numbered
from vlmprobe.studies.config import Config, deciding
from vlmprobe.studies.plan import ANSWERERS, QUESTIONERS, Scale
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.vlm.lora import add_lora
from vlmprobe.world import tiny
from vlmprobe.world.answerers import FaultyAnswerer, load_faults
from vlmprobe.world.source import HELD_OUT_SEED, POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import NoisyVerifier, OracleVerifier

PICTURES = "pictures.json"
DRAW_SEED = 41  # of the pictures that are drawn from folders
ROWS_SEED = 33  # of the scenes that rows for SFT are about: neither the pool's nor the evaluation's


class Setup(Protocol):
    """Makes what an arm needs; each call gives fresh models. `run` is the arm's name in its ledger."""

    world: ClassVar[bool]
    """Whether the truth is known."""

    @property
    def embedder(self) -> Embedder: ...
    @property
    def pool(self) -> ImageSource: ...
    @property
    def held_out(self) -> ImageSource: ...
    def questioner(self, label: str) -> Questioner: ...
    def answerer(self, label: str, ledger: Ledger, run: str) -> Answerer: ...
    def verifier(self, ledger: Ledger, run: str) -> Verifier: ...
    def evaluator(self, ledger: Ledger, run: str) -> Verifier:
        """Judges the evaluation passes for the tables; another model than the verifier."""

    def rows(self, k: int) -> Sequence[Row]:
        """For SFT."""

    def turns(self, answerer: Answerer) -> Preface:
        """ConMe's for these questioners."""

    def first_turn(self, k: int) -> int:
        """Questions of ConMe's first turn, at most."""

    def annotator(self, answerer: Answerer) -> Annotator | None: ...
    def settings(self) -> dict[str, Any]:
        """What decides the numbers, as plain values."""


@dataclass(frozen=True, kw_only=True)
class WorldSetup:
    """The embedded world: the shipped faults in every answerer, a verifier that errs, and the truth as evaluator."""

    scale: Scale
    embedding: str = "minilm"
    """`minilm` or `hashed`."""
    world: ClassVar[bool] = True
    QUESTIONERS: ClassVar[dict[str, str]] = dict(zip(QUESTIONERS, ("questioner-medium", "questioner"), strict=True))
    ANSWERERS: ClassVar[dict[str, str]] = dict(
        zip(ANSWERERS, ("answerer-novice-small", "answerer-novice-medium", "answerer-novice"), strict=True)
    )

    @property
    def embedder(self) -> Embedder:
        return shared_embedder(self.embedding)

    @property
    def pool(self) -> ImageSource:
        return WorldImages(self.scale.pool, seed=POOL_SEED)

    @property
    def held_out(self) -> ImageSource:
        return WorldImages(self.scale.held_out, seed=HELD_OUT_SEED)

    def questioner(self, label: str) -> Questioner:
        return Questioner(tiny.load(self.QUESTIONERS[label]))

    def answerer(self, label: str, ledger: Ledger, run: str) -> Answerer:
        return FaultyAnswerer(HFAnswerer(tiny.load(self.ANSWERERS[label])), load_faults())

    def verifier(self, ledger: Ledger, run: str) -> Verifier:
        return NoisyVerifier()

    def evaluator(self, ledger: Ledger, run: str) -> Verifier:
        return OracleVerifier()

    def rows(self, k: int) -> Sequence[Row]:
        return world_rows(WorldImages(self.scale.sft_images, seed=ROWS_SEED), k=k)

    def turns(self, answerer: Answerer) -> Preface:
        return WorldTurns(answerer)

    def first_turn(self, k: int) -> int:
        return WorldTurns.calls_at_most(k=k)

    def annotator(self, answerer: Answerer) -> Annotator:
        return annotator(answerer)

    def faults(self) -> core.world.FaultSet:
        """Those planted in every answerer."""
        return load_faults()

    def settings(self) -> dict[str, Any]:
        names = {f"questioner {label}": name for label, name in self.QUESTIONERS.items()}
        names |= {f"answerer {label}": f"{name} with the shipped faults" for label, name in self.ANSWERERS.items()}
        judges = {"verifier": NoisyVerifier().identity, "evaluator": OracleVerifier.identity}
        return asdict(self.scale) | names | judges | {"embedder": self.embedding}


@dataclass(frozen=True, kw_only=True)
class FileSetup:
    """Real models from a configuration file; see the module."""

    scale: Scale
    config: Config
    embedding: str = "minilm"
    pictures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Folder, as the configuration writes it, to the keys of its pictures when the reproduction began."""
    world: ClassVar[bool] = False

    @property
    def embedder(self) -> Embedder:
        return shared_embedder(self.embedding)

    @property
    def pool(self) -> ImageSource:
        return self._drawn("images", self.scale.pool)

    @property
    def held_out(self) -> ImageSource:
        return self._drawn("evaluation_images", self.scale.held_out, last=True)

    def questioner(self, label: str) -> Questioner:
        role = self.config.questioners[label]
        model = named_by(role).load()
        if role.lora is not None and not model.adapted:  # a folder of adapters is gone on with
            add_lora(model, rank=role.lora.rank, alpha=role.lora.alpha, vision=role.lora.vision)
        prompt = Path(role.prompt).read_text(encoding="utf-8") if role.prompt else self._prompts["questioner"]
        return Questioner(model, prompt=prompt, max_new_tokens=role.max_new_tokens)

    def answerer(self, label: str, ledger: Ledger, run: str) -> Answerer:
        return self._connected("answerer", self.config.answerers[label], ledger, run)

    def verifier(self, ledger: Ledger, run: str) -> Verifier:
        return self._connected("verifier", self.config.verifier, ledger, run)

    def evaluator(self, ledger: Ledger, run: str) -> Verifier:
        return self._connected("evaluator", self.config.evaluator, ledger, run)

    def rows(self, k: int) -> Sequence[Row]:
        return read_rows(self.config.sft_rows, self._folder("sft_images"), k=k)

    def turns(self, answerer: Answerer) -> Preface:
        return PromptedTurns(answerer, prompts=self._prompts)

    def first_turn(self, k: int) -> int:
        return PromptedTurns.calls_at_most(k=k)

    def annotator(self, answerer: Answerer) -> None:
        return None

    def settings(self) -> dict[str, Any]:
        known = {name: json.dumps(value) for name, value in deciding(self.config).items()}
        return asdict(self.scale) | known | {"embedder": self.embedding}

    def begun(self, folder: Path) -> FileSetup:
        """The same, with the pictures as they were when the reproduction in that folder began.

        Raises:
            ValueError: what is kept there cannot be read.
        """
        if (folder / PICTURES).is_file():
            return replace(self, pictures=read_pictures(folder / PICTURES))
        paths = filter(None, (self.config.images, self.config.evaluation_images, self.config.sft_images))
        return replace(self, pictures={path: list(FolderImages(path).keys) for path in paths})

    def keep(self, folder: Path) -> None:
        """Writes the pictures into the reproduction's folder, where they are not yet."""
        if not (folder / PICTURES).is_file():
            write_text(folder / PICTURES, json.dumps(self.pictures, indent=1) + "\n")

    def _folder(self, name: str) -> ImageSource:
        path = getattr(self.config, name) or self.config.images
        images = FolderImages(path)
        return numbered(images, self.pictures[path]) if path in self.pictures else images

    def _drawn(self, name: str, count: int, *, last: bool = False) -> ImageSource:
        """So many pictures of a folder, or of the end of the same order; both from one folder have none in common."""
        source, wanted = self._folder(name), count
        pool, evaluated = (Path(each).resolve() for each in (self.config.images, self.config.evaluation_images))
        if pool == evaluated:
            wanted = self.scale.pool + self.scale.held_out
        elif pool.is_relative_to(evaluated) or evaluated.is_relative_to(pool):
            raise ValueError("[reproduce] config.evaluation_images: expected a folder apart from images, or the same")
        if len(source) < wanted:
            raise ValueError(f"[reproduce] config.{name}: expected at least {wanted} pictures, got {len(source)}")
        order = epoch_order(len(source), seed=DRAW_SEED, epoch=0)
        return Chosen(source, order[-count:] if last else order[:count])

    @property
    def _prompts(self) -> PromptFiles:
        return PromptFiles.load(self.config.prompts or None)

    def _connected(self, kind: str, role: AnswererRole | VerifierRole, ledger: Ledger, run: str) -> Any:
        model = RecordedModel(client_of(role, spent=ledger.spent(run, kind)), ledger, role=kind)
        return judge(role, model, self._prompts, EncodedImages())


def read_pictures(file: Path) -> dict[str, list[str]]:
    """Folder to the keys of its pictures, as `FileSetup.begun` wrote them.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        for keys in found.values():
            if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
                raise ValueError(f"expected names of pictures, got {keys!r:.60}")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"[reproduce] {file}: cannot be read ({error}); put the file back") from None
    return dict(found)
