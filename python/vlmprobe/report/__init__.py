"""What a run found, for people: one self-contained page, and the same comparison as a table for the terminal."""

from vlmprobe.report.draw.panels import PANELS, Panel
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.page.terminal import comparison
from vlmprobe.report.page.write import write_page
from vlmprobe.report.paper.terminal import paper_tables
from vlmprobe.report.paper.write import write_paper
from vlmprobe.report.results.demo import read_curves, read_summary
from vlmprobe.report.results.paper import read_results

__all__ = [
    "PANELS",
    "FailureCard",
    "Panel",
    "comparison",
    "paper_tables",
    "read_curves",
    "read_results",
    "read_summary",
    "write_page",
    "write_paper",
]
