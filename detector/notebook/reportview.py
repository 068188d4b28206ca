"""A written report, shown inside a notebook without leaving its own frame."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.html import escape

if TYPE_CHECKING:
    from detector.store import Store
    from detector.weights import Bundle

# A notebook file holds what its cells show; a page of many megabytes would make it unusable.
_LARGEST = 4 * 2**20


class ReportView:
    """A report page on disk; shows itself in a notebook in a sandboxed frame.

    Args:
        path: the HTML file.
        height: of the frame, in pixels.
    """

    def __init__(self, path: Path, height: int = 640) -> None:
        self.path = path
        self.height = height

    def __repr__(self) -> str:
        return f"report at {self.path}"

    def _repr_html_(self) -> str:
        line = f"<div>Report: <code>{escape(str(self.path))}</code></div>"
        if not self.path.is_file() or self.path.stat().st_size > _LARGEST:
            return f"{line}<div>Open the file in a browser; it is too large to show here.</div>"
        page = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        return (
            f'{line}<iframe sandbox="allow-scripts" title="report" srcdoc="{page}" '
            f'style="width:100%;height:{self.height}px;border:1px solid rgba(128,128,128,0.45);'
            'border-radius:6px;background:#fff;"></iframe>'
        )


def write(
    store: Store,
    out: Path,
    *,
    context: str | Path | None = None,
    title: str | None = None,
    bundle: Bundle | None = None,
    **options: Any,
) -> None:
    """Write the page of a store read as a campaign, with the statement that `verify` recomputes."""
    from detector.campaign import build
    from detector.custody import statement
    from detector.report import write_report

    named: dict[str, Any] = {} if title is None else {"title": title}
    campaign = build(store, context=context, bundle=bundle, **named)
    write_report(
        campaign,
        out,
        thumbnails=store.thumbnail,
        custody=statement(campaign),
        model_facts=None if bundle is None else _facts(bundle),
        card="" if bundle is None else bundle.card(),
        **options,
    )


def _facts(bundle: Bundle) -> dict[str, Any]:
    """What the page says of the model's error rates, from the bundle's own config."""
    return {
        "model": bundle.id,
        "nominal_fpr": bundle.thresholds.nominal_fpr,
        "prior": 0.5,  # at which a bundle's probabilities are given
        "threshold": bundle.thresholds.likely_generated,
        "no_sign_below": bundle.thresholds.inconclusive,
        **bundle.config.get("evaluation", {}),
    }
