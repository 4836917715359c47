"""What the files around the code promise to each other."""

import importlib
import importlib.metadata
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import vlmprobe
from vlmprobe._util import optional

ROOT = Path(__file__).parents[3]
tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements/constraints.txt").read_text(), re.MULTILINE))


def normal(name):
    return name.lower().replace("_", "-")


def repository_files():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False) if shutil.which("git") else None
    if listed and listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    made = re.compile(
        r"(^|/)(\.git|\.venv|\.\w+_cache|build|dist|runs|__pycache__)(/|$)|\.so$"
    )  # what git would not list
    return [file for file in ROOT.rglob("*") if file.is_file() and not made.search(file.relative_to(ROOT).as_posix())]


def test_the_version_is_the_same_everywhere():
    cmake = re.search(r"project\(vlmprobe VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert vlmprobe.__version__ == PYPROJECT["project"]["version"] == cmake


def test_no_file_names_a_path_of_a_machine():
    path = re.compile(rb"(?<![\w.<>{}$*])/(?:home|root|Users|work)/[\w.]")
    named = {file.name: path.search(file.read_bytes()) for file in repository_files()}
    assert [(name, match[0]) for name, match in named.items() if match] == []


def test_every_document_that_is_named_is_there():
    page = re.compile(r"(?<![\w./-])docs/[\w./-]+\.md")
    text = {".h", ".cpp", ".py", ".md", ".pyi", ".sh", ".txt"}
    readable = [file for file in repository_files() if file.suffix in text]
    named = {(name, file.name) for file in readable for name in page.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert sorted((name, where) for name, where in named if not (ROOT / name).is_file()) == []


def test_public_headers_cite_nothing_that_the_repository_does_not_have():
    outside = re.compile(r"\b(DESIGN|FACTS|PAPER|STYLE)\b")
    cited = [file.name for file in repository_files() if file.suffix == ".h" and outside.search(file.read_text())]
    assert cited == []


def test_torch_is_bounded_wherever_it_is_required():
    for file in repository_files():
        if file.name in {"pyproject.toml", "ci.txt", "constraints.txt", "vlmprobe_build.py"}:
            for requirement in re.findall(
                r"""^\s*["']?(torch(?:[=<>~!].*)?)["']?,?\s*$""", file.read_text(), re.MULTILINE
            ):
                assert file.name == "ci.txt" or "==" in requirement, (file.name, requirement)
    assert PINS["torch"].count(".") == 2


def test_what_is_installed_for_ci_is_pinned():
    named = re.findall(r"^([\w.-]+)$", (ROOT / "requirements/ci.txt").read_text(), re.MULTILINE)
    assert {normal(name) for name in named} - {normal(name) for name in PINS} == set()


def test_the_tools_of_the_extras_have_the_pins_of_ci():
    extras = PYPROJECT["project"]["optional-dependencies"]
    pinned = [r.split("==") for extra in ("dev", "test") for r in extras[extra] if "==" in r]
    assert dict(pinned) == {name: PINS[name] for name, _ in pinned}
    assert len(pinned) == 8


def test_the_extras_that_doctor_knows_are_those_of_the_project():
    extras = PYPROJECT["project"]["optional-dependencies"]
    for extra, modules in optional.EXTRAS.items():
        named = {re.split("[<>=]", requirement)[0].replace("-", "_") for requirement in extras[extra]}
        assert {name for name in named if not name.startswith("vlmprobe[")} == set(modules)


def test_no_cuda_package_is_installed():
    names = {distribution.metadata["Name"] or "" for distribution in importlib.metadata.distributions()}
    if "cpu" in importlib.metadata.version("torch"):
        assert sorted(name for name in names if name.lower().startswith("nvidia-")) == []


UMBRELLAS = ("headers.h", "core.h", "vlmprobe.h")  # each includes the one before it
INCLUDE = ROOT / "include"


def included(path):
    return re.findall(r'^#include "(vlmprobe/.+)"$', (INCLUDE / path).read_text(), re.MULTILINE)


def listed(umbrella):
    return [name for name in included(f"vlmprobe/{umbrella}") if name.count("/") == 2]


def test_each_public_header_is_listed_by_one_umbrella():
    lists = [listed(umbrella) for umbrella in UMBRELLAS]
    assert all(names == sorted(names) for names in lists)
    public = sorted(file.relative_to(INCLUDE).as_posix() for file in INCLUDE.glob("vlmprobe/*/*.h"))
    assert sorted(name for names in lists for name in names) == public
    for below, above in itertools.pairwise(UMBRELLAS):
        assert f"vlmprobe/{below}" in included(f"vlmprobe/{above}")


def test_a_header_includes_only_what_its_library_brings():
    details = [file.relative_to(INCLUDE).as_posix() for file in INCLUDE.glob("vlmprobe/*/detail/*.h")]
    brought = set(details)
    for umbrella, more in zip(UMBRELLAS, (details, [], []), strict=True):
        brought |= set(listed(umbrella))
        headers = [*listed(umbrella), *more]
        assert [(name, each) for name in headers for each in included(name) if each not in brought] == []


def test_from_a_header_one_guesses_its_source():
    def sources(name, folder):
        _, subject, file = name.split("/")
        return (ROOT / "src" / subject / folder / file).with_suffix(".cpp").exists()

    assert [name for name in listed("core.h") if not sources(name, "")] == []
    assert [name for name in listed("vlmprobe.h") if not sources(name, "tensor")] == []
    assert [name for name in listed("headers.h") if sources(name, "") or sources(name, "tensor")] == []
