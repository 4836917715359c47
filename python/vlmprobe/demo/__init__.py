"""`vlmprobe demo`: trains a small questioner against planted failures and shows what it found."""

from vlmprobe.demo.command import add_arguments, run

__all__ = ["add_arguments", "run"]
