"""Write the report page: one HTML file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from detector.campaign.records import Campaign
from detector.errors import UsageError
from detector.report import chain, limits, method, network, prevalence, summary
from detector.report.document import Document
from detector.report.facts import ModelFacts
from detector.report.heatmaps import Overlay, StabilityLike
from detector.report.markup import Html, element, embedded_json, escape, join
from detector.report.plain import plain_campaign
from detector.report.rows import Thumbnails, collect_thumbnails, detail_blocks, page_data
from detector.store import Store

# The script in reading order; one block in the page, so that one hash allows it.
SCRIPTS = (
    "core.js", "filters.js", "window.js", "views.js", "labels.js", "evidence.js", "details.js",
    "main.js",
)  # fmt: skip
STYLES = ("page.css", "campaign.css", "print.css")
THUMBNAIL_BUDGET = 64 * 2**20
_BLOCKS_GO_HERE = "<!-- blocks -->"


def write_report(
    source: Campaign | Store,
    out: str | Path,
    *,
    title: str | None = None,
    model_facts: Mapping[str, Any] | None = None,
    card: str = "",
    thumbnails: Callable[[str], bytes | None] | None = None,
    thumbnail_budget: int = THUMBNAIL_BUDGET,
    heatmaps: Mapping[str, Overlay] | None = None,
    stability: Mapping[str, StabilityLike] | None = None,
    custody: Mapping[str, Any] | None = None,
    charts: bool = True,
) -> None:
    """Write one self-contained HTML page on a campaign, or on what a store holds.

    The same campaign gives the same bytes. The file appears under its name only when complete.

    Args:
        source: a campaign (`detector.campaign.build` makes one), or a store. A store's
            findings are shown as they are, by folder; nothing is compared.
        out: the file to write; it is replaced when it exists.
        title: the page's heading; None: the campaign's, or "Scan of" and the folder that all
            files share.
        model_facts: what the model's card says, with the keys of `ModelFacts`: `model` (its
            id; else the last scan's), `threshold`, `no_sign_below` (logits), `prior`,
            `nominal_fpr` (in [0, 1]), `measured_on` (a sentence),
            `overall` and `strata` (by name) with `tpr`, `fpr` (in [0, 1]), `real`,
            `generated`, `sources` (counts). What is missing is said to be missing.
        card: the model's card as text, to be folded into the page.
        thumbnails: gives the WebP bytes of an image's preview by its sha256, or None; for a
            store, its own by default.
        thumbnail_budget: bytes of base64 text that previews may take. Beyond it, images with
            lower scores come without one, and the page says how many.
        heatmaps: pictures of where the score comes from, by sha256; `overlay` makes them.
        stability: what `detector.explain.stability` says, by sha256.
        custody: what `detector.custody.statement` says of the campaign; embedded as JSON in
            the element with the id "custody".
        charts: whether charts are drawn; tables say the same.

    Raises:
        UsageError: when the file cannot be written.
    """
    if isinstance(source, Store):
        campaign = plain_campaign(source, title)
        thumbnails = thumbnails or source.thumbnail
    else:
        campaign = source if title is None else replace(source, title=title)
    document = Document(campaign, ModelFacts.from_mapping(model_facts), card)
    load = thumbnails or (lambda sha: None)
    found = collect_thumbnails(document.items, load, thumbnail_budget)
    out = Path(out)
    pieces = render(
        document,
        found,
        heatmaps=heatmaps,
        stability=stability,
        custody=custody,
        charts=charts,
    )
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(pieces)
        os.replace(part, out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write the report to {out}: {error.strerror}") from error


def render(
    document: Document,
    thumbnails: Thumbnails,
    *,
    heatmaps: Mapping[str, Overlay] | None = None,
    stability: Mapping[str, StabilityLike] | None = None,
    custody: Mapping[str, Any] | None = None,
    charts: bool = True,
) -> Iterator[str]:
    """Yield the page in pieces: what is read first comes first, previews and details last."""
    style, script = "\n".join(map(_asset, STYLES)), _script()
    heat = dict(heatmaps or {})
    page = Template(_asset("page.html")).substitute(
        csp=escape(content_policy(style, script)),
        title=escape(document.title),
        style=style,
        script=script,
        kind="Campaign report" if document.analysed else "Image scan report",
        lead=summary.lead(document),
        points=summary.points(document),
        tallies=summary.tallies(document),
        provenance=summary.provenance(document),
        prevalence=prevalence.prevalence(document, charts),
        clusters=network.clusters(document),
        accounts=network.accounts(document),
        traces=network.traces(document),
        activity=network.activity(document, charts),
        gaps=limits.gaps(document),
        static_results=limits.static_results(document),
        failures=limits.failures(document),
        thresholds=method.thresholds(document.facts),
        icd_table=method.icd_table(),
        lr_table=method.lr_table(),
        trust_table=method.trust_table(),
        error_rates=method.error_rates(document),
        chain=chain.custody(document, custody),
        statement=chain.block(custody),
        previews=_previews_note(thumbnails),
        data=embedded_json(page_data(document, thumbnails, heat)),
    )
    # The marker stands last in the template, so a file that is named like it cannot be meant.
    before, _, after = page.rpartition(_BLOCKS_GO_HERE)
    yield before
    for number, text in thumbnails.blocks():
        yield _block(f"thumbnails-{number}", "text/plain", text)
    for number, text in detail_blocks(document, stability):
        yield _block(f"details-{number}", "application/json-lines", text)
    for number, overlay in enumerate(heat.values()):
        yield _block(f"heatmap-{number}", "application/json", embedded_json(overlay.to_record()))
    yield after


def _block(name: str, kind: str, text: str) -> str:
    return element("script", Html(text), type=kind, id=name) + "\n"


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
