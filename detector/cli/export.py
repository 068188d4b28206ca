"""`detector export`: a result store, or the campaign in it, in the formats of other tools."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from detector.cli import codes
from detector.errors import UsageError

if TYPE_CHECKING:
    from detector.campaign.records import Campaign
    from detector.redact import Redactor
    from detector.store import Store

_TABLES = ("csv", "jsonl", "parquet")
_DOCUMENTS = ("stix", "misp", "label_studio")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Writes a store in the formats of other tools. --csv, --jsonl and --parquet alone hold "
        "one record per path. With --context, --table or --redact, and for the other formats, "
        "the store is read as a campaign: one record per distinct image, its posts, clusters "
        "and links. JSON Lines and Parquet hold every value exactly. CSV is for spreadsheets: "
        "text that one would run as a formula gets a leading apostrophe, and control "
        "characters in names become escapes such as \\n."
    )
    parser.add_argument("store", metavar="STORE", help="result store of a scan")
    _add_formats(parser.add_argument_group("formats"))
    _add_campaign(parser.add_argument_group("campaign"))
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="results of this model, one record per path (default: the last one per file)",
    )
    parser.add_argument(
        "--scan",
        metavar="N",
        type=int,
        help="only the files that scan number N saw (default: all; -1 is the last scan)",
    )


def _add_formats(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--csv", metavar="FILE", help="- for standard output")
    group.add_argument("--jsonl", metavar="FILE", help="JSON Lines; - for standard output")
    group.add_argument("--parquet", metavar="FILE", help="needs the extra 'parquet'")
    group.add_argument("--tables", metavar="DIR", help="every table of the campaign, as CSV")
    group.add_argument("--stix", metavar="FILE", help="STIX 2.1 bundle (extra 'campaign')")
    group.add_argument("--misp", metavar="FILE", help="MISP event (extra 'campaign')")
    group.add_argument("--label-studio", metavar="FILE", help="Label Studio tasks with predictions")
    group.add_argument(
        "--format",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="a format that a plug-in brings; may be repeated",
    )


def _add_campaign(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--context", metavar="FILE", help="table of posts: file or sha256, account, platform, …"
    )
    group.add_argument(
        "--table",
        metavar="NAME",
        help="what --csv, --jsonl and --parquet hold: images, posts, clusters, accounts, links, "
        "prevalence, timeline or gaps (default: images)",
    )
    group.add_argument("--title", metavar="TEXT", help="name of the report or event")
    group.add_argument(
        "--redact",
        action="store_true",
        help="pseudonyms for accounts and paths; no texts, URLs or prompts",
    )
    group.add_argument(
        "--secret",
        metavar="FILE",
        help="secret that keeps pseudonyms the same between exports; made when it is not there",
    )
    group.add_argument(
        "--thumbnails", action="store_true", help="thumbnails in the STIX bundle, as Artifacts"
    )
    group.add_argument(
        "--tlp", choices=("clear", "green", "amber", "red"), help="marking for STIX and MISP"
    )
    group.add_argument(
        "--image-url",
        metavar="PREFIX",
        help="what Label Studio puts before a path (default: /data/local-files/?d=)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.cli.stores import selected
    from detector.store import Store

    as_campaign = _check(args)
    with Store.open(args.store, create=False) as store:
        part = selected(store, args.scan)
        if not as_campaign:
            from detector.export import EXPORTERS

            for word in _TABLES:
                if getattr(args, word):
                    EXPORTERS[word](part.findings(args.model), getattr(args, word))
            return codes.OK
        labels, thumbnails = _labels(part), {}
        campaign, redactor = _campaign(args, part)
        if args.thumbnails:
            thumbnails = dict(_thumbnails(part, campaign, redactor))
    _write_tables(args, campaign)
    _write_documents(args, campaign, labels, thumbnails)
    return codes.OK


def _check(args: argparse.Namespace) -> bool:
    """Whether the store is to be read as a campaign; raises UsageError for what cannot be."""
    outputs = [getattr(args, word) for word in (*_TABLES, *_DOCUMENTS) if getattr(args, word)]
    outputs += [file for _, file in args.format]
    if not outputs and not args.tables:
        raise UsageError(
            "name an output: --csv, --jsonl, --parquet, --tables, --stix, --misp, "
            "--label-studio or --format"
        )
    if outputs.count("-") > 1:
        raise UsageError("only one output can go to standard output")
    documents = any(getattr(args, word) for word in _DOCUMENTS) or args.tables or args.format
    as_campaign = bool(documents or args.context or args.table or args.redact or args.secret)
    if as_campaign and args.model:
        raise UsageError("--model goes with one record per path only: leave it or the others out")
    return as_campaign


def _campaign(args: argparse.Namespace, store: Store) -> tuple[Campaign, Redactor | None]:
    from detector.campaign import build

    title = {"title": args.title} if args.title else {}
    campaign = build(store, context=args.context, **title)
    if not (args.redact or args.secret):
        return campaign, None
    from detector.redact import Redactor, load_secret

    redactor = Redactor(load_secret(args.secret) if args.secret else None)
    return redactor.campaign(campaign), redactor


def _labels(store: Store) -> Mapping[str, int]:
    from detector.campaign.labels import load_labels

    return load_labels(store.path)


def _thumbnails(
    store: Store, campaign: Campaign, redactor: Redactor | None
) -> Iterator[tuple[str, bytes]]:
    for item in campaign.items:
        webp = store.thumbnail(item.finding.sha256) if item.finding.sha256 else None
        if webp:
            yield item.finding.sha256, webp if redactor is None else redactor.thumbnail(webp)


def _write_tables(args: argparse.Namespace, campaign: Campaign) -> None:
    from detector.export import tables

    for word in _TABLES:
        if getattr(args, word):
            tables.WRITERS[word](campaign, getattr(args, word), table=args.table or "images")
    if args.tables:
        tables.write_all(campaign, args.tables)


def _write_documents(
    args: argparse.Namespace,
    campaign: Campaign,
    labels: Mapping[str, int],
    thumbnails: Mapping[str, bytes],
) -> None:
    if args.stix:
        from detector.export import stix

        stix.write(campaign, args.stix, labels=labels, thumbnails=thumbnails, tlp=args.tlp or "")
    if args.misp:
        from detector.export import misp

        misp.write(campaign, args.misp, labels=labels, tlp=args.tlp or "")
    if args.label_studio:
        from detector.integrations.label_studio import tasks

        prefix = tasks.LOCAL_FILES if args.image_url is None else args.image_url
        tasks.write(campaign, args.label_studio, image_url=prefix)
    for name, out in args.format:
        _exporter(name)(campaign, out)


def _exporter(name: str) -> Callable[[Campaign, str], object]:
    """A format by its name; raises UsageError with those that there are."""
    from detector.plugins import EXPORTERS, load, points

    if name not in points(EXPORTERS):
        known = ", ".join(points(EXPORTERS)) or "none"
        raise UsageError(f"no format {name!r}: installed are {known}")
    found: Callable[[Campaign, str], object] = load(EXPORTERS, name)
    return found
