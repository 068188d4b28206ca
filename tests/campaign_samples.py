"""A campaign made by hand, with everything in it that an output must be able to show.

Five accounts on two platforms in three languages over five weeks: pictures posted by several
accounts, crops, generator metadata and signatures, files that fail, groups that cannot be
judged, contradictions, and names, captions and prompts that would run if they were not escaped.
Every hash, link and figure is made up; counts agree with the items, intervals are invented.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import numpy as np
from PIL import Image

from detector.campaign.records import (
    AccountSummary,
    BadRow,
    Campaign,
    Cluster,
    ContextSummary,
    Custody,
    Edge,
    Gap,
    Item,
    LocalRates,
    Member,
    Post,
    Prevalence,
    TimeBin,
    TraceLink,
)
from detector.results import (
    Asserts,
    CropScore,
    Evidence,
    FileFacts,
    Finding,
    Status,
    Stratum,
    Trust,
    Verdict,
)

ACCOUNTS = ("account-a", "account-b", "account-c", "account-d", "account-e")
HOSTILE_NAME = "<script>document.title='pwned'</script>.jpg"
HOSTILE_TEXT = "</script><script>document.title='pwned'</script> =cmd|'/c calc'!A1 \u202egpj.exe"
HOSTILE_PROMPT = "a harbour <img src=x onerror=\"document.title='pwned'\">, golden hour"
PROMPT = "a crowd in front of a town hall, holding blank banners, documentary photograph"
START = datetime(2026, 1, 5, 8, 30, tzinfo=timezone.utc)  # a Monday: 2026-W02
WEEKS = ("2026-W02", "2026-W03", "2026-W04", "2026-W05", "2026-W06")
MODEL, CONFIG_HASH = "lite_v1", "c0ffee0123456789"

_PLATFORM = dict(zip(ACCOUNTS, ("forum", "forum", "photos", "photos", "forum"), strict=True))
_LANGUAGE = dict(zip(ACCOUNTS, ("en", "fr", "en", "uk", ""), strict=True))
_SCORES = {
    Verdict.LIKELY_GENERATED: 2.4,
    Verdict.INCONCLUSIVE: 1.2,
    Verdict.NO_SIGN: -1.6,
}


def sha_of(name: str) -> str:
    """The made-up sha256 of the picture of that name."""
    return hashlib.sha256(f"sample {name}".encode()).hexdigest()


def sample_thumbnails() -> dict[str, bytes]:
    """WebP thumbnails by sha256, for every scored item; members of a cluster look alike."""
    found = {}
    for item in sample_campaign().items:
        if item.finding.ok:
            look = item.cluster or item.finding.sha256
            found[item.finding.sha256] = _thumbnail(look)
    return found


def sample_campaign() -> Campaign:
    """The campaign, the same every time."""
    items = _numbered(_items())
    return Campaign(
        title="Sample campaign: town halls",
        items=items,
        clusters=_clusters(items),
        prevalence=_prevalence(),
        links=_links(items),
        accounts=_accounts(items),
        timeline=_timeline(items),
        edges=_edges(),
        gaps=_gaps(items),
        context=ContextSummary(
            source="posts.csv",
            columns={
                "file": "File",
                "account": "user",
                "platform": "platform",
                "language": "lang",
                "posted_at": "Date (UTC)",
                "url": "link",
                "text": "caption",
            },
            rows=32,
            matched=sum(len(item.posts) for item in items),
            unmatched=(30,),
            bad=(
                BadRow(29, "posted_at is not a date: '31/31/2026'"),
                BadRow(31, "names no file and no sha256"),
                BadRow(32, "the name 'IMG_0001.jpg' fits 2 images: give a longer path or a sha256"),
                BadRow(33, f"posted_at is not a date: {HOSTILE_TEXT!r}"),
            ),
        ),
        custody=Custody(
            tool="detector 0.1.0",
            model=MODEL,
            config_hash=CONFIG_HASH,
            store="campaign.db",
            commands=(
                "detector scan collected --store campaign.db",
                "detector scan 'collected late' --store campaign.db",
            ),
            started=START + timedelta(days=40),
            finished=START + timedelta(days=40, minutes=12),
            made_at=START + timedelta(days=41),
            context_sha256=hashlib.sha256(b"posts.csv").hexdigest(),
        ),
        local_rates=LocalRates(
            real=24,
            generated=16,
            false_positive_rate=4 / 24,
            false_positive_interval=(0.067, 0.359),
            recall=7 / 16,
            recall_interval=(0.231, 0.668),
            card_false_positive_rate=0.02,
            card_recall=0.27,
            warning="On your labels 16.7 % of the real pictures were flagged (6.7 to 35.9 %); the "
            "model's card says 2.0 %. Do not use the card's rates for this material.",
        ),
    )


def _items() -> tuple[Item, ...]:
    flagged, unsure, nothing = Verdict.LIKELY_GENERATED, Verdict.INCONCLUSIVE, Verdict.NO_SIGN
    c2pa_signed = _evidence(
        "c2pa_manifest",
        "c2pa",
        Asserts.GENERATED,
        "Example Image Service",
        Trust.TRUSTED,
        {"generators": ["Example Image Service 3"], "signed_by": "Example Signer"},
    )
    return (
        # One picture, re-saved and cropped, by three accounts.
        _item("crowd", flagged, [("account-a", 0), ("account-b", 1)], "crowd", [_a1111("4242")]),
        _item("crowd resaved", flagged, [("account-c", 2)], "crowd", [_encoding()]),
        _item("crowd crop", unsure, [("account-b", 9), ("account-d", 10)], "crowd"),
        # One file under two names by two accounts.
        _item("meme", nothing, [("account-c", 5), ("account-e", 6)], "meme", copies=2),
        # The model sees nothing, the file says otherwise.
        _item("bridge", nothing, [("account-d", 12)], "", [_a1111("4242", HOSTILE_PROMPT)]),
        _item("harbour", unsure, [("account-a", 15)], "", [c2pa_signed]),
        # The model sees something, a camera's fields say otherwise.
        _item("market", flagged, [("account-b", 16)], "", [_camera()]),
        _item("label", flagged, [("account-d", 19)], "", [_aigc(), _encoding()]),
        _item("label twin", flagged, [("account-a", 20)], "", [_aigc()]),
        _item("broken claim", nothing, [("account-c", 22)], "", [_broken_c2pa()]),
        _item(
            "hostile", unsure, [("account-e", 24)], "", file_name=HOSTILE_NAME, text=HOSTILE_TEXT
        ),
        _item("animated", nothing, [("account-c", 25)], "", notes=("the first of 12 frames",)),
        *(
            _item(f"plain {i}", nothing, [(ACCOUNTS[i % 5], 4 * i)], "", [_encoding()])
            for i in range(9)
        ),
        _item("undated", nothing, [("account-e", None)], ""),
        _item("nobody's", unsure, [], ""),
        _failed("half.jpg", Status.TRUNCATED, "The data end after 12 of 480 lines.", "account-b"),
        _failed("notes.txt", Status.UNSUPPORTED, "This is not an image.", "account-e"),
        Item(
            Finding("collected/account-a/gone.jpg", "", Status.MISSING, "No such file.", MODEL),
            ("collected/account-a/gone.jpg",),
        ),
    )


def _numbered(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items with the lines of the table given to their posts, one after the other."""
    lines = itertools.count(2)
    return tuple(
        replace(i, posts=tuple(replace(post, line=next(lines)) for post in i.posts)) for i in items
    )


