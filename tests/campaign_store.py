"""Puts a made campaign into a store as a scan would, with a scorer whose error rates are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.make_campaign import Made
from detector.calibration import stratum_of
from detector.evidence import EvidenceInput, channel, header_facts
from detector.images import read_image, thumbnail
from detector.results import Finding, Status, Verdict
from detector.store import Store
from detector.weights import Bundle

MODEL = "standin_v1"
THRESHOLDS = (0.5, 1.5)
# No sign, inconclusive, flagged.
REAL_RATES, GENERATED_RATES = (0.9, 0.07, 0.03), (0.25, 0.25, 0.5)
# Channels that read the file only; the others look at pixels and take their time.
_CHANNELS = ("aigc_label", "metadata")


def bundle() -> Bundle:
    """A bundle without weights whose error rates are those of `fill`, from 40 sources of each."""
    counts = {
        "real": {f"r{i}": [90 - i % 5, 7 + i % 3, 3 + i % 2] for i in range(40)},
        "generated": {f"g{i}": [25 - i % 7, 25 + i % 5, 50 - i % 9] for i in range(40)},
    }
    config: dict[str, Any] = {
        "thresholds": {
            "likely_generated": THRESHOLDS[1],
            "inconclusive": THRESHOLDS[0],
            "nominal_fpr": 0.03,
            "inconclusive_fpr": 0.1,
        },
        "calibration": {
            "slope": 1.0,
            "intercept": 0.0,
            "offsets": {
                f"{format_}/{size}/{compression}": 0.0
                for format_ in ("jpeg", "lossless")
                for size in ("small", "medium")
                for compression in ("light", "medium", "heavy", "none")
            },
            "sources": [40, 40],
        },
        "error_rates": {
            "edges": list(THRESHOLDS),
            "sources": [40, 40],
            "measured_on": "made up",
            **counts,
        },
        "evaluation": {"overall": {"fpr": 0.03, "tpr": 0.5}},
    }
    return Bundle(MODEL, Path(), config)


def score(rng: np.random.Generator, generated: bool) -> float:
    """A score that falls into the three bins at the known rates."""
    which = int(rng.choice(3, p=GENERATED_RATES if generated else REAL_RATES))
    low, high = ((-2.0, 0.49), (0.5, 1.49), (1.5, 3.0))[which]
    return float(rng.uniform(low, high))


def fill(folder: Path, path: Path, made: list[Made], *, seed: int = 1) -> Store:
    """A store with a finding, a thumbnail and evidence for every file of the campaign.

    All files of a picture get the same score, as copies nearly do.
    """
    rng = np.random.default_rng(seed)
    scores = {m.picture: score(rng, m.generated) for m in sorted(made, key=lambda m: m.picture)}
    store = Store.open(path)
    scan = store.begin_scan(MODEL, "c0ffee", command=f"detector scan {folder.name}",
                            roots=[str(folder)])  # fmt: skip
    findings, thumbnails = [], {}
    for row in made:
        file = folder / row.file
        data = file.read_bytes()
        image = read_image(data)
        finding = _finding(str(file), image.facts, scores[row.picture])
        findings.append(finding)
        thumbnails[finding.sha256] = thumbnail(image.rgb)
        item = EvidenceInput(data, header_facts(data), image.rgb)
        store.put_evidence(
            finding.sha256, [e for name in _CHANNELS for e in channel(name).find(item)]
        )
    store.put(findings, thumbnails, "c0ffee", scan=scan)
    store.end_scan(scan, "finished")
    return store


def _finding(path: str, facts: Any, value: float) -> Finding:
    verdict = (
        Verdict.LIKELY_GENERATED
        if value >= THRESHOLDS[1]
        else Verdict.INCONCLUSIVE
        if value >= THRESHOLDS[0]
        else Verdict.NO_SIGN
    )
    return Finding(
        path=path,
        sha256=facts.sha256,
        status=Status.OK,
        reason=f"The score is {value:+.2f}.",
        model=MODEL,
        score=round(value, 6),
        probability=0.5,
        lr=1.0,
        verdict=verdict,
        verdict_code="score",
        stratum=stratum_of(facts),
        file=facts,
    )
