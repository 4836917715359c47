"""The types: those written for the native module against that module, and those of the package."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vlmprobe import _core

ROOT = Path(__file__).parents[3]
STUBS = ROOT / "python/vlmprobe/_core"

# In pybind11's signatures, and what is written for it.
PLAIN = {
    r"typing\.SupportsInt \| typing\.SupportsIndex": "int",
    r"typing\.SupportsFloat \| typing\.SupportsIndex": "float",
    r'typing\.Annotated\[(.*?), "FixedSize\(\d+\)"\]': r"\1",
    r"vlmprobe\._core\.(\w+\.)?|collections\.abc\.|torch\.": "",
    r"\((self): \w+": r"(\1",
    " = ": "=",
    r"\*\*kwargs": "**kwargs: Any",
}
FROM_OBJECT = set(vars(object)) - {"__init__"}  # object's own types hold for them
VECTORIZED = {"uniform"}  # pybind11 says ArrayLike to object, the types say which of them


def run(module, *arguments):
    """What a module that finds something wrong says."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MYPYPATH": str(ROOT / "python")}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    reply = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    return reply.stdout + reply.stderr if reply.returncode else ""


def test_the_package_agrees_with_its_types():
    assert run("mypy") == ""


def test_the_core_has_the_names_that_its_types_have(tmp_path):
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n[mypy-torch.*,numpy.*]\nfollow_imports = skip\n")  # names are compared, not types
    assert run("mypy.stubtest", "vlmprobe._core", "--concise", "--mypy-config-file", config) == ""


@pytest.mark.parametrize("stub", sorted(STUBS.glob("*.pyi")), ids=lambda file: file.stem)
def test_the_core_has_the_signatures_that_its_types_have(stub):
    module = _core if stub.stem == "__init__" else getattr(_core, stub.stem)
    written = sorted(written_signatures(ast.parse(stub.read_text())))
    assert written == sorted(native_signatures(module))
    assert len(written) > 10


def native_signatures(scope, prefix=""):
    """`name(a: int) -> str` of all that pybind11 bound, as its docstrings have it."""
    for name in vars(scope).keys() - FROM_OBJECT - VECTORIZED:
        value = getattr(scope, name)
        if isinstance(value, type):
            if not hasattr(value, "__members__") and not issubclass(value, Exception):
                yield from native_signatures(value, f"{name}.")
            continue
        text = value.fget.__doc__.replace("arg0", "self") if isinstance(value, property) else value.__doc__
        if callable(value) or isinstance(value, property):
            found = re.findall(rf"^(?:\d+\. )?(?:{name})?(\(.*\) -> .*)$", text or "", re.MULTILINE)
            yield from (f"{prefix}{name}{plain(signature)}" for signature in found)


def plain(signature):
    for pattern, meant in PLAIN.items():
        signature = re.sub(pattern, meant, signature)
    return signature


def written_signatures(scope, prefix=""):
    """The same of a file of types."""
    for node in scope.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from written_signatures(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and node.name not in FROM_OBJECT | VECTORIZED:
            if node.args.posonlyargs:  # nameless in pybind11
                node.args.posonlyargs[-1].arg = "arg0"
                node.args.args, node.args.posonlyargs = node.args.posonlyargs, []
            arguments = ast.unparse(node.args).replace("str | bytes", "str")  # a C++ text takes both
            yield f"{prefix}{node.name}({arguments}) -> {ast.unparse(node.returns)}"
