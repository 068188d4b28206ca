"""How much of a set is generated: the section with intervals per group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detector.campaign.records import Prevalence
from detector.names import one_line
from detector.report import charts
from detector.report.document import Document
from detector.report.markup import (
    Html,
    cells,
    element,
    folded,
    how,
    join,
    paragraph,
    shown,
    table,
)
from detector.report.wording import GROUPINGS, count, interval, percent

Draw = Callable[[], Html]
ROWS_SHOWN = 500
_OPEN = 12  # a table of so many rows stands open


def prevalence(document: Document, drawn: bool = True) -> Html:
    """Estimates with intervals for the set and each group, as a chart and as tables."""
    rows = document.campaign.prevalence
    if not rows:
        return paragraph(
            "No share was worked out here. ",
            element("code", "detector report STORE"),
            " estimates it with an interval, by account, platform, language and week.",
            class_="note",
        )
    notes = {text: n for n, text in enumerate(dict.fromkeys(row.reason for row in rows), 1)}
    level = f"{rows[0].level * 100:.0f} %"
    return join(
        paragraph(
            "Shares of pictures, where a picture counts once however often it was copied. They "
            f"are corrected for the model’s error rates; the {level} intervals carry the chance "
            "of the sample and the uncertainty of those rates. A dashed line gives bounds only: "
            "the truth lies inside, and nothing says where. ",
            how("prevalence"),
        ),
        figure(
            lambda: charts.prevalence_chart(rows),
            f"Share generated, with {level} intervals. Diamond: estimate. Dashed: bounds only. "
            f"At most {charts.GROUPS_DRAWN} groups of a kind are drawn; the tables hold all.",
            drawn,
        ),
        *(_tables(document, by, [row for row in rows if row.by == by], notes) for by in GROUPINGS),
        _notes(notes),
    )


def figure(draw: Draw, caption: str, drawn: bool) -> Html:
    """A chart with its caption, or a note where charts cannot be drawn."""
    if not drawn:
        return Html("")
    try:
        made = draw()
    except charts.ChartsMissingError:
        return paragraph(
            "The chart is left out: drawing needs ",
            element("code", "pip install 'aigi-detector[campaign]'"),
            ". The table says the same.",
            class_="note",
        )
    if not made:
        return made
    inside = element("div", made, class_="chart", role="group", tabindex="0", aria_label=caption)
    return element("figure", inside, element("figcaption", caption))


def _tables(
    document: Document, by: str, rows: Sequence[Prevalence], notes: dict[str, int]
) -> Html | None:
    if not rows:
        return None
    title = "Folder" if by == "account" and document.by_folder else GROUPINGS[by]
    head = (title, "Pictures", "Flagged", "Inconclusive", "Estimate", "Interval", "Note")
    made = table(
        f"Share generated: {title.lower()}",
        head,
        (_row(document, row, notes) for row in rows[:ROWS_SHOWN]),
        hidden_caption=True,
    )
    if by == "all":
        return made
    text = f"By {title.lower()} ({len(rows):,})"
    return folded(text, made, _more(len(rows)), opened=len(rows) <= _OPEN)


def _row(document: Document, row: Prevalence, notes: dict[str, int]) -> Html:
    name = element("bdi", row.group) if row.group else Html("The whole set")
    group = shown(row.by, row.group, name) if row.by in _FILTERS else name
    return cells(
        group,
        f"{row.pictures:,}",
        f"{row.flagged:,}",
        f"{row.inconclusive:,}",
        "bounds only" if row.estimate is None else percent(row.estimate),
        interval(row.low, row.high),
        f"{notes[row.reason]}",
    )


_FILTERS = ("account", "platform", "language")


def _notes(notes: dict[str, int]) -> Html:
    points = (element("li", one_line(text)) for text in notes)
    return join(element("h3", "Notes on these shares"), element("ol", *points, class_="notes"))


def _more(total: int) -> Html | None:
    if total <= ROWS_SHOWN:
        return None
    return paragraph(
        f"The first {ROWS_SHOWN:,} of {count(total, 'group')} are listed.", class_="note"
    )
