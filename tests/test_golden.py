"""A shipped bundle's scores on fixed images never change; a change needs a new version.

`python -m tests.test_golden BUNDLE` writes the file for a new bundle.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from detector import Detector
from detector.weights import installed_bundles, load_bundle
from tests import files

GOLDEN = Path(__file__).parent / "golden"


def images() -> dict[str, np.ndarray]:
    """Photographs that ship inside scikit-image, and one made here: upright (H, W, 3) uint8."""
    return {
        "astronaut": data.astronaut(),
        "coffee": data.coffee(),
        "cat": data.chelsea(),
        "camera": np.repeat(data.camera()[..., None], 3, axis=2),
        "made": files.pixels(150, 190, seed=11),
    }


def scores(bundle: str) -> dict[str, dict[str, object]]:
    detector = Detector.load(bundle)
    found = {name: detector.predict(rgb) for name, rgb in images().items()}
    return {
        name: {
            "score": finding.score,
            "crops": [crop.score for crop in finding.crops],
            "verdict": str(finding.verdict),
        }
        for name, finding in found.items()
    }


@pytest.mark.parametrize("bundle", installed_bundles())
def test_scores_are_those_of_the_release(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests have an empty home; the one that holds a borrowed tower is named apart.
    monkeypatch.setenv("DETECTOR_HOME", os.environ.get("DETECTOR_TEST_HOME", "/nonexistent"))
    if not load_bundle(bundle).usable:
        pytest.skip("needs `detector models add thorough` into the folder DETECTOR_TEST_HOME")
    # bfloat16 keeps three digits, and not every processor has it.
    loose = 20 if load_bundle(bundle).backbone else 1
    golden = json.loads((GOLDEN / f"{bundle}.json").read_text())
    for name, now in scores(bundle).items():
        # Processors differ in the last digits of a float32 sum, no more than this.
        assert now["score"] == pytest.approx(golden[name]["score"], abs=2e-3 * loose), name
        assert now["crops"] == pytest.approx(golden[name]["crops"], abs=5e-3 * loose), name
        assert now["verdict"] == golden[name]["verdict"], name


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for bundle_id in sys.argv[1:]:
        text = json.dumps(scores(bundle_id), indent=1) + "\n"
        (GOLDEN / f"{bundle_id}.json").write_text(text)
