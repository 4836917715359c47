"""A suite of two pictures, made by hand."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as PILImage

from vlmprobe.data.image import Image
from vlmprobe.exports.suite import PICTURES, Item, Suite, freeze, id_of

MODE = {"id": "aaaa0000", "name": "questions with “red”", "state": "held", "rule": [], "rate": 0.5, "interval": [0, 1],
        "n": 4}  # fmt: skip
HOSTILE = "<script>alert(1)</script> \u202e {{7*7}} =cmd|' /C calc'!A0\ttab \x0b control"
QUESTIONS = ("how many red cups are there", "what is “left”, of the\nred cup?", HOSTILE)


def images() -> list[Image]:
    return [
        Image(i, f"{color}.png", PILImage.new("RGB", (24 + i, 16), color)) for i, color in enumerate(("red", "blue"))
    ]


def item(image: Image, question: str, **changes: object) -> Item:
    values = {
        "id": id_of(image.sha256, question), "picture": f"{PICTURES}/{image.sha256[:16]}.png", "sha256": image.sha256,
        "key": image.key, "question": question, "answer": "two", "reason": "there are 3", "reference": "3",
        "reference_by": "truth", "modes": ["aaaa0000"], "by_people": False,
    }  # fmt: skip
    return Item(**{**values, **changes})


def items() -> list[Item]:
    """Three with a right answer, one without; one of no mode."""
    red, blue = images()
    found = [item(red, text) for text in QUESTIONS]
    return [*found, item(blue, "is it red", modes=[], reference=None, reference_by="")]


def suite(folder: Path, **about: object) -> Suite:
    said = {"name": "cups", "version": "1.0.0", "license": "cc0-1.0", "created": "2026-01-02", "source": "pictures",
            "provenance": {"models": {"answerer": "A", "verifier": "V"}}, "modes": [MODE]}  # fmt: skip
    return freeze(folder, items(), {image.sha256: image for image in images()}, {**said, **about})
