"""Recognises the `parameters` text of the Stable Diffusion web UI and of its many relatives.

The form: the prompt, then a line that begins with "Negative prompt:", then one line of
"Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: …, Version: …".
Forge, SD.Next, Fooocus, Civitai and nodes for ComfyUI write the same form.
"""

from __future__ import annotations

import json
import re

from detector.evidence.metadata.fields import Field, Fields
from detector.evidence.metadata.rules import evidence
from detector.results import Asserts, Evidence

_KEYS = ("parameters", "UserComment", "", "Comment", "ImageDescription", "Description")
_TELLING = {"Sampler", "CFG scale", "Seed", "Size", "Model hash", "Model", "Schedule type"}
_MAX_SETTINGS = 80
_SETTINGS_LINE = re.compile(r"(?:^|\n)(Steps: ?\d)")
_NEGATIVE = "Negative prompt:"
_FORGE_VERSION = re.compile(r"f\d")


def find(fields: Fields) -> list[Evidence]:
    """Evidence for the first text of that form, and for a note of later processing."""
    found = [e for field in fields.named(*_KEYS) if (e := _parameters(field)) is not None][:1]
    found += [
        evidence("a1111_postprocessing", {"found_in": f.place, "settings": f.value})
        for f in fields.named("postprocessing", "extras")
        if "Postprocess upscale" in f.value or "Upscale:" in f.value
    ][:1]
    return found


def _parameters(field: Field) -> Evidence | None:
    starts = [found.start(1) for found in _SETTINGS_LINE.finditer(field.value)]
    if not starts:
        return None
    prompts, line = field.value[: starts[-1]], field.value[starts[-1] :]
    settings = settings_of(line)
    if len(_TELLING & settings.keys()) < 2:
        return None
    prompt, _, negative = prompts.partition(_NEGATIVE)
    mode, asserts = _mode(settings)
    raw = {
        "found_in": field.place,
        "tool": tool_of(settings),
        "prompt": prompt.strip(),
        "negative_prompt": negative.strip(),
        "model": settings.get("Model", ""),
        "model_hash": settings.get("Model hash", ""),
        "seed": settings.get("Seed", ""),
        "sampler": settings.get("Sampler", ""),
        "steps": settings.get("Steps", ""),
        "size": settings.get("Size", ""),
        "mode": mode,
        "settings": settings,
    }
    return evidence("a1111_parameters", raw, asserts=asserts, issuer=tool_of(settings))


def settings_of(line: str) -> dict[str, str]:
    """The "key: value" pairs of a settings line; quoted values may hold commas.

    Takes time in proportion to the line, whatever it holds.
    """
    settings: dict[str, str] = {}
    for part in _parts(line):
        key, colon, value = part.partition(":")
        key = key.strip()
        if colon and 0 < len(key) <= 60 and len(settings) < _MAX_SETTINGS:
            settings.setdefault(key, _unquoted(value.strip()))
    return settings


def _parts(line: str) -> list[str]:
    """The line split at commas and line ends outside of quotes."""
    parts, start, quoted, at = [], 0, False, 0
    while at < len(line):
        character = line[at]
        if quoted and character == "\\":
            at += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in ",\n":
            parts.append(line[start:at])
            start = at + 1
        at += 1
    return [*parts, line[start:]]


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        text = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return text if isinstance(text, str) else value


def tool_of(settings: dict[str, str]) -> str:
    """The program that wrote the settings, as far as they tell."""
    version, app = settings.get("Version", ""), settings.get("App", "")
    if "ComfyUI" in version:
        return "ComfyUI (a node that writes this form)"
    if version.startswith("Fooocus"):
        return "Fooocus"
    if "SD.Next" in app:
        return "SD.Next"
    if "Civitai resources" in settings:
        return "Civitai"
    if _FORGE_VERSION.match(version):
        return "Stable Diffusion web UI Forge"
    return "Stable Diffusion web UI"


def _mode(settings: dict[str, str]) -> tuple[str, Asserts]:
    """From text alone, from another image, or within one; hires. fix also has a strength."""
    if {"Mask blur", "Mask mode", "Inpaint area", "Masked content"} & settings.keys():
        return "inpainting: a part of another image was replaced", Asserts.EDITED_WITH_AI
    second_pass = any(key.startswith("Hires") for key in settings)
    if "Denoising strength" in settings and not second_pass:
        return "image to image: it began from another image", Asserts.EDITED_WITH_AI
    return "text to image", Asserts.GENERATED
