"""Escaped HTML of single values: cards and tables that read the same in every notebook.

Front ends differ in what they let through: some strip scripts, style sheets and SVG, and some
are dark. So everything is plain elements with inline styles, text takes the surrounding colour,
colours with a meaning bring their own background, and whatever a shape says stands in words too.
"""

from __future__ import annotations

import base64
import html
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from detector.names import one_line

__all__ = [
    "SCALE",
    "VERDICT_COLOURS",
    "VERDICT_WORDS",
    "escape",
    "evidence_list",
    "finding_card",
    "findings_table",
    "image",
    "score_bar",
]

SCALE = (-6.0, 6.0)
"""Ends of every score bar, in logits: the same for every image, model and page."""

NOT_SCORED = "not_scored"

VERDICT_WORDS: dict[str, str] = {
    "likely_generated": "Likely generated",
    "inconclusive": "Inconclusive",
    "no_sign": "No sign",
    NOT_SCORED: "Not scored",
}

# White text on each has a contrast of at least 4.5 : 1; on plots they stand for the same words.
VERDICT_COLOURS: dict[str, str] = {
    "likely_generated": "#6b3a8c",
    "inconclusive": "#8a5800",
    "no_sign": "#3a6073",
    NOT_SCORED: "#5c5950",
}

_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;"
_LINE = "1px solid rgba(128,128,128,0.45)"
_QUIET = "opacity:0.75;font-size:12px;"
_TYPES = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"RIFF", "webp"))

Record = Mapping[str, Any]


def escape(text: object) -> str:
    """Text for an element or a quoted attribute; characters that hide become visible escapes."""
    return html.escape(one_line(str(text)), quote=True)


def finding_card(
    record: Record,
    thumbnail: bytes | None = None,
    *,
    evidence: Iterable[Record] = (),
    marks: Sequence[float] = (),
) -> str:
    """One finding as a card of HTML: verdict word, score bar, reason, stratum and notes.

    Args:
        record: as `Finding.to_record` gives it; missing keys are left out of the card.
        thumbnail: bytes of a WebP, PNG or JPEG preview; other bytes are not shown.
        evidence: records of `Evidence.to_record`, listed below.
        marks: scores to mark on the bar, such as the thresholds.
    """
    name = str(record.get("path") or "") or "(pixels without a file)"
    lines = [
        f'<div style="overflow-wrap:anywhere;" title="{escape(name)}">'
        f"<bdi><b>{escape(_base(name))}</b></bdi></div>",
        f'<div style="margin:6px 0;">{_badge(record)}</div>',
    ]
    if record.get("score") is not None:
        lines.append(score_bar(float(record["score"]), marks))
    lines.append(f'<div style="margin:6px 0 4px;">{escape(record.get("reason") or "")}</div>')
    lines += [
        f'<div style="margin:4px 0;"><b>Disagreement:</b> {escape(words)}</div>'
        for words in record.get("conflicts") or ()
    ]
    lines += [f'<div style="{_QUIET}">{escape(note)}</div>' for note in record.get("notes") or ()]
    lines.append(f'<div style="{_QUIET}">{_facts(record)}</div>')
    lines.append(evidence_list(evidence))
    picture = image(thumbnail, 128)
    left = f'<div style="flex:none;margin-right:14px;">{picture}</div>' if picture else ""
    return (
        f'<div style="{_FONT}display:flex;flex-wrap:wrap;max-width:760px;padding:12px;'
        f"margin:4px 0;border:{_LINE};border-radius:6px;line-height:1.4;font-size:14px;"
        f'text-align:left;">{left}'
        f'<div style="flex:1 1 260px;min-width:0;">{"".join(lines)}</div></div>'
    )


def findings_table(
    records: Sequence[Record],
    thumbnails: Mapping[str, bytes | None] | None = None,
    *,
    most: int = 12,
    title: str = "",
    marks: Sequence[float] = (),
) -> str:
    """Findings as a table of HTML, the first `most` of them, and how many more there are.

    Args:
        records: as `Finding.to_record` gives them, in the order to be shown.
        thumbnails: bytes of previews by sha256.
        most: how many rows are shown.
        title: a line above the table.
        marks: scores to mark on every bar, such as the thresholds.
    """
    pictures = thumbnails or {}
    shown = records[: max(0, most)]
    head = "".join(
        f'<th scope="col" style="text-align:left;padding:4px 10px;border-bottom:{_LINE};">'
        f"{word}</th>"
        for word in ("image", "file", "verdict", "score", "why")
    )
    rows = "".join(_row(r, pictures.get(str(r.get("sha256") or "")), marks) for r in shown)
    more = len(records) - len(shown)
    caption = f'<div style="margin:4px 0 8px;"><b>{escape(title)}</b></div>' if title else ""
    rest = f'<div style="{_QUIET}margin:6px 0;">and {more:,} more</div>' if more > 0 else ""
    table = (
        f'<div style="overflow-x:auto;"><table style="border-collapse:collapse;font-size:13px;">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        if shown
        else ""
    )
    return f'<div style="{_FONT}text-align:left;line-height:1.4;">{caption}{table}{rest}</div>'


