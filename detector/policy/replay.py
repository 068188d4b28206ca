"""What a policy would have done with everything that a store holds; nothing is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detector.policy import DEFAULT_RULE, Policy
from detector.policy.rates import LEVELS, Range, Rates, expected_real
from detector.results import Evidence, Finding

# A rule's verdict that rests on what the file says has no measured error rate.
UNMEASURED = "evidence"
EXAMPLES = 3


@dataclass
class RuleUse:
    """What one rule caught.

    Attributes:
        rule, action: its name and what it gives.
        files: how many files it decided.
        by_verdict: of those, by the pixels' verdict; "evidence" where the file's own claims made
            the verdict, "not scored" where there is none.
        examples: paths of the first few.
    """

    rule: str
    action: str
    files: int = 0
    by_verdict: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Replay:
    """A policy over a store.

    Attributes:
        policy: what was replayed.
        files: files in the store; `without_evidence` of them were never asked for evidence.
        rules: every rule with what it caught, in the policy's order, the default last.
        wrong_on_real: by action, how many real images it would have hit, as the rates say; the
            default action is left out. None without rates.
        missed: how many generated images the default action would have let by, likewise.
        rates: the model's, None when it has none or the store holds several models.
        models: the models in the store.
    """

    policy: Policy
    files: int
    without_evidence: int
    rules: tuple[RuleUse, ...]
    wrong_on_real: dict[str, Range] | None
    missed: Range | None
    rates: Rates | None
    models: tuple[str, ...]

    @property
    def actions(self) -> dict[str, int]:
        """Files by action."""
        counts: Counter[str] = Counter()
        for use in self.rules:
            counts[use.action] += use.files
        return dict(counts)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        wrong = self.wrong_on_real
        return {
            "policy": self.policy.name,
            "dry_run": self.policy.dry_run,
            "models": list(self.models),
            "files": self.files,
            "without_evidence": self.without_evidence,
            "actions": self.actions,
            "rules": [
                {**vars(use), "by_verdict": dict(use.by_verdict), "examples": list(use.examples)}
                for use in self.rules
            ],
            "real_images_hit": None
            if wrong is None
            else {action: figure.to_record() for action, figure in wrong.items()},
            "generated_images_missed": None if self.missed is None else self.missed.to_record(),
            "rates_from": None if self.rates is None else self.rates.source,
        }


def replay(
    policy: Policy,
    files: Iterable[tuple[Finding, Sequence[Evidence] | None]],
    rates: Rates | None = None,
) -> Replay:
    """Try a policy on findings with their evidence.

    Args:
        policy: the rules.
        files: each file's finding, and its evidence; None when nobody has looked for any.
        rates: of the one model that made the findings; None when they are not known.
    """
    uses = {rule.name: RuleUse(rule.name, rule.action) for rule in policy.rules}
    uses[DEFAULT_RULE] = RuleUse(DEFAULT_RULE, policy.default)
    count = blind = 0
    models: dict[str, None] = {}
    for finding, evidence in files:
        count += 1
        blind += evidence is None
        if finding.model:
            models.setdefault(finding.model)
        use = uses[policy.decide(finding, evidence or ()).rule]
        use.files += 1
        use.by_verdict[_ground(finding)] += 1
        if len(use.examples) < EXAMPLES:
            use.examples.append(finding.path)
    rules = tuple(uses.values())
    known = rates if len(models) == 1 else None
    wrong, missed = (None, None) if known is None else _wrong(rules, policy.default, known)
    return Replay(policy, count, blind, rules, wrong, missed, known, tuple(models))


def _ground(finding: Finding) -> str:
    if finding.verdict is None:
        return "not scored"
    pixels = finding.pixel_verdict or finding.verdict
    return str(pixels) if pixels is finding.verdict else UNMEASURED


def _wrong(rules: Sequence[RuleUse], default: str, rates: Rates) -> tuple[dict[str, Range], Range]:
    totals: Counter[str] = Counter()
    for use in rules:
        totals.update({v: use.by_verdict[v] for v in LEVELS})
    real = expected_real(totals, rates)
    wrong: dict[str, Range] = {}
    missed = Range(0.0, 0.0, 0.0)
    for use in rules:
        for level in LEVELS:
            n = use.by_verdict[level]
            if not n:
                continue
            # Rates are of verdicts: within one, a rule is taken to pick at random.
            share, whole = n / totals[level], real[level]
            part = Range(whole.value * share, whole.low * share, whole.high * share)
            if use.action == default:
                missed = _sum(missed, Range(n - part.value, n - part.high, n - part.low))
            else:
                wrong[use.action] = _sum(wrong.get(use.action, Range(0.0, 0.0, 0.0)), part)
    return wrong, missed


def _sum(a: Range, b: Range) -> Range:
    return Range(a.value + b.value, a.low + b.low, a.high + b.high)
