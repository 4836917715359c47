"""Modules that have moved are found at their old places, with a warning that names the new one."""

from __future__ import annotations

import importlib
import sys

import pytest

from vlmprobe._util.moved import MOVED, PACKAGE


@pytest.mark.parametrize("old", MOVED)
def test_an_old_place_gives_the_same_names(old):
    sys.modules.pop(PACKAGE + old, None)
    with pytest.warns(DeprecationWarning, match=rf"vlmprobe\.{old} is vlmprobe\.{MOVED[old][0]}"):
        module = importlib.import_module(PACKAGE + old)
    for place in MOVED[old]:
        new = importlib.import_module(PACKAGE + place)
        own = [name for name, value in vars(new).items() if getattr(value, "__module__", "") == new.__name__]
        assert own and all(hasattr(module, name) for name in own)
        assert place != MOVED[old][0] or all(getattr(module, name) is vars(new)[name] for name in own)
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'; .* now"):
        module.nothing  # noqa: B018


def test_what_is_nowhere_is_an_import_error():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("vlmprobe.nowhere")


@pytest.mark.parametrize("name", ["evaluation", "examine", "steps", "summary"])
def test_what_means_something_else_now_is_not_found_at_its_old_place(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(PACKAGE + name)