def _item(
    name: str,
    verdict: Verdict,
    posted: Sequence[tuple[str, int | None]],
    cluster: str,
    evidence: Sequence[Evidence] = (),
    *,
    file_name: str = "",
    copies: int = 1,
    text: str = "",
    notes: tuple[str, ...] = (),
) -> Item:
    file_name = file_name or f"{name.replace(' ', '-')}.jpg"
    sha, score = sha_of(name), _SCORES[verdict]
    owners = [account for account, _ in posted] or ["unknown"]
    paths = tuple(sorted(f"collected/{owner}/{file_name}" for owner in owners[: max(copies, 1)]))
    finding = Finding(
        paths[0],
        sha,
        Status.OK,
        f"The score {score:+.2f} decides.",
        MODEL,
        score,
        0.76 if score > 0 else 0.25,
        3.2 if score > 0 else 0.33,
        verdict,
        "score",
        crops=(
            CropScore("native", 16, 24, 224, 224, score + 0.4),
            CropScore("native", 300, 200, 224, 224, score - 0.2),
            CropScore("whole", 80, 0, 480, 480, score),
        ),
        spread=0.3,
        stratum=Stratum("jpeg", "medium", "light"),
        file=FileFacts(sha, 90_000 + len(name), "JPEG", 640, 480, jpeg_quality=90),
        notes=notes,
    )
    posts = tuple(_post(i, account, day, text) for i, (account, day) in enumerate(posted))
    return Item(finding, paths, tuple(evidence), posts, _cluster_id(cluster) if cluster else "")


