"""Builds the reference band of the spectrum channel from real images of the training part.

    python benchmarks/spectrum_reference.py PROFILES.npz

PROFILES.npz is what `benchmarks/watermark_false_positives.py --profiles` keeps. Writes
`detector/evidence/data/spectrum_band.json`. A source gives at most 40 images to a stratum, taken
in the order of their hashes, so that no single collection sets the band. Strata with fewer than
60 images or 8 sources get none.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from detector.evidence.spectrum import outside

OUT = Path(__file__).parent.parent / "detector" / "evidence" / "data" / "spectrum_band.json"
PER_SOURCE = 40
MIN_IMAGES, MIN_SOURCES = 60, 8
BAND = (5, 50, 95)
SHARES = (50, 75, 90, 95, 99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profiles", type=Path)
    kept = np.load(parser.parse_args().profiles, allow_pickle=False)
    strata: dict[str, Any] = {}
    for name in sorted(set(kept["strata"].tolist())):
        of_stratum = np.flatnonzero(kept["strata"] == name)
        chosen = spread(of_stratum, kept["sources"], kept["sha256"])
        sources = kept["sources"][chosen]
        if len(chosen) >= MIN_IMAGES and len(set(sources.tolist())) >= MIN_SOURCES:
            strata[name] = reference(kept["profiles"][chosen].astype(np.float64), sources)
        print(f"{name}: {len(chosen)} of {len(of_stratum)} images, {len(set(sources))} sources")
    OUT.write_text(json.dumps({"strata": strata}, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{OUT.stat().st_size:,} bytes")


def spread(places: np.ndarray, sources: np.ndarray, hashes: np.ndarray) -> list[int]:
    """At most `PER_SOURCE` places of each source."""
    taken: Counter[str] = Counter()
    chosen = []
    for place in sorted(places.tolist(), key=lambda place: str(hashes[place])):
        source = str(sources[place])
        taken[source] += 1
        if taken[source] <= PER_SOURCE:
            chosen.append(place)
    return chosen


def reference(profiles: np.ndarray, sources: np.ndarray) -> dict[str, Any]:
    low, middle, high = np.percentile(profiles, BAND, axis=0)
    shares = [held_out(profiles, sources, source) for source in sorted(set(sources.tolist()))]
    limits = np.percentile(np.concatenate(shares), SHARES)
    return {
        "low": rounded(low),
        "middle": rounded(middle),
        "high": rounded(high),
        "outside": {str(p): round(float(v), 4) for p, v in zip(SHARES, limits, strict=True)},
        "images": len(profiles),
        "sources": len(set(sources.tolist())),
    }


def held_out(profiles: np.ndarray, sources: np.ndarray, source: str) -> np.ndarray:
    """How much a source's images lie outside the band of all other sources."""
    mine = sources == source
    low, _, high = np.percentile(profiles[~mine], BAND, axis=0)
    return np.array([outside(profile, low, high)[0] for profile in profiles[mine]])


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 1) for value in values]


if __name__ == "__main__":
    main()
