"""Finds pairs of near-equal PDQ hashes among many, without comparing all pairs.

PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019)
gives 256 bits; its authors call two pictures the same up to a Hamming distance of 31. Multi-index
hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing",
CVPR 2012) finds every such pair: cut into 16 words of 16 bits, two hashes at most 31 bits apart
have at least one word in which they differ by one bit or none, since 16 · 2 = 32 > 31.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

# The distance up to which PDQ's authors count two pictures as the same.
THRESHOLD = 31
# PDQ's own quality, 0–100; below this its authors advise against using the hash.
LEAST_QUALITY = 50
BITS = 256
_WORDS = 16
# Bounds memory: candidates are compared in portions of this many.
_PORTION = 1 << 21
# What a word may differ by, as masks: nothing, or one of 16 bits.
_MASKS = (0, *(1 << bit for bit in range(16)))
_COUNTS = np.array([bin(i).count("1") for i in range(1 << 16)], dtype=np.uint8)


def distances(a: Bytes, b: Bytes) -> NDArray[np.int16]:
    """(N,) Hamming distances of two arrays of (N, 32) uint8 hashes, row by row."""
    return _apart(_as_uint64(a), _as_uint64(b))


def near_pairs(hashes: Bytes, queries: Bytes | None = None, threshold: int = THRESHOLD) -> Ints:
    """(M, 3) rows of (i, j, distance) for all pairs at most `threshold` apart.

    Without `queries` the pairs are among `hashes`, with i < j. With them, i counts the queries
    and j the hashes, both (N, 32) uint8. Every pair is found, and once. Equal hashes should be
    put together before: a bucket of n equal hashes costs n². Time grows with N²/65536 for
    hashes that fill the words evenly; see benchmarks/cluster_scale.py.

    Raises ValueError for a threshold above 31, for which the guarantee does not hold.
    """
    if not 0 <= threshold < 2 * _WORDS:
        raise ValueError(f"a threshold lies between 0 and {2 * _WORDS - 1}: {threshold}")
    left, right = _as_uint64(hashes if queries is None else queries), _as_uint64(hashes)
    # A pair comes once for every word in which it is close; kept as one number, and once.
    kept, fresh = np.empty(0, dtype=np.int64), [np.empty(0, dtype=np.int64)]
    for i, j in _candidates(left, right, queries is None):
        near = _apart(left[i], right[j]) <= threshold
        if near.any():
            fresh.append(i[near] * len(right) + j[near])
        if sum(map(len, fresh)) > _PORTION:
            kept, fresh = np.unique(np.concatenate([kept, *fresh])), []
    kept = np.unique(np.concatenate([kept, *fresh]))
    i, j = kept // max(1, len(right)), kept % max(1, len(right))
    return np.stack([i, j, _apart(left[i], right[j]).astype(np.int64)], axis=1)


def _as_uint64(hashes: Bytes) -> NDArray[np.uint64]:
    return np.ascontiguousarray(hashes, dtype=np.uint8).view(np.uint64).reshape(-1, 4)


def _apart(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int16]:
    differ = np.bitwise_xor(a, b)
    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.asarray(np.bitwise_count(differ).sum(axis=-1, dtype=np.int16))
    return np.asarray(_COUNTS[differ.view(np.uint16)].sum(axis=-1, dtype=np.int16))


def _candidates(
    left: NDArray[np.uint64], right: NDArray[np.uint64], same: bool
) -> Iterator[tuple[Ints, Ints]]:
    left_words, right_words = left.view(np.uint16), right.view(np.uint16)
    everything = np.arange(len(left))
    for word in range(_WORDS):
        order = np.argsort(right_words[:, word], kind="stable")
        starts = np.searchsorted(right_words[order, word], np.arange((1 << 16) + 1))
        for mask in _MASKS:
            mine = left_words[:, word]
            # Among themselves, two words that differ in a bit need be met from one side only.
            who = np.flatnonzero((mine & mask) == 0) if same and mask else everything
            wanted = (mine[who] ^ np.uint16(mask)).astype(np.int64)
            counts = starts[wanted + 1] - starts[wanted]
            for place, j in _expanded(starts[wanted], counts, order):
                i = who[place]
                if not same:
                    yield i, j
                elif mask:
                    yield np.minimum(i, j), np.maximum(i, j)
                else:
                    yield i[i < j], j[i < j]


def _expanded(first: Ints, counts: Ints, order: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Every query with each of its `counts` entries of `order` from `first` on, in portions."""
    total = np.cumsum(counts)
    begin = 0
    while begin < counts.size:
        base = int(total[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, base + _PORTION, side="right")))
        inside = counts[begin:end]
        i = np.repeat(np.arange(begin, end), inside)
        within = np.arange(i.size) - np.repeat(np.cumsum(inside) - inside, inside)
        yield i, order[np.repeat(first[begin:end], inside) + within]
        begin = end
