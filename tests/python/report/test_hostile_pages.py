"""Whatever a model says, and whatever a file is called: a real Chromium shows it, and never does what it says."""

import csv
import io
import re

import pytest

from support.browser import Opened, choose
from support.hostile import HOSTILE
from support.run_ledgers import page_of

UNSEEN = "[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u00ad\x00-\x08\x0b-\x1f\ufffe\ud800-\udfff]"
MADE = "script, iframe, object, svg, style, form, base, math, h1, a, b, input"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """They are in questions, answers, reasons, skills, in names of files, models and runs, and in what a guard says."""
    runs = [f"{name} {HOSTILE[place]}" for place, name in ((0, "rl"), (3, "zero-shot"))]
    return page_of(tmp_path_factory.mktemp("hostile"), runs=runs, said=HOSTILE, steps=len(HOSTILE) // 4 + 1)


def test_a_hostile_text_is_shown_and_never_obeyed(browser, report):
    assert len(HOSTILE) == 37 and not re.search(UNSEEN, report.read_bytes().decode("utf-8"))
    with Opened(browser, report) as opened:
        page = opened.page
        assert page.eval_on_selector_all("script", "all => all.map(each => each.id)") == ["pictures", "rows", ""]
        choose(opened, outcome="right")
        for text in HOSTILE:
            word = longest_word(text)
            assert choose(opened, text=word) > 0, text
            for part in (".question", "dd", ".reason", ".source >> nth=-1"):
                assert word.lower() in page.locator(f"#found li >> nth=0 >> {part}").first.inner_text().lower(), part
            page.mouse.move(600, 500)
            assert page.locator(f"#found >> css={MADE}").count() == 0
        for section in page.locator("main > section").all():
            section.hover(position={"x": 5, "y": 5})
        assert page.locator("h1").count() == 1 and page.locator("base, iframe, object, math").count() == 0
        assert page.evaluate("window.hacked") is None and page.locator("body").is_visible()
        links = page.eval_on_selector_all("a", "all => all.map(each => each.getAttribute('href'))")
        assert all(re.match(r"#|data:(text/csv|image/svg\+xml);charset=utf-8;base64,", link) for link in links)
        assert opened.wrong == [] and opened.elsewhere() == []


def test_the_drawings_that_are_saved_hold_no_script(browser, report):
    with Opened(browser, report) as opened:
        links = opened.page.eval_on_selector_all("a[download$='.svg']", "all => all.map(each => each.href)")
        assert len(links) >= 7
        for link in links:
            opened.page.goto("about:blank")
            drawn = opened.page.evaluate(READ, link)
            assert drawn["errors"] == 0 and not {"script", "foreignObject", "a", "iframe"} & set(drawn["tags"])
            assert not any(name.startswith("on") for name in drawn["attributes"])


READ = """link => {
  const bytes = Uint8Array.from(atob(link.split(",")[1]), each => each.charCodeAt(0));
  const made = new DOMParser().parseFromString(new TextDecoder().decode(bytes), "image/svg+xml");
  const all = [...made.querySelectorAll("*")];
  return {
    errors: made.querySelectorAll("parsererror").length,
    tags: all.map(each => each.tagName),
    attributes: all.flatMap(each => each.getAttributeNames()),
  };
}"""


def test_no_cell_of_what_is_saved_is_a_formula(browser, report, tmp_path):
    with Opened(browser, report) as opened:
        choose(opened, outcome="any")
        with opened.page.expect_download() as waiting:
            opened.page.click("#save")
        waiting.value.save_as(tmp_path / "q.csv")
        links = opened.page.eval_on_selector_all("a[download$='.csv']", "all => all.map(each => each.href)")
        texts = [opened.page.evaluate("link => atob(link.split(',')[1])", link) for link in links]
    for text in (*texts, (tmp_path / "q.csv").read_text()):
        for cell in (cell for row in csv.reader(io.StringIO(text)) for cell in row):
            assert not re.match(r"\s*[=+\-@]", cell) or re.fullmatch(r"-?\d[\d.]*(e-?\d+)?", cell), cell
    assert texts and "'=HYPERLINK(x)" in (tmp_path / "q.csv").read_text()


def longest_word(text: str) -> str:
    """Of what is printed as it is."""
    return max(re.findall("[!-~]+", text), key=len)[:40]
