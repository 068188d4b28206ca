"""Time and memory of finding the same pictures among 100,000 hashes, and what is found.

    nice -n 15 python benchmarks/cluster_scale.py --out benchmarks/results/cluster_scale.json

Hashes are random with the bias and the correlation that real PDQ hashes have between neighbouring
bits, so that words are not filled evenly: they are the signs of smooth random fields. Planted are
copies at 0 to 31 bits from an original (which must be found), chains of pictures each 30 bits from
the last (which must not end in one cluster), and one picture with 2,000 distinct copies. With
`--corners N`, also the candidate search of the second signal over N pictures of 200 corners each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.campaign import features
from detector.campaign.clusters import same_pictures
from detector.campaign.fingerprint import Fingerprint, Picture
from detector.campaign.hashes import THRESHOLD, distances

Hashes = NDArray[np.uint8]
COPIED, COPIES, CHAINS, CHAIN, FLOOD = 4000, 3, 200, 12, 2000


def smooth_hashes(rng: np.random.Generator, count: int) -> Hashes:
    """(N, 32) uint8 hashes whose neighbouring bits agree more often than not."""
    found = []
    for start in range(0, count, 20_000):
        n = min(20_000, count - start)
        field = rng.normal(size=(n, 16, 16)).astype(np.float32)
        field += 0.6 * np.roll(field, 1, axis=2) + 0.4 * np.roll(field, 1, axis=1)
        bits = field.reshape(n, 256) > np.median(field.reshape(n, 256), axis=1, keepdims=True)
        found.append(np.packbits(bits, axis=1))
    return np.concatenate(found)


def flipped(rng: np.random.Generator, hashes: Hashes, bits: NDArray[np.int64]) -> Hashes:
    """The hashes with so many bits of each turned over."""
    order = rng.random((len(hashes), 256)).argsort(axis=1).argsort(axis=1)
    return np.packbits(np.unpackbits(hashes, axis=1) ^ (order < bits[:, None]), axis=1)


def planted(rng: np.random.Generator, rows: int) -> tuple[Hashes, NDArray[np.int64]]:
    """(rows, 32) hashes, and the group of each: −1 alone, else originals with their copies."""
    groups = [np.arange(COPIED)]
    originals = smooth_hashes(rng, COPIED)
    parts = [originals]
    for _ in range(COPIES):
        parts.append(flipped(rng, originals, rng.integers(0, THRESHOLD + 1, COPIED)))
        groups.append(np.arange(COPIED))
    flood = np.repeat(originals[:1], FLOOD, axis=0)
    parts.append(flipped(rng, flood, rng.integers(1, 14, FLOOD)))
    groups.append(np.zeros(FLOOD, dtype=np.int64))
    link = smooth_hashes(rng, CHAINS)
    for _ in range(CHAIN):
        parts.append(link)
        groups.append(np.full(CHAINS, -2))
        link = flipped(rng, link, np.full(CHAINS, 30))
    rest = rows - sum(map(len, parts))
    parts.append(smooth_hashes(rng, rest))
    groups.append(np.full(rest, -1))
    return np.concatenate(parts), np.concatenate(groups)


def run(rows: int, seed: int) -> dict[str, Any]:
    """Cluster planted hashes; time, memory, recall, and the widest cluster of a chain."""
    rng = np.random.default_rng(seed)
    hashes, groups = planted(rng, rows)
    bare = np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8)
    # The mirror image of a random hash is another random hash.
    mirrored = smooth_hashes(rng, rows)
    pictures = [
        Picture(f"{i:064x}", 1, Fingerprint(hashes[i], mirrored[i], 100, *bare))
        for i in range(rows)
    ]
    wall, cpu = time.perf_counter(), time.process_time()
    found = same_pictures(pictures)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cluster = np.full(rows, -1)
    wide = 0
    for number, members in enumerate(found):
        inside = np.array([int(member.sha256, 16) for member in members])
        cluster[inside] = number
        apart = distances(hashes[inside], np.broadcast_to(hashes[inside[0]], (len(inside), 32)))
        mirror = distances(hashes[inside], np.broadcast_to(mirrored[inside[0]], (len(inside), 32)))
        wide = max(wide, int(np.minimum(apart, mirror).max()))
    copies = np.flatnonzero(groups >= 0)[COPIED:]
    together = cluster[copies] == cluster[groups[copies]]
    unlike = sum(len(set(groups[cluster == n].tolist()) - {-2}) > 1 for n in range(len(found)))
    return {
        "rows": rows,
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "clusters": len(found),
        "copies_found": round(float((together & (cluster[copies] >= 0)).mean()), 4),
        "clusters_of_unlike_pictures": unlike,
        "farthest_from_seed": wide,
    }


def corners(pictures: int, seed: int) -> dict[str, Any]:
    """The candidate search over random corners with planted pairs."""
    rng = np.random.default_rng(seed)
    descriptors = [rng.integers(0, 256, (200, 32), dtype=np.uint8) for _ in range(pictures)]
    pairs = pictures // 20
    for i in range(pairs):
        # A quarter of the corners come again, with one bit of ten changed.
        again = flipped(rng, descriptors[i][:50], np.full(50, 26))
        descriptors[pairs + i][:50] = again
    wall, cpu = time.perf_counter(), time.process_time()
    found = features.candidates(descriptors)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    met = {(i, j) for i, j, _ in found.tolist()}
    return {
        "pictures": pictures,
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "candidates": len(found),
        "planted_found": round(float(np.mean([(i, pairs + i) in met for i in range(pairs)])), 4),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[30_000, 100_000])
    parser.add_argument("--corners", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found: dict[str, Any] = {"load": round(os.getloadavg()[0], 1), "cpus": os.cpu_count()}
    found["hashes"] = []
    for rows in args.rows:
        found["hashes"].append(run(rows, args.seed))
        print(json.dumps(found["hashes"][-1]), flush=True)
    if args.corners:
        found["corners"] = corners(args.corners, args.seed)
        print(json.dumps(found["corners"]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
