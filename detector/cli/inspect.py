"""`detector inspect`: what files say about their own origin, without loading a model."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector.cli import codes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from detector.results import Evidence, FileFacts, Status

_SHOWN = 240
# Decoding this many takes about 600 MB for a moment.
_MAX_PIXELS = 64_000_000
_MAX_INNER = 10
_MAX_ROWS = 40
_CLAIM_STYLES = {
    "generated": "bold red",
    "edited_with_ai": "bold yellow",
    "composite": "yellow",
    "captured": "bold green",
    "human_made": "green",
    "unknown": "dim",
}


@dataclass(frozen=True)
class Inspection:
    """One file with all its evidence."""

    path: str
    sha256: str
    status: Status
    reason: str
    facts: FileFacts | None
    evidence: list[Evidence]

    def to_record(self) -> dict[str, Any]:
        """A dict of plain JSON values; `reason` only where the status needs one."""
        from detector.names import printable

        record: dict[str, Any] = {
            "path": printable(self.path),
            "sha256": self.sha256,
            "status": str(self.status),
        }
        if self.reason:
            record["reason"] = self.reason
        return record | {"evidence": [e.to_record() for e in self.evidence]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Lists what each file says about its origin: signed provenance, legal labels, generator "
        "and camera metadata, watermarks, compression history. No model is loaded, nothing is "
        "scored, stored or fetched."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or URL")
    parser.add_argument("--json", action="store_true", help="as JSON, one line per image")
    parser.add_argument(
        "--trust-anchors",
        "--trust-list",
        metavar="PEM",
        help="certificates that C2PA signers are checked against (default: the file named by "
        "DETECTOR_TRUST_ANCHORS)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from rich.console import Console

    from detector.evidence.trust import anchors
    from detector.results import Status

    known = anchors(args.trust_anchors)  # a wrong name is told before any file is read
    pem = known.pem if args.trust_anchors and known else None
    console = Console(highlight=False)
    failed = False
    for path in args.images:
        inspection = inspect_file(path, pem)
        failed |= inspection.status is not Status.OK
        if args.json:
            # ASCII only, so that no character of a hostile text reaches a terminal as itself.
            print(json.dumps(inspection.to_record()))
        else:
            console.print(panel(inspection))
    return codes.SOME_FAILED if failed else codes.OK


def inspect_file(path: str, trust_list: str | None = None) -> Inspection:
    """Everything that one file says; never raises for bad files.

    A file that cannot be decoded is still searched: its status says why, and its evidence
    holds what could be read.
    """
    from detector.errors import ImageError
    from detector.evidence import gather, header_facts
    from detector.images import Limits, read_bytes, read_image
    from detector.results import Status

    try:
        data = read_bytes(path)
    except ImageError as error:
        return Inspection(path, "", error.status, error.reason, None, [])
    status, reason, facts, rgb = Status.OK, "", None, None
    try:
        decoded = read_image(data, Limits(max_pixels=_MAX_PIXELS, min_side=1))
        facts, rgb = decoded.facts, decoded.rgb
    except ImageError as error:
        facts = header_facts(data)
        if error.status is Status.TOO_LARGE and facts is not None:
            reason = f"Its pixels were not looked at. {error.reason}"
        else:
            status, reason = error.status, error.reason
    found = gather(data, rgb, facts, trust_list=trust_list)
    return Inspection(path, hashlib.sha256(data).hexdigest(), status, reason, facts, found)


def panel(inspection: Inspection) -> RenderableType:
    """One file as it stands in the terminal: claims, conflicts, then channel by channel."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    from detector.evidence import CHANNELS
    from detector.evidence.wording import NOTHING_MEANS_NOTHING, conflicts, summary
    from detector.names import one_line, printable

    lines: list[RenderableType] = [_file_line(inspection)]
    if inspection.sha256:
        lines += [Text(), Text(summary(inspection.evidence), style="bold")]
        clashes = conflicts(inspection.evidence)
        lines += [Text(f"Conflict: {one_line(c)}", style="red") for c in clashes]
        names = list(dict.fromkeys([*CHANNELS, *(e.channel for e in inspection.evidence)]))
        for name in names:
            lines += [Text(), *_channel(name, inspection.evidence)]
        lines += [Text(), Text(NOTHING_MEANS_NOTHING, style="italic")]
    title = Text(one_line(printable(inspection.path)), style="bold", overflow="ellipsis")
    return Panel(Group(*lines), title=title, title_align="left")


