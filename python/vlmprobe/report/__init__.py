"""What a run found, for people: one self-contained page, and the same comparison as a table for the terminal."""

from vlmprobe.report.cards import FailureCard
from vlmprobe.report.figures import PANELS, Panel
from vlmprobe.report.page import write_page
from vlmprobe.report.paper import write_paper
from vlmprobe.report.paper_terminal import paper_tables
from vlmprobe.report.terminal import comparison

__all__ = ["PANELS", "FailureCard", "Panel", "comparison", "paper_tables", "write_page", "write_paper"]
