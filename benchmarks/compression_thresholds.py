"""Chooses the thresholds of `double_compression` and `resampling`, and measures what they do.

    python -m benchmarks.compression_thresholds datasets/web-corpus/manifest.tsv.gz CORPUS/files \\
        --rows rows.jsonl --jobs 2

Scenes are real images of at least 2 megapixels from the manifest's training part, of every kind
but screenshots, at most `--of-a-source` of a source. Each is decoded and reduced to a third or a
quarter by averaging whole blocks of pixels, and cut to at most 1024 × 1024. That takes away its
compression and, the factor being whole, leaves no trace of its own; what scaling an original had
before may shine through, so that false alarms are rather over- than underestimated. A scene is
saved in known ways: once (also by Photoshop's tables, and as a cut of 256 × 256), twice, or scaled
and saved.

Half of the sources choose: for each figure the threshold is the lowest at which at most 2 % of the
files without its trace are named, in every single group: one for JPEG files and one for files that
keep pixels exactly, where traces of what the original went through are least covered. A file saved
twice counts as one without scaling, and a scaled file that was saved once as one without an earlier
compression. Files that are flat beyond `MOST_FLAT` are never named; that bound was chosen on the
same half, as the one of a few that then finds most. The other half of the sources checks, at the
thresholds in use: how many files without a trace are named, and how many of the others are found,
with Wilson's interval at 95 %. Where a group holds several files of a scene, the interval is that
of so many scenes as there are. Photographs that EXIF says come straight from a camera are measured
as they are; they chose nothing, since their past is not known.

Rows are kept in a file, so that a run that was stopped goes on. Writes
`benchmarks/results/compression_thresholds.json`; the thresholds themselves stand in
`detector/evidence/compression.py`, and tests hold them and its caveats against that file.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.compression_traces import decode, from_camera, jpeg, png
from detector.corpus.manifest import Row, read_manifest
from detector.evidence import _history, _luma, _resampling, compression
from detector.evidence._jpeg_structure import read_structure
from detector.metrics import wilson

OUT = Path(__file__).parent / "results" / "compression_thresholds.json"
FIT, CHECK = "fit", "check"
RATE = 0.02
PIXELS = (2_000_000, 25_000_000)
SIDE, SMALL = 1024, 256
QUALITIES = (50, 60, 70, 75, 80, 85, 90, 95)
BANDS = {"below 80": (60, 75), "80 to 90": (85, 90), "above 90": (95,)}
SINGLE = tuple(quality for band in BANDS.values() for quality in band)
PRESETS = ("web_medium", "web_high", "high")
PAIRS = tuple((first, second) for first in QUALITIES for second in QUALITIES)
SCALES = (0.5, 0.6, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0)
SAVED = ("png", "95", "90", "75")
SCALED = tuple((scale, saved) for scale in SCALES for saved in SAVED)
# Each scene is saved in so many of these ways, in turn: many scenes teach more than many files.
SHARE = {FIT: (3, 2), CHECK: (10, 8)}
FIGURES = {"gain": "double_compression", "line": "resampling"}
NOTHING = {"gain": 0.0, "line": 0.0}
IN_USE = {
    "gain": {"jpeg": compression.MIN_GAIN},
    "line": {"jpeg": compression.MIN_LINE, "exact": compression.MIN_LINE_EXACT},
}

Record = dict[str, Any]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("--rows", type=Path, required=True, help="every single figure")
    parser.add_argument("--of-a-source", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args()
    done = read_rows(given.rows)
    known = {row["scene"] for row in done}
    left = [item for item in originals(given) if item[1].sha256 not in known]
    with Pool(given.jobs) as pool, given.rows.open("a", encoding="utf-8") as stream:
        for found in pool.imap(of_original, left):
            stream.writelines(json.dumps(row) + "\n" for row in found)
            stream.flush()
            done += found
    OUT.write_text(json.dumps(summary(done, given.of_a_source), indent=1) + "\n", encoding="utf-8")


def read_rows(path: Path) -> list[Record]:
    """What an earlier run measured."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def originals(given: argparse.Namespace) -> Iterator[tuple[int, Row, Path]]:
    """Large real images, numbered in the order of their hashes, so that sources mix."""
    wanted = [
        row
        for row in read_manifest(given.manifest)
        if (row.label, row.split) == (0, "train") and row.kind != "screenshot"
    ]
    taken: Counter[str] = Counter()
    for row in sorted(wanted, key=lambda row: row.sha256):
        if not PIXELS[0] <= row.width * row.height <= PIXELS[1]:
            continue
        path = given.files / row.sha256[:2] / row.sha256
        if taken[row.source] < given.of_a_source and path.is_file():
            taken[row.source] += 1
            yield sum(taken.values()), row, path


def half_of(source: str) -> str:
    """The half that a source is in; its name decides, and never what it shows."""
    return (FIT, CHECK)[hashlib.sha256(source.encode()).digest()[0] % 2]


