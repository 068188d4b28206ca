"""Goes through every record of a campaign and replaces what names a person or a place.

Each field is named in one of the tables below; a text field that no table names, such as one
that is added to the records later, is scrubbed of every name that is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import PurePosixPath
from typing import Any, TypeVar

from detector.campaign.records import (
    BadRow,
    Campaign,
    Edge,
    Prevalence,
    TraceLink,
)
from detector.redact import raw
from detector.redact.pseudonyms import Pseudonyms
from detector.results import Evidence

T = TypeVar("T")
_PLAIN_WORD = re.compile(r"[\w.-]*")

# Fixed words, hashes and settings: they hold nothing of anybody's.
_KEPT = frozenset(
    (
        *("sha256", "sha256s", "id", "cluster", "clusters", "status", "verdict", "verdict_code"),
        *("pixel_verdict", "pixel_code", "evidence_kinds", "kind", "channel", "asserts", "trust"),
        *("stability", "caveat", "tool", "config_hash", "context_sha256", "format", "mode"),
        *("stratum", "view", "by", "platform", "platforms", "language", "languages", "trace"),
    )
)
_DROPPED: Mapping[str, Any] = {"url": "", "text": "", "extra": {}}

# Traces whose value is a setting of a program or a figure, not somebody's words.
_PLAIN_TRACES = frozenset(("quantisation", "size", "seed"))


def redacted(campaign: Campaign, pseudonyms: Pseudonyms) -> Campaign:
    """The campaign with every name, path, text and URL replaced or dropped."""
    _learn(campaign, pseudonyms)
    walker = _Walker(pseudonyms)
    return walker.record(campaign)


def _learn(campaign: Campaign, pseudonyms: Pseudonyms) -> None:
    """Tell which texts must not stand anywhere in what comes out."""
    for account in sorted(set(_accounts(campaign))):
        pseudonyms.know([account], pseudonyms.account(account))
    paths = {path for item in campaign.items for path in (*item.paths, item.finding.path)}
    for path in sorted(paths - {""}):
        pseudonym = pseudonyms.path(path)
        pure = PurePosixPath(path.replace("\\", "/"))
        pseudonyms.know([path, pure.name], pseudonym)
        folders = [part for part in pure.parts[:-1] if part not in ("/", ".", "..")]
        pseudonyms.know([str(pure.parent), *folders], "(redacted)")
    for item in campaign.items:
        for post in item.posts:
            said = (post.url, post.text, *post.extra.values())
            pseudonyms.know([text for text in said if len(text) >= raw.SHORTEST], "(redacted)")
    for link in campaign.links:
        if link.trace not in _PLAIN_TRACES:
            pseudonyms.know([link.value], pseudonyms.name("text", link.value))
    pseudonyms.know([campaign.context.source, campaign.custody.store], "(redacted)")
    pseudonyms.know(raw.texts(campaign), "(redacted)")
    for item in campaign.items:
        for evidence in item.evidence:
            if not raw.known_issuer(evidence):
                pseudonyms.know([evidence.issuer], raw.issuer(evidence, pseudonyms))


def _accounts(campaign: Campaign) -> Iterator[str]:
    for item in campaign.items:
        yield from (post.account for post in item.posts if post.account)
    yield from (summary.account for summary in campaign.accounts)
    for cluster in campaign.clusters:
        yield from cluster.accounts
    for link in campaign.links:
        yield from link.accounts
    for edge in campaign.edges:
        yield from edge.accounts
    yield from (row.group for row in campaign.prevalence if row.by == "account")


class _Walker:
    """Rebuilds records field by field."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._names = pseudonyms
        self._fields: dict[str, Callable[[Any], Any]] = {
            "account": self._account,
            "accounts": self._account_list,
            "shared_with": self._account_list,
            "path": pseudonyms.path,
            "paths": lambda paths: tuple(sorted(pseudonyms.path(path) for path in paths)),
            "source": pseudonyms.path,
            "model": self._model,
            "store": pseudonyms.path,
            "columns": lambda columns: {name: name for name in columns},
            "commands": lambda commands: tuple(pseudonyms.command(line) for line in commands),
        }

    def record(self, value: T) -> T:
        """The record with all its fields redacted."""
        special = self._special(value)
        changes = {
            part.name: special[part.name]
            if part.name in special
            else self._field(part.name, getattr(value, part.name))
            for part in fields(value)  # type: ignore[arg-type]
        }
        return replace(value, **changes)  # type: ignore[type-var]

    def _field(self, name: str, value: Any) -> Any:
        if _holds_records(value):
            return self._any(value)
        if name in _KEPT:
            return value
        if name in _DROPPED:
            return _DROPPED[name]
        if name in self._fields:
            return self._fields[name](value)
        return self._any(value)

    def _any(self, value: Any) -> Any:
        if isinstance(value, str) and type(value) is str:
            return self._names.scrub(value)
        if is_dataclass(value) and not isinstance(value, type):
            return self.record(value)
        if isinstance(value, tuple | list):
            return type(value)(self._any(part) for part in value)
        if isinstance(value, Mapping):
            return {self._any(key): self._any(inner) for key, inner in value.items()}
        return value

    def _special(self, value: Any) -> dict[str, Any]:
        """The fields whose treatment depends on the rest of their record."""
        if isinstance(value, Evidence):
            return {
                "raw": raw.redacted(value, self._names),
                "issuer": raw.issuer(value, self._names),
                "caveat": self._names.scrub(value.caveat),
            }
        if isinstance(value, Prevalence) and value.by == "account":
            return {"group": self._account(value.group)}
        if isinstance(value, TraceLink):
            return {"value": self._trace(value.trace, value.value), "words": _lead(value)}
        if isinstance(value, Edge):
            return {"traces": tuple(self._labelled_trace(trace) for trace in value.traces)}
        if isinstance(value, BadRow):
            # The reason quotes the row, in pieces that no list of names can foresee.
            start = value.reason.split("'")[0].split('"')[0].split(":")[0].strip()
            return {"reason": start if start == value.reason else f"{start} (redacted)"}
        return {}

    def _model(self, model: str) -> str:
        # A bundle's id is a plain word; another package's model may be named by its file.
        return model if _PLAIN_WORD.fullmatch(model) else self._names.scrub(model)

    def _account(self, name: str) -> str:
        return self._names.account(name)

    def _account_list(self, accounts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(self._account(name) for name in accounts))

    def _trace(self, kind: str, value: str) -> str:
        return value if kind in _PLAIN_TRACES else self._names.name("text", value)

    def _labelled_trace(self, text: str) -> str:
        kind, colon, value = text.partition(": ")
        return f"{kind}: {self._trace(kind, value)}" if colon else self._names.name("text", text)


def _holds_records(value: Any) -> bool:
    """Whether a field such as `clusters` holds records here, and not the ids of some."""
    return isinstance(value, tuple) and any(is_dataclass(part) for part in value)


def _lead(link: TraceLink) -> str:
    kind = link.trace.replace("_", " ")
    return (
        f"{len(link.accounts)} accounts posted {len(link.sha256s)} pictures that share a trace "
        f"({kind}). This is a lead, not a proof: it can be copied, and others may share it too."
    )
