"""The curves of a training run, as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from detector.errors import MissingExtraError


def plot_curves(log: Path, out: Path) -> None:
    """Draw a run's losses (smoothed) and validation AUCs over the steps.

    Args:
        log: the run's `log.jsonl`.
        out: PNG to write.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a picture of the training curves", "train") from error
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, aucs = figure.subplots(1, 2)
    for name in ("whole", "native", "distil"):
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            steps, values = np.array(points).T
            width = max(1, min(50, len(values) // 5))
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            losses.plot(steps[width - 1 :], smooth, label=name)
    for name in ("auc_whole", "auc_native", "auc_web_whole", "auc_web_native"):
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            aucs.plot(*np.array(points).T, marker="o", label=name.removeprefix("auc_"))
    for axes, title in ((losses, "training loss"), (aucs, "validation AUC")):
        axes.set_title(title)
        axes.set_xlabel("step")
        if axes.lines:
            axes.legend()
    figure.savefig(out, dpi=100)
