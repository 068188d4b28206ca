"""The metadata channel's gallery: one file for every form that it knows, made in code."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence

from detector.evidence import build
from detector.evidence.base import Example
from detector.evidence.metadata.forms import (
    A1111,
    CAMERA,
    CAMERA_MAIN,
    DRAW_THINGS,
    EASY,
    FOOOCUS,
    GRAPH,
    INVOKEAI,
    MIDJOURNEY,
    NOVELAI,
    SWARM,
    TRAINED,
    WORKFLOW,
    edited_graph,
    user_comment,
    with_stealth,
)
from detector.results import Asserts

_G, _E, _C = Asserts.GENERATED, Asserts.EDITED_WITH_AI, Asserts.CAPTURED
_COMPOSITE, _HUMAN = Asserts.COMPOSITE, Asserts.HUMAN_MADE


def all_examples() -> Sequence[Example]:
    """Every example, generators first."""
    return [
        *_web_ui(),
        *_comfyui(),
        *_json_generators(),
        *_hidden(),
        *_services(),
        *_source_types(),
        *_cameras(),
        *_nothing(),
    ]


def _one(name: str, data: bytes, kind: str, *claims: Asserts) -> Example:
    return Example(name, data, frozenset({kind}), frozenset(claims))


def _png_text(**texts: str) -> bytes:
    return build.png(*(build.text(key, value) for key, value in texts.items()))


def _web_ui() -> list[Example]:
    kind = "a1111_parameters"
    inpainted = A1111.replace("Version:", "Denoising strength: 0.75, Mask blur: 4, Version:")
    upscaled = "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+"
    in_jpeg = build.jpeg(build.exif_segment(build.exif({}, {0x9286: user_comment(A1111)})))
    in_webp = build.webp((b"EXIF", build.exif({}, {0x9286: user_comment(A1111)})))
    return [
        _one("web UI, PNG text", _png_text(parameters=A1111), kind, _G),
        _one("web UI, JPEG UserComment", in_jpeg, kind, _G),
        _one("web UI, WebP UserComment", in_webp, kind, _G),
        _one(
            "web UI, compressed",
            build.png(build.compressed("parameters", A1111.encode())),
            kind,
            _G,
        ),
        _one("web UI, JPEG comment", build.jpeg((0xFE, A1111.encode())), kind, _G),
        _one("Forge", _png_text(parameters=A1111.replace("v1.10.1", "f2.0.1v1.10.1")), kind, _G),
        _one("inpainting", _png_text(parameters=inpainted), kind, _E),
        _one("enlarged only", _png_text(postprocessing=upscaled), "a1111_postprocessing"),
    ]


def _comfyui() -> list[Example]:
    kind = "comfyui_graph"
    prompt, workflow = json.dumps(GRAPH), json.dumps(WORKFLOW)
    enlarge = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "holiday.jpg"}},
        "2": {"class_type": "ImageUpscaleWithModel", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    }
    exif = build.exif({0x010F: f"workflow:{workflow}", 0x0110: f"prompt:{prompt}"})
    animated = build.png((b"comf", b"prompt\0" + prompt.encode()))
    return [
        _one("ComfyUI, both graphs", _png_text(prompt=prompt, workflow=workflow), kind, _G),
        _one("ComfyUI, drawing only", _png_text(workflow=workflow), kind, _G),
        _one("ComfyUI, WebP", build.webp((b"EXIF", exif)), kind, _G),
        _one("ComfyUI, animated PNG", animated, kind, _G),
        _one("ComfyUI, image to image", _png_text(prompt=json.dumps(edited_graph())), kind, _E),
        _one("ComfyUI, enlarges only", _png_text(prompt=json.dumps(enlarge)), kind),
    ]


def _json_generators() -> list[Example]:
    fooocus_exif = build.exif(
        {0x0131: "Fooocus v2.5.5", 0x9286: json.dumps(FOOOCUS), 0x927C: "fooocus"}
    )
    swarm_exif = build.exif({}, {0x9286: user_comment(json.dumps(SWARM, indent=2))})
    easy_exif = build.exif({}, {0x9286: user_comment(json.dumps(EASY))})
    easy_texts = {
        "Prompt": "a robot",
        "Seed": "11",
        "Stable Diffusion model": "sd-v1-5",
        "Steps": "25",
        "Guidance Scale": "7.5",
    }
    drawn = build.xmp(
        {"xmp:CreatorTool": "Draw Things"},
        "<exif:UserComment><rdf:Alt><rdf:li xml:lang='x-default'>"
        + json.dumps(DRAW_THINGS)
        + "</rdf:li></rdf:Alt></exif:UserComment>",
    )
    old = {"model_weights": "stable-diffusion-1.5", "app_version": "2.3.5"}
    old |= {"image": {"prompt": [{"prompt": "a bee", "weight": 1.0}], "seed": 3, "steps": 50}}  # type: ignore[dict-item]
    dream = '"a bee" -s 50 -S 3 -W 512 -H 512 -C 7.5 -A k_lms'
    named = frozenset({"draw_things_metadata", "generator_named"})
    invoke = json.dumps(INVOKEAI)
    return [
        Example(
            "NovelAI", _png_text(**NOVELAI), frozenset({"novelai_metadata", "generator_named"}),
            frozenset({_G}),
        ),
        _one("InvokeAI 5", _png_text(invokeai_metadata=invoke), "invokeai_metadata", _G),
        _one("InvokeAI 2", _png_text(**{"sd-metadata": json.dumps(old)}), "invokeai_metadata", _G),
        _one("InvokeAI 1", _png_text(Dream=dream), "invokeai_metadata", _G),
        _one(
            "InvokeAI, image to image",
            _png_text(invokeai_metadata=json.dumps(INVOKEAI | {"generation_mode": "sdxl_img2img"})),
            "invokeai_metadata", _E,
        ),
        _one(
            "Fooocus, PNG",
            _png_text(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"),
            "fooocus_parameters", _G,
        ),
        Example(
            "Fooocus, JPEG", build.jpeg(build.exif_segment(fooocus_exif)),
            frozenset({"fooocus_parameters", "generator_named"}), frozenset({_G}),
        ),
        _one("SwarmUI, PNG", _png_text(parameters=json.dumps(SWARM)), "swarmui_parameters", _G),
        _one("SwarmUI, JPEG", build.jpeg(build.exif_segment(swarm_exif)), "swarmui_parameters", _G),
        _one(
            "Easy Diffusion, JPEG", build.jpeg(build.exif_segment(easy_exif)),
            "easy_diffusion_metadata", _G,
        ),
        _one("Easy Diffusion, PNG", _png_text(**easy_texts), "easy_diffusion_metadata", _G),
        Example("Draw Things, XMP", build.png(build.xmp_chunk(drawn)), named, frozenset({_G})),
        Example(
            "Draw Things, PNG",
            _png_text(Software="Draw Things", Comment=json.dumps(DRAW_THINGS)),
            named, frozenset({_G}),
        ),
    ]  # fmt: skip


def _hidden() -> list[Example]:
    packed = gzip.compress(json.dumps(NOVELAI).encode())
    plain = A1111.encode()
    cases = [
        (
            "hidden in alpha, gzip",
            with_stealth(packed, b"stealth_pngcomp"),
            "novelai_metadata",
            (_G,),
        ),
        ("hidden in alpha", with_stealth(plain, b"stealth_pnginfo"), "a1111_parameters", (_G,)),
        (
            "hidden in colour",
            with_stealth(plain, b"stealth_rgbinfo", alpha=False),
            "a1111_parameters",
            (_G,),
        ),
        (
            "hidden in colour, gzip",
            with_stealth(gzip.compress(plain), b"stealth_rgbcomp", alpha=False),
            "a1111_parameters",
            (_G,),
        ),
        (
            "hidden, no known form",
            with_stealth(b"hello", b"stealth_pnginfo"),
            "stealth_payload",
            (),
        ),
    ]
    found = [_one(name, build.png(pixels=p), kind, *claims) for name, p, kind, claims in cases]
    in_webp = build.webp(pixels=with_stealth(plain, b"stealth_pnginfo"))
    return [*found, _one("hidden in a WebP", in_webp, "a1111_parameters", _G)]


def _services() -> list[Example]:
    grok = build.exif(
        {
            0x013B: "01234567-89ab-cdef-0123-456789abcdef",
            0x010E: "Signature: " + "QUJD" * 40 + "QQ==",
        }
    )
    dreamina = build.exif({0x010E: json.dumps({"product": "dreamina", "exportType": "generation"})})
    disclosed = build.xmp(
        {"Iptc4xmpExt:AISystemUsed": "Model X", "Iptc4xmpExt:AIPromptInformation": "a tree"}
    )
    samsung = b'\0\0PhotoEditor_Re_Edit_Data{"genAIType":2}SEFT'
    midjourney = build.png(
        build.text("Description", MIDJOURNEY),
        build.text("Author", "somebody"),
        build.xmp_chunk(build.xmp({"Iptc4xmpExt:DigitalSourceType": TRAINED})),
    )
    credit = {"photoshop:Credit": "Made with Google AI", "Iptc4xmpExt:DigitalSourceType": TRAINED}
    g = frozenset({_G})
    return [
        Example(
            "Midjourney", midjourney, frozenset({"midjourney_job", "iptc_digital_source_type"}), g
        ),
        _one(
            "Ideogram", build.jpeg(build.exif_segment(build.exif({0x010F: "Ideogram AI"}))),
            "ideogram_make", _G,
        ),
        _one("Grok", build.jpeg(build.exif_segment(grok)), "grok_signature", _G),
        Example(
            "Google", build.jpeg(build.xmp_segment(build.xmp(credit))),
            frozenset({"google_credit", "iptc_digital_source_type"}), g,
        ),
        _one(
            "Google, edited", build.jpeg(build.iptc_segment({110: "Edited with Google AI"})),
            "google_credit", _E,
        ),
        _one(
            "Apple clean up", build.jpeg(build.iptc_segment({110: "Apple Photos Clean Up"})),
            "apple_clean_up", _E,
        ),
        _one("IPTC 2025.1", build.png(build.xmp_chunk(disclosed)), "iptc_ai_disclosure", _G),
        _one("Dreamina export", build.jpeg(build.exif_segment(dreamina)), "bytedance_export", _G),
        _one("hosted job", _png_text(**{"hf-job-id": "abc"}), "hosted_job"),
        Example(
            "Samsung editor", build.jpeg(tail=samsung),
            frozenset({"samsung_genai", "appended_data"}),
        ),
    ]  # fmt: skip


def _source_types() -> list[Example]:
    def tagged(code: str) -> bytes:
        uri = f"http://cv.iptc.org/newscodes/digitalsourcetype/{code}"
        return build.jpeg(build.xmp_segment(build.xmp({"Iptc4xmpExt:DigitalSourceType": uri})))

    claims: dict[str, tuple[Asserts, ...]] = {
        "trainedAlgorithmicMedia": (_G,),
        "compositeWithTrainedAlgorithmicMedia": (_E,),
        "compositeSynthetic": (_COMPOSITE,),
        "algorithmicMedia": (),
        "digitalCapture": (_C,),
        "negativeFilm": (_C,),
        "digitalCreation": (_HUMAN,),
        "noSuchTerm": (),
    }
    return [
        _one(f"IPTC {code}", tagged(code), "iptc_digital_source_type", *says)
        for code, says in claims.items()
    ]


def _cameras() -> list[Example]:
    exif = build.exif(CAMERA_MAIN, CAMERA, thumbnail=build.jpeg(pixels=build.picture(160, 120)))
    photograph = build.jpeg(build.exif_segment(exif), pixels=build.picture(320, 240))
    retouched = build.exif(CAMERA_MAIN | {0x0131: "Adobe Photoshop 25.0 (Windows)"}, CAMERA)
    return [
        _one("photograph", photograph, "camera_exif", _C),
        Example(
            "retouched photograph", build.jpeg(build.exif_segment(retouched)),
            frozenset({"camera_exif", "editor_named"}), frozenset({_C}),
        ),
    ]  # fmt: skip


def _nothing() -> list[Example]:
    """What looks like a sign and is none."""
    return [
        Example("plain PNG", build.png()),
        Example("plain JPEG", build.jpeg()),
        Example("a key named prompt", _png_text(prompt="a red fox, oil on canvas")),
        Example("a key named prompt with JSON", _png_text(prompt=json.dumps({"text": "a fox"}))),
        Example(
            "a key named workflow", _png_text(workflow=json.dumps({"steps": ["scan", "crop"]}))
        ),
        Example("a recipe with steps", _png_text(Comment="Steps: 3, Seeds: sesame, Size: large")),
        Example("a description with options", _png_text(Description="run with --v 6 --ar 3:2")),
        Example(
            "a signature alone",
            build.jpeg(build.exif_segment(build.exif({0x010E: "Signature: x"}))),
        ),
        Example("not an image", b"parameters: a red fox"),
        Example("no bytes", b""),
    ]
