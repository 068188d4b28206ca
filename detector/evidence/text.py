"""Turns hostile bytes and JSON into short, plain values that any reader can print or store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

# A prompt can be long; a report is read by people. What is cut says so.
MAX_TEXT = 4_000
# Workflows of a few hundred kilobytes are common.
MAX_JSON = 2 * 2**20
# Every bracket may become a Python object of some 70 bytes.
MAX_JSON_BRACKETS = 200_000
MAX_LEADING = 2**16
_MAX_DIGITS = 300
_LONG_NUMBER = re.compile(r"[0-9]{300}")


def clip(text: str, limit: int = MAX_TEXT) -> str:
    """The text as valid Unicode without lone surrogates, cut to `limit` characters."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text) - limit:,} more characters)"
    return text.encode("utf-8", "replace").decode("utf-8")


def plain(value: Any, *, depth: int = 5, items: int = 60, text: int = MAX_TEXT) -> Any:
    """A copy of a JSON-like value that is bounded in depth, breadth and text.

    Unknown types become their type's name, floats that JSON lacks become text, bytes become
    hex. What is left out is counted under the key "…" or in a last item.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Stores and other languages' JSON readers stop at 64 bits.
        return value if -(2**63) <= value < 2**64 else clip(hex(value), 60)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return clip(value, text)
    if isinstance(value, bytes):
        return clip(value[: text // 2].hex(), text)
    if depth <= 0:
        return "…"
    below = {"depth": depth - 1, "items": items, "text": text}
    if isinstance(value, dict):
        kept = {clip(str(k), 200): plain(v, **below) for k, v in list(value.items())[:items]}
        if len(value) > items:
            kept["…"] = f"{len(value) - items} more"
        return kept
    if isinstance(value, (list, tuple)):
        listed = [plain(v, **below) for v in value[:items]]
        return [*listed, f"… {len(value) - items} more"] if len(value) > items else listed
    return type(value).__name__


def parse_json(text: str) -> Any:
    """The JSON value in `text`; None when it is no JSON, or more than a file may cost.

    Numbers of more than `_MAX_DIGITS` digits stay text: reading them takes quadratic time.
    """
    if len(text) > MAX_JSON or text.count("[") + text.count("{") > MAX_JSON_BRACKETS:
        return None
    try:
        return json.loads(text, parse_int=_integer if _LONG_NUMBER.search(text) else None)
    except (ValueError, RecursionError):
        return None


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, which may be padded with blanks or NUL; None otherwise."""
    text = text.strip("\0 \t\r\n\ufeff")
    if not (text.startswith("{") and text.endswith("}")):
        return None
    value = parse_json(text)
    return value if isinstance(value, dict) else None


def leading_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` begins with, whatever follows it; None otherwise."""
    if not text.startswith("{"):
        return None
    try:
        value, _ = json.JSONDecoder(parse_int=_integer).raw_decode(text[:MAX_LEADING])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def as_text(value: Any) -> str:
    """The value as text when it is text or a number, else ""."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return ""


def walk(value: Any, limit: int = 20_000) -> Iterator[dict[str, Any]]:
    """Every object inside a JSON value, outermost first, without recursion; at most `limit`."""
    queue, seen = [value], 0
    while queue and seen < limit:
        current = queue.pop()
        seen += 1
        if isinstance(current, dict):
            yield current
            queue.extend(reversed(list(current.values())))
        elif isinstance(current, list):
            queue.extend(reversed(current))


def decode(raw: bytes) -> str:
    """Text of unknown encoding: UTF-8 where it is valid, else Latin-1."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def decode_utf16(raw: bytes, guess: str = "big") -> str:
    """UTF-16 text whose byte order is told by its mark, else by where its zero bytes are."""
    if raw[:2] == b"\xff\xfe":
        return raw[2:].decode("utf-16-le", "replace")
    if raw[:2] == b"\xfe\xff":
        return raw[2:].decode("utf-16-be", "replace")
    head = raw[:4096]
    high, low = head[0::2].count(0), head[1::2].count(0)
    if high != low:
        guess = "big" if high > low else "little"
    return raw.decode("utf-16-be" if guess == "big" else "utf-16-le", "replace")


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits
