"""Plots of a campaign: cluster sheet, timeline, corrected shares."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from detector.errors import UsageError
from detector.html import VERDICT_COLOURS, VERDICT_WORDS
from detector.names import one_line

if TYPE_CHECKING:
    from detector.campaign.records import Campaign

_COLUMNS = 6


def cluster_sheet(campaign: Campaign, thumbnails: Mapping[str, bytes], *, most: int = 6) -> Any:
    """The largest same-image clusters, one a row, with why each image is in.

    Args:
        campaign: as `detector.campaign.build` makes it.
        thumbnails: WebP previews by sha256.
        most: how many clusters.

    Returns an array of axes, (clusters, 6). Raises UsageError when there is no cluster.
    """
    from detector.notebook.drawing import pyplot

    chosen = sorted(campaign.clusters, key=lambda c: (-c.posts, -len(c.members), c.id))[:most]
    if not chosen:
        raise UsageError("no two images of this campaign show the same picture")
    _, axes = pyplot().subplots(
        len(chosen),
        _COLUMNS,
        figsize=(1.7 * _COLUMNS, 2.0 * len(chosen)),
        layout="constrained",
        squeeze=False,
    )
    for row, cluster in zip(axes, chosen, strict=True):
        for place in row:
            place.axis("off")
        for place, member in zip(row, cluster.members, strict=False):
            data = thumbnails.get(member.sha256)
            if data:
                place.imshow(_pixels(data))
            place.set_title(_why(member), fontsize=8)
        more = len(cluster.members) - _COLUMNS
        rest = f", {more} more" if more > 0 else ""
        words = f"{cluster.id}: {cluster.posts} posts, {len(cluster.accounts)} accounts{rest}"
        row[0].text(0, -0.12, words, transform=row[0].transAxes, fontsize=8, va="top")
    return axes


def timeline(campaign: Campaign, axes: Any) -> Any:
    """Posts of each day or week, stacked by verdict.

    Raises UsageError when no post has a date.
    """
    bins = campaign.timeline
    if not bins:
        raise UsageError("no post of this campaign has a date: give a context table")
    bottom = [0] * len(bins)
    parts = {
        "no_sign": [b.no_sign for b in bins],
        "inconclusive": [b.inconclusive for b in bins],
        "likely_generated": [b.flagged for b in bins],
        "not_scored": [b.failed for b in bins],
    }
    width = min(b.days for b in bins) * 0.9
    for word, counts in parts.items():
        if not any(counts):
            continue
        axes.bar(
            [b.start for b in bins],
            counts,
            width=width,
            bottom=bottom,
            align="edge",
            color=VERDICT_COLOURS[word],
            label=VERDICT_WORDS[word],
        )
        bottom = [a + b for a, b in zip(bottom, counts, strict=True)]
    axes.set_ylabel("posts a day" if bins[0].days == 1 else "posts a week")
    axes.legend(fontsize=8, frameon=False)
    axes.tick_params(axis="x", rotation=30)
    return axes


def prevalence(campaign: Campaign, by: str, ax: Any = None) -> Any:
    """The share of generated pictures by group, corrected for error rates, with intervals.

    Args:
        campaign: as `detector.campaign.build` makes it.
        by: "all", "account", "platform", "language" or "week".
        ax: axes to draw into; None makes a figure.

    A group of which only bounds can be given is a grey line without a dot. Raises UsageError
    when the campaign has no such groups.
    """
    from detector.notebook.drawing import axes_or_new

    groups = [p for p in campaign.prevalence if p.by == by]
    if not groups:
        raise UsageError(f"this campaign has no shares by {by!r}")
    axes = axes_or_new(ax, (7, 1 + 0.35 * len(groups)))
    for place, group in enumerate(groups):
        colour = "#888888" if group.bounds_only else "#6b3a8c"
        axes.plot([group.low, group.high], [place, place], color=colour, linewidth=2)
        if group.estimate is not None:
            axes.plot([group.estimate], [place], "o", color=colour)
    names = [f"{one_line(g.group) or 'all'} ({g.pictures} pictures)" for g in groups]
    axes.set_yticks(range(len(groups)), names)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(groups) - 0.5, -0.5))
    axes.set_xlabel(
        f"share generated, corrected; interval {groups[0].level:.0%}; grey: bounds only"
    )
    return axes


def _why(member: Any) -> str:
    if member.by == "pdq" and member.distance is not None:
        return f"PDQ distance {member.distance}"
    if member.by == "features" and member.inliers is not None:
        return f"{member.inliers} points fit"
    return str(member.by)


def _pixels(data: bytes) -> Any:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
