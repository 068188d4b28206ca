"""What joins images and accounts: same pictures, shared traces, and activity over time."""

from __future__ import annotations

from collections.abc import Iterable

from detector.campaign.records import AccountSummary, Cluster, Edge, Member, TraceLink
from detector.names import one_line
from detector.report import charts
from detector.report.document import Document, verdict_of
from detector.report.markup import (
    Html,
    bullets,
    cells,
    element,
    folded,
    how,
    join,
    paragraph,
    previews,
    shown,
    table,
)
from detector.report.prevalence import figure
from detector.report.summary import word
from detector.report.wording import (
    TRACE_WORDS,
    clipped,
    count,
    day,
    interval,
    listed,
    percent,
    span,
)

CLUSTERS_DRAWN = 24
MEMBERS_DRAWN = 8
ROWS_SHOWN = 500
_VALUE = 160  # letters of a trace's value that stand in the table itself


# Same-image clusters


def clusters(document: Document) -> Html:
    """Pictures that came in several files or from several accounts, most widespread first."""
    found = document.clusters
    if not document.analysed:
        return _not_looked_for("Copies that were saved anew, cropped or overlaid")
    if not found:
        return paragraph("No picture was found twice. ", how("clusters"))
    rest = found[CLUSTERS_DRAWN:]
    return join(
        paragraph(
            f"{count(len(found), 'picture')} came in more than one version, or from more than "
            f"one {'folder' if document.by_folder else 'account'}. Versions may be re-saved, "
            "resized, cropped or overlaid. ",
            how("clusters"),
        ),
        element(
            "ol",
            *(_cluster(document, n, one) for n, one in enumerate(found[:CLUSTERS_DRAWN], 1)),
            class_="clusters",
        ),
        _other_clusters(document, rest) if rest else None,
    )


def _cluster(document: Document, number: int, cluster: Cluster) -> Html:
    numbers = [
        document.numbers[m.sha256] + 1 for m in cluster.members if m.sha256 in document.numbers
    ]
    verdicts: dict[str, int] = {}
    for n in numbers:
        verdict = verdict_of(document.items[n - 1].finding)
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    period = span(cluster.first_seen, cluster.last_seen)
    spread = f"{document.accounts_word(len(cluster.accounts))}, {count(cluster.posts, 'post')}"
    judged = [part for v, n in verdicts.items() for part in (" ", word(v), f" {n:,}")]
    return element(
        "li",
        element("h3", f"Picture {number}: {spread}"),
        element("div", previews(numbers[:MEMBERS_DRAWN]), class_="thumbs"),
        element("p", f"{count(len(numbers), 'version')}:", *judged),
        element("p", "Versions are judged differently.", class_="note")
        if len(verdicts) > 1
        else None,
        element("p", period, class_="note") if period else None,
        element("p", _names(cluster.accounts)) if cluster.accounts else None,
        folded("Why they are one picture", bullets(_reasons(document, cluster.members))),
        element("p", shown("cluster", cluster.id, "Show these images")),
        class_="cluster",
    )


def _reasons(document: Document, members: Iterable[Member]) -> Iterable[Html]:
    for member in members:
        index = document.numbers.get(member.sha256)
        name = (
            element("bdi", document.places[index][0][1], class_="path")
            if index is not None
            else element("code", member.sha256[:16])
        )
        yield join(f"no. {index + 1}, " if index is not None else None, name, ": ", _why(member))


def _why(member: Member) -> str:
    if member.by == "seed":
        return "the one that others were compared with"
    if member.distance is not None:
        return f"PDQ hash differs in {count(member.distance, 'bit')} of 256"
    if member.inliers is not None:
        return f"{count(member.inliers, 'detail')} fit one crop, rotation or scale of the picture"
    return one_line(member.by)


