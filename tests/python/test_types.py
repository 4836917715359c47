"""Types: the stub of the native module says what the module has, and the public faces pass mypy."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_the_stub_of_the_native_module_is_what_the_module_has(tmp_path):
    # Tensors are any type here: reading torch's sources would take ten times as long and check nothing of ours.
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n[mypy-numpy.*]\nfollow_imports = skip\n")
    allowed = ROOT / "tests/python/stubtest_allowlist.txt"
    code, output = run(
        "mypy.stubtest", "vlmprobe._core", "--mypy-config-file", str(config), "--allowlist", str(allowed)
    )
    assert code == 0, output


def test_the_faces_pass_mypy(tmp_path):
    code, output = run("mypy", "--cache-dir", str(tmp_path))
    assert code == 0, output


def test_a_wrong_call_of_the_native_module_is_found(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from vlmprobe import _core\n_core.metrics.t_quantile('a', 2)\n_core.grpo.nothing\n")
    code, output = run("mypy", "--cache-dir", str(tmp_path / "cache"), "--follow-imports=silent", str(wrong))
    assert code == 1 and "incompatible type" in output and 'has no attribute "nothing"' in output, output
