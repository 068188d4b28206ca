"""Charts of a campaign as static SVG, drawn by Vega-Lite; each stands beside a table.

vl-convert draws Vega-Lite specifications without a browser or a network. The result holds no
script, no style and no link. Every colour in it is one of `COLOURS`, which the page's style
sheet maps to the colours of its light and dark schemes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from detector.campaign.records import Edge, Prevalence, TimeBin
from detector.names import one_line
from detector.report.markup import Html
from detector.report.wording import GROUPINGS, VERDICT_WORDS, clipped

COLOURS: dict[str, str] = {
    "ink": "#1f1e1b",
    "muted": "#5c5950",
    "line": "#dfdbd1",
    "edge": "#a8a294",
    "paper": "#fbfaf7",
    "likely_generated": "#6b3a8c",
    "inconclusive": "#8a5800",
    "no_sign": "#3a6073",
    "not_scored": "#5c5951",
}
GROUPS_DRAWN = 20
ACCOUNTS_DRAWN = 30
_WIDTH = 760
_NAMES = 170  # room for the groups' names
_LETTERS = 26

Spec = dict[str, Any]


class ChartsMissingError(Exception):
    """What draws charts is not installed; the page then has its tables alone."""


def prevalence_chart(rows: Sequence[Prevalence]) -> Html:
    """Intervals of the share generated: one line a group, a diamond where there is an estimate.

    Groups that have bounds only are dashed and have no mark. At most `GROUPS_DRAWN` groups of
    a kind are drawn, those with the most pictures. Raises ChartsMissingError.
    """
    panels = []
    for by, title in GROUPINGS.items():
        own = [row for row in rows if row.by == by]
        if by != "week":
            own.sort(key=lambda row: (-row.pictures, row.group))
        if own:
            panels.append(_intervals(own[:GROUPS_DRAWN], title))
    return _svg(_stacked(panels))


def _intervals(rows: Sequence[Prevalence], title: str) -> Spec:
    values = [
        {
            "group": name,
            "low": row.low,
            "high": row.high,
            "estimate": row.estimate,
            "bounds": row.estimate is None,
        }
        for name, row in zip(
            _names([row.group or "The whole set" for row in rows]), rows, strict=True
        )
    ]
    names = {"labelLimit": _NAMES, "minExtent": _NAMES, "maxExtent": _NAMES}
    group = {"field": "group", "type": "nominal", "sort": None, "title": None, "axis": names}
    percents = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}
    share = {
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, 1], "nice": False},
        "axis": percents,
    }

    def layer(bounds: bool, field: str, mark: Spec, more: Spec | None = None) -> Spec:
        encoding = {"y": group, "x": {**share, "field": field}, **(more or {})}
        test = f"datum.bounds === {str(bounds).lower()}"
        return {"transform": [{"filter": test}], "mark": mark, "encoding": encoding}

    rule, tick = (
        {"type": "rule", "color": COLOURS["ink"]},
        {"type": "tick", "color": COLOURS["ink"]},
    )
    diamond = {"type": "point", "shape": "diamond", "size": 120, "filled": True, "opacity": 1}
    to = {"x2": {"field": "high"}}
    return {
        "title": title,
        "data": {"values": values},
        "width": _WIDTH - _NAMES,
        "height": {"step": 22},
        "layer": [
            layer(True, "low", {**rule, "strokeWidth": 1.5, "strokeDash": [3, 4]}, to),
            layer(True, "low", {**tick, "thickness": 1.5, "height": 9}),
            layer(True, "high", {**tick, "thickness": 1.5, "height": 9}),
            layer(False, "low", {**rule, "strokeWidth": 3}, to),
            layer(False, "estimate", {**diamond, "color": COLOURS["likely_generated"]}),
        ],
    }


def timeline_chart(bins: Sequence[TimeBin]) -> Html:
    """Posts over time, one panel a verdict, all on one scale. Raises ChartsMissingError."""
    found = {
        "likely_generated": [b.flagged for b in bins],
        "inconclusive": [b.inconclusive for b in bins],
        "no_sign": [b.no_sign for b in bins],
        "not_scored": [b.failed for b in bins],
    }
    counts = {verdict: posts for verdict, posts in found.items() if any(posts)}
    most = max((max(posts) for posts in counts.values()), default=1)
    every = max(1, -(-len(bins) // 8))
    ticks = [{"signal": f"utc({b.start.year}, {b.start.month - 1}, {b.start.day})"} for b in bins]
    time = {"format": "%-d %b %Y", "labelOverlap": True, "grid": False, "values": ticks[::every]}
    panels = []
    for verdict, posts in counts.items():
        values = [
            {
                "start": _moment(b.start),
                "end": _moment(b.start + timedelta(days=b.days)),
                "posts": n,
            }
            for b, n in zip(bins, posts, strict=True)
        ]
        x = {"field": "start", "type": "temporal", "scale": {"type": "utc"}, "axis": time}
        y = {
            "field": "posts",
            "type": "quantitative",
            "scale": {"domain": [0, most]},
            "axis": {"tickCount": min(most, 3), "format": "d", "minExtent": 36},
        }
        panels.append(
            {
                "title": f"{VERDICT_WORDS[verdict]}: {sum(posts):,}",
                "data": {"values": values},
                "width": _WIDTH - 36,
                "height": 52,
                "mark": {"type": "bar", "color": COLOURS[verdict], "stroke": COLOURS["paper"]},
                "encoding": {
                    "x": {**x, "title": None},
                    "x2": {"field": "end"},
                    "y": {**y, "title": None},
                    "y2": {"datum": 0},
                },
            }
        )
    return _svg(_stacked(panels))


def network_chart(edges: Sequence[Edge]) -> Html:
    """Accounts joined by lines: whole where they share pictures, dashed where only traces.

    Lines are wider where more is shared. At most `ACCOUNTS_DRAWN` accounts, those joined most
    strongly; the layout is the same every time. Raises ChartsMissingError.
    """
    if not edges:
        return Html("")
    places = _layout(edges)
    widest = max(edge.weight for edge in edges) or 1.0
    drawn = [edge for edge in edges if all(account in places for account in edge.accounts)]
    lines = [
        {
            **dict(zip(("x", "y", "x2", "y2"), places[a] + places[b], strict=True)),
            "width": 1 + 5 * edge.weight / widest,
            "traces": not edge.clusters,
        }
        for edge in drawn
        for a, b in (edge.accounts,)
    ]
    nodes = [
        {"name": clipped(one_line(name), _LETTERS), "x": x, "y": y, "label": y + 0.09}
        for name, (x, y) in places.items()
    ]

    def at(field: str) -> Spec:
        scale = {"domain": [-1.3, 1.3], "zero": False}
        return {"field": field, "type": "quantitative", "axis": None, "scale": scale}

    width = {"field": "width", "type": "quantitative", "scale": None, "legend": None}
    ends = {"x": at("x"), "y": at("y"), "x2": {"field": "x2"}, "y2": {"field": "y2"}}
    dashes: tuple[tuple[bool, Spec], ...] = ((False, {}), (True, {"strokeDash": [5, 4]}))
    joined: list[Spec] = [
        {
            "data": {"values": lines},
            "transform": [{"filter": f"datum.traces === {str(traces).lower()}"}],
            "mark": {"type": "rule", "color": COLOURS["edge"], **dash},
            "encoding": {**ends, "strokeWidth": width},
        }
        for traces, dash in dashes
    ]
    data = {"values": nodes}
    dot: Spec = {"type": "circle", "size": 160, "opacity": 1, "color": COLOURS["no_sign"]}
    text: Spec = {"type": "text", "fontSize": 12, "baseline": "bottom"}
    name = {"x": at("x"), "y": at("label"), "text": {"field": "name"}}
    halo = {**text, "color": COLOURS["paper"], "stroke": COLOURS["paper"], "strokeWidth": 5}
    layers: list[Spec] = [
        *joined,
        {"data": data, "mark": dot, "encoding": {"x": at("x"), "y": at("y")}},
        {"data": data, "mark": halo, "encoding": name},
        {"data": data, "mark": {**text, "color": COLOURS["ink"]}, "encoding": name},
    ]
    return _svg({"layer": layers, "width": _WIDTH, "height": 420})


def _layout(edges: Sequence[Edge]) -> dict[str, tuple[float, float]]:
    """Places in [-1, 1] for the accounts that are joined most strongly."""
    try:
        import networkx as nx
    except ImportError as error:
        raise ChartsMissingError from error
    graph = nx.Graph()
    for edge in edges:
        graph.add_edge(*edge.accounts, weight=edge.weight)
    strength = dict(graph.degree(weight="weight"))
    kept = sorted(strength, key=lambda account: (-strength[account], account))[:ACCOUNTS_DRAWN]
    part = nx.Graph()
    part.add_nodes_from(sorted(kept))
    part.add_edges_from(graph.subgraph(kept).edges(data=True))
    # A ring is plain to read while it is short; springs show groups in a larger set.
    if len(part) <= 12:
        found = nx.circular_layout(part)
    else:
        found = nx.spring_layout(part, weight="weight", seed=7, k=1.6 / len(part) ** 0.5)
    return {name: (round(float(x), 3), round(float(y), 3)) for name, (x, y) in found.items()}


def _names(texts: Sequence[str]) -> list[str]:
    """Short names for an axis; those that become the same by it stay apart by a number."""
    seen: dict[str, int] = {}
    names = []
    for text in texts:
        short = clipped(one_line(text), _LETTERS) or "The whole set"
        seen[short] = seen.get(short, 0) + 1
        names.append(short if seen[short] == 1 else f"{short} ({seen[short]})")
    return names


def _moment(day: date, later: int = 0) -> str:
    return f"{(day + timedelta(days=later)).isoformat()}T00:00:00Z"


def _stacked(panels: Sequence[Spec]) -> Spec:
    return {"vconcat": panels, "spacing": 12, "resolve": {"scale": {"x": "shared"}}}


_CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": COLOURS["muted"],
        "domainColor": COLOURS["edge"],
        "tickColor": COLOURS["edge"],
        "gridColor": COLOURS["line"],
        "labelFontSize": 12,
    },
    "axisY": {"labelColor": COLOURS["ink"], "ticks": False, "domain": False, "labelPadding": 8},
    "title": {
        "color": COLOURS["ink"],
        "fontSize": 12,
        "fontWeight": 600,
        "anchor": "start",
        "frame": "group",
        "offset": 4,
    },
}


def _svg(spec: Spec) -> Html:
    if not spec.get("vconcat", True):
        return Html("")
    try:
        import vl_convert
    except ImportError as error:
        raise ChartsMissingError from error
    schema = "https://vega.github.io/schema/vega-lite/v5.json"
    whole = {"$schema": schema, "config": dict(_CONFIG), **spec}
    svg = vl_convert.vegalite_to_svg(whole, vl_version="5.20", allowed_base_urls=[])
    # The table beside it is what a screen reader is given.
    return Html(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))