def _other_clusters(document: Document, rest: tuple[Cluster, ...]) -> Html:
    rows = (
        cells(
            shown("cluster", cluster.id, f"Picture {number}"),
            f"{len(cluster.members):,}",
            _names(cluster.accounts),
            f"{cluster.posts:,}",
            day(cluster.first_seen),
            day(cluster.last_seen),
        )
        for number, cluster in enumerate(rest[:ROWS_SHOWN], CLUSTERS_DRAWN + 1)
    )
    who = "Folders" if document.by_folder else "Accounts"
    head = ("Picture", "Versions", who, "Posts", "First seen", "Last seen")
    return folded(
        f"{count(len(rest), 'more picture')}",
        table("More pictures in several versions", head, rows, hidden_caption=True),
        _more(len(rest)),
    )


# Accounts


def accounts(document: Document) -> Html:
    """One line an account: what it posted, how that was judged, and whom it shares with."""
    found = document.campaign.accounts
    if not found:
        return paragraph("No account is known.", class_="note")
    share = {row.group: row for row in document.campaign.prevalence if row.by == "account"}
    who = "Folder" if document.by_folder else "Account"

    def row(one: AccountSummary) -> Html:
        own = share.get(one.account)
        estimate = "–"
        if own is not None:
            estimate = interval(own.low, own.high) + (
                " (bounds)" if own.estimate is None else f" (estimate {percent(own.estimate)})"
            )
        return cells(
            shown("account", one.account, element("bdi", one.account or "unnamed")),
            _names(one.platforms) if one.platforms else "–",
            _names(one.languages) if one.languages else "–",
            f"{one.posts:,}",
            f"{one.pictures:,}",
            f"{one.flagged:,}",
            f"{one.inconclusive:,}",
            f"{one.no_sign:,}",
            f"{one.failed:,}",
            estimate,
            day(one.first_seen),
            day(one.last_seen),
            _names(one.shared_with) if one.shared_with else "–",
        )

    head = (
        who, "Platforms", "Languages", "Posts", "Images", "Likely generated", "Inconclusive",
        "No sign", "Not scored", "Share generated", "First", "Last", "Shares pictures with",
    )  # fmt: skip
    ranked = sorted(found, key=lambda one: (-one.flagged, -one.posts, one.account))
    return join(
        table(f"{who}s", head, (row(one) for one in ranked[:ROWS_SHOWN]), hidden_caption=True),
        _more(len(found)),
        paragraph(
            "Counts are images as judged one by one; shares are corrected for errors. ",
            how("prevalence"),
        ),
    )


# Shared production traces


def traces(document: Document) -> Html:
    """Traces that several accounts share, the least expected first; leads, worded as such."""
    links = document.campaign.links
    if not document.analysed:
        return _not_looked_for("Shared production traces")
    if not links:
        return paragraph("No shared trace was found that would be a lead. ", how("traces"))
    head = ("Trace", "Value", "Accounts", "Images", "How unusual", "What it may mean")
    ranked = sorted(enumerate(links), key=lambda pair: -pair[1].surprise)
    rows = (_link(document, number, link) for number, link in ranked[:ROWS_SHOWN])
    return join(
        paragraph(
            "Files of different accounts that carry the same mark of how they were made. Each is "
            "a lead to follow, never a proof: marks can be copied, and tools are shared. ",
            how("traces"),
        ),
        table("Shared production traces", head, rows, hidden_caption=True),
        _more(len(links)),
    )


def _link(document: Document, number: int, link: TraceLink) -> Html:
    value: Html = element("bdi", link.value, class_="path")
    if len(link.value) > _VALUE:
        value = folded(element("bdi", clipped(link.value, _VALUE)), element("p", link.value))
    return cells(
        TRACE_WORDS.get(link.trace, one_line(link.trace).replace("_", " ")),
        value,
        _names(link.accounts),
        shown("trace", str(number), f"{len(link.sha256s):,}"),
        _unusual(link),
        one_line(link.words),
    )


def _unusual(link: TraceLink) -> str:
    rate = link.reference_rate
    if rate is None:
        return "The reference set cannot say."
    seen = (
        "in none of the reference images"
        if rate <= 0
        else f"in {_rate(rate)} of the reference images"
    )
    if link.surprise < 1:
        return f"Found {seen}; so many accounts may well share it by accident."
    odds = _odds(link.surprise)
    return f"Found {seen}; by accident, so many accounts share it about once in {odds}."


def _rate(rate: float) -> str:
    return percent(rate, 1) if rate >= 0.001 else f"{rate * 1e6:,.0f} in a million"


