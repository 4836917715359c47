"""`vlmprobe modes`: from the failures of a run to a short ranked list of named failure modes.

    vlmprobe modes my-probe                        what the run has, no call
    vlmprobe modes my-probe --confirm 0.1          asks fresh questions, a tenth as many as the run asked
    vlmprobe modes my-probe --describe             has a model name tags of each picture first
    vlmprobe modes my-probe --closer 0.1           shrinks examples, asks minimal pairs, edits pictures

The list goes to the terminal, into `modes.json`, into the ledger, and to the top of a probe's page. The same command
again pays for no call twice.
"""

from __future__ import annotations

import argparse
import functools
import json
from dataclasses import replace
from pathlib import Path

from vlmprobe._util.json import plain
from vlmprobe._util.visible import say
from vlmprobe.cli.rejudge import folder_of
from vlmprobe.cli.report import probe_page
from vlmprobe.cli.taxonomy import say_progress
from vlmprobe.ledger import Ledger
from vlmprobe.modes.asked import asked_of
from vlmprobe.modes.besides import PICTURES, besides_of, write_tags
from vlmprobe.modes.closer import look_closer
from vlmprobe.modes.confirm import confirm
from vlmprobe.modes.find import FindOptions, find_modes
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.record import FILE, Modes, main_run, modes_of, questions_of, write
from vlmprobe.probe import build
from vlmprobe.probe.config import FILE as PROBE
from vlmprobe.probe.config import Probe
from vlmprobe.probe.labelling import method_of, named_by
from vlmprobe.probe.reading import read
from vlmprobe.probe.session import annotator_of
from vlmprobe.report.modes import modes_text
from vlmprobe.run.directory import RunDirectory, ledger_of
from vlmprobe.run.pictures import recalled
from vlmprobe.taxonomy.document import FILE as TAXONOMY
from vlmprobe.taxonomy.pictures import tags_of
from vlmprobe.world.smaller import smaller
from vlmprobe.world.source import WorldImages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe modes`."""
    default = FindOptions()
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help="the folder of a probe, or of another run with a ledger"
    )
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument(
        "--confirm", type=float, default=0.0, metavar="SHARE",
        help="answerer calls for fresh questions, as a share of those of the run; for probes only (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--closer", type=float, default=0.0, metavar="SHARE",
        help="the same, to shrink examples, ask minimal pairs and edit pictures more and more (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--describe", action="store_true",
        help="have a model name tags of each picture first, a call each; for probes only",
    )  # fmt: skip
    parser.add_argument("--labeller", metavar="NAME@URL", help="who describes: a model, verifier or world")
    parser.add_argument(
        "--tags", metavar="FILE", help=f"JSON: name of a picture to its caption, or to a list of tags (DIR/{PICTURES})"
    )
    parser.add_argument(
        "--labels", metavar="FILE", help=f"JSON: question to a list of labels (the skills of DIR/{TAXONOMY})"
    )
    parser.add_argument(
        "--seed", type=int, default=default.seed, help="of the two halves of the pictures (%(default)s)"
    )
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a probe's value for this call")
    parser.add_argument("--json", action="store_true", help="print what modes.json has, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Finds the modes, writes them down and prints them; the last line is the path of the page, or of `modes.json`.

    Raises:
        ValueError: no folder, or two, or one without a run; a share that is none.
        StepNotMade: no call of a model came through, or a budget is spent; what was asked stays, and no mode is
            written.
    """
    path = Path(folder_of("modes", args.folder, args.run))
    for name in ("confirm", "closer"):
        if not 0 <= getattr(args, name) <= 1:
            raise ValueError(f"[modes] --{name}: expected a share in [0, 1], got {getattr(args, name)}")
    ledger_of(path)
    probe = read(path, args.set) if (path / PROBE).is_file() else None
    if (args.confirm or args.closer or args.describe) and probe is None:
        raise ValueError(
            f"[modes] --confirm, --closer, --describe: expected the folder of a probe, got {str(path)!r}: "
            "its models are not known"
        )
    with RunDirectory(path, quiet=True, resume=True) as directory:
        found = _found(directory.ledger, probe, path, args)
        write(found, directory.ledger, main_run(directory.ledger), path / FILE)
        place = path / FILE if probe is None else probe_page(directory.ledger, probe, path, path)[1]
    if args.json:
        say(json.dumps(plain({**found.plain(), "report": str(place)}), indent=1, allow_nan=False))
    else:
        say(modes_text(found))
        say(place)
    return 0


def _found(ledger: Ledger, probe: Probe | None, folder: Path, args: argparse.Namespace) -> Modes:
    options, run = FindOptions(seed=args.seed), main_run(ledger)
    if args.describe:
        _describe(ledger, folder, args)
    besides = besides_of(folder, labels=args.labels, tags=args.tags)
    asked = asked_of(ledger, questions_of(ledger), besides=besides)
    modes, spent = find_modes(asked, options), 0
    made = ledger.counts(run=run).answerer_calls
    calls = {name: int(getattr(args, name) * made) for name in ("confirm", "closer")}
    if probe is None or not any(calls.values()):
        return modes_of(asked, modes, calls=spent, options=options)
    roles = _roles(ledger, probe, folder)
    if calls["confirm"]:
        modes, spent = confirm(modes, asked, roles, calls=calls["confirm"], options=options, besides=besides)
    found = modes_of(asked, modes, calls=spent, options=options)
    if not calls["closer"]:
        return found
    closer, more = look_closer(found.holding, asked, roles, calls=calls["closer"])
    return replace(found, closer=closer, calls=spent + more)


def _describe(ledger: Ledger, folder: Path, args: argparse.Namespace) -> None:
    """Has the labeller name tags of each picture; they go into the folder, where the modes find them."""
    role, named = named_by(args.labeller)
    probe = read(folder, [*named, *args.set])
    method = method_of(probe, folder, ledger, name=folder.name, role=role, progress=say_progress)
    write_tags(folder, tags_of(method.questions, method.picture, method.labeller))


def _roles(ledger: Ledger, probe: Probe, folder: Path) -> Roles:
    models, images = build.models_of(probe, folder, ledger), build.images_of(probe, folder)
    return Roles(
        images=recalled(images, ledger, build.RUN), answerer=models.answerer,
        verifier=models.verifier, ledger=ledger, run=build.RUN, annotate=annotator_of(probe, models),
        overlap={"answerer", "verifier"} <= models.clients.keys(),
        smaller=functools.partial(smaller, images) if isinstance(images, WorldImages) else None,
    )  # fmt: skip
