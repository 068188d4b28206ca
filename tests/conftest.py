"""Tests see the models that ship, whatever this machine's user has added."""

from __future__ import annotations

import os
import tempfile

# Before any worker process starts, so that they all see the same empty home.
os.environ["DETECTOR_HOME"] = tempfile.mkdtemp(prefix="detector-home-")
