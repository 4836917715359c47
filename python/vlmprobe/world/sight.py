"""What is to be seen in pictures of the world, by the files in which they are sent: for a stand-in that looks."""

from __future__ import annotations

from vlmprobe._native import core
from vlmprobe.data.source import ImageSource
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import EncodedImage
from vlmprobe.world.source import scene_of


class Sight:
    """The scenes of some pictures.

    Args:
        images: pictures of the world.
        encoder: that makes their files; each is encoded when the first is looked at.
    """

    def __init__(self, images: ImageSource, encoder: EncodedImages):
        self._images, self._encoder = images, encoder
        self._scenes: dict[str, core.world.Scene] = {}

    def __call__(self, file: EncodedImage) -> core.world.Scene | None:
        """The scene of a picture's file; None of one that is not among them."""
        if not self._scenes:
            every = (self._images[i] for i in range(len(self._images)))
            self._scenes = {self._encoder(image).sha256: scene_of(image) for image in every}
        return self._scenes.get(file.sha256)