def _post(number: int, account: str, day: int | None, text: str) -> Post:
    when = None if day is None else START + timedelta(days=day, hours=number)
    return Post(
        line=0,
        account=account,
        platform=_PLATFORM[account],
        language=_LANGUAGE[account],
        posted_at=when,
        url="" if day is None else f"https://example.org/{account}/{day}",
        text=text or "At the town hall today.",
        extra={"likes": str(7 * (day or 0)), "collector": "batch 1"},
    )


def _failed(name: str, status: Status, reason: str, account: str) -> Item:
    path = f"collected/{account}/{name}"
    finding = Finding(path, sha_of(name), status, reason, MODEL)
    return Item(finding, (path,), (), (_post(0, account, 7, ""),))


def _evidence(
    kind: str,
    channel: str,
    asserts: Asserts,
    issuer: str,
    trust: Trust,
    raw: dict[str, object],
    caveat: str = "Anyone can write this into a file, and every platform can remove it.",
) -> Evidence:
    return Evidence(kind, channel, asserts, issuer, trust, raw, caveat)


def _a1111(seed: str, prompt: str = PROMPT) -> Evidence:
    raw = {"prompt": prompt, "model": "example-model-xl", "seed": seed, "size": "832x1216"}
    issuer = "Stable Diffusion web UI"
    return _evidence(
        "a1111_parameters", "metadata", Asserts.GENERATED, issuer, Trust.SELF_DECLARED, raw
    )


def _aigc() -> Evidence:
    raw = {"label": "1", "producer": {"code": "001191110000000000000001"}}
    return _evidence(
        "aigc_label", "aigc_label", Asserts.GENERATED, "0011911", Trust.SELF_DECLARED, raw
    )


def _camera() -> Evidence:
    raw = {"make": "Example", "model": "Camera 5", "exposure_time": "1/250"}
    return _evidence(
        "camera_exif", "metadata", Asserts.CAPTURED, "Example Camera 5", Trust.SELF_DECLARED, raw
    )


def _broken_c2pa() -> Evidence:
    raw = {"failures": ["assertion.dataHash.mismatch"], "validation_state": "Invalid"}
    caveat = "The file was changed after it was signed; that is not a sign of bad intent."
    return _evidence(
        "c2pa_manifest", "c2pa", Asserts.CAPTURED, "Example Press", Trust.INVALID, raw, caveat
    )


def _encoding() -> Evidence:
    raw = {"reading": "libjpeg's table at quality 90", "tables": {"ijg_quality": 90}}
    return _evidence("jpeg_encoding", "compression", Asserts.UNKNOWN, "", Trust.INFERRED, raw)


def _cluster_id(name: str) -> str:
    return "c-" + sha_of(name)[:10]


