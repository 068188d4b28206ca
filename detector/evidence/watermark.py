"""Finds the invisible marks that Stable Diffusion, SDXL, FLUX and InvokeAI scripts embed.

All of them use the package invisible-watermark 0.2 with its method "dwtDct", and write a fixed
message of 32 to 224 bits, over and over, into 8 × 8 pixel blocks of one colour difference.
Despite its name the method takes no cosine transform: it moves the largest coefficient of each
4 × 4 block of the Haar approximation to a quarter (bit 0) or three quarters (bit 1) of a step
of 36. Checked against that package's source and its encoder in November 2026.

Positive only: re-scaling, cropping and JPEG below about quality 95 erase the marks, and most
generators write none. An absent mark says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from detector.evidence.base import EvidenceInput, Example
from detector.results import Asserts, Evidence, Trust

__all__ = ["MESSAGES", "NOT_CHECKABLE", "Message", "Reading", "chance", "examples", "find", "read"]

CHANNEL = "watermark"
KIND = "dwtdct_watermark"

# Marks that nobody outside their makers can look for; reports print these lines once.
NOT_CHECKABLE: dict[str, str] = {
    "SynthID": "Google publishes no detector for its image mark that runs outside its services.",
    "Tree-Ring": "needs the generator's weights and the key that was used.",
    "Stable Signature": "needs the decoder and the key of the one who fine-tuned the generator.",
    "Gaussian Shading": "needs the generator's weights and the key that was used.",
}

# The package's own constants (imwatermark/maxDct.py, version 0.2).
_STEP = 36.0
_MIN_PIXELS = 256 * 256
# A mark repeats from the top, so that the first rows of a huge image are enough.
_MAX_PIXELS = 12_000_000
_STRIP_PIXELS = 1_500_000

# The chance of 44 or more of 48 fair bits. Every message must be at least as improbable.
_CHANCE = sum(math.comb(48, k) for k in range(5)) / 2**48
# And this share of the bits must agree: other people's text marks agree with ours in about
# three bits of four, because letters do.
_SHARE = 0.9


@dataclass(frozen=True)
class Message:
    """One fixed message.

    Attributes:
        name: fixed word for exports.
        issuer: who writes it.
        bits: the message, first bit first.
        source: where the message can be checked.
    """

    name: str
    issuer: str
    bits: tuple[int, ...]
    source: str

    @cached_property
    def needed(self) -> int:
        """The fewest equal bits that count: at most as probable as 44 of 48, and 90 %."""
        size = len(self.bits)
        rare = next(k for k in range(size // 2, size + 1) if chance(size, k) <= _CHANCE)
        return max(rare, math.ceil(_SHARE * size))


def chance(size: int, equal: int) -> float:
    """The probability that `equal` or more of `size` fair coin tosses agree with a message."""
    ways: int = sum(math.comb(size, k) for k in range(equal, size + 1))
    return ways / (1 << size)


def _text(text: str) -> tuple[int, ...]:
    return tuple(int(bit) for byte in text.encode("ascii") for bit in f"{byte:08b}")


def _number(number: int) -> tuple[int, ...]:
    # As the scripts do it: leading zeros are lost, so that FLUX's message has 46 bits.
    return tuple(int(bit) for bit in f"{number:b}")


MESSAGES: tuple[Message, ...] = (
    Message(
        "stable_diffusion_1",
        "Stable Diffusion 1 scripts",
        _text("StableDiffusionV1"),
        "CompVis/stable-diffusion scripts/txt2img.py, read 2026-11",
    ),
    Message(
        "stable_diffusion_1_inpainting",
        "Stable Diffusion 1 inpainting demos",
        _text("StableDiffusionV1-Inpainting"),
        "scripts/inpaint_st.py in public copies of runwayml/stable-diffusion, read 2026-11",
    ),
    Message(
        "stable_diffusion_2",
        "Stable Diffusion 2 scripts",
        _text("SDV2"),
        "Stability-AI/stablediffusion scripts/txt2img.py, read 2026-11",
    ),
    Message(
        "stable_diffusion_xl",
        "Stable Diffusion XL pipelines (Stability AI, diffusers)",
        _number(0b101100111110110010010000011110111011000110011110),
        "huggingface/diffusers stable_diffusion_xl/watermark.py, read 2026-11",
    ),
    Message(
        "flux_1",
        "FLUX.1 scripts (Black Forest Labs)",
        _number(0b001010101111111010000111100111001111010100101110),
        "black-forest-labs/flux src/flux/util.py, read 2026-11",
    ),
    Message(
        "invokeai",
        "InvokeAI's watermark node",
        _text("InvokeAI"),
        "invoke-ai/InvokeAI invokeai/app/invocations/image.py, read 2026-11",
    ),
)


@dataclass(frozen=True, eq=False)
class Reading:
    """How the encoder saw the pixels. Nothing in the file says which way it was.

    Attributes:
        order: "bgr" as the package expects; "rgb" where a caller forgot to swap, as older
            diffusers did.
        numbers: "uint8", where neutral colour is 128; "float", where it is 0.5, as in diffusers
            and FLUX, which makes blocks of negative colour difference read otherwise.
        votes: (blocks,) float32 from −1 (the block says 0) to 1: minus the sine of where in
            its step the block's largest coefficient lies.
    """

    order: str
    numbers: str
    votes: np.ndarray

    def scores(self, size: int) -> np.ndarray:
        """(size,) float: one score a bit; above 0 means 1.

        The mean vote of the bit's blocks, less the mean of all bits, since a picture's dominant
        colour pulls all bits to the same side.
        """
        whole = len(self.votes) // size * size
        total = self.votes[:whole].reshape(-1, size).sum(axis=0, dtype=np.float64)
        total[: len(self.votes) - whole] += self.votes[whole:]
        score = total / (whole // size + (np.arange(size) < len(self.votes) - whole))
        return np.asarray(score - score.mean())

    def equal(self, message: Message) -> int:
        """How many bits agree with the message."""
        size = len(message.bits)
        if len(self.votes) < size:
            return 0
        return int(((self.scores(size) > 0) == np.array(message.bits, dtype=bool)).sum())


def read(rgb: np.ndarray) -> list[Reading]:
    """The four readings of (H, W, 3) uint8 RGB; empty for images too small to carry a mark.

    Only the first rows, up to 12 megapixels, are read; memory stays near 50 MB.
    """
    height, width = rgb.shape[0] // 8 * 8, rgb.shape[1] // 8 * 8
    if height * width < _MIN_PIXELS or width > _MAX_PIXELS // 8:
        return []
    height = min(height, _MAX_PIXELS // width // 8 * 8)
    rows = max(8, _STRIP_PIXELS // width // 8 * 8)
    strips = [_strip(rgb[top : min(top + rows, height), :width]) for top in range(0, height, rows)]
    columns = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    kinds = [(order, numbers) for order in ("bgr", "rgb") for numbers in ("uint8", "float")]
    return [Reading(*kind, votes) for kind, votes in zip(kinds, columns, strict=True)]


# U = 0.492 (B − Y), the colour difference that OpenCV's BGR2YUV puts second and the package
# marks. The Haar approximation is twice the mean of 2 × 2 pixels, hence the factor.
_U = 2 * 0.492 * (np.array([0.0, 0.0, 1.0]) - np.array([0.299, 0.587, 0.114]))
_DIFFERENCES = np.stack([_U, _U[::-1]]).astype(np.float32)
_NEUTRAL = {"uint8": 2 * 128.0, "float": 2 * 0.5}


def _strip(rgb: np.ndarray) -> list[np.ndarray]:
    """The four readings' votes of whole blocks, row by row."""
    half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    mean = cv2.resize(rgb.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    both = cv2.transform(mean, _DIFFERENCES)
    return [
        _votes(both[:, :, order] + np.float32(neutral))
        for order in range(2)
        for neutral in _NEUTRAL.values()
    ]


def _votes(plane: np.ndarray) -> np.ndarray:
    """(blocks,) the vote of each 4 × 4 block; its first coefficient never carries the mark."""
    size = np.abs(plane)
    size[0::4, 0::4] = 0
    rows = np.maximum(np.maximum(size[0::4], size[1::4]), np.maximum(size[2::4], size[3::4]))
    left, right = (np.maximum(rows[:, i::4], rows[:, i + 1 :: 4]) for i in (0, 2))
    largest = np.maximum(left, right).ravel()
    return np.asarray(-np.sin(largest * np.float32(2 * np.pi / _STEP)))


def find(item: EvidenceInput) -> list[Evidence]:
    """At most one piece of evidence: the known message that the pixels carry.

    At least 44 of SDXL's 48 bits must agree, or as improbable a share of another message: below
    8 in 10,000 million for fair bits, 24 times that for all messages and readings. On
    12,371 real images none was found (`benchmarks/results/watermark_false_positives.json`). Marks
    overwrite each other, so of several the most improbable is the one that is there.
    """
    if item.rgb is None:
        return []
    tried = [(m, reading, reading.equal(m)) for reading in read(item.rgb) for m in MESSAGES]
    passed = [(chance(len(m.bits), n), m, r, n) for m, r, n in tried if n >= m.needed]
    if not passed:
        return []
    return [_evidence(*min(passed, key=lambda hit: hit[0]))]


def _evidence(luck: float, message: Message, reading: Reading, equal: int) -> Evidence:
    raw: dict[str, Any] = {
        "mark": message.name,
        "bits": len(message.bits),
        "equal_bits": equal,
        "needed_bits": message.needed,
        "chance": float(f"{luck:.2g}"),
        "blocks": len(reading.votes),
        "channel_order": reading.order,
        "arithmetic": reading.numbers,
        "decoded": _decoded(reading.scores(len(message.bits)) > 0),
        "source": message.source,
    }
    return Evidence(
        kind=KIND,
        channel=CHANNEL,
        asserts=Asserts.GENERATED,
        issuer=message.issuer,
        trust=Trust.INFERRED,
        raw=raw,
        caveat=(
            "Anybody can write this public mark into any picture, and image-to-image tools mark "
            "photographs they have changed only a little; an absent mark would say nothing."
        ),
    )


def _decoded(bits: np.ndarray) -> str:
    """The bits as they were read: as text where they spell any, else as 0 and 1."""
    text = np.packbits(bits).tobytes()
    if len(bits) % 8 == 0 and all(0x20 <= byte < 0x7F for byte in text):
        return text.decode("ascii")
    return "".join(str(int(bit)) for bit in bits)


def examples() -> Sequence[Example]:
    """Pictures that were marked in code, and one that was not."""
    from detector.evidence._examples import encode, mark, picture

    plain = picture(512, 512)
    made = [
        Example(
            f"a picture marked as {message.name}",
            encode(mark(plain, message.bits), ".png"),
            frozenset({KIND}),
            frozenset({Asserts.GENERATED}),
        )
        for message in MESSAGES
    ]
    return [*made, Example("a picture without a mark", encode(plain, ".png"))]
