"""Measures how often the compression channel is right about a past that is known.

    python -m benchmarks.compression_traces datasets/web-corpus/manifest.tsv.gz CORPUS/files \\
        --photographs 24

Scenes are scikit-image's photographs and, where a corpus manifest and its folder of files are
given, N large real photographs of it (without, scikit-image's alone). All are shrunk first, which
takes away the past that they have. Each scene is then compressed, cropped and scaled in known ways,
and what the channel says is compared. The rate on unscaled pictures is taken on photographs whose
EXIF says that they come straight from a camera. Writes
`benchmarks/results/compression_traces.json`.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from detector.corpus.manifest import read_manifest
from detector.evidence import compression
from detector.evidence.base import EvidenceInput

OUT = Path(__file__).parent / "results" / "compression_traces.json"
# fmt: off
NAMES = [
    "astronaut", "coffee", "chelsea", "rocket", "retina", "immunohistochemistry",
    "hubble_deep_field", "camera", "brick", "grass", "gravel", "moon",
]
# fmt: on
EARLIER = (50, 60, 70, 75, 80, 85, 90, 95)
NOW = (70, 75, 80, 85, 90, 95, 98)
SCALES = (0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 2.0, 2.5)
KERNELS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
TRACES = ("double_compression", "cropped_jpeg", "earlier_jpeg", "resampling")
# Cut off before the second compression; the grid then starts at row 5, column 3.
CUT = (3, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", nargs="?", type=Path)
    parser.add_argument("files", nargs="?", type=Path)
    parser.add_argument("--photographs", type=int, default=60)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    groups = {"scikit-image": list(bundled())}
    results: dict[str, Any] = {}
    if given.manifest:
        large, cameras = photographs(given.manifest, given.files, given.photographs)
        groups["corpus"] = [shrunk(decode(data), 1 / 3) for data in large]
        results["camera_originals"] = unscaled(cameras)
    for name, scenes in groups.items():
        results[name] = {"scenes": len(scenes), **measured(scenes)}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def bundled() -> Iterator[np.ndarray]:
    import skimage.data

    for name in NAMES:
        pixels = getattr(skimage.data, name)()
        rgb = pixels[..., :3] if pixels.ndim == 3 else pixels[..., None].repeat(3, 2)
        yield shrunk(rgb, 0.7)


def photographs(manifest: Path, files: Path, number: int) -> tuple[list[bytes], list[bytes]]:
    """Large photographs of many sources, and those that come straight from a camera."""
    rows = [
        row
        for row in read_manifest(manifest)
        if row.label == 0 and row.kind == "photo" and row.width * row.height >= 3_000_000
    ]
    by_source: dict[str, int] = defaultdict(int)
    large, cameras = [], []
    for row in sorted(rows, key=lambda row: row.sha256):
        by_source[row.source] += 1
        path = files / row.sha256[:2] / row.sha256
        if by_source[row.source] > 30 or not path.is_file():
            continue
        data = path.read_bytes()
        if len(large) < number and by_source[row.source] <= 3:
            large.append(data)
        if from_camera(data):
            cameras.append(data)
    return large, cameras


def from_camera(data: bytes) -> bool:
    """Whether EXIF names a camera, gives this very width, and names no editing software."""
    try:
        image = Image.open(io.BytesIO(data))
        exif = image.getexif()
    except (OSError, SyntaxError):
        return False
    software = str(exif.get(0x0131) or "").strip("\0 ").lower()
    editors = "photoshop gimp lightroom picasa acd instagram photoscape paint snapseed picnik"
    editors += " corel aperture windows capture darktable raw dxo silkypix viewnx adobe"
    width = exif.get_ifd(0x8769).get(0xA002)
    edited = any(word in software for word in editors.split())
    return bool(exif.get(0x010F)) and width == image.width and not edited


def measured(scenes: list[np.ndarray]) -> dict[str, Any]:
    return {
        "single_jpeg": rates(
            (f"quality {now}", [seen(jpeg(scene, now)) for scene in scenes])
            for now in (*EARLIER, 98)
        ),
        "double_jpeg": pairs(scenes, "double_compression", lambda pixels: pixels),
        "cropped_jpeg": pairs(scenes, "cropped_jpeg", lambda pixels: pixels[CUT[0] :, CUT[1] :]),
        "png_of_jpeg": png_of_jpeg(scenes),
        "never_compressed": rates([("png", [seen(png(scene)) for scene in scenes])]),
        "resampling": dict(scaled(scenes)),
    }


def pairs(scenes: list[np.ndarray], kind: str, between: Any) -> dict[str, Any]:
    """How often a second compression shows the first, and by how much its quality is missed."""
    table = {}
    for earlier, now in itertools.product(EARLIER, NOW):
        if earlier == now:
            continue
        twice = [seen(jpeg(between(decode(jpeg(scene, earlier))), now)) for scene in scenes]
        hits = [found[kind] for found in twice if kind in found]
        table[f"{earlier} then {now}"] = {
            "found": round(len(hits) / len(scenes), 3),
            **misses(hits, earlier),
            **({"grid_right": sum(map(right_grid, hits))} if kind == "cropped_jpeg" else {}),
        }
    return table


def png_of_jpeg(scenes: list[np.ndarray]) -> dict[str, Any]:
    table = {}
    for earlier in (*EARLIER, 97, 98, 99):
        found = [seen(png(decode(jpeg(s, earlier))[CUT[0] :, CUT[1] :])) for s in scenes]
        hits = [kinds["earlier_jpeg"] for kinds in found if "earlier_jpeg" in kinds]
        table[f"quality {earlier}"] = {
            "found": round(len(hits) / len(scenes), 3),
            "grid_right": sum(map(right_grid, hits)),
            **misses(hits, earlier),
        }
    return table


def scaled(scenes: list[np.ndarray]) -> Iterator[tuple[str, Any]]:
    for scale, (kernel, code) in itertools.product(SCALES, KERNELS.items()):
        if (kernel == "area") != (scale < 1) and kernel != "cubic":
            continue
        larger = [cv2.resize(s, None, fx=scale, fy=scale, interpolation=code) for s in scenes]
        for saved, write in (("png", png), ("jpeg 95", at(95)), ("jpeg 85", at(85))):
            found = [seen(write(pixels)) for pixels in larger]
            hits = [kinds["resampling"] for kinds in found if "resampling" in kinds]
            named = sum(
                any(abs(factor / scale - 1) < 0.01 for factor in raw["factor_candidates"])
                for raw in hits
            )
            yield (
                f"×{scale} {kernel}, {saved}",
                {"found": round(len(hits) / len(scenes), 3), "factor_among_candidates": named},
            )


def unscaled(cameras: list[bytes]) -> dict[str, Any]:
    found = [seen(data) for data in cameras]
    return {"images": len(found), **dict(rates([("as they are", found)]).items())}


def rates(groups: Any) -> dict[str, Any]:
    return {
        name: {kind: round(sum(kind in found for found in all_) / len(all_), 4) for kind in TRACES}
        for name, all_ in groups
    }


def misses(hits: list[dict[str, Any]], truth: int) -> dict[str, Any]:
    errors = [
        abs(raw["earlier_ijg_quality"] - truth)
        for raw in hits
        if raw.get("earlier_ijg_quality") is not None
    ]
    if not errors:
        return {"quality_named": 0}
    return {
        "quality_named": len(errors),
        "within_1": round(sum(error <= 1 for error in errors) / len(errors), 3),
        "mean_error": round(float(np.mean(errors)), 2),
    }


def right_grid(raw: dict[str, Any]) -> bool:
    return (raw["grid_row"], raw["grid_column"]) == (8 - CUT[0], 8 - CUT[1])


def seen(data: bytes) -> dict[str, dict[str, Any]]:
    return {e.kind: e.raw for e in compression.find(EvidenceInput(data))}


def shrunk(rgb: np.ndarray, scale: float) -> np.ndarray:
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def jpeg(rgb: np.ndarray, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def at(quality: int) -> Any:
    return lambda rgb: jpeg(rgb, quality)


def png(rgb: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", rgb[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


if __name__ == "__main__":
    main()
