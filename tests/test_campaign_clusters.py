"""The same picture is found again; unlike pictures are not chained into one cluster."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import make_campaign
from detector.campaign import features, hashes
from detector.campaign.clusters import same_pictures
from detector.campaign.fingerprint import (
    Fingerprint,
    Grey,
    Picture,
    fingerprint,
    on_one_scale,
    pdq_hashes,
    read_thumbnail,
)
from detector.images import thumbnail

pytest.importorskip("pdqhash", reason="needs the extra 'campaign'")

NO_CORNERS = np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8)


def scene(number: int, seed: int = 0) -> np.ndarray:
    return make_campaign.SCENES[number](480, 640, np.random.default_rng([number, seed]))


def looked_at(pictures: dict[str, np.ndarray]) -> list[set[str]]:
    """The clusters of some pictures, seen through their thumbnails as a scan keeps them."""
    greys: list[Grey] = []
    for rgb in pictures.values():
        grey = read_thumbnail(thumbnail(np.ascontiguousarray(rgb)))
        assert grey is not None
        greys.append(grey)
    prints = [
        Picture(key, rgb.shape[0] * rgb.shape[1], fingerprint(grey))
        for (key, rgb), grey in zip(pictures.items(), greys, strict=True)
    ]
    return [{m.sha256 for m in group} for group in same_pictures(prints, lambda i: greys[i])]


def bare(key: str, hash_: np.ndarray, quality: int = 100) -> Picture:
    other = np.full(32, 0x5A, np.uint8)
    return Picture(key, 1, Fingerprint(hash_, other, quality, *NO_CORNERS))


def turned(hash_: np.ndarray, bits: range) -> np.ndarray:
    flat = np.unpackbits(hash_)
    flat[list(bits)] ^= 1
    return np.packbits(flat)


# Hashes


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, hashes.THRESHOLD))
def test_every_pair_within_the_threshold_is_found(seed: int, threshold: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (6, 32), dtype=np.uint8)
    near = np.stack(
        [
            turned(base[i % 6], rng.choice(256, rng.integers(0, 45), replace=False))
            for i in range(30)
        ]
    )
    rows = np.concatenate([base, near])
    apart = (np.unpackbits(rows, axis=1)[:, None] != np.unpackbits(rows, axis=1)[None]).sum(axis=2)
    expected = {(i, j, apart[i, j]) for i in range(36) for j in range(i + 1, 36)}

    found = hashes.near_pairs(rows, threshold=threshold)
    crossed = hashes.near_pairs(base, near, threshold=threshold)

    assert {tuple(row) for row in found.tolist()} == {e for e in expected if e[2] <= threshold}
    assert {tuple(row) for row in crossed.tolist()} == {
        (j - 6, i, d) for i, j, d in expected if i < 6 <= j and d <= threshold
    }


def test_a_threshold_without_guarantee_is_refused() -> None:
    with pytest.raises(ValueError, match="31"):
        hashes.near_pairs(np.zeros((2, 32), np.uint8), threshold=32)


def test_a_chain_of_near_hashes_does_not_end_in_one_cluster() -> None:
    start = np.random.default_rng(0).integers(0, 256, 32, dtype=np.uint8)
    chain = [turned(start, range(30 * i)) for i in range(8)]

    found = same_pictures([bare(f"{i}", hash_) for i, hash_ in enumerate(chain)])

    for group in found:
        seed = chain[int(group[0].sha256)]
        for member in group:
            apart = hashes.distances(chain[int(member.sha256)][None], seed[None])[0]
            assert apart <= 48
    assert len(found) > 1


def test_pictures_without_gradient_are_not_joined_by_their_hash() -> None:
    hash_ = np.arange(32, dtype=np.uint8)

    assert same_pictures([bare("a", hash_, 20), bare("b", hash_, 20)]) == []
    assert len(same_pictures([bare("a", hash_), bare("b", hash_)])) == 1


def test_order_does_not_matter_and_members_say_why_they_are_in() -> None:
    hash_ = np.arange(32, dtype=np.uint8)
    pictures = [bare("a", hash_), bare("b", turned(hash_, range(9))), bare("c", hash_ ^ 0x3C)]

    found = same_pictures(pictures)

    assert found == same_pictures(pictures[::-1])
    assert [(m.by, m.distance) for m in found[0]] == [("seed", None), ("pdq", 9)]


@pytest.mark.parametrize("number", range(len(make_campaign.SCENES)))
def test_hashes_of_thumbnails_stay_near_those_of_the_picture(number: int) -> None:
    rgb = scene(number)
    grey = read_thumbnail(thumbnail(rgb))
    assert grey is not None

    copy, _, _ = pdq_hashes(grey)
    again, _, _ = pdq_hashes(on_one_scale(make_campaign.resized(rgb, 0.3)))

    assert hashes.distances(copy[None], again[None])[0] <= hashes.THRESHOLD


# Corners


def test_crops_overlays_frames_and_mirror_images_are_found() -> None:
    original = scene(2)
    framed = np.full((700, 900, 3), 240, np.uint8)
    framed[60:540, 130:770] = original
    banner = original.copy()
    banner[400:] = 20
    cv2.putText(banner, "BREAKING NEWS", (20, 450), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255,) * 3, 3)
    pictures = {
        "original": original,
        "crop": original[60:420, 40:500],
        "banner": banner,
        "framed": framed,
        "mirror": original[:, ::-1],
        "other": scene(3),
        "same kind": scene(2, seed=1),
    }

    assert looked_at(pictures) == [{"original", "crop", "banner", "framed", "mirror"}]


def test_pictures_that_share_a_frame_or_a_logo_stay_apart() -> None:
    frame, logo = scene(8), scene(9)[:150, :200]
    pictures = {}
    for number in (2, 3):
        inside = frame.copy()
        inside[90:400, 100:560] = scene(number)[90:400, 100:560]
        pictures[f"framed {number}"] = inside
        marked = scene(number, seed=5)
        marked[20:170, 30:230] = logo
        pictures[f"marked {number}"] = marked

    assert looked_at(pictures) == []


def test_a_collage_joins_nothing() -> None:
    first, second = scene(2), scene(3)
    collage = np.concatenate([first, second], axis=1)

    found = looked_at({"first": first, "second": second, "collage": collage})

    assert all(not {"first", "second"} <= group for group in found)


def test_pages_of_text_are_told_apart() -> None:
    pages = {f"page {seed}": scene(5, seed) for seed in range(4)}

    assert looked_at(pages) == []


def test_blocks_that_differ_are_counted() -> None:
    grey = on_one_scale(scene(2))
    other = grey.copy()
    other[:, 128:] = on_one_scale(scene(3))[:, 128:]
    same = np.array([[1.0, 0, 0], [0, 1, 0]])

    whole = features.compare(grey, grey, same)
    half = features.compare(grey, other, same)

    assert whole is not None
    assert whole[0] == whole[1] == whole[2] == 1.0
    assert half is not None
    assert 0.45 < half[0] < 0.7


def test_candidates_meet_by_rare_corners_only() -> None:
    rng = np.random.default_rng(0)
    descriptors = [rng.integers(0, 256, (100, 32), dtype=np.uint8) for _ in range(60)]
    for d in descriptors:
        d[:20] = 7  # what everybody has
    descriptors[3][40:60] = descriptors[9][40:60]

    found = features.candidates(descriptors)

    assert [(i, j) for i, j, _ in found.tolist()] == [(3, 9)]
    assert features.candidates([np.empty((0, 32), np.uint8)] * 3).shape == (0, 3)


def test_a_damaged_or_tiny_thumbnail_is_no_picture_and_no_fault() -> None:
    assert read_thumbnail(b"no image") is None
    grey = on_one_scale(np.zeros((1, 2, 3), np.uint8))
    assert fingerprint(grey).points.shape == (0, 2)
