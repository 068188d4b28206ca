"""The report as one value: what a page, and later every export, is made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from detector.report.facts import ModelFacts
from detector.report.wording import NOT_SCORED
from detector.results import Finding, Status
from detector.store import ScanInfo

_WINDOWS = re.compile(r"^(?:[A-Za-z]:[\\/]|\\\\)")


@dataclass(frozen=True)
class Document:
    """Everything that a report says, before it is put into words.

    Attributes:
        title: the page's heading.
        findings: one per path, in the order of their numbers (the first is image 1).
        scans: the runs that filled the store, oldest first.
        facts: the model's thresholds and error rates, as far as they are known.
    """

    title: str
    findings: tuple[Finding, ...]
    scans: tuple[ScanInfo, ...]
    facts: ModelFacts

    @cached_property
    def counts(self) -> Counter[str]:
        """Files per verdict word, with `NOT_SCORED` for those that have none."""
        return Counter(verdict_of(finding) for finding in self.findings)

    @cached_property
    def failures(self) -> tuple[tuple[int, Finding], ...]:
        """The files that were not scored, with their indices."""
        return tuple((i, f) for i, f in enumerate(self.findings) if not f.ok)

    @cached_property
    def statuses(self) -> Counter[Status]:
        """Files per status, without those that were scored."""
        return Counter(finding.status for _, finding in self.failures)

    @cached_property
    def copies(self) -> dict[str, tuple[int, ...]]:
        """Indices of the files with the same bytes, by sha256, where there is more than one."""
        groups: dict[str, list[int]] = {}
        for index, finding in enumerate(self.findings):
            if finding.sha256:
                groups.setdefault(finding.sha256, []).append(index)
        return {sha: tuple(group) for sha, group in groups.items() if len(group) > 1}

    @cached_property
    def extra_copies(self) -> int:
        """How many files have the bytes of another file that comes before them."""
        return sum(len(group) - 1 for group in self.copies.values())

    @cached_property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Folder (below `root`, "" for itself) and file name of every finding."""
        return tuple((folder[len(self.root) :].strip("/\\"), name) for folder, name in self._split)

    @cached_property
    def root(self) -> str:
        """The folder that all files lie below, as far as the paths share one."""
        shared: list[str] | None = None
        for folder, _ in self._split:
            parts = re.split(r"([/\\])", folder)
            if shared is None:
                shared = parts
            length = next(
                (i for i, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b),
                min(len(shared), len(parts)),
            )
            # Parts and separators alternate; a shared root ends with a whole part.
            shared = shared[: length - 1 if length and length % 2 == 0 else length]
        return "".join(shared or [])

    @cached_property
    def _split(self) -> tuple[tuple[str, str], ...]:
        return tuple(split_path(finding.path) for finding in self.findings)

    @cached_property
    def facts_model(self) -> str:
        """The model that `facts` hold for: the one they name, else the last scan's."""
        return self.facts.model or (self.scans[-1].model if self.scans else "")

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The ids of the models whose scores are shown, sorted."""
        return tuple(sorted({finding.model for finding in self.findings if finding.model}))


def make_document(
    findings: Iterable[Finding],
    scans: Iterable[ScanInfo],
    *,
    title: str | None = None,
    facts: ModelFacts | None = None,
) -> Document:
    """Collect findings and scans, in the order in which they come, into a `Document`.

    Without a title it is named after the folder that all files share.
    """
    document = Document(title or "", tuple(findings), tuple(scans), facts or ModelFacts())
    if title is not None:
        return document
    folder = split_path(document.root)[1]
    return replace(document, title=f"Scan of {folder}" if folder else "Scan of images")


def verdict_of(finding: Finding) -> str:
    """The verdict's fixed word, or `NOT_SCORED`."""
    return NOT_SCORED if finding.verdict is None else finding.verdict.value


def split_path(path: str) -> tuple[str, str]:
    """Folder and file name of a local path or a URL.

    A backslash separates only in a path that starts as Windows paths do: elsewhere it can be
    part of a name.
    """
    cut = path.rfind("/")
    if _WINDOWS.match(path):
        cut = max(cut, path.rfind("\\"))
    return path[: max(cut, 0)], path[cut + 1 :]
