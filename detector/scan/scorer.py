"""The model as a scan sees it; the interface is that of `detector.scorers`."""

from __future__ import annotations

from detector.scorers import HasPreprocess, LazyDetector, Scorer, load_scorer

__all__ = ["HasPreprocess", "LazyDetector", "Scorer", "load_scorer"]
