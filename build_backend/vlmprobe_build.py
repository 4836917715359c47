"""PEP 517 backend: scikit-build-core, plus one decision about torch.

The native module is tied to the minor version of the torch it is compiled against, so it has to be compiled against
the torch that will import it. Under build isolation there can be two: the one of the environment that pip installs
into, which `python -I` sees, and one that pip puts into a temporary overlay, which only `python` without `-I` sees.

- The environment has a torch: request none, compile against it.
- It has none: request TORCH for the overlay and compile against that.

Either way the wheel requires `torch==X.Y.*` of the torch it was compiled against.
docs/decisions/0002-build-backend.md has the reasons.
"""

from __future__ import annotations

import subprocess
import sys

from scikit_build_core import build as _skbuild
from scikit_build_core.build import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

TORCH = "torch==2.13.*"  # never unbounded: a newer one brings gigabytes of CUDA packages

# Reads the version file instead of importing torch, which takes seconds.
_PROBE = """
import importlib.util, pathlib, re
spec = importlib.util.find_spec("torch")
if spec and spec.submodule_search_locations:
    text = (pathlib.Path(spec.submodule_search_locations[0]) / "version.py").read_text()
    print(re.search(r"__version__\\s*=\\s*['\\"](\\d+\\.\\d+)", text)[1])
"""


def _torch_version(*flags: str) -> str | None:
    """`X.Y` of the torch that `python <flags>` would import, None when there is none."""
    reply = subprocess.run([sys.executable, *flags, "-c", _PROBE], capture_output=True, text=True, check=True)
    return reply.stdout.strip() or None


def get_requires_for_build_wheel(config_settings=None):
    requires = _skbuild.get_requires_for_build_wheel(config_settings)
    return requires if _torch_version("-I") else [*requires, TORCH]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    overlay = "OFF" if _torch_version("-I") else "ON"
    settings = {**(config_settings or {}), "cmake.define.VLMPROBE_TORCH_FROM_OVERLAY": overlay}
    return _skbuild.build_wheel(wheel_directory, settings, metadata_directory)


# What follows is the provider of [[tool.dynamic-metadata]]: the run-time requirements.

_state = "wheel"


def build_state(state):
    global _state
    _state = state


def dynamic_wheel(settings):
    return {"dependencies": True}


def dynamic_metadata(settings, project):
    requires = list(settings["requires"])
    if _state == "sdist":
        return {"dependencies": requires}
    version = _torch_version("-I") or _torch_version()
    return {"dependencies": [*requires, f"torch=={version}.*" if version else TORCH]}
