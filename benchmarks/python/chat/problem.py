"""Questions about images of 50 kB, each image shown five times, and the server that answers them."""

from __future__ import annotations

import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np

QUESTIONS_PER_IMAGE, IMAGE_BYTES = 5, 50_000
IN_FLIGHT = 200


class Problem:
    """The requests, and a server that lives as long as they do."""

    def __init__(self, requests: int, seed: int = 3):
        numbers = np.random.default_rng(seed)
        self.images = [numbers.bytes(IMAGE_BYTES) for _ in range(-(-requests // QUESTIONS_PER_IMAGE))]
        self.questions = [f"How many red circles are there in picture {i}?" for i in range(requests)]
        command = [sys.executable, str(Path(__file__).with_name("server.py"))]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.server.stdout.readline().strip()}/v1"
        weakref.finalize(self, self.server.kill)

    def image_of(self, i: int) -> bytes:
        return self.images[i // QUESTIONS_PER_IMAGE]
