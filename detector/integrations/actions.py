"""What a tool does with a judgement: one word per verdict, and one for each way to have none.

A tool's configuration names the words (`likely_generated: reject`). Where a team keeps a policy
file, that file decides instead; its actions must be words which the tool knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.errors import UsageError
from detector.integrations.client import Judgement
from detector.policy import DEFAULT_RULE, Policy
from detector.results import Evidence, Finding, Verdict

UNSCORED = "unscored"  # the file could not be scored: damaged, too large, no image
FAULT = "fault"  # no finding could be had: the service is away or too slow
CASES: tuple[str, ...] = (*(str(verdict) for verdict in Verdict), UNSCORED, FAULT)

# A policy file's answer for one image: its action and the name of the rule that gave it.
Decide = Callable[[Finding, Sequence[Evidence]], tuple[str, str]]


@dataclass(frozen=True)
class Choice:
    """What is to be done with one image.

    Attributes:
        action: one of the words that the tool knows.
        rule: what chose it: a case ("likely_generated", "unscored", "fault") or "policy: NAME".
        reason: one sentence for a log or a moderator.
    """

    action: str
    rule: str
    reason: str


@dataclass(frozen=True)
class Rules:
    """One action per case; a policy file, where there is one, decides on scored files.

    Attributes:
        actions: a word for each of `CASES`.
        decide: the policy file's decision; None without one.
    """

    actions: Mapping[str, str]
    decide: Decide | None = None

    @classmethod
    def from_options(
        cls,
        options: Mapping[str, Any],
        known: Sequence[str],
        defaults: Mapping[str, str],
        decide: Decide | None = None,
    ) -> Rules:
        """The rules of a tool's configuration, checked.

        Args:
            options: the tool's configuration; keys of `CASES` are read, others left alone.
            known: the actions that the tool can carry out.
            defaults: the action of each case that the configuration does not name.
            decide: the policy file's decision.

        Raises:
            UsageError: an action that the tool cannot carry out.
        """
        actions = {case: str(options.get(case, defaults[case])) for case in CASES}
        for case, action in actions.items():
            if action not in known:
                raise UsageError(f"{case} must be one of {', '.join(known)}, not {action!r}")
        return cls(actions, decide)

    def choose(self, judgement: Judgement) -> Choice:
        """The action for a file that was looked at."""
        finding = judgement.finding
        reason = finding.reason if finding.ok else f"{finding.status}: {finding.reason}"
        if self.decide is not None:
            action, rule = self.decide(finding, judgement.evidence)
            # A policy speaks of unscored files only where a rule of it names them.
            if finding.verdict is not None or rule != DEFAULT_RULE:
                return Choice(action, f"policy: {rule}", reason)
        if finding.verdict is None:
            return Choice(self.actions[UNSCORED], UNSCORED, reason)
        case = str(finding.verdict)
        return Choice(self.actions[case], case, finding.reason)

    def on_fault(self, error: Exception) -> Choice:
        """The action when no finding could be had: fail open or fail closed."""
        return Choice(self.actions[FAULT], FAULT, str(error))


def decide_by(policy: Policy, known: Mapping[str, str], dry_run: str) -> Decide:
    """A policy's decision in a tool's own words.

    Args:
        policy: as `Policy.load` reads it.
        known: the tool's word for each action that a policy may give it.
        dry_run: the tool's word while the policy says `dry_run = true`, for whatever is not
            its way of letting pass (the word for "allow").

    Raises:
        UsageError: the policy has an action that the tool cannot carry out.
    """
    strange = [action for action in policy.actions if action not in known]
    if strange:
        raise UsageError(
            f"the policy {policy.path} says {', '.join(strange)}, which is not done here: "
            f"use {', '.join(known)}"
        )

    def decide(finding: Finding, evidence: Sequence[Evidence]) -> tuple[str, str]:
        found = policy.decide(finding, evidence)
        action = known[found.name]
        if not found.dry_run or action == known["allow"]:
            return action, found.rule
        return dry_run, f"{found.rule} (dry run: would {found.name})"

    return decide
