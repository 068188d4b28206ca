"""Redacts what evidence quotes from a file: figures of our own stay, other people's words go.

A channel that measures holds figures and fixed words, and stays whole but for the texts it
quotes. Of all the other channels only the keys named here keep their values; every other text
and number becomes a pseudonym, so that two files that say the same still show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from detector.campaign.records import Campaign
from detector.evidence.metadata.rules import RULES
from detector.redact.pseudonyms import Pseudonyms
from detector.results import Evidence, Trust

_MEASURED = frozenset(("compression", "spectrum", "watermark"))
_QUOTES = frozenset(("comments", "comment", "text", "message", "detail", "error"))

# Keys whose values are fixed words of a standard, or settings that many people share.
_PLAIN = frozenset(
    (
        *("label", "meaning", "has_security_data", "validation_state", "failures", "action"),
        *("source_type", "source_types", "depth", "embedded", "relationship", "claim_rests_on"),
        *("trust", "trust_list", "verify", "verify_trust", "algorithm", "rule", "form", "valid"),
        *("organisation_valid", "found_in", "size", "width", "height", "steps", "sampler"),
        *("scheduler", "cfg_scale", "seed", "ocsp_fetch", "remote_manifest_fetch", "needs"),
    )
)
# Keys whose names are ours, so that a reader still sees what kind of thing was said.
_NAMED = frozenset(
    (
        *("prompt", "negative_prompt", "model", "generators", "signed_by", "signed_at", "title"),
        *("claimed_title", "description", "producer", "propagator", "code", "subject", "service"),
        *("authority", "region", "province", "organisation", "fields", "actions", "when", "url"),
        *("ingredients", "certificate", "soft_bindings", "remote_url", "trust_anchors", "make"),
        *("software", "artist", "comment", "parameters", "settings", "nodes", "kind", "value"),
        *("credit_code", "binding", "own_code", "detail", "error", "text", "hashes", "loras"),
    )
)
_ISSUERS = frozenset(rule.issuer for rule in RULES.values() if rule.issuer)
# A text shorter than this is no secret, and would be found inside every other word.
SHORTEST = 6


def redacted(evidence: Evidence, names: Pseudonyms) -> dict[str, Any]:
    """The `raw` of a piece of evidence, redacted."""
    measured = evidence.channel in _MEASURED
    found: dict[str, Any] = _value(evidence.raw, "", names, measured)
    return found


def issuer(evidence: Evidence, names: Pseudonyms) -> str:
    """The issuer: a known program or a trusted signer by its name, anybody else by a pseudonym."""
    if known_issuer(evidence):
        return evidence.issuer
    return names.name("issuer", evidence.issuer)


def known_issuer(evidence: Evidence) -> bool:
    """Whether the issuer is a program we know, or a signer on the trust list: nobody private."""
    return (
        evidence.channel in _MEASURED
        or evidence.trust is Trust.TRUSTED
        or evidence.issuer in _ISSUERS
    )


def texts(campaign: Campaign) -> Iterator[str]:
    """Every text of the campaign's evidence that is replaced, for `Pseudonyms.know`."""
    for item in campaign.items:
        for evidence in item.evidence:
            measured = evidence.channel in _MEASURED
            yield from _texts(evidence.raw, "", measured)


def _value(value: Any, key: str, names: Pseudonyms, measured: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            _key(str(name), names, measured): _value(inner, str(name), names, measured)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_value(inner, key, names, measured) for inner in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if _kept(key, measured):
        return names.scrub(value) if isinstance(value, str) else value
    return names.name("text" if isinstance(value, str) else "number", str(value))


def _kept(key: str, measured: bool) -> bool:
    return key not in _QUOTES if measured else key in _PLAIN


def _key(key: str, names: Pseudonyms, measured: bool) -> str:
    return key if measured or key in _PLAIN or key in _NAMED else names.name("field", key)


def _texts(value: Any, key: str, measured: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not (measured or name in _PLAIN or name in _NAMED) and len(name) >= SHORTEST:
                yield str(name)
            yield from _texts(inner, str(name), measured)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, key, measured)
    elif isinstance(value, str) and not _kept(key, measured) and len(value) >= SHORTEST:
        yield value
