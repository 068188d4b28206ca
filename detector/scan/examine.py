"""What a scan's worker process does with one file: hash it, look it up, and only then decode it.

Nothing here loads torch: a worker stays small, and starts fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2

from detector.errors import ImageError
from detector.images import DEFAULT_LIMITS, Limits, read_bytes
from detector.preprocess import Prepared, PreprocessConfig, prepare
from detector.store import Store


class Known(NamedTuple):
    """A file whose bytes have a result already."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Examiner:
    """A picklable function of a path, with all that a worker has to know.

    Attributes:
        store: the result database, read only.
        model, config_hash: whose results count as known.
        config: which views to cut.
        limits: bounds on bytes and pixels.
        thumbnail_side: longest side of the thumbnail; None for none.
        look_up: whether known bytes are passed over; False scores everything again.
        prepare: as `detector.preprocess.prepare`.
    """

    store: Path
    model: str
    config_hash: str
    config: PreprocessConfig
    limits: Limits = DEFAULT_LIMITS
    thumbnail_side: int | None = 256
    look_up: bool = True
    prepare: Callable[..., Prepared] = prepare

    def __call__(self, path: str) -> Known | Prepared:
        """Read one file; gives `Known` when its bytes have a result, else the prepared file."""
        # The workers share the machine; OpenCV's own threads would only get in their way.
        cv2.setNumThreads(1)
        try:
            data = read_bytes(path)
        except ImageError as error:
            return Prepared(path, "", error.status, error.reason)
        sha256 = hashlib.sha256(data).hexdigest()
        if self.look_up and self._is_known(sha256):
            return Known(path, sha256)
        return self.prepare(
            path, data, self.config, limits=self.limits, thumbnail_side=self.thumbnail_side
        )

    def _is_known(self, sha256: str) -> bool:
        with Store.open(self.store, readonly=True) as store:
            return bool(store.known([sha256], self.model, self.config_hash))
