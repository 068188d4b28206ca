"""What a scan's worker process does with one file: hash it, look it up, and only then decode it.

The bytes are read once and decoded once, for the CNN's views and for the evidence alike. Nothing
here loads torch: a worker stays small, and starts fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2

from detector import evidence
from detector.errors import ImageError
from detector.explain.stability import treated
from detector.images import DEFAULT_LIMITS, DecodedImage, Limits, read_bytes, read_image
from detector.preprocess import Cutter, Look, Prepared, prepare
from detector.results import Evidence, Status
from detector.store import Store


class Known(NamedTuple):
    """A file whose bytes have a result already; its evidence, if only that was missing."""

    path: str
    sha256: str
    evidence: tuple[Evidence, ...] | None = None


class Suspect(NamedTuple):
    """A file that ended a worker. Where it is read again, its evidence is not looked for."""

    path: str
    reason: str


class Doubt(NamedTuple):
    """A file whose verdict is in question: it is read once more, and treated."""

    path: str
    sha256: str


class Copies(NamedTuple):
    """A file's treated copies, in the order of `detector.explain.stability.TREATMENTS`."""

    copies: tuple[Prepared, ...]


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
        settings: names what evidence is gathered with; None for no evidence.
        trust_list: PEM certificates for C2PA signers, see `detector.evidence.gather`.
    """

    store: Path
    model: str
    config_hash: str
    config: Cutter
    limits: Limits = DEFAULT_LIMITS
    thumbnail_side: int | None = 256
    look_up: bool = True
    prepare: Callable[..., Prepared] = prepare
    settings: str | None = None
    trust_list: str | None = None

    def __call__(self, task: str | Suspect | Doubt) -> Known | Prepared | Copies:
        """Read one file; gives `Known` when its bytes have a result, else the prepared file.

        A `Doubt` gives its treated copies. It raises ImageError when the file cannot be read any
        more, and is not what it was.
        """
        # The workers share the machine; OpenCV's own threads would only get in their way.
        cv2.setNumThreads(1)
        if isinstance(task, Doubt):
            return self._treated(task)
        path = path_of(task)
        try:
            data = read_bytes(path)
        except ImageError as error:
            return Prepared(path, "", error.status, error.reason)
        sha256 = hashlib.sha256(data).hexdigest()
        is_known, has_evidence = self._look_up(sha256)
        look = None if has_evidence else self._look(task)
        if is_known:
            return Known(path, sha256, None if look is None else self._only_evidence(data, look))
        side = self.thumbnail_side
        return self.prepare(
            path, data, self.config, limits=self.limits, thumbnail_side=side, look=look
        )

    def _treated(self, task: Doubt) -> Copies:
        data = read_bytes(task.path)
        if hashlib.sha256(data).hexdigest() != task.sha256:
            raise ImageError(Status.FAILED, "the file has changed meanwhile")
        rgb = read_image(data, self.limits).rgb
        return Copies(tuple(treated(rgb, self.config, self.limits)))

    def _look_up(self, sha256: str) -> tuple[bool, bool]:
        """Whether the store has a result and evidence that need no new look."""
        if not self.look_up:
            return False, self.settings is None
        with Store.open(self.store, readonly=True) as store:
            known = bool(store.known([sha256], self.model, self.config_hash))
            return known, self.settings is None or store.has_evidence(sha256, self.settings)

    def _look(self, task: str | Suspect) -> Look:
        if isinstance(task, Suspect):
            return partial(_blame, task.reason)
        return partial(evidence.look, trust_list=self.trust_list)

    def _only_evidence(self, data: bytes, look: Look) -> tuple[Evidence, ...]:
        try:
            return tuple(look(data, read_image(data, self.limits)))
        except ImageError:
            return tuple(look(data, None))


def path_of(task: str | Suspect | Doubt) -> str:
    """The file that a task is about."""
    return task if isinstance(task, str) else task.path


def _blame(reason: str, data: bytes, image: DecodedImage | None) -> tuple[Evidence, ...]:
    return evidence.all_failed(reason)
