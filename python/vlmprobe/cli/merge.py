"""`vlmprobe merge`: makes a whole model out of adapters and the model beside which they were trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from vlmprobe._util.visible import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe merge`."""
    parser.add_argument("adapters", metavar="ADAPTERS", help="a folder of adapters: questioner/ of a checkpoint")
    parser.add_argument("out", metavar="OUT", help="a new folder; transformers and servers open it without adapters")
    parser.add_argument("--base", metavar="MODEL", help="the model that they were trained beside (the one they name)")


def run(args: argparse.Namespace) -> int:
    """Writes the folder; the last line is its path.

    Raises:
        ValueError: no adapters, another base than theirs, or a folder that is there.
    """
    out = Path(args.out)
    if out.exists():
        raise ValueError(f"[merge] {out}: expected no such folder, got one; name another")
    from vlmprobe.vlm.load import quiet
    from vlmprobe.vlm.merge import merge
    from vlmprobe.vlm.model import VisionLanguageModel

    quiet()
    model = merge(VisionLanguageModel.load(Path(args.adapters), base=args.base))
    part = out.with_name(f"{out.name}.part")
    model.save(part)
    part.rename(out)
    say(out)
    return 0
