"""Making HTML and embedded JSON in which nothing that a file says can become code."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from detector.names import one_line


class Html(str):
    """Text that is already HTML. Everything else is escaped when it enters an element."""

    __slots__ = ()


_VOID = {"br", "col", "hr", "img", "input", "meta"}

Child = Html | str | int | None


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element; children and attribute values that are not `Html` are escaped.

    A trailing underscore in an attribute's name is dropped and others become hyphens
    (`class_`, `aria_label`); True gives a bare attribute, None and False give none.
    """
    head = tag
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        head += f" {name}" if value is True else f' {name}="{escape(str(value))}"'
    if tag in _VOID:
        return Html(f"<{head}>")
    return Html(f"<{head}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Put children beside each other, escaping those that are not `Html`."""
    return Html("".join(_child(child) for child in children if child is not None))


def _child(child: Html | str | int) -> str:
    return child if isinstance(child, Html) else escape(str(child))


def escape(text: str) -> Html:
    """Text for an element or a quoted attribute, with hidden characters written out."""
    return Html(html.escape(one_line(text), quote=True))


def name(text: str) -> Html:
    """A file's name or path, kept from reordering the text around it."""
    return element("bdi", text, class_="path")


def how(what: str, words: str = "Method") -> Html:
    """A link to the part of the method that tells how a figure came about."""
    return element("a", words, href=f"#how-{what}", class_="how")


def shown(kind: str, value: str, words: Html | str) -> Html:
    """A link that filters the list of images: by "cluster", "trace", "account" or "verdict"."""
    return element("a", words, href=f"#{urlencode({kind: one_line(value)})}", class_="to-images")


def paragraph(*children: Child, class_: str | None = None) -> Html:
    """A paragraph."""
    return element("p", *children, class_=class_)


def bullets(items: Iterable[Html | str]) -> Html:
    """A list of points."""
    return element("ul", *(element("li", item) for item in items))


def pairs(terms: Iterable[tuple[str, Html | str]]) -> Html:
    """Terms with what they stand for."""
    parts = (join(element("dt", term), element("dd", value)) for term, value in terms)
    return element("dl", *parts, class_="facts")


def folded(summary: Html | str, *children: Child, opened: bool = False) -> Html:
    """Content that opens under its summary, and opens by itself in print."""
    return element("details", element("summary", summary), *children, open=opened, class_="folded")


def previews(numbers: Iterable[int]) -> Html:
    """Places for the previews of some images, by number; the page's script fills them."""
    return join(*(element("span", class_="thumb", data_n=str(number)) for number in numbers))


def cells(*values: Html | str) -> Html:
    """One row of a table."""
    return element("tr", *(element("td", value) for value in values))


def table(
    caption: str, head: Iterable[str], rows: Iterable[Html], *, hidden_caption: bool = False
) -> Html:
    """A table with a caption, which `hidden_caption` leaves to screen readers."""
    heads = (element("th", word, scope="col") for word in head)
    made = element(
        "table",
        element("caption", caption, class_="label" if hidden_caption else None),
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
    )
    # What scrolls sideways must be reachable by keyboard, and then needs a role and a name.
    return element("div", made, class_="scroll", role="group", aria_label=caption, tabindex="0")


def embedded_json(value: Any) -> Html:
    """JSON for a data block: ASCII only, and with no character that HTML gives a meaning.

    Raises:
        ValueError: on NaN or an infinity, which JSON cannot carry.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Html(text)
