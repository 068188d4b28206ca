"""Weights to tables: how well a model holds on sources that it never saw.

`evaluate` scores a corpus or benchmark under the format conditions and a robustness sweep;
`figures_of` computes every figure from the table of scores, so that nothing has to be scored
twice. `markdown.card` and `plots.draw` show them; `detector evaluate` does all of it.
"""

from __future__ import annotations

from detector.evaluate.job import (
    EvaluationResult,
    Plan,
    Run,
    evaluate,
    figures_of,
    load,
    pick,
    save,
    score_samples,
)

__all__ = [
    "EvaluationResult",
    "Plan",
    "Run",
    "evaluate",
    "figures_of",
    "load",
    "pick",
    "save",
    "score_samples",
]
