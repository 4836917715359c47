"""`vlmprobe compare`: two answerers on the same frozen questions.

    vlmprobe compare before after                              two runs with verdicts on the same questions; no call
    vlmprobe compare my-probe --answerer MODEL@URL             asks another answerer my-probe's questions
    vlmprobe compare my-probe --answerer other/probe.yaml      the same, with the answerer of another probe

The second form asks each valid question of the run once, has the run's own verifier judge the answers, and keeps all of
it in a folder with a ledger (`--out`), so that the same command again pays for no call twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vlmprobe._util.json import plain
from vlmprobe._util.visible import say
from vlmprobe.cli.answering import begin, judges, pictures_of, place_of, with_answerer
from vlmprobe.ledger import Ledger
from vlmprobe.modes.asked import asked_of
from vlmprobe.modes.compared import Comparison, Counted, compare
from vlmprobe.modes.find import FindOptions
from vlmprobe.modes.now import besides_now, modes_now
from vlmprobe.modes.record import main_run, questions_of
from vlmprobe.probe import build
from vlmprobe.probe.build import RUN
from vlmprobe.report.table import format
from vlmprobe.run.directory import RunDirectory, ledger_of
from vlmprobe.run.frozen import AT_ONCE, Frozen, ask_frozen
from vlmprobe.run.pictures import hashes_of, recalled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe compare`."""
    parser.add_argument("first", metavar="RUN_A", help="the folder of a run, whose questions are taken")
    parser.add_argument("second", metavar="RUN_B", nargs="?", help="the folder of another run with the same questions")
    parser.add_argument(
        "--answerer", metavar="NAME[@URL]|FILE", help="asked RUN_A's questions; a YAML file has it under `answerer`"
    )
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="answerer.KEY=VALUE")
    parser.add_argument("--calls", type=int, metavar="N", help="calls of that answerer at most, drawn by chance (all)")
    parser.add_argument("--out", metavar="DIR", help="where its replies are kept (RUN_A/compared/NAME)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Compares, and asks first where an answerer is named.

    Raises:
        ValueError: neither a second run nor an answerer, or both; runs without a question in common.
        StepNotMade: no call of a model came through, or a budget is spent; what was asked stays, and the same command
            goes on.
    """
    if (args.second is None) == (args.answerer is None):
        got = "neither" if args.second is None else "both"
        raise ValueError(f"[compare] expected RUN_B or --answerer, got {got}")
    if args.calls is not None and args.calls < 1:
        raise ValueError(f"[compare] --calls: expected at least 1, got {args.calls}")
    second = args.second if args.answerer is None else asked(Path(args.first), args)
    with (
        Ledger(ledger_of(args.first), read_only=True) as mine,
        Ledger(ledger_of(second), read_only=True) as theirs,
    ):
        said = report(mine, theirs, str(second), as_json=args.json)
    say(said)
    return 0


def asked(folder: Path, args: argparse.Namespace) -> Path:
    """Has an answerer asked the questions of a probe; the folder with its replies."""
    ledger_of(folder)
    probe = with_answerer(folder, args.answerer, args.set)
    place = Path(args.out) if args.out else place_of(folder, probe)
    place.parent.mkdir(parents=True, exist_ok=True)
    with Ledger(ledger_of(folder), read_only=True) as source, RunDirectory(place, quiet=True, resume=True) as out:
        who = judges(probe, folder, out.ledger)
        _check_same_verifier(source, who.verifier.identity)
        begin(out.ledger, RUN, who, questions_of=identities(source))
        questions, pixels = frozen_of(source)
        images = recalled(build.images_of(probe, folder), source, RUN)
        ask_frozen(
            questions, who.answerer, who.verifier, pictures_of(images, pixels), out.ledger, RUN, calls=args.calls,
            on_step=progress,
        )  # fmt: skip
        out.ledger.finish(RUN)
    return place


def progress(done: int, of: int) -> None:
    """A line on stderr at every eighth step, and at the last."""
    if done == of or done % (8 * AT_ONCE) == 0:
        say(f"{done} of {of} questions", to=sys.stderr)


def frozen_of(ledger: Ledger) -> tuple[list[Frozen], dict[int, str]]:
    """A probe's valid questions, each pair of picture and question once and in an order of chance, so that as many as
    are afforded are a fair sample; and the hashes of the pictures' pixels by number."""
    valid = [Frozen(each.image, each.key, each.text) for each in asked_of(ledger, [RUN]) if each.valid]
    shuffled = sorted(valid, key=lambda each: hashlib.sha256("\n".join(each.pair).encode()).digest())
    return shuffled, hashes_of(ledger, RUN)


def report(first: Ledger, second: Ledger, place: str, *, as_json: bool) -> str:
    """The comparison of two ledgers, as text or as JSON."""
    found = modes_now(first, main_run(first))
    modes, options = ([], FindOptions()) if found is None else (found.holding, found.options)
    compared = compare(
        first, second, (questions_of(first), questions_of(second)), modes, seed=options.seed, besides=besides_now(first)
    )
    names = [identities(ledger) for ledger in (first, second)]
    if as_json:
        content = {"first": names[0], "second": names[1], "replies": place, **compared.plain()}
        return json.dumps(plain(content), indent=1, allow_nan=False)
    return text(compared, names, place)


def identities(ledger: Ledger) -> dict[str, str]:
    """Who answered and judged in a ledger's first run."""
    known = ledger.runs()[0].identities
    return {name: known.get(name, "") for name in ("answerer", "verifier")}


def text(compared: Comparison, names: Sequence[dict[str, str]], place: str) -> str:
    """For the terminal: the whole in a sentence, a line for each mode, what was left out, where the replies are."""
    whole = compared.whole
    first, second = (format.line(name["answerer"], 200) for name in names)
    lines = [
        f"Of {format.count(whole.n)} questions, {whole.fixed} were fixed, {whole.regressed} regressed, "
        f"{whole.both_wrong} are wrong in both and {format.count(whole.both_right)} right in both; "
        f"McNemar's {format.p_text(whole.p)}.",
        f"first   {first}",
        f"second  {second}",
        "",
        *_table(compared),
        "",
        "Differences are the second's failure rate less the first's, in points, with intervals of 95 % that count "
        "pictures; those of modes are of the half of the pictures that had no part in finding them.",
    ]
    if names[0]["verifier"] != names[1]["verifier"]:
        lines.append(f"The verifiers differ: {names[0]['verifier']:.80} and {names[1]['verifier']:.80}.")
    if whole.unscored:
        lines.append(f"{whole.unscored} questions have no verdict on the second's answer; they count for neither.")
    if compared.left_out:
        lines.append(f"{compared.left_out} questions of the first were not asked of the second.")
    return "\n".join([*lines, place])


def _table(compared: Comparison) -> list[str]:
    rows = [["fixed", "regressed", "both wrong", "both right", "difference", "n", "McNemar p", "q", "id", "questions"]]
    rows += [_row(each.counted, format.p_value(each.q), each.id, each.name) for each in compared.modes]
    rows += [_row(compared.beside, "", "", "those of no mode"), _row(compared.whole, "", "", "all")]
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]


def _row(counted: Counted, q: str, id: str, name: str) -> list[str]:
    each = counted.difference
    value, low, high = (format.percent(one) for one in (each.value, each.low, each.high))
    counts = [counted.fixed, counted.regressed, counted.both_wrong, counted.both_right]
    shown = [f"{value} [{low}, {high}]" if each.n[0] else format.DASH, format.count(each.n[0])]
    return [*map(format.count, counts), *shown, format.p_value(counted.p), q, id, format.line(name, 200)]


def _check_same_verifier(source: Ledger, verifier: str) -> None:
    known = next((each.identities.get("verifier", "") for each in source.runs() if each.id == RUN), None)
    if known is None:
        raise ValueError(f"[compare] RUN_A: expected the run of a probe, got {[each.id for each in source.runs()]}")
    if known != verifier:
        raise ValueError(
            f"[compare] verifier: expected {known!r:.120}, which judged the first answers, got {verifier!r:.120}; put "
            "it back, or have all of RUN_A judged by the other one with vlmprobe rejudge"
        )
