"""Runs every evidence channel over a corpus's real images, and the watermark one over the rest.

    python benchmarks/watermark_false_positives.py MANIFEST FILES [--profiles FILE.npz]

FILES holds the images as `<first two digits>/<sha256>`. One process, every image at its own size.
Writes `benchmarks/results/watermark_false_positives.json`: how often a channel asserts "generated"
on a real image, how close the watermark's bits come by chance, how often each trace is seen on
real images by kind, how long the channels take, and which marks the generated images carry.
With --profiles, the radial spectra of the training part's real images are kept for
`benchmarks/spectrum_reference.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.corpus.manifest import Row, read_manifest
from detector.evidence import CHANNELS, channel, watermark
from detector.evidence.base import EvidenceInput
from detector.results import Asserts, Evidence

OUT = Path(__file__).parent / "results" / "watermark_false_positives.json"


class Tally:
    """What was counted on the real images."""

    def __init__(self) -> None:
        self.images = 0
        self.undecoded = 0
        self.sources: set[str] = set()
        self.accusing: Counter[str] = Counter()
        self.accused: list[dict[str, str]] = []
        self.failed: Counter[str] = Counter()
        self.readings = 0
        self.closest: dict[str, Counter[int]] = defaultdict(Counter)
        self.kinds: Counter[str] = Counter()
        self.traces: dict[str, Counter[str]] = defaultdict(Counter)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.profiles: list[tuple[str, str, str, list[float]]] = []

    def count(self, row: Row, item: EvidenceInput) -> None:
        self.images += 1
        self.sources.add(row.source)
        self.kinds[row.kind] += 1
        self.count_bits(item)
        for name in CHANNELS:
            start = time.process_time()
            try:
                found = channel(name).find(item)
            except Exception as fault:  # noqa: BLE001 - counted and named in the result
                self.failed[f"{name}: {type(fault).__name__}"] += 1
                continue
            self.seconds[name].append(time.process_time() - start)
            for evidence in found:
                self.count_evidence(row, evidence)

    def count_evidence(self, row: Row, evidence: Evidence) -> None:
        if evidence.asserts is Asserts.GENERATED:
            self.accusing[f"{evidence.channel}: {evidence.kind}"] += 1
            self.accused.append({"sha256": row.sha256, "kind": evidence.kind})
        if evidence.channel in ("watermark", "compression", "spectrum"):
            self.traces[evidence.kind][row.kind] += 1
            for origin in evidence.raw.get("possible_origins", ()):
                self.traces[f"{evidence.kind}: {origin}"][row.kind] += 1
        if evidence.kind == "radial_spectrum" and row.split == "train":
            raw = evidence.raw
            self.profiles.append((raw["stratum"], row.source, row.sha256, raw["profile_db"]))

    def count_bits(self, item: EvidenceInput) -> None:
        readings = [] if item.rgb is None else watermark.read(item.rgb)
        self.readings += bool(readings)
        for message in watermark.MESSAGES:
            if readings:
                best = max(reading.equal(message) for reading in readings)
                self.closest[message.name][best] += 1

    def result(self) -> dict[str, Any]:
        marks = sum(n for name, n in self.accusing.items() if name.startswith("watermark"))
        return {
            "real_images": self.images,
            "sources": len(self.sources),
            "undecoded_or_too_large": self.undecoded,
            "asserting_generated": dict(self.accusing),
            "accused": self.accused[:100],
            "failed": dict(self.failed),
            "watermark": {
                "images_large_enough": self.readings,
                "found": marks,
                "rate_upper_bound_95": upper_bound(marks, self.readings),
                "bits_that_agree": {m.name: self.agreement(m) for m in watermark.MESSAGES},
            },
            "share_of_real_images_with_trace": {
                trace: {
                    "all": round(sum(by_kind.values()) / self.images, 4),
                    **{kind: round(n / self.kinds[kind], 4) for kind, n in sorted(by_kind.items())},
                }
                for trace, by_kind in sorted(self.traces.items())
            },
            "images_by_kind": dict(sorted(self.kinds.items())),
            "seconds": {name: timing(values) for name, values in self.seconds.items()},
        }

    def agreement(self, message: watermark.Message) -> dict[str, Any]:
        """The tail of the distribution of equal bits, best reading of four."""
        counts = self.closest[message.name]
        return {
            "bits": len(message.bits),
            "needed": message.needed,
            "highest": max(counts, default=None),
            "images_by_equal_bits": {str(bits): counts[bits] for bits in sorted(counts)[-8:]},
        }


def upper_bound(hits: int, trials: int) -> float | None:
    """The 95 % upper bound of a rate, exact for no hit and Poisson's otherwise."""
    if not trials:
        return None
    if hits == 0:
        return float(f"{1 - 0.05 ** (1 / trials):.3g}")
    return float(f"{(hits + 1.645 * hits**0.5 + 2) / trials:.3g}")


def timing(values: list[float]) -> dict[str, float]:
    return {
        "mean": round(float(np.mean(values)), 4),
        "p99": round(float(np.percentile(values, 99)), 4),
        "most": round(float(max(values)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("--profiles", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    rows = list(read_manifest(given.manifest))
    tally = Tally()
    for number, (row, item) in enumerate(images(rows, given.files, label=0)):
        if item.rgb is None:
            tally.undecoded += 1
        else:
            tally.count(row, item)
        if number % 500 == 499:
            print(number + 1, dict(tally.accusing), flush=True)
            save(given.profiles, tally)
    save(given.profiles, tally)
    result = {**tally.result(), "generated_images": marked(images(rows, given.files, label=1))}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def images(rows: list[Row], files: Path, label: int) -> Iterable[tuple[Row, EvidenceInput]]:
    seen: set[str] = set()
    for row in rows:
        path = files / row.sha256[:2] / row.sha256
        if row.label == label and row.sha256 not in seen and path.is_file():
            seen.add(row.sha256)
            yield row, EvidenceInput(path.read_bytes())


def save(path: Path | None, tally: Tally) -> None:
    if path is None:
        return
    strata, sources, hashes, profiles = zip(*tally.profiles, strict=True)
    np.savez_compressed(
        path,
        strata=np.array(strata),
        sources=np.array(sources),
        sha256=np.array(hashes),
        profiles=np.array(profiles, dtype=np.float32),
    )


def marked(generated: Iterable[tuple[Row, EvidenceInput]]) -> dict[str, Any]:
    """Which marks the generated images carry, and how many could be read."""
    total, marks, generators = 0, Counter[str](), Counter[str]()
    for row, item in generated:
        total += 1
        for evidence in watermark.find(item):
            marks[evidence.raw["mark"]] += 1
            generators[f"{row.generator or 'not stated'} / {evidence.raw['mark']}"] += 1
    return {"images": total, "marks": dict(marks), "by_generator": dict(generators)}


if __name__ == "__main__":
    main()