def of_original(item: tuple[int, Row, Path]) -> list[Record]:
    """Every figure of one image, each with what is known of the file."""
    cv2.setNumThreads(1)
    number, row, path = item
    data = path.read_bytes()
    try:
        rgb = decode(data)
    except OSError:
        return []
    half = half_of(row.source)
    common = {"scene": row.sha256, "source": row.source, "kind": row.kind, "half": half}
    files = [("camera original", data)] if from_camera(data) else []
    files += saved(reduced(rgb), number, *SHARE[half])
    return [{**common, "made": made, **figures(file)} for made, file in files]


def reduced(rgb: np.ndarray) -> np.ndarray:
    """A third of the size, a quarter from 8 megapixels, by averages of whole pixels; cut."""
    by = 4 if rgb.shape[0] * rgb.shape[1] >= 8_000_000 else 3
    height, width = (length // by for length in rgb.shape[:2])
    whole = np.ascontiguousarray(rgb[: by * height, : by * width])
    return middle(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), SIDE)


def middle(rgb: np.ndarray, side: int) -> np.ndarray:
    """The middle of a picture, at most so many pixels high and wide."""
    top, left = (max(0, (length - side) // 2) for length in rgb.shape[:2])
    return rgb[top : top + side, left : left + side]


def saved(scene: np.ndarray, number: int, pairs: int, scalings: int) -> Iterator[tuple[str, bytes]]:
    """Files of a scene, each named by how it was made."""
    small = middle(scene, SMALL)
    yield "png", png(scene)
    yield "small png", png(small)
    for band, qualities in BANDS.items():
        for quality in qualities:
            yield f"once, {band}", jpeg(scene, quality)
    yield "small, once", jpeg(small, SINGLE[number % len(SINGLE)])
    yield "once, Photoshop", preset(scene, PRESETS[number % len(PRESETS)])
    for first, second in turn(PAIRS, number, pairs):
        yield f"{first} then {second}", jpeg(decode(jpeg(scene, first)), second)
    for scale, kind in turn(SCALED, number, scalings):
        # Either half of the scenes is scaled by the smoother method.
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        method = (smooth, cv2.INTER_CUBIC)[number // len(SCALED) % 2]
        other = cv2.resize(scene, None, fx=scale, fy=scale, interpolation=method)
        yield f"×{scale:g}, {kind}", png(other) if kind == "png" else jpeg(other, int(kind))


def turn(ways: tuple[Any, ...], number: int, share: int) -> Iterator[Any]:
    """So many of the ways, evenly spread and others for each scene."""
    step = len(ways) // share
    return (ways[(number + step * i) % len(ways)] for i in range(share))


def preset(rgb: np.ndarray, name: str) -> bytes:
    """A JPEG with one of Photoshop's tables, as Pillow knows them."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "JPEG", quality=name)
    return stream.getvalue()


def figures(data: bytes) -> dict[str, float]:
    """The two figures that are held against thresholds; 0 where there is none."""
    stored, row = decode(data), {"gain": 0.0, "line": 0.0}
    if data[:2] == b"\xff\xd8":
        steps = read_structure(data).luma_table
        primary = _history.primary_quality(_luma.windows(stored, 512, 6), steps)
        row["gain"] = round(primary.gain, 4) if primary else 0.0
    window = _luma.windows(stored, 1024, 1)[0]
    trace = _resampling.strongest_trace(window)
    row["line"] = round(trace.strength, 3) if trace else 0.0
    return row | {"flat": round(_luma.flat_share(window), 4)}


def summary(rows: list[Record], of_a_source: int) -> Record:
    """All that is committed."""
    rows = [row if row["flat"] <= compression.MOST_FLAT else row | NOTHING for row in rows]
    halves = {half: [row for row in rows if row["half"] == half] for half in (FIT, CHECK)}
    return {
        "allowed_rate": RATE,
        "of_a_source_at_most": of_a_source,
        "most_flat": compression.MOST_FLAT,
        "too_flat_to_judge": {
            "all": flat_share(rows),
            **{kind: flat_share(named(rows, kind, "kind")) for kind in kinds_of(rows)},
        },
        **{half: counted(part) for half, part in halves.items()},
        **{
            name: {
                "threshold": highest(needed(halves[FIT], name)),
                "in_use": IN_USE[name],
                "needed_by_group": needed(halves[FIT], name),
                "check": checked(halves[CHECK], name),
                "camera_originals": rate(named(rows, "camera original"), name),
            }
            for name in FIGURES
        },
    }


def counted(rows: list[Record]) -> Record:
    """How many images and sources, by kind."""
    kinds = Counter({row["scene"]: row["kind"] for row in rows}.values())
    return {
        "images": len({row["scene"] for row in rows}),
        "sources": len({row["source"] for row in rows}),
        "names": sorted({row["source"] for row in rows}),
        "kinds": dict(sorted(kinds.items())),
        "files": len(rows),
    }


def needed(rows: list[Record], name: str) -> dict[str, float]:
    """By group of files without the trace, the lowest threshold that keeps within the rate."""
    return {group: lowest([row[name] for row in part]) for group, part in without(rows, name)}


def without(rows: list[Record], name: str) -> list[tuple[str, list[Record]]]:
    """Groups of files that do not have the trace, whatever else they have."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        made = row["made"]
        if "then" in made and name == "line":
            groups["saved twice"].append(row)
        elif "×" in made and name == "gain" and not made.endswith("png"):
            groups["scaled, saved once"].append(row)
        elif "once" in made or ("png" in made and "×" not in made and name == "line"):
            groups[made].append(row)
    return sorted(groups.items())


def highest(limits: dict[str, float]) -> dict[str, float]:
    """The highest that any group needs: of JPEG files, and of files that keep pixels exactly."""
    exact = [limit for group, limit in limits.items() if is_exact(group)]
    others = [limit for group, limit in limits.items() if not is_exact(group)]
    return {"jpeg": max(others), **({"exact": max(exact)} if exact else {})}


def is_exact(made: str) -> bool:
    """Whether a way of saving keeps pixels exactly."""
    return made.endswith("png")


def reaches(row: Record, name: str) -> bool:
    """Whether a figure reaches the threshold in use for its kind of file."""
    return bool(row[name] >= IN_USE[name]["exact" if is_exact(row["made"]) else "jpeg"])


def flat_share(rows: list[Record]) -> float:
    """Share of the files that are too flat to be judged."""
    return round(sum(row["flat"] > compression.MOST_FLAT for row in rows) / len(rows), 4)


def kinds_of(rows: list[Record]) -> list[str]:
    """The kinds of images, sorted."""
    return sorted({row["kind"] for row in rows})


def checked(rows: list[Record], name: str) -> Record:
    """Rates at the thresholds in use: of files without the trace, and of files with it."""
    honest = without(rows, name)
    everything = [row for _, part in honest for row in part]
    record: Record = {
        "false_alarms": {
            "all": rate(everything, name),
            **{group: rate(part, name) for group, part in honest},
        },
        "false_alarms_by_kind": {
            kind: rate(named(everything, kind, "kind"), name) for kind in kinds_of(everything)
        },
    }
    ways = with_trace(rows, name)
    record["found"] = {way: rate(part, name) for way, part in pooled(ways, name) if part}
    record["found_singly"] = {way: rate(part, name) for way, part in ways.items()}
    return record


def with_trace(rows: list[Record], name: str) -> dict[str, list[Record]]:
    """Files that have the trace, by how they were made."""
    if name == "gain":
        return {f"{a} then {b}": named(rows, f"{a} then {b}") for a, b in PAIRS}
    return {f"×{a:g}, {b}": named(rows, f"×{a:g}, {b}") for a, b in SCALED}


def pooled(ways: dict[str, list[Record]], name: str) -> Iterator[tuple[str, list[Record]]]:
    """The same in few groups that a sentence can name."""

    def where(right: Callable[[str], bool]) -> list[Record]:
        return [row for way, part in ways.items() if right(way) for row in part]

    if name == "gain":

        def gap(way: str) -> int:
            first, second = map(int, way.split(" then "))
            return second - first

        yield "second quality higher by 10 or more", where(lambda way: gap(way) >= 10)
        yield "second quality higher by 5", where(lambda way: gap(way) == 5)
        yield "same quality twice", where(lambda way: gap(way) == 0)
        yield "second quality lower by 5", where(lambda way: gap(way) == -5)
        yield "second quality lower by 10 or more", where(lambda way: gap(way) <= -10)
        return
    for kind in SAVED:
        for words, scales in (
            ("reduced to a half or 0.6", (0.5, 0.6)),
            ("reduced to 0.75 or 0.9", (0.75, 0.9)),
            ("enlarged by 1.1 to 1.5", (1.1, 1.25, 1.5)),
            ("doubled", (2.0,)),
        ):
            names = {f"×{scale:g}, {kind}" for scale in scales}
            as_ = "PNG" if kind == "png" else f"JPEG {kind}"
            yield f"{words}, {as_}", where(names.__contains__)


def named(rows: Iterable[Record], word: str, by: str = "made") -> list[Record]:
    """The rows of one way, or of one kind."""
    return [row for row in rows if row[by] == word]


def lowest(values: list[float]) -> float:
    """The lowest threshold, to two digits after the point, that at most `RATE` of them reach."""
    worst = sorted(values, reverse=True)[int(RATE * len(values))]
    return float(np.floor(worst * 100 + 1) / 100)


def rate(rows: list[Record], name: str) -> Record:
    """How many reach the threshold in use, with Wilson's interval for so many scenes."""
    scenes = len({row["scene"] for row in rows})
    share = sum(reaches(row, name) for row in rows) / max(1, len(rows))
    low, high = wilson(share * scenes, scenes) if scenes else (0.0, 1.0)
    return {
        "files": len(rows),
        "images": scenes,
        "rate": round(share, 4),
        "interval": [round(low, 4), round(high, 4)],
    }


if __name__ == "__main__":
    main()
