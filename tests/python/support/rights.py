"""Rights of the file system."""

import os
from contextlib import contextmanager


@contextmanager
def nobody():
    """Without the rights of root, if the tests have them: root may write anywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
