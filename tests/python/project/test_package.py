"""`import vlmprobe`: cheap, lazy, and clear about what is missing."""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

import vlmprobe
from vlmprobe import _native
from vlmprobe._util import optional


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_vlmprobe_imports_nothing_heavy():
    path = vlmprobe.__path__[0].rsplit("/", 1)[0]
    heavy = python(
        f"import sys; sys.path.insert(0, {path!r}); import vlmprobe, vlmprobe.cli\n"
        "print(sorted({'torch', 'numpy', 'PIL', 'transformers', 'vlmprobe._core'} & set(sys.modules)))"
    )
    assert heavy == "[]\n"


def test_the_core_is_reached_through_the_check_of_torch(monkeypatch):
    from vlmprobe import _core

    assert _core is _native.core
    assert _core.__version__ == vlmprobe.__version__


@pytest.mark.parametrize(("capability", "held"), [("AVX2", ["avx2"]), ("AVX512", []), ("DEFAULT", [])])
def test_where_torch_is_held_to_avx2_so_are_our_kernels(capability, held):
    asked = []
    grpo = SimpleNamespace(simd_targets=lambda: ["aten", "avx2", "avx512"], limit_simd=asked.append)
    cpu = SimpleNamespace(get_cpu_capability=lambda: capability)
    _native.hold_to_torch(SimpleNamespace(backends=SimpleNamespace(cpu=cpu)), SimpleNamespace(grpo=grpo))
    assert asked == held


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'vlmprobe' has no attribute 'Trianer'"):
        _ = vlmprobe.Trianer


def test_lazy_names_are_listed():
    assert {"Trainer", "Questioner", "reward", "world", "__version__"} <= set(dir(vlmprobe))


@pytest.mark.parametrize(
    ("built", "installed"), [("2.13", "2.13.0+cpu"), ("2.13", "2.13.1"), ("2.13", "2.13.0a0+git123"), ("2.1", "2.1.0")]
)
def test_the_same_minor_version_of_torch_is_taken(built, installed):
    _native.check_torch(built, installed)


@pytest.mark.parametrize(("built", "installed"), [("2.13", "2.11.0+cu130"), ("2.1", "2.13.0"), ("2.13", "3.13.0")])
def test_another_torch_is_refused_with_both_versions_and_the_way_out(built, installed):
    with pytest.raises(ImportError) as caught:
        _native.check_torch(built, installed)
    assert f"expected torch {built}, which it was built against, got torch {installed}; " in str(caught.value)
    assert f"pip install 'torch=={built}.*'" in str(caught.value)


def test_another_torch_is_refused_before_the_core_is_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="1.9.0"))
    monkeypatch.setitem(sys.modules, "vlmprobe._core", None)  # importing it would raise something else
    with pytest.raises(ImportError, match=r"got torch 1\.9\.0"):
        _native.load()


def test_a_missing_torch_names_the_version_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"vlmprobe needs PyTorch: pip install 'torch==2\.\d+\.\*'"):
        _native.load()


def test_a_core_for_another_python_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "vlmprobe._core", None)
    with pytest.raises(ImportError, match=r"vlmprobe._core: expected a build for Python 3\.\d+, found none"):
        _native.load()


def test_the_types_of_the_core_are_not_taken_for_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vlmprobe._core", ModuleType("vlmprobe._core"))  # as Python makes of their folder
    with pytest.raises(ImportError, match=r"vlmprobe._core: expected a build for Python 3\.\d+, found none"):
        _native.load()


def test_a_missing_optional_package_names_its_extra():
    with pytest.raises(ModuleNotFoundError) as caught:
        optional.require("no_such_package.part", extra="hf")
    assert str(caught.value) == (
        "no_such_package is not installed; it comes with the extra 'hf': pip install 'vlmprobe[hf]'"
    )


def test_a_broken_optional_package_keeps_its_own_error(monkeypatch, tmp_path):
    (tmp_path / "vlmprobe_test_broken.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_dependency'"):
        optional.require("vlmprobe_test_broken", extra="hf")


def test_optional_packages_that_are_there_are_returned():
    assert optional.require("json.decoder", extra="hf").__name__ == "json.decoder"
    assert optional.installed("json.decoder")
    assert not optional.installed("no_such_package.part")