def evidence_list(items: Iterable[Record]) -> str:
    """What a file says of its origin as a list of HTML; "" for no items.

    Args:
        items: as `Evidence.to_record` gives them.
    """
    rows = "".join(
        f'<li style="margin:3px 0;"><b>{escape(_words(item.get("kind")))}</b>: asserts '
        f"{escape(_words(item.get('asserts')))}, {escape(_words(item.get('trust')))}"
        f"{_by(item)}. {escape(item.get('caveat') or '')}</li>"
        for item in items
    )
    if not rows:
        return ""
    return (
        f'<details style="margin-top:6px;font-size:13px;"><summary>What the file itself says'
        f'</summary><ul style="margin:4px 0 0;padding-left:20px;">{rows}</ul></details>'
    )


def score_bar(score: float, marks: Sequence[float] = ()) -> str:
    """A score on the fixed scale of `SCALE`; beyond its ends it stands at the end.

    The bar is not filled: a length would look like a degree of guilt, and a score has no zero.

    Args:
        score: logit.
        marks: scores to mark, such as the thresholds.
    """
    ticks = "".join(
        f'<span style="position:absolute;left:{_place(mark):.1f}%;top:0;height:12px;'
        'border-left:1px dashed rgba(128,128,128,0.95);"></span>'
        for mark in marks
    )
    low, high = SCALE
    # Borders and a table, where a fill and a flexible box would be shorter: they pass the filter
    # of JupyterLab for notebooks that nobody has trusted yet, and take the text's own colour.
    ends = ((_signed(low, 0), "left"), (f"score <b>{_signed(score)}</b>", "center"))
    words = "".join(
        f'<span style="display:table-cell;text-align:{side};">{word}</span>'
        for word, side in (*ends, (_signed(high, 0), "right"))
    )
    return (
        f'<div style="max-width:340px;min-width:150px;" title="score {score:+.2f}">'
        '<div style="position:relative;height:12px;">'
        '<span style="position:absolute;left:0;right:0;top:4px;height:4px;border-radius:2px;'
        'background:rgba(128,128,128,0.35);"></span>'
        f"{ticks}"
        f'<span style="position:absolute;left:{_place(score):.1f}%;top:0;height:12px;'
        'margin-left:-2px;border-left:4px solid;border-radius:2px;"></span></div>'
        f'<div style="display:table;width:100%;{_QUIET}">{words}</div></div>'
    )


def image(data: bytes | None, side: int, alt: str = "preview") -> str:
    """An `img` element of a WebP, PNG or JPEG, at most `side` pixels; "" for other bytes."""
    kind = next((kind for magic, kind in _TYPES if (data or b"").startswith(magic)), "")
    if not data or not kind:
        return ""
    text = base64.b64encode(data).decode("ascii")
    return (
        f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{text}" style="max-width:{side}px;'
        f'max-height:{side}px;border-radius:3px;display:block;margin:0;">'
    )


def _row(record: Record, thumbnail: bytes | None, marks: Sequence[float]) -> str:
    name = str(record.get("path") or "") or "(pixels without a file)"
    score = record.get("score")
    cells = (
        image(thumbnail, 64),
        f'<bdi title="{escape(name)}">{escape(_base(name))}</bdi>',
        _badge(record),
        "–" if score is None else score_bar(float(score), marks),
        f'{escape(record.get("reason") or "")}<div style="{_QUIET}">{_facts(record)}</div>',
    )
    style = (
        f"text-align:left;vertical-align:top;padding:6px 10px;border-bottom:{_LINE};"
        "white-space:normal;overflow-wrap:anywhere;"
    )
    widths = ("", "min-width:110px;max-width:220px;", "", "", "min-width:220px;max-width:420px;")
    return (
        "<tr>"
        + "".join(f'<td style="{style}{w}">{c}</td>' for c, w in zip(cells, widths, strict=True))
        + "</tr>"
    )


def _badge(record: Record) -> str:
    verdict = str(record.get("verdict") or NOT_SCORED)
    colour = VERDICT_COLOURS.get(verdict, VERDICT_COLOURS[NOT_SCORED])
    word = VERDICT_WORDS.get(verdict, verdict)
    badge = (
        f'<span style="display:inline-block;padding:1px 8px;border-radius:9px;font-size:12px;'
        f'font-weight:600;white-space:nowrap;color:#fff;background:{colour};">{escape(word)}</span>'
    )
    status = str(record.get("status") or "")
    failed = f" {escape(_words(status))}" if status not in ("", "ok") else ""
    return badge + failed


def _facts(record: Record) -> str:
    parts = []
    if record.get("lr") is not None:
        parts.append(f"likelihood ratio {float(record['lr']):.2g}")
    if record.get("stratum"):
        parts.append(f"kind of file {record['stratum']}")
    if record.get("width") and record.get("height"):
        parts.append(f"{record['width']} × {record['height']} px")
    if record.get("model"):
        parts.append(f"model {record['model']}")
    return escape(" · ".join(parts))


def _by(item: Record) -> str:
    return f", named issuer {escape(item['issuer'])}" if item.get("issuer") else ""


def _words(value: object) -> str:
    return str(value or "").replace("_", " ")


def _base(path: str) -> str:
    return posixpath.basename(path.rstrip("/").replace("\\", "/")) or path


def _place(score: float) -> float:
    """Where a score lies on the scale, in percent of its length."""
    low, high = SCALE
    return 100 * (min(high, max(low, score)) - low) / (high - low)


def _signed(number: float, digits: int = 2) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")
