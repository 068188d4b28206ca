"""Rules, and what it means that one matches; pure, and without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from detector.errors import DetectorError
from detector.results import Asserts, Evidence, Finding, Status, Trust, Verdict

# The usual words; a team may use its own, and the tool that carries them out must know them.
ACTIONS = ("allow", "label", "review", "quarantine", "reject")

VERDICTS = tuple(str(verdict) for verdict in Verdict)
STATUSES = tuple(str(status) for status in Status)
ASSERTS = tuple(str(word) for word in Asserts)
TRUSTS = tuple(str(word) for word in Trust)
EVIDENCE_KEYS = ("channel", "kind", "asserts", "trust")
NUMBERS = ("lr", "probability", "score")

CONDITIONS: Mapping[str, str] = {
    "verdict": "over pixels and evidence: " + ", ".join(VERDICTS),
    "pixel_verdict": "of the pixels alone, the same words",
    "verdict_code": "the rule that decided the verdict; * and ? are wildcards",
    "status": "what became of the file: " + ", ".join(STATUSES),
    "evidence": f"a table of {', '.join(EVIDENCE_KEYS)}; one piece must fit all of it",
    "no_evidence": "the same table; no piece may fit",
    "conflicts": "true: the file's claims contradict each other or the pixels",
    "stratum": "the kind of file, format/size/compression; * and ? are wildcards",
    "model": "the model's id; * and ? are wildcards",
    **{f"{n}_at_least": f"smallest {n}" for n in NUMBERS},
    **{f"{n}_below": f"largest {n}, itself not included" for n in NUMBERS},
}

# A rule with none of these speaks of scored files only.
_OF_ANY_FILE = frozenset({"status", "evidence", "no_evidence", "conflicts"})


class PolicyError(DetectorError):
    """A policy file that cannot be used; the text names file, line and cure."""


@dataclass(frozen=True)
class Action:
    """What is to be done with one file.

    Attributes:
        name: the action's word.
        rule: the rule that gave it; "default" when none matched.
        dry_run: nobody should carry it out yet.
    """

    name: str
    rule: str
    dry_run: bool

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """One rule: its name, its action, and its conditions, all of which must hold."""

    name: str
    action: str
    when: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, finding: Finding, evidence: Sequence[Evidence]) -> bool:
        """Whether every condition holds."""
        if not finding.ok and not _OF_ANY_FILE & set(self.when):
            return False
        return all(_holds(key, want, finding, evidence) for key, want in self.when.items())


def _holds(key: str, want: Any, finding: Finding, evidence: Sequence[Evidence]) -> bool:
    if key == "evidence":
        return any(_fits(item, want) for item in evidence)
    if key == "no_evidence":
        return not any(_fits(item, want) for item in evidence)
    if key == "conflicts":
        return bool(finding.conflicts) is want
    for suffix in ("_at_least", "_below"):
        if key.endswith(suffix):
            value = getattr(finding, key.removesuffix(suffix))
            # A file without a score is neither above nor below anything.
            return value is not None and (value >= want) is (suffix == "_at_least")
    value = getattr(finding, key)
    if key == "pixel_verdict" and value is None:
        value = finding.verdict  # findings that were never set against evidence
    return value is not None and _among(str(value), want)


def _fits(item: Evidence, want: Mapping[str, Sequence[str]]) -> bool:
    return all(_among(str(getattr(item, key)), words) for key, words in want.items())


def _among(value: str, words: Sequence[str]) -> bool:
    return any(fnmatchcase(value, word) for word in words)
