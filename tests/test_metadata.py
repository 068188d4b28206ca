"""Generators, services, cameras and editors are recognised, their leads read, and no others."""

from __future__ import annotations

import datetime
import gzip
import importlib.util
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evidence import build, metadata
from detector.evidence.base import EvidenceInput
from detector.evidence.blocks import read_blocks
from detector.evidence.blocks.base import MAX_BLOCK, MAX_TOTAL
from detector.evidence.exif import read_exif
from detector.evidence.metadata import a1111, comfyui, forms, stealth
from detector.evidence.metadata.fields import Field, Fields
from detector.evidence.metadata.iptc import read_iptc
from detector.evidence.metadata.rules import RULES
from detector.evidence.source_types import TERMS, source_type
from detector.evidence.xmp import read_xmp
from detector.results import Asserts, Evidence


def find(data: bytes) -> dict[str, Evidence]:
    return {e.kind: e for e in metadata.find(EvidenceInput(data))}


def in_png(**texts: str) -> dict[str, Evidence]:
    return find(build.png(*(build.text(key, value) for key, value in texts.items())))


# ---- leads


def test_the_web_ui_gives_its_leads() -> None:
    raw = in_png(parameters=forms.A1111)["a1111_parameters"].raw
    assert raw["prompt"] == "a lighthouse at dusk, (oil painting:1.2)\nsecond line"
    assert raw["negative_prompt"] == "blurry, lowres"
    assert (raw["seed"], raw["steps"], raw["sampler"]) == ("965400086", "20", "DPM++ 2M")
    assert (raw["model"], raw["model_hash"]) == ("v1-5-pruned-emaonly", "6ce0161689")
    assert raw["settings"]["Lora hashes"] == "paint: 0123abcd, light: 4567"
    assert raw["found_in"] == "PNG tEXt parameters"


@pytest.mark.parametrize(
    ("settings_line", "tool"),
    [
        ("Version: v1.10.1", "Stable Diffusion web UI"),
        ("Version: f2.0.1v1.10.1", "Stable Diffusion web UI Forge"),
        ("Version: Fooocus v2.5.5", "Fooocus"),
        ("Version: ComfyUI", "ComfyUI (a node that writes this form)"),
        ("App: SD.Next", "SD.Next"),
        ('Civitai resources: [{"type":"checkpoint"}]', "Civitai"),
    ],
)
def test_relatives_of_the_web_ui_are_told_apart(settings_line: str, tool: str) -> None:
    text = f"a fox\nSteps: 20, Sampler: Euler, Seed: 1, Size: 8x8, {settings_line}"
    assert in_png(parameters=text)["a1111_parameters"].issuer == tool


@pytest.mark.parametrize(
    ("added", "claim"),
    [
        ("", Asserts.GENERATED),
        (", Denoising strength: 0.5, Hires upscale: 2", Asserts.GENERATED),
        (", Denoising strength: 0.5", Asserts.EDITED_WITH_AI),
        (", Denoising strength: 0.5, Mask blur: 4", Asserts.EDITED_WITH_AI),
    ],
)
def test_the_web_ui_says_what_it_began_from(added: str, claim: Asserts) -> None:
    found = in_png(parameters=forms.A1111 + added)
    assert found["a1111_parameters"].asserts is claim


def test_comfyui_gives_its_leads() -> None:
    graph, drawing = json.dumps(forms.GRAPH), json.dumps(forms.WORKFLOW)
    raw = in_png(prompt=graph, workflow=drawing)["comfyui_graph"].raw
    assert (raw["prompt"], raw["negative_prompt"]) == ("a red fox", "watermark")
    assert (raw["seed"], raw["steps"], raw["sampler"]) == ("42", "25", "euler")
    assert raw["models"] == ["sd_xl_base.safetensors"]
    assert raw["engines"] == ["KSampler"]


