"""What cannot be said: gaps, files that failed, and rows of the table that could not be used."""

from __future__ import annotations

from detector.campaign.records import ContextSummary
from detector.names import one_line
from detector.report.document import Document, verdict_of
from detector.report.facts import finite
from detector.report.markup import (
    Html,
    cells,
    element,
    folded,
    join,
    name,
    paragraph,
    table,
)
from detector.report.summary import word
from detector.report.wording import STATUS_WORDS, count, listed, percent, signed
from detector.results import FileFacts

FAILURES_SHOWN = 1000
STATIC_ROWS = 500
_BAD_ROWS = 200
# Gaps about images that the list can show, by its filters.
_FILTERS = {
    "failed": "verdict=not_scored",
    "inconclusive": "verdict=inconclusive",
    "conflict": "conflict=1",
}


def gaps(document: Document) -> Html:
    """Everything that cannot be said, with its count, and the table's unusable rows."""
    found = document.campaign.gaps
    rows = (
        cells(
            element("a", f"{gap.count:,}", href=f"#{_FILTERS[gap.kind]}", class_="to-images")
            if gap.kind in _FILTERS
            else f"{gap.count:,}",
            one_line(gap.words),
        )
        for gap in found
    )
    listed_gaps = (
        table("What cannot be said", ("Number", "Of"), rows, hidden_caption=True)
        if found
        else paragraph(
            "No gaps were counted."
            if document.analysed
            else f"{count(document.counts['inconclusive'], 'image')} stay undecided and "
            f"{count(document.counts['not_scored'], 'image')} could not be scored. Shares, "
            "copies, traces and time were not looked at."
        )
    )
    return join(listed_gaps, _context(document.campaign.context))


def _context(context: ContextSummary) -> Html | None:
    if not context.source:
        return paragraph(
            "No table of posts was given, so folders stand for accounts and nothing is known of "
            "platforms, languages or dates.",
            class_="note",
        )
    columns = (
        f"{one_line(ours)} from “{one_line(theirs)}”" for ours, theirs in context.columns.items()
    )
    bad = (cells(f"{row.line:,}", one_line(row.reason)) for row in context.bad[:_BAD_ROWS])
    unmatched = ", ".join(f"{line:,}" for line in context.unmatched[:_BAD_ROWS])
    return join(
        element("h3", "The table of posts"),
        paragraph(
            element("bdi", context.source),
            f": {count(context.rows, 'row')}, of which {context.matched:,} met an image, "
            f"{len(context.unmatched):,} met none and {len(context.bad):,} could not be read. "
            f"Columns used: {'; '.join(columns)}.",
        ),
        folded(
            f"Rows that could not be read ({len(context.bad):,})",
            table("Rows that could not be read", ("Line", "Why"), bad, hidden_caption=True),
        )
        if context.bad
        else None,
        folded(
            f"Lines that name no image of the store ({len(context.unmatched):,})",
            paragraph(unmatched + (" …" if len(context.unmatched) > _BAD_ROWS else "")),
        )
        if context.unmatched
        else None,
    )


def failures(document: Document) -> Html:
    """Every file that could not be scored, with its status and the reason."""
    if not document.failures:
        return element("p", "Every file was scored.")
    kinds = element(
        "ul",
        *(
            element("li", f"{STATUS_WORDS[status]}: ", element("strong", f"{number:,}"))
            for status, number in sorted(document.statuses.items(), key=lambda x: (-x[1], x[0]))
        ),
        class_="kinds",
    )
    rows = (
        cells(f"{index + 1}", _place(document, index), STATUS_WORDS[finding.status], finding.reason)
        for index, finding in document.failures[:FAILURES_SHOWN]
    )
    head = ("No.", "File", "Status", "Reason")
    return join(
        kinds,
        table("Files that could not be scored", head, rows, hidden_caption=True),
        _shortened(len(document.failures), FAILURES_SHOWN),
    )


def static_results(document: Document) -> Html:
    """The results as a plain table for readers without JavaScript, highest score first."""

    def order(index: int) -> tuple[bool, float, int]:
        score = finite(document.items[index].finding.score)
        return score is None, -(score or 0.0), index

    ranked = sorted(range(len(document.items)), key=order)
    rows = (_static_row(document, index) for index in ranked[:STATIC_ROWS])
    who = "Folders" if document.by_folder else "Accounts"
    head = ("No.", "File", who, "Verdict", "Score", "Probability", "Pixels")
    return join(
        table("Results, highest score first", head, rows), _shortened(len(ranked), STATIC_ROWS)
    )


def _static_row(document: Document, index: int) -> Html:
    item = document.items[index]
    finding = item.finding
    accounts = list(dict.fromkeys(post.account for post in item.posts if post.account))
    return cells(
        f"{index + 1}",
        _place(document, index),
        element("bdi", listed(accounts)) if accounts else "–",
        word(verdict_of(finding)),
        "–" if finding.score is None else signed(finding.score),
        "–" if finding.probability is None else percent(finding.probability),
        _pixels(finding.file),
    )


def _pixels(file: FileFacts | None) -> str:
    return "–" if file is None else f"{file.width}\u00a0×\u00a0{file.height}"


def _place(document: Document, index: int) -> Html:
    folder, file = document.places[index][0]
    inside = element("span", name(folder), class_="folder") if folder else None
    return join(name(file), inside)


def _shortened(total: int, shown: int) -> Html | None:
    if total <= shown:
        return None
    return element(
        "p",
        f"The first {shown:,} of {total:,} are listed here. All are in the store: "
        "export them with ",
        element("code", "detector export STORE --csv FILE"),
        ".",
        class_="note",
    )
