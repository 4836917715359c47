"""What people read of a reproduction: ours beside the paper's, complete, escaped, self-contained, always the same."""

import copy
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from support import paper_results as made
from support.pages import Page
from vlmprobe.report import paper_tables, read_results, write_paper
from vlmprobe.report.paper.document import document
from vlmprobe.report.paper.sensitivity import sensitivity
from vlmprobe.report.paper.tables import result_table
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.results.paper import ResultTable
from vlmprobe.report.results.reading import read
from vlmprobe.report.results.sensitivity import JudgeSensitivity
from vlmprobe.report.table.cells import estimate_cell
from vlmprobe.report.table.format import p_text, plain
from vlmprobe.report.table.markdown import escaped

FIGURES = ("curve", "figure-4", "figure-5a", "figure-5b", "figure-6", "figure-7")
SVG = "{http://www.w3.org/2000/svg}"
UNKNOWN = {"value": None, "low": None, "high": None, "n": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reproduction")
    assert write_paper(path, read_results(made.results())) == path / "report.html"
    return path


def one_row(*, ours, paper, percent=True, digits=1):
    column = {"key": "qvr", "title": "QVR %", "percent": percent, "digits": digits}
    row = {"labels": ["RL"], "ours": {"qvr": ours}, "paper": paper}
    return {"id": "t", "title": "T", "labels": ["method"], "columns": [column], "rows": [row], "notes": []}


def as_printed(table):
    return result_table(read(ResultTable, table, "table"))


def test_a_cell_has_our_number_its_interval_and_the_papers():
    ours = {"value": 0.834, "low": 0.801, "high": 0.862, "n": 512}
    assert str(as_printed(one_row(ours=ours, paper={"qvr": 83.44})).rows[0][1]) == "83.4 [80.1, 86.2] | 83.44"


def test_what_is_not_known_is_a_dash_and_never_a_zero():
    assert str(estimate_cell()) == str(estimate_cell(Estimate(n=0))) == "–"
    assert str(as_printed(one_row(ours=UNKNOWN, paper={})).rows[0][1]) == "–"
    assert str(estimate_cell(Estimate(value=0.5, low=0.25, n=4), percent=True)) == "50.0 [25.0, –]"
    assert (p_text(None), p_text(0.0004), p_text(0.0123)) == ("", "p < 0.001", "p = 0.012")


@pytest.mark.parametrize(
    ("number", "digits", "printed"),
    [(0.3, 2, "0.30"), (131, 0, "131"), (131.0, 0, "131"), (83.44, 1, "83.44"), (88, 1, "88.00"), (0.125, 2, "0.125")],
)
def test_the_papers_number_stands_as_printed_there(number, digits, printed):
    table = as_printed(one_row(ours=UNKNOWN, paper={"qvr": number}, percent=False, digits=digits))
    assert table.rows[0][1].paper == printed


def test_not_published_and_not_in_the_paper_are_told_apart():
    table = made.table_1()
    table["rows"][0]["paper"].pop("fdr")
    printed = as_printed(table)
    heads = [column.head for column in printed.columns]
    by_method = {row[0].text: dict(zip(heads, row, strict=True)) for row in printed.rows}
    assert by_method["Zero-shot"]["FDR %"].paper == "not published"
    assert by_method["SFT"]["FDR %"].paper == "37.02"
    assert by_method["Random valid"]["method"].remark == "not in the paper"
    assert by_method["Random valid"]["FDR %"].paper is None and by_method["SFT"]["method"].remark == ""
    assert by_method["SFT"]["LD, nats"].paper is None and printed.notes[-1] == "Not published for any row: LD, nats."
    assert as_printed(made.table_faults()).notes[-1] == "The paper has no such table."


def test_every_n_is_in_a_column_or_in_a_note():
    """n of skills is 700 in one row and 800 in the others; QVR has 1,024 in all, FDR and coverage 854, the rest 300."""
    printed = as_printed(made.table_1())
    assert [column.head for column in printed.columns if column.size] == ["n of skills"]
    assert [row[-1].text for row in printed.rows] == ["800"] * 6 + ["700", "800"]
    assert "n in every row: 1,024 of QVR; 854 of FDR, skill cov.; 300 of SD, LD, LD, nats." in printed.notes
    assert "n in every row: 512." in as_printed(one_row(ours=made.estimate(0.5), paper={"qvr": 1.0})).notes


def test_of_several_n_the_one_of_most_numbers_is_the_rest():
    table = made.table_1()
    for n, row in enumerate(table["rows"]):
        row["ours"]["qvr"]["n"] = 1000 + n
        row["ours"]["vendi"]["n"] = row["ours"]["ld"]["n"] = row["ours"]["ld_nats"]["n"] = 200 + n
    printed = as_printed(table)
    assert [column.head for column in printed.columns if column.size] == ["n of QVR", "n of the rest", "n of skills"]
    assert [cell.text for cell in printed.rows[1][-3:]] == ["1,001", "201", "800"]


def test_every_file_is_there_whole_and_equal_in_two_runs(folder, tmp_path, monkeypatch):
    for name in ("axes.labelsize", "xtick.labelsize", "axes.titlesize"):  # a style of the user's own
        monkeypatch.setitem(matplotlib.rcParams, name, 31.0)
    write_paper(tmp_path, read_results(made.results()))
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
    write_paper(path, read_results(_poisoned({**made.results(), "figures": made.small_figures()}, text)))
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


def test_claims_are_counted_by_verdict():
    one, *rest = made.claims()
    assert document(read_results({**made.results(), "claims": [one]})).lead == ("Of the paper's one claim, 1 holds.")
    several = [one, one, {**one, "verdict": "not measured"}]
    assert document(read_results({**made.results(), "claims": several})).lead == (
        "Of the paper's 3 claims, 2 hold, 1 is not measured."
    )
    assert [row[-1].verdict for row in document(read_results({**made.results(), "claims": rest})).claims.rows] == [
        "does not hold",
        "undecided",
    ]


def test_sensitivity_says_what_flips():
    section = sensitivity(read(JudgeSensitivity, made.sensitivity(), "sensitivity"))
    assert section.sentences == [
        "The same questions and answers were judged by verifier and evaluator.",
        "The ranking by FDR changes. Highest first, verifier: RL, SFT, ConMe; evaluator: RL, ConMe, SFT.",
        "Of 3 pairs of methods 1 changes its order with the judge, and 1 changes its significance while the order "
        "stays.",
        "Of 57 pairs of a method and a skill that were compared, 1 is hard for one judge only; 4 more had too few "
        "questions under one of the judges.",
        "Ranked by mean reward, highest first, all agree: RL, SFT, ConMe.",
        "Of 1 pair of methods none changes its order or its significance with the reward.",
    ]
    tables = {table.id: [[str(cell) for cell in row] for row in table.rows] for table in section.tables}
    assert tables["judge-pairs"] == [
        ["SFT − ConMe", "1.6 [-1.4, 4.6] (p = 0.020)", "-2.1 [-5.1, 0.9] (p < 0.001)", "order"],
        ["RL − ConMe", "19.0 [16.0, 22.0] (p = 0.020)", "2.0 [-1.0, 5.0] (p < 0.001)", "significance"],
    ]
    assert tables["judge-rates"][0][3] == "34.2 [32.2, 36.2] (n 430)"
    assert tables["judge-skills"][0][-1] == "verifier"


def test_without_another_judge_the_report_says_so(tmp_path):
    bare = {"title": "T", "tables": [], "figures": {}, "claims": [], "sensitivity": None}
    source = write_paper(tmp_path, read_results(bare)).read_text()
    for text in (Page(source).text, (tmp_path / "report.md").read_text()):
        assert "Not computed: no other judge has read these runs." in text
        assert "Claims of the paper" not in text and "None" not in text


@pytest.mark.parametrize("width", [1, 90, 100, 200])
def test_terminal_tables_keep_to_their_width_and_lose_nothing(width):
    shown = paper_tables(read_results(made.results()), width=width)
    if width >= 90:
        assert max(map(len, shown.splitlines())) <= width
    for words in ("83.4 [81.0, 85.8] | 83.44", "57 |   118", "Random valid (not in the paper)", "does not hold  "):
        assert words in shown, words
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_terminal_cannot_be_made_to_move_the_cursor():
    assert not re.search("[\x1b\u202e]", paper_tables(read_results(_poisoned(made.results(), HOSTILE))))


def test_errors(tmp_path):
    results = made.results()
    with pytest.raises(ValueError, match=r"^\[write_paper\] folder: no folder '.*nowhere'"):
        write_paper(tmp_path / "nowhere", read_results(results))
    with pytest.raises(
        ValueError, match=r"^\[report\] claim 'no-penalty': expected holds, .*not measured, got 'maybe'"
    ):
        document(read_results({**results, "claims": [{**made.claims()[0], "verdict": "maybe"}]}))
    wrong = copy.deepcopy(made.table_2())
    wrong["rows"][0]["labels"] = ["yes"]
    with pytest.raises(ValueError, match=r"^\[report\] table-2: expected 3 labels in a row, got 1"):
        as_printed(wrong)
    results["figures"]["figure-7"]["png"] = "no picture"
    with pytest.raises(ValueError, match=r"^\[paper_figures\] png: expected the base64 of a PNG, got 'no picture'"):
        write_paper(tmp_path, read_results(results))
    with pytest.raises(ValueError, match=r"^\[paper_tables\] width: expected at least 1, got 0"):
        paper_tables(read_results(made.results()), width=0)
    assert list(tmp_path.iterdir()) == []  # nothing half written
