"""The paper's figures: what they show, how they print what is not known, and that texts in them stay texts."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image as PILImage

from support import paper_results as made
from support.pages import Page
from vlmprobe.report.draw.curve import rise
from vlmprobe.report.draw.scene import enlarged, verdict
from vlmprobe.report.paper.figures import paper_figures
from vlmprobe.report.results.figures import Figures, Question
from vlmprobe.report.results.numbers import NO_DIFFERENCE, Difference
from vlmprobe.report.results.reading import read

FIGURES = ("curve", "figure-4", "figure-5a", "figure-5b", "figure-6", "figure-7")
SVG = "{http://www.w3.org/2000/svg}"
UNKNOWN = {"value": None, "low": None, "high": None, "n": 0}


def drawn(figures, id):
    """One figure as the texts in it and its source."""
    (figure,) = (figure for figure in paper_figures(read(Figures, {id: figures[id]}, "figures")) if figure.id == id)
    root = ElementTree.fromstring(figure.standalone)
    return [element.text for element in root.iter(f"{SVG}text")], figure


def test_the_rise_of_a_curve_is_told_with_its_interval():
    assert rise(NO_DIFFERENCE) == "rise – points"
    assert rise(Difference(value=0.123, low=0.08, high=0.161, p=0.2)) == "rise +12.3 points [8.0, 16.1], p = 0.200"


def test_a_text_in_a_drawing_stays_as_it_is():
    """Ids and colours are replaced in the tags of a drawing and not in what it says."""
    words = 'id="x" url(#y) #010205'
    figures = {
        "figure-7": {
            **made.figures()["figure-7"],
            "stages": [{"step": 0, "questions": [made.question(words, True, False, "a", "b")]}],
        }
    }
    texts, figure = drawn(figures, "figure-7")
    assert words in texts and words in Page(figure.inline).words


def test_figures_without_numbers_are_a_sentence():
    empty = {"figure-4": {"methods": []}, "figure-6": {"method": "RL", "steps": [0, 9], "skills": [], "counts": {}}}
    for figures in ({}, empty):
        found = paper_figures(read(Figures, figures, "figures"))
        assert sorted(figure.id for figure in found) == list(FIGURES)
        for figure in found:
            assert "No numbers in this run." in figure.standalone and figure.caption == "No numbers in this run."


def test_figures_of_unknown_numbers_show_dashes():
    figures = {
        "figure-4": {"methods": [{"name": "RL", "skills": None, "shared": None, "exclusive": None, "paper": {}}]},
        "figure-5a": {"methods": [{"name": "RL", "combinations": UNKNOWN}]},
        "figure-5b": {"methods": [{"name": "RL", "shares": [UNKNOWN] * 4}]},
        "curve": {"methods": [{"name": "RL", "points": [{"asked": 9, **UNKNOWN}], "rise": {**UNKNOWN, "p": None}}]},
        "figure-6": {
            "method": "RL",
            "steps": [0, 0],
            "counts": {},
            "skills": [{"skill": "count", "kind": "early", "densities": [None, None], "q": None, "n": 0}],
        },
        "figure-7": {"method": "RL", "image": "i", "png": None, "stages": [{"step": 0, "questions": []}]},
    }
    shown = {id: " ".join(drawn(figures, id)[0]) for id in FIGURES}
    assert "–" in shown["figure-4"] and "–, n 0" in shown["figure-5a"] and shown["figure-5b"].count("–") == 4
    assert "rise – points" in shown["curve"] and "–" in shown["figure-6"] and "no question" in shown["figure-7"]
    assert "The picture is not kept." in shown["figure-7"]


def test_figures_print_the_papers_numbers_or_that_there_are_none():
    texts, _ = drawn(made.figures(), "figure-4")
    assert texts.count("131, 36 exclusive") == texts.count("89, 17 exclusive") == 1
    assert texts.count("not published") == 6  # of eight methods
    for id in ("figure-5a", "figure-5b", "figure-6", "curve"):
        assert "not published" in " ".join(drawn(made.figures(), id)[0]), id


def test_figure_4_stacks_what_is_shared_and_what_is_exclusive():
    """61 skills, 40 shared and 7 exclusive leave 14 of some methods; alone, a method shares all it has."""
    method = {"name": "RL", "skills": 61, "shared": 40, "exclusive": 7, "paper": {}}
    assert {"40", "14", "7", "61"} <= set(drawn({"figure-4": {"methods": [method]}}, "figure-4")[0])
    alone = {**method, "shared": 61, "exclusive": 61}
    assert drawn({"figure-4": {"methods": [alone]}}, "figure-4")[0].count("61") == 2  # one bar, and its total


def test_more_methods_than_colours_are_told_apart_by_dashes():
    (method,) = made.small_figures()["curve"]["methods"][:1]
    dashed = ["stroke-dasharray" in drawn({"curve": {"methods": [method] * n}}, "curve")[1].svg for n in (8, 9)]
    assert dashed == [False, True]


@pytest.mark.parametrize(
    ("id", "key", "look", "count"),
    [
        ("figure-5a", "combinations", "stroke-width: 1.2", 2),  # one of each of two methods
        ("figure-5b", "shares", "stroke-width: 1.2", 8),  # four
        ("curve", "points", "opacity: 0.13", 2),  # a band
    ],
)
def test_intervals_are_drawn(id, key, look, count):
    figures = made.small_figures()
    assert drawn(figures, id)[1].svg.count(look) == count
    for method in figures[id]["methods"]:
        for estimate in method[key] if isinstance(method[key], list) else [method[key]]:
            estimate["low"] = estimate["high"] = None
    assert drawn(figures, id)[1].svg.count(look) == 0


def test_figure_6_shows_of_a_class_the_smallest_q_and_says_how_many():
    texts, figure = drawn(made.figures(), "figure-6")
    assert "undecided: 14 skills, 12 of them shown" in texts and "early: 3 skills" in texts
    assert "pair of families 11" in texts and "pair of families 12" not in texts
    assert [text for text in texts if text in ("early: 3 skills", "late: 4 skills", "persistent: 3 skills")] == [
        "early: 3 skills",
        "late: 4 skills",
        "persistent: 3 skills",
    ]
    assert "By class: early 3, late 4, persistent 3, undecided 14." in figure.caption


def test_figure_7_enlarges_the_picture_exactly_and_marks_what_is_wrong():
    texts, figure = drawn(made.figures(), "figure-7")
    original = np.asarray(PILImage.open(io.BytesIO(base64.b64decode(made.scene()))).convert("RGB"))
    pixels = enlarged(made.scene())
    assert pixels.shape == (384, 384, 3) and np.array_equal(pixels[3::6, 3::6], original)
    assert np.array_equal(pixels, original.repeat(6, 0).repeat(6, 1))
    (uri,) = re.findall(r"data:image/png;base64,\s*([\w+/=\s]+)", figure.standalone)
    embedded = np.asarray(PILImage.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"))
    assert np.array_equal(embedded, pixels) or np.array_equal(embedded[::-1], pixels)
    assert [texts.count(mark) for mark in ("✗ wrong", "✓ right", "○ invalid", "? not judged")] == [2, 2, 1, 1]
    assert "answered: no; true: yes" in texts


def test_only_a_valid_question_that_was_judged_is_right_or_wrong():
    marks = {
        (valid, correct): verdict(Question(text="q", valid=valid, correct=correct))[0]
        for valid in (True, False, None)
        for correct in (True, False, None)
    }
    assert marks[True, True] == "✓ right" and marks[True, False] == "✗ wrong" and marks[False, False] == "○ invalid"
    assert {marks[key] for key in ((True, None), (None, True), (None, False), (None, None))} == {"? not judged"}
