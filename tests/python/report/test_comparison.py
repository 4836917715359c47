"""What a demo found in sentences, as the terminal's table and as curves: worked by hand, and honest about what is not
known."""

import re

import numpy as np
import pytest

from support import demo_results as made
from support.pages import Page
from vlmprobe.report import Panel, comparison, read_curves, read_summary, write_page
from vlmprobe.report.draw.panels import charts, smooth
from vlmprobe.report.page.headline import headline
from vlmprobe.report.table.format import count, decimal, percent, plain, small_percent


def test_headline_worked_by_hand():
    """0.3125 / 0.041 = 7.62; 46 programs before, 143 after; families fall from 9.26 to 2.99."""
    sentences = headline(read_summary(made.summary()))
    assert sentences[0] == (
        "After 150 training steps the answerer gets 31.2 % (25.6 to 37.5, n = 1,401) of the valid questions wrong, "
        "7.6 times the rate before: 4.1 % (3.4 to 4.9, n = 1,213)."
    )
    assert (
        "143 distinct programs, before 46, in 3.0 effective families, before 9.3: more failures in fewer families"
        in sentences[2]
    )
    assert sentences[3] == "Of 5 planted faults 5 were detected, before 4."
    assert sentences[4].startswith(
        "Failure rates of whole runs at equal answerer calls: zero-shot 4.0 % (3.3 to 4.9, n = 19,366), 5 faults"
    )


def test_arms_are_called_equal_only_when_their_calls_are(tmp_path):
    """19,366, 19,287 and 19,459 calls spread by 0.9 % of the largest; with 19,000 by 2.4 %, where 2 % are allowed."""
    equal, unequal, unknown = made.summary(), made.summary(), made.summary()
    unequal["arms"]["paper"]["answerer_calls"] = 19_000
    unknown["arms"]["paper"]["answerer_calls"] = None
    for summary, words in ((equal, "equal"), (unequal, "different or unknown"), (unknown, "different or unknown")):
        assert headline(read_summary(summary))[-1].startswith(
            f"Failure rates of whole runs at {words} answerer calls: "
        )
        page = Page(write_page(tmp_path / "r.html", summary=read_summary(summary)).read_text())
        assert f"Whole runs, training included, at {words} answerer calls" in page.text


def test_terminal_table_worked_by_hand():
    summary = {
        "before": {"n_valid": 1000, "fdr": 0.25, "fdr_interval": [0.2, 0.3], "faults": {"a": {"reached": 3}}},
        "after": {"n_valid": 8, "fdr": float("nan"), "faults": {"a": {"reached": 0, "detected": 0}}},
    }
    assert comparison(read_summary(summary)) == (
        "                                      before  after\n"
        "Questions       valid                  1,000      8\n"
        "Failures        FDR %      25.0 [20.0, 30.0]      –\n"
        "Planted faults  reached                    1      0\n"
        "                triggered                  0      0\n"
        "                detected                   0      0"
    )


@pytest.mark.parametrize("width", [1, 60, 80, 100, 200])
def test_terminal_table_keeps_to_its_width_and_loses_no_run(width):
    table = comparison(read_summary(made.summary()), width=width)
    if width >= 60:
        assert max(map(len, table.splitlines())) <= width
    for name in ("before", "after", "zero-shot", "paper", "coverage"):
        assert len(re.findall(rf"\b{name}\b", table)) == 1
    assert "31.2 [25.6, 37.5]" in table


def test_terminal_table_cannot_be_made_to_move_the_cursor():
    table = comparison(read_summary({"arms": {"\x1b[2Jx\ny" + "z" * 99: {"fdr": 0.5}}}))
    assert "\x1b" not in table and len(table.splitlines()) == 2


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


def test_running_mean_leaves_gaps_out():
    """Window 2 over 1, -, 3, 5, -, -: 1, 1, 3, 4, 5, -."""
    nan = float("nan")
    np.testing.assert_array_equal(smooth(np.array([1, nan, 3, 5, nan, nan]), 2), [1, 1, 3, 4, 5, nan])


def test_charts_without_numbers_are_not_drawn():
    assert charts(read_curves([])) == []
    assert [
        chart.title for chart in charts(read_curves([{"step": 0, "kl": 0.1, "fdr": None}, {"step": 1, "kl": 0.2}]))
    ] == ["KL to the reference"]
    assert len(charts(read_curves([{"step": 0, "reward": 1.0}]))) == 1  # a single step is a chart too


def test_errors(tmp_path):
    good = read_summary({"before": {"fdr": 0.5}})
    with pytest.raises(ValueError, match=r"^\[write_page\] path: no folder '.*nowhere'"):
        write_page(tmp_path / "nowhere" / "r.html", summary=good)
    with pytest.raises(ValueError, match=r"^\[write_page\] per_family: expected at least 1, got 0"):
        write_page(tmp_path / "r.html", summary=good, per_family=0)
    with pytest.raises(ValueError, match=r"^\[charts\] panel 'p': expected at most 3 lines, got 4"):
        write_page(tmp_path / "r.html", summary=good, panels=[Panel(title="p", series=dict.fromkeys("abcd", "x"))])
    with pytest.raises(ValueError, match=r"^\[comparison\] width: expected at least 1, got 0"):
        comparison(good, width=0)
    assert list(tmp_path.iterdir()) == []  # nothing half written
