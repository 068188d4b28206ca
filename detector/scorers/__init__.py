"""Models as the rest of the package sees them: one interface, and one way to have one by name.

`load_scorer` takes what `--model` takes: nothing for the default bundle, a bundle's name or
folder, a plug-in of the group "detector.models" as NAME or NAME:LOCATION, or a folder that
`detector calibrate` wrote for such a plug-in.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from detector import plugins
from detector.errors import DetectorError
from detector.preprocess import Cutter, Prepared
from detector.results import Finding
from detector.scorers.overlay import OVERLAY_FILE, Calibrated, Overlay
from detector.weights import Bundle, load_bundle

__all__ = [
    "OVERLAY_FILE",
    "Calibrated",
    "HasPreprocess",
    "LazyDetector",
    "Overlay",
    "Scorer",
    "is_plugin",
    "load_scorer",
]


class HasPreprocess(Protocol):
    """The part of a bundle that worker processes need."""

    @property
    def preprocess(self) -> Cutter:
        """What turns an image into the model's views; picklable."""


class Scorer(Protocol):
    """A model: `detector.predict.Detector`, or a plug-in shaped like it."""

    @property
    def model_id(self) -> str:
        """Name and version of the model."""

    @property
    def config_hash(self) -> str:
        """Hash of all that can change a finding; results in a store are keyed by it."""

    @property
    def bundle(self) -> HasPreprocess:
        """Holds the preprocessing."""

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
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """Name and version of the model."""
        return self.bundle.id

    @property
    def config_hash(self) -> str:
        """Hash of all that can change a finding."""
        return self.bundle.config_hash

    def load(self) -> Scorer:
        """The detector itself; loads torch and the weights on the first call."""
        with self._lock:
            if self._detector is None:
                from detector.predict import Detector

                self._detector = Detector.load(self.bundle.path, threads=self._threads)
            return self._detector

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        """One finding per prepared file, in order."""
        return self.load().score_prepared(prepared, batch_size)


def load_scorer(model: str | Path | None = None, threads: int | None = None) -> Scorer:
    """The model of that name; its weights may still be unread when this returns.

    Args:
        model: as for `--model`, see the module. A folder that exists is a bundle, whatever its
            name; a plug-in's name comes before a shipped bundle's.
        threads: CPU threads of torch in this process; None leaves them as they are.

    Raises:
        BundleError: no such bundle or plug-in, or its config cannot be used.
        PluginError: the plug-in cannot be loaded, or failed to load its model.
    """
    if model is not None and (Path(model) / OVERLAY_FILE).is_file():
        overlay = Overlay.read(Path(model))
        return Calibrated(load_scorer(overlay.model, threads), overlay)
    if is_plugin(model):
        name, _, location = str(model).partition(":")
        return _from_plugin(name, location, threads)
    return LazyDetector(model, threads)


def is_plugin(model: str | Path | None) -> bool:
    """Whether `load_scorer` would ask a plug-in for this name."""
    return (
        isinstance(model, str)
        and not (Path(model) / "config.json").is_file()
        and model.partition(":")[0] in plugins.points(plugins.MODELS)
    )


def _from_plugin(name: str, location: str, threads: int | None) -> Scorer:
    factory = plugins.load(plugins.MODELS, name)
    try:
        scorer = factory(location)
        # Asked now, so that a plug-in of the wrong shape is told before any file is read.
        _ = (scorer.model_id, scorer.config_hash, scorer.bundle.preprocess.cut)
        _ = scorer.score_prepared
    except DetectorError:
        raise
    except Exception as error:
        raise plugins.PluginError(plugins.fault_of(plugins.MODELS, name, error)) from error
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return cast(Scorer, scorer)
