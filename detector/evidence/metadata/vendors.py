"""Recognises services by short fields of their own: Midjourney, Ideogram, Grok, Google, …"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from detector.evidence.base import EvidenceInput
from detector.evidence.metadata.fields import Fields
from detector.evidence.metadata.rules import evidence
from detector.evidence.source_types import source_type
from detector.evidence.text import as_text, parse_object, walk
from detector.results import Asserts, Evidence

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_JOB = re.compile(rf"\bJob ID:\s*({_UUID})\b", re.IGNORECASE)
_OPTION = re.compile(r"\s--([a-z]{1,12})\s([^\s-][^\s]{0,60})")
_SIGNATURE = re.compile(r"^Signature: ?([A-Za-z0-9+/]{64,}={0,2})\s*$")
_WHOLE_UUID = re.compile(rf"^{_UUID}$", re.IGNORECASE)
_SAMSUNG_TYPE = re.compile(rb'genAIType"?\s*:\s*(-?\d{1,4})')
_SAMSUNG_BLOCK = b"PhotoEditor_Re_Edit_Data"
_SEARCHED_TAIL = 2**20
_SOFTWARE_KEYS = ("Software", "CreatorTool", "OriginatingProgram", "HostComputer", "Creator Tool")

# Exact beginnings of names, as the programs write them; compared in lower case.
_GENERATORS = (
    "adobe firefly", "aphrodite ai", "comfyui", "dall-e", "dall·e", "diffusionbee", "draw things",
    "fooocus", "gpt-image", "ideogram", "invokeai", "midjourney", "mochi diffusion", "novelai",
    "reve.com", "stable diffusion", "swarmui",
)  # fmt: skip
_EDITORS = (
    "acdsee", "adobe photoshop", "affinity photo", "camera raw", "adobe lightroom", "lightroom",
    "canva", "capcut", "capture one", "corel", "darktable", "dxo", "ezgif", "facetune", "faststone",
    "fotor", "gimp", "google photos", "imagemagick", "instagram", "irfanview", "krita", "lightleap",
    "luminar", "meitu", "microsoft photos", "on1", "paint.net", "paint shop", "photoimpact",
    "photopea", "photoscape", "picasa", "picsart", "pixelmator", "pixlr", "polarr", "prisma",
    "quickshot", "remini", "rawtherapee", "snapseed", "topaz", "vsco", "xnview", "windows photo",
)  # fmt: skip


class _Credit(NamedTuple):
    text: str
    kind: str
    asserts: Asserts


_CREDITS = (
    _Credit("made with google ai", "google_credit", Asserts.GENERATED),
    _Credit("edited with google ai", "google_credit", Asserts.EDITED_WITH_AI),
    _Credit("apple photos clean up", "apple_clean_up", Asserts.EDITED_WITH_AI),
)


def find(item: EvidenceInput, fields: Fields) -> list[Evidence]:
    """Evidence of every vendor rule that matches."""
    found = [one for rule in _RULES if (one := rule(fields)) is not None]
    found += source_types(fields)
    found += named_software(fields)
    samsung = _samsung(item)
    return [*found, samsung] if samsung else found


def _midjourney(fields: Fields) -> Evidence | None:
    """`Description`: the prompt, options such as "--v 6", and "Job ID: <UUID>"."""
    for field in fields.named("Description", "ImageDescription", "description", "Caption-Abstract"):
        text = field.value[:20_000]
        job = _JOB.search(text)
        if job is None:
            continue
        head = text[: job.start()]
        options = dict(_OPTION.findall(head))
        raw = {
            "found_in": field.place,
            "prompt": head.split(" --", 1)[0].strip(),
            "options": options,
            "model": options.get("v") or options.get("niji") or options.get("version"),
            "seed": options.get("seed"),
            "job_id": job.group(1),
            "author": fields.value("Author"),
            "image_id": fields.value("DigImageGUID"),
            "created": fields.value("Creation Time"),
        }
        return evidence("midjourney_job", raw)
    return None


def _ideogram(fields: Fields) -> Evidence | None:
    for field in fields.named("Make"):
        if field.where == "EXIF" and field.value.strip() == "Ideogram AI":
            return evidence("ideogram_make", {"found_in": field.place, "make": field.value})
    return None


def _grok(fields: Fields) -> Evidence | None:
    """EXIF Artist is the image's UUID, and ImageDescription is "Signature: <base64>"."""
    artist = next((f for f in fields.named("Artist") if _WHOLE_UUID.match(f.value.strip())), None)
    signature = next(
        (m for f in fields.named("ImageDescription") if (m := _SIGNATURE.match(f.value[:5_000]))),
        None,
    )
    if artist is None or signature is None:
        return None
    raw = {
        "found_in": ["EXIF Artist", "EXIF ImageDescription"],
        "image_id": artist.value.strip(),
        "signature": signature.group(1),
    }
    return evidence("grok_signature", raw)