GUIDED: dict[str, Any] = {
    "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a bridge", "clip": ["9", 0]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "rain", "clip": ["9", 0]}},
    "4": {
        "class_type": "CFGGuider",
        "inputs": {"model": ["8", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": 3.5},
    },
    "5": {"class_type": "RandomNoise", "inputs": {"noise_seed": 77}},
    "6": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "dpmpp_2m"}},
    "7": {"class_type": "BasicScheduler", "inputs": {"steps": 28, "model": ["8", 0]}},
    "8": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "style.safetensors", "model": ["1", 0]},
    },
    "9": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "t5xxl.safetensors"}},
    "10": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 1024}},
    "11": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["5", 0],
            "guider": ["4", 0],
            "sampler": ["6", 0],
            "sigmas": ["7", 0],
            "latent_image": ["10", 0],
        },
    },
}


def test_comfyui_is_followed_through_guiders_and_noise() -> None:
    evidence = in_png(prompt=json.dumps(GUIDED))["comfyui_graph"]
    raw = evidence.raw
    assert evidence.asserts is Asserts.GENERATED
    assert (raw["prompt"], raw["negative_prompt"]) == ("a bridge", "rain")
    assert (raw["seed"], raw["steps"], raw["sampler"]) == ("77", "28", "dpmpp_2m")
    assert set(raw["models"]) == {"flux1-dev.safetensors", "t5xxl.safetensors"}
    assert raw["loras"] == ["style.safetensors"]


def test_a_picture_that_only_guides_is_no_edit() -> None:
    graph = json.loads(json.dumps(forms.GRAPH))
    graph["20"] = {"class_type": "LoadImage", "inputs": {"image": "pose.png"}}
    graph["21"] = {
        "class_type": "ControlNetApplyAdvanced",
        "inputs": {"positive": ["6", 0], "negative": ["7", 0], "image": ["20", 0]},
    }
    graph["3"]["inputs"]["positive"] = ["21", 0]
    graph["3"]["inputs"]["negative"] = ["21", 1]
    evidence = in_png(prompt=json.dumps(graph))["comfyui_graph"]
    assert evidence.asserts is Asserts.GENERATED
    assert evidence.raw["prompt"] == "a red fox"
    assert evidence.raw["negative_prompt"] == "watermark"
    assert evidence.raw["input_images"] == ["pose.png"]


@pytest.mark.parametrize(
    "kind", ["ReferenceLatent", "TextEncodeQwenImageEdit", "VAEEncodeForInpaint"]
)
def test_models_that_edit_a_picture_are_edits(kind: str) -> None:
    graph = forms.edited_graph() | {"30": {"class_type": kind, "inputs": {"pixels": ["10", 0]}}}
    assert in_png(prompt=json.dumps(graph))["comfyui_graph"].asserts is Asserts.EDITED_WITH_AI


