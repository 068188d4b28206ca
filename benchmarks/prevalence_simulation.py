"""Simulates sets of known prevalence and counts how often each method's interval holds it.

    python benchmarks/prevalence_simulation.py --out benchmarks/results/prevalence_simulation.json

A population of sources scores real and generated pictures into three bins (no sign,
inconclusive, flagged) at rates that differ from source to source. A draw takes 25 real and 16
generated sources to measure the error rates on, and a set of 300 pictures from 2 to 6 other real
sources and 1 to 4 other generated ones. In the scenario "shifted" the rates of the set's sources
are moved as well: each class by +0.3 or −0.3 on the log-odds scale of being flagged or
inconclusive, at random. "fixed" takes every picture at the population's average rates.

Compared: this package's `Quantifier`; Rogan and Gladen's estimator with an interval from
resampling the pictures and the measured images; and the maximum likelihood share of the three
bins (what Saerens, Latinne and Decaestecker's EM converges to) with an interval from resampling
the pictures.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.campaign.error_rates import ErrorRates
from detector.campaign.quantify import SET_SOURCES, Quantifier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float, float]

LEVEL = 0.9
# Near lite_v1's rates: no sign, inconclusive, flagged; and how much sources agree about them.
REAL, REAL_CONCENTRATION = np.array([0.90, 0.08, 0.02]), 20.0
GENERATED, GENERATED_CONCENTRATION = np.array([0.53, 0.25, 0.22]), 5.0
SOURCES, IMAGES, PICTURES = (25, 16), 60, 300
SHIFT = 0.3
SCENARIOS = ("same", "shifted", "fixed")
PREVALENCES = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)
SETS_PER_CALIBRATION = 5


@dataclass(frozen=True)
class Draw:
    """A measured set of error rates, and a set of pictures whose truth is known."""

    rates: ErrorRates
    truth: float
    counts: Ints


def calibration(rng: np.random.Generator) -> ErrorRates:
    """Counts by source from fresh sources of the population."""

    def units(mean: Floats, concentration: float, count: int) -> dict[str, tuple[int, ...]]:
        rows = rng.dirichlet(concentration * mean, count)
        return {f"s{i}": tuple(rng.multinomial(IMAGES, row).tolist()) for i, row in enumerate(rows)}

    real = units(REAL, REAL_CONCENTRATION, SOURCES[0])
    generated = units(GENERATED, GENERATED_CONCENTRATION, SOURCES[1])
    return ErrorRates((0.0, 1.0), real, generated, {}, SOURCES, "simulated")


def counts_of_set(rng: np.random.Generator, truth: float, scenario: str) -> Ints:
    """Pictures by bin of a set with that share of generated ones."""
    generated = round(truth * PICTURES)
    if scenario == "fixed":
        return rng.multinomial(generated, GENERATED) + rng.multinomial(PICTURES - generated, REAL)
    shifts = rng.choice((-SHIFT, SHIFT), 2) if scenario == "shifted" else (0.0, 0.0)
    return _class(rng, generated, GENERATED, GENERATED_CONCENTRATION, (1, 4), shifts[0]) + _class(
        rng, PICTURES - generated, REAL, REAL_CONCENTRATION, (2, 6), shifts[1]
    )


def _class(
    rng: np.random.Generator,
    pictures: int,
    mean: Floats,
    concentration: float,
    sources: tuple[int, int],
    shift: float,
) -> Ints:
    odds = (mean[1:].sum() / mean[0]) * np.exp(shift)
    suspect = odds / (1 + odds)
    moved = np.array([1 - suspect, *(mean[1:] / mean[1:].sum() * suspect)])
    count = int(rng.integers(sources[0], sources[1] + 1))
    shares = rng.dirichlet(np.full(count, 3.0))
    each = rng.multinomial(pictures, shares)
    rows = rng.dirichlet(concentration * moved, count)
    return sum(
        (rng.multinomial(n, row) for n, row in zip(each, rows, strict=True)), np.zeros(3, int)
    )


def draws(count: int, scenario: str, seed: int) -> list[tuple[Draw, int]]:
    """Draws with the number of the calibration that each belongs to."""
    rng = np.random.default_rng([seed, SCENARIOS.index(scenario)])
    found = []
    for number in range(count):
        if number % SETS_PER_CALIBRATION == 0:
            rates = calibration(rng)
        truth = round(float(rng.uniform()) * PICTURES) / PICTURES
        # One draw in three at the values that people ask about, the ends among them.
        if number % 3 == 0:
            truth = float(rng.choice(PREVALENCES))
        found.append((Draw(rates, truth, counts_of_set(rng, truth, scenario)), number))
    return found


def ours(set_sources: tuple[float, float] = SET_SOURCES) -> Callable[[Draw], Interval]:
    """The package's quantifier, made once for each calibration."""
    made: dict[int, Quantifier] = {}

    def method(draw: Draw) -> Interval:
        key = id(draw.rates)
        if key not in made:
            made.clear()
            made[key] = Quantifier(draw.rates, set_sources, LEVEL)
        share = made[key].share(draw.counts)
        return share.estimate, share.low, share.high

    return method


