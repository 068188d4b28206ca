"""Sets a picture's power spectrum against that of real images saved alike.

Two kinds of evidence, both asserting "unknown":

- `radial_spectrum`: the azimuthal average of log power by frequency, with the band in which 90 %
  of real images of the same kind of file lie, bin by bin.
- `spectral_lines`: frequencies that stand out, with their periods in pixels. JPEG blocks, scaling,
  generators' up-sampling layers, colour filters and patterns in the scene all make them.

The band is read from `data/spectrum_band.json`, by stratum; `benchmarks/spectrum_reference.py` made
it from real images of the corpus's training part. Where it has none for a kind of file, the
evidence says so and gives the measured profile alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from detector.evidence import _grid, _luma, _radial
from detector.evidence._radial import Line, Spectrum
from detector.evidence.base import EvidenceInput, Example
from detector.results import Asserts, Evidence, FileFacts, Trust

__all__ = ["band", "examples", "find", "outside", "stratum"]

CHANNEL = "spectrum"

# Frequencies below this say what the picture shows.
_FROM = 0.05
# A line lies on a lattice when it is within so many bins of it.
_NEAR_BINS = 1.01
_LARGE = 1_200_000  # pixels

_ORIGINS = {
    "block_grid": "JPEG blocks of 8 pixels",
    "power_of_two": (
        "up-sampling by 2, 4 or 8, in enlarging software or in a generator's decoder; with "
        "period 2 also a camera's colour filter"
    ),
    "other": "scaling by another factor, or a pattern in the scene, in print or on a screen",
}


def find(item: EvidenceInput) -> list[Evidence]:
    """The radial spectrum, and the lines if there are any; empty for images under 64 pixels.

    Looks at no more than 0.8 megapixels: at most 0.3 s and 60 MB beside the decoded pixels.
    """
    facts, rgb = _luma.facts_of(item), item.rgb
    if facts is None or rgb is None:
        return []
    stored = _luma.as_stored(rgb, facts.orientation)
    spectrum = _radial.measure(stored)
    if spectrum is None:
        return []
    found = [_radial_evidence(spectrum, facts)]
    if spectrum.lines:
        found.append(_lines_evidence(spectrum, _has_blocks(stored, facts)))
    return found


def stratum(facts: FileFacts) -> str:
    """The kind of file that bands are kept for, as "jpeg-light/large".

    "lossless", "jpeg-light" (quality 90 and above), "jpeg-medium" (70 and above), "jpeg-heavy"
    or "lossy" (other codecs); then "large" above 1.2 megapixels, else "small".
    """
    size = "large" if facts.width * facts.height > _LARGE else "small"
    if facts.lossless or facts.format == "PIXELS":
        return f"lossless/{size}"
    quality = facts.jpeg_quality
    if facts.format != "JPEG" or quality is None:
        return f"lossy/{size}"
    step = "light" if quality >= 90 else "medium" if quality >= 70 else "heavy"
    return f"jpeg-{step}/{size}"


@lru_cache(maxsize=1)
def _bands() -> dict[str, Any]:
    text = resources.files("detector.evidence").joinpath("data/spectrum_band.json").read_text()
    return dict(json.loads(text)["strata"])


def band(name: str) -> dict[str, Any] | None:
    """The reference of a stratum; None where too few real images were at hand.

    Keys: "low", "middle", "high": 64 dB values each, the 5th, 50th and 95th percentile;
    "outside": the share of bins outside the band that 50, 75, 90, 95 and 99 % of the reference
    images stay below; "images", "sources": how many.
    """
    known = _bands().get(name)
    return None if known is None else dict(known)


def outside(profile: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """The share of bins outside the band, and the largest excess in dB (negative: too little).

    Only frequencies from 0.05 cycles per pixel on count.
    """
    counted = _radial.frequencies() >= _FROM
    excess = np.where(profile > high, profile - high, np.where(profile < low, profile - low, 0))
    excess = excess[counted]
    worst = float(excess[np.abs(excess).argmax()])
    return float((excess != 0).mean()), worst


def _radial_evidence(spectrum: Spectrum, facts: FileFacts) -> Evidence:
    name = stratum(facts)
    reference = band(name)
    if reference is None:
        compared: dict[str, Any] = {"reading": "no reference band for this kind of file"}
    else:
        compared = _compared(spectrum.profile, reference)
    raw: dict[str, Any] = {
        **compared,
        "stratum": name,
        "windows": spectrum.number,
        "window_side": spectrum.side,
        "bins": "64 of equal width from 0 to 0.5 cycles per pixel",
        "profile_db": [round(float(value), 1) for value in spectrum.profile],
    }
    return _evidence(
        "radial_spectrum",
        raw,
        "Blur, noise reduction, sharpening, scaling, drawings and screenshots all bend the "
        "spectrum of real images, and many generators stay within the band.",
    )


def _compared(profile: np.ndarray, reference: dict[str, Any]) -> dict[str, Any]:
    share, worst = outside(profile, np.array(reference["low"]), np.array(reference["high"]))
    rarer = [
        int(percent) for percent, limit in reference["outside"].items() if share > float(limit)
    ]
    most = max(rarer, default=0)
    if most:
        reading = f"outside the band more than {most} % of real images saved alike"
    else:
        reading = "as much inside the band as most real images saved alike"
    return {
        "reading": reading,
        "outside_share": round(share, 3),
        "largest_excess_db": round(worst, 1),
        "outside_more_than_percent_of_reference": most,
        "reference_images": reference["images"],
        "reference_sources": reference["sources"],
    }


def _has_blocks(stored: np.ndarray, facts: FileFacts) -> bool:
    """Whether the pixels went through JPEG blocks: the file's own, or an earlier one's."""
    if facts.format == "JPEG":
        return True
    grid = _grid.strongest(_luma.windows(stored, 256, 2))
    return grid is not None and grid.clear


def _lines_evidence(spectrum: Spectrum, blocks: bool) -> Evidence:
    lines = [
        {
            "fx": line.fx,
            "fy": line.fy,
            "period_px": round(line.period, 2),
            "decibels": line.decibels,
            "origin": _origin(line, spectrum.side, blocks),
        }
        for line in spectrum.lines
    ]
    origins = dict.fromkeys(str(line["origin"]) for line in lines)
    periods = ", ".join(dict.fromkeys(f"{line.period:.3g}" for line in spectrum.lines))
    raw = {
        "reading": f"repeats every {periods} pixels",
        "lines": lines,
        "possible_origins": {origin: _ORIGINS[origin] for origin in origins},
        "windows": spectrum.number,
        "window_side": spectrum.side,
    }
    return _evidence(
        "spectral_lines",
        raw,
        "Fabrics, fences, halftone print, photographed screens, scaling and JPEG make lines in "
        "real images too; the origins named are the usual ones and not the only ones.",
    )


def _origin(line: Line, side: int, blocks: bool) -> str:
    eighths = (line.fx * 8, line.fy * 8)
    reach = 8 * _NEAR_BINS / side
    if any(abs(place - round(place)) > reach for place in eighths):
        return "other"
    return "block_grid" if blocks else "power_of_two"


def _evidence(kind: str, raw: dict[str, Any], caveat: str) -> Evidence:
    return Evidence(kind, CHANNEL, Asserts.UNKNOWN, "", Trust.INFERRED, raw, caveat)


def examples() -> Sequence[Example]:
    """Files made in code, with lines and without, and one that is too small."""
    from detector.evidence import _examples

    plain = _examples.picture(392, 520)
    latticed = _examples.latticed(plain)
    radial = frozenset({"radial_spectrum"})
    both = radial | {"spectral_lines"}
    return [
        Example("a picture", _examples.encode(plain, ".png"), radial),
        Example("a picture on a lattice", _examples.encode(latticed, ".png"), both),
        Example("a picture with stripes", _examples.encode(_examples.striped(plain), ".png"), both),
        Example("a picture too small to tell", _examples.encode(plain[:48, :48], ".png")),
    ]
