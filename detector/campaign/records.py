"""What a campaign analysis found, as frozen values: the one object every output is made from.

The HTML page, STIX, MISP and the tables all read a `Campaign` and nothing else, so that no two
of them can say different things. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from detector.results import Evidence, Finding


@dataclass(frozen=True)
class Post:
    """One row of the context table: where and by whom an image was posted.

    Attributes:
        line: line of the table (1 is the header), so that a reader can go back to it.
        account, platform, language, url, text: as the table says; "" when it does not.
        posted_at: with a time zone (UTC when the table names none); None when unknown.
        extra: the columns that are not ours, by name, kept as they are.
    """

    line: int
    account: str = ""
    platform: str = ""
    language: str = ""
    posted_at: datetime | None = None
    url: str = ""
    text: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BadRow:
    """A row of the context table that could not be used, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class ContextSummary:
    """What became of the context table.

    Attributes:
        source: the table's name as given; "" when there was none and folders stand for accounts.
        columns: our column name to the table's own.
        rows, matched: rows read; rows that met an image of the store.
        unmatched: lines whose file or sha256 is not in the store.
        bad: rows that could not be read.
    """

    source: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    matched: int = 0
    unmatched: tuple[int, ...] = ()
    bad: tuple[BadRow, ...] = ()


@dataclass(frozen=True)
class Item:
    """One distinct image (one sha256; a file that could not be hashed stands alone).

    Attributes:
        finding: the model's; its `path` is the first of `paths`.
        paths: every place the same bytes were found, sorted.
        evidence: what the file says of its origin.
        posts: every row of the context that names it; by folder when there is no context.
        cluster: id of the same-image cluster, or "" when nothing else shows this image.
    """

    finding: Finding
    paths: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()
    posts: tuple[Post, ...] = ()
    cluster: str = ""


@dataclass(frozen=True)
class Member:
    """An image of a cluster, and why it is in.

    Attributes:
        sha256: of the image.
        by: "seed" for the member the others were compared with, "pdq" or "features".
        distance: PDQ Hamming distance (0–256) to the nearest member, for "pdq"; else None.
        inliers: matched points that fit one geometry, for "features"; else None.
    """

    sha256: str
    by: str
    distance: int | None = None
    inliers: int | None = None


@dataclass(frozen=True)
class Cluster:
    """Images that show the same picture, whatever was done to the file.

    Attributes:
        id: "c-" and ten hex digits, stable between runs on the same images.
        members: at least two distinct images, or one image posted by several accounts.
        accounts, platforms: that posted a member, sorted.
        first_seen, last_seen: of the dated posts; None without dates.
        posts: number of posts that carry a member.
    """

    id: str
    members: tuple[Member, ...]
    accounts: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    posts: int = 0


@dataclass(frozen=True)
class Prevalence:
    """The share of generated pictures in a group, corrected for the detector's error rates.

    Counted by picture (cluster), never by copy. All shares are in [0, 1].

    Attributes:
        by: "all", "account", "platform", "language" or "week".
        group: which one; "" for "all"; ISO week such as "2026-W07" for "week".
        pictures: scored pictures in the group; flagged and inconclusive are parts of it.
        estimate, low, high: the share and its interval at `level`; `estimate` is None when
            only bounds can be given.
        level: of the interval.
        bounds_only: the group is outside what was calibrated, or too small.
        reason: one sentence: how the figure came about, or why there are bounds only.
    """

    by: str
    group: str
    pictures: int
    flagged: int
    inconclusive: int
    estimate: float | None
    low: float
    high: float
    level: float
    bounds_only: bool
    reason: str


@dataclass(frozen=True)
class TraceLink:
    """A production trace that several accounts share: a lead, not a proof.

    Attributes:
        trace: "model", "prompt", "seed", "generator", "c2pa_signer", "aigc_producer",
            "quantisation", "size", ….
        value: the trace itself, as a reader may check it.
        accounts, sha256s: that carry it, sorted.
        reference_rate: share of reference images that carry the same trace, in [0, 1]; None
            when the reference set cannot say.
        surprise: −log10 of the chance that so many accounts share it by accident; links are
            sorted by it, greatest first.
        words: one sentence, worded as a lead.
    """

    trace: str
    value: str
    accounts: tuple[str, ...]
    sha256s: tuple[str, ...]
    reference_rate: float | None
    surprise: float
    words: str


@dataclass(frozen=True)
class AccountSummary:
    """One account (or folder, without a context table).

    Attributes:
        account, platforms, languages: as posted.
        posts, pictures: posts with an image of the store; distinct pictures among them.
        flagged, inconclusive, no_sign, failed: pictures by verdict; files without one.
        first_seen, last_seen: of the dated posts.
        shared_with: accounts that posted a picture this one posted too, sorted.
    """

    account: str
    platforms: tuple[str, ...]
    languages: tuple[str, ...]
    posts: int
    pictures: int
    flagged: int
    inconclusive: int
    no_sign: int
    failed: int
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimeBin:
    """Posts of one day or week by verdict. `start` is its first day."""

    start: date
    days: int
    flagged: int
    inconclusive: int
    no_sign: int
    failed: int


@dataclass(frozen=True)
class Edge:
    """Two accounts joined by shared pictures or traces; `accounts` is sorted."""

    accounts: tuple[str, str]
    clusters: tuple[str, ...]
    traces: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class Gap:
    """Something that cannot be said, with its count: failures, inconclusives, strata unmeasured."""

    kind: str
    count: int
    words: str


@dataclass(frozen=True)
class LocalRates:
    """Error rates on labels that an analyst confirmed, beside the card's.

    Attributes:
        real, generated: labelled pictures of each kind.
        false_positive_rate, recall: measured here with 95 % intervals (low, high); None when
            no label allows them.
        card_false_positive_rate, card_recall: the bundle's own.
        warning: one sentence when they differ by more than chance allows; "" otherwise.
    """

    real: int
    generated: int
    false_positive_rate: float | None
    false_positive_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None
    card_false_positive_rate: float
    card_recall: float
    warning: str = ""


@dataclass(frozen=True)
class Custody:
    """Who measured what with which tool, so that others can repeat it.

    Attributes:
        tool: "detector 0.1.0".
        model, config_hash: the bundle's.
        store: name of the store's file.
        commands: of every scan in the store, in order.
        started, finished: of the first and the last scan, UTC.
        made_at: when this object was made, UTC.
        context_sha256: of the context table; "" without one.
    """

    tool: str
    model: str
    config_hash: str
    store: str
    commands: tuple[str, ...]
    started: datetime | None
    finished: datetime | None
    made_at: datetime
    context_sha256: str = ""


@dataclass(frozen=True)
class Campaign:
    """A folder of images read as a campaign; every output is made from this."""

    title: str
    items: tuple[Item, ...]
    clusters: tuple[Cluster, ...]
    prevalence: tuple[Prevalence, ...]
    links: tuple[TraceLink, ...]
    accounts: tuple[AccountSummary, ...]
    timeline: tuple[TimeBin, ...]
    edges: tuple[Edge, ...]
    gaps: tuple[Gap, ...]
    context: ContextSummary
    custody: Custody
    local_rates: LocalRates | None = None
