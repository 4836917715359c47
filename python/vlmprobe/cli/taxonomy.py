"""`vlmprobe taxonomy`: names the skills that a run's questions need, or assigns a run's questions to known skills.

vlmprobe taxonomy RUN [RUN ...]         makes RUN/taxonomy.json, or makes it larger; edits in it stay
vlmprobe taxonomy apply TAXONOMY RUN    assigns the questions of another run, without clustering
vlmprobe taxonomy replay TAXONOMY       makes the skills again from the operations of the file
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlmprobe._util.files import write_text
from vlmprobe._util.json import plain
from vlmprobe._util.visible import say
from vlmprobe.cli.report import PAGE, probe_page
from vlmprobe.ledger import Ledger
from vlmprobe.models.embedder import EMBEDDERS
from vlmprobe.models.protocols import Embedder
from vlmprobe.probe.labelling import method_of, named_by, role_of
from vlmprobe.probe.reading import read
from vlmprobe.probe.session import embedder_of
from vlmprobe.run.directory import RunDirectory, ledger_of
from vlmprobe.taxonomy.asking import PHASE, STAGES
from vlmprobe.taxonomy.assign import Assigned, assigned, needed
from vlmprobe.taxonomy.build import Built, Method, Options, build
from vlmprobe.taxonomy.clusters import METHODS
from vlmprobe.taxonomy.document import FILE as TAXONOMY
from vlmprobe.taxonomy.document import QUESTIONS, Taxonomy, read_taxonomy
from vlmprobe.taxonomy.figures import with_numbers
from vlmprobe.taxonomy.forecast import forecast
from vlmprobe.taxonomy.primitives import primitives
from vlmprobe.taxonomy.table import lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe taxonomy`."""
    parser.add_argument("what", metavar="RUN", nargs="+", help="folders of probes; or apply TAXONOMY RUN, or replay")
    parser.add_argument("--labeller", metavar="NAME@URL", help="who labels: a model, verifier or world")
    parser.add_argument("--out", metavar="FILE", help=f"the taxonomy's file (RUN/{TAXONOMY})")
    parser.add_argument("--grow", action="store_true", help="with apply: make new topics of what is near none")
    parser.add_argument("--clustering", choices=METHODS, default="auto", help="of primitives (by their number)")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a probe's value for this call")
    parser.add_argument("--dry-run", action="store_true", help="print how many requests each stage will take, and stop")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Makes, applies or replays a taxonomy, and prints the skills, the most failures first.

    Raises:
        ValueError: no valid question; a file that is no taxonomy; a labeller that is none.
        StepNotMade: no call of the labeller came through, or its budget is spent; the same command goes on.
    """
    what = list(args.what)
    if what[0] == "replay":
        [path] = _expect("replay", what[1:], 1)
        read_taxonomy(path).replay().write(args.out or path)
        say(args.out or path)
        return 0
    known = None
    if what[0] == "apply":
        path, folder = _expect("apply", what[1:], 2)
        known, what = read_taxonomy(path), [folder]
    with contextlib.ExitStack() as stack:
        methods, embedder = _opened(what, args, stack, known)
        if args.dry_run:
            return _dry(methods, known is not None and not args.grow)
        if known is not None and not args.grow:
            return _applied(known, methods[0], embedder, what[0], args)
        out = Path(args.out or Path(what[0]) / TAXONOMY)
        if known is None and out.exists():
            known = read_taxonomy(out)
        elif known is not None and out.exists():
            raise ValueError(f"[taxonomy] --out: expected a new file, got {out}, which is there already")
        built = build(methods, methods[0].labeller, embedder, options=Options(clustering=args.clustering), known=known)
        taxonomy = with_numbers(built, methods, embedder)
        taxonomy.write(out)
    for folder, method in zip(what, methods, strict=True):
        _write_questions(Path(folder) / QUESTIONS, method, built.assigned[method.name])
        _write_page(Path(folder), [*named_by(args.labeller)[1], *args.set])
    _say(taxonomy, methods, args, out)
    return 0


def _expect(word: str, given: Sequence[str], count: int) -> Sequence[str]:
    if len(given) != count:
        raise ValueError(f"[taxonomy] {word}: expected {count} names after it, got {len(given)}")
    return given


def _opened(
    folders: Sequence[str], args: argparse.Namespace, stack: contextlib.ExitStack, known: Taxonomy | None
) -> tuple[list[Method], Embedder]:
    """The runs, each with its ledger open, and the embedder."""
    role, named = named_by(args.labeller)
    methods, embedder = [], None
    names = [Path(folder).resolve().name for folder in folders]
    names = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        ledger_of(folder)
        probe = read(folder, [*named, *args.set])
        role_of(probe, role)
        directory = stack.enter_context(RunDirectory(folder, quiet=True, resume=True))
        directory.stage = PHASE
        methods.append(method_of(probe, folder, directory.ledger, name=name, role=role, progress=say_progress))
        embedder = embedder or embedder_of(probe)
    assert embedder is not None, "argparse asks for one run"
    if known is not None:
        embedder = next((each() for each in EMBEDDERS.values() if each.name in known.embedder), embedder)
    return methods, embedder


def _write_page(folder: Path, sets: Sequence[str]) -> None:
    """The run's page once more, with its skills, where it has a page and a taxonomy."""
    if (folder / PAGE).is_file() and (folder / TAXONOMY).is_file():
        with Ledger(ledger_of(folder), read_only=True) as ledger:
            probe_page(ledger, read(folder, sets), folder, folder)


