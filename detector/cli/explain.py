"""`detector explain`: why an image got its score, whether that holds, and where the CNN looked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli import codes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from detector.explain import Explanation, Seen
    from detector.weights import Bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    from detector.cli.show import add_shared_arguments
    from detector.explain.maps import CROPS, METHODS

    parser.description = (
        "Explains each image's score: how it should be read, whether the verdict holds when the "
        "image is saved, scaled or cropped again, what the file says of itself, and where in the "
        "image the CNN saw what. A picture with the maps is written for each image. Takes some "
        "ten seconds an image."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or URL")
    parser.add_argument(
        "-o", "--out", default="explained", metavar="DIR", help="for the pictures (explained)"
    )
    parser.add_argument(
        "--method", choices=METHODS, default=CROPS, help="how the map is measured (crops)"
    )
    parser.add_argument(
        "--crops", type=int, metavar="N", help="pieces of each view at most; more is finer (36)"
    )
    parser.add_argument("--no-map", action="store_true", help="no map and no picture")
    parser.add_argument("--json", action="store_true", help="as JSON, one line per image")
    add_shared_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from rich.console import Console

    from detector.cli.explained import evidence_of
    from detector.cli.show import load
    from detector.errors import UsageError
    from detector.evidence.trust import read_trust_list
    from detector.explain import explain, look
    from detector.explain.looking import DEFAULT_GRID
    from detector.names import printable

    if args.crops is not None and args.crops < 1:
        raise UsageError(f"--crops must be at least 1, not {args.crops}")
    pem = read_trust_list(args.trust_anchors).pem if args.trust_anchors else None
    detector = load(args)
    console = Console(highlight=False)
    failed = False
    for image in args.images:
        seen = look(detector, image)
        told = explain(
            detector,
            seen,
            evidence=evidence_of(seen, pem),
            prior=args.prior,
            method=args.method,
            grid=args.crops or DEFAULT_GRID,
            with_map=not args.no_map,
        )
        failed |= not told.finding.ok
        written = write_picture(told, seen, Path(args.out))
        if args.json:
            record = told.to_record() | {"path": printable(told.finding.path)}
            # ASCII only, so that no character of a hostile text reaches a terminal as itself.
            print(json.dumps(record | {"picture": None if written is None else str(written)}))
        else:
            console.print(panel(told, detector.bundle, written))
    return codes.SOME_FAILED if failed else codes.OK


def write_picture(told: Explanation, seen: Seen, folder: Path) -> Path | None:
    """Writes the maps with legend and words as a PNG; None when there is no map.

    The name ends in the file's sha256, so that files of one name never overwrite each other.
    """
    if told.heatmap is None or seen.image is None:
        return None
    from PIL import Image

    from detector.errors import UsageError
    from detector.explain.sheet import sheet

    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(told.finding.path).stem)
    path = folder / f"{stem[:60] or 'image'}-{told.finding.sha256[:12]}.png"
    picture = Image.fromarray(sheet(told.heatmap, seen.image.rgb, picture_lines(told)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def picture_lines(told: Explanation) -> list[str]:
    """What stands below the maps: enough to read them when the picture is passed on alone."""
    from detector.names import one_line, printable

    finding = told.finding
    verdict = str(finding.verdict).replace("_", " ") if finding.verdict else "no verdict"
    lines = [
        f"{one_line(printable(finding.path))}  sha256 {finding.sha256}",
        f"Verdict: {verdict}. {one_line(finding.reason)}",
    ]
    if told.reading is not None:
        lines += [told.reading.contribution_words, *told.reading.ratio_words]
    if told.stability is not None:
        lines.append(told.stability.words)
    return [*lines, f"Model {finding.model}. A map shows where, not how sure; it proves nothing."]


def panel(told: Explanation, bundle: Bundle, written: Path | None) -> RenderableType:
    """One explanation as it stands in the terminal."""
    from rich.console import Group
    from rich.text import Text

    from detector.cli import explained
    from detector.cli.progress import LIMITS_OF_THE_TOOL
    from detector.cli.show import caveats, framed, not_scored

    finding = told.finding
    if not finding.ok or told.reading is None:
        return framed(finding, not_scored(finding, told.evidence))
    parts: list[RenderableType] = [explained.headline(finding), Text()]
    parts += [*explained.bar(finding, bundle), *explained.reading_lines(told.reading)]
    if told.stability is not None:
        parts += _stability(told)
    parts += explained.evidence_lines(finding, told.evidence)
    parts += [*explained.section("Where the CNN looked")]
    parts.append(Text(f"  {told.reading.contribution_words}"))
    if told.heatmap is not None:
        parts += [Text(f"  {layer.view}: {layer.meaning}") for layer in told.heatmap.layers]
        parts += [Text(f"  note: {note}", style="yellow") for note in told.heatmap.notes]
    if written is not None:
        parts.append(Text(f"  picture: {written}", style="bold"))
    parts += [Text(f"  note: {note}", style="yellow") for note in told.notes]
    parts += [*explained.section("File"), *explained.file_lines(finding, views=False), Text()]
    parts += [*caveats(finding, bundle), Text(LIMITS_OF_THE_TOOL, style="italic")]
    return framed(finding, Group(*parts))


def _stability(told: Explanation) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    from detector.cli.explained import section
    from detector.cli.progress import VERDICTS

    held = told.stability
    assert held is not None
    words = {verdict: (word, style) for verdict, word, style in VERDICTS}
    table = Table.grid(padding=(0, 2))
    for row in held.rows:
        score = "" if row.score is None else f"{row.score:+.2f}"
        word, style = words[row.verdict] if row.verdict else (f"not scored: {row.reason}", "dim")
        table.add_row(f"  {row.treatment}", score, Text(word, style=style))
    return [*section("Does it hold?"), Text(f"  {held.words}"), table]
