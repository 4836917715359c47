"""The numbers of the paper over questions that come in parts: rounds, or those of a ledger larger than memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import compress
from typing import Any, overload

import torch

from vlmprobe import metrics
from vlmprobe._util.html import Html, pairs, titled
from vlmprobe._util.visible import bare
from vlmprobe.ledger import JudgedQuestions
from vlmprobe.loop.record import judged_questions
from vlmprobe.loop.round import Round
from vlmprobe.models.protocols import Embedder

VENDI_N = 1000  # questions that Vendi is taken over, so that it is compared at equal n


class Texts(Sequence[str]):
    """Many texts in little memory: their bytes and where each ends."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes, self._ends = bytearray(), array("q", [0])
        self.extend(texts)

    def extend(self, texts: Iterable[str]) -> None:
        """Adds some at the end."""
        for text in texts:
            self._bytes += text.encode("utf-8", "surrogatepass")
            self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int, /) -> str: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[str]: ...
    def __getitem__(self, index: int | slice, /) -> str | list[str]:
        content, ends, places = self._bytes, self._ends, range(len(self))[index]
        if isinstance(places, int):
            return content[ends[places] : ends[places + 1]].decode("utf-8", "surrogatepass")
        return [content[ends[i] : ends[i + 1]].decode("utf-8", "surrogatepass") for i in places]

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def distinct(self, which: Iterable[object] | None = None) -> int:
        """How many different ones there are; with `which`, [n], among those for which it is true."""
        places = range(len(self)) if which is None else compress(range(len(self)), which)
        begin = self._ends
        return len({blake2b(self._bytes[begin[i] : begin[i + 1]], digest_size=16).digest() for i in places})


class Tally:
    """Counts of questions, and of them what the numbers of the paper need: no answer, reason or reward is kept.

    Example:
        >>> tally = Tally()
        >>> for part in ledger.each_judged("train"):  # doctest: +SKIP
        ...     tally.add(part)
        >>> tally.numbers(embedder)  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.calls = 0
        """Answerer calls for these questions."""
        self.asking = 0
        """Answerer calls that asking took on the way (`Asked.calls`)."""
        self.left_out = 0
        """Pictures that could not be read, counted once a step."""
        self._image, self._valid = array("q"), array("b")  # of all
        self._valid_image, self._wrong, self._texts = array("q"), array("b"), Texts()  # of the valid ones

    @classmethod
    def of(cls, *parts: JudgedQuestions) -> Tally:
        """The tally of some questions."""
        tally = cls()
        for part in parts:
            tally.add(part)
        return tally

    def __len__(self) -> int:
        return len(self._image)

    def __repr__(self) -> str:
        more = f" and {self.asking} to ask" if self.asking else ""
        without = f", {self.left_out} pictures left out" if self.left_out else ""
        return f"{type(self).__name__}({len(self)} questions, {self.calls} answerer calls{more}{without})"

    def shown(self) -> Html:
        """Counts and rates with their intervals, for a notebook."""
        qvr, fdr = self.rates()
        return pairs(
            [
                ("questions", len(self)),
                ("valid (QVR)", Html(qvr._repr_html_())),
                ("of the valid ones wrong (FDR)", Html(fdr._repr_html_())),
                ("answerer calls", self.spent),
                *([("pictures left out", self.left_out)] if self.left_out else []),
            ]
        )

    def _repr_html_(self) -> str:
        return titled(type(self).__name__, self.shown())

    @property
    def spent(self) -> int:
        """All answerer calls."""
        return self.calls + self.asking

    @property
    def valid(self) -> int:
        """Questions judged valid."""
        return len(self._texts)

    @property
    def wrong(self) -> int:
        """Of these, those judged to be answered wrongly."""
        return sum(each == 1 for each in self._wrong)

    def add(self, part: JudgedQuestions) -> None:
        """Adds some questions, in their order."""
        kept = [valid is True for valid in part.valid]
        self.calls += sum(part.asked)
        self._image.extend(part.image)
        self._valid.extend(_TRI[valid] for valid in part.valid)
        self._valid_image.extend(compress(part.image, kept))
        self._wrong.extend(_TRI[None if right is None else not right] for right in compress(part.correct, kept))
        self._texts.extend(bare(text) for text in compress(part.text, kept))

    def see(self, round: Round, *, calls: int | None = None) -> None:
        """Adds an examined round; of its questions those up to the answer that makes it so many `calls` in all."""
        part = judged_questions(round)
        self.add(part if calls is None else part.first(calls - self.calls))
        self.asking += round.asked.calls
        self.left_out += round.left_out

    def rates(self) -> tuple[metrics.Rate, metrics.Rate]:
        """QVR over all questions, FDR over the valid ones; clustered by image."""
        return _rate(self._valid, self._image), _rate(self._wrong, self._valid_image)

    def numbers(self, embedder: Embedder) -> dict[str, Any]:
        """The paper's numbers, as plain values.

        Returns:
            n_questions, n_valid, n_unscored, qvr and fdr with intervals, vendi (over `VENDI_N` valid questions, evenly
            spaced; `vendi_n` says how many there were), prefix_entropy and its normalised form over the valid
            questions, distinct_failure_texts, duplicates (share of valid questions asked before), answerer_calls; and
            where pictures could not be read, images_left_out.
        """
        qvr, fdr = self.rates()
        texts, n = self._texts, len(self._texts)
        spaced = [texts[i * n // VENDI_N] for i in range(VENDI_N)] if n > VENDI_N else list(texts)
        return {
            "n_questions": len(self),
            "n_valid": n,
            "n_unscored": qvr.n_unscored + fdr.n_unscored,
            "qvr": qvr.value,
            "qvr_interval": [qvr.low, qvr.high],
            "fdr": fdr.value,
            "fdr_interval": [fdr.low, fdr.high],
            "vendi": metrics.vendi(embedder(spaced)) if spaced else math.nan,
            "vendi_n": len(spaced),
            "prefix_entropy": (entropy := metrics.prefix_entropy(texts)),
            "prefix_entropy_normalized": entropy / math.log(n) if n > 1 else math.nan,
            "distinct_failure_texts": texts.distinct(wrong == 1 for wrong in self._wrong),
            "duplicates": 1 - texts.distinct() / n if n else math.nan,
            "answerer_calls": self.calls,
            **({"images_left_out": self.left_out} if self.left_out else {}),
        }


_TRI = {None: -1, False: 0, True: 1}


def _rate(truths: array[int], cluster: array[int]) -> metrics.Rate:
    return metrics.rate(torch.tensor(truths, dtype=torch.int8), cluster=torch.tensor(cluster, dtype=torch.int64))
