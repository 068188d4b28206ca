"""Measures from which texture on the CNN's score of a crop hangs on more than flat colour.

    python -m benchmarks.blank_areas [--model NAME]

Every native crop of a half-overlapping grid over the photographs of scikit-image, as they are and
as JPEG of several qualities, is scored twice: as it is, and with its fine texture smoothed away
(Gaussian, σ = 3). Where the two scores are alike, the first said nothing about traces in pixels.
For compressed crops the table also says how well their scores keep the order of the same crops
before compression (Spearman's rank correlation). The tables by texture, by share of still pixels
and by quality go to `benchmarks/results/blank_areas.json`; `detector/explain/texture.py` takes its
bounds from them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.conditions import to_jpeg
from detector.demo import find_images
from detector.explain.texture import still_share
from detector.images import read_image
from detector.predict import Detector
from detector.preprocess import grid, texture_of

OUT = Path(__file__).parent / "results" / "blank_areas.json"
QUALITIES = (None, 90, 70, 50, 30, 15, 5)
TEXTURES = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 48)
STILLS = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.01)


def main() -> None:
    import torch

    from detector.model import to_tensor

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", metavar="NAME")
    detector = Detector.load(parser.parse_args().model, threads=1)
    size = detector.bundle.preprocess.size
    rows: list[dict[str, float]] = []
    before: list[float] = []
    for quality, number, crop in crops(size):
        pair = np.stack([crop, cv2.GaussianBlur(crop, (0, 0), 3)])
        with torch.inference_mode():
            score, smooth = detector.net(to_tensor(pair), "native").tolist()
        before = [*before, score] if quality is None else before
        rows.append(
            {
                "before": before[number],
                "quality": quality or 0,
                "texture": texture_of(crop),
                "still": still_share(crop),
                "score": score,
                "change": abs(score - smooth),
            }
        )
    result = {
        "command": "python -m benchmarks.blank_areas",
        "model": detector.model_id,
        "crops": len(rows),
        "change": "absolute change of a crop's logit when its texture is smoothed away",
        "by_texture": table(rows, "texture", TEXTURES),
        "by_still_share": table(rows, "still", STILLS),
        "by_quality": table(rows, "quality", (0, 1, 10, 20, 40, 60, 80, 100)),
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def crops(size: int) -> Iterator[tuple[int | None, int, np.ndarray]]:
    """(JPEG quality or None, number of the place, (size, size, 3) crop) of every photograph."""
    first = 0
    for image in find_images().images:
        if image.generated:
            continue
        rgb = read_image(image.source.read_bytes()).rgb
        height, width = rgb.shape[:2]
        if min(height, width) < size:
            continue
        places = [(x, y) for y in grid(height, size, 4) for x in grid(width, size, 4)]
        for quality in QUALITIES:
            shown = rgb if quality is None else read_image(to_jpeg(rgb, quality)).rgb
            for number, (x, y) in enumerate(places, start=first):
                yield quality, number, np.ascontiguousarray(shown[y : y + size, x : x + size])
        first += len(places)


def table(rows: list[dict[str, float]], key: str, edges: tuple[float, ...]) -> list[dict[str, Any]]:
    """Quartiles of the change for every band of `key`."""
    found = []
    for low, high in itertools.pairwise(edges):
        inside = [r for r in rows if low <= r[key] < high]
        if inside:
            change = np.quantile([r["change"] for r in inside], [0.25, 0.5, 0.75]).round(3).tolist()
            scores = np.quantile([r["score"] for r in inside], [0.05, 0.5, 0.95]).round(2).tolist()
            row = {"from": low, "to": high, "crops": len(inside), "change_quartiles": change}
            treated = [r for r in inside if r["quality"]]
            order = None
            if len(treated) >= 10:
                pairs = np.array([(r["before"], r["score"]) for r in treated])
                ranks = pairs.argsort(axis=0).argsort(axis=0)
                order = round(float(np.corrcoef(ranks.T)[0, 1]), 3)
            found.append({**row, "score_5_50_95": scores, "order_kept": order})
    return found


if __name__ == "__main__":
    main()
