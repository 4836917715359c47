"""The command `vlmprobe`. Each subcommand is a module with `add_arguments(parser)` and `run(args) -> exit code`; only
the one that was asked for is imported."""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from vlmprobe import __version__
from vlmprobe._util.optional import installed
from vlmprobe._util.stops import StepNotMade
from vlmprobe._util.visible import say

# name -> (module, one line of help)
COMMANDS = {
    "init": ("vlmprobe.cli.init", "write a folder with probe.yaml: which pictures, which models, how many calls"),
    "check": ("vlmprobe.cli.check", "say what of a probe works, what it will cost and how long it will take"),
    "run": ("vlmprobe.cli.run", "ask, answer and judge as probe.yaml says, or go on where it stopped"),
    "demo": ("vlmprobe.cli.demo", "train a small questioner against planted failures and show what it found"),
    "train": ("vlmprobe.cli.train", "run on the embedded world, where a small questioner learns"),
    "reproduce": (
        "vlmprobe.cli.reproduce",
        "the paper's tables and figures, in the embedded world or with your models",
    ),
    "plantedbench": (
        "vlmprobe.cli.plantedbench",
        "count the planted faults that ways of asking find at equal answerer calls",
    ),
    "modesbench": (
        "vlmprobe.cli.modesbench",
        "measure failure modes where the faults that they are to name are known",
    ),
    "modes": (
        "vlmprobe.cli.modes",
        "name the failure modes of a run: which questions fail, how often, and how that is known",
    ),
    "compare": ("vlmprobe.cli.compare", "compare two answerers on the same questions: fixed, regressed, both wrong"),
    "label": ("vlmprobe.cli.label", "have people label questions and answers, and say how far they agree"),
    "rejudge": ("vlmprobe.cli.rejudge", "have another verifier judge a run, without asking the answerer again"),
    "reweight": ("vlmprobe.cli.reweight", "compute another reward over a run"),
    "taxonomy": (
        "vlmprobe.cli.taxonomy",
        "name the skills that a run's questions need, from primitives to meta-skills",
    ),
    "report": ("vlmprobe.cli.report", "write the page of a run; of a probe, --json prints the numbers"),
    "view": ("vlmprobe.cli.view", "show that page in a browser while the run goes on"),
    "merge": ("vlmprobe.cli.merge", "make a whole model out of adapters and the model beside which they were trained"),
    "evaluate": ("vlmprobe.cli.evaluate", "ask a regression suite's questions; the exit code says how it went"),
    "export": ("vlmprobe.cli.export", "write a run's questions to a file, or its failures as a regression suite"),
    "doctor": ("vlmprobe.cli.doctor", "say what is installed, what is missing and whether the C++ core works"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after the program's name; None for those of the process.

    Returns:
        The exit code: 0, 1 when the command says so, 2 for wrong input, 3 where a budget is spent, 4 where no call of a
        model came through, 130 after an interrupt.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # the name of a file may be no UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    args = _parse(words)
    try:
        return args.handler(args) or 0
    except (ValueError, OSError, ImportError) as error:
        if args.debug:
            raise
        if isinstance(error, BrokenPipeError):  # the reader left: `vlmprobe doctor | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        say(f"vlmprobe {args.command}: {error}", to=sys.stderr)
        return 2
    except StepNotMade as error:
        if args.debug:
            raise
        say(f"vlmprobe {args.command}: {error}", to=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        say(f"vlmprobe {args.command}: interrupted", to=sys.stderr)
        return 130


def _parse(words: Sequence[str]) -> argparse.Namespace:
    available = {name: entry for name, entry in COMMANDS.items() if installed(entry[0])}
    chosen = next((word for word in words if not word.startswith("-")), None)

    parser = argparse.ArgumentParser(prog="vlmprobe", description="Finds where vision-language models fail.")
    parser.add_argument("--version", action="version", version=f"vlmprobe {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module_name, summary) in available.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == chosen:
            module = importlib.import_module(module_name)
            module.add_arguments(subparser)
            subparser.set_defaults(handler=module.run)

    if chosen is not None and chosen not in available:
        near = difflib.get_close_matches(chosen, available, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        parser.error(f"unknown command {chosen!r}; {hint}commands: {', '.join(available)}")
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    return args


if __name__ == "__main__":
    sys.exit(main())
