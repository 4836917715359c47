"""The models and pictures of a reproduction, by the labels of `vlmprobe.studies.plan`.

`WorldSetup` is the embedded world; `FileSetup` takes real models from a configuration file:

    {
      "scale": {"calls": 40000},
      "images": "coco/train", "evaluation_images": "coco/val",
      "questioners": {
        "small": {"checkpoint": "Qwen/Qwen2.5-VL-3B-Instruct", "lora": true},
        "large": {"checkpoint": "Qwen/Qwen2.5-VL-7B-Instruct", "lora": true}
      },
      "answerers": {
        "small": {"model": "Qwen/Qwen2.5-VL-3B-Instruct", "endpoints": ["http://127.0.0.1:8001/v1"]},
        "medium": {"model": "Qwen/Qwen2.5-VL-7B-Instruct", "endpoints": ["http://127.0.0.1:8002/v1"]},
        "large": {"model": "Qwen/Qwen3-VL-8B-Instruct", "endpoints": ["http://127.0.0.1:8003/v1"]}
      },
      "verifier": {"model": "Qwen/Qwen3-VL-30B-A3B-Thinking", "endpoints": ["http://127.0.0.1:8004/v1"]},
      "evaluator": {"model": "gemini-3-flash", "endpoints": [{"url": "https://...", "key_env": "KEY"}]},
      "sft_rows": "failures.jsonl", "sft_images": "vqa/pictures"
    }

Pictures are drawn from the folders by a fixed seed; those of the evaluation are others than the pool's also where both
are drawn from one folder. `sft_images` is where the pictures of `sft_rows` are, by default `images`. The names of all
pictures are kept in `<run>/pictures.json` when the reproduction begins: one that is taken away later is left out, and
shifts no other. Answerers, verifier and evaluator are written as in `vlmprobe.models.roles`; a budget is that of one
arm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from vlmprobe._native import core
from vlmprobe._util.files import write_text
from vlmprobe._util.json import read_object
from vlmprobe.data.order import epoch_order
from vlmprobe.data.source import Chosen, FolderImages, ImageSource
from vlmprobe.ledger import Ledger, RecordedModel
from vlmprobe.methods import PromptedTurns, WorldTurns
from vlmprobe.methods.rows import read_rows, world_rows
from vlmprobe.methods.sft import Row
from vlmprobe.models.embedder import EMBEDDERS, shared_embedder
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Embedder, Verifier
from vlmprobe.models.roles import Role, roles
from vlmprobe.policy.preface import Preface
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.journal import Annotator
from vlmprobe.run.pictures import numbered
from vlmprobe.studies.plan import ANSWERERS, QUESTIONERS, Scale
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel
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
        zip(ANSWERERS, ("answerer-small", "answerer-medium", "answerer"), strict=True)
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
    content: Mapping[str, Any]
    embedding: str = "minilm"
    pictures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Folder, as the configuration writes it, to the keys of its pictures when the reproduction began."""
    world: ClassVar[bool] = False

    def __post_init__(self) -> None:
        needed = ("images", "evaluation_images", "questioners", "answerers", "verifier", "evaluator", "sft_rows")
        further = ("sft_images", "scale", "embedder", "prompts")
        for name in self.content:
            if name not in (*needed, *further):
                known = ", ".join((*needed, *further))
                raise ValueError(f"[reproduce] config: expected {known}, got {name!r:.60}")
        for name in needed:
            if name not in self.content:
                raise ValueError(f"[reproduce] config.{name}: expected a value, got none")
        for name in ("images", "evaluation_images", "sft_rows", "sft_images"):
            if not isinstance(self.content.get(name, ""), str):
                raise ValueError(f"[reproduce] config.{name}: expected a path, got {self.content[name]!r:.60}")
        for name, labels in (("questioners", QUESTIONERS), ("answerers", ANSWERERS)):
            if set(self.content[name]) != set(labels):
                raise ValueError(
                    f"[reproduce] config.{name}: expected {', '.join(labels)}, got {', '.join(self.content[name])}"
                )
        for label, given in self.content["questioners"].items():
            if not isinstance(given, Mapping) or not isinstance(given.get("checkpoint"), str):
                raise ValueError(
                    f"[reproduce] config.questioners.{label}.checkpoint: expected a folder or a hub's name"
                )
        for role in (*ANSWERERS, "verifier", "evaluator"):
            self._role(role)

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
        given = self.content["questioners"][label]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        model = VisionLanguageModel.load(given["checkpoint"], device=device, dtype=dtype)
        if given.get("lora") and not model.adapted:  # a folder of adapters is gone on with
            add_lora(model)
        prompt = PromptFiles.load(self.content.get("prompts"))["questioner"]
        return Questioner(model, prompt=prompt, max_new_tokens=int(given.get("max_new_tokens", 256)))

    def answerer(self, label: str, ledger: Ledger, run: str) -> Answerer:
        return self._connected(label, "answerer", ledger, run)

    def verifier(self, ledger: Ledger, run: str) -> Verifier:
        return self._connected("verifier", "verifier", ledger, run)

    def evaluator(self, ledger: Ledger, run: str) -> Verifier:
        return self._connected("evaluator", "evaluator", ledger, run)

    def rows(self, k: int) -> Sequence[Row]:
        return read_rows(self.content["sft_rows"], self._folder("sft_images"), k=k)

    def turns(self, answerer: Answerer) -> Preface:
        return PromptedTurns(answerer, prompts=PromptFiles.load(self.content.get("prompts")))

    def first_turn(self, k: int) -> int:
        return PromptedTurns.calls_at_most(k=k)

    def annotator(self, answerer: Answerer) -> None:
        return None

    def settings(self) -> dict[str, Any]:
        known = {name: _deciding(value) for name, value in self.content.items() if name != "scale"}
        return (
            asdict(self.scale)
            | {name: json.dumps(value) for name, value in known.items()}
            | {"embedder": self.embedding}
        )

    def begun(self, folder: Path) -> FileSetup:
        """The same, with the pictures as they were when the reproduction in that folder began.

        Raises:
            ValueError: what is kept there cannot be read.
        """
        if (folder / PICTURES).is_file():
            return replace(self, pictures=read_pictures(folder / PICTURES))
        paths = [self.content[name] for name in ("images", "evaluation_images", "sft_images") if name in self.content]
        return replace(self, pictures={path: list(FolderImages(path).keys) for path in paths})

    def keep(self, folder: Path) -> None:
        """Writes the pictures into the reproduction's folder, where they are not yet."""
        if not (folder / PICTURES).is_file():
            write_text(folder / PICTURES, json.dumps(self.pictures, indent=1) + "\n")

    def _folder(self, name: str) -> ImageSource:
        path = self.content.get(name, self.content["images"])
        images = FolderImages(path)
        return numbered(images, self.pictures[path]) if path in self.pictures else images

    def _drawn(self, name: str, count: int, *, last: bool = False) -> ImageSource:
        """So many pictures of a folder, or of the end of the same order; both from one folder have none in common."""
        source, wanted = self._folder(name), count
        pool, evaluated = (Path(self.content[each]).resolve() for each in ("images", "evaluation_images"))
        if pool == evaluated:
            wanted = self.scale.pool + self.scale.held_out
        elif pool.is_relative_to(evaluated) or evaluated.is_relative_to(pool):
            raise ValueError("[reproduce] config.evaluation_images: expected a folder apart from images, or the same")
        if len(source) < wanted:
            raise ValueError(f"[reproduce] config.{name}: expected at least {wanted} pictures, got {len(source)}")
        order = epoch_order(len(source), seed=DRAW_SEED, epoch=0)
        return Chosen(source, order[-count:] if last else order[:count])

    def _role(self, name: str) -> Role:
        given = self.content["answerers"][name] if name in ANSWERERS else self.content[name]
        return roles({"verifier" if name in ("verifier", "evaluator") else "answerer": given}).popitem()[1]

    def _connected(self, name: str, kind: str, ledger: Ledger, run: str) -> Any:
        role = self._role(name)
        client = RecordedModel(role.connect(spent=ledger.spent(run, kind)), ledger, role=kind)
        files, images = PromptFiles.load(self.content.get("prompts")), EncodedImages()
        return role.answerer(client, files, images) if kind == "answerer" else role.verifier(client, files, images)


def _deciding(value: Any) -> Any:
    """What decides numbers; where a model is reached, and what may be spent on it, does not."""
    if not isinstance(value, Mapping):
        return value
    passing = ("endpoints", "client", "prices", "budget", "tokens")
    return {name: _deciding(each) for name, each in value.items() if name not in passing}


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


def read_config(path: str | Path) -> dict[str, Any]:
    """A configuration file's content.

    Raises:
        ValueError: no such file, or no JSON object.
    """
    content = read_object("reproduce", path)
    if not isinstance(content.get("scale", {}), dict):
        raise ValueError(f"[reproduce] config.scale: expected an object, got {content['scale']!r:.60}")
    if content.get("embedder", "hashed") not in tuple(EMBEDDERS):
        known = ", ".join(EMBEDDERS)
        raise ValueError(f"[reproduce] config.embedder: expected one of {known}, got {content['embedder']!r:.60}")
    return content
