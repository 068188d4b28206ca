"""Plots of a result set on matplotlib; each method draws into axes and returns them.

Scores always lie on the scale of `detector.html.SCALE` and verdicts always have the colours of
`detector.html.VERDICT_COLOURS`, so that two plots can be laid side by side. matplotlib comes
with the extra "notebook"; without a display it draws into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from detector import metrics
from detector.errors import BundleError, UsageError
from detector.html import SCALE, VERDICT_COLOURS
from detector.notebook import campaign_plots
from detector.notebook.drawing import (
    LABEL_COLOURS,
    axes_or_new,
    dots,
    keys,
    label_colour,
    legend,
    mark,
    picture,
    pyplot,
    ratio_bar,
    rectangle,
    title,
    wilson,
)
from detector.results import Finding

if TYPE_CHECKING:
    from detector.campaign.records import Campaign
    from detector.notebook.resultset import ResultSet

Labels = Sequence[int | None] | Mapping[str, int] | Callable[[Finding], int | None]
"""0 real, 1 generated, None unknown: a list as long as the results, a mapping from path, or a
function of a finding."""


class Plots:
    """The plots of one result set; see `ResultSet.plot`.

    Every method takes `ax`, existing axes to draw into; None makes a figure.
    """

    def __init__(self, results: ResultSet) -> None:
        self._results = results

    # Many images

    def scores(self, labels: Labels | None = None, *, ax: Any = None) -> Any:
        """Every score as a dot, one row a stratum, with the thresholds.

        The name of a row says how many images it holds and the false positive rate that was
        measured on real files of the kind. Scores beyond the scale stand at its end.

        Args:
            labels: colours the dots by what is known; by verdict without.
        """
        scored = [(i, f) for i, f in enumerate(self._results) if f.score is not None]
        known = labels_of(self._results, labels) if labels is not None else None
        rows: dict[str, list[tuple[float, str]]] = {}
        for i, finding in scored:
            colour = (
                VERDICT_COLOURS[str(finding.verdict)] if known is None else label_colour(known[i])
            )
            score = float(np.clip(finding.score or 0.0, *SCALE))
            rows.setdefault(str(finding.stratum), []).append((score, colour))
        names = sorted(rows, key=lambda name: (-len(rows[name]), name))
        axes = axes_or_new(ax, (8, 1.2 + 0.6 * max(1, len(names))))
        for place, name in enumerate(names):
            x, y, colours = dots(rows[name], place)
            for colour in sorted(set(colours)):
                own = [k for k, c in enumerate(colours) if c == colour]
                mark(axes, [x[k] for k in own], [y[k] for k in own], colour)
        axes.set_yticks(range(len(names)), [self._row_name(n, len(rows[n])) for n in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        self._score_axis(axes)
        legend(axes, keys(known, scored))
        axes.set_title(f"Scores of {len(scored):,} of {len(self._results):,} files", loc="left")
        return axes

    def reliability(self, labels: Labels, *, bins: int = 8, ax: Any = None) -> Any:
        """The stated probability against the share that was generated, with 95 % intervals.

        Both classes are weighed alike, as the probabilities are stated at a prior of one half.
        Intervals treat images as independent (Wilson 1927, at the effective number), which
        images of one source are not.

        Args:
            labels: what is known of the images.
            bins: number of equal steps of probability.

        Raises UsageError unless there are labelled images of both classes.
        """
        y, findings = self._labelled(labels)
        p = np.array([f.probability for f in findings], dtype=float)
        w = metrics.prior_weights(y)
        which = np.minimum((p * bins).astype(int), bins - 1)
        axes = axes_or_new(ax, (5.5, 5))
        axes.plot([0, 1], [0, 1], linestyle="--", color="#888888", linewidth=1)
        for place in range(bins):
            inside = which == place
            if not inside.any():
                continue
            share = float(np.average(y[inside], weights=w[inside]))
            effective = float(w[inside].sum() ** 2 / (w[inside] ** 2).sum())
            low, high = wilson(share, effective)
            middle = float(np.average(p[inside], weights=w[inside]))
            axes.plot([middle, middle], [low, high], color=LABEL_COLOURS[0], linewidth=1.5)
            axes.plot([middle], [share], "o", color=LABEL_COLOURS[0], clip_on=False)
            axes.annotate(
                f"{int(inside.sum())}", (middle, share), (6, -3), textcoords="offset points",
                fontsize=8,
            )  # fmt: skip
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="probability stated, at a prior of one half",
            ylabel="share generated, classes weighed alike",
        )
        axes.set_title(f"Reliability, {_numbers(y)}", loc="left")
        return axes

    def roc(self, labels: Labels, *, ax: Any = None) -> Any:
        """The share of generated images found against false alarms, with the operating points.

        Args:
            labels: what is known of the images.

        Raises UsageError unless there are labelled images of both classes.
        """
        y, findings = self._labelled(labels)
        scores = np.array([f.score for f in findings], dtype=float)
        curve = metrics.roc_curve(y, scores)
        axes = axes_or_new(ax, (5.5, 5))
        axes.plot([0, 1], [0, 1], linestyle="--", color="#888888", linewidth=1)
        axes.plot(curve.fpr, curve.tpr, color=LABEL_COLOURS[0], drawstyle="steps-post")
        for threshold, word, key in self._thresholds():
            fpr, tpr = metrics.rates_at(y, scores, threshold)
            axes.plot(
                [fpr], [tpr], "o", color=VERDICT_COLOURS[key], label=f"{word} {threshold:+.2f}"
            )
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            xlabel="false positive rate: real images at or above",
            ylabel="recall: generated images at or above",
        )
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", title="threshold", frameon=False)
        axes.set_title(f"AUC {metrics.auc(y, scores):.2f}, {_numbers(y)}", loc="left")
        return axes

    # One image

    def crops(self, index: int) -> Any:
        """What the CNN looked at: the image with its boxes, then every crop with its score.

        Returns an array of axes. Raises UsageError when the file was not scored.
        """
        finding = self._results[index]
        if not finding.crops:
            raise UsageError(f"{finding.path}: not scored, so there are no crops")
        rgb = self._results.rgb(index)
        count = len(finding.crops)
        _, all_axes = pyplot().subplots(
            1, count + 1, figsize=(2.6 * (count + 1), 3), layout="constrained", squeeze=False
        )
        axes = all_axes[0]
        picture(axes[0], rgb, title(finding))
        for crop, place in zip(finding.crops, axes[1:], strict=True):
            box = rectangle(crop.x, crop.y, crop.width, crop.height)
            axes[0].add_patch(box)
            cut = rgb[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
            picture(place, cut, f"{crop.view}, {crop.width} px: {crop.score:+.2f}")
        return axes

    def heatmap(
        self, index: int, *, view: str | None = None, ax: Any = None, **options: Any
    ) -> Any:
        """Where the score comes from, in colours that mean the same on every image.

        Orange speaks for generated and blue against it; hatched places have nothing to see. Loads
        the model.

        Args:
            index: of the finding.
            view: "native" for crops at the image's own resolution, "whole" for the reduced
                image; None for the first that the bundle has.
            options: further options of `detector.explain.heatmap`, such as `grid`.

        Raises ImageError when the file cannot be scored.
        """
        from detector.explain import heatmap

        found = heatmap(self._results.detector, self._results.path(index), **options)
        layer = found.layers[0] if view is None else found.layer(view)
        if layer is None:
            raise UsageError(f"{found.model} has no {view} view")
        axes = axes_or_new(ax, (6, 4.5))
        picture(axes, found.overlay(self._results.rgb(index), layer.view), "")
        axes.set_title(f"{title(self._results[index])}, {layer.view} view", loc="left", fontsize=9)
        axes.set_xlabel(fill(layer.meaning, 60), fontsize=8)
        ratio_bar(axes, found.scale)
        return axes

    def spectrum(self, index: int, *, ax: Any = None) -> Any:
        """The image's radial power spectrum against the band of real images saved alike.

        The band holds 90 % of the reference images, bin by bin; a picture outside it is unusual,
        which blur, noise reduction and drawings are too.

        Raises UsageError when the image is too small for a spectrum.
        """
        from detector.evidence import spectrum

        raw = self._spectrum(index)
        profile = np.array(raw["profile_db"], dtype=float)
        at = (np.arange(profile.size) + 0.5) / profile.size / 2
        axes = axes_or_new(ax, (7, 4))
        band = spectrum.band(raw["stratum"])
        words = "no reference band for this kind of file"
        if band is not None:
            words = f"90 % of {band['images']:,} real images of {band['sources']} sources"
            axes.fill_between(
                at, band["low"], band["high"], color="#3a6073", alpha=0.25, label=words
            )
        axes.plot(at, profile, color=LABEL_COLOURS[1], label="this image")
        axes.set(xlim=(0, 0.5), xlabel="frequency, cycles per pixel", ylabel="log power, dB")
        axes.legend(frameon=False, title=None if band else words)
        axes.set_title(
            f"{title(self._results[index])}\nkind of file: {raw['stratum']}",
            loc="left",
            fontsize=9,
        )
        return axes

    # A campaign

    def clusters(self, campaign: Campaign, *, most: int = 6) -> Any:
        """A sheet of the largest same-image clusters; see `campaign_plots.cluster_sheet`."""
        return campaign_plots.cluster_sheet(campaign, self._results.thumbnails(), most=most)

    def timeline(self, campaign: Campaign, *, ax: Any = None) -> Any:
        """Posts by day or week and verdict; see `campaign_plots.timeline`."""
        return campaign_plots.timeline(campaign, axes_or_new(ax, (8, 3)))

    def prevalence(self, campaign: Campaign, by: str = "account", *, ax: Any = None) -> Any:
        """The corrected share of generated pictures; see `campaign_plots.prevalence`."""
        return campaign_plots.prevalence(campaign, by, ax)

    # Inside

    def _labelled(self, labels: Labels) -> tuple[Any, list[Finding]]:
        known = labels_of(self._results, labels)
        pairs = [
            (label, finding)
            for label, finding in zip(known, self._results, strict=True)
            if label is not None and finding.score is not None
        ]
        y = np.array([label for label, _ in pairs], dtype=int)
        if not (y == 0).any() or not (y == 1).any():
            raise UsageError("labelled and scored images of both classes, 0 and 1, are needed")
        return y, [finding for _, finding in pairs]

    def _thresholds(self) -> list[tuple[float, str, str]]:
        try:
            limits = self._results.bundle.thresholds
        except (BundleError, UsageError):
            return []
        return [
            (limits.inconclusive, "inconclusive from", "inconclusive"),
            (limits.likely_generated, "likely generated from", "likely_generated"),
        ]

    def _score_axis(self, axes: Any) -> None:
        for threshold, _, key in self._thresholds():
            axes.axvline(threshold, color=VERDICT_COLOURS[key], linestyle="--", linewidth=1)
        axes.set_xlim(SCALE[0] - 0.2, SCALE[1] + 0.2)
        axes.set_xlabel("score (logit); dashed: where the verdict changes")

    def _row_name(self, stratum: str, count: int) -> str:
        try:
            measured = self._results.bundle.config.get("evaluation", {})
        except (BundleError, UsageError):
            measured = {}
        rates = measured.get("strata", {}).get(stratum, {})
        if rates.get("fpr") is None:
            return f"{stratum}, {count}\nerror rate not measured"
        return f"{stratum}, {count}\nFPR {rates['fpr']:.1%} on {rates['real']} real"

    def _spectrum(self, index: int) -> dict[str, Any]:
        stored = [e for e in self._results.evidence(index) if e.kind == "radial_spectrum"]
        if not stored or "profile_db" not in stored[0].raw:
            raise UsageError(f"{self._results[index].path}: no spectrum (under 64 pixels?)")
        return stored[0].raw


def labels_of(results: ResultSet, labels: Labels) -> list[int | None]:
    """The labels of a result set in its order; raises UsageError for another length or value."""
    if isinstance(labels, Mapping):
        found = [labels.get(f.path, labels.get(results.path(i))) for i, f in enumerate(results)]
    elif callable(labels):
        found = [labels(f) for f in results]
    else:
        found = [None if label is None else int(label) for label in labels]
    if len(found) != len(results):
        raise UsageError(f"{len(found)} labels for {len(results)} results")
    if not set(found) <= {0, 1, None}:
        raise UsageError("labels are 0 (real), 1 (generated) or None (unknown)")
    return found


def _numbers(y: Any) -> str:
    return f"{int((y == 0).sum()):,} real, {int((y == 1).sum()):,} generated"
