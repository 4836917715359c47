"""What objects show of themselves in a notebook: their numbers with n and interval, and of others' texts no markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import vlmprobe
from support.hostile import HOSTILE
from support.run_ledgers import write_run
from support.tiny_runs import make
from vlmprobe._util import html
from vlmprobe.ledger import Ledger
from vlmprobe.loop.record import recorded_round
from vlmprobe.metrics import rate
from vlmprobe.modes.asked import asked_of
from vlmprobe.modes.find import FindOptions, find_modes
from vlmprobe.modes.record import modes_of
from vlmprobe.taxonomy.document import MetaSkill, Placed, Skill, Taxonomy
from vlmprobe.world import WorldImages

pytestmark = pytest.mark.usefixtures("one_thread")

MADE = {"p", "table", "thead", "tbody", "tr", "th", "td"}


class Shown(HTMLParser):
    """The texts of a piece of HTML, and whether all of its elements are ours and closed."""

    def __init__(self, text: str):
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in MADE, tag
        assert all(name == "style" and re.fullmatch("text-align:(left|right)", value) for name, value in attrs), attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def texts(shown) -> list[str]:
    return Shown(shown._repr_html_()).texts


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_others_is_a_text(text):
    shown = html.titled(text, html.table([text], [[text, 1]]), html.pairs([(text, text)]))
    said = Shown(shown).texts
    assert len(said) == 6 and len(set(said) - {"1"}) == 1
    assert text.isascii() is False or not text.isprintable() or len(text) > html.LONGEST or said[0] == text


def test_a_long_text_is_cut_and_html_of_ours_stays_what_it_is():
    assert html.text("a" * 601) == "a" * 600 + "…" and html.text("a" * 600) == "a" * 600
    assert html.text(html.Html("<p>")) == "<p>"


def test_a_rate_has_its_n_and_interval_and_of_nothing_it_is_unknown():
    found = rate([True, False, True, True], cluster=[0, 1, 2, 3])
    assert found._repr_html_() == f"75.0 % [{100 * found.low:.1f} %, {100 * found.high:.1f} %], n 4"
    assert rate([], cluster=[])._repr_html_() == "unknown, n 0"


def test_a_trainer_its_steps_and_its_evaluation_show_their_numbers():
    trainer, rounds = make(), []
    trainer.journal.on_round = rounds.append
    assert {"unknown, n 0", "steps", "0"} <= set(texts(trainer))
    (report,) = trainer.train(1)
    said = texts(report)
    assert dict(zip(said[:6], said[10:], strict=False)) == {
        "step": "1", "questions": str(report.questions), "valid": str(report.valid), "wrong": str(report.wrong),
        "unscored": str(report.unscored), "calls": str(report.calls),
    }  # fmt: skip
    qvr, fdr = trainer.tally.rates()
    assert {qvr._repr_html_(), fdr._repr_html_(), str(trainer.tally.spent)} <= set(texts(trainer))
    said = texts(rounds[0])
    assert said[0] == repr(rounds[0]) and said.count("yes") + said.count("no") + said.count("unknown") >= 10
    assert texts(replace(rounds[0], questions=None)) == [repr(replace(rounds[0], questions=None))]
    found = trainer.evaluate(WorldImages(8, seed=5), 40)
    said = texts(found)
    count = len(found.failures())
    assert f"{count} failures" + (", of which 10 are shown" if count > 10 else "") in said
    assert all(question.text in said for _, question in found.failures()[:10])


def test_a_round_of_hostile_texts_shows_them_as_texts(tmp_path):
    write_run(tmp_path, runs=["rl"], steps=3, said=HOSTILE)
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        rounds = [recorded_round(record) for record in ledger.each_step("rl")]
    assert rounds and all(len(texts(round)) > 30 for round in rounds)


def test_modes_of_hostile_texts_show_them_as_texts(tmp_path):
    write_run(tmp_path, runs=["rl"], steps=40, said=HOSTILE)
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        asked = asked_of(ledger, ["rl"])
        found = modes_of(asked, find_modes(asked, FindOptions()), calls=0, options=FindOptions())
    assert texts(found)[0].endswith(f"in {found.failures} failures among {found.judged} judged answers")
    written = vlmprobe.failure_modes(tmp_path)
    assert texts(written)[0] == texts(found)[0] and found.holding
    for mode in found.modes:
        said = texts(mode)
        assert said[0].startswith(mode.name[:20]) and said[1].endswith(f": {mode.best.rate._repr_html_()}")


def test_a_taxonomy_shows_its_skills_by_their_groups():
    skills = tuple(Skill(id=f"s{i}", label=text, meta_skill="m" if i % 2 else "") for i, text in enumerate(HOSTILE))
    topics = tuple(
        Placed(id=f"t{i}", method="a", label=skill.label, primitives={skill.label: 1}, skills=(skill.id,))
        for i, skill in enumerate(skills)
    )
    taxonomy = Taxonomy(
        embedder="e", threshold=0.5, clustering={}, labeller="l", next_topic=99, skills=skills, topics=topics,
        meta_skills=(MetaSkill(id="m", label=HOSTILE[0]),),
    )  # fmt: skip
    said = texts(taxonomy)
    assert said[0] == f"Taxonomy({len(HOSTILE)} topics, {len(HOSTILE)} skills, 1 meta-skills)"
    assert sum(text == HOSTILE[0] for text in said) == 1 + len(HOSTILE) // 2
    assert {skill.id for skill in skills} <= set(said)
    many = replace(
        taxonomy,
        skills=tuple(Skill(id=f"s{i}", label=f"{i}") for i in range(60)),
        topics=tuple(replace(topics[0], id=f"t{i}", skills=(f"s{i}",)) for i in range(60)),
    )
    assert "60 skills, of which 50 are shown" in texts(many)


def test_the_front_door_has_what_a_notebook_uses():
    names = {"ProbeRun", "Questioner", "Taxonomy", "Trainer", "failure_modes", "read_taxonomy"}
    assert names <= set(dir(vlmprobe)) and names <= set(vlmprobe.__all__)
    assert all(callable(getattr(vlmprobe, name)) for name in names)
