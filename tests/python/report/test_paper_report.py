"""What people read of a reproduction: ours beside the paper's, complete, escaped, self-contained, always the same."""

import base64
import copy
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image as PILImage

from support import paper_results as made
from support.pages import Page
from vlmprobe.report import paper_tables, write_paper
from vlmprobe.report.draw.curve import rise
from vlmprobe.report.draw.scene import enlarged, verdict
from vlmprobe.report.paper.document import document
from vlmprobe.report.paper.figures import paper_figures
from vlmprobe.report.paper.markdown import escaped
from vlmprobe.report.paper.sensitivity import sensitivity
from vlmprobe.report.table.cells import estimate_cell, p_text, result_table
from vlmprobe.report.table.format import plain

FIGURES = ("curve", "figure-4", "figure-5a", "figure-5b", "figure-6", "figure-7")
SVG = "{http://www.w3.org/2000/svg}"
UNKNOWN = {"value": None, "low": None, "high": None, "n": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reproduction")
    assert write_paper(path, made.results()) == path / "report.html"
    return path


def drawn(figures, id):
    """One figure as the texts in it and its source."""
    (figure,) = (figure for figure in paper_figures({id: figures[id]}) if figure.id == id)
    root = ElementTree.fromstring(figure.standalone)
    return [element.text for element in root.iter(f"{SVG}text")], figure


def small_figures():
    """The figures with two methods, skills and stages: quick to draw."""
    figures = made.figures()
    for id in ("figure-4", "figure-5a", "figure-5b", "curve"):
        figures[id]["methods"] = figures[id]["methods"][:2]
    figures["figure-6"]["skills"] = figures["figure-6"]["skills"][:2]
    figures["figure-7"]["stages"] = figures["figure-7"]["stages"][:2]
    return figures


def one_row(*, ours, paper, percent=True, digits=1):
    column = {"key": "qvr", "title": "QVR %", "percent": percent, "digits": digits}
    row = {"labels": ["RL"], "ours": {"qvr": ours}, "paper": paper}
    return {"id": "t", "title": "T", "labels": ["method"], "columns": [column], "rows": [row], "notes": []}


def test_a_cell_has_our_number_its_interval_and_the_papers():
    ours = {"value": 0.834, "low": 0.801, "high": 0.862, "n": 512}
    assert str(result_table(one_row(ours=ours, paper={"qvr": 83.44})).rows[0][1]) == "83.4 [80.1, 86.2] | 83.44"


def test_what_is_not_known_is_a_dash_and_never_a_zero():
    assert str(estimate_cell(None)) == str(estimate_cell(UNKNOWN)) == str(estimate_cell({"value": float("nan")})) == "–"
    half = {"value": 0.5, "low": 0.25, "high": None, "n": 4}
    assert str(estimate_cell(half, percent=True)) == "50.0 [25.0, –]"
    assert (p_text(None), p_text(0.0004), p_text(0.0123), rise(UNKNOWN)) == (
        "",
        "p < 0.001",
        "p = 0.012",
        "rise – points",
    )
    assert rise({"value": 0.123, "low": 0.08, "high": 0.161, "p": 0.2}) == "rise +12.3 points [8.0, 16.1], p = 0.200"


@pytest.mark.parametrize(
    ("number", "digits", "printed"),
    [(0.3, 2, "0.30"), (131, 0, "131"), (131.0, 0, "131"), (83.44, 1, "83.44"), (88, 1, "88.00"), (0.125, 2, "0.125")],
)
def test_the_papers_number_stands_as_printed_there(number, digits, printed):
    table = result_table(one_row(ours=UNKNOWN, paper={"qvr": number}, percent=False, digits=digits))
    assert table.rows[0][1].paper == printed


def test_not_published_and_not_in_the_paper_are_told_apart():
    table = made.table_1()
    table["rows"][0]["paper"].pop("fdr")
    read = result_table(table)
    heads = [column.head for column in read.columns]
    by_method = {row[0].text: dict(zip(heads, row, strict=True)) for row in read.rows}
    assert by_method["Zero-shot"]["FDR %"].paper == "not published"
    assert by_method["SFT"]["FDR %"].paper == "37.02"
    assert by_method["Random valid"]["method"].remark == "not in the paper"
    assert by_method["Random valid"]["FDR %"].paper is None and by_method["SFT"]["method"].remark == ""
    assert by_method["SFT"]["LD, nats"].paper is None and read.notes[-1] == "Not published for any row: LD, nats."
    assert result_table(made.table_faults()).notes[-1] == "The paper has no such table."


def test_every_n_is_in_a_column_or_in_a_note():
    """n of skills is 700 in one row and 800 in the others; QVR has 1,024 in all, FDR and coverage 854, the rest 300."""
    read = result_table(made.table_1())
    assert [column.head for column in read.columns if column.size] == ["n of skills"]
    assert [row[-1].text for row in read.rows] == ["800"] * 6 + ["700", "800"]
    assert "n in every row: 1,024 of QVR; 854 of FDR, skill cov.; 300 of SD, LD, LD, nats." in read.notes
    assert "n in every row: 512." in result_table(one_row(ours=made.estimate(0.5), paper={"qvr": 1.0})).notes


def test_of_several_n_the_one_of_most_numbers_is_the_rest():
    table = made.table_1()
    for n, row in enumerate(table["rows"]):
        row["ours"]["qvr"]["n"] = 1000 + n
        row["ours"]["vendi"]["n"] = row["ours"]["ld"]["n"] = row["ours"]["ld_nats"]["n"] = 200 + n
    read = result_table(table)
    assert [column.head for column in read.columns if column.size] == ["n of QVR", "n of the rest", "n of skills"]
    assert [cell.text for cell in read.rows[1][-3:]] == ["1,001", "201", "800"]


def test_every_file_is_there_whole_and_equal_in_two_runs(folder, tmp_path, monkeypatch):
    for name in ("axes.labelsize", "xtick.labelsize", "axes.titlesize"):  # a style of the user's own
        monkeypatch.setitem(matplotlib.rcParams, name, 31.0)
    write_paper(tmp_path, made.results())
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert names == [*(f"figures/{id}.svg" for id in FIGURES), "report.html", "report.md"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_page_is_well_formed_and_refers_to_no_other_place(folder):
    source = (folder / "report.html").read_text()
    page = Page(source)
    assert page.open == [] and page.tags.count("svg") == 6
    ids = [value for name, value in page.attributes if name == "id"]
    targets = re.findall(r'(?:href="|url\()#([\w-]+)', source)
    assert len(ids) == len(set(ids)) and targets and set(targets) <= set(ids)
    assert not re.search(r"(https?:)?//\w", re.sub(r"base64,[\w+/=\s]+", "", source))
    assert not {"script", "link", "iframe", "object"} & set(page.tags) and "default-src 'none'" in source
    assert not re.search("#0102[0-9a-f]{2}", source)  # no stand-in for a colour is left
    used = set(re.findall(r"var\((--[\w-]+)\)", source))
    assert used <= set(re.findall(r"(--[\w-]+):", source))


def test_page_and_markdown_say_the_same(folder):
    page = Page((folder / "report.html").read_text()).text
    text = re.sub(r"\\(.)", r"\1", (folder / "report.md").read_text())
    for words in (
        "Of the paper's 3 claims, 1 holds, 1 does not, 1 is undecided.",
        "75.82 against 83.44",
        "Table 2: reward terms",
        "Not published for any row: LD, nats.",
        "its text gives RL 3,595 more than the next, SFT",
        "Of 57 pairs of a method and a skill that were compared, 1 is hard for one judge only; 4 more had too few",
        "seed 7",
        "learning rate",
        "torch 2.13.0",
        "Figures of the training pool are kept apart from the evaluation pass.",
    ):
        assert words in page and words in text, words
    assert "| RL | 83.4 [81.0, 85.8] | 83.44 | 34.2 [31.1, 37.3] | 47.58 |" in text
    assert "83.4 [81.0, 85.8] 83.44 34.2 [31.1, 37.3] 47.58" in page


def test_markdown_tables_are_whole_and_its_pictures_are_there(folder):
    text = (folder / "report.md").read_text()
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    pictures = re.findall(r"^!\[.*\]\((\S+)\)$", text, re.MULTILINE)
    assert len(pictures) == 6 and all((folder / picture).is_file() for picture in pictures)


HOSTILE = (
    "1. <script>alert(1)</script> | \"'><img src=x> $\\frac{$ [a](b) ``` a_b_c\n"
    '# \x1b[31m\u202eid="x url(#y #010205 {{ 7 }}'
)


def _poisoned(value, text, key=""):
    """`value` with `text` in every place that takes the words of a model or a user."""
    if isinstance(value, dict):
        return {name: _poisoned(inside, text, name) for name, inside in value.items()}
    if isinstance(value, list):
        return [_poisoned(inside, text, key) for inside in value]
    places = {"title", "name", "method", "text", "answer", "truth", "image", "skill", "kind", "claim", "where", "ours"}
    return text if isinstance(value, str) and key in places | {"labels", "notes", "settings", "scale"} else value


def _with(path, text):
    path.mkdir()
    write_paper(path, _poisoned({**made.results(), "figures": small_figures()}, text))
    return path


def test_hostile_text_is_shown_and_does_nothing(tmp_path):
    bad, good = _with(tmp_path / "bad", HOSTILE), _with(tmp_path / "good", "harmless " * 9)
    pages = [Page((path / "report.html").read_text()) for path in (bad, good)]
    assert pages[0].open == [] and pages[0].tags.count("script") == 0
    without = [[tag for tag in page.tags if tag not in {"text", "g", "path", "use", "defs", "tspan"}] for page in pages]
    assert without[0] == without[1]  # the same elements outside the drawings: nothing was added
    assert " ".join(plain(HOSTILE).split()) in pages[0].text
    for id in FIGURES:
        root = ElementTree.parse(bad / "figures" / f"{id}.svg").getroot()
        assert {element.tag for element in root.iter()} <= {f"{SVG}{tag}" for tag in _DRAWN}
    for file in ("report.html", "report.md"):
        assert not re.search("[\x00-\x08\x1b\u202e]", (bad / file).read_text())


_DRAWN = ("svg", "title", "defs", "style", "g", "path", "use", "text", "clipPath", "rect", "image", "tspan")


def test_hostile_text_makes_no_markdown(tmp_path):
    lines = [
        (_with(tmp_path / name, text) / "report.md").read_text().splitlines()
        for name, text in (("bad", HOSTILE), ("good", "harmless"))
    ]
    assert [line[:2] for line in lines[0] if line[:1] in "#|-!"] == [
        line[:2] for line in lines[1] if line[:1] in "#|-!"
    ]
    bars = [[len(re.findall(r"(?<!\\)\|", line)) for line in text] for text in lines]
    assert bars[0] == bars[1]  # the same cells
    assert not any(re.search(r"(?<!\\)[<`$]", line) for line in lines[0])
    assert escaped("a|b\n# c") == r"a\|b \# c" and escaped("12. x") == r"12\. x" and escaped("- x") == r"\- x"
    assert "://" not in escaped("http://evil.example") and "www" not in escaped("www.evil.example")


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
        found = paper_figures(figures)
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
    (method,) = small_figures()["curve"]["methods"][:1]
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
    figures = small_figures()
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
        (valid, correct): verdict({"valid": valid, "correct": correct})[0]
        for valid in (True, False, None)
        for correct in (True, False, None)
    }
    assert marks[True, True] == "✓ right" and marks[True, False] == "✗ wrong" and marks[False, False] == "○ invalid"
    assert {marks[key] for key in ((True, None), (None, True), (None, False), (None, None))} == {"? not judged"}


def test_claims_are_counted_by_verdict():
    one, *rest = made.claims()
    assert document({**made.results(), "claims": [one]}).lead == ("Of the paper's one claim, 1 holds.")
    several = [one, one, {**one, "verdict": "not measured"}]
    assert document({**made.results(), "claims": several}).lead == (
        "Of the paper's 3 claims, 2 hold, 1 is not measured."
    )
    assert [row[-1].verdict for row in document({**made.results(), "claims": rest}).claims.rows] == [
        "does not hold",
        "undecided",
    ]


def test_sensitivity_says_what_flips():
    read = sensitivity(made.sensitivity())
    assert read.sentences == [
        "The same questions and answers were judged by verifier and evaluator.",
        "The ranking by FDR changes. Highest first, verifier: RL, SFT, ConMe; evaluator: RL, ConMe, SFT.",
        "Of 3 pairs of methods 1 changes its order with the judge, and 1 changes its significance while the order "
        "stays.",
        "Of 57 pairs of a method and a skill that were compared, 1 is hard for one judge only; 4 more had too few "
        "questions under one of the judges.",
        "Ranked by mean reward, highest first, all agree: RL, SFT, ConMe.",
        "Of 1 pair of methods none changes its order or its significance with the reward.",
    ]
    tables = {table.id: [[str(cell) for cell in row] for row in table.rows] for table in read.tables}
    assert tables["judge-pairs"] == [
        ["SFT − ConMe", "1.6 [-1.4, 4.6] (p = 0.020)", "-2.1 [-5.1, 0.9] (p < 0.001)", "order"],
        ["RL − ConMe", "19.0 [16.0, 22.0] (p = 0.020)", "2.0 [-1.0, 5.0] (p < 0.001)", "significance"],
    ]
    assert tables["judge-rates"][0][3] == "34.2 [32.2, 36.2] (n 430)"
    assert tables["judge-skills"][0][-1] == "verifier"


def test_without_another_judge_the_report_says_so(tmp_path):
    bare = {"title": "T", "tables": [], "figures": {}, "claims": [], "sensitivity": None}
    source = write_paper(tmp_path, bare).read_text()
    for text in (Page(source).text, (tmp_path / "report.md").read_text()):
        assert "Not computed: no other judge has read these runs." in text
        assert "Claims of the paper" not in text and "None" not in text


@pytest.mark.parametrize("width", [1, 90, 100, 200])
def test_terminal_tables_keep_to_their_width_and_lose_nothing(width):
    shown = paper_tables(made.results(), width=width)
    if width >= 90:
        assert max(map(len, shown.splitlines())) <= width
    for words in ("83.4 [81.0, 85.8] | 83.44", "57 |   118", "Random valid (not in the paper)", "does not hold  "):
        assert words in shown, words
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_terminal_cannot_be_made_to_move_the_cursor():
    assert not re.search("[\x1b\u202e]", paper_tables(_poisoned(made.results(), HOSTILE)))


def test_errors(tmp_path):
    results = made.results()
    with pytest.raises(ValueError, match=r"^\[write_paper\] folder: no folder '.*nowhere'"):
        write_paper(tmp_path / "nowhere", results)
    with pytest.raises(ValueError, match=r"^\[report\] results: expected 'figures', got title, tables, claims"):
        write_paper(tmp_path, {"title": "T", "tables": [], "claims": []})
    with pytest.raises(
        ValueError, match=r"^\[report\] claim 'no-penalty': expected holds, .*not measured, got 'maybe'"
    ):
        document({**results, "claims": [{**made.claims()[0], "verdict": "maybe"}]})
    with pytest.raises(ValueError, match=r"^\[report\] value: expected a number or None, got 'high'"):
        result_table(one_row(ours={"value": "high"}, paper={}))
    with pytest.raises(ValueError, match=r"^\[report\] qvr: expected a number or None, got True"):
        result_table(one_row(ours=UNKNOWN, paper={"qvr": True}))
    wrong = copy.deepcopy(made.table_2())
    wrong["rows"][0]["labels"] = ["yes"]
    with pytest.raises(ValueError, match=r"^\[report\] table-2: expected 3 labels in a row, got 1"):
        result_table(wrong)
    results["figures"]["figure-7"]["png"] = "no picture"
    with pytest.raises(ValueError, match=r"^\[paper_figures\] png: expected the base64 of a PNG, got 'no picture'"):
        write_paper(tmp_path, results)
    with pytest.raises(ValueError, match=r"^\[paper_tables\] width: expected at least 1, got 0"):
        paper_tables(made.results(), width=0)
    assert list(tmp_path.iterdir()) == []  # nothing half written
