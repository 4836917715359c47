"""The Python files that one training step goes through, from its pictures to the update.

    python tools/step_path.py

A file *leads on* where it calls another of ours: whoever follows a step opens it. Where a file leads no further, or is
the face of a part in C++ (text, memory, reward, grpo) or a utility, its name says what comes back. Left out are the
embedded world and the embedder, which stand in for a user's models.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import vlmprobe
from vlmprobe.loop import learn
from vlmprobe.loop.trainer import Trainer, TrainerOptions
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

ROOT = Path(vlmprobe.__file__).parent
STAND_INS = ("world/", "models/embedder.py", "models/text_cache.py")
ENDS = ("text.py", "memory.py", "reward.py", "grpo/", "_util/")


def step_files() -> dict[str, set[str]]:
    """File -> those of ours that it calls, in the order in which a step comes to them."""
    trainer = Trainer(
        Questioner(tiny.load("questioner")),
        FaultyAnswerer(ExecutingAnswerer(), load_faults()),
        OracleVerifier(),
        HashedNgramEmbedder(),
        WorldImages(8, seed=11),
        options=TrainerOptions(group_size=4, images_per_step=2, credit="question"),
    )
    trainer.step()  # what is done once is done
    found: dict[str, set[str]] = {}

    def name_of(frame: FrameType | None) -> str:
        path = Path(frame.f_code.co_filename) if frame is not None else Path()
        inside = path.is_relative_to(ROOT)
        name = path.relative_to(ROOT).as_posix() if inside else ""
        return "" if name.startswith(STAND_INS) else name

    def see(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (name := name_of(frame)):
            found.setdefault(name, set())
            caller = name_of(frame.f_back)
            if caller and caller != name:
                found.setdefault(caller, set()).add(name)
        if event == "return" and frame.f_code is learn.learn.__code__:
            sys.setprofile(None)  # the update is made

    sys.setprofile(see)
    trainer.step()
    sys.setprofile(None)
    return found


def leading(found: dict[str, set[str]]) -> list[str]:
    """The files that lead on."""
    return [name for name, called in found.items() if not name.startswith(ENDS) and any(map(_goes_on, called))]


def _goes_on(called: str) -> bool:
    return not called.startswith(ENDS)


def main() -> None:
    """Prints them, and how many there are."""
    found = step_files()
    on = leading(found)
    for name, called in found.items():
        print(f"{'*' if name in on else ' '} {name:28} {', '.join(sorted(called))}")
    ours = sum(map(_goes_on, found))
    print(f"{len(found)} files, {ours} of them neither face of C++ nor utility; {len(on)} lead on (*)")


if __name__ == "__main__":
    main()
