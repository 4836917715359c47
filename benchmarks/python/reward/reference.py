"""`reward_4096` as one would write it in Python and NumPy: regular expressions, a Counter, vectorised equation 5."""

from __future__ import annotations

import re
import string
from collections import Counter

import numpy as np

TAG = re.compile(r"<(/?)response_([1-9][0-9]*)>")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def prefix(question: str, length: int = 2) -> str:
    return " ".join(question.lower().translate(PUNCTUATION).split()[:length])


def parse(completion: str, k: int) -> list[str]:
    """The question of each slot, or "" where the slot is malformed."""
    tags = list(TAG.finditer(completion))
    opened = [int(tag[2]) for tag in tags if not tag[1]]
    closed = [int(tag[2]) for tag in tags if tag[1]]
    found, highest = [""] * k, 0
    for tag, after in zip(tags, [*tags[1:], None], strict=True):
        number = int(tag[2])
        if tag[1] or number > k:
            continue
        ordered, highest = number > highest, max(number, highest)
        single = opened.count(number) == 1 and closed.count(number) == 1
        if single and ordered and after is not None and after[1] and int(after[2]) == number:
            found[number - 1] = " ".join(completion[tag.end() : after.start()].split())
    return found


def prepare(problem: dict) -> Counter:
    """Before the clock starts: prefixes of the history."""
    return Counter(map(prefix, problem["history"]))


def reference(problem: dict, history: Counter) -> dict:
    texts = [text for completion in problem["completions"] for text in parse(completion, problem["k"])]
    present = np.array([bool(text) for text in texts])
    prefixes = [prefix(text) for text in texts]
    counts = np.array([history[cut] for cut in prefixes])
    lexical = np.where(present, 1 / (1 + counts), np.nan)

    valid = np.where(present, problem["judged"], 0)
    novelty = 0.5 * (problem["semantic"] + lexical)
    wrong = np.where(problem["correct"] < 0, np.nan, 1.0 - problem["correct"])
    question = np.select(
        [valid < 0, valid == 0], [np.nan, -1.0], np.where(problem["correct"] == 1, 0.0, novelty * wrong)
    )

    scored = ~np.isnan(question.reshape(-1, problem["k"]))
    total = np.where(scored, question.reshape(-1, problem["k"]), 0).sum(1) / np.where(
        scored.any(1), scored.sum(1), np.nan
    )
    added = Counter(cut for cut, has in zip(prefixes, present, strict=True) if has)
    return {"question": question, "total": total, "lexical": lexical, "added": added}
