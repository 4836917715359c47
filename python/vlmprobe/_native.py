import torch  # noqa: F401
from vlmprobe import _core as core
