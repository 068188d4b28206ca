"""What a scan tells while it goes on, and what it did in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from detector.results import Finding, Status
from detector.scan.inputs import Listing

REASONS_KEPT = 5


class Watcher:
    """Is told how a scan goes; override what is of interest. Called in the scan's thread."""

    def listing(self, count: int) -> None:
        """So many files were found so far."""

    def listed(self, listing: Listing) -> None:
        """All files are known; the work begins."""

    def found(self, finding: Finding, fresh: bool) -> None:
        """One file is done and saved; `fresh` unless its result was in the store before."""


@dataclass
class ScanSummary:
    """What a scan did.

    Attributes:
        store: the result database.
        scan: number of the scan in it.
        model: the model's id.
        total: files listed; `done` of them have a row, fewer only after an interruption.
        verdicts, statuses: counts by the fixed words of `Verdict` and `Status`.
        fresh: files that were looked at now.
        known: files whose bytes had a result in the store before.
        repeated: files with the same bytes as another of this scan, scored once.
        skipped: what was left out of folders, by the reason.
        reasons: path, status and reason of the first few failures.
        seconds: wall time.
        interrupted: whether it was stopped before the end.
    """

    store: Path
    scan: int
    model: str
    total: int = 0
    done: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    fresh: int = 0
    known: int = 0
    repeated: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    reasons: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def failures(self) -> int:
        """Files that could not be scored."""
        return self.done - self.statuses[Status.OK.value]

    def add(self, finding: Finding) -> None:
        """Count one finding."""
        self.done += 1
        self.statuses[str(finding.status)] += 1
        if finding.verdict is not None:
            self.verdicts[str(finding.verdict)] += 1
        if not finding.ok and len(self.reasons) < REASONS_KEPT:
            self.reasons.append((finding.path, str(finding.status), finding.reason))
