"""`vlmprobe doctor`: what is installed, what is missing, and whether the C++ core works."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from vlmprobe import __version__
from vlmprobe._util.optional import EXTRAS, installed
from vlmprobe._util.visible import say

# random::uniform(seed 1, stream sampling, 1, 2, 3): Philox4x32-10, known beforehand, the same on every machine.
_KNOWN_DRAW = 0.4349552623078713


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the report. Returns 0 when vlmprobe works, 1 when it does not."""
    facts = examine()
    say(json.dumps(facts, indent=2) if args.json else "\n".join(_lines(facts)))
    return 0 if facts["ok"] else 1


def examine() -> dict[str, Any]:
    """Everything the report says, as plain values.

    Returns:
        `vlmprobe`, `python`: versions; `core`: how the C++ core was built and what a call gave; `torch`: the installed
        one; `extras`: per extra, per module the version or None; `world`: the files of weights; `minilm`: what is known
        of the embedder's weights; `problems`: what keeps vlmprobe from working, each with its cure; `ok`: whether there
        are none.
    """
    problems: list[str] = []
    core = _core_facts(problems)
    weights = _weights(problems)
    return {
        "vlmprobe": __version__,
        "python": platform.python_version(),
        "torch": _torch_facts(),
        "core": core,
        "extras": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "world": {"weights": weights},
        "minilm": {"weights": _minilm()},
        "problems": problems,
        "ok": not problems,
    }


def _core_facts(problems: list[str]) -> dict[str, Any]:
    try:
        info = importlib.import_module("vlmprobe._build_info")
        facts = {
            name: getattr(info, name)
            for name in ("torch", "faiss", "highway", "curl", "compiler", "build_type", "architecture")
        }
    except ModuleNotFoundError:
        facts = {}
    try:
        core = importlib.import_module("vlmprobe._native").core
        draw = float(core.uniform(1, core.Stream.sampling, 1, 2, 3))
        facts["simd"] = list(core.grpo.simd_targets())
    except (ImportError, AttributeError) as error:
        problems.append(str(error))
        return {**facts, "self_check": "failed"}
    if draw != _KNOWN_DRAW:
        problems.append(f"self-check: expected uniform(1, sampling, 1, 2, 3) = {_KNOWN_DRAW}, got {draw}; build again")
    return {**facts, "self_check": "passed" if draw == _KNOWN_DRAW else "failed"}


def _torch_facts() -> dict[str, Any]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return {"version": None}
    return {
        "version": torch.__version__,
        "isa": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
    }


def _version(module: str) -> str | None:
    """The version of an installed module's distribution, "?" where it tells none, None where it is missing."""
    if not installed(module):
        return None
    try:
        return importlib.metadata.version(module.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _weights(problems: list[str]) -> list[str]:
    """The files of the world's weights; each is opened as its loader does."""
    try:
        shipped = importlib.import_module("vlmprobe.vlm.shipped")
    except ImportError as error:
        problems.append(str(error))
        return []
    found = []
    for name in shipped.shipped():
        try:
            found.append(shipped.check(name).relative_to(Path(__file__).parents[1]).as_posix())
        except ValueError as error:
            problems.append(str(error))
    return found


def _minilm() -> str:
    """What the embedder says of the weights that it would load."""
    try:
        embedder = importlib.import_module("vlmprobe.models.embedder")
        embedder.minilm_folder()
    except (ImportError, ValueError) as error:
        return str(error)
    return f"as published, sha256 {embedder.MINILM_SHA256[:12]}"


def _lines(facts: dict[str, Any]) -> list[str]:
    core, torch, weights = facts["core"], facts["torch"], facts["world"]["weights"]
    rows = [("vlmprobe", f"{facts['vlmprobe']}, Python {facts['python']}")]
    if "torch" in core:
        rows.append(
            (
                "core",
                f"built for torch {core['torch']}, {core['compiler']}, {core['build_type']}, {core['architecture']}",
            )
        )
        rows.append(("FAISS", core["faiss"]))
        rows.append(("libcurl", core["curl"]))
        rows.append(("Highway", f"{core['highway']}; kernels: {', '.join(core.get('simd', ['none']))}"))
    if torch["version"] is None:
        rows.append(("torch", "missing"))
    else:
        device = "CUDA" if torch["cuda"] else "CPU only"
        rows.append(("torch", f"{torch['version']}, {torch['isa']}, {torch['threads']} threads, {device}"))
    for extra, modules in facts["extras"].items():
        missing = [name for name, version in modules.items() if version is None]
        present = ", ".join(f"{name} {version}" for name, version in modules.items() if version is not None)
        cure = f"{', '.join(missing)} missing: pip install 'vlmprobe[{extra}]'"
        rows.append((f"extra {extra}", "; ".join(text for text in (present, cure if missing else "") if text)))
    rows.append(("MiniLM", facts["minilm"]["weights"]))
    rows.append(("world", ", ".join(Path(file).parent.name for file in weights) or "no weights in this installation"))
    rows.append(("self-check", core["self_check"]))
    return [f"{name:<13} {text}" for name, text in rows] + [f"problem: {problem}" for problem in facts["problems"]]
