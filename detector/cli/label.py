"""`detector label`: confirmed labels into a store, and what they say of the model here."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from detector.cli import codes

if TYPE_CHECKING:
    from detector.campaign.labels import LabelFile
    from detector.campaign.recalibrate import Recalibration
    from detector.campaign.records import LocalRates
    from detector.store import Store

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Keeps labels that an analyst has confirmed beside the results of a scan, and compares "
        "the model with them. Label pictures by chance and not by their verdict: only then do "
        "the rates hold for the rest."
    )
    parser.add_argument("store", metavar="STORE", help="result store of a scan")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="table with a column file or sha256 and a column label (real or generated)",
    )
    parser.add_argument(
        "--context",
        metavar="FILE",
        help="table of posts, so that pictures of one account count as one group",
    )
    parser.add_argument(
        "--recalibrate",
        metavar="FPR",
        type=_share,
        nargs="?",
        const=0.02,
        help="choose a threshold at this false positive rate (default 0.02) on the labels, and "
        "try it on labels held out",
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.campaign.builder import read_files
    from detector.campaign.labels import read_labels, store_labels
    from detector.store import Store

    unused = 0
    with Store.open(args.store, create=False, readonly=args.csv is None) as store:
        if args.csv is not None:
            read = read_labels(args.csv, read_files(store).places)
            kept = store_labels(store.path, read.labels, str(args.csv))
            print(f"{kept} labels kept in {args.store}", file=sys.stderr)
            unused = _print_unused(read)
        _compare(store, args)
    return codes.SOME_FAILED if unused else codes.OK


def _compare(store: Store, args: argparse.Namespace) -> None:
    from detector.campaign.builder import compare_labels

    rates, again = compare_labels(store, context=args.context, fpr=args.recalibrate)
    if args.json:
        from dataclasses import asdict

        record = {
            "local_rates": None if rates is None else asdict(rates),
            "recalibration": None if again is None else asdict(again),
        }
        print(json.dumps(record, indent=2))
        return
    if rates is None:
        print("No labelled image has a score from an installed model: nothing to compare.")
        return
    _print_rates(rates)
    if again is not None:
        _print_recalibration(again)


def _print_unused(read: LabelFile) -> int:
    from detector.names import one_line

    for row in read.bad[:_SHOWN]:
        print(f"line {row.line}: {one_line(row.reason)}", file=sys.stderr)
    if len(read.bad) > _SHOWN:
        print(f"and {len(read.bad) - _SHOWN} more such lines", file=sys.stderr)
    if read.unmatched:
        lines = ", ".join(map(str, read.unmatched[:_SHOWN]))
        print(f"lines that name no image of the store: {lines}", file=sys.stderr)
    return len(read.bad) + len(read.unmatched)


def _print_rates(rates: LocalRates) -> None:
    print(f"{rates.real} real and {rates.generated} generated pictures are labelled.")
    for words, rate, interval, card in (
        ("real ones flagged", rates.false_positive_rate, rates.false_positive_interval,
         rates.card_false_positive_rate),
        ("generated ones found", rates.recall, rates.recall_interval, rates.card_recall),
    ):  # fmt: skip
        if rate is not None and interval is not None:
            low, high = interval
            print(f"  {words}: {rate:.1%} ({low:.1%} to {high:.1%}); the card says {card:.1%}")
    if rates.warning:
        print(f"Warning: {rates.warning}")


def _print_recalibration(again: Recalibration) -> None:
    print(
        f"A threshold of {again.threshold:+.3f} was chosen on all labels. Held out in {again.folds}"
        f" parts by account ({again.groups}):"
    )
    for words, rate, (low, high), old in (
        ("real ones flagged", again.fpr, again.fpr_interval, again.old_fpr),
        ("generated ones found", again.recall, again.recall_interval, again.old_recall),
    ):
        print(f"  {words}: {rate:.1%} ({low:.1%} to {high:.1%}); before {old:.1%}")
    print(again.words)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"a rate lies between 0 and 1: {text}")
    return value
