"""The share of generated pictures in a set and its groups, or bounds where no share can be given.

Pictures are counted and not copies: a cluster is judged by its largest file, which lost least.
What the model was not measured on (a kind of file without enough validation images, a picture
too flat to judge) is not estimated: it widens the interval from "none of them" to "all of them".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timezone

import numpy as np

from detector.campaign.error_rates import ErrorRates
from detector.campaign.links import picture_of
from detector.campaign.quantify import LEVEL, Quantifier, Share
from detector.campaign.records import Item, Post, Prevalence
from detector.results import Asserts, Finding, Stratum, Trust, Verdict

# Fewer pictures than this give bounds only.
LEAST_PICTURES = 20
# So does a group of which more than this share is outside what was measured.
MOST_UNMEASURED = 0.25
TOO_FLAT = "too_flat"


@dataclass(frozen=True)
class Judged:
    """One picture as it is counted.

    Attributes:
        picture: the cluster's id or the image's sha256.
        verdict: of its largest file.
        bin: of its score; None when it is outside what was measured.
        known: 1 or 0 when a confirmed label or a trusted signature settles it, else None.
        posts: of all its files.
    """

    picture: str
    verdict: Verdict | None
    bin: int | None
    known: int | None
    posts: tuple[Post, ...]


def judged_pictures(
    items: Iterable[Item],
    rates: ErrorRates | None,
    measured: Callable[[Finding], bool],
    labels: Mapping[str, int] | None = None,
) -> list[Judged]:
    """Every picture that has a score, once.

    Args:
        items: the images.
        rates: of the model; without them no picture is measured.
        measured: whether the model's error rates hold for such a file.
        labels: sha256 to 0 (real) or 1 (generated), confirmed by an analyst.
    """
    files: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.finding.ok and item.finding.score is not None:
            files[picture_of(item)].append(item)
    found = []
    for picture, copies in sorted(files.items()):
        finding = max((item.finding for item in copies), key=_fullness)
        where = None
        if rates is not None and finding.score is not None and measured(finding):
            where = int(rates.bins([finding.score])[0])
        posts = tuple(post for item in copies for post in item.posts)
        known = _known(copies, labels or {})
        found.append(Judged(picture, finding.verdict, where, known, posts))
    return found


def _fullness(finding: Finding) -> tuple[int, int, str]:
    file = finding.file
    size = (0, 0) if file is None else (file.width * file.height, file.bytes)
    return (*size, finding.sha256)


def is_measured(finding: Finding, strata: Callable[[Stratum], bool]) -> bool:
    """Whether the model's error rates hold for a picture: its kind of file, and enough texture."""
    flat = TOO_FLAT in (finding.pixel_code, finding.verdict_code)
    return not flat and finding.stratum is not None and strata(finding.stratum)


def _known(copies: Sequence[Item], labels: Mapping[str, int]) -> int | None:
    said = {labels[i.finding.sha256] for i in copies if i.finding.sha256 in labels}
    if len(said) == 1:
        return said.pop()
    signed = any(
        piece.trust is Trust.TRUSTED and piece.asserts is Asserts.GENERATED
        for item in copies
        for piece in item.evidence
        if piece.kind != "c2pa_ingredient"
    )
    return 1 if signed else None


def prevalence(pictures: Sequence[Judged], rates: ErrorRates | None) -> list[Prevalence]:
    """The share in the whole set, then by account, platform, language and week."""
    quantifier = None if rates is None else Quantifier(rates)
    found = [_row("all", "", pictures, quantifier)]
    for by, key in (
        ("account", lambda p: p.account),
        ("platform", lambda p: p.platform),
        ("language", lambda p: p.language),
        ("week", _week),
    ):
        groups: dict[str, list[Judged]] = defaultdict(list)
        for picture in pictures:
            for group in {key(post) for post in picture.posts} - {""}:
                groups[group].append(picture)
        found += [_row(by, group, inside, quantifier) for group, inside in sorted(groups.items())]
    return found


def _week(post: Post) -> str:
    return "" if post.posted_at is None else week_of(post.posted_at.astimezone(timezone.utc))


def week_of(moment: date) -> str:
    """The ISO week of a day, such as "2026-W07"."""
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02d}"


def _row(
    by: str, group: str, pictures: Sequence[Judged], quantifier: Quantifier | None
) -> Prevalence:
    verdicts = [picture.verdict for picture in pictures]
    share, bounds_only, reason = _share(pictures, quantifier)
    return Prevalence(
        by=by,
        group=group,
        pictures=len(pictures),
        flagged=verdicts.count(Verdict.LIKELY_GENERATED),
        inconclusive=verdicts.count(Verdict.INCONCLUSIVE),
        estimate=None if bounds_only else share.estimate,
        low=share.low,
        high=share.high,
        level=LEVEL,
        bounds_only=bounds_only,
        reason=reason,
    )


def _share(pictures: Sequence[Judged], quantifier: Quantifier | None) -> tuple[Share, bool, str]:
    """The share of a group, whether only its bounds count, and the sentence that says why."""
    total = len(pictures)
    bins = [picture.bin for picture in pictures if picture.bin is not None]
    outside = total - len(bins)
    if quantifier is None or not bins:
        nothing = (
            "The model's error rates are not known"
            if quantifier is None
            else ("No picture is of a kind that the model was measured on")
        )
        share = _floored(Share(0.5, 0.0, 1.0), pictures)
        return share, True, f"{nothing}, so nothing is estimated."
    counts = np.bincount(bins, minlength=len(quantifier.rates.edges) + 1)
    inner = quantifier.share(counts)
    inside = len(bins) / total
    share = Share(
        inner.estimate, inner.low * inside, min(1.0, inner.high * inside + outside / total)
    )
    share = _floored(share, pictures)
    if outside > MOST_UNMEASURED * total:
        return (
            share,
            True,
            (
                f"{outside} of {total} pictures are of kinds that the model was not measured on; "
                "they may be anything, so these are bounds."
            ),
        )
    if total < LEAST_PICTURES:
        few = "1 picture" if total == 1 else f"{total} pictures"
        return share, True, f"Only {few}: too few for an estimate, so these are bounds."
    return share, False, _how(quantifier.rates, outside, total)


def _floored(share: Share, pictures: Sequence[Judged]) -> Share:
    """The share held within what labels and trusted signatures have settled."""
    total = max(1, len(pictures))
    least = sum(picture.known == 1 for picture in pictures) / total
    most = 1 - sum(picture.known == 0 for picture in pictures) / total
    low, high = (float(np.clip(x, least, most)) for x in (share.low, share.high))
    return Share(float(np.clip(share.estimate, low, high)), low, high)


def _how(rates: ErrorRates, outside: int, total: int) -> str:
    spread = "measured source by source" if rates.by_source else "pooled, with an assumed spread"
    text = (
        f"Corrected for the error rates of {rates.sources[0]} real and {rates.sources[1]} "
        f"generated sources ({spread}); counted by picture."
    )
    if outside:
        text += f" {outside} of {total} pictures were not measured and widen the interval."
    return text
