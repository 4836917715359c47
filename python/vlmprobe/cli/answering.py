"""Another answerer before frozen questions: how the commands name it, and what is made of that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vlmprobe._util.json import read_text
from vlmprobe._util.optional import installed
from vlmprobe.data.image import Image
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.models.judges import check_other_model
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.probe import build
from vlmprobe.probe.config import Probe
from vlmprobe.probe.reading import read
from vlmprobe.probe.roles import CONNECTION
from vlmprobe.run.directory import versions
from vlmprobe.run.frozen import PHASE, Frozen
from vlmprobe.run.pictures import check_same


@dataclass(frozen=True)
class Judges:
    """Who answers, and who judges that."""

    answerer: Answerer
    verifier: Verifier


def with_answerer(folder: str | Path, named: str, sets: Sequence[str]) -> Probe:
    """The probe of a folder with another answerer.

    Args:
        folder: of the probe; paths are seen from it.
        named: NAME or NAME@URL, or a YAML file with the key `answerer`, such as another `probe.yaml`.
        sets: `answerer.KEY=VALUE`.

    Raises:
        ValueError: no such file, or one without an answerer; a value that is none of an answerer's.
    """
    other = [each for each in sets if not each.startswith("answerer.")]
    if other:
        raise ValueError(f"[compare] --set: expected answerer.KEY=VALUE, got {other[0]!r:.60}")
    role: Any = named
    if Path(named).suffix in (".yaml", ".yml"):
        role = _role_in(Path(named))
    return read(folder, sets, {"answerer": role})


def judges(probe: Probe, folder: str | Path, ledger: Ledger, *, run: str = build.RUN) -> Judges:
    """The probe's answerer and verifier, their calls in the ledger, where `run` is charged for them.

    Raises:
        ValueError: they are one model and the probe does not allow that, or as of `vlmprobe.probe.build`.
    """
    if installed("transformers"):
        from vlmprobe.vlm.load import quiet

        quiet()
    answerer = build.answerer_of(probe, folder, ledger, run=run)
    verifier = build.verifier_of(probe, folder, ledger, name="verifier", run=run)
    check_other_model(answerer, verifier, allow_same_model=probe.allow_same_model)
    return Judges(answerer, verifier)


def begin(ledger: Ledger, run: str, who: Judges, **config: Any) -> None:
    """Begins a run in which frozen questions are asked, or goes on with it."""
    identities = {"answerer": who.answerer.identity, "verifier": who.verifier.identity}
    ledger.begin(RunRecord(id=run, config={"pass": PHASE, **config}, versions=versions(), identities=identities))


def place_of(folder: Path, probe: Probe) -> Path:
    """Where another answerer's replies to a run's questions are kept, unless a folder is named."""
    role = json.dumps(probe.answerer.model_dump(exclude=set(CONNECTION)), sort_keys=True)
    digest = hashlib.sha256(role.encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9.]+", "-", probe.answerer.model or probe.answerer.python).strip("-")
    return folder / "compared" / f"{name[:60]}-{digest}"


def pictures_of(images: ImageSource, pixels: dict[int, str]) -> Callable[[Frozen], Image | None]:
    """The picture of a question; None where it cannot be read.

    Args:
        images: of the run.
        pixels: number of a picture -> the hash of its pixels when it was asked about.

    Raises:
        ValueError: when called, of a picture that is another by now.
    """

    def of(each: Frozen) -> Image | None:
        try:
            image = images[each.image]
            image.pixels.load()  # a file that is broken shows now
        except (ValueError, OSError):
            return None
        check_same("frozen", image, pixels.get(each.image))
        return image

    return of


def _role_in(file: Path) -> Any:
    try:
        content = yaml.safe_load(read_text("compare", file))
    except yaml.YAMLError as error:
        raise ValueError(f"[compare] {file}: expected YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict) or "answerer" not in content:
        raise ValueError(f"[compare] {file}: answerer: expected a key, got none")
    return content["answerer"]
