"""Holds the enricher's folder for Bellingcat's auto-archiver; `FOLDER` is its module path.

auto-archiver --module_paths "$(detector integrations path auto-archiver)" …
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
