"""Holds a report's statement of custody against the files that are there now.

Files are found by name first: as the statement gives it, then below each root, with as much of
the path as fits. What is not found by name, or has other bytes now, is looked for by its
sha256 among all files below the roots, so that a folder that was moved or renamed is not a loss.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from detector import names
from detector.custody.statement import digest, pixel_verdict, read_statement
from detector.results import Finding

Scorer = Callable[[Sequence[Path]], Sequence[Finding]]

# What makes a report no longer hold. The other kinds are differences that a reader should know.
SERIOUS = frozenset(
    ("statement", "signature", "missing", "altered", "context", "score", "verdict", "unreadable")
)
REDACTED_FOLDER = "redacted/"

_CHUNK = 2**20


@dataclass(frozen=True)
class Change:
    """One difference between what a report says and what is there now.

    Attributes:
        kind: "statement" (the statement does not have its own hash), "missing", "altered",
            "moved" (same bytes under another name), "new" (a file that the report does not
            know), "appeared" (missing then, there now), "unreadable", "unchecked" (behind a
            URL), "context", "tool", "model", "config", "score", "verdict" or "signature".
        subject: the path, or the field of the statement.
        detail: one sentence, with what was expected and what was found.
    """

    kind: str
    subject: str
    detail: str

    @property
    def serious(self) -> bool:
        """Whether the report no longer holds; see `SERIOUS`."""
        return self.kind in SERIOUS


@dataclass(frozen=True)
class Installed:
    """What this machine would measure with; "" where it does not have the report's model."""

    tool: str
    model: str
    config_hash: str


@dataclass
class _Files:
    """What was found of the files, while it is being found."""

    roots: tuple[Path, ...]
    changes: list[Change] = field(default_factory=list)
    places: dict[str, Path] = field(default_factory=dict)  # sha256 to a file with these bytes
    claimed: set[Path] = field(default_factory=set)
    hashes: dict[Path, str] = field(default_factory=dict)

    def hash_of(self, path: Path) -> str:
        """Hex sha256 of a file, "" when it cannot be read; computed once."""
        if path not in self.hashes:
            self.hashes[path] = _sha256(path)
        return self.hashes[path]


def verify(
    report: str | Path,
    *,
    roots: Sequence[str | Path] = (),
    context: str | Path | None = None,
    installed: Installed | None = None,
    scorer: Scorer | None = None,
    rescore: int = 0,
    tolerance: float = 0.05,
) -> list[Change]:
    """Recompute what a report claims; an empty list when nothing has changed.

    Args:
        report: a page with a statement inside, or a statement as JSON.
        roots: folders to look for the originals in. Without any, names are read from the
            working folder, and the folders in which originals were found are looked through
            for files that moved or are new.
        context: the table of context, to hold against its hash.
        installed: this machine's tool and model, to compare with the report's.
        scorer: scores files, one finding each, in order.
        rescore: how many files to score again, drawn from the statement's hash, so that the
            same report gives the same sample.
        tolerance: largest difference of a score, in logits, that is no change. Another machine
            rounds differently in the last digits.

    Raises CustodyError when the report holds no statement.
    """
    said = read_statement(report)
    changes = []
    if digest(said) != said["sha256"]:
        changes.append(
            Change("statement", "sha256", "The statement was edited: its hash is another one now.")
        )
    changes += _settings(said, installed)
    changes += _context(said, context)
    files = _look(said["files"], tuple(Path(root) for root in roots))
    changes += files.changes
    if scorer is not None and rescore > 0:
        changes += _scores(said, files.places, scorer, rescore, tolerance)
    return changes


def _settings(said: dict[str, Any], installed: Installed | None) -> list[Change]:
    if installed is None:
        return []
    pairs = (
        ("tool", said["tool"], installed.tool),
        ("model", said["model"], installed.model),
        ("config", said["config_hash"], installed.config_hash),
    )
    return [
        Change(kind, kind, f"The report was made with {then}, here is {now or 'none'}.")
        for kind, then, now in pairs
        if then != now
    ]


def _context(said: dict[str, Any], context: str | Path | None) -> list[Change]:
    if context is None:
        return []
    expected = (said.get("context") or {}).get("sha256", "")
    found = _sha256(Path(context))
    if not expected:
        return [Change("context", str(context), "The report was made without a table of context.")]
    if found != expected:
        detail = f"Its sha256 was {expected}, now it is {found or 'not to be had'}."
        return [Change("context", str(context), detail)]
    return []


