"""Image sources: where the pictures come from, and in which order they are seen."""

from vlmprobe.data.ahead import prefetched
from vlmprobe.data.coco import CocoImages, CocoMeta
from vlmprobe.data.draw import Drawn, Duplicate, draw
from vlmprobe.data.image import Image, SourceGone, UnreadableImage
from vlmprobe.data.looks import near_duplicates
from vlmprobe.data.opening import open_images
from vlmprobe.data.order import LeftOut, StepImages, epoch_order, in_order, shuffled
from vlmprobe.data.pixels import rgb
from vlmprobe.data.source import Chosen, FolderImages, ImageSource, Recalled
from vlmprobe.data.tables import DatasetImages, TableImages

__all__ = [
    "Chosen",
    "CocoImages",
    "CocoMeta",
    "DatasetImages",
    "Drawn",
    "Duplicate",
    "FolderImages",
    "Image",
    "ImageSource",
    "LeftOut",
    "Recalled",
    "SourceGone",
    "StepImages",
    "TableImages",
    "UnreadableImage",
    "draw",
    "epoch_order",
    "in_order",
    "near_duplicates",
    "open_images",
    "prefetched",
    "rgb",
    "shuffled",
]
