"""The parts of a STIX bundle that do not depend on what a campaign holds: ids, times, authors."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import timezone
from types import ModuleType
from typing import Any

from detector import names
from detector.campaign.records import Campaign
from detector.export.files import utc

# Chosen once, at random, for this package; ids in it mean nothing to anybody else.
NAMESPACE = uuid.UUID("0d6f1bd2-6d0c-4b8e-9e1f-3a5f1c0c7f64")
EXTENSION_ID = "extension-definition--8f4c5e0a-52c8-4a43-9b0e-6f0d4c7b2a19"
SYSTEM_ID = "identity--b1f7c3de-0c55-4f0e-8d3c-92a1f6a7e4d0"
ANALYSTS_ID = "identity--47d0a4f6-8a8e-4c06-b3a4-5d1f0e9c6b72"

# When the extension and the identities were defined; they are the same in every bundle.
DEFINED = "2026-11-24T00:00:00Z"
_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "What an image detector measured on one file",
    "type": "object",
    "properties": {
        "extension_type": {"const": "property-extension"},
        "status": {"type": "string", "description": "what became of the file; ok: it was scored"},
        "verdict": {"enum": ["likely_generated", "inconclusive", "no_sign"]},
        "verdict_code": {"type": "string"},
        "score": {"type": "number", "description": "logit; higher is more likely generated"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "prior": {"type": "number", "description": "at which the probability is given"},
        "likelihood_ratio": {"type": "number", "exclusiveMinimum": 0},
        "model": {"type": "string"},
        "config_hash": {"type": "string"},
        "stratum": {"type": "string", "description": "kind of file; error rates are per kind"},
        "paths": {"type": "array", "items": {"type": "string"}},
        "evidence": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["extension_type", "status"],
}


class Collector:
    """Collects the objects of one bundle, each under its id; an id that is there is kept."""

    def __init__(self, stix2: ModuleType, campaign: Campaign, tlp: str) -> None:
        self._stix2 = stix2
        self._objects: dict[str, Any] = {}
        custody = campaign.custody
        self._created = custody.started or custody.finished or custody.made_at
        self._modified = max(self._created, custody.finished or self._created)
        self._run = [custody.store, utc(self._created) or ""]
        self._marking = self._tlp(tlp) if tlp else None
        self._identities()

    def bundle(self) -> Any:
        """All objects so far, in a bundle whose id depends on theirs."""
        key = json.dumps(sorted(self._objects))
        return self._stix2.Bundle(
            *self._objects.values(), id=f"bundle--{uuid.uuid5(NAMESPACE, key)}"
        )

    def _identities(self) -> None:
        self._add(
            self._stix2.Identity(
                id=SYSTEM_ID,
                created=DEFINED,
                modified=DEFINED,
                name="aigi-detector",
                description="A program that estimates which images are likely generated.",
                identity_class="system",
            )
        )
        self._add(
            self._stix2.ExtensionDefinition(
                id=EXTENSION_ID,
                created_by_ref=SYSTEM_ID,
                created=DEFINED,
                modified=DEFINED,
                name="What an image detector measured on one file",
                description="Verdict, score, calibrated figures and evidence of one image.",
                schema=json.dumps(_SCHEMA),
                version="1.0.0",
                extension_types=["property-extension"],
            )
        )

    def _tlp(self, tlp: str) -> str:
        word = {"clear": "WHITE"}.get(tlp, tlp.upper())
        marking = getattr(self._stix2, f"TLP_{word}")
        self._objects[marking.id] = marking
        return str(marking.id)

    def _note(
        self,
        key: list[str],
        abstract: str,
        content: str,
        refs: Iterable[str],
        extension: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        if extension is not None:
            more["extensions"] = {EXTENSION_ID: extension}
        return self._add(
            self._stix2.Note(
                **self._common("note", key),
                abstract=names.printable(abstract),
                content=names.printable(content),
                object_refs=list(dict.fromkeys(refs)),
                **more,
            )
        )

    def _grouping(self, key: list[str], name: str, words: str, refs: Iterable[str]) -> str:
        return self._add(
            self._stix2.Grouping(
                **self._common("grouping", key),
                name=names.printable(name) or "Images",
                description=names.printable(words),
                context="unspecified",
                object_refs=list(dict.fromkeys(refs)),
            )
        )

    def _relate(self, source: str, kind: str, target: str, words: str) -> None:
        more = {"description": words} if words else {}
        self._add(
            self._stix2.Relationship(
                **self._common("relationship", ["relation", source, kind, target]),
                relationship_type=kind,
                source_ref=source,
                target_ref=target,
                **more,
            )
        )

    def _common(self, kind: str, key: list[str], author: str = SYSTEM_ID) -> dict[str, Any]:
        text = json.dumps([*self._run, *key])
        found: dict[str, Any] = {
            "id": f"{kind}--{uuid.uuid5(NAMESPACE, f'{kind} {text}')}",
            "created_by_ref": author,
            "created": self._created.astimezone(timezone.utc),
            "modified": self._modified.astimezone(timezone.utc),
        }
        return found | ({"object_marking_refs": [self._marking]} if self._marking else {})

    def _observable(self, kind: str, **values: Any) -> str:
        if self._marking:
            values["object_marking_refs"] = [self._marking]
        return self._add(getattr(self._stix2, kind)(**values))

    def _add(self, made: Any) -> str:
        self._objects.setdefault(made.id, made)
        return str(made.id)
