"""`detector show`: what the model and the file say about single images, in the terminal."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from detector.cli import codes

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from detector.explain import Heatmap, Reading, Seen
    from detector.predict import Detector
    from detector.results import Evidence, Finding
    from detector.weights import Bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Prints the finding of each image: the verdict and its reason, the score on a fixed "
        "scale and how to read it, what the file says of its origin, and where channels "
        "contradict each other. Nothing is stored. `detector explain` adds stability and a map."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or URL")
    parser.add_argument("--json", action="store_true", help="as JSON, one line per image")
    parser.add_argument("--heatmap", action="store_true", help="also a coarse map; takes seconds")
    add_shared_arguments(parser)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `show` and `explain` have in common."""
    parser.add_argument(
        "--prior",
        type=float,
        metavar="P",
        help="share of such images that you take to be generated before looking, between 0 and 1",
    )
    parser.add_argument(
        "--trust-anchors",
        "--trust-list",
        metavar="PEM",
        help="certificates that C2PA signers are checked against",
    )
    parser.add_argument("--model", metavar="NAME", help="model bundle: its name or its folder")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from rich.console import Console

    from detector.evidence.trust import read_trust_list

    detector = load(args)
    pem = read_trust_list(args.trust_anchors).pem if args.trust_anchors else None
    console = Console(highlight=False)
    failed = False
    for image in args.images:
        failed |= not _show(args, detector, pem, image, console)
    return codes.SOME_FAILED if failed else codes.OK


def load(args: argparse.Namespace) -> Detector:
    """The detector that the options name; a wrong name or prior is told before torch is loaded."""
    from detector.explain.explanation import check_prior
    from detector.weights import load_bundle

    check_prior(args.prior)
    load_bundle(args.model)
    from detector.predict import Detector

    return Detector.load(args.model, threads=args.threads)


def _show(
    args: argparse.Namespace, detector: Detector, pem: str | None, image: str, console: Console
) -> bool:
    """Prints one image; says whether it could be scored."""
    from detector.cli.explained import evidence_of
    from detector.explain import explain, look

    seen = look(detector, image)
    evidence = evidence_of(seen, pem)
    told = explain(
        detector,
        seen,
        evidence=evidence,
        prior=args.prior,
        with_map=args.heatmap,
        with_stability=False,
    )
    if args.json:
        record = full_record(told.finding, evidence, told.reading, told.heatmap)
        # ASCII only, so that no character of a hostile text reaches a terminal as itself.
        print(json.dumps(record))
    else:
        shown = (told.heatmap, seen, console)
        console.print(panel(told.finding, detector.bundle, told.reading, evidence, shown))
    return told.finding.ok


def full_record(
    finding: Finding,
    evidence: Sequence[Evidence] = (),
    reading: Reading | None = None,
    heatmap: Heatmap | None = None,
) -> dict[str, Any]:
    """The record of an export, with the crops, the evidence and the file's facts in full."""
    from detector.names import printable

    record = {
        **finding.to_record(),
        "path": printable(finding.path),
        "crops": [asdict(crop) for crop in finding.crops],
        "file": None if finding.file is None else asdict(finding.file),
        "evidence": [e.to_record() for e in evidence],
        "reading": None if reading is None else reading.to_record(),
    }
    return record if heatmap is None else record | {"heatmap": heatmap.to_record()}


def panel(
    finding: Finding,
    bundle: Bundle,
    reading: Reading | None = None,
    evidence: Sequence[Evidence] = (),
    shown: tuple[Heatmap | None, Seen, Console] | None = None,
) -> RenderableType:
    """One finding as it stands in the terminal."""
    from rich.console import Group
    from rich.text import Text

    from detector.cli import explained
    from detector.cli.progress import LIMITS_OF_THE_TOOL

    if not finding.ok:
        return framed(finding, not_scored(finding, evidence))
    parts: list[RenderableType] = [explained.headline(finding), Text()]
    parts += explained.bar(finding, bundle)
    if reading is not None:
        parts += explained.reading_lines(reading)
    parts += explained.evidence_lines(finding, evidence)
    parts += [*explained.section("What was looked at"), *explained.file_lines(finding)]
    if reading is not None:
        parts.append(Text(f"  {reading.contribution_words}"))
    if shown is not None and shown[0] is not None and shown[1].image is not None:
        parts += explained.map_lines(shown[0], shown[1].image.rgb, shown[2])
    parts += [Text(), *caveats(finding, bundle), Text(LIMITS_OF_THE_TOOL, style="italic")]
    return framed(finding, Group(*parts))


def not_scored(finding: Finding, evidence: Sequence[Evidence]) -> RenderableType:
    """A file without a score: why, and what it says of itself all the same."""
    from rich.console import Group
    from rich.text import Text

    from detector.cli import explained
    from detector.names import one_line

    words = Text(f"Not scored: {finding.status.value.replace('_', ' ')}", style="bold magenta")
    parts: list[RenderableType] = [words, Text(one_line(finding.reason))]
    if evidence:
        parts += explained.evidence_lines(finding, evidence)
    return Group(*parts)


def framed(finding: Finding, body: RenderableType) -> RenderableType:
    """A panel with the file's name on it."""
    from rich.panel import Panel
    from rich.text import Text

    from detector.names import one_line, printable

    title = Text(one_line(printable(finding.path)), style="bold", overflow="ellipsis")
    return Panel(body, title=title, title_align="left", expand=False)


def caveats(finding: Finding, bundle: Bundle) -> list[RenderableType]:
    """The finding's notes, and how often the model is wrong."""
    from rich.text import Text

    from detector.cli.facts import error_rate
    from detector.names import one_line

    notes = [Text(f"note: {one_line(note)}", style="yellow") for note in finding.notes]
    return [*notes, Text(error_rate(bundle))]
