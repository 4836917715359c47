"""Sources of one's own that fail, and pictures recalled by key."""

from __future__ import annotations

import json

import pytest
from PIL import Image as PILImage

from support.photos import photos
from vlmprobe.data import (
    FolderImages,
    Image,
    UnreadableImage,
)
from vlmprobe.data.order import StepImages
from vlmprobe.data.source import Chosen, Recalled
from vlmprobe.models.judges import ModelAnswerer, ModelVerifier
from vlmprobe.models.model import ModelReply, Status
from vlmprobe.models.replies import Failure


class Own:
    """A user's source without names, one of whose pictures raises, and another of whose pixels are read late."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            raise self.error
        return Late(index) if index == 2 else Image(index, f"own {index}", PILImage.new("RGB", (4, 4)))


class Late:
    meta = None

    def __init__(self, index):
        self.id, self.key = index, f"own {index}"

    @property
    def pixels(self):
        raise SyntaxError("broken tail")

    @property
    def sha256(self):
        return Image(self.id, self.key, self.pixels).sha256


@pytest.mark.parametrize("error", [RuntimeError("jpeg decoder"), OSError("no such host"), KeyError("bytes")])
def test_a_source_of_ones_own_may_raise_what_it_likes(tmp_path, error):
    shown = StepImages(Own(error), range(3))
    assert [image.key for image in shown] == ["own 0"]
    assert [(one.id, one.reason) for one in shown.left_out] == [
        (1, f"image 1: {type(error).__name__}: {error}"),
        (2, "image 2: SyntaxError: broken tail"),
    ]
    with pytest.raises(IndexError):
        StepImages(Own(error), [3])


def test_sources_are_recalled_by_key(tmp_path):
    images = FolderImages(photos(tmp_path / "photos"))
    chosen = Chosen(images, [4, 2])
    assert list(chosen.keys) == ["4.jpg", "2.jpg"]
    recalled = Recalled(images, ["5.jpg", "gone.jpg", "0.jpg"])
    assert (recalled[0].id, recalled[0].key, recalled[2].key) == (0, "5.jpg", "0.jpg")
    assert recalled.missing == ["gone.jpg"] and recalled.added == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    with pytest.raises(UnreadableImage, match=r"gone\.jpg: is not among the pictures any more"):
        recalled[1]
    with pytest.raises(IndexError):
        recalled[3]
    with pytest.raises(AttributeError):
        getattr(Chosen(Own(OSError()), [0]), "keys")  # noqa: B009


# Methods, judgings, studies


class Says:
    identity = "says"

    def reply(self, requests):
        truths = dict.fromkeys(("grammatical", "atomic", "grounded", "objective", "correct"), True)
        return [ModelReply(status=Status.OK, text=f"<verdict>{json.dumps(truths)}</verdict>") for _ in requests]


def test_a_picture_that_cannot_be_encoded_fails_its_rows_alone():
    good, late = Image(0, "good", PILImage.new("RGB", (4, 4))), Late(1)
    shown, questions = [good, late, good], ["a ?", "b ?", "c ?"]
    replies = ModelAnswerer(Says()).answer(shown, questions)
    assert [reply.ok for reply in replies] == [True, False, True] and replies[1].failure is Failure.REJECTED
    verifier = ModelVerifier(Says())
    for said in (verifier.validity(shown, questions), verifier.correctness(shown, questions, ["x"] * 3)):
        assert [each.failure for each in said] == [None, Failure.REJECTED, None]
        assert "own 1: cannot be encoded (broken tail)" in said[1].reason
