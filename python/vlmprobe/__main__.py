"""`python -m vlmprobe` is the command `vlmprobe`."""

import sys

from vlmprobe.cli import main

sys.exit(main())