def rogan_gladen(draw: Draw) -> Interval:
    """(flagged share − FPR) / (TPR − FPR), clipped; resampled pictures and measured images."""
    rng = np.random.default_rng(0)
    real, generated = (
        np.sum(list(units.values()), axis=0) for units in (draw.rates.real, draw.rates.generated)
    )

    def solve(fpr: Any, tpr: Any, flagged: Any) -> Any:
        return np.clip((flagged - fpr) / np.where(tpr > fpr, tpr - fpr, np.nan), 0, 1)

    totals = real.sum(), generated.sum(), draw.counts.sum()
    point = real[2] / totals[0], generated[2] / totals[1], draw.counts[2] / totals[2]
    resampled = [rng.binomial(n, p, 500) / n for n, p in zip(totals, point, strict=True)]
    low, high = np.nanquantile(solve(*resampled), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(solve(*point)), float(low), float(high)


def maximum_likelihood(draw: Draw) -> Interval:
    """The share that fits the three bins best, with the measured rates taken as known."""
    rng = np.random.default_rng(0)
    real, generated = (
        np.sum(list(units.values()), axis=0) for units in (draw.rates.real, draw.rates.generated)
    )
    grid = np.linspace(0, 1, 401)[:, None]
    mixed = grid * generated / generated.sum() + (1 - grid) * real / real.sum()
    logs = np.log(np.maximum(mixed, 1e-9))
    total = int(draw.counts.sum())
    resampled = rng.multinomial(total, draw.counts / total, 500)
    best = grid[np.argmax(logs @ resampled.T, axis=0), 0]
    low, high = np.quantile(best, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(grid[int(np.argmax(logs @ draw.counts)), 0]), float(low), float(high)


def run(method: Callable[[Draw], Interval], sets: list[tuple[Draw, int]]) -> dict[str, Any]:
    """Coverage, mean width and mean error of a method, over all sets and by true share."""
    rows = [(draw.truth, *method(draw)) for draw, _ in sets]
    held = [low - 1e-9 <= truth <= high + 1e-9 for truth, _, low, high in rows]
    by_truth: dict[str, list[bool]] = defaultdict(list)
    for (truth, *_), inside in zip(rows, held, strict=True):
        by_truth["0" if truth == 0 else "1" if truth == 1 else f"{int(truth * 4) / 4:.2f}+"].append(
            inside
        )
    return {
        "coverage": round(float(np.mean(held)), 3),
        "mean_width": round(float(np.mean([high - low for *_, low, high in rows])), 3),
        "mean_absolute_error": round(float(np.mean([abs(r[0] - r[1]) for r in rows])), 3),
        "coverage_by_true_share": {
            k: [round(float(np.mean(v)), 2), len(v)] for k, v in sorted(by_truth.items())
        },
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set-sources", type=float, nargs=2, default=SET_SOURCES)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    methods: dict[str, Callable[[Draw], Interval]] = {"quantifier": ours(tuple(args.set_sources))}
    if not args.only_ours:
        methods |= {"rogan_gladen": rogan_gladen, "maximum_likelihood": maximum_likelihood}
    found: dict[str, Any] = {
        "draws": args.draws,
        "seed": args.seed,
        "level": LEVEL,
        "set_sources": list(args.set_sources),
    }
    for scenario in SCENARIOS:
        sets = draws(args.draws, scenario, args.seed)
        found[scenario] = {name: run(method, sets) for name, method in methods.items()}
        print(scenario, json.dumps(found[scenario]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
