"""The tables of an evaluation as Markdown, ready for a model card."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from detector.evaluate.control import BIASED_ABOVE
from detector.evaluate.figures import ConditionFigures, Small, Subset
from detector.evaluate.job import EvaluationResult, Run
from detector.metrics import Interval, Rate

# The bootstrap is too narrow with fewer sources than this (see `metrics.bootstrap`).
_FEW_SOURCES = 10
# A kind of real image flagged this many times as often as promised is set in bold type.
_GUARD = 3
# A single source is listed by name only when it tells something: many images, wrongly judged.
_LEAST_OF_SOURCE = 10
_WORST_SOURCES = 10


def card(result: EvaluationResult) -> str:
    """The whole evaluation: how to repeat it, every table, and what is wrong with it."""
    figures = list(result.conditions.values())
    matched = [(f.condition, f.matched) for f in figures if f.matched is not None]
    parts = [
        "## Evaluation",
        _header(result.run, figures),
        _warnings(figures),
        "### Main figures",
        "Intervals are 95 % by bootstrap over sources, not images. TPR is the best that any "
        "threshold reaches within the FPR, without interpolation; recall, FPR and balanced "
        f"accuracy are at the frozen threshold {result.run.threshold:+.3f}.",
        _subset_table("condition", [(f.condition, f.every) for f in figures]),
        "### Matched content",
        "Only sources that hold real and generated images of the same subjects."
        if matched
        else "No source of this table holds real and generated images of the same subjects.",
        _subset_table("condition", matched),
        "### Size-and-format control",
        _control_table(figures),
        "### Calibration",
        "Both classes weighed alike; probability at a prior of one half. Cllr is in bits: 0 is "
        "perfect, 1 is what saying nothing costs; Cllr less Cllr_min is lost by calibration.",
        _calibration_table(figures),
        "### False positive rate by kind of real image",
        _kind_table(result.run, figures),
        "### Recall by generator",
        _rate_table("generator", {f.condition: f.recall_by_generator for f in figures}),
        "### By stratum of file (format/size/compression)",
        _small_table("stratum", {f.condition: f.by_stratum for f in figures}),
        _worst(figures),
        _sweep(result),
        _time(figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def comparison(records: Sequence[Mapping[str, Any]]) -> str:
    """Several evaluations side by side, from what `EvaluationResult.to_dict` gives.

    Evaluations of other images are marked, since their figures do not compare.
    """
    first = records[0]["run"]
    lines = []
    for record in records:
        run = record["run"]
        same = all(run[key] == first[key] for key in ("corpus_hash", "split", "seed"))
        for name, figures in record["conditions"].items():
            every, matched = figures["every"], figures["matched"]
            lines.append(
                [
                    f"{run['model']}" + ("" if same else " (other images!)"),
                    name,
                    *(_plain(every[key]["value"]) for key in ("auc", "tpr_at_1", "tpr_at_5")),
                    _plain(every["balanced_accuracy"]["value"]),
                    _plain(matched["auc"]["value"]) if matched else "–",
                    _plain(figures["calibrated"]["cllr"]["value"]),
                ]
            )
    head = [
        "model",
        "condition",
        "AUC",
        "TPR@1 %",
        "TPR@5 %",
        "balanced acc.",
        "AUC matched",
        "Cllr",
    ]
    return "### Beside other models\n\n" + _table(head, lines) + "\n"


# --- parts ----------------------------------------------------------------------------------


def _header(run: Run, figures: Sequence[ConditionFigures]) -> str:
    every = figures[0].every if figures else None
    rows = [
        ["model", f"{run.model}, config {run.config_hash}"],
        ["images", f"{run.corpus}, split {run.split}, sha256 {run.corpus_hash}"],
        ["command", f"`{run.command}`"],
        ["seed, bootstrap rounds", f"{run.seed}, {run.rounds}"],
        ["date, version", f"{run.date}, {run.version}"],
    ]
    if every is not None:
        count = f"{every.real} real, {every.generated} generated, from {every.sources} sources"
        rows.insert(2, ["scored", count])
    return _table(["what", "value"], rows)


def _warnings(figures: Sequence[ConditionFigures]) -> str:
    notes = []
    for f in figures:
        if f.every.sources < _FEW_SOURCES:
            notes.append(
                f"`{f.condition}`: intervals rest on {f.every.sources} sources and are too narrow."
            )
        if f.control is None:
            notes.append(f"`{f.condition}`: the size-and-format control could not be fitted.")
        elif f.control.auc.value > BIASED_ABOVE:
            notes.append(
                f"**Biased table** `{f.condition}`: size and format alone separate the classes "
                f"with AUC {f.control.auc.value:.3f}, above {BIASED_ABOVE}. Read the balanced AUC "
                f"{f.control.balanced_auc.value:.3f} in place of {f.every.auc.value:.3f}."
            )
        if f.failed:
            counts = ", ".join(f"{count} {status}" for status, count in f.failed.items())
            notes.append(f"`{f.condition}`: not scored and not counted: {counts}.")
    return "\n".join(f"> {note}  " for note in notes)


def _subset_table(first: str, rows: Sequence[tuple[str, Subset]]) -> str:
    if not rows:
        return ""
    head = [first, "real", "generated", "AUC", "TPR@1 %", "TPR@5 %", "FPR", "recall", "bal. acc."]
    return _table(
        head,
        [
            [
                name,
                str(s.real),
                str(s.generated),
                *map(_interval, (s.auc, s.tpr_at_1, s.tpr_at_5)),
                *map(_interval, (s.fpr, s.recall, s.balanced_accuracy)),
            ]
            for name, s in rows
        ],
    )


def _control_table(figures: Sequence[ConditionFigures]) -> str:
    rows = [
        [
            f.condition,
            _interval(f.control.auc),
            _interval(f.every.auc),
            _interval(f.control.balanced_auc),
            _plain(f.control.balanced_control_auc),
            f"{f.control.effective_images:.0f}",
        ]
        for f in figures
        if f.control is not None
    ]
    if not rows:
        return "Not fitted."
    hows = sorted({f.control.how for f in figures if f.control is not None})
    head = ["condition", "control AUC", "model AUC", "model AUC, balanced"]
    head += ["control AUC, balanced", "images it is worth"]
    return (
        "Gradient boosting on width, height, format, bytes per pixel and quantisation tables "
        f"only, {'; '.join(hows)}. The balanced columns weigh the same images so that the control "
        f"sees nothing.\n\n{_table(head, rows)}"
    )


def _calibration_table(figures: Sequence[ConditionFigures]) -> str:
    return _table(
        ["condition", "ECE", "Brier", "Cllr", "Cllr_min"],
        [
            [
                f.condition,
                *map(_interval, (f.calibrated.ece, f.calibrated.brier, f.calibrated.cllr)),
                _plain(f.calibrated.cllr_min),
            ]
            for f in figures
        ],
    )


def _kind_table(run: Run, figures: Sequence[ConditionFigures]) -> str:
    even = ", ".join(f"{f.condition} {_percent(f.even_fpr)}" for f in figures)
    table = _rate_table(
        "kind", {f.condition: f.fpr_by_kind for f in figures}, _GUARD * run.nominal_fpr
    )
    return (
        f"The threshold was chosen for {run.nominal_fpr:.1%} with an even say for every source; "
        f"counted like that: {even}. Bold: above {_GUARD} times the nominal rate.\n\n{table}"
    )


def _rate_table(
    first: str, by_condition: Mapping[str, Mapping[str, Rate]], bold_above: float = math.inf
) -> str:
    names = list(dict.fromkeys(n for rates in by_condition.values() for n in rates))
    rows = []
    for name in names:
        known = [rates[name] for rates in by_condition.values() if name in rates]
        cells = [_rate(rates.get(name), bold_above) for rates in by_condition.values()]
        rows.append([name, str(known[0].images), str(known[0].sources), *cells])
    return _table([first, "images", "sources", *by_condition], rows)


def _small_table(first: str, by_condition: Mapping[str, Mapping[str, Small]]) -> str:
    rows = [
        [condition, name, str(s.real), str(s.generated), *map(_plain, (s.auc, s.fpr, s.recall))]
        for condition, items in by_condition.items()
        for name, s in items.items()
    ]
    return _table(["condition", first, "real", "generated", "AUC", "FPR", "recall"], rows)


def _worst(figures: Sequence[ConditionFigures]) -> str:
    """The sources that are judged worst as published: where to look first."""
    if not figures:
        return ""

    def error(small: Small) -> float:
        wrong = [rate for rate in (small.fpr, 1 - small.recall) if not math.isnan(rate)]
        return max(wrong, default=0.0)

    sources = [
        (name, small)
        for name, small in figures[0].by_source.items()
        if small.real + small.generated >= _LEAST_OF_SOURCE and error(small) > 0
    ]
    sources.sort(key=lambda item: (-error(item[1]), item[0]))
    if not sources:
        return ""
    chosen = {figures[0].condition: dict(sources[:_WORST_SOURCES])}
    return f"### Sources judged worst\n\n{_small_table('source', chosen)}"


def _sweep(result: EvaluationResult) -> str:
    if not result.sweep:
        return ""
    text = "On a part of the images that is even over classes and sources; lossless but for JPEG "
    return "\n\n".join(
        [
            "### Robustness sweep",
            text + "and WebP steps.",
            _subset_table("step", [*result.sweep.items()]),
        ]
    )


def _time(figures: Sequence[ConditionFigures]) -> str:
    known = [f for f in figures if not math.isnan(f.seconds_score)]
    if not known:
        return ""
    rows = [[f.condition, f"{f.seconds_prepare:.3f}", f"{f.seconds_score:.3f}"] for f in known]
    return (
        "### Time\n\nMean seconds an image, while other work ran beside it; for speed see the "
        f"benchmarks.\n\n{_table(['condition', 'read, treat and prepare', 'CNN'], rows)}"
    )


# --- cells ----------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _plain(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _interval(value: Interval) -> str:
    if math.isnan(value.value):
        return "–"
    return f"{value.value:.3f} ({value.low:.2f}–{value.high:.2f})"


def _rate(rate: Rate | None, bold_above: float) -> str:
    if rate is None:
        return "–"
    text = f"{rate.rate:.1%} ({rate.low:.0%}–{rate.high:.0%})"
    return f"**{text}**" if rate.rate > bold_above else text


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"
