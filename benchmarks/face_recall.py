"""Measures how many faces redaction misses, by the way they are looked for and by their size.

    python benchmarks/face_recall.py [MANIFEST FILES [--most N]]

Two measurements. First, faces that come with scikit-image: those of `lfw_subset` (25 × 25
pixels of grey, out of photographs), enlarged and laid on a plain ground four at a time, and the
astronaut, reduced. Their sizes are known, their looks are harder than real ones (blurred, grey,
no hair), so this is a curve over sizes and no rate. Second, with a corpus: images whose kind is
"face", where at least one face must be found; the share without any is reported at the image's
own size and on the thumbnail that a report shows. Some of these images may show no face at all,
so the share is an upper bound; an image with several faces of which one is found counts as found,
so it says nothing about the second face.

The way is the best one that is installed (`detector.redact.faces.find`), or the Haar cascades
with `--haar`, for which OpenCV 4 must be installed. The result is added to
`benchmarks/results/face_recall.json` under the way's name.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

from detector.corpus.manifest import read_manifest
from detector.errors import ImageError
from detector.images import read_image, thumbnail
from detector.redact import faces

OUT = Path(__file__).parent / "results" / "face_recall.json"
SIZES = (12, 16, 24, 32, 48, 96)  # pixels of a face's shorter side
ASTRONAUT = (185, 70, 80, 100)  # x, y, width, height of the face in skimage's 512 × 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("files", type=Path, nargs="?")
    parser.add_argument("--most", type=int, default=100, help="images of each label")
    parser.add_argument("--haar", action="store_true", help="the cascades of OpenCV 4")
    args = parser.parse_args()
    finder = faces.find_haar() if args.haar else faces.find()
    if finder.boxes is None:
        raise SystemExit("no way to find faces is installed")
    found: dict[str, Any] = {
        "opencv": cv2.__version__,
        "lfw_subset": {str(size): _lfw(finder, size) for size in SIZES},
        "astronaut": {str(size): _astronaut(finder, size) for size in SIZES},
    }
    if args.manifest is not None:
        found["corpus"] = _corpus(finder, args.manifest, args.files, args.most)
    results = json.loads(OUT.read_text("utf-8")) if OUT.is_file() else {}
    results[finder.name] = found
    OUT.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def _lfw(finder: faces.Finder, size: int, most: int = 40) -> dict[str, int]:
    """Of 40 faces of this size, how many are found."""
    hits = 0
    some = data.lfw_subset()[:most]
    for start in range(0, most, 4):
        rgb = np.full((256, 256, 3), 128, np.uint8)
        places = []
        for i, face in enumerate(some[start : start + 4]):
            grey = np.clip(face * 255, 0, 255).astype(np.uint8)
            large = cv2.resize(grey, (size, size), interpolation=cv2.INTER_CUBIC)
            x, y = 64 + 128 * (i % 2) - size // 2, 64 + 128 * (i // 2) - size // 2
            rgb[y : y + size, x : x + size] = large[..., None]
            places.append((x, y, size, size))
        assert finder.boxes is not None
        hits += _covered(finder.boxes(rgb), places)
    return {"faces": most, "found": hits}


def _astronaut(finder: faces.Finder, size: int) -> dict[str, int]:
    """The astronaut with a face of this size, upright, mirrored and turned by ±15 degrees."""
    x, y, w, h = ASTRONAUT
    scale = size / w
    hits, total = 0, 0
    for mirrored in (False, True):
        for angle in (-15, 0, 15):
            turn = cv2.getRotationMatrix2D((x + w / 2, y + h / 2), angle, 1.0)
            rgb = cv2.warpAffine(
                np.asarray(data.astronaut()), turn, (512, 512), borderMode=cv2.BORDER_REPLICATE
            )
            small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            left = 512 - x - w if mirrored else x
            shown = np.ascontiguousarray(small[:, ::-1]) if mirrored else small
            assert finder.boxes is not None
            face = (left * scale, y * scale, w * scale, h * scale)
            hits += _covered(finder.boxes(shown), [face])
            total += 1
    return {"faces": total, "found": hits}


def _covered(boxes: list[faces.Box], places: list[faces.Box]) -> int:
    """How many faces have a box of about their size, or larger, that holds their middle."""
    return sum(
        any(
            bx <= x + w / 2 <= bx + bw and by <= y + h / 2 <= by + bh and bw * bh >= w * h / 4
            for bx, by, bw, bh in boxes
        )
        for x, y, w, h in places
    )


def _corpus(finder: faces.Finder, manifest: Path, files: Path, most: int) -> dict[str, Any]:
    """By label: images of the kind "face", and those without any face found."""
    rows = [row for row in read_manifest(manifest) if row.kind == "face"]
    found = {}
    for label, name in ((0, "real"), (1, "generated")):
        chosen = sorted((row for row in rows if row.label == label), key=lambda row: row.sha256)
        random.Random(0).shuffle(chosen)
        counts = {"images": 0, "missed_own_size": 0, "missed_thumbnail": 0}
        start = time.process_time()
        for rgb in _images(files, [row.sha256 for row in chosen], most):
            assert finder.boxes is not None
            small = cv2.imdecode(np.frombuffer(thumbnail(rgb), np.uint8), cv2.IMREAD_COLOR_RGB)
            counts["images"] += 1
            counts["missed_own_size"] += not finder.boxes(rgb)
            counts["missed_thumbnail"] += not finder.boxes(small)
        seconds = (time.process_time() - start) / max(1, counts["images"])
        found[name] = {**counts, "cpu_seconds_per_image": round(seconds, 3)}
    return found


def _images(files: Path, hashes: list[str], most: int) -> Iterator[np.ndarray]:
    given = 0
    for sha256 in hashes:
        path = files / sha256[:2] / sha256
        if given == most or not path.is_file():
            continue
        try:
            yield read_image(path.read_bytes()).rgb
        except ImageError:
            continue
        given += 1


if __name__ == "__main__":
    main()
