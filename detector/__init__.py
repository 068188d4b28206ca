"""Says which images are likely diffusion-generated, how sure that is, and why.

The public names are loaded on first use, so that `import detector` costs no torch. `scan`,
`explain`, `campaign`, `evidence` and `notebook` are modules: `from detector.notebook import scan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.errors import DetectorError, ImageError
from detector.results import (
    Asserts,
    CropScore,
    Evidence,
    FileFacts,
    Finding,
    Status,
    Stratum,
    Trust,
    Verdict,
)

if TYPE_CHECKING:
    from detector.evidence import gather as gather_evidence
    from detector.predict import Detector
    from detector.weights import load_bundle

__version__ = "0.1.0"

__all__ = [
    "Asserts",
    "CropScore",
    "Detector",
    "DetectorError",
    "Evidence",
    "FileFacts",
    "Finding",
    "ImageError",
    "Status",
    "Stratum",
    "Trust",
    "Verdict",
    "__version__",
    "gather_evidence",
    "load_bundle",
]

# name: module, name in it.
_LAZY = {
    "Detector": ("detector.predict", "Detector"),
    "gather_evidence": ("detector.evidence", "gather"),
    "load_bundle": ("detector.weights", "load_bundle"),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        module, inside = _LAZY[name]
        return getattr(import_module(module), inside)
    raise AttributeError(f"module 'detector' has no attribute {name!r}")
