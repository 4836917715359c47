"""What a run found, for people: one self-contained page, and its main table for the terminal."""

from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.page.terminal import comparison
from vlmprobe.report.paper.terminal import paper_tables
from vlmprobe.report.paper.write import write_paper
from vlmprobe.report.results.demo import read_summary
from vlmprobe.report.results.paper import read_results
from vlmprobe.report.run.write import write_run_page

__all__ = [
    "FailureCard",
    "comparison",
    "paper_tables",
    "read_results",
    "read_summary",
    "write_paper",
    "write_run_page",
]
