"""Reads how a picture was compressed, cropped and scaled before it became this file.

Nothing here says that a picture is generated or that it is not: every piece of evidence asserts
"unknown". It tells an analyst how much the pixels have been through, whether two files share a
history, and whether a story about a picture ("straight from my camera") can be true.

Four measurements, each bounded to at most 1.6 megapixels of the image:

- `jpeg_encoding`: quantisation tables against those of public encoders, and the file's layout.
- `double_compression`, `cropped_jpeg`, `earlier_jpeg`: traces of a JPEG before this file.
- `resampling`: traces of scaling.
- `generator_size`: a size that generators often give; weak context, nothing more.

How often grids and qualities are right is in `benchmarks/results/compression_traces.json` (what
that file says of `double_compression` and `resampling` dates from lower thresholds), how often each
trace is seen on real images in `benchmarks/results/watermark_false_positives.json`, as of those,
too. The thresholds below were chosen on images of 37 sources so that at most 2 % of the files
without a trace are named, however these were saved. On images of 31 other sources they name about
0.5 % of such files, at most 2.2 % of those saved in any one way; see
`benchmarks/compression_thresholds.py` and its results. Where a trace is often missed, the caveats
say so with the rate. Traces remain leads, not facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.evidence import _grid, _history, _jpeg_tables, _luma, _resampling, _sizes
from detector.evidence._jpeg_structure import Structure, read_structure
from detector.evidence.base import EvidenceInput, Example
from detector.results import Asserts, Evidence, Trust

__all__ = ["examples", "find"]

CHANNEL = "compression"

# Nats per block by which an earlier compression must explain the coefficients better.
MIN_GAIN = 0.4
# Power of a line over its surroundings, in a JPEG and in a file that keeps pixels exactly.
MIN_LINE = 40.0
MIN_LINE_EXACT = 80.0
# Share of flat pixels above which neither is judged.
MOST_FLAT = 0.9


def find(item: EvidenceInput) -> list[Evidence]:
    """What the container and the pixels tell of the file's past, always asserting "unknown".

    A JPEG always gives `jpeg_encoding`; the rest is given only where a trace is clear. At
    most 0.5 s and 60 MB beside the decoded pixels.
    """
    structure = read_structure(item.data) if item.kind == "JPEG" else None
    found = [] if structure is None or not structure.process else [_encoding(structure)]
    facts, rgb = _luma.facts_of(item), item.rgb
    if facts is None or rgb is None:
        return found
    stored = _luma.as_stored(rgb, facts.orientation)
    window = _luma.windows(stored, 1024, 1)[0]
    flat = _luma.flat_share(window) > MOST_FLAT
    if structure is not None and structure.stores_luma and structure.luma_table is not None:
        found += _under_jpeg(stored, structure.luma_table, flat)
    elif facts.lossless or facts.format == "PIXELS":
        found += _under_exact_pixels(stored)
    if not flat:
        found += _scaled(window, facts.lossless or facts.format == "PIXELS")
    return found + _typical_size(facts.width, facts.height)


def _evidence(kind: str, raw: dict[str, Any], caveat: str) -> Evidence:
    return Evidence(kind, CHANNEL, Asserts.UNKNOWN, "", Trust.INFERRED, raw, caveat)


def _encoding(structure: Structure) -> Evidence:
    tables = _tables(structure)
    noted = {
        "jfif": structure.jfif,
        "adobe_transform": structure.adobe_transform,
        "photoshop_save_as_quality": structure.photoshop_quality,
        "photoshop_save_for_web_quality": structure.web_quality,
        "comments": structure.comments or None,
    }
    raw: dict[str, Any] = {
        "reading": "no quantisation table" if tables is None else tables["reading"],
        "process": structure.process,
        "subsampling": structure.subsampling,
        "huffman": {True: "default", False: "own", None: "none"}[structure.default_huffman],
        "scans": structure.scans,
        "restart_interval": structure.restart_interval,
        **{name: value for name, value in noted.items() if value is not None},
        "segments": structure.order,
        "tables": tables,
    }
    return _evidence(
        "jpeg_encoding",
        raw,
        "Tables name an encoder family and not who used it: nearly all software, phones and "
        "platforms share a few of them, and any table can be copied.",
    )


def _tables(structure: Structure) -> dict[str, Any] | None:
    luma, chroma = structure.luma_table, structure.chroma_table
    if luma is None:
        return None
    best = _jpeg_tables.match(luma, chroma)
    quality, distance = _jpeg_tables.ijg_quality(luma)
    named = {
        "family": best.family if best.exact else None,
        "setting": best.setting if best.exact else None,
        "compared": best.compared,
        "nearest_family": best.family,
        "nearest_setting": best.setting,
        "deviation": best.deviation,
        "ijg_quality": quality,
        "ijg_deviation": distance,
        "luminance": luma.tolist(),
        "chrominance": None if chroma is None else chroma.tolist(),
        "reading": _reading(best),
    }
    if chroma is not None:
        named["ijg_chroma_quality"], named["ijg_chroma_deviation"] = (
            _jpeg_tables.ijg_chroma_quality(chroma)
        )
    return named


def _reading(best: _jpeg_tables.Match) -> str:
    if not best.exact:
        return "no known table: cameras, phones and some editors use their own"
    if best.family == _jpeg_tables.IJG:
        return f"libjpeg's table at {best.setting}, which most software writes"
    return f"exactly the table of {best.family}, {best.setting}"


def _under_jpeg(stored: np.ndarray, steps: np.ndarray, flat: bool) -> list[Evidence]:
    """Traces of an earlier JPEG in a JPEG: on the same grid, or on one that a crop has moved."""
    found = []
    parts = _luma.windows(stored, 512, 6)
    primary = _history.primary_quality(parts, steps)
    if primary is not None and primary.gain >= MIN_GAIN and not flat:
        now = _jpeg_tables.ijg_quality(steps)[0]
        raw = {
            "reading": f"a JPEG of about quality {primary.quality}, saved again at about {now}",
            **_primary_facts(primary),
            "current_ijg_quality": now,
        }
        found.append(
            _evidence(
                "double_compression",
                raw,
                "Rotating, tagging, uploading or forwarding a JPEG compresses it again; the "
                "quality is that of the nearest IJG table, and a third compression may hide it. "
                "This is named in 0.5 % of files that were saved once. Not naming it says little: "
                "it is found in 80 % of those saved again at a quality higher by ten or more, and "
                "in 5 % where the second quality is lower by as much.",
            )
        )
    grid = _grid.foreign(_luma.windows(stored, 256, 4))
    if grid is not None and grid.clear_under_another:
        earlier = _history.primary_quality(parts, None, (grid.row, grid.column), noise=1.0)
        found.append(
            _evidence(
                "cropped_jpeg",
                {
                    "reading": f"{_quality_words(earlier)}, then cropped or shifted",
                    **_earlier_quality(earlier),
                    **_grid_facts(grid),
                },
                "A JPEG that was cropped, shifted or placed in a layout and saved again looks "
                "like this, and so do screenshots and video frames; textures with a period of "
                "8 pixels can imitate it.",
            )
        )
    return found


def _under_exact_pixels(stored: np.ndarray) -> list[Evidence]:
    """Traces of a JPEG in a file that keeps pixels exactly."""
    grid = _grid.strongest(_luma.windows(stored, 256, 4))
    if grid is None or not grid.clear:
        return []
    parts = _luma.windows(stored, 512, 6)
    earlier = _history.primary_quality(parts, None, (grid.row, grid.column))
    return [
        _evidence(
            "earlier_jpeg",
            {
                "reading": f"{_quality_words(earlier)} before it became this file",
                **_earlier_quality(earlier),
                **_grid_facts(grid),
            },
            "Saving a downloaded JPEG as PNG, or a screenshot that shows one at full size, "
            "leaves this; a pattern with a period of 8 pixels can imitate it.",
        )
    ]


def _primary_facts(primary: _history.Primary) -> dict[str, Any]:
    return {
        "earlier_ijg_quality": primary.quality,
        "gain_per_block": round(primary.gain, 3),
        "blocks": primary.blocks,
    }


def _earlier_quality(primary: _history.Primary | None) -> dict[str, Any]:
    """The quality where the coefficients tell it; None where they do not, as above 97."""
    if primary is None or primary.gain < MIN_GAIN:
        return {"earlier_ijg_quality": None}
    return _primary_facts(primary)


def _quality_words(primary: _history.Primary | None) -> str:
    quality = _earlier_quality(primary)["earlier_ijg_quality"]
    return "a JPEG of unknown quality" if quality is None else f"a JPEG of about quality {quality}"


def _grid_facts(grid: _grid.Grid) -> dict[str, Any]:
    return {
        "grid_row": grid.row,
        "grid_column": grid.column,
        "share_of_votes": round(grid.share, 3),
        "votes": grid.votes,
        "log10_chance": round(grid.log10_chance, 1),
    }


def _scaled(window: _luma.Window, exact: bool) -> list[Evidence]:
    trace = _resampling.strongest_trace(window)
    if trace is None or trace.strength < (MIN_LINE_EXACT if exact else MIN_LINE):
        return []
    factors = " or ".join(f"{scale:g}" for scale in trace.scales[:3])
    raw = {
        "reading": f"scaled, perhaps by {factors}",
        "frequency": round(trace.frequency, 4),
        "strength": round(trace.strength, 1),
        "signal": trace.signal,
        "frequencies": list(trace.lines),
        "factor_candidates": list(trace.scales),
    }
    return [
        _evidence(
            "resampling",
            raw,
            "Websites, phones and editors scale most pictures, and lens correction and digital "
            "zoom do so inside cameras; fabrics, blinds, print screens and drawn patterns have "
            "periods of their own. Several factors leave the same line. This is named in 0.5 % of "
            "pictures that were not scaled. Not naming it says little: pictures enlarged by a "
            "tenth to a half are found in 60 % of PNG files, in 34 % of JPEG files of quality 95 "
            "and in 16 % of quality 75, and reduced or doubled ones in at most 7 % of JPEG files.",
        )
    ]


def _typical_size(width: int, height: int) -> list[Evidence]:
    users = _sizes.users_of(width, height)
    if not users:
        return []
    return [
        _evidence(
            "generator_size",
            {"width": width, "height": height, "given_by": users},
            "Avatars, textures, thumbnails, wallpapers and data sets have these sizes too: by "
            "itself this means nothing.",
        )
    ]


def examples() -> Sequence[Example]:
    """Files made in code, with one trace each, and one without."""
    from detector.evidence import _examples

    plain = _examples.picture(392, 520)
    moved = _examples.decode(_examples.jpeg(plain, 75))[3:, 5:]
    twice = _examples.jpeg(_examples.decode(_examples.jpeg(plain, 70)), 90)
    larger = _examples.enlarged(plain, 1.3)
    encoding = "jpeg_encoding"
    return [
        Example("a PNG without a past", _examples.encode(plain, ".png")),
        Example("a JPEG", _examples.jpeg(plain, 85), frozenset({encoding})),
        Example("a JPEG saved twice", twice, frozenset({encoding, "double_compression"})),
        Example(
            "a JPEG cropped and saved again",
            _examples.jpeg(moved, 96),
            frozenset({encoding, "cropped_jpeg"}),
        ),
        Example(
            "a PNG that was a JPEG",
            _examples.encode(moved, ".png"),
            frozenset({"earlier_jpeg"}),
        ),
        Example("an enlarged picture", _examples.encode(larger, ".png"), frozenset({"resampling"})),
        Example(
            "a picture of a size that generators give",
            _examples.encode(_examples.picture(512, 512), ".png"),
            frozenset({"generator_size"}),
        ),
    ]
