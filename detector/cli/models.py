"""`detector models`: which model bundles are installed."""

from __future__ import annotations

import argparse

import detector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector import weights

    for name in weights.installed_bundles():
        print(name)
    return 0


def version_line() -> str:
    """What `detector --version` prints."""
    return f"detector {detector.__version__}"
