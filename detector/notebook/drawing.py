"""The parts that the plots are drawn with: axes, dots, legends, pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detector.errors import MissingExtraError
from detector.html import NOT_SCORED, VERDICT_COLOURS, VERDICT_WORDS
from detector.names import one_line
from detector.results import Finding

LABEL_WORDS = {0: "real", 1: "generated"}
LABEL_COLOURS = {0: "#3a6073", 1: "#b5541c"}
UNKNOWN_COLOUR = "#888888"
# Shapes say what colours say, for readers who do not tell these colours apart.
_MARKERS = {
    VERDICT_COLOURS["likely_generated"]: "D",
    VERDICT_COLOURS["inconclusive"]: "s",
    LABEL_COLOURS[1]: "D",
}
_BIN = 0.2  # logits


def pyplot() -> Any:
    """matplotlib.pyplot; raises MissingExtraError without it."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise MissingExtraError("A plot", "notebook") from error
    return plt


def axes_or_new(ax: Any, size: tuple[float, float]) -> Any:
    """The axes given, or those of a new figure of that size in inches."""
    if ax is not None:
        return ax
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def picture(axes: Any, rgb: Any, title: str) -> None:
    """Show pixels without ticks."""
    axes.imshow(rgb)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9, loc="left")


def ratio_bar(axes: Any, scale: tuple[float, float]) -> None:
    """The colours of a heatmap beside it, named by likelihood ratio."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    from detector.explain import colours

    low, high = scale
    table = ListedColormap(colours.colours(np.linspace(low, high, 256)) / 255.0)
    bar = axes.figure.colorbar(ScalarMappable(Normalize(low, high), table), ax=axes, shrink=0.8)
    ratio = round(math.exp(high))
    bar.set_ticks([low, 0, high], labels=[f"1/{ratio}", "1", f"{ratio}"])
    bar.set_label("likelihood ratio of the piece", fontsize=8)


def rectangle(x: int, y: int, width: int, height: int) -> Any:
    """An outline of a box in pixels."""

    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor="#ffb000", linewidth=2)


def dots(
    points: Sequence[tuple[float, str]], row: int
) -> tuple[list[float], list[float], list[str]]:
    """Dots piled up around a row, the same every time; high piles are pressed together."""
    piles: dict[int, list[tuple[float, str]]] = {}
    for point in sorted(points):
        piles.setdefault(round(point[0] / _BIN), []).append(point)
    step = min(0.1, 0.8 / max(map(len, piles.values())))
    x, y, colours = [], [], []
    for pile in piles.values():
        for k, (score, colour) in enumerate(pile):
            x.append(score)
            y.append(row + (k - (len(pile) - 1) / 2) * step)
            colours.append(colour)
    return x, y, colours


def label_colour(label: int | None) -> str:
    """The colour of a label; grey for an unknown one."""
    return UNKNOWN_COLOUR if label is None else LABEL_COLOURS[label]


def keys(known: list[int | None] | None, scored: Sequence[tuple[int, Finding]]) -> dict[str, str]:
    """Words to colours, of what is in the plot."""
    if known is None:
        words = {str(f.verdict) for _, f in scored}
        return {VERDICT_WORDS[w]: VERDICT_COLOURS[w] for w in VERDICT_COLOURS if w in words}
    labels = {known[i] for i, _ in scored}
    keys = {LABEL_WORDS[k]: LABEL_COLOURS[k] for k in LABEL_WORDS if k in labels}
    return keys | ({"unknown": UNKNOWN_COLOUR} if None in labels else {})


def mark(axes: Any, x: list[float], y: list[float], colour: str, **options: Any) -> None:
    """Put dots of one colour, in the shape that belongs to it."""
    axes.scatter(x, y, c=colour, marker=_MARKERS.get(colour, "o"), s=16, linewidths=0, **options)


def legend(axes: Any, keys: Mapping[str, str]) -> None:
    """Name the colours in the upper left corner."""
    for word, colour in keys.items():
        mark(axes, [], [], colour, label=word)
    if keys:
        axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=1)


def wilson(share: float, number: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927) at an effective number of images."""
    z = 1.959964
    scale = 1 + z * z / number
    middle = share + z * z / (2 * number)
    half = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def title(finding: Finding) -> str:
    """Name, verdict word and score of a finding, on two lines."""
    word = VERDICT_WORDS[str(finding.verdict) if finding.verdict else NOT_SCORED]
    name = one_line(finding.path.rsplit("/", 1)[-1])
    score = "" if finding.score is None else f" {finding.score:+.2f}"
    return f"{name}\n{word}{score}"
