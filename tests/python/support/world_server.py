"""The embedded world behind one chat server: its questioner, an answerer with planted faults, and the truth as a judge.

A request's model says which of them replies: `asker`, `subject` or `judge`. The server knows a picture by the bytes of
its PNG, so that what is asked about it can be executed. The questioner is a model: it sees the pixels, and is told in
its own words the hint that stands in the prompt of the package. Equal requests get equal replies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from support.scripted_server import body, tokens
from vlmprobe._native import core
from vlmprobe.methods.hints import Hint
from vlmprobe.methods.world_hints import can_be_told
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.protocols import Answerer, AnsweringVerifier, Picture
from vlmprobe.policy.questioner import Questioner
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.hints import MOST_TERMS, hinted_prompt
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import NAMES, OracleVerifier

MODELS = {"questioner": "asker", "answerer": "subject", "verifier": "judge"}
PNG = EncodedImages(format="png", longest_side=None)
_ABOUT = re.compile(r"<about>(.*?)</about>", re.DOTALL)
_QUESTION = re.compile(r"<question>\n(.*?)\n</question>", re.DOTALL)
_ANSWER = re.compile(r"<answer>\n(.*?)\n</answer>", re.DOTALL)


class WorldServer:
    """For `support.scripted_server.saying`.

    Args:
        pool: the pictures that may be shown.
        k: questions in a completion.
        verifier: who judges; by default the truth.
    """

    def __init__(self, pool: WorldImages, *, k: int = 2, verifier: AnsweringVerifier | None = None):
        self._pool = {PNG(pool[i]).sha256: pool[i] for i in range(len(pool))}
        self._k, self._lock = k, threading.Lock()
        self._answerer: Answerer = FaultyAnswerer(ExecutingAnswerer(), load_faults())
        self._verifier = verifier or OracleVerifier()
        self._model = tiny.load("questioner")
        self._completion = cache(self._drawn)
        self.came: Counter[str] = Counter()
        """Requests, by model."""
        self.on_request: Callable[[str, int], None] = lambda model, count: None
        """Gets the model of each request and its number among those of the model, from 1."""

    def __call__(self, asked: dict[str, Any]) -> Any:
        text, picture = self._shown(asked)
        with self._lock:
            self.came[asked["model"]] += 1
            self.on_request(asked["model"], self.came[asked["model"]])
            said = self._said(asked["model"], text, picture)
        return body(said, usage=tokens(len(text.split()), len(said.split())))

    def write_pictures(self, folder: Path) -> Path:
        """The pool as files."""
        folder.mkdir()
        for image in self._pool.values():
            (folder / f"{image.key}.png").write_bytes(PNG(image).data)
        return folder

    def _shown(self, asked: dict[str, Any]) -> tuple[str, Picture]:
        parts = asked["messages"][-1]["content"]
        [url] = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        name = hashlib.sha256(base64.b64decode(url.split(",")[1])).hexdigest()
        return " ".join(part["text"] for part in parts if part["type"] == "text"), self._pool[name]

    def _said(self, model: str, text: str, picture: Picture) -> str:
        if model == "asker":
            about = _ABOUT.search(text)
            return self._completion(about[1] if about else "", picture.id)
        if model == "judge":
            return self._judged(text, picture)
        return self._answerer.answer([picture], [_last_line(text)])[0].text or "nothing"

    def _drawn(self, hint: str, number: int) -> str:
        [picture] = [image for image in self._pool.values() if image.id == number]
        terms = [word for word in dict.fromkeys(hint.split()) if can_be_told(Hint.of([word]))][:MOST_TERMS]
        asker = Questioner(self._model, prompt=hinted_prompt(about=terms))
        return asker.ask([picture], k=self._k, seed=core.hash(f"{hint} {picture.key}"), step=0).texts[0]

    def _judged(self, text: str, picture: Picture) -> str:
        question, answer = _QUESTION.search(text), _ANSWER.search(text)
        if question is None:  # it is asked to answer
            return self._verifier.own_answers([picture], [_last_line(text)])[0].text or "nothing"
        if answer is None:
            criteria = self._verifier.validity([picture], [question[1]])[0]
            verdict: dict[str, Any] = {name: getattr(criteria, name) for name in NAMES}
        else:
            criteria = self._verifier.correctness([picture], [question[1]], [answer[1]])[0]
            verdict = {"correct": criteria.correct}
        known = {name: "unknown" if truth is None else truth for name, truth in verdict.items()}
        return f"<verdict>{json.dumps({'reason': criteria.reason, **known})}</verdict>"


def _last_line(text: str) -> str:
    """The question in the prompt `answerer`."""
    return text.rstrip().rpartition("\n")[2]
