"""What a worker process of the service does with one upload; loads no torch.

Bytes travel to the worker as a file in a folder that only this user can enter. The worker
removes it as soon as it has read it, before it decodes anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import ImageError
from detector.evidence import gather
from detector.images import Limits, read_image
from detector.preprocess import Cutter, Prepared
from detector.results import Evidence, Status


@dataclass(frozen=True)
class Ticket:
    """One upload on its way to a worker.

    Attributes:
        number: of the upload.
        file: where its bytes are.
        name: the client's name for it, "" when it gave none.
        evidence: whether the file is asked what it says of its origin.
        pixels: whether the decoded pixels are wanted back, for a heatmap.
    """

    number: int
    file: Path
    name: str
    evidence: bool
    pixels: bool


@dataclass(frozen=True)
class Decoded:
    """What came of one upload in the worker.

    Attributes:
        prepared: its views, or why there are none.
        evidence: what the file says of its origin; None when it was not asked.
        rgb: (H, W, 3) uint8 upright RGB, if it was wanted and could be decoded.
    """

    prepared: Prepared
    evidence: tuple[Evidence, ...] | None = None
    rgb: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Decoder:
    """A picklable function of a ticket."""

    config: Cutter
    limits: Limits

    def __call__(self, ticket: Ticket) -> Decoded:
        """Read, decode, cut, and ask the file; a bad file gives a status, never an error."""
        cv2.setNumThreads(1)
        data = ticket.file.read_bytes()
        ticket.file.unlink()
        return examine(data, ticket, self.config, self.limits)


def examine(data: bytes, ticket: Ticket, config: Cutter, limits: Limits) -> Decoded:
    """The views and the evidence of one file's bytes, from one decoding."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image = read_image(data, limits)
        views = config.cut(image.rgb)
    except ImageError as error:
        prepared = Prepared(ticket.name, sha256, error.status, error.reason)
        # Even a damaged file may say what made it; its pixels are not asked.
        found = tuple(gather(data, may_decode=False)) if ticket.evidence else None
        return Decoded(prepared, found)
    except MemoryError:
        reason = "not enough memory to decode this file"
        return Decoded(Prepared(ticket.name, sha256, Status.FAILED, reason))
    prepared = Prepared(
        ticket.name, sha256, Status.OK, "", image.facts, views, image.notes + views.notes
    )
    found = tuple(gather(data, image.rgb, image.facts)) if ticket.evidence else None
    return Decoded(prepared, found, image.rgb if ticket.pixels else None)
