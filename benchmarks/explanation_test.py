"""Hides the hottest and the coolest tenth of generated images: the score must fall more for the
hottest. Measures first which filling moves the score of real images least.

    python -m benchmarks.explanation_test --manifest datasets/web-corpus/manifest.tsv.gz \\
        --files CORPUS --most 60

Images are drawn from the sources that the bundle lists as its validation: they trained nothing
and are not part of `test`. Four maps are compared: the native crops, the hidden pieces of the
whole view, both added up (what `detector explain` calls hot), and Grad-CAM of the whole view.
Writes `benchmarks/results/explanation_test.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from detector.corpus.manifest import read_manifest
from detector.corpus.samples import Sample, cap, manifest_samples
from detector.errors import ImageError
from detector.explain.hide import DEFAULT_FILLING, FILLINGS, soft_mask, without
from detector.explain.hiding import Hidden, cell_heat, cells, hide_by_all, summarise
from detector.explain.looking import heatmap, look
from detector.predict import Detector

OUT = Path(__file__).parent / "results" / "explanation_test.json"
MAPS = ("both", "native", "whole", "gradcam")
NOTE = (
    "the whole map was itself measured by hiding pieces with inpainting, and both holds it: "
    "their figures are partly a check of themselves; native and gradcam owe nothing to hiding"
)
_SIDE = 1536  # the middle of larger images is taken: this is a test of the map


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--most", type=int, default=60, metavar="N")
    parser.add_argument("--real", type=int, default=40, metavar="N", help="for the fillings")
    parser.add_argument("--grid", type=int, default=25, metavar="N")
    parser.add_argument("--filling", default=DEFAULT_FILLING, choices=list(FILLINGS))
    parser.add_argument("--fillings-only", action="store_true", help="stop after the fillings")
    parser.add_argument("--model", metavar="NAME")
    given = parser.parse_args()
    detector = Detector.load(given.model, threads=1)
    names = detector.bundle.config["training"]["config"]["validation"]
    manifest = read_manifest(given.manifest)
    samples = manifest_samples(
        manifest, given.files, "train", sources=names, allow_missing=True
    )  # fmt: skip
    began = time.time()
    result: dict[str, Any] = {
        "command": "python -m benchmarks.explanation_test --manifest "
        "datasets/web-corpus/manifest.tsv.gz --files CORPUS "
        f"--most {given.most} --real {given.real} --grid {given.grid}",
        "model": detector.model_id,
        "config_hash": detector.config_hash,
        "manifest_sha256": manifest.sha256,
        "grid": given.grid,
    }
    if given.real:
        result["fillings"] = measure_fillings(detector, drawn(samples, 0, given.real))
    if given.fillings_only:
        print(json.dumps(result, indent=1))
        return
    result["filling"] = given.filling
    result["note"] = NOTE
    result |= measure_maps(detector, drawn(samples, 1, given.most), given.grid, given.filling)
    result["seconds"] = round(time.time() - began)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def drawn(samples: list[Sample], label: int, most: int) -> list[Sample]:
    """At most so many images of one label, as even as can be over the sources."""
    own = [s for s in samples if s.label == label]
    sources = sorted({s.source for s in own})
    each = 1
    while each < 500:
        kept = cap(own, dict.fromkeys(sources, each), 1)
        if len(kept) >= min(most, len(own)):
            break
        each += 1
    return sorted(kept, key=lambda s: s.key)[:most]


def measure_fillings(detector: Detector, samples: list[Sample]) -> dict[str, Any]:
    """How each filling moves the score of real images when a drawn tenth is hidden."""
    moved: dict[str, list[float]] = {name: [] for name in FILLINGS}
    for number, sample in enumerate(samples):
        try:
            rgb = pixels(sample)
        except ImageError:
            continue
        own = np.random.default_rng(number).permutation(100)[:10].tolist()
        mask = soft_mask(rgb.shape[:2], cells(rgb, own))
        before = detector.predict(rgb).score
        for name in FILLINGS:
            after = detector.predict(without(rgb, mask, name)).score
            if before is not None and after is not None:
                moved[name].append(after - before)
        means = {
            name: (round(float(np.mean(c)), 3), round(float(np.mean(np.abs(c))), 3))
            for name, c in moved.items()
        }
        print(f"filling {number + 1}/{len(samples)} {means}", file=sys.stderr, flush=True)
    return {
        name: {
            "images": len(changes),
            "mean": round(float(np.mean(changes)), 4),
            "mean_absolute": round(float(np.mean(np.abs(changes))), 4),
            "largest_rise": round(float(np.max(changes)), 4),
        }
        for name, changes in moved.items()
    }


def measure_maps(
    detector: Detector, samples: list[Sample], grid: int, filling: str
) -> dict[str, Any]:
    """The hiding test of every map on the same images."""
    found: dict[str, list[Hidden | None]] = {name: [] for name in MAPS}
    sources = set()
    for number, sample in enumerate(samples):
        try:
            seen = look(detector, pixels(sample))
        except ImageError:
            continue
        if seen.image is None:
            continue
        sources.add(sample.source)
        crops = heatmap(detector, seen, grid=grid)
        cam = heatmap(detector, seen, method="gradcam")
        heats = {
            "both": cell_heat(crops),
            "native": cell_heat(crops, "native"),
            "whole": cell_heat(crops, "whole"),
            "gradcam": cell_heat(cam),
        }
        hidden = hide_by_all(detector, seen.image.rgb, list(heats.values()), filling)
        for name, one in zip(heats, hidden, strict=True):
            found[name].append(one)
        partial = {name: summarise(rows).agree for name, rows in found.items()}
        print(f"image {number + 1}/{len(samples)} {partial}", file=sys.stderr, flush=True)
    return {
        "sources": len(sources),
        "maps": {name: _rounded(summarise(rows).to_record()) for name, rows in found.items()},
    }


def pixels(sample: Sample) -> np.ndarray:
    """The image's upright pixels; a very large one is cut to its middle, never resized."""
    from detector.images import read_image

    rgb = read_image(sample.read()).rgb
    height, width = rgb.shape[:2]
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    return np.ascontiguousarray(rgb[top : top + _SIDE, left : left + _SIDE])


def _rounded(record: dict[str, Any]) -> dict[str, Any]:
    # Four significant digits: the sign test's p may be very small.
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in record.items()}


if __name__ == "__main__":
    main()
