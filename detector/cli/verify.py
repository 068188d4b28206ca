"""`detector verify`: what has changed since a report was made, and whether its signature holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli import codes
from detector.errors import BundleError, CustodyError, UsageError

if TYPE_CHECKING:
    from detector.custody import Change, Installed
    from detector.results import Finding

_EPILOG = """\
exit codes:
  0    the report holds: every original is there, unaltered (moved and new files are named)
  1    it does not: a file is missing or altered, the statement was edited, the signature or a
       score does not fit; with --strict also when anything else differs
  2    wrong usage: no report, no statement in it, no key
  70   a fault in this program; the traceback is on stderr
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Recomputes what a report claims: the sha256 of every original, the settings, the table "
        "of context and, when asked, the scores of a sample; and says what has changed."
    )
    parser.epilog = _EPILOG
    parser.add_argument(
        "report", nargs="?", metavar="REPORT", help="HTML report, or a statement as JSON"
    )
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="folder that holds the originals now; may be repeated (default: names are read from "
        "the working folder)",
    )
    parser.add_argument("--context", metavar="FILE", help="the table of context, to check its hash")
    parser.add_argument(
        "--rescore", type=int, default=0, metavar="N", help="score N of the images again"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.05,
        metavar="X",
        help="difference of a score that is no change (default: 0.05)",
    )
    parser.add_argument("--model", metavar="NAME", help="bundle to score with, if not installed")
    parser.add_argument("--strict", action="store_true", help="any difference gives exit code 1")
    parser.add_argument(
        "--json", action="store_true", help="the changes as JSON on standard output"
    )
    keys = parser.add_argument_group("signatures (minisign's format)")
    keys.add_argument("--public-key", metavar="KEY", help="check the signature: file, or base64")
    keys.add_argument("--signature", metavar="FILE", help="default: REPORT.minisig")
    keys.add_argument("--sign", metavar="KEY", help="sign REPORT with this secret key and stop")
    keys.add_argument("--new-key", metavar="FILE", help="make a key pair, FILE and FILE.pub")
    keys.add_argument(
        "--no-password", action="store_true", help="leave a new secret key unencrypted"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    if args.new_key:
        return _new_key(args)
    if not args.report:
        raise UsageError("name a report, or make a key with --new-key FILE")
    if args.sign:
        return _sign(args)
    from detector.custody import Change, read_statement, verify
    from detector.custody.check import REDACTED_FOLDER

    _check(args)
    said = read_statement(args.report)
    if not args.root and any(line["path"].startswith(REDACTED_FOLDER) for line in said["files"]):
        raise UsageError("the report is redacted and names no files: give --root DIR")
    changes = verify(
        args.report,
        roots=args.root,
        context=args.context,
        installed=_installed(args.model or said["model"]),
        scorer=_scorer(args.model or said["model"]) if args.rescore else None,
        rescore=args.rescore,
        tolerance=args.tolerance,
    )
    signed = ""
    if args.public_key:
        from detector.custody import verify_signature

        try:
            signed = verify_signature(args.report, args.public_key, args.signature)
        except CustodyError as error:
            changes.insert(0, Change("signature", args.report, str(error)))
    holds = not any(change.serious or args.strict for change in changes)
    if args.json:
        print(json.dumps(_record(said, changes, signed, holds), ensure_ascii=False, indent=1))
    else:
        _print(said, changes, signed, holds)
    return codes.OK if holds else codes.FLAGGED


def _check(args: argparse.Namespace) -> None:
    for root in args.root:
        if not Path(root).is_dir():
            raise UsageError(f"--root {root}: no such folder")
    if args.context and not Path(args.context).is_file():
        raise UsageError(f"--context {args.context}: no such file")
    if args.rescore < 0 or args.tolerance < 0:
        raise UsageError("--rescore and --tolerance are not negative")


def _installed(model: str) -> Installed:
    from detector import __version__
    from detector.custody import Installed
    from detector.weights import load_bundle

    tool = f"detector {__version__}"
    try:
        bundle = load_bundle(model)
    except BundleError:
        return Installed(tool, "", "")
    return Installed(tool, bundle.id, bundle.config_hash)


def _scorer(model: str) -> Callable[[Sequence[Path]], list[Finding]]:
    def score(paths: Sequence[Path]) -> list[Finding]:
        from detector.predict import Detector

        detector = Detector.load(model)
        return [detector.predict(path) for path in paths]

    return score


def _record(
    said: dict[str, Any], changes: Sequence[Change], signed: str, holds: bool
) -> dict[str, Any]:
    return {
        "holds": holds,
        "files": len(said["files"]),
        "statement": said["sha256"],
        "signed": signed or None,
        "changes": [
            {"kind": c.kind, "subject": c.subject, "detail": c.detail, "serious": c.serious}
            for c in changes
        ],
    }


def _print(said: dict[str, Any], changes: Sequence[Change], signed: str, holds: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from detector.names import one_line

    console = Console(highlight=False, soft_wrap=True)
    made = said.get("made_at") or "an unknown time"
    console.print(
        Text(f"{len(said['files'])} files, made by {said['tool']} with {said['model']} at {made}.")
    )
    if signed:
        console.print(Text(f"The signature holds: {signed}."))
    for change in changes:
        style = "bold red" if change.serious else "yellow"
        line = Text(f"{change.kind:<10} ", style=style)
        line.append(one_line(change.subject), style="default")
        line.append(f"  {one_line(change.detail)}", style="dim")
        console.print(line)
    if not changes:
        console.print(Text("Nothing has changed."))
    elif holds:
        console.print(Text("The report holds: no original is missing or altered."))
    else:
        count = sum(change.serious for change in changes) or len(changes)
        console.print(Text(f"The report does not hold: {count} of these changes matter."))


def _new_key(args: argparse.Namespace) -> int:
    from detector.custody import new_key

    password = ""
    if not args.no_password:
        password = _ask("Password for the new key")
        if password != _ask("The same again"):
            raise UsageError("the passwords differ")
        if not password:
            raise UsageError("an empty password protects nothing: give one, or --no-password")
    public = new_key(args.new_key, password)
    print(public)
    print(f"{args.new_key} is secret; give {args.new_key}.pub to your readers", file=sys.stderr)
    return codes.OK


def _sign(args: argparse.Namespace) -> int:
    from detector.custody import sign
    from detector.custody.signature import needs_password

    password = _ask(f"Password of {args.sign}") if needs_password(args.sign) else ""
    print(sign(args.report, args.sign, password), file=sys.stderr)
    return codes.OK


def _ask(what: str) -> str:
    """A password from the terminal; from the first line of standard input where there is none."""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"{what}: ")
    return sys.stdin.readline().rstrip("\n")
