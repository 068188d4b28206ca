"""Chooses the thresholds of the compression channel's `double_compression` and `resampling`.

    python -m benchmarks.compression_thresholds MANIFEST FILES [--photographs N]

Scenes are large real photographs of the manifest's training part whose EXIF says that they come
straight from a camera, at most four of a source: other photographs may have been scaled before,
which no later reduction takes away. Each is decoded and reduced to a third by averaging 3 × 3
pixels, which takes away its compression and, the factor being whole, leaves no trace of scaling.
Every scene is then saved once (and so has neither trace), or twice, or scaled and saved. The
threshold is the lowest at which at most 2 % of the files saved once are named, in each band of
quality; what it then finds of the others is reported, and what it names of the photographs as they
came from the camera. Scenes are few and the rate is counted on those that chose the threshold: it
is a lower bound on what other photographs would show.
Writes `benchmarks/results/compression_thresholds.json`; the thresholds themselves stand in
`detector/evidence/compression.py`, and a test holds them against that file.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.compression_traces import decode, from_camera, jpeg, png
from detector.corpus.manifest import read_manifest
from detector.evidence import _history, _luma, _resampling, compression
from detector.evidence._jpeg_structure import read_structure

OUT = Path(__file__).parent / "results" / "compression_thresholds.json"
RATE = 0.02
BANDS = {"below 80": (60, 75), "80 to 90": (85, 90), "above 90": (95,)}
TWICE = ((75, 90), (85, 75), (90, 95))
SCALES = (0.7, 0.9, 1.3, 1.5)
SAVED = ("png", "95")
# Every second scene is saved twice, and every third is scaled: both cost more than they teach.
TWICE_STEP, SCALED_STEP = 2, 3
MOST_OF_A_SOURCE = 4
SIZES = (3_000_000, 7_000_000)  # pixels

Row = dict[str, Any]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("--photographs", type=int, default=48)
    parser.add_argument("--rows", type=Path, help="also write every single figure here")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    rows: list[Row] = []
    cameras: list[Row] = []
    sources: set[str] = set()
    for number, (source, data) in enumerate(photographs(given)):
        sources.add(source)
        cameras.append(measured(data))
        rows += of_scene(reduced(decode(data)), number)
        # After each, so that a run that is stopped has measured something.
        write(rows, cameras, number + 1, len(sources))
        if given.rows:
            given.rows.write_text(json.dumps([rows, cameras, number + 1, len(sources)]))


def write(rows: list[Row], cameras: list[Row], photographs: int, sources: int) -> None:
    """Choose by what was measured so far, and say so."""
    record = {
        "photographs": photographs,
        "sources": sources,
        "allowed_rate": RATE,
        "gain": chosen(rows, "gain", [f"once, {band}" for band in BANDS]),
        "line": chosen(rows, "line", ["png", *(f"once, {band}" for band in BANDS)]),
    }
    for name in ("gain", "line"):
        rate = share(cameras, name, record[name]["in_use"])
        record[name]["camera_originals"] = {"images": len(cameras), "named_in_use": rate}
    OUT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def photographs(given: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    """Source and bytes of large photographs, in the order of their hashes."""
    rows = [
        row
        for row in read_manifest(given.manifest)
        if (row.label, row.kind, row.split, row.format) == (0, "photo", "train", "JPEG")
        and SIZES[0] <= row.width * row.height <= SIZES[1]
    ]
    taken: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: row.sha256):
        path = given.files / row.sha256[:2] / row.sha256
        if taken[row.source] < MOST_OF_A_SOURCE and path.is_file():
            data = path.read_bytes()
            if from_camera(data):
                taken[row.source] += 1
                yield row.source, data
        if sum(taken.values()) == given.photographs:
            return


def reduced(rgb: np.ndarray) -> np.ndarray:
    """A third of the size, by averages of whole 3 × 3 pixels."""
    height, width = (length // 3 for length in rgb.shape[:2])
    return cv2.resize(rgb[: 3 * height, : 3 * width], (width, height), interpolation=cv2.INTER_AREA)


def of_scene(scene: np.ndarray, number: int) -> list[Row]:
    """What is measured of one scene, saved in every way."""
    rows = [measured(png(scene)) | {"made": "png"}]
    for band, qualities in BANDS.items():
        rows += [measured(jpeg(scene, q)) | {"made": f"once, {band}"} for q in qualities]
    if number % TWICE_STEP == 0:
        for first, second in TWICE:
            data = jpeg(decode(jpeg(scene, first)), second)
            rows.append(measured(data, line=False) | {"made": f"twice {first} then {second}"})
    if number % SCALED_STEP == 0:
        for scale, saved in itertools.product(SCALES, SAVED):
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            other = cv2.resize(scene, None, fx=scale, fy=scale, interpolation=method)
            data = png(other) if saved == "png" else jpeg(other, int(saved))
            rows.append(measured(data, gain=False) | {"made": f"scaled {scale}, {saved}"})
    return rows


def measured(data: bytes, *, gain: bool = True, line: bool = True) -> Row:
    """The two figures that are held against thresholds; 0 where there is none."""
    stored = decode(data)
    row = {"gain": 0.0, "line": 0.0}
    if gain and data[:2] == b"\xff\xd8":
        steps = read_structure(data).luma_table
        primary = _history.primary_quality(_luma.windows(stored, 512, 6), steps)
        row["gain"] = primary.gain if primary else 0.0
    if line:
        trace = _resampling.strongest_trace(_luma.windows(stored, 1024, 1)[0])
        row["line"] = trace.strength if trace else 0.0
    return row


def chosen(rows: list[Row], name: str, honest: list[str]) -> Row:
    """The lowest threshold that keeps within the rate in every honest group, and what it finds."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["made"]].append(row)
    limits = {made: lowest([row[name] for row in groups[made]]) for made in honest}
    limit = max(limits.values())
    others = [made for made in groups if made not in honest and groups[made]]
    wanted = [made for made in others if made.startswith("twice" if name == "gain" else "scaled")]
    in_use = {"gain": compression.MIN_GAIN, "line": compression.MIN_LINE}[name]
    named = {made: share(groups[made], name, in_use) for made in (*honest, *wanted)}
    return {
        "threshold": limit,
        "in_use": in_use,
        "needed_by_group": limits,
        "named_in_use_of_files_without_a_trace": {made: named[made] for made in honest},
        "found_in_use": {made: named[made] for made in wanted},
        "images": {made: len(groups[made]) for made in (*honest, *wanted)},
    }


def lowest(values: list[float]) -> float:
    """The lowest threshold, to two digits after the point, that at most `RATE` of them reach."""
    allowed = int(RATE * len(values))
    worst = sorted(values, reverse=True)[allowed]
    return float(np.ceil(worst * 100 + 1e-6) / 100)


def share(rows: list[Row], name: str, limit: float) -> float:
    """How many reach a threshold."""
    return round(sum(row[name] >= limit for row in rows) / max(1, len(rows)), 4)


if __name__ == "__main__":
    main()
