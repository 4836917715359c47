"""`vlmprobe train`: trains the embedded world's questioner in a run directory.

The same command on the same folder goes on where an earlier process stopped, however it stopped, and ends in the same
bytes as a run that nothing stopped. What is in the folder: docs/runs.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vlmprobe import grpo, reward
from vlmprobe._native import core
from vlmprobe._util.checks import check_count, check_positive
from vlmprobe._util.json import check_fields
from vlmprobe._util.visible import say
from vlmprobe.cli.demo import pick_embedder, terminated
from vlmprobe.ledger import Ledger, RecordedModel, RunRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.models.embedder import installed_embedder
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.forecast import Forecast, forecast
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.models.roles import read_roles, roles
from vlmprobe.models.service import StepNotMade
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run import checkpoint
from vlmprobe.run.directory import RunDirectory, ledger_of, plain, read_settings, versions
from vlmprobe.run.trainer import Trainer
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.vlm.load import quiet
from vlmprobe.world import tiny
from vlmprobe.world.answerers import SHIPPED_FAULTS, ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

RUN = "train"  # its name in the ledger
FREE = (
    "steps",
    "checkpoint_every",
    "models",
)  # no number of a step depends on them, so they may change from call to call


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made of. The defaults are the demo's."""

    steps: int = 100
    """Training steps, those made already included."""
    checkpoint_every: int = 10
    """Steps between checkpoints; one is written at the end, too."""
    seed: int = 0
    """Of sampling and image order."""
    answerer: str = "executing"
    """`executing`: always right but for the faults; `tiny`: a small model with weaknesses of its own."""
    faults: str = ""
    """The planted faults as JSON; none when empty."""
    reward: str = "paper"
    """A preset's name or an expression."""
    embedder: str = "hashed"
    """`minilm` or `hashed`."""
    k: int = 3
    """Questions per sequence."""
    group_size: int = 8
    """Sequences per image."""
    images_per_step: int = 8
    """Images per step."""
    pool: int = 64
    """Training pictures, revisited over epochs."""
    learning_rate: float = 2e-4
    """The tiny questioner's."""
    beta: float = 0.04
    """Weight of the KL term."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """Models behind endpoints, as in a file for --models; those that are not in it are the world's own."""
    prompts: str = ""
    """A folder with prompts in the place of the package's, for the models behind endpoints."""

    def __post_init__(self) -> None:
        for name in ("steps", "checkpoint_every", "k", "group_size", "images_per_step", "pool"):
            check_count("train", name, getattr(self, name))
        check_positive("train", "learning_rate", self.learning_rate)
        if self.k > tiny.MAX_SLOTS:
            raise ValueError(f"[train] k: expected at most {tiny.MAX_SLOTS}, got {self.k}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"[train] seed: expected 0 to 2**32 - 1, got {self.seed}")
        for name, allowed in (("answerer", ("executing", "tiny")), ("embedder", ("minilm", "hashed"))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"[train] {name}: expected {' or '.join(allowed)}, got {getattr(self, name)!r}")
        reward.parse(self.reward)
        self.options()
        self.planted()
        roles(self.models)

    def options(self) -> TrainerOptions:
        """The trainer's part."""
        return TrainerOptions(
            k=self.k,
            group_size=self.group_size,
            images_per_step=self.images_per_step,
            learning_rate=self.learning_rate,
            credit="question",
            loss=replace(grpo.PAPER, beta=self.beta),
            seed=self.seed,
        )

    def planted(self) -> core.world.FaultSet | None:
        """The faults to plant, or None."""
        return core.world.FaultSet.parse(self.faults, 0) if self.faults else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe train`; one that is left out is the run's own, or the default in a new run."""
    default = {field.name: field.default for field in fields(Settings)}
    parser.add_argument("--run", metavar="DIR", required=True, help="the run's folder: a new one, or one to go on with")
    words: dict[str, tuple[type, str]] = {
        "steps": (int, "training steps, those made already included"),
        "checkpoint_every": (int, "steps between checkpoints"),
        "seed": (int, "of sampling and image order"),
        "k": (int, "questions per sequence"),
        "group_size": (int, "sequences per image"),
        "images_per_step": (int, "images per step"),
        "pool": (int, "training pictures"),
        "learning_rate": (float, "of AdamW"),
        "beta": (float, "weight of the KL term"),
        "reward": (str, "a preset's name or an expression"),
    }
    for name, (kind, text) in words.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"{text} ({default[name]})")
    parser.add_argument("--faults", metavar="FILE", help="JSON list of faults planted in the answerer")
    parser.add_argument(
        "--models", metavar="FILE", help="JSON: answerer and verifier behind endpoints; docs/endpoints.md"
    )
    parser.add_argument("--prompts", metavar="DIR", help="prompts for them, in the place of the package's")
    parser.add_argument(
        "--dry-run", action="store_true", help="print what the steps that are left will take, and do nothing"
    )
    parser.add_argument("--answerer", choices=("executing", "tiny"), help="the model under test (executing)")
    parser.add_argument("--embedder", choices=("minilm", "hashed"), help="minilm where it is installed, else hashed")
    parser.add_argument(
        "--from-step", type=int, metavar="N", help="go on from the checkpoint of step N, not the newest"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Trains; the last line printed is the folder (with --json it is in the object, as `run`).

    Returns:
        0; 3 when a budget ended the run before its last step, 4 when no call of a model came through.
    """
    names = {field.name for field in fields(Settings)}
    given = {name: value for name, value in vars(args).items() if name in names and value is not None}
    known = read_settings(args.run)
    settings = settle(known, given, begun=lambda: steps_made(args.run))
    if args.dry_run:
        say(predicted(settings, args.run))
        return 0
    quiet()
    for role in roles(settings.models).values():
        role.read_keys()
    code = 0
    with RunDirectory(args.run, quiet=args.json, resume=True) as folder, terminated():
        check_settings(known, folder)
        trainer = make_trainer(settings, folder)
        begin(trainer, settings, folder, new=not known)
        try:
            train(trainer, settings, folder, from_step=args.from_step)
        except StepNotMade as error:
            code = error.exit_code
            say(f"vlmprobe train: {error}", to=sys.stderr)
        numbers = trainer.summary(trainer.tally)
    if args.json:
        say(json.dumps(plain({"run": args.run, "steps": trainer.next_step, **numbers}), indent=1, allow_nan=False))
    else:
        rates = f", QVR {100 * numbers['qvr']:.1f} %, FDR {100 * numbers['fdr']:.1f} %" if trainer.next_step else ""
        say(f"{trainer.next_step} steps, {numbers['n_questions']} questions{rates}\n{Path(args.run)}")
    return code


def steps_made(run: str) -> bool:
    """Whether the ledger of a folder has a step."""
    file = Path(run) / "ledger.sqlite"
    if not file.is_file():
        return False
    with Ledger(file, read_only=True) as ledger:
        return bool(ledger.recorded_steps(RUN))


def check_settings(known: Mapping[str, Any], folder: RunDirectory) -> None:
    """A folder without settings has nothing but what an attempt left that came to no run.

    Raises:
        ValueError: its ledger has runs.
    """
    if not known and (runs := folder.ledger.runs()):
        raise ValueError(
            f"[train] {folder.path / 'run.json'}: expected the settings of the run {runs[0].id!r} that the ledger has, "
            "got none: put the file back to go on, or name another folder with --run"
        )


def settings_of(run: str) -> Settings:
    """The settings of a run that was begun.

    Raises:
        ValueError: the folder has no run, or not its settings.
    """
    ledger_of(run)
    known = read_settings(run)
    if not known:
        _check_trained(run)
        raise ValueError(f"[train] {Path(run) / 'run.json'}: expected the settings of the run, got none: put it back")
    return settle(known, {})


def _check_trained(run: str) -> None:
    with Ledger(ledger_of(run), read_only=True) as ledger:
        names = [each.id for each in ledger.runs()]
    if names and RUN not in names:
        raise ValueError(f"[train] {run}: expected a run of `vlmprobe train`, got {', '.join(names):.60}")


def settle(known: Mapping[str, Any], given: Mapping[str, Any], *, begun: Callable[[], bool] = lambda: True) -> Settings:
    """The settings of a run: those in its folder, else those that were given, else the defaults.

    Args:
        known: of an earlier call on the same folder; empty for a new run.
        given: by the user; `faults` and `models` are names of files.
        begun: whether a step was made; until then every setting may still change.

    Raises:
        ValueError: a setting that is given and is not the run's.
    """
    given = dict(given)
    if "faults" in given:
        given["faults"] = load_faults(given["faults"]).to_json()
    if "models" in given:
        given["models"] = read_roles(given["models"])
    if known:
        check_fields("train", "run.json", Settings, known)
        for name, value in given.items():
            if name not in FREE and known.get(name) != value and begun():
                raise ValueError(
                    f"[train] {name}: this run has {known.get(name)!r:.80}, got {value!r:.80}; "
                    "leave it out to go on, or name another folder with --run"
                )
        unknown = sorted(known.keys() - {field.name for field in fields(Settings)})
        if unknown:
            raise ValueError(f"[train] run.json: expected the settings of `vlmprobe train`, got {unknown[0]!r}")
        return Settings(**{**known, **given})
    behind_endpoint = "answerer" in given.get("models", {})
    if "faults" not in given and given.get("answerer", "executing") == "executing" and not behind_endpoint:
        given["faults"] = load_faults(SHIPPED_FAULTS).to_json()
    if "embedder" not in given:
        given["embedder"] = installed_embedder()
    return Settings(**given)


def make_trainer(settings: Settings, folder: RunDirectory) -> Trainer:
    """The models and pictures of a run."""
    inner, verifier = judges(settings, folder.ledger)
    faults = settings.planted()
    answerer = inner if faults is None else FaultyAnswerer(inner, faults)
    embedder = pick_embedder(settings.embedder)
    return Trainer(
        Questioner(tiny.load("questioner")),
        answerer,
        verifier,
        embedder,
        WorldImages(settings.pool, seed=POOL_SEED),
        reward=reward.parse(settings.reward),
        options=settings.options(),
        ledger=folder.ledger,
        run=RUN,
        annotate=annotator(answerer),
    )


def begin(trainer: Trainer, settings: Settings, folder: RunDirectory, *, new: bool) -> None:
    """Writes settings and the run's head, now that the trainer stands: what could not be loaded locks no folder.

    A new run's settings come first: where the ledger has a run, its settings are there. Those of a run that goes on
    come last: the ledger refuses other models, and what it takes are the run's own from here on.
    """
    if new:
        folder.write_settings(asdict(settings))
    roles = {name: getattr(trainer, name).identity for name in ("questioner", "answerer", "verifier", "embedder")}
    config = {name: value for name, value in asdict(settings).items() if name not in FREE}
    folder.ledger.begin(RunRecord(id=RUN, config=config, versions=versions(), identities=roles), replace=True)
    if not new:
        folder.write_settings(asdict(settings))


def judges(settings: Settings, ledger: Ledger) -> tuple[Answerer, Verifier]:
    """Answerer and verifier: those behind endpoints, else the world's own."""
    made = clients_of(settings.models, settings.prompts, ledger)
    if "answerer" not in made:
        made["answerer"] = (
            ExecutingAnswerer() if settings.answerer == "executing" else HFAnswerer(tiny.load("answerer"))
        )
    return made["answerer"], made.get("verifier", OracleVerifier())


def clients_of(models: Mapping[str, Any], prompts: str | None, ledger: Ledger) -> dict[str, Any]:
    """Role -> answerer or verifier behind its endpoints, with what is left of its budget; calls go into the ledger."""
    files, images = PromptFiles.load(prompts or None), EncodedImages()
    made: dict[str, Any] = {}
    for name, role in roles(models).items():
        client = RecordedModel(role.connect(spent=ledger.spent(RUN, name)), ledger, role=name)
        make = role.answerer if name == "answerer" else role.verifier
        made[name] = make(client, files, images)
    return made


def predicted(settings: Settings, run: str) -> Forecast:
    """What the steps that are left will take of the models behind endpoints."""
    known = roles(settings.models)
    if not known:
        raise ValueError("[train] --dry-run: expected models behind endpoints (--models FILE), got none")
    made = [int(path.name.removeprefix("step-")) for path in checkpoint.checkpoints(Path(run) / "checkpoints")]
    left = settings.steps - max(made, default=0)
    if left < 1:
        raise ValueError(f"[train] steps: expected more than the {max(made)} that are made, got {settings.steps}")
    parts = {"answerer": ("answer",), "verifier": ("validity", "correctness")}
    judge = known["verifier"].judge if "verifier" in known else {}
    return forecast(
        {part: role.cost() for name, role in known.items() for part in parts[name]},
        steps=left,
        images_per_step=settings.images_per_step,
        group_size=settings.group_size,
        k=settings.k,
        votes=judge.get("votes", 1),
        confirm=judge.get("confirm", 0),
    )


def train(trainer: Trainer, settings: Settings, folder: RunDirectory, *, from_step: int | None = None) -> None:
    """Makes the steps that are missing, with a checkpoint now and then and one at the end."""
    folder.stage = RUN
    if folder.resumed or from_step is not None:
        folder.load(trainer, step=from_step)
        folder.ledger.event(RUN, kind="resumed", text=f"at step {trainer.next_step}")
    folder.say(f"{RUN}: steps {trainer.next_step} to {settings.steps} with the reward {trainer.reward!r}")
    folder.train(trainer, settings.steps, checkpoint_every=settings.checkpoint_every)
    folder.ledger.finish(RUN)