def _credit(fields: Fields) -> Evidence | None:
    for field in fields.named("Credit"):
        for credit in _CREDITS:
            if credit.text in field.value.lower():
                raw = {"found_in": field.place, "credit": field.value}
                return evidence(credit.kind, raw, asserts=credit.asserts)
    return None


def _bytedance(fields: Fields) -> Evidence | None:
    """An export note of ByteDance's apps: JSON with product, exportType and aigc_info."""
    for field in fields.named("ImageDescription", "UserComment"):
        for found in walk(field.object, limit=200):
            inner = parse_object(as_text(found.get("data")))
            info = {**found, **(inner or {})}
            product = as_text(info.get("product")).lower()
            if not product or not {"exportType", "aigc_info"} & info.keys():
                continue
            made = product.startswith("dreamina") and info.get("exportType") == "generation"
            raw = {
                "found_in": field.place,
                "product": product,
                "export": as_text(info.get("exportType")),
                "aigc_info": info.get("aigc_info"),
            }
            return evidence(
                "bytedance_export", raw, asserts=Asserts.GENERATED if made else Asserts.UNKNOWN
            )
    return None


def _hosted_job(fields: Fields) -> Evidence | None:
    for field in fields.named("hf-job-id"):
        return evidence("hosted_job", {"found_in": field.place, "job_id": field.value})
    return None


def _disclosure(fields: Fields) -> Evidence | None:
    """The four fields that IPTC added in 2025.1 for images made by AI."""
    names = ("AISystemUsed", "AISystemVersionUsed", "AIPromptInformation", "AIPromptWriterName")
    values = {name: text for name in names if (text := fields.value(name))}
    if not values:
        return None
    raw = {
        "found_in": "XMP Iptc4xmpExt",
        "model": values.get("AISystemUsed"),
        "version": values.get("AISystemVersionUsed"),
        "prompt": values.get("AIPromptInformation"),
        "prompt_writer": values.get("AIPromptWriterName"),
    }
    return evidence("iptc_ai_disclosure", raw, issuer=values.get("AISystemUsed", ""))


_RULES: tuple[Callable[[Fields], Evidence | None], ...] = (
    _midjourney,
    _ideogram,
    _grok,
    _credit,
    _bytedance,
    _hosted_job,
    _disclosure,
)


def source_types(fields: Fields) -> list[Evidence]:
    """IPTC's DigitalSourceType, each different term once."""
    found: dict[str, Evidence] = {}
    for field in fields.named("DigitalSourceType", "digitalsourcetype", "DigitalSourcefileType"):
        term = source_type(field.value)
        raw = {
            "found_in": field.place,
            "value": field.value,
            "code": term.code if term else "",
            "meaning": term.name if term else "not a term of the vocabulary",
            "credit": fields.value("Credit"),
        }
        asserts = term.asserts if term else Asserts.UNKNOWN
        found.setdefault(
            term.code if term else field.value,
            evidence("iptc_digital_source_type", raw, asserts=asserts),
        )
    return list(found.values())[:5]


def named_software(fields: Fields) -> list[Evidence]:
    """Programs that the file names as its creator: generators, and editors as context."""
    found: dict[tuple[str, str], Evidence] = {}
    for field in fields.named(*_SOFTWARE_KEYS, "softwareAgent", "Make"):
        name = field.value.strip()
        lower = name.lower()
        if lower.startswith(_GENERATORS) and name != "Ideogram AI":
            kind = "generator_named"
        elif lower.startswith(_EDITORS) and field.key != "Make":
            kind = "editor_named"
        else:
            continue
        raw = {"found_in": field.place, "name": name}
        found.setdefault((kind, lower), evidence(kind, raw, issuer=name[:120]))
    return list(found.values())[:8]


def _samsung(item: EvidenceInput) -> Evidence | None:
    """Galaxy's editor appends its own data; `genAIType` other than 0 stands for an AI tool."""
    if item.blocks.tail is None:
        return None
    start = max(item.blocks.tail[0], len(item.data) - _SEARCHED_TAIL)
    tail = item.data[start:]
    found = _SAMSUNG_TYPE.search(tail) if _SAMSUNG_BLOCK in tail else None
    if found is None or int(found.group(1)) == 0:
        return None
    raw = {"found_in": "bytes after the image", "genAIType": int(found.group(1))}
    return evidence("samsung_genai", raw)
