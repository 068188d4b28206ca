"""`detector report`: the HTML page of a result store."""

from __future__ import annotations

import argparse
import sys

from detector.cli import codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = "Writes one self-contained HTML page with everything in a store."
    parser.add_argument("store", metavar="STORE", help="result store of a scan")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="default: report.html"
    )
    parser.add_argument(
        "--scan",
        metavar="N",
        type=int,
        help="only the files that scan number N saw (default: all; -1 is the last scan)",
    )
    parser.add_argument("--title", metavar="TEXT", help="the page's heading")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.cli.facts import model_facts
    from detector.cli.stores import selected
    from detector.report import write_report
    from detector.store import Store

    with Store.open(args.store, create=False) as store:
        scans = store.scans()
        facts = model_facts(scans[-1].model) if scans else None
        title = {} if args.title is None else {"title": args.title}
        write_report(selected(store, args.scan), args.output, model_facts=facts, **title)
    print(args.output, file=sys.stderr)
    return codes.OK
