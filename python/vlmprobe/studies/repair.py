"""Repair in the embedded world: an answerer is fine-tuned on the failures of half of its modes.

    python -m vlmprobe.studies.repair --run runs/repair --out docs/results/repair

A probe finds the modes of a novice; every second one, by its rank, is repaired. Answerers are fine-tuned on their
failures: on these alone, with as many questions that were answered rightly, and with four times as many (`vlmprobe
export --train --replay`). Then all are compared with the novice, on pictures that none of them has seen, which are
asked about

    by mode     with texts of the probe that a mode's rule takes, about pictures drawn by chance
    uniformly   with valid questions that nobody's failures have a say in: what got better or worse elsewhere

and a second probe of each, on pictures of its own, says which modes are left and which are new. What an earlier call
did is not done again.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from vlmprobe import metrics
from vlmprobe._native import core
from vlmprobe._util.visible import say
from vlmprobe.exports.collect import gathered
from vlmprobe.exports.train import write_train
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.models.protocols import Answerer
from vlmprobe.modes.asked import Asked, asked_of, described
from vlmprobe.modes.compared import Comparison, compare
from vlmprobe.modes.mode import Mode
from vlmprobe.modes.now import modes_now
from vlmprobe.modes.rating import rate_of
from vlmprobe.modes.record import Modes
from vlmprobe.probe.build import RUN
from vlmprobe.probe.config import FILE, Probe
from vlmprobe.probe.reading import parse
from vlmprobe.probe.session import run as ask
from vlmprobe.probe.world import values
from vlmprobe.run.directory import RunDirectory, ledger_of
from vlmprobe.run.frozen import PHASE, Frozen, ask_frozen
from vlmprobe.vlm.load import quiet
from vlmprobe.world import WorldImages, tiny
from vlmprobe.world.repair import answerer, fine_tune, read_set
from vlmprobe.world.source import scene_of
from vlmprobe.world.verifiers import OracleVerifier

ARMS = {"failures alone": 0.0, "with replay": 1.0, "with more replay": 4.0}
"""Name -> questions answered rightly for each failure in the fine-tuning set."""
PARTS = ("modes", "uniform")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much of everything."""

    novice: str = "answerer-novice"
    calls: int = 6000
    """Of each probe."""
    pool: int = 256
    """Pictures of a probe."""
    held_out: int = 512
    """Pictures of the comparison."""
    per_mode: int = 150
    """Questions of each mode there, at most."""
    uniform: int = 4
    """Questions about each picture there, besides."""
    steps: int = 200
    rate: float = 5e-4
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """One arm."""

    name: str
    taught: int
    """Questions of the fine-tuning set."""
    modes: Comparison
    """With the novice, on the modes' questions about held-out pictures."""
    uniform: Comparison
    second: Modes
    """What the second probe found."""
    left: dict[str, metrics.Rate]
    """Id of a mode of the first probe -> failure rate of its questions in the second."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All of the study."""

    settings: Settings
    first: Modes
    repaired: Sequence[str]
    """Ids of the modes whose failures were taught."""
    unrepaired: dict[str, metrics.Rate]
    """Id of a mode -> failure rate of its questions in a second probe of the novice itself, on the same pictures."""
    arms: Sequence[Repaired]


def study(folder: Path, settings: Settings) -> Outcome:
    """Makes what is missing in the folder, and reads the rest."""
    quiet()
    before = _probed(folder / "before", settings, tiny.WEIGHTS / settings.novice, pictures=0)
    with Ledger(ledger_of(folder / "before"), read_only=True) as ledger:
        first, asked = _modes(ledger), asked_of(ledger, [RUN])
    chosen = first.holding[::2]
    held_out = WorldImages(settings.held_out, seed=_seed(settings, 2))
    questions = {
        "modes": list(_by_mode(first.holding, asked, held_out, settings)),
        "uniform": list(_uniform(held_out, settings)),
    }
    novice = _answered(folder / "novice", tiny.WEIGHTS / settings.novice, questions, held_out)
    _probed(folder / "again", settings, tiny.WEIGHTS / settings.novice, pictures=1)
    arms = []
    for name, replay in ARMS.items():
        place = folder / name.replace(" ", "-")
        taught = _taught(place, before, folder / "before", chosen, replay, settings)
        answers = _answered(place / "answers", place / "answerer", questions, held_out)
        _probed(place / "after", settings, place / "answerer", pictures=1)
        with Ledger(novice, read_only=True) as mine, Ledger(answers, read_only=True) as theirs:
            both = [compare(mine, theirs, ([part], [part]), first.holding, seed=None) for part in PARTS]
        with Ledger(ledger_of(place / "after"), read_only=True) as ledger:
            second, left = _modes(ledger), _rates(first.holding, asked_of(ledger, [RUN]))
        arms.append(Repaired(name=name, taught=taught, modes=both[0], uniform=both[1], second=second, left=left))
    with Ledger(ledger_of(folder / "again"), read_only=True) as ledger:
        unrepaired = _rates(first.holding, asked_of(ledger, [RUN]))
    return Outcome(
        settings=settings, first=first, repaired=[mode.id for mode in chosen], unrepaired=unrepaired, arms=arms
    )


