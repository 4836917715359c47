"""The demo's page: complete, escaped, self-contained, and honest about what is not known."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image as PILImage

from support import demo_results as made
from support.pages import Page
from support.run_pages import demo_page
from vlmprobe.report import FailureCard, read_summary
from vlmprobe.report.page.cards import one_of_each, picture
from vlmprobe.report.page.headline import headline
from vlmprobe.report.table.format import plain


@pytest.fixture(scope="module")
def full_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "report.html"
    notes = ["Executing answerer with five planted faults; oracle verifier."]
    title = "Failures of the executing answerer"
    return demo_page(path, read_summary(made.summary()), gallery=made.gallery(), title=title, notes=notes)


def test_page_is_well_formed_and_its_ids_are_unique(full_page):
    page = Page(full_page.read_text())
    assert page.open == []
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = re.findall(r'(?:href="|url\()#([\w-]+)', full_page.read_text())
    assert targets and set(targets) <= set(ids)


def test_every_colour_of_the_page_is_one_of_its_variables(full_page):
    source = full_page.read_text()
    assert not re.search("#0102[0-9a-f]{2}", source)  # no stand-in for a colour is left
    assert {"--line-0", "--line-1"} <= set(re.findall(r"var\((--[\w-]+)\)", source[source.index("<svg") :]))
    assert set(re.findall(r"var\((--[\w-]+)\)", source)) <= set(re.findall(r"(--[\w-]+):", source))


def test_page_has_every_part(full_page):
    page = Page(full_page.read_text())
    assert page.tags.count("svg") == 1
    assert page.tags.count("img") == 4  # one of each: three faults and a family without one
    for words in (
        "31.2",
        "[25.6, 37.5]",
        "3,591",
        "zero-shot",
        "4,352",
        "Of 5 planted faults the default way of asking detected 4",
        "left square",
        "purple_is_blue",
        "what color is the large square",
    ):
        assert words in page.text, words
    assert "num_objects ≥ 5: off_by_one" in page.text and "relation left or right: swap" in page.text
    assert "0.052" in page.text  # the rare fault's mass in percent


def test_page_refers_to_no_other_place(full_page):
    source = full_page.read_text()
    assert not re.search(r"(https?:)?//\w", re.sub(r"base64,[\w+/=]+", "", source))
    page = Page(source)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(value.startswith("data:image/") for name, value in page.attributes if name == "src")
    assert all(
        value.startswith(("#", "data:text/csv;", "data:image/svg")) for name, value in page.attributes if name == "href"
    )
    assert "default-src 'none'" in source


def test_two_pages_of_the_same_run_are_equal(full_page, tmp_path):
    notes = ["Executing answerer with five planted faults; oracle verifier."]
    title = "Failures of the executing answerer"
    again = demo_page(
        tmp_path / "r.html", read_summary(made.summary()), gallery=made.gallery(), title=title, notes=notes
    )
    assert again.read_bytes() == full_page.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title></svg><script>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "a\x00b\x1b[31m\u202egnorw",
    "\ud800",
    "]]><!--",
    "http://evil.example/",
]


def _page_with(tmp_path, text):
    """A page with `text` in every place that takes one."""
    summary = made.summary()
    summary["arms"] = {text: made.arm(1)}
    summary["versions"] = {text: text}
    summary["planted"] = {text: {"mass": 0.1, "when": {text: [text]}, "effect": text}}
    summary["hints"] = [{"hint": text, "pulls": 1, "judged": 1, "failures": 1}]
    fields = dict.fromkeys(("family", "question", "answer", "truth", "fault", "reason", "source"), text)
    card = FailureCard(**fields, image=made.scene(1))
    path = tmp_path / "page.html"
    demo_page(path, read_summary(summary), gallery=[card], title=text, notes=[text])
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(tmp_path, text):
    source = _page_with(tmp_path, text)
    page, harmless = Page(source), Page(_page_with(tmp_path, "harmless"))
    assert page.open == [] and page.tags == harmless.tags  # the same elements: nothing was added
    assert [name for name, _ in page.attributes] == [name for name, _ in harmless.attributes]
    assert not re.search("[\x00-\x08\x1b\u202e]", source)
    assert page.text.count(plain(text)) >= 10


def test_a_long_text_is_cut(tmp_path):
    card = FailureCard(family="count", question="q" * 10_000_000, answer="a")
    path = demo_page(tmp_path / "r.html", read_summary({"arms": {"default": {"fdr": 0.5}}}), gallery=[card])
    assert path.stat().st_size < 30_000


def test_unknown_numbers_are_dashes_and_empty_columns_are_left_out(tmp_path):
    nan = float("nan")
    arms = {"default": {"n_valid": 0, "fdr": nan, "fdr_interval": [nan, nan]}, "zero-shot": {"n_valid": 9, "fdr": 0.5}}
    page = Page(demo_page(tmp_path / "r.html", read_summary({"arms": arms})).read_text())
    assert "nan" not in page.text.lower() and "None" not in page.text
    assert "lexical diversity" not in page.text and page.tags.count("svg") == 0
    assert headline(read_summary({"arms": arms}))[-1] == (
        "Answered wrongly, of the valid questions: default – % (n = 0); zero-shot 50.0 % (n = 9)."
    )


def test_the_figure_has_a_line_for_each_arm_and_ends_where_the_table_does(full_page):
    page = Page(full_page.read_text())
    source = full_page.read_text()
    lines = set(re.findall(r"var\((--line-\d)\)", source[source.index("<svg") : source.index("</svg>")]))
    assert lines == {"--line-0", "--line-1", "--line-2"}
    assert "default 4 zero-shot 2 paper's reward 1" in page.text


def test_one_failure_of_each_kind_comes_first():
    """A kind is a planted fault, else a family."""
    named = [("count", "f"), ("count", "f"), ("color", None), ("size", "g"), ("color", None), ("count", None)]
    cards = [
        FailureCard(family=family, fault=fault, question=str(i), answer="a") for i, (family, fault) in enumerate(named)
    ]
    assert [card.question for card in one_of_each(cards)] == ["0", "2", "3", "5"]


def test_small_pictures_stay_exact_and_large_ones_are_reduced():
    small = picture(made.scene(0))
    assert (
        small.pixelated and small.uri.startswith("data:image/png;base64,") and (small.width, small.height) == (64, 64)
    )
    large = picture(PILImage.new("RGB", (1280, 640)))
    assert not large.pixelated and (large.width, large.height) == (320, 160) and len(large.uri) < 5000


def test_every_picture_of_the_page_can_be_decoded_whole(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)  # a PNG far beyond a text's limit
    cards = [
        FailureCard(family="f", question="q", answer="a", image=PILImage.fromarray(noise)),
        FailureCard(family="g", question="q", answer="a", image=PILImage.new("RGB", (900, 600), "red")),
    ]
    summary = read_summary({"arms": {"default": {"fdr": 0.5}}})
    page = demo_page(tmp_path / "page.html", summary, gallery=cards).read_text()
    uris = re.findall(r'src="data:image/[a-z]+;base64,([^"]+)"', page)
    pictures = [PILImage.open(io.BytesIO(base64.b64decode(uri, validate=True))) for uri in uris]
    assert [image.size for image in pictures] == [(64, 64), (320, 213)]
    assert np.array_equal(np.asarray(pictures[0].convert("RGB")), noise)
