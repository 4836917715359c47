"""Image sources: where the pictures come from, and in which order they are seen."""

from vlmprobe.data.image import Image
from vlmprobe.data.order import epoch_order, in_order, shuffled
from vlmprobe.data.source import Chosen, FolderImages, ImageSource

__all__ = ["Chosen", "FolderImages", "Image", "ImageSource", "epoch_order", "in_order", "shuffled"]
