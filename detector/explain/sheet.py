"""A picture for people: the image, its maps side by side, the legend, and what it all says."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detector.explain import colours
from detector.explain.maps import NAMES, Heatmap

Pixels = NDArray[np.uint8]

_PANEL, _GAP, _TITLE = 480, 16, 30
_INK, _FAINT, _PAPER = (20, 20, 20), (90, 90, 90), (255, 255, 255)
_TITLES = {view: name.capitalize() for view, name in NAMES.items()}


def sheet(shown: Heatmap, rgb: Pixels, lines: Sequence[str] = ()) -> Pixels:
    """(H, W, 3) uint8 RGB: the image, one panel a layer, a legend and the lines of text.

    Args:
        shown: from `detector.explain.heatmap`.
        rgb: the upright image, or a reduced copy of it.
        lines: sentences to print below, wrapped to the width.
    """
    small = _reduced(rgb)
    titles = ["Image"]
    panels = [small]
    for layer in shown.layers:
        part = next((c for c in shown.contributions if c.view == layer.view), None)
        said = "" if part is None else f": brought {part.score:+.2f} to the score"
        titles.append(_TITLES[layer.view] + said)
        panels.append(shown.overlay(small, layer.view))
    height, width = small.shape[:2]
    column = max(width, 300)
    across = _GAP + len(panels) * (column + _GAP)
    text = [row for line in (*_meanings(shown), "", *lines)
            for row in textwrap.wrap(line, across // 7) or [""]]  # fmt: skip
    down = _GAP + _TITLE + height + _GAP + 66 + 19 * len(text) + _GAP
    page = Image.new("RGB", (across, down), _PAPER)
    draw = ImageDraw.Draw(page)
    for i, (title, panel) in enumerate(zip(titles, panels, strict=True)):
        left = _GAP + i * (column + _GAP)
        draw.text((left, _GAP), title, fill=_INK, font=_font(16))
        page.paste(Image.fromarray(panel), (left, _GAP + _TITLE))
    top = _GAP + _TITLE + height + _GAP
    legend = legend_strip(min(across - 2 * _GAP, 900))
    page.paste(Image.fromarray(legend), (_GAP, top))
    for number, row in enumerate(text):
        draw.text((_GAP, top + 66 + 19 * number), row, fill=_INK, font=_font(14))
    return np.asarray(page)


def legend_strip(width: int = 760) -> Pixels:
    """(56, width, 3) uint8 RGB: the fixed scale with its marks, and the sign for blank places."""
    page = Image.new("RGB", (width, 56), _PAPER)
    draw = ImageDraw.Draw(page)
    bar = min(380, width // 2)
    ramp = np.linspace(*colours.SCALE, bar, dtype=np.float32)[None].repeat(16, 0)
    # The ramp is drawn as it appears on a grey picture, opacity and all.
    ground = np.full((16, bar, 3), 160, np.uint8)
    strip = colours.painted(ground, ramp, np.zeros(ramp.shape, bool))
    page.paste(Image.fromarray(strip), (28, 4))
    for ratio, name in ((0.1, "1/10"), (1 / 3, "1/3"), (1, "1"), (3, "3"), (10, "10")):
        at = 28 + round((colours.positions(np.log(ratio)).item() + 1) / 2 * (bar - 1))
        draw.line((at, 20, at, 25), fill=_FAINT)
        draw.text((at, 27), name, fill=_INK, font=_font(12), anchor="ma")
    draw.text((28, 42), "likelihood ratio; blue: against generated, orange: for it",
              fill=_FAINT, font=_font(11))  # fmt: skip
    nothing, all_of = np.zeros((16, 34), bool), np.ones((16, 34), bool)
    zero, unseen = np.zeros((16, 34), np.float32), np.full((16, 34), np.nan, np.float32)
    ground = np.full((16, 34, 3), 110, np.uint8)
    signs = ((zero, all_of, "nothing to see here"), (zero, nothing, "says nothing either way"),
             (unseen, nothing, "not looked at"))  # fmt: skip
    for i, (values, blank, name) in enumerate(signs):
        left = bar + 60
        swatch = Image.fromarray(colours.painted(ground, values, blank))
        page.paste(swatch, (left, 2 + 18 * i))
        draw.text((left + 44, 3 + 18 * i), name, fill=_INK, font=_font(12))
    return np.asarray(page)


def _meanings(shown: Heatmap) -> list[str]:
    told = [f"{_TITLES[layer.view]}: {layer.meaning}." for layer in shown.layers]
    scale = "The colours stand for the same values in every image; none is stretched."
    return [*told, scale, *(f"Note: {note}." for note in shown.notes)]


def _reduced(rgb: Pixels) -> Pixels:
    scale = _PANEL / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(rgb, size, interpolation=how), dtype=np.uint8)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
