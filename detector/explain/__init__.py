"""Where the CNN looked, whether its verdict holds, and how its score should be read.

`heatmap` and `stability` measure, `explain` puts all together; everything that they give is a
frozen value that needs no torch. Torch is loaded only when something is measured.
"""

from __future__ import annotations

from detector.explain.explanation import Explanation, Reading, explain, read
from detector.explain.looking import Seen, contributions, heatmap, look
from detector.explain.maps import Contribution, Heatmap, Layer
from detector.explain.stability import Stability, TreatedScore, settle, stability

__all__ = [
    "Contribution",
    "Explanation",
    "Heatmap",
    "Layer",
    "Reading",
    "Seen",
    "Stability",
    "TreatedScore",
    "contributions",
    "explain",
    "heatmap",
    "look",
    "read",
    "settle",
    "stability",
]
