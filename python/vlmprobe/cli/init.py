"""`vlmprobe init`: writes a folder with `probe.yaml`, which says what is asked about which pictures."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, get_args

from vlmprobe._util.files import write_text
from vlmprobe._util.visible import say
from vlmprobe.probe.config import FILE, Method, Probe
from vlmprobe.probe.reading import parse, schema
from vlmprobe.probe.roles import WORLD
from vlmprobe.probe.template import text_of

ROLES = ("questioner", "answerer", "verifier")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe init`."""
    parser.add_argument("folder", metavar="DIR", help="a new folder")
    parser.add_argument("--images", required=True, metavar="SOURCE", help="a folder of pictures; or world")
    parser.add_argument("--endpoint", metavar="URL", help="of the roles that name none, up to and with /v1")
    parser.add_argument("--key-env", metavar="NAME", help="the environment variable that holds the endpoint's key")
    for name in ROLES:
        parser.add_argument(f"--{name}", metavar="MODEL", help="a name at the endpoint, NAME@URL, a folder, world:NAME")
    parser.add_argument("--method", choices=get_args(Method), help="how questions are come by (auto)")


def run(args: argparse.Namespace) -> int:
    """Writes the file and its schema; the last line is the file."""
    folder = Path(args.folder)
    file = folder / FILE
    if file.exists():
        raise ValueError(f"[init] {file}: expected no such file, got one; edit it, or name another folder")
    content: dict[str, Any] = (
        {"images": _images(args.images, folder)} if args.images != WORLD else world_values(args.method)
    )
    for name in ROLES:
        content[name] = _role(name, getattr(args, name), args)
    if args.method:
        content["method"] = args.method
    probe = parse(content, where="init")
    write(folder, probe)
    say(f"now: vlmprobe check {folder}, then vlmprobe run {folder}")
    say(file)
    return 0


def write(folder: Path, probe: Probe) -> None:
    """Writes the file of a probe and its schema."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "probe.schema.json", schema())
    write_text(folder / FILE, text_of(probe))


def world_values(method: str | None) -> dict[str, Any]:
    """The embedded world's own probe, but for its roles."""
    from vlmprobe.probe.world import values

    return values(method or "auto")


def _images(source: str, folder: Path) -> str:
    """A path is kept as it is seen from the probe's folder."""
    if not Path(source).exists():
        raise ValueError(f"[init] --images: expected a folder of pictures or world, got {source!r}")
    return _seen_from(source, folder)


def _seen_from(path: str, folder: Path) -> str:
    return path if path.startswith("~") or Path(path).is_absolute() else os.path.relpath(path, folder)


def _role(name: str, model: str | None, args: argparse.Namespace) -> dict[str, Any]:
    if model is None and args.images == WORLD:
        model = WORLD
    if model is None:
        raise ValueError(f"[init] --{name}: expected a model, got none")
    said, _, url = model.partition("@http")
    of_world = said.partition(":")[0] == WORLD
    if url:
        endpoint = f"http{url}"
    elif not of_world and Path(said).expanduser().is_dir():
        return {"model": _seen_from(said, Path(args.folder))}
    elif of_world or args.endpoint is None:
        return {"model": said}
    else:
        endpoint = args.endpoint
    return {"model": said, "endpoint": [endpoint], "key_env": args.key_env or ""}
