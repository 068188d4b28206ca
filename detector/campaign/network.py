"""Accounts, their posts over time, and what ties them to each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta, timezone
from itertools import combinations
from typing import TYPE_CHECKING, Any

from detector.campaign.links import picture_of
from detector.campaign.records import (
    AccountSummary,
    Campaign,
    Cluster,
    Edge,
    Item,
    Member,
    Post,
    TimeBin,
    TraceLink,
)
from detector.errors import MissingExtraError
from detector.results import Verdict

if TYPE_CHECKING:
    from datetime import datetime

# Up to this many days a timeline has a bin a day, above it a bin a week.
MOST_DAYS = 60
# A date far off (1970, 2100) would else stretch the timeline over thousands of empty bins.
_MOST_BINS = 1000
# What more accounts than this share ties none of them to another.
MOST_ACCOUNTS = 200
# A trace ties accounts from a chance of one in ten on; weaker ones stay in the list of links.
LEAST_SURPRISE = 1.0


def clusters_of(items: Sequence[Item], groups: Iterable[Sequence[Member]]) -> list[Cluster]:
    """The clusters with who posted them and when, the most widely posted first.

    Args:
        items: the images with their posts.
        groups: members of every cluster, as `clusters.same_pictures` gives them; an image alone
            that several accounts posted becomes a cluster of one.
    """
    by_sha = {item.finding.sha256: item for item in items if item.finding.sha256}
    grouped = [tuple(group) for group in groups]
    taken = {member.sha256 for group in grouped for member in group}
    grouped += [
        (Member(sha256, "seed"),)
        for sha256, item in by_sha.items()
        if sha256 not in taken and len({p.account for p in item.posts if p.account}) > 1
    ]
    found = []
    for members in grouped:
        posts = [post for member in members for post in by_sha[member.sha256].posts]
        first, last = _span(posts)
        found.append(
            Cluster(
                id=cluster_id(members),
                members=members,
                accounts=_distinct(post.account for post in posts),
                platforms=_distinct(post.platform for post in posts),
                first_seen=first,
                last_seen=last,
                posts=len(posts),
            )
        )
    return sorted(found, key=lambda c: (-len(c.accounts), -c.posts, -len(c.members), c.id))


def cluster_id(members: Iterable[Member]) -> str:
    """The id of a cluster: it stays while its first image by hash is in it."""
    return "c-" + min(member.sha256 for member in members)[:10]


def accounts_of(items: Sequence[Item]) -> list[AccountSummary]:
    """Every account of the posts, by name; pictures are counted once, by their fullest file."""
    by_account: dict[str, list[tuple[Item, Post]]] = defaultdict(list)
    holders: dict[str, set[str]] = defaultdict(set)
    for item in items:
        for post in item.posts:
            if post.account:
                by_account[post.account].append((item, post))
                holders[_picture(item)].add(post.account)
    return [_account(name, rows, holders) for name, rows in sorted(by_account.items())]


def _account(
    name: str, rows: Sequence[tuple[Item, Post]], holders: dict[str, set[str]]
) -> AccountSummary:
    posts = [post for _, post in rows]
    pictures: dict[str, list[Item]] = defaultdict(list)
    for item, _ in rows:
        pictures[_picture(item)].append(item)
    verdicts = Counter(_verdict(copies) for copies in pictures.values())
    first, last = _span(posts)
    return AccountSummary(
        account=name,
        platforms=_distinct(post.platform for post in posts),
        languages=_distinct(post.language for post in posts),
        posts=len(posts),
        pictures=len(pictures),
        flagged=verdicts[Verdict.LIKELY_GENERATED],
        inconclusive=verdicts[Verdict.INCONCLUSIVE],
        no_sign=verdicts[Verdict.NO_SIGN],
        failed=verdicts[None],
        first_seen=first,
        last_seen=last,
        shared_with=_distinct(a for p in pictures for a in holders[p] if a != name),
    )


def _picture(item: Item) -> str:
    # A file without a hash stands alone.
    return picture_of(item) or "path:" + item.finding.path


def _verdict(copies: Sequence[Item]) -> Verdict | None:
    scored = [item.finding for item in copies if item.finding.ok]
    if not scored:
        return None
    files = ((f.file.width * f.file.height, f.file.bytes) if f.file else (0, 0) for f in scored)
    best = max(zip(files, (f.sha256 for f in scored), scored, strict=True), key=lambda r: r[:2])
    return best[2].verdict


def timeline_of(items: Sequence[Item]) -> list[TimeBin]:
    """Dated posts by verdict, a bin a day or a week (from Monday), without holes between.

    Days are those of UTC. Empty when no post has a date.
    """
    rows = [
        (_day(post.posted_at), item.finding.verdict if item.finding.ok else None)
        for item in items
        for post in item.posts
        if post.posted_at is not None
    ]
    if not rows:
        return []
    first, last = min(day for day, _ in rows), max(day for day, _ in rows)
    days = 1 if (last - first).days < MOST_DAYS else 7
    counts: dict[date, Counter[Verdict | None]] = defaultdict(Counter)
    for day, verdict in rows:
        counts[_start(day, days)][verdict] += 1
    starts = sorted(counts)
    number = (starts[-1] - starts[0]).days // days + 1
    if number <= _MOST_BINS:
        starts = [starts[0] + timedelta(days=days * i) for i in range(number)]
    return [
        TimeBin(
            start,
            days,
            counts[start][Verdict.LIKELY_GENERATED],
            counts[start][Verdict.INCONCLUSIVE],
            counts[start][Verdict.NO_SIGN],
            counts[start][None],
        )
        for start in starts
    ]


def edges_of(clusters: Iterable[Cluster], links: Iterable[TraceLink]) -> list[Edge]:
    """Pairs of accounts that share pictures or traces, the strongest first.

    The weight of a pair is a sum: for every shared picture 1 / (accounts that posted it − 1), as
    in Newman, "Scientific collaboration networks II" (Physical Review E, 2001), and for every
    shared trace its surprise divided likewise, so that what everybody posts ties nobody.
    """
    shared: dict[tuple[str, str], list[str]] = defaultdict(list)
    traced: dict[tuple[str, str], list[str]] = defaultdict(list)
    weights: dict[tuple[str, str], float] = defaultdict(float)
    for cluster in clusters:
        if 2 <= len(cluster.accounts) <= MOST_ACCOUNTS:
            for pair in combinations(cluster.accounts, 2):
                shared[pair].append(cluster.id)
                weights[pair] += 1 / (len(cluster.accounts) - 1)
    for link in links:
        if link.surprise >= LEAST_SURPRISE and 2 <= len(link.accounts) <= MOST_ACCOUNTS:
            for pair in combinations(link.accounts, 2):
                traced[pair].append(f"{link.trace}: {link.value}")
                weights[pair] += link.surprise / (len(link.accounts) - 1)
    found = [
        Edge(pair, tuple(sorted(shared[pair])), tuple(traced[pair]), round(weight, 6))
        for pair, weight in weights.items()
    ]
    return sorted(found, key=lambda e: (-e.weight, e.accounts))


def graph(campaign: Campaign) -> Any:
    """The accounts as a `networkx.Graph`: nodes with their summary, edges with their weight.

    Every node has `component`, the number of the connected part that it is in, the largest
    part being 0. Raises MissingExtraError without the extra `campaign`.
    """
    try:
        import networkx
    except ImportError as error:
        raise MissingExtraError("the graph of accounts", "campaign") from error
    made = networkx.Graph()
    for account in campaign.accounts:
        made.add_node(account.account, posts=account.posts, flagged=account.flagged)
    for edge in campaign.edges:
        made.add_edge(
            *edge.accounts, weight=edge.weight, clusters=edge.clusters, traces=edge.traces
        )
    parts = sorted(networkx.connected_components(made), key=lambda p: (-len(p), min(p)))
    for number, part in enumerate(parts):
        for account in part:
            made.nodes[account]["component"] = number
    return made


def _span(posts: Iterable[Post]) -> tuple[datetime | None, datetime | None]:
    dates = sorted(post.posted_at for post in posts if post.posted_at is not None)
    return (dates[0], dates[-1]) if dates else (None, None)


def _day(moment: datetime) -> date:
    return moment.astimezone(timezone.utc).date()


def _start(day: date, days: int) -> date:
    return day if days == 1 else day - timedelta(days=day.weekday())


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names) - {""}))
