"""The whole job: samples to scores, scores to figures, figures to files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detector.calibration import Calibration
from detector.conditions import PUBLISHED, SWEEP
from detector.corpus.samples import Sample
from detector.errors import UsageError
from detector.evaluate.control import run_control
from detector.evaluate.figures import (
    ConditionFigures,
    Rules,
    Subset,
    condition_figures,
    subset_figures,
)
from detector.evaluate.scoring import CONTROL, Progress, Task, score
from detector.evaluate.table import ScoreRow, read_table, write_table
from detector.scorers import Scorer

CONDITIONS = (PUBLISHED, "q96", "web")
TABLE_NAME, RECORD_NAME = "scores.csv.gz", "evaluation.json"


@dataclass(frozen=True)
class Plan:
    """What is scored, and how.

    Attributes:
        conditions: names of `detector.conditions`; "published" is the file as it is.
        sweep: steps of the robustness sweep; () for none.
        sweep_images: at most this many images of the sweep, even over class and source.
        control_images: at most this many training images that the control is fitted on.
        seed: of all random choices.
        workers: processes that read and treat images; 0 for none beside this one.
        batch_size: images scored together.
    """

    conditions: tuple[str, ...] = CONDITIONS
    sweep: tuple[str, ...] = ()
    sweep_images: int = 400
    control_images: int = 1500
    seed: int = 0
    workers: int = 1
    batch_size: int = 16


@dataclass(frozen=True)
class Run:
    """What a reader must know to repeat an evaluation.

    Attributes:
        command: as typed, without the machine's own paths.
        date: of the scoring, YYYY-MM-DD, UTC.
        corpus: name of the manifest's folder, or of the benchmark's.
        corpus_hash: the manifest's sha256; without a manifest that of all keys and labels.
        split: the part of it.
        model, config_hash: the bundle.
        threshold, nominal_fpr: frozen in the bundle.
        calibration: `Calibration.to_dict()` of the bundle.
        seed, rounds: of treatments and bootstrap; rounds of the bootstrap.
        version: of this package.
    """

    command: str
    date: str
    corpus: str
    corpus_hash: str
    split: str
    model: str
    config_hash: str
    threshold: float
    nominal_fpr: float
    calibration: Mapping[str, Any]
    seed: int = 0
    rounds: int = 1000
    version: str = ""


@dataclass(frozen=True)
class EvaluationResult:
    """Every figure of one evaluation: by condition, and by step of the sweep."""

    run: Run
    conditions: Mapping[str, ConditionFigures]
    sweep: Mapping[str, Subset]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN becomes None."""
        record: dict[str, Any] = _plain(asdict(self))
        return record


def evaluate(
    detector: Scorer,
    samples: Sequence[Sample],
    run: Run,
    plan: Plan = Plan(),
    *,
    control_samples: Sequence[Sample] = (),
    progress: Progress | None = None,
) -> tuple[EvaluationResult, list[ScoreRow]]:
    """Score samples and compute every figure; returns the result and the table of scores.

    `control_samples` are images of the training sources, for the size-and-format control.
    Raises UsageError when a class is absent from `samples`.
    """
    rows = score_samples(
        detector, samples, plan, control_samples=control_samples, progress=progress
    )
    return figures_of(rows, run), rows


def score_samples(
    detector: Scorer,
    samples: Sequence[Sample],
    plan: Plan,
    *,
    control_samples: Sequence[Sample] = (),
    progress: Progress | None = None,
) -> list[ScoreRow]:
    """The table of scores of an evaluation, without any figures."""
    if {sample.label for sample in samples} != {0, 1}:
        raise UsageError("an evaluation needs real and generated images")
    swept = {s.key for s in pick(samples, plan.sweep_images, plan.seed)} if plan.sweep else set()
    seen = {sample.key for sample in samples}
    fitting = pick(
        [s for s in control_samples if s.key not in seen], plan.control_images, plan.seed
    )
    wanted = [
        (s, plan.conditions + (plan.sweep if s.key in swept else ()), False) for s in samples
    ] + [(s, plan.conditions, True) for s in fitting]
    tasks = [Task(i, sample, names, only) for i, (sample, names, only) in enumerate(wanted)]
    return score(
        detector,
        tasks,
        seed=plan.seed,
        workers=plan.workers,
        batch_size=plan.batch_size,
        progress=progress,
    )


def pick(samples: Sequence[Sample], count: int, seed: int = 0) -> list[Sample]:
    """At most `count` samples: half of each label, and of each label as even over sources.

    The choice goes by a hash of the seed and the keys, never by the order of the samples;
    those chosen keep their order.
    """
    chosen: set[str] = set()
    for label in (0, 1):
        by_source: dict[str, list[str]] = {}
        for sample in samples:
            if sample.label == label:
                by_source.setdefault(sample.source, []).append(sample.key)
        for keys in by_source.values():
            keys.sort(key=lambda key: _hash(f"{seed}|{key}"))
        # Every source gives its first, then its second, …: small sources are used up early.
        turns = sorted(
            (turn, _hash(f"{seed}|{source}"), key)
            for source, keys in by_source.items()
            for turn, key in enumerate(keys)
        )
        share = count // 2 if label == 0 else count - count // 2
        chosen.update(key for _, _, key in turns[:share])
    return [sample for sample in samples if sample.key in chosen]


def figures_of(rows: Iterable[ScoreRow], run: Run) -> EvaluationResult:
    """Every figure of a table of scores, under the run's threshold and calibration."""
    rules = Rules(run.threshold, Calibration.from_dict(run.calibration), run.rounds, run.seed)
    tested: dict[str, list[ScoreRow]] = {}
    fitting: dict[str, list[ScoreRow]] = {}
    for row in rows:
        side = fitting if row.split == CONTROL else tested
        side.setdefault(row.condition, []).append(row)
    conditions: dict[str, ConditionFigures] = {}
    sweep: dict[str, Subset] = {}
    for name, table in tested.items():
        if name in SWEEP:
            sweep[name] = subset_figures([row for row in table if row.scored], rules)
            continue
        if {row.label for row in table if row.scored} != {0, 1}:
            raise UsageError(f"no image of one class could be scored in condition {name!r}")
        control = run_control(fitting.get(name, ()), table, run.seed)
        conditions[name] = condition_figures(name, table, rules, control)
    return EvaluationResult(run, conditions, sweep)


def save(result: EvaluationResult, rows: Iterable[ScoreRow], folder: Path) -> None:
    """Write the figures (JSON) and the table of scores into a folder, made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RECORD_NAME).write_text(text + "\n", encoding="utf-8")
    write_table(rows, folder / TABLE_NAME)


def load(folder: Path) -> tuple[Run, list[ScoreRow]]:
    """The run and the table of scores that `save` wrote; raises UsageError without them."""
    try:
        record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        run = Run(**record["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} holds no evaluation that can be read: {error}") from error
    return run, read_table(folder / TABLE_NAME)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """JSON has no NaN: an unknown figure is None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
