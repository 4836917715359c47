"""Pages of a demo and of a probe of which nothing but their numbers is known: their ledgers are empty."""

from vlmprobe.ledger import Ledger
from vlmprobe.report import write_run_page
from vlmprobe.report.page.demo import demo_known
from vlmprobe.report.page.probe import probe_known
from vlmprobe.report.run.build import run_page


def demo_page(path, summary, **more):
    """Writes a demo's page; its path."""
    return _written(path, demo_known(summary, run="demo", **more))


def probe_page(path, found, **more):
    """Writes a probe's page; its path."""
    return _written(path, probe_known(found, **more))


def _written(path, known):
    with Ledger(":memory:") as ledger:
        return write_run_page(path, run_page(ledger, [], known))
