"""The page of a run in a real Chromium: every section, the filters, the links, hostile texts, no script, no network."""

import csv
import io
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image as PILImage

from support.browser import Opened, choose, count
from support.run_ledgers import page_of

SECTIONS = {
    "fails": "What fails", "rates": "Rates", "judges": "Who judged", "skills": "Skills", "questions": "All questions",
    "curve": "Failures over questions", "density": "Skills over training", "picture": "One picture through training",
    "combinations": "Combinations and complexity", "shared": "Shared and exclusive skills",
    "across": "Across answerers", "steps": "Rewards, entropy and guards", "cost": "Cost", "faults": "Planted faults",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("run"))


@pytest.fixture
def opened(browser, report):
    with Opened(browser, report) as page:
        yield page
        assert page.wrong == [] and page.elsewhere() == []


TITLES = "all => all.map(each => [each.id, each.querySelector('h2').firstChild.textContent.trim()])"


def test_every_section_is_there_and_can_be_seen(opened, tmp_path):
    titles = opened.page.eval_on_selector_all("main > section", TITLES)
    assert dict(titles) == SECTIONS and [name for name, _ in titles] == list(SECTIONS)
    for name in SECTIONS:
        path = tmp_path / f"{name}.png"
        opened.page.locator(f"section#{name}").screenshot(path=path)
        with PILImage.open(path) as shot:
            assert len(shot.convert("RGB").getcolors(1 << 24)) > 20 and shot.width > 1000, name


def test_the_sections_say_what_the_ledger_has(opened):
    """480 questions: of each run each seventh of 240 is invalid, 35; of the 205 valid ones each eleventh is late."""
    assert opened.page.title() == "Where the answerer of rl fails"
    assert "Questions with “purple” fail in 100.0 %" in opened.text("header")
    assert "step 4: KL is 0.60" in opened.text("header")
    assert re.sub(r"\s+", " ", opened.text("#comparison-rates")).count(" 240 85.4 ") == 2
    assert "an answer timeout 36" in re.sub(r"\s+", " ", opened.text("#comparison-missing"))
    assert "second" in opened.text("#comparison-agreement") and "its own votes" in opened.text("#comparison-agreement")
    assert "purple-things" in opened.text("#faults-faults")


def test_the_gallery_begins_with_the_failures_and_filters(opened):
    failures = count(opened)
    assert opened.text("#count") == f"{failures} of 480 questions"
    assert opened.page.locator("#found li").count() == opened.page.locator("#found dd.wrong").count() == 48
    assert choose(opened, outcome="any") == 480
    parts = {name: choose(opened, outcome=name) for name in ("wrong", "right", "invalid", "unscored")}
    assert parts == {"wrong": failures, "right": 374 - failures, "invalid": 70, "unscored": 36}
    choose(opened, outcome="any")
    assert choose(opened, method="zero-shot") == 240
    assert choose(opened, **{"from": "2", "to": "3"}) == 48
    assert choose(opened, answerer="tiny-0") == 0 and "No question" in opened.text("#count")
    opened.page.click("#clear")
    assert count(opened) == 480
    assert choose(opened, text="PURPLE rim") == 96
    assert all("purple" in text and "rim" in text for text in opened.page.locator("#found .question").all_inner_texts())
    assert choose(opened, text="scene-11-30") == 12
    assert "outcome" not in opened.page.url and "text=scene-11-30" in opened.page.url


def test_links_lead_to_the_questions_of_a_mode_and_of_a_skill(opened):
    page = opened.page
    page.click("#comparison-modes a")
    assert "mode=" in page.url and 0 < count(opened) < 480
    assert all("purple" in text for text in page.locator("#found .question").all_inner_texts())
    page.click("#comparison-skills a >> text=telling stars")
    assert all("telling stars" in text for text in page.locator("#found .source").all_inner_texts()[::2])
    assert page.locator("#filters [name=mode]").input_value() == ""
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#filters [name=skill] option:checked").inner_text() == "telling stars"
    for link in page.locator("nav.contents a").all():
        link.click()
        assert page.locator(f"section{link.get_attribute('href')}").is_visible()


def test_pages_of_questions_are_gone_through_by_keyboard(opened):
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the findings"
    choose(opened, outcome="any")
    first = page.locator("#found li").first.inner_text()
    page.focus("#after")
    page.keyboard.press("Enter")
    assert opened.text("#place") == "49 to 96" and page.locator("#found li").first.inner_text() != first
    page.focus("#before")
    page.keyboard.press("Enter")
    assert opened.text("#place") == "1 to 48" and page.locator("#before").is_disabled()


def test_charts_tables_and_questions_can_be_saved(opened, tmp_path):
    def saved(selector):
        with opened.page.expect_download() as waiting:
            opened.page.locator(selector).first.click()
        waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
        return (tmp_path / waiting.value.suggested_filename).read_text()

    assert saved("#chart-cumulative a >> text=SVG").startswith("<?xml")
    rows = list(csv.DictReader(io.StringIO(saved("#chart-cumulative a >> text=CSV"))))
    assert {row["asked by"] for row in rows} == {"rl", "zero-shot"}
    assert all(float(row["low"]) <= float(row["FDR"]) <= float(row["high"]) for row in rows)
    assert len(opened.page.locator("figure").all()) == len(opened.page.locator("figure a[download$='.svg']").all()) >= 7
    table = list(csv.DictReader(io.StringIO(saved("#rates a >> text=CSV"))))
    assert table[0]["questions"] == "240" and float(table[0]["valid, %, low"]) < float(table[0]["valid, %"])
    choose(opened, outcome="any")
    assert len(list(csv.reader(io.StringIO(saved("#save"))))) == 481


def test_without_scripts_modes_and_failures_are_read(browser, report):
    with Opened(browser, report, java_script_enabled=False) as opened:
        assert "questions with “purple”" in opened.text("#fails") and opened.page.locator("#fails img").count() == 3
        assert opened.page.locator("#found li").count() == 24 and not opened.page.locator("#filters").is_visible()
        assert "24 failures. Where scripts may run" in opened.text("#count")
        assert opened.wrong == [] and opened.elsewhere() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_audit_finds_nothing_serious(browser, report, scheme):
    with Opened(browser, report, color_scheme=scheme) as opened:
        found = Axe().run(opened.page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 20, 23)"
        )


def test_what_is_printed_has_no_controls(browser, report):
    with Opened(browser, report) as opened:
        opened.page.emulate_media(media="print")
        for name in ("#filters", "nav.contents", ".saves >> nth=0"):
            assert not opened.page.locator(name).is_visible()
        assert opened.page.locator("#fails h2").is_visible() and len(opened.page.pdf()) > 20_000
