"""Leave-sources-out folds inside the train part, for choosing a model without seeing test."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from detector.corpus.manifest import Manifest, Row
from detector.errors import CorpusError

# A source of two thousand shoes is not worth ten times one of two hundred: beyond this many
# images a source does not weigh more when folds are balanced.
WEIGHT_CAP = 400
PASSES = 20
ALL = "all"

Strata = Counter[str]  # stratum -> images


def leave_sources_out(manifest: Manifest, folds: int = 5, seed: int = 0) -> dict[str, int]:
    """Gives every source of `train` a fold, so that each can be held out in turn.

    A source lies in one fold with all its images, real and generated. Sources that share a
    near-duplicate group or an owner lie in the same fold. Folds are balanced by label and kind,
    and by matched (`pair`) sources: greedily from the largest source down (the method of
    scikit-learn's StratifiedGroupKFold), then by moving single sources while that helps. Every
    source weighs at most `WEIGHT_CAP` images in this.
    The result depends on the manifest and the seed only. Test sources have no part in it.

    Raises:
        CorpusError: fewer than two folds, or more folds than sources.
    """
    rows = [row for row in manifest.rows if row.split == "train"]
    clusters = _clusters(rows)
    if not 2 <= folds <= len(clusters):
        raise CorpusError(f"{folds} folds asked for, of {len(clusters)} independent sources")
    weights = _source_weights(rows)
    counts = [sum((weights[s] for s in cluster), Strata()) for cluster in clusters]
    scale = _scale(sum(counts, Strata()), folds)

    def order(index: int) -> tuple[int, bytes]:
        name = clusters[index][0]
        return -counts[index][ALL], hashlib.sha256(f"{seed}/{name}".encode()).digest()

    filled = [Strata() for _ in range(folds)]
    place: dict[int, int] = {}
    # The first pass fills empty folds; the others move what would lie better elsewhere.
    for _ in range(PASSES):
        before = dict(place)
        for index in sorted(range(len(clusters)), key=order):
            if index in place:
                filled[place[index]].subtract(counts[index])
            costs = [_cost(fold, counts[index], scale) for fold in filled]
            best = min(range(folds), key=costs.__getitem__)
            if index in before and costs[before[index]] <= costs[best] + 1e-9:
                best = before[index]
            filled[best].update(counts[index])
            place[index] = best
        if place == before:
            break
    assigned = {source: place[i] for i, cluster in enumerate(clusters) for source in cluster}
    return dict(sorted(assigned.items()))


def validation_sources(
    manifest: Manifest, *, folds: int = 6, fold: int = 0, seed: int = 0
) -> frozenset[str]:
    """The sources of `train` to validate on: one fold of `leave_sources_out`.

    Thresholds and calibration are fitted on these, and models are chosen by them.
    """
    assigned = leave_sources_out(manifest, folds, seed)
    return frozenset(source for source, number in assigned.items() if number == fold)


def _clusters(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    sources = set()
    for row in rows:
        sources.add(row.source)
        for tie in (f"owner {row.owner}", f"group {row.group}" if row.group else ""):
            if tie:
                parent[root(tie)] = root(row.source)
    clusters: dict[str, list[str]] = {}
    for source in sorted(sources):
        clusters.setdefault(root(source), []).append(source)
    return [tuple(members) for members in clusters.values()]


def _source_weights(rows: Iterable[Row]) -> dict[str, Strata]:
    images: dict[str, Strata] = {}
    for row in rows:
        strata = images.setdefault(row.source, Strata())
        strata[ALL] += 1
        strata[f"label {row.label}"] += 1
        strata[f"label {row.label}, {row.kind}"] += 1
        if row.pair:
            strata[f"label {row.label}, matched"] += 1
    for strata in images.values():
        scale = min(1.0, WEIGHT_CAP / strata[ALL])
        for key, count in strata.items():
            strata[key] = max(1, round(count * scale))
    return images


def _scale(total: Strata, folds: int) -> dict[str, float]:
    """What one image of each stratum adds to a fold's cost, before squaring.

    A fold with its exact share of a stratum stands at the fourth root of that stratum's part
    of the corpus: rare kinds count for less than common ones, but by far not in proportion.
    """
    return {key: (n / total[ALL]) ** 0.25 * folds / n for key, n in total.items()}


def _cost(fold: Strata, cluster: Strata, scale: dict[str, float]) -> float:
    """How much the fold's sum of squared fillings grows when it takes the cluster."""
    return sum(
        (2 * fold[key] * count + count**2) * scale[key] ** 2 for key, count in cluster.items()
    )
