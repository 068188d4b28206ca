"""The spectrum channel measures, claims nothing, and says when it has no reference."""

from __future__ import annotations

import numpy as np
import pytest

from detector.evidence import spectrum
from detector.evidence.base import EvidenceInput
from detector.images import read_image
from detector.results import Asserts, Trust
from tests import files


def found(data: bytes) -> dict[str, dict[str, object]]:
    image = read_image(data)
    evidence = spectrum.find(EvidenceInput(data, image.facts, image.rgb))
    assert all(e.asserts is Asserts.UNKNOWN and e.trust is Trust.INFERRED for e in evidence)
    assert all(e.caveat for e in evidence)
    return {e.kind: e.raw for e in evidence}


def test_images_too_small_to_measure_give_nothing() -> None:
    assert found(files.png(files.pixels(40, 40))) == {}


def test_the_profile_falls_for_a_smooth_image() -> None:
    profile = found(files.png(files.pixels(512, 512)))["radial_spectrum"]["profile_db"]
    assert len(profile) == 64
    assert profile[2] > profile[40]


@pytest.mark.parametrize("period", [3, 5])
def test_a_periodic_pattern_is_named_with_its_period(period: int) -> None:
    rgb = files.pixels(512, 512).astype(np.int16)
    rgb[:, ::period] += 12
    raw = found(files.png(np.clip(rgb, 0, 255).astype(np.uint8)))["spectral_lines"]
    assert any(abs(line["period_px"] - period) < 0.1 for line in raw["lines"])


def test_without_a_reference_band_the_evidence_says_so() -> None:
    raw = found(files.png(files.pixels(256, 256)))["radial_spectrum"]
    if spectrum.band(raw["stratum"]) is None:
        assert raw["reading"] == "no reference band for this kind of file"
    else:
        assert raw["reference_images"] > 0
