"""Who judged and answered, and how far their verdicts agree with others."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe import metrics
from vlmprobe.ledger import JudgeRecord, Ledger
from vlmprobe.ledger.questions import is_correct, is_valid, recorded_questions
from vlmprobe.metrics import Rate
from vlmprobe.metrics.judged import UNSCORED
from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.rates import percent_cell
from vlmprobe.report.run.section import Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, text_cell, words
from vlmprobe.review.people import label_table


def judges_section(ledger: Ledger, run: str, questions: Sequence[Question]) -> Section | None:
    """The models of the run, and the agreement of its verifier with other verifiers, with people and with itself."""
    rows = [*_judgings(ledger, run), *_people(ledger, run), *_votes(questions)]
    columns = [words("agreement of the verifier with"), words("about"), Column(head="both judged", size=True)]
    columns += [Column(head="agree, %"), Column(head="kappa")]
    notes = ["Kappa is Cohen’s: 0 is what chance would give, 1 is agreement in all. Intervals count pictures."]
    agreement = Table(id="agreement", title="Agreement", columns=columns, rows=rows, notes=notes)
    said = [] if rows else [
        "Nobody has judged these answers a second time, so how often the verifier errs is not known: `vlmprobe "
        "rejudge` has another verifier judge them, and labels of people can be read in."
    ]  # fmt: skip
    models = _models(ledger, run)
    if not models.rows:
        return None
    return Section(id="judges", title="Who judged", sentences=said, tables=[models, *([agreement] if rows else [])])


def _models(ledger: Ledger, run: str) -> Table:
    """Each model as the ledger names it."""
    known: dict[tuple[str, str], JudgeRecord | None] = {}
    known |= {(each.role, each.identity): each for each in ledger.about(run).judges}
    identities = next((each.identities for each in ledger.runs() if each.id == run), {})
    for role, identity in identities.items():
        known.setdefault((role, identity), None)
    rows = []
    for (role, identity), each in sorted(known.items()):
        prompt = each.prompt_sha256[:12] if each else ""
        drawn = ", ".join(f"{name} {value}" for name, value in (each.sampling if each else {}).items())
        cells = (role, identity, (each.revision if each else "") or None, prompt or None, drawn or None)
        rows.append([text_cell(cell) for cell in cells])
    columns = [words(head) for head in ("role", "model", "revision", "prompt", "replies drawn with")]
    return Table(id="models", title="Models", columns=columns, rows=rows)


def _judgings(ledger: Ledger, run: str) -> list[list[Cell]]:
    """A row for each other verifier and each thing judged."""
    found = []
    names = ledger.about(run).again
    if not names:
        return []
    own = recorded_questions(ledger, run)
    images = [image for image, _ in own.rows]
    for name in names:
        other = recorded_questions(ledger, run, judging=name)
        for about, judged in (("questions", is_valid), ("answers", is_correct)):
            first, second = ([judged(question) for _, question in each.rows] for each in (own, other))
            found.append(_row(name, about, first, second, images))
    return found


def _people(ledger: Ledger, run: str) -> list[list[Cell]]:
    """A row where somebody has labelled questions."""
    if not ledger.labels(run):
        return []
    table = label_table(ledger, run)
    first, second = (
        [None if each in (None, UNSCORED) else each for each in column] for column in (table.judged, table.labels)
    )
    people = f"{len(table.annotators)} annotator{'' if len(table.annotators) == 1 else 's'}"
    return [_row(people, "questions and answers", first, second, table.cluster)]


def _votes(questions: Sequence[Question]) -> list[list[Cell]]:
    """A row where the verifier voted several times: how many of its votes agree with the outcome."""
    votes = [(each.key, each.votes.split(" of ")) for each in questions if each.votes]
    if not votes:
        return []
    told = [(key, int(agreeing), int(of)) for key, (agreeing, of) in votes]
    agree = [place < agreeing for _, agreeing, of in told for place in range(of)]
    rate = metrics.rate(agree, cluster=[key for key, _, of in told for _ in range(of)])
    return [
        [text_cell("its own votes"), text_cell("questions and answers"), text_cell(format.count(len(told))),
         percent_cell(rate), text_cell(None)]
    ]  # fmt: skip


def _row(name: str, about: str, first: Sequence[object], second: Sequence[object], images: Sequence[int]) -> list[Cell]:
    both = [a == b if a is not None and b is not None else None for a, b in zip(first, second, strict=True)]
    rate: Rate = metrics.rate(both, cluster=images)
    kappa = metrics.cohen_kappa(first, second)
    return [
        text_cell(name), text_cell(about), text_cell(format.count(rate.n)), percent_cell(rate),
        text_cell(format.decimal(kappa, 2)),
    ]  # fmt: skip
