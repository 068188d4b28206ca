"""The watermark channel reads what the marking packages write, and nothing where they wrote not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evidence import _examples, watermark
from detector.evidence.base import EvidenceInput
from detector.evidence.watermark import MESSAGES, Message
from detector.results import Asserts, Evidence, Trust

SDXL = next(m for m in MESSAGES if m.name == "stable_diffusion_xl")
BY_NAME = pytest.mark.parametrize("message", MESSAGES, ids=[m.name for m in MESSAGES])


def found(rgb: np.ndarray) -> list[Evidence]:
    return watermark.find(EvidenceInput(b"", given_rgb=rgb))


def photographs() -> dict[str, np.ndarray]:
    """Photographs that scikit-image carries, at their own size."""
    data = pytest.importorskip("skimage.data", reason="needs the extra 'demo'")
    names = ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry")
    return {name: getattr(data, name)()[..., :3] for name in names}


def marked_by_package(rgb: np.ndarray, message: Message, numbers: str, order: str) -> np.ndarray:
    """The picture as invisible-watermark 0.2 marks it, called as the scripts call it."""
    package = pytest.importorskip("imwatermark", reason="needs invisible-watermark")
    encoder = package.WatermarkEncoder()
    encoder.set_watermark("bits", list(message.bits))
    given_pixels = rgb[:, :, ::-1] if order == "bgr" else rgb
    given_pixels = np.ascontiguousarray(given_pixels, dtype=numbers)
    made = encoder.encode(given_pixels, "dwtDct")
    if numbers == "float32":
        made = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(made[:, :, ::-1] if order == "bgr" else made)


def test_the_messages_are_as_long_as_the_scripts_make_them() -> None:
    lengths = {m.name: len(m.bits) for m in MESSAGES}
    assert lengths == {
        "stable_diffusion_1": 136,
        "stable_diffusion_1_inpainting": 224,
        "stable_diffusion_2": 32,
        "stable_diffusion_xl": 48,
        "flux_1": 46,
        "invokeai": 64,
    }


@BY_NAME
def test_no_message_is_easier_to_hit_by_chance_than_44_of_48(message: Message) -> None:
    bound = watermark.chance(48, 44)
    assert bound == pytest.approx(7.57e-10, rel=1e-2)
    assert watermark.chance(len(message.bits), message.needed) <= bound
    assert message.needed >= 0.9 * len(message.bits)


def test_sdxl_needs_44_of_its_48_bits() -> None:
    assert SDXL.needed == 44


@BY_NAME
@pytest.mark.parametrize("numbers", ["uint8", "float"])
def test_a_mark_made_after_the_description_is_read(message: Message, numbers: str) -> None:
    picture = _examples.picture(400, 520, seed=3)
    (evidence,) = found(_examples.mark(picture, message.bits, numbers))
    assert evidence.raw["mark"] == message.name
    assert evidence.raw["equal_bits"] >= message.needed
    assert (evidence.asserts, evidence.trust) == (Asserts.GENERATED, Trust.INFERRED)
    assert evidence.issuer == message.issuer


@BY_NAME
@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("numbers", ["uint8", "float32"])
def test_the_packages_own_mark_is_read(message: Message, numbers: str, order: str) -> None:
    picture = _examples.picture(512, 512, seed=11)
    (evidence,) = found(marked_by_package(picture, message, numbers, order))
    assert evidence.raw["mark"] == message.name
    assert evidence.raw["equal_bits"] >= 0.98 * len(message.bits)


@pytest.mark.parametrize("numbers", ["uint8", "float32"])
def test_photographs_that_the_package_marked_are_recognised(numbers: str) -> None:
    read = [
        [e.raw["mark"] for e in found(marked_by_package(rgb, SDXL, numbers, "bgr"))]
        for rgb in photographs().values()
    ]
    # Saturated or colourless areas cannot carry the mark, so that not every photograph can.
    assert sum(names == [SDXL.name] for names in read) >= 4


def test_unmarked_photographs_say_nothing() -> None:
    assert [found(rgb) for rgb in photographs().values()] == [[]] * 5


def test_a_mark_survives_light_compression_at_best() -> None:
    picture = _examples.mark(_examples.picture(768, 768), SDXL.bits)
    assert found(_examples.decode(_examples.jpeg(picture, 100)))
    assert found(_examples.decode(_examples.jpeg(picture, 75))) == []


@pytest.mark.parametrize("text", ["Photo by A. Nobody", "SDV3", "PhotoLab", "StableAudio 1.0.00"])
def test_another_text_of_the_same_length_is_not_taken_for_a_generators(text: str) -> None:
    bits = [int(bit) for byte in text.encode() for bit in f"{byte:08b}"]
    assert found(_examples.mark(_examples.picture(512, 512), bits)) == []


def test_a_text_is_given_as_it_was_read() -> None:
    bits = [int(bit) for byte in b"StableDiffusionV2" for bit in f"{byte:08b}"]
    (evidence,) = found(_examples.mark(_examples.picture(512, 512), bits))
    assert evidence.raw["mark"] == "stable_diffusion_1"
    assert evidence.raw["decoded"] == "StableDiffusionV2"


def test_a_picture_too_small_to_carry_a_mark_is_not_read() -> None:
    assert watermark.read(_examples.picture(200, 256)) == []


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((300, 300, 3), np.uint8),
        np.full((300, 300, 3), 255, np.uint8),
        np.full((300, 300, 3), (10, 200, 90), np.uint8),
        np.tile(np.linspace(0, 255, 600).astype(np.uint8)[None, :, None], (300, 1, 3)),
    ],
    ids=["black", "white", "green", "ramp"],
)
def test_flat_and_smooth_pictures_say_nothing(picture: np.ndarray) -> None:
    assert found(picture) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(256, 420), st.integers(256, 420))
def test_pictures_without_a_mark_say_nothing(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    assert found(noise) == []
    assert found(smooth) == []


def test_rows_beyond_the_bound_are_not_read() -> None:
    tall = np.zeros((40_000, 512, 3), np.uint8)
    assert len(watermark.read(tall)[0].votes) <= 12_000_000 / 64


def test_what_cannot_be_checked_is_named() -> None:
    assert {"SynthID", "Tree-Ring", "Stable Signature"} <= set(watermark.NOT_CHECKABLE)
    assert all(reason.endswith(".") for reason in watermark.NOT_CHECKABLE.values())


def test_bytes_without_pixels_say_nothing() -> None:
    assert watermark.find(EvidenceInput(b"no image")) == []
