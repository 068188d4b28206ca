"""`detector show`: what the model says about single images, in the terminal."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from detector.cli import codes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from detector.results import Finding
    from detector.weights import Bundle

# The bar of a score always spans this many logits either way, whatever the image: a scale
# that fitted itself to the image would make every image look guilty.
SCALE = 8.0
BAR_WIDTH = 49


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Prints the finding of each image: the verdict and its reason, the score on a fixed "
        "scale, the views that the CNN looked at, and the file's facts. Nothing is stored."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or URL")
    parser.add_argument("--json", action="store_true", help="as JSON, one line per image")
    parser.add_argument("--model", metavar="NAME", help="model bundle: its name or its folder")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from rich.console import Console

    from detector.weights import load_bundle

    load_bundle(args.model)  # a wrong name is told before torch is loaded
    from detector.predict import Detector

    detector = Detector.load(args.model, threads=args.threads)
    console = Console(highlight=False)
    failed = False
    for image in args.images:
        finding = detector.predict(image)
        failed |= not finding.ok
        if args.json:
            print(json.dumps(full_record(finding), ensure_ascii=False))
        else:
            console.print(panel(finding, detector.bundle))
    return codes.SOME_FAILED if failed else codes.OK


def full_record(finding: Finding) -> dict[str, Any]:
    """The record of an export, with the crops and the file's facts in full."""
    from detector.names import printable

    return {
        **finding.to_record(),
        "path": printable(finding.path),
        "crops": [asdict(crop) for crop in finding.crops],
        "file": None if finding.file is None else asdict(finding.file),
    }


def panel(finding: Finding, bundle: Bundle) -> RenderableType:
    """One finding as it stands in the terminal."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    from detector.cli.progress import LIMITS_OF_THE_TOOL
    from detector.names import one_line, printable

    title = Text(one_line(printable(finding.path)), style="bold", overflow="ellipsis")
    if not finding.ok:
        words = Text(f"Not scored: {finding.status.value.replace('_', ' ')}", style="bold magenta")
        return Panel(Group(words, Text(one_line(finding.reason))), title=title, title_align="left")
    parts: list[RenderableType] = [_headline(finding), Text(finding.reason), Text()]
    parts += [*_bar(finding, bundle), Text(), _facts(finding), Text()]
    parts += _caveats(finding, bundle)
    parts.append(Text(LIMITS_OF_THE_TOOL, style="italic"))
    return Panel(Group(*parts), title=title, title_align="left", expand=False)


def _headline(finding: Finding) -> Text:
    from rich.text import Text

    from detector.cli.progress import VERDICTS
    from detector.words import support

    words = {verdict: (word, style) for verdict, word, style in VERDICTS}
    word, style = words[finding.verdict] if finding.verdict else ("no verdict", "")
    line = Text(word[0].upper() + word[1:], style=style)
    if finding.probability is not None:
        line.append(f"   probability {finding.probability:.0%} at even prior odds", "default")
    if finding.lr is not None:
        strength = support(finding.lr)
        line.append(f"\nLikelihood ratio {finding.lr:.2g}: {strength}", style="default not bold")
    return line


def _bar(finding: Finding, bundle: Bundle) -> list[Text]:
    """The score as a point on the fixed scale, with the two thresholds marked."""
    from rich.text import Text

    score = finding.score or 0.0
    limits = bundle.thresholds
    low, high = _place(limits.inconclusive), _place(limits.likely_generated)
    point = _place(score)
    line = Text(f"  {-SCALE:+.0f} ")
    for i in range(BAR_WIDTH):
        style = "green" if i < low else "yellow" if i < high else "red"
        mark = "●" if i == point else "┼" if i in (low, high) else "─"
        line.append(mark, style=f"bold {style}" if i == point else style)
    line.append(f" {SCALE:+.0f}")
    beyond = " (beyond the scale)" if abs(score) > SCALE else ""
    words = f"  score {score:+.2f}{beyond}; thresholds ┼ {limits.inconclusive:+.2f}"
    if high != low or limits.inconclusive != limits.likely_generated:
        words += f" and {limits.likely_generated:+.2f}"
    return [line, Text(words, style="dim")]


def _place(score: float) -> int:
    share = (max(-SCALE, min(SCALE, score)) + SCALE) / (2 * SCALE)
    return round(share * (BAR_WIDTH - 1))


def _facts(finding: Finding) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for crop in finding.crops:
        where = f"at {crop.x}, {crop.y}: {crop.width} × {crop.height}"
        table.add_row(f"  {crop.view} view", f"{crop.score:+.2f}", where)
    if finding.spread is not None:
        table.add_row("  spread", f"{finding.spread:.2f}", "of the native views' scores")
    file = finding.file
    if file is not None:
        size = f"{file.width} × {file.height}, {file.bytes:,} bytes, {file.mode}"
        quality = "" if file.jpeg_quality is None else f", JPEG quality about {file.jpeg_quality}"
        table.add_row("  file", file.format, size + quality)
    table.add_row("  sha256", "", finding.sha256)
    table.add_row("  model", "", f"{finding.model}, file kind {finding.stratum}")
    return table


def _caveats(finding: Finding, bundle: Bundle) -> list[Text]:
    from rich.text import Text

    from detector.cli.facts import error_rate
    from detector.names import one_line

    notes = [Text(f"note: {one_line(note)}", style="yellow") for note in finding.notes]
    return [*notes, Text(error_rate(bundle))]
