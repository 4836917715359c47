"""The pages hang together: all are linked from docs/index.md, no link is broken, our words are in the glossary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.planned_server import planned
from vlmprobe.world import WorldImages

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
OURS = """
questioner answerer verifier judge asker preface pool pass arm judging canary round posed snapshot valid unscored
failure slot QVR FDR SD LD SC skill meta-skill prefix group advantage GRPO ledger memory fault world zero-shot SFT ConMe
step run phase vote endpoint
"""

QUICKER = {r'\("before", 10\)': '("before", 1)', r"held_out, 150": "held_out, 20"}
"""Fewer steps and answers than a page has."""


def prose(page):
    """The text of a page without its code."""
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def links(page):
    """(target, anchor) of each link into the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [tuple(each.partition("#")[::2]) for each in found if "://" not in each]


def anchors(page):
    """As a reader of Markdown makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def target_of(page, target):
    return (page.parent / target).resolve() if target else page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_link_is_broken(page):
    broken = []
    for target, anchor in links(page):
        there = target_of(page, target)
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_every_page_is_linked_from_the_index():
    linked = {target_of(DOCS / "index.md", target) for target, _ in links(DOCS / "index.md")}
    missing = [page for page in DOCS.rglob("*.md") if page != DOCS / "index.md" and page.resolve() not in linked]
    assert missing == []


def test_the_readme_leads_to_index_and_glossary():
    assert {"docs/index.md", "docs/glossary.md"} <= {target for target, _ in links(ROOT / "README.md")}


def test_a_page_that_is_named_in_a_page_is_a_link():
    """A path as bare text leads nowhere when it is read in a browser."""
    bare = re.compile(r"(?<!\[)\bdocs/\w+\.md\b(?!\]?\()")
    named = {page.name: bare.findall(re.sub(r"\]\([^)]*\)", "](", prose(page))) for page in reading_pages()}
    assert {name: found for name, found in named.items() if found} == {}


def reading_pages():
    return [page for page in DOCS.glob("*.md") if page.name != "LOG.md"]


def glossary():
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    return [(words, meaning) for words, meaning in rows if words not in ("word", "---")]


def test_the_glossary_has_the_words_that_are_ours():
    explained = {word.strip() for words, _ in glossary() for word in words.split(", ")}
    assert set(OURS.split()) | {"left out", "Expert Iteration", "equal n"} <= explained


def test_the_glossary_says_each_word_once_and_in_sentences():
    words = [word for words, _ in glossary() for word in words.split(", ")]
    assert len(words) == len(set(words))
    assert [words for words, meaning in glossary() if not re.match(r"[A-Z].*[.)]$", meaning)] == []


@pytest.fixture
def run_page(tmp_path, monkeypatch):
    """Runs the Python of a page in a folder of its own, with a server where the page has one; gives what it defined."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXAMPLE_KEY", "a-key-for-tests")
    for folder in ("photos", "my_prompts"):
        Path(folder).mkdir()
    WorldImages(1, seed=11)[0].pixels.save("photos/one.png")

    def run(name):
        names = {}
        with planned() as server:
            for code in re.findall(r"```python\n(.*?)```", (DOCS / f"{name}.md").read_text(), re.DOTALL):
                for said, here in {r"http://10\.0\.0\.\d:8000/v1": server.url, **QUICKER}.items():
                    code = re.sub(said, here, code)
                exec(compile(code, f"{name}.md", "exec"), names)
        return names

    return run


@pytest.mark.parametrize("name", ["endpoints", "methods", "metrics", "pictures", "prompts", "taxonomy"])
def test_the_python_of_a_page_runs(name, run_page):
    assert run_page(name)


def test_the_run_in_the_world_says_rates_before_and_after(run_page, capsys):
    run_page("world")
    said = capsys.readouterr().out
    assert re.search(r"before 0\.\d+ \[", said) and re.search(r"after 0\.\d+ \[", said)


def test_the_loss_of_the_performance_page_has_gradients(run_page):
    names = run_page("performance")
    assert names["head"].grad.abs().sum() > 0 and names["hidden"].grad.isfinite().all()
