"""From a store of a scan, and a table of posts if there is one, to a `Campaign`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import detector
from detector import images
from detector.campaign import error_rates, links, network
from detector.campaign.clusters import same_pictures
from detector.campaign.context import Place, by_folder, join
from detector.campaign.fingerprint import Grey, Picture, fingerprint, on_one_scale, read_thumbnail
from detector.campaign.gaps import find_gaps
from detector.campaign.labels import Labelled, load_labels, local_rates
from detector.campaign.prevalence import is_measured, judged_pictures, prevalence
from detector.campaign.recalibrate import Recalibration, recalibrate
from detector.campaign.records import Campaign, Custody, Item, LocalRates, Member
from detector.campaign.table import read_table
from detector.errors import BundleError, ImageError
from detector.results import Finding, Stratum, Verdict
from detector.store import ScanInfo, Store
from detector.weights import Bundle, load_bundle

Progress = Callable[[str, int, int], None]
_TITLE = "Campaign"  # where several places were scanned


@dataclass(frozen=True)
class _Files:
    """The distinct images of a store.

    Attributes:
        items: by key, without posts and clusters yet; sorted by first path.
        places: every path.
        locations: key of an item to a name that opens its first file.
        unsearched: images whose evidence nobody looked for.
    """

    items: Mapping[str, Item]
    places: tuple[Place, ...]
    locations: Mapping[str, str]
    unsearched: int


def build(
    store: Store,
    *,
    context: str | Path | None = None,
    bundle: Bundle | None = None,
    title: str | None = None,
    labels: Mapping[str, int] | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Campaign:
    """Read a store as a campaign: clusters, prevalence, links, accounts, timeline and gaps.

    Args:
        store: of a scan, open; `store.limited_to(n)` for what one scan saw.
        context: table of posts, CSV or Parquet, see `detector.campaign.table`; without one the
            folders below the scanned roots stand for accounts.
        bundle: the model's, for its error rates; the installed one of the store's model when
            None. Without any, nothing is estimated.
        title: of the report; the name of what was scanned when None.
        labels: sha256 to 0 (real) or 1 (generated); those kept in the store when None.
        progress: called with (step, done, total).

    Returns:
        The campaign; the same store and table give the same one but for `custody.made_at`.

    Raises:
        UsageError: the table cannot be read.
        StoreError: the store cannot be read.
        MissingExtraError: without the extra `campaign`.
    """
    scans = store.scans()
    files = read_files(store)
    table = None if context is None else read_table(context)
    roots = [root for scan in scans for root in scan.roots]
    found = by_folder(files.places, roots) if table is None else join(table, files.places)
    items = tuple(
        replace(item, posts=found.posts.get(key, ())) for key, item in files.items.items()
    )
    looks = list(_pictures(store, items, files.locations, progress))
    groups = same_pictures(
        looks,
        lambda i: _grey(store, looks[i].key, files.locations),
        progress=lambda done, total: progress("comparing pictures", done, total),
    )
    clusters = network.clusters_of(items, groups)
    items = _with_clusters(items, [c.members for c in clusters], [c.id for c in clusters])
    bundle = bundle or _installed(scans, items)
    rates = None if bundle is None else error_rates.of_bundle(bundle)
    labels = load_labels(store.path) if labels is None else labels
    measured = _measured(bundle)
    pictures = judged_pictures(items, rates, lambda f: is_measured(f, measured), labels)
    trace_links = links.find_links(items)
    return Campaign(
        title=_title(store) if title is None else title,
        items=items,
        clusters=tuple(clusters),
        prevalence=tuple(prevalence(pictures, rates)),
        links=tuple(trace_links),
        accounts=tuple(network.accounts_of(items)),
        timeline=tuple(network.timeline_of(items)),
        edges=tuple(network.edges_of(clusters, trace_links)),
        gaps=tuple(
            find_gaps(
                items,
                found.summary,
                rates,
                measured,
                unsearched=files.unsearched,
                unclustered=sum(look.print is None for look in looks),
                models={i.finding.model for i in items if i.finding.ok},
            )
        ),
        context=found.summary,
        custody=_custody(store, scans, "" if table is None else table.sha256),
        local_rates=_local_rates(items, labels, bundle),
    )


def read_files(store: Store) -> _Files:
    """Every distinct image of a store with its evidence."""
    by_key: dict[str, list[Finding]] = defaultdict(list)
    places: list[Place] = []
    locations: dict[str, str] = {}
    for finding, (path, location) in zip(store.findings(), store.locations(), strict=True):
        key = finding.sha256 or "path:" + location
        by_key[key].append(finding)
        places.append(Place(path, location, key, finding.sha256))
        locations.setdefault(key, location)
    items: dict[str, Item] = {}
    unsearched = 0
    for key, findings in by_key.items():
        evidence = store.get_evidence(findings[0].sha256) if findings[0].sha256 else None
        unsearched += evidence is None and any(f.ok for f in findings)
        # The same bytes can fail under one path and be scored under another.
        best = next((f for f in findings if f.ok), findings[0])
        paths = tuple(sorted(f.path for f in findings))
        items[key] = Item(replace(best, path=paths[0]), paths, tuple(evidence or ()))
    # The store gives paths in order, and a key stands where its first path does.
    return _Files(items, tuple(places), locations, unsearched)


def compare_labels(
    store: Store, *, context: str | Path | None = None, fpr: float | None = None
) -> tuple[LocalRates | None, Recalibration | None]:
    """The model's rates on a store's labels, and a threshold chosen on them when `fpr` is given.

    Copies are told by their bytes alone here, which takes no look at any picture. Raises
    UsageError when there are too few labels for a threshold.
    """
    files = read_files(store)
    scans = store.scans()
    roots = [root for scan in scans for root in scan.roots]
    if context is None:
        found = by_folder(files.places, roots)
    else:
        found = join(read_table(context), files.places)
    items = [replace(item, posts=found.posts.get(key, ())) for key, item in files.items.items()]
    labels = load_labels(store.path)
    rates = _local_rates(items, labels, _installed(scans, items))
    again = None if fpr is None else recalibrate(labelled_pictures(items, labels), fpr)
    return rates, again


def labelled_pictures(items: Sequence[Item], labels: Mapping[str, int]) -> list[Labelled]:
    """The labelled pictures that the model scored, each once, with the account it belongs to."""
    found: dict[str, Labelled] = {}
    for item in sorted(items, key=lambda i: i.finding.sha256):
        finding = item.finding
        if finding.sha256 in labels and finding.ok and finding.score is not None:
            accounts = sorted({post.account for post in item.posts if post.account})
            flagged = (finding.pixel_verdict or finding.verdict) is Verdict.LIKELY_GENERATED
            group = accounts[0] if accounts else links.picture_of(item)
            found.setdefault(
                links.picture_of(item),
                Labelled(labels[finding.sha256], finding.score, flagged, group),
            )
    return list(found.values())


def _with_clusters(
    items: Sequence[Item], groups: Sequence[Sequence[Member]], ids: Sequence[str]
) -> tuple[Item, ...]:
    of = {m.sha256: name for group, name in zip(groups, ids, strict=True) for m in group}
    return tuple(replace(item, cluster=of.get(item.finding.sha256, "")) for item in items)


def _pictures(
    store: Store, items: Sequence[Item], locations: Mapping[str, str], progress: Progress
) -> Iterator[Picture]:
    scored = [item for item in items if item.finding.ok]
    for done, item in enumerate(scored):
        grey = _grey(store, item.finding.sha256, locations)
        file = item.finding.file
        pixels = 0 if file is None else file.width * file.height
        made = None if grey is None else fingerprint(grey)
        yield Picture(item.finding.sha256, pixels, made)
        progress("looking at pictures", done + 1, len(scored))


def _grey(store: Store, sha256: str, locations: Mapping[str, str]) -> Grey | None:
    """The picture from its thumbnail, else from its file where that is still there."""
    webp = store.thumbnail(sha256)
    if webp is not None:
        return read_thumbnail(webp)
    try:
        rgb = images.read_image(images.read_bytes(locations[sha256])).rgb
        return on_one_scale(rgb)
    except (ImageError, KeyError):
        return None


def _installed(scans: Sequence[ScanInfo], items: Sequence[Item]) -> Bundle | None:
    """The bundle of the model that judged last, when it is installed."""
    models = [scan.model for scan in reversed(scans)] or [i.finding.model for i in items]
    for model in models[:1]:
        try:
            return load_bundle(model)
        except BundleError:
            return None
    return None


def _measured(bundle: Bundle | None) -> Callable[[Stratum], bool]:
    if bundle is None:
        return lambda stratum: False
    return bundle.calibration.measured


def _custody(store: Store, scans: Sequence[ScanInfo], context_sha256: str) -> Custody:
    starts = [datetime.fromisoformat(scan.started) for scan in scans]
    ends = [datetime.fromisoformat(scan.finished) for scan in scans if scan.finished]
    return Custody(
        tool=f"detector {detector.__version__}",
        model=scans[-1].model if scans else "",
        config_hash=scans[-1].config_hash if scans else "",
        store=store.path.name,
        commands=tuple(scan.command for scan in scans),
        started=min(starts, default=None),
        finished=max(ends, default=None),
        made_at=datetime.now(timezone.utc).replace(microsecond=0),
        context_sha256=context_sha256,
    )


def _local_rates(
    items: Sequence[Item], labels: Mapping[str, int], bundle: Bundle | None
) -> LocalRates | None:
    pictures = labelled_pictures(items, labels)
    if bundle is None or not pictures:
        return None
    validation, evaluation = (bundle.config.get(key) or {} for key in ("validation", "evaluation"))
    card = validation.get("likely_generated", {})
    overall = evaluation.get("overall", {})
    fpr = overall.get("fpr", card.get("fpr", bundle.thresholds.nominal_fpr))
    recall = overall.get("tpr", card.get("recall"))
    if recall is None:
        return None
    return local_rates(pictures, float(fpr), float(recall))


def _title(store: Store) -> str:
    roots = {root.rstrip("/\\") for scan in store.scans() for root in scan.roots}
    names = {re.split(r"[/\\]", root)[-1] for root in roots}
    return names.pop() or _TITLE if len(names) == 1 else _TITLE
