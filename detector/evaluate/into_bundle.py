"""Writes an evaluation into the bundle that it measured: config's `evaluation`, and the card.

What decides a finding is not touched, so the bundle's config hash stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.conditions import WHOLE_FILES
from detector.errors import UsageError
from detector.evaluate.job import EvaluationResult
from detector.evaluate.table import ScoreRow

# A stratum with fewer images of a class gets no rate for it.
LEAST_IMAGES = 20
BEGIN, END = "<!-- begin: detector evaluate -->", "<!-- end: detector evaluate -->"


def write_into_bundle(
    result: EvaluationResult, rows: Sequence[ScoreRow], tables: str, folder: Path
) -> None:
    """Put rates into `config.json` and tables into `MODEL_CARD.md`, between their marks.

    Args:
        result: of the bundle in `folder`.
        rows: the table of scores behind it.
        tables: Markdown, as `detector.evaluate.markdown.card` gives it.
        folder: of the bundle.

    Raises:
        UsageError: the bundle is another one, or its card has no place for the tables.
    """
    from detector.weights import load_bundle

    bundle = load_bundle(folder)
    if (bundle.id, bundle.config_hash) != (result.run.model, result.run.config_hash):
        raise UsageError(
            f"{folder}: is {bundle.id} ({bundle.config_hash}), but the evaluation is of "
            f"{result.run.model} ({result.run.config_hash})"
        )
    file = folder / "MODEL_CARD.md"
    card = file.read_text(encoding="utf-8") if file.is_file() else ""
    if BEGIN not in card or END not in card:
        raise UsageError(f"{file}: needs the lines {BEGIN} and {END} around the place of tables")
    before, after = card.split(BEGIN)[0], card.split(END)[1]
    file.write_text(f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}", encoding="utf-8")
    config = {**bundle.config, "evaluation": rates(result, rows)}
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def rates(result: EvaluationResult, rows: Sequence[ScoreRow]) -> dict[str, Any]:
    """Error rates at the frozen threshold, over the conditions of whole files and by stratum.

    Reports quote them for whole files; windows are judged worse, and count only where nothing else
    was measured.
    """
    conditions = [name for name in result.conditions if name in WHOLE_FILES]
    conditions = conditions or list(result.conditions)
    used = [r for r in rows if r.scored and r.split != "control" and r.condition in conditions]
    strata = sorted({row.stratum for row in used})
    by_stratum = {
        name: _rates([r for r in used if r.stratum == name], result.run.threshold)
        for name in strata
    }
    return {
        "measured_on": (
            f"{result.run.corpus}, {result.run.split}: sources that trained nothing, in the "
            f"conditions {', '.join(conditions)} ({result.run.date})"
        ),
        "overall": _rates(used, result.run.threshold),
        "strata": {k: v for k, v in by_stratum.items() if "fpr" in v or "tpr" in v},
    }


def _rates(rows: Sequence[ScoreRow], threshold: float) -> dict[str, Any]:
    found: dict[str, Any] = {"sources": len({row.source for row in rows})}
    for label, count, rate in ((0, "real", "fpr"), (1, "generated", "tpr")):
        own = [(r.key, r.score) for r in rows if r.label == label and r.score is not None]
        # An image in three conditions is still one image.
        found[count] = len({key for key, _ in own})
        if found[count] >= LEAST_IMAGES:
            found[rate] = round(sum(score >= threshold for _, score in own) / len(own), 4)
    return found
