"""Sizes that generators give by default; each with where it can be checked, read in 11/2026."""

from __future__ import annotations

_OPENAI = "OpenAI image models (sizes of the Images API, openai client libraries)"
_SDXL = "Stable Diffusion XL (Stability-AI/generative-models scripts/demo/sampling.py)"
_SD = "Stable Diffusion 1 and 2 (the same, and CompVis/stable-diffusion scripts/txt2img.py)"
_FLUX2 = "FLUX.2 (black-forest-labs/flux2 scripts/cli.py)"

_BY_USER: dict[str, tuple[tuple[int, int], ...]] = {
    _OPENAI: ((1024, 1024), (1024, 1536), (1024, 1792)),
    _SDXL: (
        (704, 1408),
        (704, 1344),
        (768, 1344),
        (768, 1280),
        (832, 1216),
        (832, 1152),
        (896, 1152),
        (896, 1088),
        (960, 1088),
        (960, 1024),
        (1024, 1024),
        (704, 1472),
        (640, 1536),
        (640, 1600),
        (576, 1664),
        (576, 1728),
    ),
    _SD: ((512, 512), (768, 768)),
    _FLUX2: ((768, 1360),),
}


def users_of(width: int, height: int) -> list[str]:
    """The generators that give this size, upright or lying; empty for most sizes."""
    size = (min(width, height), max(width, height))
    return [user for user, sizes in _BY_USER.items() if size in sizes]
