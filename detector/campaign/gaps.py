"""What a campaign's analysis cannot say, with counts: the list that every report ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from detector.campaign.error_rates import ErrorRates
from detector.campaign.prevalence import TOO_FLAT
from detector.campaign.records import ContextSummary, Gap, Item
from detector.evidence import CHANNEL_FAILED
from detector.results import Status, Stratum, Verdict

_STATUS_WORDS = {
    Status.EMPTY: "empty files",
    Status.UNSUPPORTED: "files that are no image, or of a format that is not read",
    Status.TRUNCATED: "images whose data end too early",
    Status.UNREADABLE: "images whose data are damaged",
    Status.TOO_SMALL: "images too small to be judged",
    Status.TOO_LARGE: "files or images above the limits",
    Status.MISSING: "files that were not there, or not readable",
    Status.FAILED: "files that met a fault of this program or of the machine",
}


def find_gaps(
    items: Sequence[Item],
    context: ContextSummary,
    rates: ErrorRates | None,
    measured: Callable[[Stratum], bool],
    *,
    unsearched: int,
    unclustered: int,
    models: Iterable[str],
) -> list[Gap]:
    """All gaps with a count above 0, in the order in which a reader should meet them.

    Args:
        items: the images.
        context: what became of the table.
        rates: of the model; None when its bundle is not installed.
        measured: whether the model's error rates hold for a stratum.
        unsearched: images whose evidence nobody looked for.
        unclustered: images without a thumbnail, so that copies of them are not found.
        models: ids of the models behind the findings.
    """
    found = [
        *_failures(items),
        *_judgements(items, measured),
        *_evidence(items, unsearched),
        Gap(
            "unclustered",
            unclustered,
            "images have no thumbnail and no readable original: copies of them are not found.",
        ),
        *_posts(items, context),
        *_model(rates, sorted(set(models))),
    ]
    return [gap for gap in found if gap.count]


def _failures(items: Sequence[Item]) -> Iterator[Gap]:
    counts = Counter(item.finding.status for item in items)
    for status, words in _STATUS_WORDS.items():
        yield Gap(f"failed_{status}", counts[status], f"{words}: nothing is said of them.")


def _judgements(items: Sequence[Item], measured: Callable[[Stratum], bool]) -> Iterator[Gap]:
    scored = [item.finding for item in items if item.finding.ok]
    unsure = sum(f.verdict is Verdict.INCONCLUSIVE for f in scored)
    yield Gap("inconclusive", unsure, "images on which no verdict is given either way.")
    flat = sum(TOO_FLAT in (f.pixel_code, f.verdict_code) for f in scored)
    yield Gap("too_flat", flat, "images with too little texture for the model to judge.")
    strange = [f.stratum for f in scored if f.stratum is None or not measured(f.stratum)]
    names = Counter(str(stratum) for stratum in strange if stratum is not None)
    listed = ", ".join(f"{name} ({count})" for name, count in names.most_common(6))
    yield Gap(
        "unmeasured_stratum",
        len(strange),
        "images of kinds of file on which the model's error rates were not measured"
        + (f": {listed}." if listed else "."),
    )
    conflicts = sum(bool(f.conflicts) for f in scored)
    yield Gap("conflict", conflicts, "images whose pixels and file, or whose claims, disagree.")


def _evidence(items: Sequence[Item], unsearched: int) -> Iterator[Gap]:
    yield Gap("evidence_not_searched", unsearched, "images whose files were not searched for "
              "statements of origin: scan again without --no-evidence.")  # fmt: skip
    broken = sum(any(e.kind == CHANNEL_FAILED for e in item.evidence) for item in items)
    yield Gap("channel_failed", broken, "images on which a channel of evidence failed.")


def _posts(items: Sequence[Item], context: ContextSummary) -> Iterator[Gap]:
    if not context.source:
        yield Gap(
            "no_context", len(items), "images without a table of posts: folders stand for accounts."
        )
        return
    posts = [post for item in items for post in item.posts]
    nobody = sum(not item.posts for item in items)
    yield Gap("no_post", nobody, "images that no row of the table names.")
    yield Gap("unmatched_rows", len(context.unmatched), "rows that name no image of the store.")
    yield Gap("bad_rows", len(context.bad), "remarks on rows that could not be used in full.")
    undated = sum(post.posted_at is None for post in posts)
    yield Gap("undated", undated, "posts without a date: they are not in the timeline.")
    unnamed = sum(not post.account for post in posts)
    yield Gap("no_account", unnamed, "posts without an account.")


def _model(rates: ErrorRates | None, models: Sequence[str]) -> Iterator[Gap]:
    if rates is None:
        yield Gap("no_error_rates", 1, "model without known error rates: no share is estimated.")
    elif not rates.by_source:
        yield Gap(
            "assumed_spread",
            1,
            "model whose error rates are known on average only: how much they differ between "
            "sources is assumed, and intervals rest on that.",
        )
    if len(models) > 1:
        yield Gap(
            "several_models",
            len(models),
            f"models judged different files ({', '.join(models)}): scan all with one.",
        )


def summed(gaps: Iterable[Gap]) -> Mapping[str, int]:
    """Kind to count, for a quick look."""
    return {gap.kind: gap.count for gap in gaps}
