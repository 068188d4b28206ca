"""Says which images are likely diffusion-generated, how sure that is, and why.

The public names are loaded on first use, so that `import detector` costs no torch.
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
    from detector.predict import Detector

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
]


def __getattr__(name: str) -> Any:
    if name == "Detector":
        from detector.predict import Detector

        return Detector
    raise AttributeError(f"module 'detector' has no attribute {name!r}")
