"""Gathers what a file says about its own origin, channel by channel; never a part of the score.

`gather` runs every channel of `CHANNELS` and every plug-in that is installed under the entry
point group "detector.evidence". A channel that fails becomes evidence that it failed, and the
others are not touched. No channel needs torch, and none uses the network.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import cast

import numpy as np

from detector.errors import DetectorError
from detector.evidence.base import HEADER_LIMITS, Channel, EvidenceInput, Example
from detector.evidence.text import clip, plain
from detector.evidence.trust import anchors
from detector.images import DecodedImage, read_header
from detector.plugins import EVIDENCE, points
from detector.results import Asserts, Evidence, FileFacts, Trust

__all__ = [
    "CHANNELS",
    "CHANNEL_FAILED",
    "PLUGIN_GROUP",
    "Channel",
    "EvidenceInput",
    "Example",
    "all_failed",
    "channel",
    "gather",
    "header_facts",
    "look",
    "plugins",
    "settings_hash",
]

PLUGIN_GROUP = EVIDENCE
CHANNEL_FAILED = "channel_failed"
# Raised whenever channels find other things than before, so that scans look again.
REVISION = 1

# In the order in which a reader meets them: signed claims, labels that the law demands, plain
# metadata, then what is measured.
CHANNELS: dict[str, str] = {
    "c2pa": "detector.evidence.c2pa",
    "aigc_label": "detector.evidence.aigc_label",
    "metadata": "detector.evidence.metadata",
    "watermark": "detector.evidence.watermark",
    "compression": "detector.evidence.compression",
    "spectrum": "detector.evidence.spectrum",
}


def gather(
    data: bytes,
    rgb: np.ndarray | None = None,
    facts: FileFacts | None = None,
    *,
    trust_list: str | None = None,
    may_decode: bool = True,
) -> list[Evidence]:
    """All evidence that one file carries, in the channels' order; never raises for bad files.

    Args:
        data: the file's bytes; may be no image at all.
        rgb: (H, W, 3) uint8 upright RGB, if the caller has decoded the file already.
        facts: the container's facts, if the caller has them.
        trust_list: PEM certificates that C2PA signers are checked against; None for those of
            the environment or of the package, see `detector.evidence.trust`.
        may_decode: whether the file may be decoded here when `rgb` is None.

    A channel that fails gives one piece of evidence of kind "channel_failed" that names the
    error. An empty list means that nothing was found, which says nothing about the image.
    """
    item = EvidenceInput(data, facts or header_facts(data), rgb, trust_list, may_decode)
    found: list[Evidence] = []
    for name, module in CHANNELS.items():
        found += _run(name, module, item)
    for name, point in plugins().items():
        # What others wrote is made as plain and as short as our own.
        found += [replace(e, channel=name, raw=dict(plain(e.raw))) for e in _run(name, point, item)]
    return found


def look(
    data: bytes, image: DecodedImage | None, *, trust_list: str | None = None
) -> tuple[Evidence, ...]:
    """As `gather`, for one who decodes by himself: never reads or decodes the file again.

    Args:
        data: the file's bytes.
        image: the decoded image; None when it cannot be decoded, and then no pixel is judged.
        trust_list: as in `gather`.
    """
    if image is None:
        return tuple(gather(data, trust_list=trust_list, may_decode=False))
    return tuple(gather(data, image.rgb, image.facts, trust_list=trust_list))


def all_failed(reason: str) -> tuple[Evidence, ...]:
    """What stands in place of a file's evidence when looking for it ended the whole process."""
    return (_failed("evidence", RuntimeError(reason)),)


def settings_hash(trust_list: str | None = None) -> str:
    """Names what evidence is gathered with: 16 hex digits that change when the answers may.

    They cover the channels' revision, the certificates, the plug-ins, and whether the extra
    for C2PA is installed. Raises `UsageError` when DETECTOR_TRUST_ANCHORS names no list.
    """
    if trust_list is None:
        default = anchors()
        trust_list = default.pem if default else ""
    parts = {
        "revision": REVISION,
        "trust_list": hashlib.sha256(trust_list.encode()).hexdigest(),
        "plugins": sorted(plugins()),
        "c2pa": importlib.util.find_spec("c2pa") is not None,
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def header_facts(data: bytes) -> FileFacts | None:
    """The container's facts within the limits of evidence; None when there are none to read."""
    try:
        return read_header(data, HEADER_LIMITS)
    except DetectorError:
        return None


def channel(name: str) -> Channel:
    """The built-in channel or plug-in of that name; raises KeyError, or whatever it raises."""
    return _load(name, CHANNELS[name] if name in CHANNELS else plugins()[name])


@lru_cache(maxsize=1)
def plugins() -> dict[str, EntryPoint]:
    """Installed plug-ins by name, not yet loaded; a built-in name cannot be taken."""
    return {name: p for name, p in points(PLUGIN_GROUP).items() if name not in CHANNELS}


def _load(name: str, where: str | EntryPoint) -> Channel:
    if isinstance(where, EntryPoint):
        return cast(Channel, where.load())
    return cast(Channel, importlib.import_module(where))


def _run(name: str, where: str | EntryPoint, item: EvidenceInput) -> list[Evidence]:
    try:
        found = list(_load(name, where).find(item))
        strange = next((e for e in found if not isinstance(e, Evidence)), None)
        if strange is not None:
            raise TypeError(f"the channel gave a {type(strange).__name__}, not Evidence")
    except Exception as error:  # noqa: BLE001 - one channel's fault must not lose the others
        return [_failed(name, error)]
    return found


def _failed(name: str, error: Exception) -> Evidence:
    return Evidence(
        kind=CHANNEL_FAILED,
        channel=name,
        asserts=Asserts.UNKNOWN,
        issuer="",
        trust=Trust.INFERRED,
        raw={"error": type(error).__name__, "detail": clip(str(error), 500)},
        caveat="This channel could not do its work; it says nothing about the image.",
    )
