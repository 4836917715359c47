"""`chat_5000`: 5000 requests with an image of 50 kB each, 200 in flight: CPU seconds of the client, and seconds."""

from __future__ import annotations

import importlib
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from harness import Row, Side, Work

PEER = "openai.AsyncOpenAI"


def cpu_seconds() -> float:
    """Of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class ChatCase:
    name: str = "chat_5000"
    rounds: int = 2
    dtype = torch.uint8
    needs = ("openai",)
    tolerance: ClassVar = {"replies wrong": 0}
    shapes: ClassVar = ({"requests": 2000}, {"requests": 5000})
    tiny: ClassVar = {"requests": 50}

    def input_bytes(self, shape: dict) -> int:
        return 0

    def problem(self, shape: dict):
        from .problem import Problem

        return Problem(shape["requests"])

    def sides(self, problem) -> dict[str, Side]:
        return {
            "vlmprobe": Side(lambda: measured(problem, "ours")),
            PEER: Side(lambda: measured(problem, "peers"), peer=True),
        }

    def reference(self, problem) -> list[str]:
        return ["two"] * len(problem.questions)

    def errors(self, expected: list[str], problem, side: Side) -> dict[str, float]:
        found = side.run()["texts"]
        return {"replies wrong": sum(a != b for a, b in zip(expected, found, strict=True))}

    def rows(self, shape: dict) -> list[Row]:
        cpu = Row("CPU", "vlmprobe: CPU", (f"{PEER}: CPU",), Work(), ratio=5.0)
        return [cpu, Row("elapsed", "vlmprobe", (PEER,), Work())]


def measured(problem, side: str) -> dict:
    ask: Callable = importlib.import_module(f"chat.{side}").ask
    before = cpu_seconds()
    texts = ask(problem)
    return {"texts": texts, "phases": {"CPU": cpu_seconds() - before}}


CASES = (ChatCase(),)
