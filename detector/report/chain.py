"""Chain of custody: which bytes were looked at, with what, when, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.names import one_line
from detector.report.document import Document
from detector.report.markup import (
    Html,
    element,
    embedded_json,
    folded,
    join,
    pairs,
    paragraph,
)
from detector.report.wording import count, when


def custody(document: Document, statement: Mapping[str, Any] | None) -> Html:
    """Tool, model, times, commands and hashes; the machine-readable statement beside them."""
    made = document.campaign.custody
    terms: list[tuple[str, Html | str]] = [
        ("Tool", one_line(made.tool)),
        ("Model", one_line(made.model)),
        ("Model’s settings", element("code", made.config_hash)),
        ("Result store", element("bdi", made.store)),
        ("First scan began", when(made.started)),
        ("Last scan ended", when(made.finished)),
        ("Analysis made", when(made.made_at)),
    ]
    if made.context_sha256:
        terms.append(("Table of posts, sha256", element("code", made.context_sha256)))
    terms += [("Command", element("code", command)) for command in made.commands]
    return join(
        pairs(terms),
        paragraph(
            f"The sha256 of each of the {count(len(document.items), 'image')} stands in its "
            "details, in the list below, and in a block for machines in this file. ",
            "Compare it with your originals: ",
            element("code", "detector verify REPORT"),
            " recomputes every hash and says what changed."
            if statement is not None
            else " needs the statement that this page was made without.",
        ),
        folded(
            f"sha256 of every image ({len(document.items):,})",
            element("ol", id="hashes", class_="hashes"),
            element(
                "noscript",
                paragraph("The list needs JavaScript; the block for machines holds it."),
            ),
        ),
    )


def block(statement: Mapping[str, Any] | None) -> Html:
    """The statement as a data block with the id "custody"; nothing without one."""
    if statement is None:
        return Html("")
    return element("script", embedded_json(statement), type="application/json", id="custody")
