"""What a demo found in sentences, and as the terminal's table: worked by hand, and honest about what is not
known."""

import re

import pytest

from support import demo_results as made
from support.pages import Page
from support.run_pages import demo_page
from vlmprobe.report import comparison, read_summary
from vlmprobe.report.page.headline import headline
from vlmprobe.report.table.format import count, decimal, percent, plain, small_percent


def test_headline_worked_by_hand():
    """Of 7,013 questions 51.2 % are valid: 3,591; of 4,672 79 %: 3,691; of 4,352 91.2 %: 3,969."""
    assert headline(read_summary(made.summary())) == [
        "Of 5 planted faults the default way of asking detected 4, zero-shot 2 and the paper's reward 1, at the same "
        "3,000 answerer calls each.",
        "A fault counts as detected once ten different pairs of a picture and a question showed it. All of them can be "
        "reached: each is met by at least 0.03 % of valid questions.",
        "The default way of asking found 143 different programs (kinds of question) that fail, zero-shot 46 and the "
        "paper's reward 38.",
        "Answered wrongly, of the valid questions: default 31.2 % (25.6 to 37.5, n = 3,591); zero-shot 4.1 % (3.4 to "
        "4.9, n = 3,691); paper's reward 24.1 % (19.8 to 28.9, n = 3,969).",
    ]


def test_faults_too_rare_to_be_reached_are_said():
    summary = made.summary() | {"reachable": 3}
    assert headline(read_summary(summary))[1].endswith(
        " 3 of them can be expected to be reached, being met by at least 0.03 % of valid questions; the others are "
        "rarer."
    )


def test_calls_are_called_equal_only_when_they_are(tmp_path):
    equal, unequal, unknown = made.summary(), made.summary(), made.summary()
    unequal["arms"]["paper"]["answerer_calls"] = 2999
    unknown["arms"]["paper"]["answerer_calls"] = None
    for summary, words in ((equal, "equal"), (unequal, "different or unknown"), (unknown, "different or unknown")):
        first = headline(read_summary(summary))[0]
        assert ("at the same 3,000 answerer calls" in first) == (summary is equal)
        assert ("zero-shot (at 3,000 answerer calls) 2" in first) == (summary is not equal)
        page = Page(demo_page(tmp_path / "r.html", read_summary(summary)).read_text())
        assert f"Ways of asking, at {words} answerer calls" in page.text


def test_without_planted_faults_the_programs_come_first():
    summary = made.summary() | {"planted": {}}
    assert headline(read_summary(summary))[0] == (
        "The default way of asking found 143 different programs (kinds of question) that fail, zero-shot 46 and the "
        "paper's reward 38, at the same 3,000 answerer calls each."
    )
    assert "Planted faults" not in comparison(read_summary(summary))


def test_terminal_table_worked_by_hand():
    arms = {
        "default": {"answerer_calls": 9, "fdr": 0.25, "fdr_interval": [0.2, 0.3], "detected_10": 1, "reached": 1},
        "valid * wrong": {"answerer_calls": 9, "fdr": float("nan"), "detected_10": 0},
    }
    assert comparison(read_summary({"arms": arms, "planted": {"a": {}}, "reachable": 1})) == (
        "Of 1 planted fault the default way of asking detected 1 and the reward valid * wrong 0, at the same\n"
        "9 answerer calls each.\n"
        "\n"
        "                                   default  valid * wrong\n"
        "Planted faults  reached                  1              –\n"
        "                ≥ 10                     1              0\n"
        "Cost            calls                    9              9\n"
        "Failures        FDR %    25.0 [20.0, 30.0]              –"
    )


@pytest.mark.parametrize("width", [1, 60, 80, 100, 200])
def test_terminal_table_keeps_to_its_width_and_loses_no_arm(width):
    said = comparison(read_summary(made.summary()), width=width)
    if width >= 60:
        assert max(map(len, said.splitlines())) <= width
    table = said.split("\n\n", 1)[1]
    for name in ("default", "zero-shot", "paper's reward"):
        assert len(re.findall(rf"{name}(?!\w)", table)) == 1
    assert "31.2 [25.6, 37.5]" in table


def test_terminal_table_cannot_be_made_to_move_the_cursor():
    said = comparison(read_summary({"arms": {"\x1b[2Jx\ny" + "z" * 99: {"fdr": 0.5}}}), width=400)
    assert "\x1b" not in said and len(said.splitlines()) == 4


def test_numbers_as_printed():
    assert (percent(0.3125), percent(float("nan")), percent(None), percent(0.0)) == ("31.2", "–", "–", "0.0")
    assert (small_percent(0.00052), small_percent(0.041), small_percent(0.0), small_percent(None)) == (
        "0.052",
        "4.1",
        "0.0",
        "–",
    )
    assert (count(12345), count(0), count(None)) == ("12,345", "0", "–")
    assert (decimal(1234.5, 1), decimal(float("inf"))) == ("1,234.5", "inf")
    assert plain("a\x00b\u202ec", 12) == "a⟨U+0000⟩b…" and plain("ok\n\t") == "ok\n\t"


def test_errors(tmp_path):
    good = read_summary({"arms": {"default": {"fdr": 0.5}}})
    with pytest.raises(ValueError, match=r"^\[write_run_page\] path: no folder '.*nowhere'"):
        demo_page(tmp_path / "nowhere" / "r.html", good)
    with pytest.raises(ValueError, match=r"^\[comparison\] width: expected at least 1, got 0"):
        comparison(good, width=0)
    assert list(tmp_path.iterdir()) == []  # nothing half written
