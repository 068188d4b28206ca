"""From trained weights to a bundle: fusion, calibration and thresholds on validation sources.

The validation sources trained nothing. Each of their images is scored as published, re-saved
at JPEG q96 and after a platform's treatment, since the bundle must answer for all three.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import calibration
from detector.campaign import error_rates
from detector.conditions import PUBLISHED, treat
from detector.corpus.samples import Sample, cap
from detector.errors import CorpusError, DetectorError
from detector.explain import reference
from detector.images import read_image
from detector.metrics import source_weights
from detector.pool import Fault, Pool
from detector.predict import Detector
from detector.preprocess import VIEWS, Prepared, PreprocessConfig, prepare
from detector.results import Finding
from detector.thresholds import threshold_at_fpr
from detector.train.config import TrainConfig
from detector.weights import CONFIG_FORMAT, Thresholds

Floats = NDArray[np.float64]
CONDITIONS = (PUBLISHED, "q96", "web")
# Below this mean Laplacian (grey levels) every view is a flat colour or a smooth gradient.
LEAST_TEXTURE = 0.5


@dataclass(frozen=True)
class Scored:
    """One validation image in one condition, with its finding."""

    sample: Sample
    condition: str
    finding: Finding


@dataclass(frozen=True)
class _Task:
    """What a worker does with one sample: every condition in turn, from one decoding."""

    index: int
    sample: Sample
    conditions: tuple[str, ...]


def prepare_under(
    sample: Sample, conditions: Sequence[str], config: PreprocessConfig
) -> list[Prepared]:
    """The sample in every condition, from one decoding; empty when it cannot be read."""
    try:
        data = sample.read()
        rgb = read_image(data).rgb
    except (DetectorError, OSError):
        return []
    key = sample.key
    return [prepare(key, treat(name, data, rgb, key), config) for name in conditions]


def _prepare_task(task: _Task, *, config: PreprocessConfig) -> list[Prepared]:
    return prepare_under(task.sample, task.conditions, config)


def score_samples(
    detector: Detector,
    samples: Sequence[Sample],
    conditions: Sequence[str],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Scored]:
    """Every sample in every condition, in that order; those that cannot be read are left out."""
    tasks = [_Task(i, sample, tuple(conditions)) for i, sample in enumerate(samples)]
    found: dict[int, list[Scored]] = {}
    work = partial(_prepare_task, config=detector.bundle.preprocess)
    with Pool(work, workers) as pool:
        for done, (task, prepared) in enumerate(pool.run(tasks), start=1):
            if not isinstance(prepared, Fault):
                findings = detector.score_prepared(prepared)
                found[task.index] = [
                    Scored(task.sample, name, finding)
                    for name, finding in zip(task.conditions, findings, strict=False)
                    if finding.ok
                ]
            progress(done, len(tasks))
    return [item for index in sorted(found) for item in found[index]]


def view_logits(scored: Sequence[Scored]) -> Floats:
    """(N, 3): the mean logit of each kind of `VIEWS`; 0 for a kind that the model does not see."""
    rows = []
    for item in scored:
        by_view: dict[str, list[float]] = {view: [] for view in VIEWS}
        for crop in item.finding.crops:
            by_view[crop.view].append(crop.score)
        rows.append([float(np.mean(by_view[v])) if by_view[v] else 0.0 for v in by_view])
    return np.array(rows)


def class_balanced(labels: NDArray[np.int64], sources: Sequence[str]) -> Floats:
    """(N,) weights under which both classes count the same, and within each every source."""
    weights = np.empty(len(labels))
    for label in (0, 1):
        own = labels == label
        say = source_weights([s for s, o in zip(sources, own, strict=True) if o], full_at=20)
        weights[own] = say / say.sum()
    return weights


def fit_fusion(logits: Floats, labels: NDArray[np.int64], weights: Floats) -> dict[str, float]:
    """Weights of the views by logistic regression, none below zero.

    Args:
        logits: (N, 3) from `view_logits`.
        labels: (N,) 0 real, 1 generated.
        weights: (N,) of the samples.
    """
    from scipy.optimize import minimize

    def loss(w: Floats) -> float:
        z = w[0] + logits @ w[1:]
        fit = float(np.sum(weights * np.logaddexp(0, np.where(labels == 1, -z, z))))
        return fit + 1e-3 * float(w[1:] @ w[1:])

    start = np.array([0.0, *(0.5 if seen else 0.0 for seen in (logits != 0).any(axis=0).tolist())])
    best = minimize(loss, start, bounds=[(-9, 9), *[(0, 9)] * len(VIEWS)])
    names = ("bias", *VIEWS)
    return {name: round(float(v), 5) for name, v in zip(names, best.x, strict=True)}


def write_bundle(folder: Path, weights: Path, config: dict[str, Any]) -> Path:
    """Write a bundle's folder; the card is written by `detector evaluate --card`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.safetensors"
    if weights.resolve() != file.resolve():
        shutil.copyfile(weights, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    config["weights"] = {"file": file.name, "sha256": digest}
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    return folder


def draft_config(config: TrainConfig) -> dict[str, Any]:
    """A bundle's config before anything was fitted on validation sources."""
    return {
        "id": config.name,
        "format": CONFIG_FORMAT,
        "profile": config.profile,
        "architecture": config.architecture(),
        "preprocess": config.preprocess().to_dict(),
        "fusion": {
            "bias": 0.0,
            **{view: (view in config.views) / len(config.views) for view in VIEWS},
        },
        "calibration": {"slope": 1.0, "intercept": 0.0},
        "thresholds": {
            "likely_generated": 0.0,
            "inconclusive": 0.0,
            "nominal_fpr": config.nominal_fpr,
            "inconclusive_fpr": config.inconclusive_fpr,
            "least_texture": LEAST_TEXTURE,
        },
    }


def decide_from(
    scored: Sequence[Scored], nominal_fpr: float, inconclusive_fpr: float, least_texture: float
) -> dict[str, Any]:
    """The parts of a bundle's config that come from scored images that trained nothing.

    Args:
        scored: of both classes.
        nominal_fpr, inconclusive_fpr: what the thresholds aim at.
        least_texture: see `detector.weights.Thresholds`.

    Returns:
        `fusion`, `calibration`, `thresholds`, `validation`, `reference`, `error_rates`.
    """
    labels = np.array([s.sample.label for s in scored])
    sources = [s.sample.source for s in scored]
    kinds = [s.sample.kind for s in scored]
    strata = [s.finding.stratum for s in scored]
    logits = view_logits(scored)
    fusion = fit_fusion(logits, labels, class_balanced(labels, sources))
    scores = fusion["bias"] + logits @ np.array([fusion[view] for view in VIEWS])
    high = threshold_at_fpr(scores, labels, kinds, sources, nominal_fpr)
    low = threshold_at_fpr(scores, labels, kinds, sources, inconclusive_fpr)
    limits = Thresholds(
        likely_generated=round(high.threshold, 5),
        inconclusive=round(min(low.threshold, high.threshold), 5),
        nominal_fpr=nominal_fpr,
        inconclusive_fpr=inconclusive_fpr,
        least_texture=least_texture,
    )
    keys = [s.sample.key for s in scored]
    # Campaigns are collected from platforms, so a set's errors are those of treated images.
    treated = [i for i, s in enumerate(scored) if s.condition == "web"]
    rates = error_rates.measure(
        scores[treated],
        labels[treated],
        [sources[i] for i in treated],
        (limits.inconclusive, limits.likely_generated),
        kinds=[kinds[i] for i in treated],
        measured_on="the validation sources, as a platform serves them",
    )
    return {
        "fusion": fusion,
        "calibration": calibration.fit(scores, labels, strata, sources).to_dict(),
        "thresholds": asdict(limits),
        "validation": {
            "images": len(scored),
            "conditions": list(CONDITIONS),
            "likely_generated": high.to_dict(),
            "inconclusive": low.to_dict(),
        },
        "reference": reference.measure(scores, labels, strata, kinds, sources, keys),
        error_rates.CONFIG_KEY: rates.to_record(),
    }


def finish(
    config: TrainConfig,
    weights: Path,
    samples: Sequence[Sample],
    folder: Path,
    training: Mapping[str, Any],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Fit fusion, calibration and thresholds, and write the bundle.

    Args:
        config: the run's configuration.
        weights: averaged weights of the run.
        samples: of the whole corpus; only the validation sources are used.
        folder: of the bundle, replaced.
        training: what the bundle should remember: manifest hash, command, seconds, …
        workers: decoding processes.
        progress: called with (done, total).

    Returns:
        The bundle's config.

    Raises:
        CorpusError: the validation sources lack one of the classes.
    """
    names = set(config.validation)
    held_out = [s for s in samples if s.source in names and s.split != "test"]
    held_out = cap(held_out, dict.fromkeys(names, config.validation_cap), config.seed)
    if {s.label for s in held_out} != {0, 1}:
        raise CorpusError("the validation sources must hold real and generated images")
    bundle = draft_config(config)
    write_bundle(folder, weights, bundle)
    detector = Detector.load(folder)
    scored = list(score_samples(detector, held_out, CONDITIONS, workers=workers, progress=progress))
    bundle |= decide_from(scored, config.nominal_fpr, config.inconclusive_fpr, LEAST_TEXTURE)
    bundle["training"] = {**training, "config": config.to_dict()}
    write_bundle(folder, weights, bundle)
    return bundle
