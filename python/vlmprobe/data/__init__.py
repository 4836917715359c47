"""Image sources: where the pictures come from, and in which order they are seen."""

from vlmprobe.data.image import Image, SourceGone, UnreadableImage
from vlmprobe.data.order import LeftOut, StepImages, epoch_order, in_order, shuffled
from vlmprobe.data.pixels import rgb
from vlmprobe.data.source import Chosen, FolderImages, ImageSource, Recalled

__all__ = [
    "Chosen",
    "FolderImages",
    "Image",
    "ImageSource",
    "LeftOut",
    "Recalled",
    "SourceGone",
    "StepImages",
    "UnreadableImage",
    "epoch_order",
    "in_order",
    "rgb",
    "shuffled",
]
