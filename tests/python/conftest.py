"""Skips. A marker says what a test needs, and a test whose need is not met is skipped with that reason. Under CI=true
any other skip is a failure: a test that quietly does not run is not a test."""

import importlib.util
import os

import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
PEERS = ("trl", "verl", "vendi_score", "liger_kernel", "statsmodels")


@pytest.fixture(autouse=os.environ.get("ATEN_CPU_CAPABILITY") == "avx2")
def _as_torch_is_held():
    """Where torch is held to AVX2 (tools/check.sh), so are vlmprobe's kernels, also after a test that chose others."""
    import torch

    from vlmprobe import _native

    _native.hold_to_torch(torch, _native.core)


@pytest.fixture(scope="module")
def one_thread():
    """Models as small as the world's are faster on one: `pytest.mark.usefixtures("one_thread")`."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _missing(marker):
    """Why a test with this marker cannot run here, or None."""
    if marker.name == "gpu":
        import torch

        return None if torch.cuda.is_available() else "needs a CUDA device"
    if marker.name == "peers":  # @pytest.mark.peers("trl")
        absent = [name for name in marker.args or PEERS if importlib.util.find_spec(name) is None]
        return f"needs {', '.join(absent)}" if absent else None
    if marker.name == "network":
        return None if os.environ.get("VLMPROBE_NETWORK") == "1" else "needs a connection; set VLMPROBE_NETWORK=1"
    return None


def pytest_runtest_setup(item):
    for marker in item.iter_markers():
        if reason := _missing(marker):
            item.stash[_EXPECTED] = True
            pytest.skip(reason)


_EXPECTED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and not item.stash.get(_EXPECTED, False):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if IN_CI and report.skipped:
        _fail(report)
    return report


def _fail(report):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    if hasattr(report, "when"):
        report.when = "call"  # a skip by mark happens in set-up, where pytest would count an error
    report.longrepr = f"skipped in CI, where nothing but gpu, peers and network may be: {reason}"
