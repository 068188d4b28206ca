"""Pictures of an evaluation, drawn without a display; matplotlib from the extra `train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from detector import metrics
from detector.errors import MissingExtraError
from detector.evaluate.figures import columns
from detector.evaluate.job import EvaluationResult
from detector.evaluate.scoring import TEST
from detector.evaluate.table import ScoreRow
from detector.metrics import Rate

_LEAST_FPR = 1e-3


def draw(result: EvaluationResult, rows: Sequence[ScoreRow], folder: Path) -> list[Path]:
    """Write the plots as PNG files and return their paths.

    ROC curves (FPR on a logarithmic axis), histograms of scores, reliability, FPR by kind and
    recall by generator, and the sweep where there was one.
    """
    plots: dict[str, Callable[[Any], None]] = {
        "roc.png": lambda axes: _roc(axes, result, rows),
        "scores.png": lambda axes: _scores(axes, result, rows),
        "reliability.png": lambda axes: _reliability(axes, result),
        "fpr_by_kind.png": lambda axes: _bars(
            axes, {n: f.fpr_by_kind for n, f in result.conditions.items()}, "false positive rate"
        ),
        "recall_by_generator.png": lambda axes: _bars(
            axes, {n: f.recall_by_generator for n, f in result.conditions.items()}, "recall"
        ),
    }
    if result.sweep:
        plots["sweep.png"] = lambda axes: _sweep(axes, result)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in plots.items():
        figure = _figure()
        axes = figure.add_subplot()
        plot(axes)
        axes.set_title(f"{result.run.model}, {result.run.corpus} {result.run.split}", fontsize=9)
        figure.savefig(folder / name)
        written.append(folder / name)
    return written


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing plots", "train") from error
    return Figure(figsize=(7, 5), dpi=110, layout="constrained")


def _rows_of(rows: Sequence[ScoreRow], condition: str) -> list[ScoreRow]:
    return [r for r in rows if r.condition == condition and r.split == TEST and r.scored]


def _roc(axes: Any, result: EvaluationResult, rows: Sequence[ScoreRow]) -> None:
    for name, figures in result.conditions.items():
        curve = metrics.roc_curve(*columns(_rows_of(rows, name)))
        axes.plot(
            curve.fpr.clip(_LEAST_FPR),
            curve.tpr,
            drawstyle="steps-post",
            label=f"{name}, AUC {figures.every.auc.value:.3f}",
        )
    axes.set(xscale="log", xlim=(_LEAST_FPR, 1), ylim=(0, 1), xlabel="FPR", ylabel="TPR")
    axes.grid(alpha=0.3)
    axes.legend()


def _scores(axes: Any, result: EvaluationResult, rows: Sequence[ScoreRow]) -> None:
    name = next(iter(result.conditions))
    labels, scores = columns(_rows_of(rows, name))
    for label, word in ((0, "real"), (1, "generated")):
        axes.hist(scores[labels == label], bins=40, density=True, alpha=0.5, label=word)
    axes.axvline(result.run.threshold, color="black", linestyle="--", label="threshold")
    axes.set(xlabel=f"score, {name}", ylabel="density")
    axes.legend()


def _reliability(axes: Any, result: EvaluationResult) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, figures in result.conditions.items():
        stated = [stated for stated, _, _ in figures.calibrated.bins]
        observed = [observed for _, observed, _ in figures.calibrated.bins]
        ece = figures.calibrated.ece.value
        axes.plot(stated, observed, marker="o", label=f"{name}, ECE {ece:.3f}")
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="stated probability at a prior of one half",
        ylabel="share of generated images, classes weighed alike",
    )
    axes.legend()


def _bars(axes: Any, by_condition: Mapping[str, Mapping[str, Rate]], what: str) -> None:
    names = list(dict.fromkeys(n for rates in by_condition.values() for n in rates))[:25]
    height = 0.8 / max(len(by_condition), 1)
    for place, (condition, rates) in enumerate(by_condition.items()):
        known = [(i, rates[name]) for i, name in enumerate(names) if name in rates]
        at = [i + place * height for i, _ in known]
        values = [rate.rate for _, rate in known]
        spread = _spread([(rate.rate, rate.low, rate.high) for _, rate in known])
        error = {"elinewidth": 0.7, "alpha": 0.7}
        axes.barh(at, values, height, xerr=spread, label=condition, error_kw=error)
    middle = [i + 0.4 - height / 2 for i in range(len(names))]
    axes.set_yticks(middle, names, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=f"{what} at the frozen threshold")
    axes.legend(fontsize=8)


def _sweep(axes: Any, result: EvaluationResult) -> None:
    names = list(result.sweep)
    for attribute, word in (("auc", "AUC"), ("recall", "recall"), ("fpr", "FPR")):
        values = [getattr(subset, attribute) for subset in result.sweep.values()]
        axes.errorbar(
            names,
            [v.value for v in values],
            _spread([(v.value, v.low, v.high) for v in values]),
            marker="o",
            linestyle="",
            elinewidth=0.7,
            label=word,
        )
    axes.tick_params(axis="x", rotation=90, labelsize=7)
    axes.set(ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()


def _spread(values: Sequence[tuple[float, float, float]]) -> list[list[float]]:
    """Lengths of error bars; a percentile interval need not hold the figure itself."""
    return [
        [max(0.0, value - low) for value, low, _ in values],
        [max(0.0, high - value) for value, _, high in values],
    ]
