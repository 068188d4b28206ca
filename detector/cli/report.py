"""`detector report`: the campaign report of a result store, and its exports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli import codes
from detector.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from detector.campaign.records import Campaign
    from detector.redact import Redactor
    from detector.store import Store
    from detector.weights import Bundle

_EXPORTS = {
    "stix": "a STIX 2.1 bundle",
    "misp": "a MISP event",
    "csv": "a table of images as CSV",
    "jsonl": "the same as JSON Lines",
    "parquet": "the same as Parquet",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Reads a store as a campaign: how much of it is generated, which images are the same "
        "picture, what joins accounts, and what cannot be said. Writes one self-contained HTML "
        "page, and the same in other formats. Without --context, folders stand for accounts."
    )
    parser.add_argument("store", metavar="STORE", help="result store of a scan")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="default: report.html"
    )
    parser.add_argument(
        "--context",
        metavar="FILE",
        help="table of posts, CSV or Parquet: file or sha256, account, platform, language, "
        "posted_at, url, text",
    )
    parser.add_argument("--title", metavar="TEXT", help="the page's heading")
    parser.add_argument(
        "--scan",
        metavar="N",
        type=int,
        help="only the files that scan number N saw (default: all; -1 is the last scan)",
    )
    parser.add_argument(
        "--plain", action="store_true", help="the findings alone; compare nothing (quick)"
    )
    exports = parser.add_argument_group("other formats, from the same analysis")
    for word, what in _EXPORTS.items():
        exports.add_argument(f"--{word}", metavar="FILE", help=what)
    handing = parser.add_argument_group("to hand the report on")
    handing.add_argument(
        "--redact", action="store_true", help="blur faces; replace accounts and paths, drop texts"
    )
    handing.add_argument(
        "--secret",
        metavar="FILE",
        help="file that keeps pseudonyms the same between reports; made when it is not there",
    )
    handing.add_argument(
        "--sign", metavar="KEY", help="minisign key; writes the signature beside the page"
    )
    looking = parser.add_argument_group("to look closer (needs the original files)")
    for word, what in (
        ("heatmaps", "show where the score comes from, for the N highest images"),
        ("stability", "treat the N highest images as platforms do, and score them again"),
    ):
        looking.add_argument(f"--{word}", metavar="N", type=_count, default=0, help=what)
    looking.add_argument("--model", metavar="NAME", help="the bundle, if it is not installed")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.cli.closer import look_closer
    from detector.cli.stores import selected
    from detector.report import write_report
    from detector.store import Store

    _check(args)
    with Store.open(args.store, create=False) as whole:
        store = selected(whole, args.scan)
        bundle = _bundle(args.model, store)
        known = _known(args.model, store, bundle)
        campaign = _campaign(args, store, bundle)
        closer = look_closer(campaign, store, bundle, args.heatmaps, args.stability, args.redact)
        thumbnail: Callable[[str], bytes | None] = store.thumbnail
        if args.redact:
            redactor = _redactor(args.secret)
            print(redactor.method, file=sys.stderr)
            campaign, thumbnail = redactor.campaign(campaign), _redacted(redactor, store)
        write_report(
            campaign,
            args.output,
            thumbnails=thumbnail,
            custody=_statement(campaign),
            heatmaps=closer.heatmaps,
            stability=closer.stability,
            **known,
        )
    written = [args.output, *_export(args, campaign)]
    if args.sign:
        written.append(str(_sign(args.output, args.sign)))
    print("\n".join(written), file=sys.stderr)
    return codes.OK


def _check(args: argparse.Namespace) -> None:
    """Tells wrong combinations before any work is done."""
    outputs = [args.output, *(getattr(args, word) for word in _EXPORTS if getattr(args, word))]
    if len(set(outputs)) < len(outputs):
        raise UsageError("two outputs have the same name")
    if args.output == "-":
        raise UsageError("the page cannot be written to standard output: name a file")
    if args.secret and not args.redact:
        raise UsageError("--secret is for --redact")
    if args.plain and args.context:
        raise UsageError("--plain compares nothing, so it has no use for --context")


def _campaign(args: argparse.Namespace, store: Store, bundle: Bundle | None) -> Campaign:
    from detector.campaign import build
    from detector.report.plain import plain_campaign

    if args.plain:
        return plain_campaign(store, args.title)
    title = {} if args.title is None else {"title": args.title}
    try:
        return build(store, context=args.context, bundle=bundle, **title)
    except MissingExtraError as error:
        if args.context:
            raise
        print(f"nothing is compared: {error}", file=sys.stderr)
        return plain_campaign(store, args.title)


def _bundle(model: str | None, store: Store) -> Bundle | None:
    """The bundle that made the last scan's scores; None when it is not installed."""
    from detector.errors import BundleError
    from detector.weights import load_bundle

    scans = store.scans()
    if not scans and model is None:
        return None
    try:
        return load_bundle(model or scans[-1].model)
    except BundleError as error:
        if model is not None:
            raise
        print(f"without the model's error rates: {error}", file=sys.stderr)
        return None


def _known(model: str | None, store: Store, bundle: Bundle | None) -> dict[str, Any]:
    """What the page says of the model: its facts and its card."""
    from detector.cli.facts import model_facts

    if bundle is None:
        return {}
    scans = store.scans()
    return {"model_facts": model_facts(model or scans[-1].model), "card": bundle.card()}


def _redactor(secret: str | None) -> Redactor:
    from detector.redact import Redactor, load_secret

    return Redactor(None if secret is None else load_secret(secret))


def _redacted(redactor: Redactor, store: Store) -> Callable[[str], bytes | None]:
    def thumbnail(sha256: str) -> bytes | None:
        data = store.thumbnail(sha256)
        return None if data is None else redactor.thumbnail(data)

    return thumbnail


def _statement(campaign: Campaign) -> Mapping[str, Any]:
    from detector.custody import statement

    return statement(campaign)


def _export(args: argparse.Namespace, campaign: Campaign) -> list[str]:
    """Writes the other formats; gives the names of the files."""
    from detector.campaign.labels import load_labels
    from detector.export import misp, stix, tables

    # Only what an analyst confirmed becomes an indicator or an opinion.
    labels = load_labels(args.store)
    writers: dict[str, Callable[[Campaign, str], int]] = {
        "stix": partial(stix.write, labels=labels),
        "misp": partial(misp.write, labels=labels),
        "csv": tables.write_csv,
        "jsonl": tables.write_jsonl,
        "parquet": tables.write_parquet,
    }
    written = []
    for word, write in writers.items():
        out = getattr(args, word)
        if out:
            write(campaign, out)
            written.append(out)
    return written


def _sign(page: str, key: str) -> Path:
    from getpass import getpass

    from detector.custody.signature import needs_password, sign

    password = getpass("Password of the key: ") if needs_password(key) else ""
    return sign(page, key, password)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is less than 0")
    return value


_count.__name__ = "number"
