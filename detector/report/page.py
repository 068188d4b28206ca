"""Write the report page: one HTML file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from detector.errors import UsageError
from detector.report import method, sections
from detector.report.document import Document, make_document
from detector.report.facts import ModelFacts
from detector.report.markup import Html, element, embedded_json, escape, join
from detector.report.rows import Thumbnails, collect_thumbnails, page_data
from detector.store import Store

# The script in reading order; one block in the page, so that one hash allows it.
SCRIPTS = ("core.js", "window.js", "views.js", "details.js", "main.js")
THUMBNAIL_BUDGET = 64 * 2**20
_BLOCKS_GO_HERE = "<!-- thumbnails -->"


def write_report(
    store: Store,
    out: str | Path,
    *,
    title: str | None = None,
    model_facts: Mapping[str, Any] | None = None,
    thumbnail_budget: int = THUMBNAIL_BUDGET,
) -> None:
    """Write one self-contained HTML page on what a store holds.

    The same store gives the same bytes. The file appears under its name only when complete.

    Args:
        store: results, previews (WebP bytes) and scans.
        out: the file to write; it is replaced when it exists.
        title: the page's heading; None: "Scan of" and the folder that all files share.
        model_facts: what the model's card says, with the keys of `ModelFacts`: `model` (its
            id; else the last scan's), `threshold`, `no_sign_below` (logits), `prior`,
            `nominal_fpr` (in [0, 1]), `measured_on` (a sentence),
            `overall` and `strata` (by name) with `tpr`, `fpr` (in [0, 1]), `real`,
            `generated`, `sources` (counts). What is missing is said to be missing.
        thumbnail_budget: bytes of base64 text that previews may take. Beyond it, images with
            lower scores come without one, and the page says how many.

    Raises:
        UsageError: when the file cannot be written.
    """
    facts = ModelFacts.from_mapping(model_facts)
    document = make_document(store.findings(), store.scans(), title=title, facts=facts)
    thumbnails = collect_thumbnails(document.findings, store.thumbnail, thumbnail_budget)
    out = Path(out)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(render(document, thumbnails))
        os.replace(part, out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write the report to {out}: {error.strerror}") from error


def render(document: Document, thumbnails: Thumbnails) -> Iterator[str]:
    """Yield the page in pieces: all but the previews first, so that it shows while they load."""
    style, script = _asset("page.css"), _script()
    page = Template(_asset("page.html")).substitute(
        csp=escape(content_policy(style, script)),
        title=escape(document.title),
        style=style,
        script=script,
        lead=sections.lead(document),
        tallies=sections.tallies(document),
        caveats=sections.caveats(document),
        provenance=sections.provenance(document),
        static_results=sections.static_results(document),
        failures=sections.failures(document),
        thresholds=method.thresholds(document.facts),
        icd_table=method.icd_table(),
        error_rates=method.error_rates(document.facts),
        previews=_previews_note(thumbnails),
        data=embedded_json(page_data(document, thumbnails)),
    )
    # The marker stands last in the template, so a file that is named like it cannot be meant.
    before, _, after = page.rpartition(_BLOCKS_GO_HERE)
    yield before
    for number, text in thumbnails.blocks():
        yield element("script", Html(text), type="text/plain", id=f"thumbnails-{number}") + "\n"
    yield after


def content_policy(style: str, script: str) -> str:
    """A Content Security Policy that allows this style, this script, and embedded images."""
    return (
        "default-src 'none'; img-src data:; "
        f"style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _asset(name: str) -> str:
    # Reading as text turns CRLF into LF, which is also what a browser hashes.
    return files("detector.report").joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    return '"use strict";\n(() => {\n' + "\n".join(map(_asset, SCRIPTS)) + "})();\n"


def _previews_note(thumbnails: Thumbnails) -> Html:
    if not thumbnails.left_out:
        return Html("")
    return element(
        "p",
        join(
            f"{thumbnails.left_out:,} images come without a preview, to keep this file usable. "
            "Previews were kept for the highest scores."
        ),
        class_="note",
    )
