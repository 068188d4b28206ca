"""Recognises generators that write JSON of their own into text fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from detector.evidence.metadata.fields import Field, Fields
from detector.evidence.metadata.rules import evidence
from detector.evidence.text import as_text, parse_object
from detector.results import Asserts, Evidence

_DREAM = re.compile(r'^"(?P<prompt>.*)" (?P<options>-s ?\d[^"]*)$', re.DOTALL)
_DREAM_OPTION = re.compile(r"-([A-Za-z]) ?([\w.]+)")


def find(fields: Fields) -> list[Evidence]:
    """Evidence of every generator that the fields speak of, at most one of each."""
    return [found for read in RECOGNISERS if (found := read(fields)) is not None]


def novelai(fields: Fields) -> Evidence | None:
    """NovelAI: Software and Source name it; Comment is JSON with "uc" for the negative prompt."""
    comment, place = _novelai_comment(fields)
    named = any(f.value.startswith("NovelAI") for f in fields.named("Software", "Source", "Title"))
    telling = {"uc", "sampler", "steps", "scale", "signed_hash", "request_type"} & comment.keys()
    if not (named and telling) and not ("signed_hash" in comment and len(telling) >= 4):
        return None
    request = as_text(comment.get("request_type"))
    raw = {
        "found_in": place,
        "prompt": as_text(comment.get("prompt")) or fields.value("Description"),
        "characters": _novelai_characters(comment.get("v4_prompt")),
        "negative_prompt": as_text(comment.get("uc")),
        "model": fields.value("Source"),
        **_settings(comment, "seed", "sampler", "steps", "scale"),
        "request": request,
        "signed": "signed_hash" in comment,
    }
    edited = "Img2Img" in request or "Infill" in request
    return evidence("novelai_metadata", raw, asserts=Asserts.EDITED_WITH_AI if edited else None)


def _novelai_comment(fields: Fields) -> tuple[dict[str, Any], str]:
    for field in fields.named("Comment"):
        found = field.object
        # One version wrapped the object in another of the same name.
        if found and isinstance(found.get("Comment"), str):
            found = parse_object(found["Comment"]) or found
        if found:
            return found, field.place
    return {}, ""


def _novelai_characters(prompt: Any) -> list[str]:
    caption = prompt.get("caption") if isinstance(prompt, dict) else None
    listed = caption.get("char_captions") if isinstance(caption, dict) else None
    if not isinstance(listed, list):
        return []
    texts = [as_text(c.get("char_caption")) for c in listed[:12] if isinstance(c, dict)]
    return [text for text in texts if text]


def invokeai(fields: Fields) -> Evidence | None:
    """InvokeAI: `invokeai_metadata`; before version 3 `sd-metadata`; before that `Dream`."""
    for field, found in fields.objects():
        if field.key == "invokeai_metadata":
            return _invokeai(field, found)
        if field.key == "sd-metadata" and isinstance(found.get("image"), dict):
            image = found["image"]
            prompt = image.get("prompt")
            if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
                prompt = prompt[0].get("prompt")
            raw = {
                "found_in": field.place,
                "prompt": as_text(prompt),
                "model": as_text(found.get("model_weights")),
                "version": as_text(found.get("app_version")),
                **_settings(image, "seed", "sampler", "steps", "cfg_scale"),
            }
            return evidence("invokeai_metadata", raw)
    for field in fields.named("Dream"):
        dream = _DREAM.match(field.value[:20_000])
        if dream:
            options = dict(_DREAM_OPTION.findall(dream["options"][:500]))
            raw = {
                "found_in": field.place,
                "prompt": dream["prompt"],
                "seed": options.get("S", ""),
                "steps": options.get("s", ""),
                "sampler": options.get("A", ""),
            }
            return evidence("invokeai_metadata", raw)
    for field, found in fields.objects():
        if field.key in ("invokeai_graph", "invokeai_workflow") and "nodes" in found:
            return evidence("invokeai_metadata", {"found_in": field.place})
    return None


def _invokeai(field: Field, found: dict[str, Any]) -> Evidence | None:
    if not {"positive_prompt", "generation_mode", "app_version", "model"} & found.keys():
        return None
    mode = as_text(found.get("generation_mode"))
    model = found.get("model")
    raw = {
        "found_in": field.place,
        "prompt": as_text(found.get("positive_prompt")),
        "negative_prompt": as_text(found.get("negative_prompt")),
        "model": _name(model),
        "version": as_text(found.get("app_version")),
        "mode": mode,
        **_settings(found, "seed", "scheduler", "steps", "cfg_scale"),
    }
    edited = any(word in mode for word in ("img2img", "inpaint", "outpaint", "upscale"))
    return evidence("invokeai_metadata", raw, asserts=Asserts.EDITED_WITH_AI if edited else None)


def fooocus(fields: Fields) -> Evidence | None:
    """Fooocus: JSON in `parameters` or UserComment, named by `fooocus_scheme` or Software."""
    version = next((v for v in (f.value for f in fields.named("Software")) if "Fooocus" in v), "")
    scheme = fields.value("fooocus_scheme", "MakerNote")
    for field, found in fields.objects():
        own = as_text(found.get("version")).startswith(("Fooocus", "v2")) or bool(version or scheme)
        if {"base_model", "performance"} <= found.keys() and own:
            raw = {
                "found_in": field.place,
                "prompt": as_text(found.get("prompt")),
                "negative_prompt": as_text(found.get("negative_prompt")),
                "model": as_text(found.get("base_model")),
                "styles": found.get("styles"),
                "version": as_text(found.get("version")) or version,
                **_settings(found, "seed", "sampler", "steps", "performance", "created_by"),
            }
            return evidence("fooocus_parameters", raw)
    return None


def swarmui(fields: Fields) -> Evidence | None:
    """SwarmUI: JSON with `sui_image_params`, in PNG `parameters` or EXIF."""
    for field, found in fields.objects():
        params = found.get("sui_image_params")
        if isinstance(params, dict) and params:
            raw = {
                "found_in": field.place,
                "prompt": as_text(params.get("prompt")),
                "negative_prompt": as_text(params.get("negativeprompt")),
                "model": as_text(params.get("model")),
                "models": found.get("sui_models"),
                "version": as_text(params.get("swarm_version")),
                **_settings(params, "seed", "sampler", "steps", "cfgscale", "width", "height"),
                "date": _settings(found.get("sui_extra_data"), "date").get("date"),
            }
            edited = bool({"initimage", "maskimage"} & params.keys())
            asserts = Asserts.EDITED_WITH_AI if edited else None
            return evidence("swarmui_parameters", raw, asserts=asserts)
    return None


_EASY = ("use_stable_diffusion_model", "num_inference_steps", "guidance_scale")
_EASY_TITLES = ("Stable Diffusion model", "Steps", "Guidance Scale")


def easy_diffusion(fields: Fields) -> Evidence | None:
    """Easy Diffusion: its settings as JSON in UserComment, or one by one as PNG texts."""
    for field, found in fields.objects():
        for names in (_EASY, _EASY_TITLES):
            if set(names) <= found.keys():
                return _easy(field.place, found)
    loose: dict[str, Any] = {f.key: f.value for f in fields if f.where.startswith("PNG")}
    for names in (_EASY, _EASY_TITLES):
        if set(names) <= loose.keys():
            return _easy("PNG texts", loose)
    return None


def _easy(place: str, found: dict[str, Any]) -> Evidence:
    def either(key: str, title: str) -> str:
        return as_text(found.get(key)) or as_text(found.get(title))

    raw = {
        "found_in": place,
        "prompt": either("prompt", "Prompt"),
        "negative_prompt": either("negative_prompt", "Negative Prompt"),
        "model": either("use_stable_diffusion_model", "Stable Diffusion model"),
        "seed": either("seed", "Seed"),
        "sampler": either("sampler_name", "Sampler"),
        "steps": either("num_inference_steps", "Steps"),
        "cfg": either("guidance_scale", "Guidance Scale"),
    }
    # The strength of the influence of a first image is only kept when there was one.
    edited = bool({"prompt_strength", "Prompt Strength"} & found.keys())
    asserts = Asserts.EDITED_WITH_AI if edited else None
    return evidence("easy_diffusion_metadata", raw, asserts=asserts)


def draw_things(fields: Fields) -> Evidence | None:
    """Draw Things: JSON with "c" and "uc" for the prompts, in PNG Comment or XMP UserComment."""
    telling = {"sampler", "scale", "seed", "size", "steps", "model"}
    named = "Draw Things" in (fields.value("Software"), fields.value("CreatorTool"))
    for field, found in fields.objects():
        if "c" in found and len(telling & found.keys()) >= (3 if named else 5):
            raw = {
                "found_in": field.place,
                "prompt": as_text(found.get("c")),
                "negative_prompt": as_text(found.get("uc")),
                "loras": found.get("lora"),
                **_settings(
                    found, "model", "seed", "sampler", "steps", "scale", "size", "strength"
                ),
            }
            return evidence("draw_things_metadata", raw)
    return None


def _settings(found: Any, *names: str) -> dict[str, str]:
    """The named settings as texts; nothing for what is absent."""
    if not isinstance(found, dict):
        return {}
    return {name: text for name in names if (text := as_text(found.get(name)))}


def _name(model: Any) -> str:
    if isinstance(model, dict):
        return as_text(model.get("model_name")) or as_text(model.get("name"))
    return as_text(model)


RECOGNISERS: tuple[Callable[[Fields], Evidence | None], ...] = (
    novelai,
    invokeai,
    fooocus,
    swarmui,
    easy_diffusion,
    draw_things,
)