def _dry(methods: Sequence[Method], primitives_alone: bool) -> int:
    for each in forecast(methods)[: 1 if primitives_alone else None]:
        say(each)
    say("a request whose reply is of no use is made once more")
    return 0


def _applied(known: Taxonomy, method: Method, embedder: Embedder, folder: str, args: argparse.Namespace) -> int:
    named = primitives(method.questions, method.picture, method.labeller)
    own = assigned(named, known, embedder, method.name)
    path = Path(folder) / QUESTIONS
    _write_questions(path, method, own)
    built = Built(known, {method.name: own})
    _say(with_numbers(built, [method], embedder, cluster=False), [method], args, path)
    return 0


def _write_questions(path: Path, method: Method, found: Assigned) -> None:
    """A line for each valid question: its picture, its text, whether it failed, its primitives and its skills."""
    own = needed(found)
    rows = [
        {
            "image": each.image_key,
            "question": each.text,
            "wrong": each.wrong,
            "primitives": [primitive for primitive, _ in found.get((each.image, each.text), ())],
            "skills": own.get((each.image, each.text)),
        }
        for each in method.questions
    ]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _say(taxonomy: Taxonomy, methods: Sequence[Method], args: argparse.Namespace, path: Path) -> None:
    asked: Mapping[str, object] = {
        stage: _summed([each.labeller.asked[stage].plain() for each in methods]) for stage in STAGES
    }
    if args.json:
        skills = {each.id: {"label": each.label, **each.numbers} for each in taxonomy.live}
        numbers = {**taxonomy.numbers, "skills": skills, "asked": asked, "file": str(path)}
        say(json.dumps(plain(numbers), indent=1, allow_nan=False))
        return
    for line in lines(taxonomy, asked):
        say(line)
    say(path)


def _summed(parts: Sequence[Mapping[str, object]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in parts:
        skipped = each["skipped"]
        assert isinstance(skipped, dict)
        for name, count in {**each, "skipped": sum(skipped.values())}.items():
            found[name] = found.get(name, 0) + int(str(count))
    return found


def say_progress(stage: str, done: int, total: int) -> None:
    """How far a stage of the labeller is, on stderr."""
    if total > 1:
        say(f"{stage} {done:,}/{total:,}", to=sys.stderr)