def _clusters(items: Sequence[Item]) -> tuple[Cluster, ...]:
    how = {
        "crowd": ("seed", None, None),
        "crowd resaved": ("pdq", 8, None),
        "crowd crop": ("features", None, 61),
        "meme": ("seed", None, None),
    }
    found = []
    for name in ("crowd", "meme"):
        inside = [item for item in items if item.cluster == _cluster_id(name)]
        posts = [post for item in inside for post in item.posts]
        dates = sorted(post.posted_at for post in posts if post.posted_at)
        members = tuple(
            Member(sha_of(n), by, distance, inliers)
            for n, (by, distance, inliers) in how.items()
            if n.startswith(name)
        )
        found.append(
            Cluster(
                _cluster_id(name),
                members,
                tuple(sorted({post.account for post in posts})),
                tuple(sorted({post.platform for post in posts})),
                dates[0],
                dates[-1],
                len(posts),
            )
        )
    return tuple(found)


def _prevalence() -> tuple[Prevalence, ...]:
    measured = "Flagged pictures, corrected for the error rates on 32 validation sources."
    small = "Only {} pictures: too few for an estimate, so these are bounds."
    outside = "The model was not measured on this kind of file, so these are bounds only."

    def row(
        by: str,
        group: str,
        pictures: int,
        flagged: int,
        unsure: int,
        estimate: float | None,
        low: float,
        high: float,
        reason: str = measured,
    ) -> Prevalence:
        return Prevalence(
            by, group, pictures, flagged, unsure, estimate, low, high, 0.9, estimate is None, reason
        )

    return (
        row("all", "", 21, 4, 3, 0.46, 0.17, 0.83),
        row("account", "account-a", 5, 2, 1, None, 0.05, 1.0, small.format(5)),
        row("account", "account-b", 4, 2, 0, None, 0.05, 1.0, small.format(4)),
        row("account", "account-c", 6, 1, 0, 0.21, 0.0, 0.78),
        row("account", "account-d", 5, 1, 1, None, 0.01, 1.0, small.format(5)),
        row("account", "account-e", 4, 0, 1, None, 0.0, 0.96, outside),
        row("platform", "forum", 12, 3, 2, 0.55, 0.14, 0.95),
        row("platform", "photos", 10, 2, 0, 0.35, 0.03, 0.86),
        row("language", "en", 10, 2, 1, 0.61, 0.15, 0.97),
        row("language", "fr", 4, 2, 0, None, 0.05, 1.0, small.format(4)),
        row("language", "uk", 5, 1, 1, None, 0.01, 1.0, small.format(5)),
        *(
            row("week", week, n, flagged, unsure, None, 0.02, 1.0, small.format(n))
            for week, (n, flagged, unsure) in zip(
                WEEKS, ((4, 1, 0), (4, 0, 1), (6, 3, 1), (4, 0, 1), (2, 0, 0)), strict=True
            )
        ),
    )


def _links(items: Sequence[Item]) -> tuple[TraceLink, ...]:
    lead = "This is a lead, not a proof: it can be copied, and others may share it too."
    return (
        TraceLink(
            "seed",
            "4242",
            ("account-a", "account-b", "account-d"),
            tuple(sorted((sha_of("crowd"), sha_of("bridge")))),
            0.0,
            7.4,
            f"Three accounts posted pictures whose metadata name seed 4242. {lead}",
        ),
        TraceLink(
            "prompt",
            HOSTILE_PROMPT,
            ("account-a", "account-d"),
            tuple(sorted((sha_of("crowd"), sha_of("bridge")))),
            0.0002,
            5.1,
            f"Two accounts posted pictures whose prompts share a passage. {lead}",
        ),
        TraceLink(
            "aigc_producer",
            "001191110000000000000001",
            ("account-a", "account-d"),
            tuple(sorted((sha_of("label"), sha_of("label twin")))),
            0.004,
            2.9,
            f"Two accounts posted pictures that name the same producer code. {lead}",
        ),
        TraceLink(
            "quantisation",
            "2a9f0c4417d0",
            ACCOUNTS,
            tuple(sorted(i.finding.sha256 for i in items if _encoding() in i.evidence)),
            None,
            0.3,
            f"Five accounts posted JPEGs with the same tables, which many programs write. {lead}",
        ),
    )


