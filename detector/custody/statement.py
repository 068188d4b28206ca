"""The statement of custody: what was measured, with what, and the sha256 of every original.

A report carries it as a JSON block, `<script type="application/json" id="custody">`; a file
that is nothing but the JSON is read as well. Its fields, version 1:

`schema_version` (1), `title`, `tool`, `model`, `config_hash`, `store` (the store's name),
`commands`, `started`, `finished`, `made_at` (ISO 8601, UTC, or null), `context` (null, or
`source` and `sha256` of the table), `files` (one per path: `path`, `sha256`, `bytes`, `status`,
`verdict`, `pixel_verdict`, `score`), and `sha256`: of the canonical JSON of all the others.

Canonical JSON is UTF-8 with sorted keys, no white space and Python's shortest form of a number.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from detector import names
from detector.campaign.records import Campaign, Item
from detector.errors import CustodyError
from detector.results import Finding

SCHEMA_VERSION = 1
BLOCK_ID = "custody"

# Reports hold thumbnails and may be large; nothing that is larger is a report.
_MOST_BYTES = 2**30


def statement(campaign: Campaign) -> dict[str, Any]:
    """The statement of a campaign, as plain JSON values."""
    custody, context = campaign.custody, campaign.context
    said: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "title": names.printable(campaign.title),
        "tool": custody.tool,
        "model": custody.model,
        "config_hash": custody.config_hash,
        "store": names.printable(custody.store),
        "commands": [names.printable(command) for command in custody.commands],
        "started": _utc(custody.started),
        "finished": _utc(custody.finished),
        "made_at": _utc(custody.made_at),
        "context": {
            "source": names.printable(context.source),
            "sha256": custody.context_sha256,
        }
        if custody.context_sha256
        else None,
        "files": sorted(
            (line for item in campaign.items for line in _files(item)),
            key=lambda line: (line["path"], line["sha256"]),
        ),
    }
    return {**said, "sha256": digest(said)}


def digest(said: dict[str, Any]) -> str:
    """The sha256 of a statement's canonical JSON, its own `sha256` left out."""
    rest = {key: value for key, value in said.items() if key != "sha256"}
    text = json.dumps(
        rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_statement(report: str | Path) -> dict[str, Any]:
    """The statement inside a report's page, or in a JSON file of its own.

    Raises CustodyError when there is none, or when it is of another version.
    """
    path = Path(report)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CustodyError(f"{report}: too large to be a report")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CustodyError(f"{report}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CustodyError(f"{report}: is no text, so it holds no statement of custody") from error
    try:
        said = json.loads(text if text.lstrip()[:1] == "{" else _block(text))
    except ValueError as error:
        raise CustodyError(f"{report}: holds no statement of custody that can be read") from error
    return _checked(said, str(report))


def _checked(said: Any, name: str) -> dict[str, Any]:
    if not isinstance(said, dict) or said.get("schema_version") != SCHEMA_VERSION:
        found = said.get("schema_version") if isinstance(said, dict) else None
        raise CustodyError(
            f"{name}: its statement of custody has version {found}, this program reads "
            f"{SCHEMA_VERSION}"
        )
    files = said.get("files")
    texts = ("tool", "model", "config_hash", "sha256")
    if not all(isinstance(said.get(key), str) for key in texts) or not isinstance(files, list):
        raise CustodyError(f"{name}: its statement of custody lacks a field")
    for line in files:
        if not isinstance(line, dict) or not all(
            isinstance(line.get(key), str) for key in ("path", "sha256", "status")
        ):
            raise CustodyError(f"{name}: its statement of custody lists a file without a name")
    return said


def pixel_verdict(finding: Finding) -> str | None:
    """What the pixels alone gave, which a second scoring must give again."""
    verdict = finding.pixel_verdict or finding.verdict
    return None if verdict is None else str(verdict)


def _files(item: Item) -> list[dict[str, Any]]:
    finding = item.finding
    return [
        {
            "path": names.printable(path),
            "sha256": finding.sha256,
            "bytes": None if finding.file is None else finding.file.bytes,
            "status": str(finding.status),
            "verdict": None if finding.verdict is None else str(finding.verdict),
            "pixel_verdict": pixel_verdict(finding),
            "score": None if finding.score is None else round(finding.score, 6),
        }
        for path in item.paths
    ]


def _utc(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    text = moment.astimezone(timezone.utc).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


class _Blocks(HTMLParser):
    """Collects the text of the script elements with our id."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script" and dict(attrs).get("id") == BLOCK_ID:
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


def _block(page: str) -> str:
    parser = _Blocks()
    parser.feed(page)
    parser.close()
    if len(parser.found) != 1:
        raise ValueError(f"{len(parser.found)} blocks")
    return parser.found[0]
