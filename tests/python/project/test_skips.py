"""The rule of conftest.py: in CI an unexpected skip fails, an expected one does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "test_by_call.py": "import pytest\ndef test_a():\n    pytest.skip('no reason')\n",
    "test_by_mark.py": "import pytest\n@pytest.mark.skip(reason='no reason')\ndef test_a():\n    pass\n",
    "test_by_module.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_a():\n    pass\n",
    "test_expected.py": "import pytest\n@pytest.mark.peers('no_such_peer')\ndef test_a():\n    pass\n",
    "test_xfail.py": "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_a():\n    assert False\n",
}


def outcome(folder, name, ci):
    (folder / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    peers\n")
    (folder / name).write_text(CASES[name])
    environment = {**os.environ, "CI": ci}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    reply = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    return reply.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["test_by_call.py", "test_by_mark.py"])
def test_an_unexpected_skip_fails_in_ci_only(tmp_path, name):
    assert "1 failed" in outcome(tmp_path, name, ci="true")
    assert "1 skipped" in outcome(tmp_path, name, ci="")


def test_a_skipped_module_is_an_error_in_ci(tmp_path):
    assert "1 error" in outcome(tmp_path, "test_by_module.py", ci="true")
    assert "1 skipped" in outcome(tmp_path, "test_by_module.py", ci="")


def test_a_skip_by_marker_stays_a_skip_in_ci(tmp_path):
    assert "1 skipped" in outcome(tmp_path, "test_expected.py", ci="true")


def test_an_expected_failure_stays_one_in_ci(tmp_path):
    assert "1 xfailed" in outcome(tmp_path, "test_xfail.py", ci="true")
