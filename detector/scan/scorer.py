"""The model as a scan sees it: an interface, and the detector that loads itself when needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from detector.preprocess import Prepared, PreprocessConfig
from detector.results import Finding
from detector.weights import Bundle, load_bundle


class HasPreprocess(Protocol):
    """The part of a bundle that the workers need."""

    @property
    def preprocess(self) -> PreprocessConfig:
        """Which views to cut."""


class Scorer(Protocol):
    """The part of `detector.predict.Detector` that a scan uses."""

    @property
    def model_id(self) -> str:
        """Name and version of the model."""

    @property
    def config_hash(self) -> str:
        """Hash of all that can change a finding."""

    @property
    def bundle(self) -> HasPreprocess:
        """The model's bundle."""

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = ...) -> list[Finding]:
        """One finding per prepared file, in order."""


class LazyDetector:
    """A `Scorer` that loads torch and the weights only when there is something to score.

    A second scan of an unchanged folder never does.
    """

    def __init__(self, model: str | Path | None = None, threads: int | None = None) -> None:
        self.bundle: Bundle = load_bundle(model)
        self._threads = threads
        self._detector: Scorer | None = None

    @property
    def model_id(self) -> str:
        """Name and version of the model."""
        return self.bundle.id

    @property
    def config_hash(self) -> str:
        """Hash of all that can change a finding."""
        return self.bundle.config_hash

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        """One finding per prepared file, in order."""
        if self._detector is None:
            from detector.predict import Detector

            self._detector = Detector.load(self.bundle.path, threads=self._threads)
        return self._detector.score_prepared(prepared, batch_size)
