"""What a moderation team wants done with a finding: a TOML file, first match wins.

    name = "uploads"
    dry_run = true       # the default: actions are named, and nobody should carry them out
    default = "allow"    # when no rule matches

    [[rules]]
    name = "signed as generated"
    action = "label"
    [rules.when]
    evidence = { asserts = "generated", trust = ["trusted", "valid"] }

    [[rules]]
    name = "pixels say so"
    action = "review"
    [rules.when]
    verdict = "likely_generated"
    lr_at_least = 3
    stratum = ["jpeg/medium/*", "lossless/*/*"]

Every key of `when` must hold; of a list, one value is enough. `CONDITIONS` has all keys. A rule
that names none of status, evidence and conflicts speaks of files that were scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.policy.reading import parse
from detector.policy.rules import ACTIONS, CONDITIONS, Action, PolicyError, Rule
from detector.results import Evidence, Finding

__all__ = ["ACTIONS", "CONDITIONS", "DEFAULT_RULE", "Action", "Policy", "PolicyError", "Rule"]

DEFAULT_RULE = "default"


@dataclass(frozen=True)
class Policy:
    """A team's rules, in the order in which they are tried.

    Attributes:
        name: of the policy, for logs and reports.
        rules: first match wins.
        default: the action when none matches.
        dry_run: nobody should carry the actions out yet.
        path: the file; "" when it came from elsewhere.
    """

    name: str
    rules: tuple[Rule, ...]
    default: str = "allow"
    dry_run: bool = True
    path: str = ""

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy file; raises `PolicyError` with file, line and cure."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"the policy {path} cannot be read: {error}") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, path: str = "policy") -> Policy:
        """As `load`, from the file's text; `path` is what errors call it."""
        name, rules, default, dry_run = parse(text, path)
        return cls(name, rules, default, dry_run, path)

    def decide(self, finding: Finding, evidence: Sequence[Evidence] = ()) -> Action:
        """The action for one file, scored or not."""
        for rule in self.rules:
            if rule.matches(finding, evidence):
                return Action(rule.action, rule.name, self.dry_run)
        return Action(self.default, DEFAULT_RULE, self.dry_run)

    @property
    def actions(self) -> tuple[str, ...]:
        """The words that the policy can give, each once, in the order of the rules."""
        return tuple(dict.fromkeys([*(rule.action for rule in self.rules), self.default]))
