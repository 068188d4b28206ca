"""Reads a policy's TOML strictly: what is not known is an error that names line and cure."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from detector.errors import MissingExtraError
from detector.policy.rules import (
    ASSERTS,
    CONDITIONS,
    EVIDENCE_KEYS,
    NUMBERS,
    STATUSES,
    TRUSTS,
    VERDICTS,
    PolicyError,
    Rule,
)

_TOP = ("name", "dry_run", "default", "rules")
_RULE = ("name", "action", "when")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_FIXED: Mapping[str, Sequence[str]] = {
    "verdict": VERDICTS,
    "pixel_verdict": VERDICTS,
    "status": STATUSES,
    "asserts": ASSERTS,
    "trust": TRUSTS,
}


def parse(text: str, path: str) -> tuple[str, tuple[Rule, ...], str, bool]:
    """Name, rules, default action and dry-run of a policy's text; raises `PolicyError`."""
    return _Reader(text, path).read()


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self._lines = text.splitlines()
        self._path = path
        self._raw = _toml(text, path)
        self._rule = -1  # the rule being read; -1 for the head of the file

    def read(self) -> tuple[str, tuple[Rule, ...], str, bool]:
        self._known(self._raw, _TOP, "")
        dry_run = self._raw.get("dry_run", True)
        if not isinstance(dry_run, bool):
            raise self._wrong("dry_run", "write true or false")
        default = self._word(self._raw.get("default", "allow"), "default")
        raw_rules = self._raw.get("rules", [])
        if not isinstance(raw_rules, list) or not all(isinstance(r, dict) for r in raw_rules):
            raise self._wrong("rules", "write every rule under a line [[rules]]")
        name = self._text(self._raw.get("name", "policy"), "name")
        rules: list[Rule] = []
        for self._rule, raw in enumerate(raw_rules):
            rules.append(self._one(raw, [rule.name for rule in rules]))
        return name, tuple(rules), default, dry_run

    def _one(self, raw: Mapping[str, Any], taken: Sequence[str]) -> Rule:
        self._known(raw, _RULE, "")
        if "action" not in raw:
            raise self._wrong("[[rules]]", 'add an action, such as action = "review"')
        name = self._text(raw.get("name", f"rule {self._rule + 1}"), "name")
        if name in taken or name == "default":
            raise self._wrong("name", f"another rule is called {name!r}: give each its own name")
        when = raw.get("when", {})
        if not isinstance(when, dict):
            raise self._wrong("when", "write a table, [rules.when]")
        self._known(when, tuple(CONDITIONS), "")
        checked = {key: self._condition(key, value) for key, value in when.items()}
        return Rule(name, self._word(raw["action"], "action"), checked)

    def _condition(self, key: str, value: Any) -> Any:
        if key in ("evidence", "no_evidence"):
            if not isinstance(value, dict):
                raise self._wrong(key, f'write a table: {key} = {{ asserts = "generated" }}')
            self._known(value, EVIDENCE_KEYS, f"{key}.")
            return {inner: self._words(inner, v) for inner, v in value.items()}
        if key == "conflicts":
            if not isinstance(value, bool):
                raise self._wrong(key, "write true or false")
            return value
        if key.rpartition("_at_least")[0] in NUMBERS or key.rpartition("_below")[0] in NUMBERS:
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
                raise self._wrong(key, "write a number")
            if key.startswith("probability") and not 0 <= value <= 1:
                raise self._wrong(key, "a probability lies between 0 and 1")
            return float(value)
        return self._words(key, value)

    def _words(self, key: str, value: Any) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, str) and v for v in values):
            raise self._wrong(key, "write a word in quotes, or a list of such words")
        for word in values:
            if key in _FIXED and word not in _FIXED[key]:
                raise self._wrong(key, f"{word!r} is none of {', '.join(_FIXED[key])}")
            if key == "stratum" and word.count("/") != 2:
                raise self._wrong(key, 'a stratum has three parts, such as "jpeg/*/heavy"')
        return tuple(values)

    def _word(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise self._wrong(key, 'an action is one word in small letters, such as "review"')
        return value

    def _text(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self._wrong(key, "write one line of text in quotes")
        return value

    def _known(self, table: Mapping[str, Any], known: Sequence[str], inside: str) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                cure = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                raise self._wrong(key, f"{inside}{key} is unknown: {cure}")

    def _wrong(self, key: str, cure: str) -> PolicyError:
        return PolicyError(f"{self._path}, line {self._line(key)}: {key}: {cure}")

    def _line(self, key: str) -> int:
        """The line of a key, looked for from its rule on; TOML's reader does not tell."""
        heads = [i for i, line in enumerate(self._lines) if line.strip().startswith("[[rules")]
        start, end = 0, heads[0] if heads else len(self._lines)
        if 0 <= self._rule < len(heads):
            start = heads[self._rule]
            end = heads[self._rule + 1] if self._rule + 1 < len(heads) else len(self._lines)
        pattern = re.compile(rf"(^|[\s{{,.\[\"']){re.escape(key)}([\"'\]]*\s*=|[\].])")
        for index in range(start, end):
            line = self._lines[index]
            if pattern.search(line) and not line.lstrip().startswith("#"):
                return index + 1
        return start + 1


def _toml(text: str, path: str) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise MissingExtraError("A policy file on Python 3.10", "serve") from error
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path}: not valid TOML: {error}") from error
    return values
