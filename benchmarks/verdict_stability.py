"""Counts how often a verdict is stable, wavers or flips when the same image is treated again.

    python -m benchmarks.verdict_stability --manifest datasets/web-corpus/manifest.tsv.gz \\
        --files CORPUS --most 60

So many real and generated images each, from the sources that the bundle lists as its validation.
Also counts what `detector scan --stability` would treat: how many verdicts are near a threshold,
how many scores more than one that means for each image, and whether a flip is missed by it. Writes
`benchmarks/results/verdict_stability.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.explanation_test import drawn, pixels
from detector.corpus.manifest import read_manifest
from detector.corpus.samples import Sample, manifest_samples
from detector.errors import ImageError
from detector.explain import stability
from detector.explain.stability import TREATMENTS, Stability, in_question
from detector.predict import Detector
from detector.results import Finding, Status

OUT = Path(__file__).parent / "results" / "verdict_stability.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--most", type=int, default=40, metavar="N")
    parser.add_argument("--model", metavar="NAME")
    given = parser.parse_args()
    detector = Detector.load(given.model, threads=1)
    names = detector.bundle.config["training"]["config"]["validation"]
    manifest = read_manifest(given.manifest)
    samples = manifest_samples(manifest, given.files, "train", sources=names, allow_missing=True)
    result: dict[str, Any] = {
        "command": "python -m benchmarks.verdict_stability --manifest "
        f"datasets/web-corpus/manifest.tsv.gz --files CORPUS --most {given.most}",
        "model": detector.model_id,
        "config_hash": detector.config_hash,
        "manifest_sha256": manifest.sha256,
    }
    for label, name in ((0, "real"), (1, "generated")):
        found = measured(detector, drawn(samples, label, given.most))
        result[name] = {**about(found), "scan": in_a_scan(found, detector)}
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def measured(detector: Detector, samples: list[Sample]) -> list[Stability]:
    """The stability of every image that can be scored; larger ones are cut to their middle."""
    found = []
    for number, sample in enumerate(samples):
        try:
            found.append(stability(detector, pixels(sample)))
        except ImageError:
            continue
        words = dict(Counter(s.word for s in found))
        print(f"{number + 1}/{len(samples)} {words}", file=sys.stderr, flush=True)
    return found


def in_a_scan(found: list[Stability], detector: Detector) -> dict[str, Any]:
    """What a scan with `--stability near` and with `--stability all` treats of these images."""
    limits = detector.bundle.thresholds
    counts: dict[str, Any] = {}
    for mode, thresholds in (("near", limits), ("all", None)):
        tried = [s for s in found if in_question(first(s), thresholds)]
        counts[mode] = {
            "treated": len(tried),
            "more_scores_per_image": round(len(tried) * len(TREATMENTS) / len(found), 2),
            "flips_found": sum(s.flips for s in tried),
        }
    return counts


def first(s: Stability) -> Finding:
    """As much of the untreated image's finding as the question needs."""
    row = s.rows[0]
    return Finding("", "", Status.OK, "", score=row.score, verdict=row.verdict)


def about(found: list[Stability]) -> dict[str, Any]:
    """Counts by first verdict and word, and how each treatment moves the score."""
    counts = Counter((str(s.rows[0].verdict), s.word) for s in found)
    moves = {
        name: [
            row.score - s.rows[0].score
            for s in found
            for row in s.rows
            if row.treatment == name and row.score is not None and s.rows[0].score is not None
        ]
        for name in TREATMENTS
    }
    return {
        "images": len(found),
        "verdicts": {f"{verdict}, {word}": n for (verdict, word), n in sorted(counts.items())},
        "score_change": {
            name: {
                "mean": round(float(np.mean(m)), 3),
                "mean_absolute": round(float(np.mean(np.abs(m))), 3),
            }
            for name, m in moves.items()
            if m
        },
    }


if __name__ == "__main__":
    main()
