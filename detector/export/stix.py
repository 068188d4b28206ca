"""Writes a campaign as a STIX 2.1 bundle.

What becomes what:

- every image with a hash: a File; every account, URL of the context table: a UserAccount, a URL;
  every post, and every image without one: an ObservedData;
- every verdict: a Note on the File, with the figures in a property extension (`EXTENSION_ID`);
- every same-image cluster, and the whole set: a Grouping; how a member was found: a Relationship;
- shares of generated pictures, links between accounts, gaps and suggested DISARM techniques:
  Notes, since they are readings and leads. Nothing here asserts a technique, an actor or a
  campaign; a Campaign object is made only when the caller names one;
- an Indicator only for an image that an analyst confirmed as generated, and an Opinion of the
  analysts on the Note of every image that they labelled;
- a Report over all of it.

Ids are the same in every run on the same data. Observables have the ids that STIX 2.1 defines;
all others are UUIDv5 in `NAMESPACE` of the store's name, the time of its first scan and what the
object is about. `created` is the time of the first scan and `modified` of the last, so that a
later scan makes new versions of the same objects, never of the present time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from detector.campaign.records import Campaign
from detector.errors import MissingExtraError, UsageError
from detector.export.files import writing
from detector.export.stix_base import EXTENSION_ID, NAMESPACE
from detector.export.stix_objects import Maker

__all__ = ["EXTENSION_ID", "NAMESPACE", "TLP", "bundle", "write"]

TLP = ("clear", "green", "amber", "red")


def write(
    campaign: Campaign,
    out: str,
    *,
    labels: Mapping[str, int] | None = None,
    thumbnails: Mapping[str, bytes] | None = None,
    name: str = "",
    tlp: str = "",
) -> int:
    """Write the bundle to a file, or to standard output for "-"; gives the number of objects.

    Args are those of `bundle`. Raises MissingExtraError without stix2, UsageError when the file
    cannot be written.
    """
    made = bundle(campaign, labels=labels, thumbnails=thumbnails, name=name, tlp=tlp)
    with writing(out) as stream:
        # stix2's own pretty printing takes minutes on thousands of objects.
        json.dump(json.loads(made.serialize()), stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    return len(made.objects)


def bundle(
    campaign: Campaign,
    *,
    labels: Mapping[str, int] | None = None,
    thumbnails: Mapping[str, bytes] | None = None,
    name: str = "",
    tlp: str = "",
) -> Any:
    """The campaign as a `stix2.Bundle`.

    Args:
        labels: by sha256, what an analyst confirmed: 1 for generated, 0 for real.
        thumbnails: WebP bytes by sha256; become Artifacts that derive from their Files.
        name: makes a Campaign object of that name, which says that there is one.
        tlp: a marking for every object: "clear", "green", "amber" or "red".
    """
    if tlp and tlp not in TLP:
        raise UsageError(f"no marking {tlp!r}: there are {', '.join(TLP)}")
    stix2 = _stix2()
    maker = Maker(stix2, campaign, tlp)
    maker.observables(thumbnails or {})
    maker.posts()
    maker.notes()
    maker.clusters()
    maker.links()
    maker.labels(labels or {})
    maker.suggestions()
    maker.whole(name)
    return maker.bundle()


def _stix2() -> ModuleType:
    try:
        import stix2
    except ImportError as error:
        raise MissingExtraError("STIX export", "campaign") from error
    module: ModuleType = stix2
    return module
