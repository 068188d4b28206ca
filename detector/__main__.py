"""`python -m detector`, and the `detector` command that the installation makes."""

from __future__ import annotations

import sys

from detector.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
