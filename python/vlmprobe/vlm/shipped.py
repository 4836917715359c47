"""Weights that come with the package, by names that mean the same on every machine: `vlmprobe:world/questioner`."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

SCHEME = "vlmprobe:world/"
WORLD = Path(__file__).parents[1] / "world" / "weights"


def folder(name: str | Path) -> str | Path:
    """The folder behind a name of the package's; any other name or path as it is.

    Raises:
        ValueError: the package has no weights of this name.
    """
    if not str(name).startswith(SCHEME):
        return name
    wanted = str(name).removeprefix(SCHEME)
    if wanted not in shipped():
        raise ValueError(f"[weights] name: expected one of {', '.join(shipped()) or 'none'}, got {wanted!r:.60}")
    return WORLD / wanted


def name_of(path: str | Path) -> str:
    """What weights are called elsewhere: those of the package by its name, another folder by its whole path, a hub's by
    the hub's name."""
    if not Path(path).is_dir():
        return str(path)
    ours = (name for name in shipped() if Path(path).samefile(WORLD / name))
    return next((SCHEME + name for name in ours), str(Path(path).resolve()))


def shipped() -> list[str]:
    """The names of the world's weights that are there."""
    return sorted(file.parent.name for file in WORLD.glob("*/model.safetensors"))


def check(name: str) -> Path:
    """The file of a name's weights.

    Raises:
        ValueError: it is no safetensors file, or cut short.
    """
    file = WORLD / name / "model.safetensors"
    try:
        with safe_open(file, framework="pt"):
            return file
    except (OSError, SafetensorError) as error:
        raise ValueError(f"[weights] {file}: expected weights as safetensors, got another file ({error})") from None
