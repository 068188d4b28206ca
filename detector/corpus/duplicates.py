"""Near-duplicates by PDQ, the perceptual hash of ThreatExchange: 256 bits an image.

Two images are near-duplicates when at most 31 of the 256 bits differ, which is the threshold
that the hash's authors recommend. All pairs are compared exactly, as blocked matrix products
of ±1 vectors: 25,000 by 25,000 hashes take a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.corpus.samples import Sample
from detector.errors import CorpusError, ImageError, MissingExtraError

BITS = 256
MAX_DISTANCE = 31
MIN_QUALITY = 50  # below it an image has too little structure for its hash to mean anything
BLOCK = 2048


class Hashes(NamedTuple):
    """PDQ hashes of samples, one row each.

    keys: the samples' keys; bits: (N, 256) uint8 of 0 and 1; quality: (N,) int, 0–100.
    failed: key -> why a sample could not be hashed; such samples have no row.
    """

    keys: tuple[str, ...]
    bits: NDArray[np.uint8]
    quality: NDArray[np.int64]
    failed: dict[str, str]


class Pair(NamedTuple):
    """Two near-duplicates and the number of bits that differ."""

    first: str
    second: str
    distance: int


def pdq_hashes(
    samples: Sequence[Sample],
    *,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Hashes:
    """Reads, decodes and hashes every sample; extra `train`.

    Args:
        jobs: threads.
        progress: called with the number of samples done, now and then.

    Raises:
        MissingExtraError: pdqhash is not installed.
    """
    try:
        import pdqhash
    except ImportError:
        raise MissingExtraError("near-duplicate hashing", "train") from None
    from detector.images import read_image

    def one(sample: Sample) -> tuple[NDArray[np.uint8], int] | str:
        try:
            rgb = read_image(sample.read()).rgb
        except ImageError as error:
            return error.reason
        except (OSError, CorpusError) as error:
            return str(error)
        bits, quality = pdqhash.compute(rgb)
        return np.asarray(bits, dtype=np.uint8), int(quality)

    keys, rows, qualities = [], [], []
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        results = zip(samples, pool.map(one, samples), strict=True)
        for number, (sample, result) in enumerate(results, start=1):
            if isinstance(result, str):
                failed[sample.key] = result
            else:
                keys.append(sample.key)
                rows.append(result[0])
                qualities.append(result[1])
            if progress is not None and number % 500 == 0:
                progress(number)
    bits = np.stack(rows) if rows else np.zeros((0, BITS), np.uint8)
    return Hashes(tuple(keys), bits, np.asarray(qualities, np.int64), failed)


def near_pairs(first: Hashes, second: Hashes, max_distance: int = MAX_DISTANCE) -> list[Pair]:
    """Every pair of one from `first` and one from `second` at most `max_distance` bits apart.

    Hashes of quality under `MIN_QUALITY` match nothing: flat images would all be alike.
    """
    a, b = _signs(first), _signs(second)
    return [
        Pair(first.keys[i], second.keys[j], distance)
        for i, j, distance in _close(a, b, max_distance)
    ]


def near_groups(hashes: Hashes, max_distance: int = MAX_DISTANCE) -> list[tuple[str, ...]]:
    """Groups of keys that chains of near-duplicates connect; only groups of two and more."""
    parent = list(range(len(hashes.keys)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    signs = _signs(hashes)
    for i, j, _ in _close(signs, signs, max_distance):
        if i < j:
            parent[root(j)] = root(i)
    groups: dict[int, list[str]] = {}
    for i, key in enumerate(hashes.keys):
        groups.setdefault(root(i), []).append(key)
    return sorted(tuple(sorted(g)) for g in groups.values() if len(g) > 1)


def _signs(hashes: Hashes) -> NDArray[np.float32]:
    # +1 and −1 for the bits: the product of two such rows is 256 − 2 × the Hamming distance,
    # exact in float32. Rows of zeros are at distance 128 from everything.
    signs = hashes.bits.astype(np.float32) * 2 - 1
    signs[hashes.quality < MIN_QUALITY] = 0
    return signs


def _close(
    a: NDArray[np.float32], b: NDArray[np.float32], max_distance: int
) -> Iterator[tuple[int, int, int]]:
    if not 0 <= max_distance < BITS // 2:
        raise CorpusError(f"a PDQ distance must lie in 0–{BITS // 2 - 1}, not {max_distance}")
    least = BITS - 2 * max_distance
    for i in range(0, len(a), BLOCK):
        for j in range(0, len(b), BLOCK):
            product = a[i : i + BLOCK] @ b[j : j + BLOCK].T
            for row, column in np.argwhere(product >= least):
                distance = (BITS - int(product[row, column])) // 2
                yield i + int(row), j + int(column), distance