def _file_line(inspection: Inspection) -> Text:
    from rich.text import Text

    from detector.names import one_line

    line = Text()
    if inspection.reason:
        status = "" if inspection.status.value == "ok" else inspection.status.value
        words = f"{status.replace('_', ' ')}: " if status else ""
        line.append(f"{words}{one_line(inspection.reason)}\n", style="bold magenta")
    facts = inspection.facts
    if facts is not None:
        size = f"{facts.width} × {facts.height}, {facts.bytes:,} bytes"
        line.append(f"{facts.format}, {size}\n", style="dim")
    if inspection.sha256:
        line.append(f"sha256 {inspection.sha256}", style="dim")
    return line


def _channel(name: str, evidence: list[Evidence]) -> list[RenderableType]:
    from rich.text import Text

    from detector.names import one_line

    own = [e for e in evidence if e.channel == name]
    heading = Text(one_line(name), style="bold cyan")
    if not own:
        return [heading.append("  nothing found", style="dim")]
    lines: list[RenderableType] = [heading]
    for e in own:
        lines += _piece(e)
    return lines


def _piece(e: Evidence) -> list[RenderableType]:
    """One piece of evidence: its claim, its trust, its leads, and what would explain it."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from detector.evidence.wording import CLAIMS, TRUSTS, kind_words
    from detector.names import one_line

    line = Text("  ● ", style=_CLAIM_STYLES[e.asserts.value])
    line.append(CLAIMS[e.asserts])
    line.append(f"  {one_line(kind_words(e.kind))}", style="default")
    if e.issuer:
        line.append(f", {_short(e.issuer)}", style="default")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, max_width=34, overflow="ellipsis")
    grid.add_column(overflow="fold")
    for key, value in _rows(e.raw):
        grid.add_row(Text(_short(key, 60)), Text(_short(value)))
    basis = _basis(e.raw.get("rule"))
    if basis:
        grid.add_row("rule", Text(basis, style="dim"))
    grid.add_row("trust", Text(TRUSTS[e.trust], style="dim"))
    if e.caveat:
        grid.add_row("but", Text(_short(e.caveat, 600), style="dim italic"))
    return [line, Padding(grid, (0, 0, 0, 4))]


def _rows(raw: dict[str, Any], prefix: str = "", depth: int = 3) -> list[tuple[str, Any]]:
    """The leads as (name, value) rows; what lies inside an object is named by its path."""
    rows: list[tuple[str, Any]] = []
    for key, value in raw.items():
        if value in ("", [], {}) or (key == "rule" and not prefix):
            continue
        if isinstance(value, dict) and depth and len(value) <= _MAX_INNER:
            rows += _rows(value, f"{prefix}{key}.", depth - 1)
        elif isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            rows.append((f"{prefix}{key}", ", ".join(value)))
        else:
            rows.append((f"{prefix}{key}", value))
    return rows[:_MAX_ROWS]


def _basis(rule: Any) -> str:
    """A warning where a rule rests on less than the writing program's own source."""
    basis = rule.get("basis") if isinstance(rule, dict) else None
    words = {"reported": "known from others' accounts of files", "known": "known by name only"}
    return words.get(basis, "") if isinstance(basis, str) else ""


def _short(value: Any, limit: int = _SHOWN) -> str:
    """A value on one line: hostile characters become visible escapes, and long texts are cut."""
    from detector.names import one_line

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    # Cut first: an escape is longer than what it stands for, and must stay whole.
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return one_line(cut.encode("utf-8", "replace").decode("utf-8"))
