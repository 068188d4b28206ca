"""`detector export`: a result store as CSV, JSON Lines or Parquet."""

from __future__ import annotations

import argparse

from detector.cli import codes
from detector.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Writes one record per path of a store. JSON Lines and Parquet hold every value exactly. "
        "CSV is for spreadsheets: text that one would run as a formula gets a leading "
        "apostrophe, and control characters in names become escapes such as \\n."
    )
    parser.add_argument("store", metavar="STORE", help="result store of a scan")
    parser.add_argument("--csv", metavar="FILE", help="- for standard output")
    parser.add_argument("--jsonl", metavar="FILE", help="- for standard output")
    parser.add_argument("--parquet", metavar="FILE", help="needs the extra 'parquet'")
    parser.add_argument(
        "--model", metavar="NAME", help="results of this model (default: the last one per file)"
    )
    parser.add_argument(
        "--scan",
        metavar="N",
        type=int,
        help="only the files that scan number N saw (default: all; -1 is the last scan)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.cli.stores import selected
    from detector.export import EXPORTERS
    from detector.store import Store

    outputs = {word: getattr(args, word) for word in EXPORTERS if getattr(args, word)}
    if not outputs:
        raise UsageError("name an output: --csv, --jsonl or --parquet")
    if list(outputs.values()).count("-") > 1:
        raise UsageError("only one output can go to standard output")
    with Store.open(args.store, create=False) as store:
        part = selected(store, args.scan)
        for word, out in outputs.items():
            EXPORTERS[word](part.findings(args.model), out)
    return codes.OK
