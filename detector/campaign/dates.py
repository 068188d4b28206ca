"""Reads the dates of a context table, in the forms that platforms and spreadsheets write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_ISO = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2}(?::?\d{2})?|[+-]\d{2})?",
    re.IGNORECASE | re.ASCII,
)
_DAY_FIRST_OR_MONTH_FIRST = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:,?[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(AM|PM)?)?"
    r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE | re.ASCII,
)
_EPOCH = re.compile(r"(\d{9,10})(\d{3})?(?:\.\d+)?", re.ASCII)
# "Mon Jan 05 08:30:00 +0000 2026", as one large platform's exports have it.
_UNIX_DATE = re.compile(r"[A-Za-z]{3} ([A-Za-z]{3} \d{1,2}) (\d{2}:\d{2}:\d{2}) (\S+) (\d{4})")
_EPOCH_START = datetime(1970, 1, 1, tzinfo=timezone.utc)


class OrderError(ValueError):
    """The day and the month of a date such as 03/04/2026 cannot be told apart."""


def day_comes_first(texts: Iterable[str]) -> bool | None:
    """Whether a column of dates with slashes puts the day first; None when nothing tells.

    One date that can only be read one way decides for all; dates that contradict each other
    give None. Dots always mean that the day comes first.
    """
    seen: set[bool] = set()
    for text in texts:
        found = _DAY_FIRST_OR_MONTH_FIRST.fullmatch(text.strip())
        if found and found[2] != ".":
            first, second = int(found[1]), int(found[3])
            if max(first, second) > 12 and min(first, second) <= 12:
                seen.add(first > 12)
    return seen.pop() if len(seen) == 1 else None


def parse_date(text: str, day_first: bool | None = None) -> datetime:
    """A moment with a time zone; UTC where the text names none.

    Reads ISO 8601 (also with slashes, and without a time), dates with the day or the month
    first, RFC 2822 dates, and seconds or milliseconds since 1970.

    Args:
        text: the cell.
        day_first: how 03/04/2026 is to be read; None leaves it unread.

    Raises:
        OrderError: day and month cannot be told apart.
        ValueError: it is no date, or its time zone is a name other than UTC.
    """
    text = " ".join(text.split())
    for read in (_iso, _epoch, _written):
        found = read(text)
        if found is not None:
            return found
    ordered = _DAY_FIRST_OR_MONTH_FIRST.fullmatch(text)
    if ordered is None:
        raise ValueError("not a date")
    return _ordered(ordered, day_first)


def _iso(text: str) -> datetime | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    micro = int((found[7] or "").ljust(6, "0")[:6])
    zone = _zone(found[8] or "")
    return _moment(year, month, day, hour, minute, second, micro, zone)


def _epoch(text: str) -> datetime | None:
    found = _EPOCH.fullmatch(text)
    if found is None:
        return None
    return _EPOCH_START + timedelta(seconds=int(found[1]), milliseconds=int(found[2] or 0))


def _written(text: str) -> datetime | None:
    unix = _UNIX_DATE.fullmatch(text)
    if unix:
        text = f"{unix[1]} {unix[4]} {unix[2]} {unix[3]}"
        day = unix[1].split()
        text = f"{day[1]} {day[0]} {unix[4]} {unix[2]} {unix[3]}"
    elif not re.match(r"(?:[A-Za-z]{3},? )?\d{1,2} [A-Za-z]{3} \d{4} ", text):
        return None
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError("not a date") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _ordered(found: re.Match[str], day_first: bool | None) -> datetime:
    first, second = int(found[1]), int(found[3])
    if found[2] == ".":
        day_first = True
    if first > 12 or second > 12:
        day_first = first > 12
    elif day_first is None and first != second:
        raise OrderError("day and month cannot be told apart: write it as 2026-04-03")
    day, month = (first, second) if day_first else (second, first)
    hour = int(found[5] or 0)
    half = (found[8] or "").upper()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("not a time")
        hour = hour % 12 + (12 if half == "PM" else 0)
    minute, second_ = int(found[6] or 0), int(found[7] or 0)
    return _moment(int(found[4]), month, day, hour, minute, second_, 0, _zone(found[9] or ""))


def _zone(text: str) -> timezone:
    if text.upper() in ("", "Z", "UTC", "GMT"):
        return timezone.utc
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4] or 0))
    return timezone(-offset if text[0] == "-" else offset)


def _moment(
    year: int,
    month: int,
    day: int,
    hour: int,
    minute: int,
    second: int,
    micro: int,
    zone: timezone,
) -> datetime:
    # A leap second is the same moment as the next minute's first, which Python can hold.
    late = timedelta(seconds=1) if second == 60 else timedelta()
    try:
        found = datetime(year, month, day, hour, minute, min(second, 59), micro, zone) + late
        found.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError("not a date") from error
    if second > 60:
        raise ValueError("not a time")
    return found
