"""China's label for AI-generated and synthesised content (GB 45438-2025, in force 2025-09-01).

The label is a JSON object with Label, ContentProducer, ProduceID, ReservedCode1,
ContentPropagator, PropagateID and ReservedCode2. It is read in all the forms in which it has
been seen: an XMP element or attribute `TC260:AIGC`; a PNG text `AIGC`; `{"AIGC": …}` in EXIF
UserComment or ImageDescription; a bare `AIGC{…}` in a JPEG segment; and Tencent Cloud's
variant with ServiceProvider and ServiceUser.

Label 1 says that the content is generated or synthesised, and claims `generated`. Labels 2 and
3 are a platform's words for content that somebody declared (2) or that it suspects (3): they
are told, but claim nothing, since no maker stands behind them.

Sources, 2026-11-24: the standard's Annex E and the practice guides TC260-PG-20257A to -202511A
by several public accounts and implementations; the forms by accounts of real files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from detector.evidence import xmp
from detector.evidence.base import EvidenceInput, Example
from detector.evidence.credit_code import read_provider
from detector.evidence.text import as_text, decode, leading_object, parse_object, plain
from detector.results import Asserts, Evidence, Trust

CHANNEL = "aigc_label"
_PRODUCER_FIELDS = {
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
}
_SERVICE_FIELDS = {"ServiceProvider", "ServiceUser"}
_CONTEXT_FIELDS = {"Time", "ContentId", "ContentID"}
_FIELDS = _PRODUCER_FIELDS | _SERVICE_FIELDS | _CONTEXT_FIELDS
_MARK = re.compile(
    rb'(?:"AIGC"\s{0,4}:\s{0,4}|TC260:AIGC(?:>|\s?=\s?["\'])|AIGC)(?=\s{0,4}(?:\{|&quot;|&#))'
)
_ESCAPED = re.compile(rb"TC260:AIGC(?:>|\s?=\s?[\"'])\s*([^<\"']{2,65536})")
_MAX_LABELS = 6
_MEANINGS = {
    "1": "the content is generated or synthesised by AI",
    "2": "the content is possibly generated or synthesised: somebody declared it to the platform",
    "3": "the content is suspected to be generated or synthesised: the platform found traces",
}
_CLAIMS = {"1": Asserts.GENERATED}
_CAVEATS = {
    "1": (
        "Plain metadata that anyone can write or copy; the standard has one label for generated "
        "and for synthesised content, so a photograph edited with AI may carry it too."
    ),
    "2": "It repeats what an uploader declared to a platform; nothing was measured or signed.",
    "3": "It is a platform's suspicion by means that it does not state.",
}
_NO_LABEL = "An object of the labelling scheme without a valid label; it may be incomplete."
_SECURITY = "SecurityData"


class Label(NamedTuple):
    """One label as it was found."""

    form: str
    value: dict[str, Any]
    wrapped: bool


def find(item: EvidenceInput) -> list[Evidence]:
    """One piece of evidence for each different label in the file; see `base.Channel`."""
    found: list[Evidence] = []
    seen: dict[str, list[str]] = {}
    for label in _labels(item):
        fields = {k: v for k, v in label.value.items() if k in _FIELDS}
        key = repr(sorted((k, as_text(v)) for k, v in fields.items()))
        if key in seen:
            seen[key].append(label.form)
        elif len(seen) < _MAX_LABELS:
            seen[key] = [label.form]
            found.append(_evidence(fields, label, seen[key]))
    return found


def _evidence(fields: dict[str, Any], label: Label, forms: list[str]) -> Evidence:
    code = as_text(fields.get("Label")).strip()
    producer = as_text(fields.get("ContentProducer")) or as_text(fields.get("ServiceProvider"))
    propagator = as_text(fields.get("ContentPropagator"))
    tencent = bool(_SERVICE_FIELDS & fields.keys()) and not code
    raw = {
        "found_in": forms,
        "label": code,
        "meaning": _MEANINGS.get(code, "not a value of the standard" if code else ""),
        "fields": plain({k: v for k, v in fields.items() if v != ""}, text=1_000),
        "producer": read_provider(producer[:200]) if producer else {},
        "propagator": read_provider(propagator[:200]) if propagator else {},
        "has_security_data": any(
            _SECURITY in as_text(fields.get(k)) for k in ("ReservedCode1", "ReservedCode2")
        ),
    }
    # The variant has no Label: being wrapped as "AIGC" is what it says.
    claim = Asserts.GENERATED if tencent and label.wrapped else Asserts.UNKNOWN
    return Evidence(
        kind="aigc_label" if code or tencent else "aigc_label_incomplete",
        channel=CHANNEL,
        asserts=_CLAIMS.get(code, claim),
        issuer=str(plain(producer, text=200)),
        trust=Trust.SELF_DECLARED,
        raw={key: value for key, value in raw.items() if value not in ("", {}, [])},
        caveat=_CAVEATS.get(code, _CAVEATS["1"] if tencent else _NO_LABEL),
    )


def _labels(item: EvidenceInput) -> Iterator[Label]:
    """Every label, in the order of the forms above; the same one may come twice."""
    for packet in item.xmp:
        values = packet.values(xmp.AIGC, "AIGC")
        for value in values:
            yield from _from_text("XMP TC260:AIGC", value, wrapped=True)
        if not values and packet.fault:
            # A damaged packet may still hold a whole label.
            yield from _from_bytes("damaged XMP", packet.raw)
    for text in item.blocks.texts:
        where = f"{text.where} {text.key}".strip()
        if text.key == "AIGC":
            yield from _from_text(where, text.value, wrapped=True)
        else:
            yield from _from_text(where, text.value)
    for block in item.exif:
        for name, value in block.texts:
            yield from _from_text(f"EXIF {name}", value)
    for segment in item.blocks.segments:
        yield from _from_bytes(segment.where, segment.data)


def _from_text(form: str, text: str, *, wrapped: bool = False) -> Iterator[Label]:
    stripped = text.strip("\0 \t\r\n")
    if stripped.startswith("AIGC"):
        found = leading_object(stripped[4:].lstrip(": "))
        if found is not None and _is_label(found, wrapped=True):
            yield Label(form, found, True)
        return
    found = parse_object(stripped)
    if found is None:
        return
    if "AIGC" in found:
        inner = found["AIGC"]
        inner = parse_object(inner) if isinstance(inner, str) else inner
        if isinstance(inner, dict) and _is_label(inner, wrapped=True):
            yield Label(form, inner, True)
    elif _is_label(found, wrapped=wrapped):
        yield Label(form, found, wrapped)


def _from_bytes(form: str, data: bytes) -> Iterator[Label]:
    """Labels in a segment without a name: `AIGC{…}`, `"AIGC": {…}`, or escaped XMP."""
    for mark, _ in zip(_MARK.finditer(data), range(8), strict=False):
        text = decode(data[mark.end() : mark.end() + 2**16]).lstrip()
        if text.startswith("{"):
            found = leading_object(text)
            if found is not None and _is_label(found, wrapped=True):
                yield Label(form, found, True)
    for escaped, _ in zip(_ESCAPED.finditer(data), range(4), strict=False):
        found = parse_object(decode(escaped.group(1)).replace("&quot;", '"').replace("&amp;", "&"))
        if found is not None and _is_label(found, wrapped=True):
            yield Label(form, found, True)


def _is_label(found: dict[str, Any], *, wrapped: bool) -> bool:
    """Whether an object belongs to the scheme: one own field where it is named, else more."""
    own = (_PRODUCER_FIELDS | _SERVICE_FIELDS) & found.keys()
    if wrapped:
        return bool(own)
    service = "ServiceProvider" in found and bool(
        (_SERVICE_FIELDS | _CONTEXT_FIELDS) & found.keys()
    )
    return ("Label" in found and len(own) >= 3) or (service and len(found.keys() & _FIELDS) >= 3)


def examples() -> Sequence[Example]:
    """Every form of the label, and objects that only look like one."""
    from detector.evidence.aigc_examples import all_examples

    return all_examples()
