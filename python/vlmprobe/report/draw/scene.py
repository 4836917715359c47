"""Figure 7: one picture, and the questions about it at stages of training, wrong ones marked."""

from __future__ import annotations

import base64
import binascii
import io
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image as PILImage

from vlmprobe.report.draw.svg import axes, canvas, saved, write
from vlmprobe.report.results.figures import Question, Scene, Stage
from vlmprobe.report.table.format import DASH, line

_WIDTH, _PICTURE, _LINE = 9.4, 2.6, 0.185  # inches
_LEFT = _PICTURE + 0.4
_PIXELS = 384  # of the picture's longer side, when it is enlarged
_CHARACTERS, _SHOWN = 76, 6  # of a line; questions of a stage


def questions(name: str, data: Scene) -> str:
    """The picture on the left, a block for each stage on the right."""
    lines = [each for stage in data.stages for each in _stage(stage)]
    height = max(sum(gap for gap, _ in lines) + 0.35, _PICTURE + 0.6)
    with canvas(name, _WIDTH, height) as figure:
        _picture(figure, data.png, line(data.image, 40), height)
        top = height - 0.1
        for gap, pieces in lines:
            top -= gap
            for left, text, role, weight in pieces:
                write(figure, _LEFT + left, top, text, role, weight=weight)
        return saved(figure)


def verdict(question: Question) -> tuple[str, str]:
    """The mark of a question and its colour."""
    if question.valid is False:
        return "○ invalid", "muted"
    if question.valid is None or question.correct is None:
        return "? not judged", "muted"
    return ("✓ right", "line-2") if question.correct else ("✗ wrong", "failure")


Piece = tuple[float, str, str, str]


def _stage(stage: Stage) -> Iterator[tuple[float, list[Piece]]]:
    """Lines of a stage: the gap above and the pieces, each with inches from the left, text, colour and weight."""
    asked = stage.questions
    yield 0.34, [(0.0, f"step {stage.step}", "ink", "bold")]
    for question in asked[:_SHOWN]:
        mark, role = verdict(question)
        wrong = role == "failure"
        shown = _wrapped(question.text)
        yield (
            0.25,
            [(0.0, mark, role, "bold" if wrong else "normal"), (1.0, shown[0], role if wrong else "ink", "normal")],
        )
        for more in shown[1:]:
            yield _LINE, [(1.0, more, role if wrong else "ink", "normal")]
        if question.answer or question.truth:
            yield _LINE, [(1.0, _answers(question), "muted", "normal")]
    if len(asked) > _SHOWN:
        yield 0.25, [(1.0, f"and {len(asked) - _SHOWN} more", "muted", "normal")]
    if not asked:
        yield 0.25, [(1.0, "no question", "muted", "normal")]


def _wrapped(text: str) -> list[str]:
    lines = textwrap.wrap(line(text, 400), _CHARACTERS, max_lines=3, placeholder=" …")
    return lines or [DASH]


def _answers(question: Question) -> str:
    answer, truth = (line(each or DASH, 27) for each in (question.answer, question.truth))
    return f"answered: {answer}; true: {truth}"


def _picture(figure: Any, png: str | None, name: str, height: float) -> None:
    if png is None:
        write(figure, 0.1, height - 0.44, "The picture is not kept.", "muted")
    else:
        pixels = enlarged(png)
        high, wide = (side * _PICTURE / max(pixels.shape[:2]) for side in pixels.shape[:2])
        plot = axes(figure, 0.1, height - 0.3 - high, wide, high)
        plot.imshow(pixels, interpolation="none", aspect="auto")
        plot.set_axis_off()
        write(figure, 0.1, height - 0.5 - high, name, "muted")


def enlarged(png: str) -> np.ndarray:
    """The picture as [height, width, 3] bytes, each pixel of a small one a square of whole pixels.

    Raises:
        ValueError: not the base64 of a PNG.
    """
    try:
        with PILImage.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=["PNG"]) as opened:
            image = opened.convert("RGB")
    except (binascii.Error, OSError, ValueError) as error:
        raise ValueError(f"[paper_figures] png: expected the base64 of a PNG, got {png!r:.40}") from error
    times = _PIXELS // max(image.size)
    if times > 1:
        image = image.resize((times * image.width, times * image.height), PILImage.Resampling.NEAREST)
    else:
        image.thumbnail((_PIXELS, _PIXELS))
    return np.asarray(image)