def _look(lines: Sequence[dict[str, Any]], roots: tuple[Path, ...]) -> _Files:
    """Find every file of the statement, by name and then by its bytes."""
    files = _Files(roots)
    lost = [line for line in lines if not _by_name(line, files)]
    strangers = _strangers(files)
    for line in lost:
        _by_bytes(line, strangers, files)
    known = {line["sha256"] for line in lines}
    for sha256, paths in sorted(strangers.items()):
        for path in paths:
            if path not in files.claimed:
                copy = "a copy of a known file" if sha256 in known else f"sha256 {sha256}"
                detail = f"The report does not list it ({copy})."
                files.changes.append(Change("new", names.printable(str(path)), detail))
    return files


def _by_name(line: dict[str, Any], files: _Files) -> bool:
    """Whether the file is where its name says, or nothing more can be asked of it."""
    path, expected = line["path"], line["sha256"]
    if names.is_url(path):
        detail = "It lies behind a URL, which is not fetched."
        files.changes.append(Change("unchecked", path, detail))
        return True
    there = [place for place in _places(path, files.roots) if place.is_file()]
    for place in there:
        if files.hash_of(place) == expected:
            files.places[expected] = place
            files.claimed.add(place)
            return True
    if not expected:
        # Nobody read it then, so nothing can be compared; that it can be read now is news.
        if there:
            files.claimed.add(there[0])
            detail = f"It could not be read then ({line['status']}); now it is there."
            files.changes.append(Change("appeared", path, detail))
        return True
    return False


def _by_bytes(line: dict[str, Any], strangers: dict[str, list[Path]], files: _Files) -> None:
    """Say what became of a file that is not under its name."""
    path, expected = line["path"], line["sha256"]
    nameless = path.startswith(REDACTED_FOLDER)
    same = strangers.get(expected, [])
    place = next((p for p in same if p not in files.claimed), same[0] if same else None)
    if place is not None:
        files.places[expected] = place
        files.claimed.add(place)
        if not nameless:
            detail = f"The same bytes are now at {names.printable(str(place))}."
            files.changes.append(Change("moved", path, detail))
        return
    there = [] if nameless else [p for p in _places(path, files.roots) if p.is_file()]
    if not there:
        detail = f"No file with sha256 {expected} was found."
        files.changes.append(Change("missing", path, detail))
        return
    files.claimed.add(there[0])
    found = files.hash_of(there[0])
    if not found:
        files.changes.append(Change("unreadable", path, "The file is there and cannot be read."))
    else:
        detail = f"Its sha256 was {expected}, now it is {found}."
        files.changes.append(Change("altered", path, detail))


def _places(path: str, roots: tuple[Path, ...]) -> Iterator[Path]:
    """Where a file of that name may be: as it is, then below each root, longest part first."""
    if os.path.isabs(path) or not roots:
        yield Path(path)
    parts = [part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in "/"]
    for start in range(len(parts)):
        for root in roots:
            if ".." not in parts[start:]:  # a statement cannot lead out of the roots
                yield root.joinpath(*parts[start:])


def _strangers(files: _Files) -> dict[str, list[Path]]:
    """Files below the roots that no name of the statement led to, by sha256, sorted."""
    folders = files.roots or tuple(sorted({place.parent for place in files.places.values()}))
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for base, below, inside in os.walk(folder):
            # Without roots only the folders of known files themselves are looked through.
            below[:] = sorted(b for b in below if files.roots and not b.startswith("."))
            for name in sorted(inside):
                path = Path(base, name)
                if name.startswith(".") or path in files.claimed or not path.is_file():
                    continue
                if path not in found[files.hash_of(path)]:
                    found[files.hash_of(path)].append(path)
    found.pop("", None)
    return dict(found)


def _scores(
    said: dict[str, Any],
    places: dict[str, Path],
    scorer: Scorer,
    rescore: int,
    tolerance: float,
) -> list[Change]:
    """Score a sample again and compare with what the report says."""
    scored = {
        line["sha256"]: line
        for line in said["files"]
        if isinstance(line.get("score"), float | int) and line["sha256"] in places
    }
    order = sorted(scored)
    random.Random(said["sha256"]).shuffle(order)
    sample = sorted(order[:rescore])
    changes = []
    for sha256, finding in zip(sample, scorer([places[s] for s in sample]), strict=True):
        line = scored[sha256]
        verdict, then = pixel_verdict(finding), line.get("pixel_verdict")
        if finding.score is None:
            detail = f"It could not be scored again: {finding.reason}"
            changes.append(Change("score", line["path"], detail))
        elif abs(finding.score - line["score"]) > tolerance:
            detail = f"Its score was {line['score']:+.3f}, now it is {finding.score:+.3f}."
            changes.append(Change("score", line["path"], detail))
        elif verdict != then:
            detail = f"The pixels gave {then}, now they give {verdict}."
            changes.append(Change("verdict", line["path"], detail))
    return changes


def _sha256(path: Path) -> str:
    whole = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                whole.update(chunk)
    except OSError:
        return ""
    return whole.hexdigest()
