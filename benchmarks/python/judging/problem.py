"""Pictures, and three models behind a server that takes its time over each reply."""

from __future__ import annotations

import subprocess
import sys
import weakref
from pathlib import Path

from vlmprobe.models.chat import ChatClient
from vlmprobe.world.source import WorldImages

from .server import QUESTIONS

IN_FLIGHT, PICTURES, GROUP = 64, 16, 2
STEP = PICTURES * GROUP * QUESTIONS
"""Questions of a step; all of them are valid."""


class Problem:
    """The models, and a server that lives as long as they do.

    Args:
        steps: of a run.
        asks_s, answers_s, judges_s: how long each model takes over a reply.
    """

    def __init__(self, steps: int, asks_s: float, answers_s: float, judges_s: float):
        self.steps, self.images = steps, WorldImages(PICTURES * (steps + 1), seed=5)
        waits = [str(wait) for wait in (asks_s, answers_s, judges_s)]
        command = [sys.executable, "-m", "judging.server", *waits]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        weakref.finalize(self, self.server.kill)
        self.url = f"http://127.0.0.1:{self.server.stdout.readline().strip()}/v1"

    def client(self, model: str) -> ChatClient:
        """A model of the server; a new client for each run, as a user's run has."""
        return ChatClient(self.url, model=model, first_limit=IN_FLIGHT, max_limit=IN_FLIGHT)


def longer_s(asks_s: float, answers_s: float, judges_s: float) -> float:
    """The longer of asking and judging a step, by arithmetic: replies over those in flight, times a reply's wait."""
    completions = PICTURES * GROUP
    asking = max(1.0, completions / IN_FLIGHT) * asks_s
    return max(asking, 2 * STEP / IN_FLIGHT * judges_s, STEP / IN_FLIGHT * answers_s)
