"""The gallery of the labelling channel: every form of the label, made in code.

The credit code belongs to nobody: its region and organisation are zeros, with the check
characters that the arithmetic asks for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from detector.evidence import build
from detector.evidence.base import Example
from detector.evidence.credit_code import check_character, organisation_check
from detector.results import Asserts

_BODY = "91000000" + "00000000" + organisation_check("00000000")
CREDIT_CODE = _BODY + check_character(_BODY)
PROVIDER = f"0011{CREDIT_CODE}10000"
LABEL: dict[str, Any] = {
    "Label": "1",
    "ContentProducer": PROVIDER,
    "ProduceID": "example-0001",
    "ReservedCode1": "",
    "ContentPropagator": PROVIDER,
    "PropagateID": "example-0001",
    "ReservedCode2": "",
}
SERVICE: dict[str, Any] = {
    "ServiceProvider": "Example Cloud",
    "ServiceUser": "100",
    "Time": "2025-09-02",
    "ContentId": "abc",
}


def _user_comment(value: Any) -> bytes:
    return b"ASCII\0\0\0" + json.dumps(value).encode()


def element(label: str) -> str:
    """An XMP packet with the label as an element, its quotes escaped as real files have it."""
    escaped = label.replace('"', "&quot;")
    return build.xmp(inner=f"<TC260:AIGC>{escaped}</TC260:AIGC>")


def all_examples() -> Sequence[Example]:
    """Every form, every value of Label, and what is no label."""
    text = json.dumps(LABEL)
    forms = {
        "XMP element, JPEG": build.jpeg(build.xmp_segment(element(text))),
        "XMP element, PNG": build.png(build.xmp_chunk(element(text))),
        "XMP element, WebP": build.webp((b"XMP ", element(text).encode())),
        "XMP attribute": build.jpeg(build.xmp_segment(build.xmp({"TC260:AIGC": text}))),
        "PNG text": build.png(build.text("AIGC", text)),
        "EXIF UserComment": build.jpeg(
            build.exif_segment(build.exif({}, {0x9286: _user_comment({"AIGC": LABEL})}))
        ),
        "EXIF UserComment, label as text": build.jpeg(
            build.exif_segment(build.exif({}, {0x9286: _user_comment({"AIGC": text})}))
        ),
        "bare segment": build.jpeg((0xE9, b"AIGC" + text.encode())),
        "service provider": build.jpeg(
            build.exif_segment(build.exif({0x010E: json.dumps({"AIGC": SERVICE})}))
        ),
        "damaged XMP": build.jpeg(build.xmp_segment(element(text).replace("</rdf:RDF>", ""))),
    }
    generated = frozenset({Asserts.GENERATED})
    kind = frozenset({"aigc_label"})
    labelled = [Example(name, data, kind, generated) for name, data in forms.items()]
    weaker = [
        Example(f"Label {n}", build.png(build.text("AIGC", json.dumps(LABEL | {"Label": n}))), kind)
        for n in ("2", "3", 9)
    ]
    partly = json.dumps({"ContentProducer": PROVIDER, "ProduceID": "x"})
    return [
        *labelled,
        *weaker,
        Example(
            "no Label", build.png(build.text("AIGC", partly)), frozenset({"aigc_label_incomplete"})
        ),
        Example("plain", build.jpeg()),
        Example("a key AIGC with other JSON", build.png(build.text("AIGC", '{"Model": "x"}'))),
        Example("another Label", build.png(build.text("Comment", '{"Label": "1", "Price": 2}'))),
        Example("a word", build.png(build.text("Comment", "AIGC is discussed here"))),
    ]
