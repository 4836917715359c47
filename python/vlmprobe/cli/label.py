"""`vlmprobe label`: a page on which people say what is right about a run's questions and answers.

vlmprobe label my-probe --as ann bob           serves the page on loopback until Ctrl-C, then says what labels say
vlmprobe label my-probe --report               what the labels say, by all annotators
vlmprobe label my-probe --import labels.csv    takes labels from a file
"""

from __future__ import annotations

import argparse
import getpass
import json
import webbrowser
from contextlib import suppress
from pathlib import Path

from vlmprobe._util.checks import check_count
from vlmprobe._util.json import plain
from vlmprobe._util.loopback import LOOPBACK
from vlmprobe._util.visible import say
from vlmprobe.data.image import Image
from vlmprobe.ledger import Ledger
from vlmprobe.metrics import Rate
from vlmprobe.metrics.judged import NAMES, Corrected
from vlmprobe.modes.record import main_run
from vlmprobe.probe import build
from vlmprobe.probe.build import RUN
from vlmprobe.probe.reading import read
from vlmprobe.report.table import format
from vlmprobe.review.desk import Desk
from vlmprobe.review.people import import_labels
from vlmprobe.review.serve import LabelServer, Picture
from vlmprobe.review.study import STATES, Study, study
from vlmprobe.run.directory import RunDirectory, ledger_of
from vlmprobe.run.pictures import check_same, hashes_of, recalled

ITEMS = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe label`."""
    parser.add_argument("folder", metavar="RUN", help="the folder of a probe")
    parser.add_argument("--as", dest="names", nargs="+", metavar="NAME", help="who labels (the user's name)")
    parser.add_argument("--items", type=int, default=ITEMS, metavar="N", help="questions that are drawn (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, the same for all annotators (%(default)s)")
    parser.add_argument("--host", default=LOOPBACK, help="where the page listens (%(default)s); others see it then")
    parser.add_argument("--port", type=int, default=0, help="of the page; 0: any that is free (%(default)s)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--report", action="store_true", help="serve nothing; print what the labels say")
    parser.add_argument("--import", dest="file", metavar="FILE", help="take labels from a .csv or .jsonl file")
    parser.add_argument("--json", action="store_true", help="print what the labels say as JSON, last, on stdout")


def run(args: argparse.Namespace) -> int:
    """Serves the page until it is interrupted; then prints what labels say.

    Raises:
        ValueError: no folder of a probe, no name, a run without a verdict, a line of the file that is none.
        OSError: the port is taken.
    """
    folder = Path(args.folder)
    ledger_of(folder)
    check_count("label", "--items", args.items)
    if args.report and args.file is None:
        with Ledger(ledger_of(folder), read_only=True) as ledger:
            _say(study(ledger, main_run(ledger)), args.json)
        return 0
    with RunDirectory(folder, quiet=True, resume=True) as directory:
        if args.file is not None:
            say(f"{import_labels(directory.ledger, args.file)} new labels")
        else:
            _serve(directory.ledger, folder, args)
        _say(study(directory.ledger, main_run(directory.ledger)), args.json)
    return 0


def _serve(ledger: Ledger, folder: Path, args: argparse.Namespace) -> None:
    names = list(dict.fromkeys(args.names or [getpass.getuser()]))
    desks = [Desk(ledger, RUN, annotator=name, items=args.items, seed=args.seed) for name in names]
    with LabelServer(desks, pictures(ledger, folder), host=args.host, port=args.port) as server:
        for name, desk, url in zip(names, desks, server.urls, strict=True):
            say(f"{name}: {desk.done} of {len(desk.items)} labelled; Ctrl-C ends", flush=True)
            say(url, flush=True)
        if args.open:
            webbrowser.open(server.urls[0])
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.1)
    for name, desk in zip(names, desks, strict=True):
        say(f"{name}: {desk.done} of {len(desk.items)} labelled")


def pictures(ledger: Ledger, folder: Path) -> Picture:
    """The pictures of a probe's run by number, those that were asked about alone.

    Raises:
        ValueError: when called, of a picture that is another by now.
    """
    images = recalled(build.images_of(read(folder), folder), ledger, RUN)
    pixels = hashes_of(ledger, RUN)

    def of(number: int) -> Image:
        image = images[number]
        check_same("label", image, pixels.get(number))
        return image

    return of


def _say(found: Study, as_json: bool) -> None:
    say(json.dumps(plain(found.plain()), indent=1, allow_nan=False) if as_json else text(found))


def text(found: Study) -> str:
    """What labels say: rates, the verifier against people, people against each other."""
    if not found.annotators:
        return "no labels yet"
    by = ", ".join(f"{name} {count}" for name, count in found.annotators.items())
    lines = [
        f"{found.labelled} questions with a verdict have a label by most annotators ({by})",
        f"{'':<6}{'as judged':>32}{'with labels':>32}",
        f"{'QVR':<6}{_rate(found.qvr_as_judged):>32}{_rate(found.qvr):>32}",
        f"{'FDR':<6}{_rate(found.fdr_as_judged):>32}{_rate(found.fdr):>32}",
        "",
        f"{'the verifier says':<20}{'people say the same, %':>32}   "
        + "  ".join(f"{name:>16}" for name in (*NAMES, "valid")),
    ]
    for state in STATES:
        counts = "  ".join(f"{count:>16}" for count in found.table[state])
        lines.append(f"{NAMES[state]:<20}{_rate(found.confirmed[state]):>32}   {counts}")
    lines += ["", f"verifier and people: {found.verifier}"]
    lines += [f"  on validity:       {found.validity}", f"  on correctness:    {found.correctness}"]
    if len(found.annotators) > 1:
        lines.append(f"among people: {found.people}")
    return "\n".join(lines)


def _rate(rate: Rate | Corrected) -> str:
    value, low, high = (format.percent(each) for each in (rate.value, rate.low, rate.high))
    return f"{value} [{low}, {high}; n {format.count(rate.n)}]"
