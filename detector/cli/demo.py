"""`detector demo`: scans images of known origin, and shows the hits and the misses."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli import codes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from detector.demo import DemoImage
    from detector.results import Finding

WORD = {"likely_generated": "flagged", "inconclusive": "undecided", "no_sign": "not flagged"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Scans photographs that ship with scikit-image and generated images that ship with "
        "comfyui-workflow-templates-media-image (the extra 'demo'), writes the report, and sets "
        "the verdicts beside what is known. Nothing is downloaded."
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="detector-demo", help="default: detector-demo"
    )
    parser.add_argument("--model", metavar="NAME", help="model bundle: its name or its folder")
    parser.add_argument("--workers", type=int, metavar="N", help="decoding processes")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from rich.console import Console
    from rich.text import Text

    from detector.cli.facts import model_facts
    from detector.cli.progress import LIMITS_OF_THE_TOOL, ProgressWatcher
    from detector.demo import copy_images, find_images
    from detector.names import location
    from detector.report import write_report
    from detector.scan import scan
    from detector.store import Store

    found = find_images()
    folder = Path(args.output)
    copies = copy_images(found.images, folder / "images")
    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    with Store.open(folder / "detector.db") as store:
        with ProgressWatcher(errors, show=errors.is_terminal) as watcher:
            summary = scan(
                list(copies),
                store=store,
                model=args.model,
                workers=args.workers,
                command="detector demo",
                watcher=watcher,
            )
        seen = store.limited_to(summary.scan)
        report = folder / "report.html"
        write_report(seen, report, title="Demonstration", model_facts=model_facts(args.model))
        findings = {location(finding.path): finding for finding in seen.findings()}
    rows = [(image, findings[location(path)]) for path, image in copies.items()]
    console.print(table(rows))
    for line in tally(rows):
        console.print(Text(line))
    for package in found.packages:
        console.print(
            Text(f"{package} is not installed: pip install 'aigi-detector[demo]'", style="yellow"),
            soft_wrap=True,
        )
    if found.lacking:
        console.print(Text(f"left out, not the listed bytes: {', '.join(found.lacking)}"))
    console.print(
        Text(
            "This shows how the tool works, and measures nothing: the images are few, and "
            "photographs as well known as these may have trained the model. Its error rates on "
            "images that it never saw are in its card.",
            style="italic",
        )
    )
    console.print(Text(LIMITS_OF_THE_TOOL, style="italic"))
    console.print(Text.assemble("Report: ", (str(report), "bold")), soft_wrap=True)
    return codes.SOME_FAILED if summary.failures else codes.OK


def table(rows: list[tuple[DemoImage, Finding]]) -> RenderableType:
    """Known origin beside verdict, photographs first."""
    from rich.table import Table
    from rich.text import Text

    from detector.cli.progress import VERDICTS

    styles = {verdict.value: (word, style) for verdict, word, style in VERDICTS}
    grid = Table("image", "known origin", "verdict", "score", "", box=None, pad_edge=False)
    grid.columns[3].justify = "right"
    for image, finding in rows:
        if finding.verdict is None or finding.score is None:
            grid.add_row(image.name, image.origin, Text(finding.status.value, style="magenta"))
            continue
        word, style = styles[finding.verdict.value]
        grid.add_row(
            Text(image.name, overflow="ellipsis", no_wrap=True),
            image.origin,
            Text(word, style=style),
            f"{finding.score:+.2f}",
            remark(image.generated, finding.verdict.value),
        )
    return grid


def remark(generated: bool, verdict: str) -> str:
    """Whether a verdict fits the known origin."""
    if verdict == "inconclusive":
        return "undecided"
    if (verdict == "likely_generated") == generated:
        return "right"
    return "missed" if generated else "false alarm"


def tally(rows: list[tuple[DemoImage, Finding]]) -> list[str]:
    """One line each for the photographs and the generated images: how many got which verdict."""
    lines = []
    for generated, what in ((False, "photographs"), (True, "generated images")):
        verdicts = [
            finding.verdict.value
            for image, finding in rows
            if image.generated == generated and finding.verdict is not None
        ]
        if verdicts:
            counts: Mapping[str, int] = {word: verdicts.count(word) for word in WORD}
            parts = ", ".join(f"{counts[word]} {WORD[word]}" for word in WORD)
            lines.append(f"{len(verdicts)} {what}: {parts}")
    return lines