def _odds(surprise: float) -> str:
    """10 to that power, to one digit and in words where it is large."""
    if surprise >= 12:
        return "more than a million million cases"
    value = 10.0**surprise
    step = 10 ** int(surprise)
    return f"{round(value / step) * step:,} cases"


# Timeline and graph


def activity(document: Document, drawn: bool = True) -> Html:
    """Posts over time by verdict, and accounts joined by what they share."""
    campaign = document.campaign
    if not document.analysed:
        return _not_looked_for("Activity over time and joined accounts")
    bins = campaign.timeline
    unit = "week" if bins and bins[0].days >= 7 else "day"
    rows = (
        cells(
            day(b.start), f"{b.flagged:,}", f"{b.inconclusive:,}", f"{b.no_sign:,}", f"{b.failed:,}"
        )
        for b in bins[:ROWS_SHOWN]
    )
    head = (f"{unit.title()} from", "Likely generated", "Inconclusive", "No sign", "Not scored")
    timeline = join(
        element("h3", f"Posts by {unit} and verdict"),
        join(
            figure(
                lambda: charts.timeline_chart(bins),
                "Posts that carry an image, by the image’s verdict. All panels have one scale.",
                drawn,
            ),
            folded(
                f"The same as a table ({count(len(bins), unit)})",
                table("Posts over time by verdict", head, rows, hidden_caption=True),
            ),
        )
        if bins
        else paragraph("No post has a date, so there is no timeline.", class_="note"),
    )
    who = "Folders" if document.by_folder else "Accounts"
    graph = join(element("h3", f"{who} and what joins them"), _graph(document, drawn))
    return element("div", element("div", timeline), element("div", graph), class_="pair")


def _graph(document: Document, drawn: bool) -> Html:
    edges = sorted(document.campaign.edges, key=lambda e: (-e.weight, e.accounts))
    if not edges:
        return paragraph("No two of them share a picture or a trace.", class_="note")

    def row(edge: Edge) -> Html:
        pictures = [
            shown("cluster", c, f"picture {n}")
            for n, c in sorted((document.cluster_numbers.get(c, 0), c) for c in edge.clusters)
        ]
        first, second = edge.accounts
        return cells(
            element("bdi", first),
            element("bdi", second),
            _joined(pictures[:8], len(pictures)) if pictures else "–",
            element("bdi", listed([clipped(one_line(t), 80) for t in edge.traces]))
            if edge.traces
            else "–",
            f"{edge.weight:.1f}",
        )

    head = ("First", "Second", "Same pictures", "Same traces", "Strength")
    made = table(
        "Joined accounts", head, (row(edge) for edge in edges[:ROWS_SHOWN]), hidden_caption=True
    )
    return join(
        figure(
            lambda: charts.network_chart(edges),
            "Whole lines: same pictures. Dashed lines: same traces only. Wider: more is shared. "
            f"At most {charts.ACCOUNTS_DRAWN} are drawn; places have no meaning.",
            drawn,
        ),
        folded(f"The same as a table ({count(len(edges), 'pair')})", made, _more(len(edges))),
        paragraph(
            "A line is a lead: it does not show that two accounts act together. ", how("graph")
        ),
    )


def _joined(parts: list[Html], total: int) -> Html:
    made = [piece for part in parts for piece in (Html(", "), part)][1:]
    return join(*made, f" and {total - len(parts):,} more" if total > len(parts) else None)


def _names(names: Iterable[str]) -> Html:
    """Names of accounts and the like, each isolated from its neighbours' writing direction."""
    found = list(names)
    shown_names = [element("bdi", clipped(name, 80) or "unnamed") for name in found[:6]]
    return _joined(shown_names, len(found))


def _more(total: int) -> Html | None:
    if total <= ROWS_SHOWN:
        return None
    return paragraph(f"The first {ROWS_SHOWN:,} of {total:,} are listed.", class_="note")


def _not_looked_for(what: str) -> Html:
    return paragraph(
        f"{what} were not looked for here. ",
        element("code", "detector report STORE"),
        " does so.",
        class_="note",
    )
