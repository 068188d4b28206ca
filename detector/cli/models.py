"""`detector models`: which model bundles are installed."""

from __future__ import annotations

import argparse
import json
from typing import Any

import detector
from detector.cli import codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.add_argument("--json", action="store_true", help="as JSON, one line each")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from detector.names import one_line

    bundles = _bundles()
    if args.json:
        for facts in bundles:
            print(json.dumps(facts))
        return codes.OK
    console = Console(highlight=False)
    if not bundles:
        console.print("no model is installed")
        return codes.OK
    table = Table("model", "default", "settings", "size", "folder", box=None, pad_edge=False)
    for facts in bundles:
        table.add_row(
            Text(facts["id"], style="bold"),
            "yes" if facts["default"] else "",
            facts["config_hash"],
            f"{facts['bytes'] / 1e6:.1f} MB",
            Text(one_line(facts["path"]), overflow="fold", style="dim"),
        )
    console.print(table)
    return codes.OK


def version_line() -> str:
    """What `detector --version` prints."""
    # Floor 3 without torch: numpy and OpenCV are the most that this loads.
    from detector.weights import DEFAULT_BUNDLE

    return f"detector {detector.__version__} (default model: {DEFAULT_BUNDLE})"


def _bundles() -> list[dict[str, Any]]:
    from detector.weights import DEFAULT_BUNDLE, installed_bundles, load_bundle

    listed = []
    for name in installed_bundles():
        bundle = load_bundle(name)
        listed.append(
            {
                "id": bundle.id,
                "default": bundle.id == DEFAULT_BUNDLE,
                "config_hash": bundle.config_hash,
                "path": str(bundle.path),
                "bytes": sum(f.stat().st_size for f in bundle.path.iterdir() if f.is_file()),
            }
        )
    return listed