def _probed(folder: Path, settings: Settings, weights: Path, *, pictures: int) -> Probe:
    """The probe of an answerer, run unless it has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    module = f"answerer_{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]}"
    text = f"from vlmprobe.world.repair import answerer\n\nmodel = answerer({str(weights.absolute())!r})\n"
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    content: dict[str, Any] = {
        **values("bandit"), "questioner": "world", "answerer": {"python": f"{module}:model"}, "verifier": "world",
        "images": {"source": "world", "n": settings.pool, "seed": _seed(settings, pictures)},
        "method": "bandit", "embedder": "hashed", "seed": settings.seed, "budget": {"calls": settings.calls},
    }  # fmt: skip
    (folder / FILE).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    probe = parse(content)
    if not _ended(folder, RUN):
        say(f"probing {weights.name} in {folder}")
        ask(probe, folder, quiet=True)
    return probe


def _taught(place: Path, probe: Probe, before: Path, chosen: Sequence[Mode], replay: float, settings: Settings) -> int:
    """Questions of the fine-tuning set of an arm; its answerer is made where it is not there yet."""
    place.mkdir(parents=True, exist_ok=True)
    file, out = place / "train.jsonl", place / "answerer"
    with Ledger(ledger_of(before), read_only=True) as ledger:
        some = gathered(probe, before, ledger, chosen, replay=replay)
    count = write_train(file, some.items, some.images)
    if not (out / "config.json").exists():
        fine_tune(settings.novice, read_set(file), out, steps=settings.steps, rate=settings.rate, seed=settings.seed)
    return count


def _answered(folder: Path, weights: Path, questions: dict[str, list[Frozen]], images: WorldImages) -> Path:
    """The ledger with an answerer's answers to the frozen questions, each part in a run of its own."""
    with RunDirectory(folder, quiet=True, resume=True) as directory:
        ledger = directory.ledger
        missing = [part for part in PARTS if not _has_ended(ledger, part)]
        model: Answerer | None = answerer(weights) if missing else None
        for part in missing:
            assert model is not None, "it is loaded where something is missing"
            verifier = OracleVerifier()
            identities = {"answerer": model.identity, "verifier": verifier.identity}
            ledger.begin(RunRecord(id=part, config={"pass": PHASE}, identities=identities))
            ask_frozen(questions[part], model, verifier, lambda each: images[each.image], ledger, part)
            ledger.finish(part)
    return ledger_of(folder)


def _by_mode(
    modes: Sequence[Mode], asked: Sequence[Asked], images: WorldImages, settings: Settings
) -> Iterator[Frozen]:
    """Valid questions that the modes' rules take: texts of the probe about pictures drawn by chance."""
    known = frozenset(words for mode in modes for words in _answers(mode))
    done: set[tuple[str, str]] = set()
    for mode in modes:
        texts = sorted({each.text for each in asked if each.valid and mode.rule.takes(each.concepts)})
        pairs = [(_chance(settings, mode.id, i, text), i, text) for i in range(len(images)) for text in texts]
        left = settings.per_mode
        for _, i, text in sorted(pairs):
            found = core.world.judge(scene_of(images[i]), text)
            if not found.valid or not mode.rule.takes(_concepts(images[i].key, text, found.answer, known)):
                continue
            if (images[i].key, text) not in done:
                done.add((images[i].key, text))
                yield Frozen(i, images[i].key, text)
            left -= 1
            if not left:
                break


def _uniform(images: WorldImages, settings: Settings) -> Iterator[Frozen]:
    """Valid questions as the world draws them, each once about a picture."""
    for i in range(len(images)):
        scene = scene_of(images[i])
        texts = [core.world.sample_question(scene, settings.seed, i, part).question for part in range(settings.uniform)]
        yield from (Frozen(i, images[i].key, text) for text in dict.fromkeys(texts))


def _concepts(key: str, text: str, answer: str, known: frozenset[str]) -> Any:
    one = Asked(image=0, key=key, text=text, valid=True, wrong=False, answer=answer)
    return described([one], known=known)[0].concepts


def _answers(mode: Mode) -> Iterator[str]:
    """Words of right answers that a mode's rule speaks of."""
    return (concept.value for concept in mode.rule.concepts if concept.kind == "answer")


def _rates(modes: Sequence[Mode], asked: Sequence[Asked]) -> dict[str, metrics.Rate]:
    valid = [each for each in asked if each.valid]
    return {mode.id: rate_of([each for each in valid if mode.rule.takes(each.concepts)]) for mode in modes}


def _modes(ledger: Ledger) -> Modes:
    found = modes_now(ledger, RUN)
    assert found is not None, "there are fewer questions than modes_now takes"
    return found


def _ended(folder: Path, run: str) -> bool:
    if not (folder / "ledger.sqlite").is_file():
        return False
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        return _has_ended(ledger, run)


def _has_ended(ledger: Ledger, run: str) -> bool:
    times = zip(ledger.runs(), ledger.times(), strict=True)
    return any(each.id == run and ended is not None for each, (_, ended) in times)


def _chance(settings: Settings, *what: object) -> bytes:
    return hashlib.sha256(f"{settings.seed} {what}".encode()).digest()


def _seed(settings: Settings, pool: int) -> int:
    """Of pictures that no other pool of the study has."""
    return 500_000 + 10 * settings.seed + pool


def main() -> None:
    from vlmprobe.studies.repair_report import write

    default = Settings()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--out", type=Path, help="folder for report.md and repair.json; by default that of --run")
    parser.add_argument("--calls", type=int, default=default.calls, help="answerer calls of each probe (%(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of everything (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = study(args.run, Settings(calls=args.calls, seed=args.seed))
    say(write(found, args.out or args.run))


if __name__ == "__main__":
    main()
