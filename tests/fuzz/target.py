"""What must hold for any bytes at all, however hostile."""

from __future__ import annotations

import json
import resource
import sys
import time
from functools import partial

from detector.evidence import CHANNEL_FAILED, look
from detector.images import Limits
from detector.preprocess import PreprocessConfig, prepare
from detector.results import Evidence, Status

SECONDS = 2.0
BYTES = 200 * 2**20
# Small, so that most of the time goes into reading structure and little into pixels.
_LIMITS = Limits(max_bytes=2**22, max_pixels=2**18, min_side=1)
_CONFIG = PreprocessConfig(size=32, native=1, whole=False)
# Linux counts in KiB, macOS in bytes.
_UNIT = 1 if sys.platform == "darwin" else 1024


class BrokenPromiseError(AssertionError):
    """A promise that these bytes break."""


def check(data: bytes) -> None:
    """Read a file as a scan does, and raise `BrokenPromiseError` for a promise that does not hold.

    Reading gives a status and never raises; every channel answers; evidence is plain JSON; all
    of it takes at most 2 s of this process's time and 200 MB more than before.
    """
    memory, begun = _peak(), time.process_time()
    prepared = prepare("", data, _CONFIG, limits=_LIMITS, look=partial(look))
    seconds, grown = time.process_time() - begun, _peak() - memory
    if (prepared.status is Status.OK) != (prepared.views is not None):
        raise BrokenPromiseError(f"status {prepared.status} and views do not fit together")
    if prepared.status is not Status.OK and not prepared.reason:
        raise BrokenPromiseError("no reason")
    if prepared.evidence is None:
        raise BrokenPromiseError("no evidence was looked for")
    for item in prepared.evidence:
        if not isinstance(item, Evidence) or item.kind == CHANNEL_FAILED:
            raise BrokenPromiseError(f"{item}")
        json.dumps(item.to_record(), allow_nan=False).encode()
    if seconds > SECONDS:
        raise BrokenPromiseError(f"{seconds:.1f} s")
    if grown > BYTES:
        raise BrokenPromiseError(f"{grown / 2**20:.0f} MB")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