def _accounts(items: Sequence[Item]) -> tuple[AccountSummary, ...]:
    shared = {
        "account-a": ("account-b", "account-c", "account-d"),
        "account-b": ("account-a", "account-c", "account-d"),
        "account-c": ("account-a", "account-b", "account-d", "account-e"),
        "account-d": ("account-a", "account-b", "account-c"),
        "account-e": ("account-c",),
    }
    found = []
    for account in ACCOUNTS:
        own = [item for item in items if any(p.account == account for p in item.posts)]
        posts = [p for item in own for p in item.posts if p.account == account]
        dates = sorted(p.posted_at for p in posts if p.posted_at)
        verdicts = [item.finding.verdict for item in own]
        found.append(
            AccountSummary(
                account,
                (_PLATFORM[account],),
                (_LANGUAGE[account],) if _LANGUAGE[account] else (),
                len(posts),
                len(own),
                verdicts.count(Verdict.LIKELY_GENERATED),
                verdicts.count(Verdict.INCONCLUSIVE),
                verdicts.count(Verdict.NO_SIGN),
                verdicts.count(None),
                dates[0],
                dates[-1],
                shared[account],
            )
        )
    return tuple(found)


def _timeline(items: Sequence[Item]) -> tuple[TimeBin, ...]:
    rows = [
        (post.posted_at.date(), item.finding.verdict)
        for item in items
        for post in item.posts
        if post.posted_at
    ]
    bins = []
    for week in range(len(WEEKS)):
        start = date(2026, 1, 5) + timedelta(days=7 * week)
        inside = [v for day, v in rows if start <= day < start + timedelta(days=7)]
        bins.append(
            TimeBin(
                start,
                7,
                inside.count(Verdict.LIKELY_GENERATED),
                inside.count(Verdict.INCONCLUSIVE),
                inside.count(Verdict.NO_SIGN),
                inside.count(None),
            )
        )
    return tuple(bins)


def _edges() -> tuple[Edge, ...]:
    crowd, meme = _cluster_id("crowd"), _cluster_id("meme")
    return (
        Edge(("account-a", "account-b"), (crowd,), ("seed: 4242",), 2.0),
        Edge(("account-a", "account-c"), (crowd,), (), 1.0),
        Edge(("account-a", "account-d"), (crowd,), ("seed: 4242", f"prompt: {PROMPT}"), 3.0),
        Edge(("account-b", "account-d"), (crowd,), ("seed: 4242",), 2.0),
        Edge(("account-c", "account-e"), (meme,), (), 1.0),
    )


def _gaps(items: Sequence[Item]) -> tuple[Gap, ...]:
    statuses = [item.finding.status for item in items]
    verdicts = [item.finding.verdict for item in items]
    unsure = verdicts.count(Verdict.INCONCLUSIVE)
    return (
        Gap("failed", len(items) - statuses.count(Status.OK), "Files that could not be scored."),
        Gap("inconclusive", unsure, "Pictures on which the model cannot decide."),
        Gap("no_evidence", 6, "Pictures whose files carry no statement of origin at all."),
        Gap("conflict", 3, "Pictures on which the model and the file disagree."),
        Gap("unmeasured_stratum", 1, "Pictures of a kind the model was not measured on."),
        Gap("undated", 1, "Posts without a date: they are missing from the timeline."),
        Gap("no_account", 1, "Pictures that no row of the table names."),
        Gap("unmatched_rows", 1, "Rows that name no image of the store."),
        Gap("bad_rows", 4, "Rows that could not be read."),
    )


def _thumbnail(look: str) -> bytes:
    rng = np.random.default_rng(int(hashlib.sha256(look.encode()).hexdigest()[:8], 16))
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    stream = io.BytesIO()
    coarse.resize((160, 120), Image.Resampling.BICUBIC).save(stream, "WEBP", quality=70)
    return stream.getvalue()
