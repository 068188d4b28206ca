"""Invented texts in the real forms of each program, for the gallery and for tests."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from detector.evidence import build

A1111 = (
    "a lighthouse at dusk, (oil painting:1.2)\nsecond line\n"
    "Negative prompt: blurry, lowres\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, "
    "Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, "
    'Lora hashes: "paint: 0123abcd, light: 4567", Version: v1.10.1'
)
GRAPH: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 42,
            "steps": 25,
            "cfg": 8.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {
        "class_type": "CheckpointLoaderSimple",
        "inputs": {"ckpt_name": "sd_xl_base.safetensors"},
    },
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red fox", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "watermark", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
}
WORKFLOW: dict[str, Any] = {
    "nodes": [
        {"id": 3, "type": "KSampler", "mode": 0, "widgets_values": [42, "fixed", 25, 8, "euler"]},
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["sd_xl_base.safetensors"]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a red fox"]},
    ],
    "links": [[1, 4, 0, 3, 0, "MODEL"]],
    "version": 0.4,
}
SWARM = {
    "sui_image_params": {
        "prompt": "a glass teapot",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": 7,
        "steps": 20,
        "cfgscale": 7.0,
        "negativeprompt": "",
        "swarm_version": "0.9.3.1",
    },
    "sui_extra_data": {"date": "2025-01-25"},
}
NOVELAI_COMMENT = {
    "prompt": "castle, night",
    "steps": 28,
    "seed": 1234,
    "scale": 5,
    "sampler": "k_euler",
    "uc": "bad quality",
    "request_type": "PromptGenerateRequest",
    "signed_hash": "c2lnbmVk",
}
NOVELAI = {
    "Title": "NovelAI generated image",
    "Description": "castle, night",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4 37442FCA",
    "Comment": json.dumps(NOVELAI_COMMENT),
}
INVOKEAI = {
    "app_version": "5.0.0",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "an owl",
    "negative_prompt": "",
    "seed": 99,
    "steps": 30,
    "scheduler": "euler",
    "cfg_scale": 7.5,
    "model": {"key": "k", "name": "juggernaut", "base": "sdxl", "type": "main"},
}
FOOOCUS = {
    "prompt": "a harbour",
    "negative_prompt": "",
    "base_model": "juggernautXL_v8Rundiffusion",
    "performance": "Speed",
    "styles": "['Fooocus V2']",
    "seed": "8",
    "sampler": "dpmpp_2m_sde_gpu",
    "steps": 30,
    "version": "Fooocus v2.5.5",
    "metadata_scheme": "fooocus",
}
EASY = {
    "prompt": "a robot",
    "negative_prompt": "",
    "seed": 11,
    "use_stable_diffusion_model": "sd-v1-5",
    "num_inference_steps": 25,
    "guidance_scale": 7.5,
    "sampler_name": "euler_a",
}
DRAW_THINGS = {
    "c": "a garden",
    "uc": "fog",
    "model": "flux_1_schnell_q8p.ckpt",
    "sampler": "Euler A Trailing",
    "scale": 1.0,
    "seed": 5,
    "size": "1024x1024",
    "steps": 4,
}
MIDJOURNEY = (
    "a paper boat on a lake --ar 3:2 --v 6.1 --seed 12 Job ID: 01234567-89ab-cdef-0123-456789abcdef"
)
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CAMERA_MAIN: dict[int, build.Value] = {0x010F: "Maker", 0x0110: "Model One", 0x0131: "1.02"}
CAMERA: dict[int, build.Value] = {
    0x829A: (build.RATIONAL, [1, 250]),
    0x829D: (build.RATIONAL, [28, 10]),
    0x8827: (build.SHORT, [200]),
    0x9003: "2025:05:01 10:00:00",
    0x920A: (build.RATIONAL, [35, 1]),
    0x927C: b"Maker\0note of some length",
    0xA434: "35mm F2.8",
}


def user_comment(text: str) -> bytes:
    """EXIF's UserComment as the web UI writes it: big-endian UTF-16."""
    return b"UNICODE\0" + text.encode("utf-16-be")


def with_stealth(payload: bytes, name: bytes, *, alpha: bool = True) -> np.ndarray:
    """Pixels with a payload in their lowest bits, down the columns."""
    pixels = build.picture(96, 80, 4 if alpha else 3)
    body = name + struct.pack(">I", 8 * len(payload)) + payload
    bits = np.unpackbits(np.frombuffer(body, np.uint8))
    plane = pixels[:, :, 3:] if alpha else pixels
    ordered = plane.transpose(1, 0, 2).reshape(-1).copy()
    ordered[: len(bits)] = (ordered[: len(bits)] & 0xFE) | bits
    width, channels = plane.shape[1], plane.shape[2]
    plane[:] = ordered.reshape(width, -1, channels).transpose(1, 0, 2)
    return pixels


def edited_graph() -> dict[str, Any]:
    """The graph with a loaded picture where the noise was."""
    graph = json.loads(json.dumps(GRAPH))
    graph["5"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["10", 0], "vae": ["4", 2]}}
    graph["10"] = {"class_type": "LoadImage", "inputs": {"image": "holiday.jpg"}}
    return graph  # type: ignore[no-any-return]
