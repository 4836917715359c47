"""The build backend asks for a torch only where there is none, and the wheel requires the one it was built against."""

import importlib.util
import tarfile
import zipfile
from pathlib import Path

import pytest
from scikit_build_core import build as skbuild

ROOT = Path(__file__).parents[3]


@pytest.fixture
def backend(monkeypatch):
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("vlmprobe_build", ROOT / "build_backend/vlmprobe_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sees(monkeypatch, backend, *, environment, overlay):
    """Two pythons: with -I the user's environment, without it the overlay of an isolated build as well."""
    monkeypatch.setattr(
        backend, "_torch_version", lambda *flags: environment if "-I" in flags else overlay or environment
    )


def test_the_probe_reads_the_version_that_an_import_gives(backend):
    import torch

    assert torch.__version__.startswith(backend._torch_version("-I") + ".")


def test_the_probe_finds_none_where_there_is_none(backend):
    assert backend._torch_version("-I", "-S") is None


def test_no_torch_is_requested_where_the_environment_has_one(monkeypatch, backend):
    sees(monkeypatch, backend, environment="2.11", overlay=None)
    assert not any("torch" in name for name in backend.get_requires_for_build_wheel())


def test_a_bounded_torch_is_requested_where_there_is_none(monkeypatch, backend):
    sees(monkeypatch, backend, environment=None, overlay=None)
    assert "torch==2.13.*" in backend.get_requires_for_build_wheel()


@pytest.mark.parametrize(("environment", "overlay", "flag"), [("2.11", "2.13", "OFF"), (None, "2.13", "ON")])
def test_the_build_is_told_which_torch_is_meant(monkeypatch, backend, environment, overlay, flag):
    told = {}
    monkeypatch.setattr(skbuild, "build_wheel", lambda folder, settings, metadata: told.update(settings))
    sees(monkeypatch, backend, environment=environment, overlay=overlay)
    backend.build_wheel("wheels", {"cmake.define.VLMPROBE_WITH_FAISS": "OFF"})
    assert told == {"cmake.define.VLMPROBE_TORCH_FROM_OVERLAY": flag, "cmake.define.VLMPROBE_WITH_FAISS": "OFF"}


@pytest.mark.parametrize(
    ("environment", "overlay", "required"),
    [("2.11", "2.13", "torch==2.11.*"), (None, "2.13", "torch==2.13.*"), (None, None, "torch==2.13.*")],
)
def test_the_wheel_requires_the_torch_it_was_built_against(monkeypatch, backend, environment, overlay, required):
    sees(monkeypatch, backend, environment=environment, overlay=overlay)
    fragment = backend.dynamic_metadata({"requires": ["numpy"]}, {})
    assert fragment == {"dependencies": ["numpy", required]}


def test_a_source_archive_leaves_torch_open(monkeypatch, backend):
    sees(monkeypatch, backend, environment="2.11", overlay=None)
    backend.build_state("sdist")
    assert backend.dynamic_metadata({"requires": ["numpy"]}, {}) == {"dependencies": ["numpy"]}
    assert backend.dynamic_wheel({}) == {"dependencies": True}


def test_the_wheel_and_the_sdist_carry_the_types(backend, tmp_path):
    with zipfile.ZipFile(tmp_path / backend.build_wheel(str(tmp_path), {"wheel.cmake": "false"})) as wheel:
        shipped = set(wheel.namelist())
    with tarfile.open(tmp_path / backend.build_sdist(str(tmp_path))) as sdist:
        kept = {name.partition("/python/")[2] for name in sdist.getnames()}
    package = ROOT / "python/vlmprobe"
    types = {f"vlmprobe/{file.relative_to(package)}" for file in (*package.rglob("*.pyi"), package / "py.typed")}
    assert len(types) > 2
    assert types <= shipped & kept