def test_an_image_service_called_from_comfyui_generates() -> None:
    graph = {
        "1": {"class_type": "OpenAIGPTImage1", "inputs": {"prompt": "a map", "seed": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    evidence = in_png(prompt=json.dumps(graph))["comfyui_graph"]
    assert evidence.asserts is Asserts.GENERATED
    assert evidence.raw["prompt"] == "a map"


def test_a_bypassed_sampler_in_a_drawing_does_not_count() -> None:
    drawing = json.loads(json.dumps(forms.WORKFLOW))
    drawing["nodes"][0]["mode"] = 4
    assert in_png(workflow=json.dumps(drawing))["comfyui_graph"].asserts is Asserts.UNKNOWN


@pytest.mark.parametrize(
    ("texts", "kind", "leads"),
    [
        (forms.NOVELAI, "novelai_metadata", {"seed": "1234", "prompt": "castle, night"}),
        ({"invokeai_metadata": json.dumps(forms.INVOKEAI)}, "invokeai_metadata",
         {"seed": "99", "prompt": "an owl", "model": "juggernaut"}),
        ({"parameters": json.dumps(forms.FOOOCUS)}, "fooocus_parameters",
         {"seed": "8", "prompt": "a harbour", "model": "juggernautXL_v8Rundiffusion"}),
        ({"parameters": json.dumps(forms.SWARM)}, "swarmui_parameters",
         {"seed": "7", "prompt": "a glass teapot", "date": "2025-01-25"}),
        ({"Comment": json.dumps(forms.DRAW_THINGS), "Software": "Draw Things"},
         "draw_things_metadata", {"seed": "5", "prompt": "a garden"}),
        ({"Description": forms.MIDJOURNEY}, "midjourney_job",
         {"seed": "12", "prompt": "a paper boat on a lake", "model": "6.1",
          "job_id": "01234567-89ab-cdef-0123-456789abcdef"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_leads_of_other_generators(texts: dict[str, str], kind: str, leads: dict[str, str]) -> None:
    raw = in_png(**texts)[kind].raw
    assert {key: raw[key] for key in leads} == leads


@pytest.mark.parametrize(
    ("changed", "claim"),
    [
        ({"request_type": "Img2ImgRequest"}, Asserts.EDITED_WITH_AI),
        ({"request_type": "NativeInfillingRequest"}, Asserts.EDITED_WITH_AI),
        ({}, Asserts.GENERATED),
    ],
)
def test_novelai_says_what_it_began_from(changed: dict[str, str], claim: Asserts) -> None:
    comment = json.dumps(forms.NOVELAI_COMMENT | changed)
    found = in_png(**(forms.NOVELAI | {"Comment": comment}))
    assert found["novelai_metadata"].asserts is claim
    assert found["novelai_metadata"].raw["signed"] is True


def test_a_real_file_of_comfyui_is_read() -> None:
    spec = importlib.util.find_spec("comfyui_workflow_templates_media_image")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package with ComfyUI's template pictures is not installed")
    folder = Path(next(iter(spec.submodule_search_locations)), "templates")
    file = folder / "wan2.1_flf2v_720_f16-1.webp"
    if not file.is_file():
        pytest.skip("this version of the package has other pictures")
    evidence = find(file.read_bytes())["comfyui_graph"]
    assert evidence.asserts in (Asserts.GENERATED, Asserts.EDITED_WITH_AI)
    assert evidence.raw["prompt"].startswith("glass flower blossom")
    assert any(name.endswith(".safetensors") for name in evidence.raw["models"])


# ---- what is no sign


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": "{}"},
        {"prompt": "[1, 2]"},
        {"prompt": json.dumps({"1": {"class_type": 3, "inputs": {}}})},
        {"workflow": json.dumps({"nodes": [], "links": []})},
        {"parameters": "Steps: 4"},
        {"parameters": json.dumps({"sui_image_params": {}})},
        {"Comment": json.dumps({"uc": "x"})},
        {"Software": "NovelAI"},
        {"Software": "Mid journey planner"},
        {"Description": "Job ID: 12345 --v 6"},
        {"Comment": json.dumps({"c": 1, "seed": 2, "size": 3})},
    ],
)
def test_half_a_sign_is_no_sign_of_that_kind(texts: dict[str, str]) -> None:
    claims = {kind: e for kind, e in in_png(**texts).items() if e.asserts is Asserts.GENERATED}
    assert claims.keys() <= {"generator_named"}


def test_camera_makers_are_no_generators() -> None:
    exif = build.exif({0x010F: "Canon", 0x0110: "EOS", 0x0131: "Adobe Lightroom 13.0"})
    found = find(build.jpeg(build.exif_segment(exif)))
    assert found.keys() == {"editor_named"}
    assert found["editor_named"].asserts is Asserts.UNKNOWN


def test_a_maker_without_an_exposure_is_no_camera() -> None:
    exif = build.exif({0x010F: "Canon", 0x0110: "EOS"})
    assert "camera_exif" not in find(build.jpeg(build.exif_segment(exif)))


def test_appended_bytes_claim_nothing() -> None:
    found = find(build.jpeg(tail=b"parameters\0" + forms.A1111.encode()))
    assert found.keys() == {"appended_data"}
    assert found["appended_data"].asserts is Asserts.UNKNOWN


# ---- cameras


def photograph(shown: np.ndarray, orientation: int = 1) -> Evidence:
    """The camera evidence of a picture of 320 × 240 whose thumbnail shows `shown`."""
    main = forms.CAMERA_MAIN | {0x0112: (build.SHORT, [orientation])}
    block = build.exif(main, forms.CAMERA, thumbnail=build.jpeg(pixels=shown))
    return find(build.jpeg(build.exif_segment(block), pixels=scene()))["camera_exif"]


def scene() -> np.ndarray:
    """(240, 320, 3): a bright corner, so that turning and mirroring change it."""
    y, x = np.mgrid[0:240, 0:320]
    plane = 255 * np.exp(-((x - 60) ** 2 + (y - 70) ** 2) / 9000)
    return np.repeat(np.maximum(plane, 20)[:, :, None], 3, axis=2).astype(np.uint8)


def test_a_camera_gives_its_leads() -> None:
    evidence = photograph(scene()[::2, ::2])
    raw = evidence.raw
    assert evidence.asserts is Asserts.CAPTURED
    assert evidence.issuer == "Maker Model One"
    assert (raw["lens"], raw["taken"]) == ("35mm F2.8", "2025:05:01 10:00:00")
    assert (raw["exposure_s"], raw["f_number"], raw["iso"]) == (0.004, 2.8, 200)
    assert raw["maker_note"]["bytes"] == 25
    assert raw["has_position"] is False


def test_a_thumbnail_of_the_same_picture_agrees() -> None:
    thumbnail = photograph(scene()[::2, ::2]).raw["thumbnail"]
    assert thumbnail["same_aspect"] is True
    assert thumbnail["correlation"] > 0.95


def test_black_bars_around_a_thumbnail_are_ignored() -> None:
    barred = np.pad(scene()[::2, ::2], ((20, 20), (0, 0), (0, 0)))
    assert photograph(barred).raw["thumbnail"]["correlation"] > 0.95


def test_a_thumbnail_of_another_picture_does_not_agree() -> None:
    assert photograph(scene()[::-2, ::-2]).raw["thumbnail"]["correlation"] < 0.5


def test_a_damaged_thumbnail_is_told() -> None:
    block = build.exif(forms.CAMERA_MAIN, forms.CAMERA, thumbnail=b"\xff\xd8\xff\xe0 no more")
    raw = find(build.jpeg(build.exif_segment(block)))["camera_exif"].raw
    assert "fault" in raw["thumbnail"]


# ---- hidden texts


@given(st.text(min_size=1, max_size=200), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_hidden_texts_come_back(text: str, packed: bool, alpha: bool) -> None:
    payload = gzip.compress(text.encode()) if packed else text.encode()
    name = f"stealth_{'png' if alpha else 'rgb'}{'comp' if packed else 'info'}".encode()
    pixels = forms.with_stealth(payload, name, alpha=alpha)
    found = stealth.read(EvidenceInput(build.png(pixels=pixels)))
    assert found == ("stealth alpha" if alpha else "stealth colour", text)


@pytest.mark.parametrize("length", [0, 7, 2**31, 2**32 - 1])
def test_a_senseless_length_hides_nothing(length: int) -> None:
    pixels = forms.with_stealth(b"", b"stealth_pnginfo")
    bits = np.unpackbits(np.frombuffer(struct.pack(">I", length), np.uint8))
    column = pixels[:, :, 3].T.reshape(-1).copy()
    column[120:152] = (column[120:152] & 0xFE) | bits
    pixels[:, :, 3] = column.reshape(pixels.shape[1], -1).T
    found = stealth.read(EvidenceInput(build.png(pixels=pixels)))
    assert found is None or len(found[1]) < 2_000


def test_a_hidden_bomb_is_cut() -> None:
    bomb = gzip.compress(bytes(50 * 2**20))
    pixels = np.repeat(np.repeat(build.picture(96, 80, 4), 8, axis=0), 8, axis=1)
    body = b"stealth_pngcomp" + struct.pack(">I", 8 * len(bomb)) + bomb
    bits = np.unpackbits(np.frombuffer(body, np.uint8))
    column = pixels[:, :, 3].T.reshape(-1).copy()
    column[: len(bits)] = (column[: len(bits)] & 0xFE) | bits
    pixels[:, :, 3] = column.reshape(pixels.shape[1], -1).T
    found = stealth.read(EvidenceInput(build.png(pixels=pixels)))
    assert found is not None
    assert len(found[1]) <= 2 * 2**20


# ---- source types and rules


def test_every_term_of_the_vocabulary_is_mapped_however_it_is_written() -> None:
    for term in TERMS.values():
        for form in (
            f"http://cv.iptc.org/newscodes/digitalsourcetype/{term.code}",
            f"https://cv.iptc.org/newscodes/digitalsourcetype/{term.code}",
            f"digsrctype:{term.code}",
            term.code,
        ):
            assert source_type(form) is term
    assert source_type("http://example.invalid/trainedAlgorithmicMedia") is None
    assert source_type("") is None


def test_only_trained_models_generate() -> None:
    generated = [t.code for t in TERMS.values() if t.asserts is Asserts.GENERATED]
    assert generated == ["trainedAlgorithmicMedia"]


@pytest.mark.parametrize("kind", RULES)
def test_every_rule_names_its_source_and_its_day(kind: str) -> None:
    rule = RULES[kind]
    assert rule.source
    assert rule.basis in ("read", "seen", "reported", "known")
    assert datetime.date.fromisoformat(rule.checked)
    assert rule.caveat.endswith(".")


# ---- readers: limits and noise


def test_a_split_xmp_packet_is_joined() -> None:
    packet = build.xmp({"dc:format": "x"}, inner="<dc:title>" + "t" * 70_000 + "</dc:title>")
    body = packet.encode()
    parts = [(at, body[at : at + 40_000]) for at in range(0, len(body), 40_000)]
    segments = [
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32
         + struct.pack(">II", len(body), at) + part)
        for at, part in reversed(parts)
    ]  # fmt: skip
    (read,) = EvidenceInput(build.jpeg(*segments)).xmp
    assert read.first("http://purl.org/dc/elements/1.1/", "title") == "t" * 70_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_xmp_is_read_in_any_encoding(encoding: str) -> None:
    packet = read_xmp(build.xmp({"dc:format": "é—"}).encode(encoding))
    assert packet.first("http://purl.org/dc/elements/1.1/", "format") == "é—"


@pytest.mark.parametrize(
    "declared",
    ['<!DOCTYPE x [<!ENTITY e "v">]>', '<!DOCTYPE x SYSTEM "file:///etc/hostname">'],
)
def test_a_document_type_in_xmp_is_refused(declared: str) -> None:
    packet = read_xmp(f"{declared}<x:xmpmeta xmlns:x='adobe:ns:meta/'/>".encode())
    assert packet.properties == ()
    assert "document type" in packet.fault


def test_what_came_before_damage_in_xmp_is_kept() -> None:
    packet = read_xmp(build.xmp({"dc:format": "kept"}).replace("</rdf:RDF>", "").encode())
    assert packet.first("http://purl.org/dc/elements/1.1/", "format") == "kept"
    assert "damaged" in packet.fault


def test_exif_in_both_byte_orders_and_comments_in_all_encodings() -> None:
    for code, text in (
        (b"ASCII\0\0\0", b"plain"),
        (b"UNICODE\0", "plain".encode("utf-16-le")),
        (b"UNICODE\0", "plain".encode("utf-16-be")),
        (bytes(8), b"plain"),
        (b"", b"plain"),
    ):
        block = build.exif({}, {0x9286: code + text})
        assert read_exif(block).text("UserComment") == "plain"
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x06\0\0\0\x1a\0\0\0\0Maker\0"
    assert read_exif(big).text("Make") == "Maker"


def test_blocks_stop_at_their_limits() -> None:
    many = build.png(*[build.text("k", "x" * 2**20)] * 20)
    blocks = read_blocks("PNG", many)
    assert sum(len(text.value) for text in blocks.texts) <= MAX_TOTAL
    assert blocks.notes
    bomb = build.png(build.compressed("k", bytes(MAX_BLOCK + 1)))
    assert read_blocks("PNG", bomb).texts == ()


def test_raw_profiles_of_imagemagick_are_read() -> None:
    block = b"Exif\0\0" + build.exif({0x0131: "Reader"})
    hexed = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    chunk = b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexed)
    (exif,) = EvidenceInput(build.png(chunk)).exif
    assert exif.text("Software") == "Reader"


def gif(comment: bytes, packet: bytes) -> bytes:
    """A GIF of one pixel with a comment and an XMP block."""
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return (
        b"GIF89a\x01\0\x01\0\0\0\0"
        + b"\x21\xfe" + bytes((len(comment),)) + comment + b"\0"
        + b"\x21\xff\x0bXMP DataXMP" + packet + trailer
        + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b"
    )  # fmt: skip


def test_gif_and_tiff_are_read() -> None:
    item = EvidenceInput(gif(b"a comment", build.xmp({"dc:format": "x"}).encode()))
    assert item.blocks.texts[0].value == "a comment"
    assert item.xmp[0].first("http://purl.org/dc/elements/1.1/", "format") == "x"
    tiff = EvidenceInput(build.exif({0x010F: "Maker", 700: build.xmp({"dc:format": "y"}).encode()}))
    assert tiff.exif[0].text("Make") == "Maker"
    assert tiff.xmp[0].first("http://purl.org/dc/elements/1.1/", "format") == "y"


KINDS = ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF", "BMP", None]


@given(st.sampled_from(KINDS), st.binary(max_size=400))
def test_any_bytes_give_blocks(kind: str | None, data: bytes) -> None:
    read_blocks(kind, data)


@given(st.data())
@settings(deadline=None)
def test_damaged_files_give_blocks(data: st.DataObject) -> None:
    exif = build.exif(forms.CAMERA_MAIN, forms.CAMERA, thumbnail=b"\xff\xd8\xff")
    whole = data.draw(
        st.sampled_from(
            [
                build.jpeg(build.exif_segment(exif), build.xmp_segment(build.xmp())),
                build.png((b"eXIf", exif), build.text("k", "v")),
                build.webp((b"EXIF", exif)),
                gif(b"c", b"<x/>"),
                exif,
            ]
        )
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(damaged), 700) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    item = EvidenceInput(bytes(damaged))
    for evidence in metadata.find(item):
        json.dumps(evidence.to_record(), allow_nan=False)


@given(st.binary(max_size=300))
def test_any_bytes_are_exif_xmp_and_iptc_to_their_readers(data: bytes) -> None:
    for start in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0" + bytes(8), b""):
        read_exif(start + data)
    read_xmp(data)
    read_xmp(b"<x>" + data + b"</x>")
    read_iptc(b"\x1c\x02" + data)


@given(st.text(alphabet='abS:,"\\ \n{}', max_size=300))
def test_any_settings_line_is_split(line: str) -> None:
    for key, value in a1111.settings_of(line).items():
        assert key.strip() == key
        assert isinstance(value, str)


inputs = st.dictionaries(
    st.sampled_from(["seed", "positive", "latent_image", "model", "text", "image", "guider"]),
    st.integers() | st.text(max_size=5) | st.tuples(st.sampled_from("1234"), st.just(0)).map(list),
    max_size=5,
)
kinds = st.sampled_from(
    ["KSampler", "SamplerCustomAdvanced", "LoadImage", "CLIPTextEncode", "OpenAIDalle3", "x"]
)
nodes = st.fixed_dictionaries({"class_type": kinds, "inputs": inputs})


@given(st.dictionaries(st.sampled_from("1234"), nodes | st.integers(), min_size=1))
def test_any_graph_is_followed_in_circles_too(graph: dict[str, Any]) -> None:
    fields = Fields((Field("PNG tEXt", "prompt", json.dumps(graph)),))
    for evidence in comfyui.find(fields):
        json.dumps(evidence.to_record(), allow_nan=False)


def test_a_hostile_graph_costs_little() -> None:
    wide = {
        str(i): {
            "class_type": "KSampler",
            "inputs": {f"latent_{j}": [str((i * 7 + j) % 2000), 0] for j in range(30)}
            | {"model": [str((i + 1) % 2000), 0], "positive": [str((i + 3) % 2000), 0]},
        }
        for i in range(2000)
    }
    (evidence,) = comfyui.find(Fields((Field("PNG tEXt", "prompt", json.dumps(wide)),)))
    assert evidence.asserts is Asserts.GENERATED


def test_long_texts_are_cut_and_hostile_ones_made_valid() -> None:
    text = "x" * 100_000 + "\nSteps: 1, Sampler: \ud800, Seed: 1, Size: 1x1"
    (evidence,) = a1111.find(Fields((Field("PNG tEXt", "parameters", text),)))
    record = json.dumps(evidence.to_record())
    assert len(record) < 20_000
    assert "more characters" in record
    record.encode("utf-8")
