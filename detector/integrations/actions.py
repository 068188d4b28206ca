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
        if finding.verdict is None:
            return Choice(self.actions[UNSCORED], UNSCORED, f"{finding.status}: {finding.reason}")
        if self.decide is not None:
            action, rule = self.decide(finding, judgement.evidence)
            return Choice(action, f"policy: {rule}", finding.reason)
        case = str(finding.verdict)
        return Choice(self.actions[case], case, finding.reason)

    def on_fault(self, error: Exception) -> Choice:
        """The action when no finding could be had: fail open or fail closed."""
        return Choice(self.actions[FAULT], FAULT, str(error))
