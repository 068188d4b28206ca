"""A store read without any analysis: the findings alone, with folders in place of accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from detector.campaign.records import (
    AccountSummary,
    Campaign,
    ContextSummary,
    Custody,
    Item,
    Post,
)
from detector.report.document import shared_folder, split_path
from detector.results import Finding, Verdict
from detector.store import ScanInfo, Store

_NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)


def plain_campaign(store: Store, title: str | None = None) -> Campaign:
    """The findings of a store as a campaign in which nothing was compared.

    One item per distinct image, in the order of paths; no clusters, shares or links. Without
    a title it is named after the last part of the folder that holds most of the files.
    """
    groups: dict[tuple[str, str], list[Finding]] = {}
    for number, finding in enumerate(store.findings()):
        key = (finding.sha256, finding.model) if finding.sha256 else ("", str(number))
        groups.setdefault(key, []).append(finding)
    root = shared_folder({split_path(f.path)[0] for found in groups.values() for f in found})
    items = tuple(_item(store, findings, root) for findings in groups.values())
    if title is None:
        name = split_path(root)[1]
        title = f"Scan of {name}" if name else "Scan of images"
    scans = store.scans()
    return Campaign(
        title=title,
        items=items,
        clusters=(),
        prevalence=(),
        links=(),
        accounts=_folders(items),
        timeline=(),
        edges=(),
        gaps=(),
        context=ContextSummary(),
        custody=custody_of(scans, store.path.name),
    )


def custody_of(scans: Sequence[ScanInfo], store: str) -> Custody:
    """What the scans of a store say of themselves."""
    last = scans[-1] if scans else None
    finished = [_time(scan.finished) for scan in scans if scan.finished]
    # Made from the store alone, so that the same store gives the same page.
    made = max(finished, default=_time(last.started) if last else _NEVER)
    return Custody(
        tool=f"detector {last.tool}".strip() if last else "detector",
        model=last.model if last else "",
        config_hash=last.config_hash if last else "",
        store=store,
        commands=tuple(scan.command for scan in scans),
        started=_time(scans[0].started) if scans else None,
        finished=max(finished, default=None),
        made_at=made,
    )


def _item(store: Store, findings: list[Finding], root: str) -> Item:
    first = findings[0]
    evidence = store.get_evidence(first.sha256) if first.sha256 else None
    folders = (split_path(finding.path)[0][len(root) :].strip("/\\") for finding in findings)
    here = split_path(root)[1] or "images"
    return Item(
        first,
        tuple(finding.path for finding in findings),
        tuple(evidence or ()),
        tuple(Post(0, account=folder) for folder in dict.fromkeys(f or here for f in folders)),
    )


def _folders(items: Sequence[Item]) -> tuple[AccountSummary, ...]:
    inside: dict[str, list[Item]] = {}
    for item in items:
        for post in item.posts:
            inside.setdefault(post.account, []).append(item)
    return tuple(_folder(name, own) for name, own in sorted(inside.items()))


def _folder(name: str, items: list[Item]) -> AccountSummary:
    verdicts = [item.finding.verdict for item in items]
    return AccountSummary(
        account=name,
        platforms=(),
        languages=(),
        posts=len(items),
        pictures=len(items),
        flagged=verdicts.count(Verdict.LIKELY_GENERATED),
        inconclusive=verdicts.count(Verdict.INCONCLUSIVE),
        no_sign=verdicts.count(Verdict.NO_SIGN),
        failed=verdicts.count(None),
    )


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
