"""Builds the reference band of the spectrum channel from real images of the training part.

    python benchmarks/spectrum_reference.py RECORDS.jsonl

RECORDS.jsonl is what `benchmarks/watermark_false_positives.py` keeps. Writes
`detector/evidence/data/spectrum_band.json`. A source gives at most 40 images to a stratum, taken
in the order of their hashes, so that no single collection sets the band. Strata with fewer than
60 images or 8 sources get none.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
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
    parser.add_argument("records", type=Path)
    lines = parser.parse_args().records.read_text(encoding="utf-8").splitlines()
    by_stratum: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in map(json.loads, lines):
        if record["label"] == 0 and record["split"] == "train" and "profile" in record:
            by_stratum[record["stratum"]].append(record)
    strata: dict[str, Any] = {}
    for name, records in sorted(by_stratum.items()):
        chosen = spread(records)
        sources = np.array([record["source"] for record in chosen])
        profiles = np.array([record["profile"] for record in chosen], dtype=np.float64)
        if len(chosen) >= MIN_IMAGES and len(set(sources.tolist())) >= MIN_SOURCES:
            strata[name] = reference(profiles, sources)
        print(f"{name}: {len(chosen)} of {len(records)} images, {len(set(sources))} sources")
    OUT.write_text(json.dumps({"strata": strata}, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{OUT.stat().st_size:,} bytes")


def spread(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `PER_SOURCE` records of each source."""
    taken: Counter[str] = Counter()
    chosen = []
    for record in sorted(records, key=lambda record: str(record["sha256"])):
        taken[record["source"]] += 1
        if taken[record["source"]] <= PER_SOURCE:
            chosen.append(record)
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
