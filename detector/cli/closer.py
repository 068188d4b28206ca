"""Heatmaps and stability for the highest images of a campaign, from the original files."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from detector.errors import DetectorError

if TYPE_CHECKING:
    from detector.campaign.records import Campaign, Item
    from detector.report import Overlay
    from detector.report.heatmaps import StabilityLike
    from detector.store import Store
    from detector.weights import Bundle


@dataclass
class Closer:
    """What was looked at more closely, by sha256."""

    heatmaps: dict[str, Overlay] = field(default_factory=dict)
    stability: dict[str, StabilityLike] = field(default_factory=dict)


def look_closer(
    campaign: Campaign,
    store: Store,
    bundle: Bundle | None,
    heatmaps: int,
    stability: int,
    blur: bool = False,
) -> Closer:
    """Explain the images with the highest scores whose files still hold the same bytes.

    Args:
        heatmaps, stability: for how many images; 0 loads no model.
        blur: whether faces in the heatmaps' pictures are made unrecognisable.

    An image that cannot be explained is named on standard error and left out.
    """
    found = Closer()
    if bundle is None or not (heatmaps or stability):
        return found
    from detector.explain import heatmap, look
    from detector.explain import stability as measure
    from detector.predict import Detector
    from detector.redact import Redactor
    from detector.report import overlay

    detector = Detector.load(bundle.path)
    redactor = Redactor() if blur else None
    for item, data in _originals(campaign, store, max(heatmaps, stability)):
        sha256 = item.finding.sha256
        try:
            seen = look(detector, data)
            if len(found.heatmaps) < heatmaps and seen.image is not None:
                rgb = seen.image.rgb
                made = heatmap(detector, seen)
                rgb = rgb if redactor is None else redactor.image(rgb)
                found.heatmaps[sha256] = overlay(made, rgb)
            if len(found.stability) < stability:
                found.stability[sha256] = measure(detector, seen)
        except DetectorError as error:
            print(f"not explained: {item.finding.path}: {error}", file=sys.stderr)
    return found


def _originals(campaign: Campaign, store: Store, most: int) -> Iterator[tuple[Item, bytes]]:
    """The images with the highest scores, at most so many, with their unaltered bytes."""
    from detector.images import read_bytes

    places = dict(store.locations())
    scored = [item for item in campaign.items if item.finding.score is not None]
    scored.sort(key=lambda item: (-(item.finding.score or 0.0), item.finding.sha256))
    left = most
    for item in scored:
        if not left:
            return
        for path in item.paths:
            try:
                data = read_bytes(places.get(path, path))
            except DetectorError:
                continue  # gone or unreadable since the scan; another path may have it
            if hashlib.sha256(data).hexdigest() == item.finding.sha256:
                left -= 1
                yield item, data
                break
