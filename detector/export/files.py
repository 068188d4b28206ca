"""What every export has in common: a file that is whole or not there, and text that does no harm.

The rule for spreadsheets: a cell of text whose first character that is not white space is one
of `= + - @`, or their full-width forms, gets a leading apostrophe, after which Excel,
LibreOffice and Google Sheets take it for text (OWASP, "CSV Injection"). Control and direction
characters become visible escapes such as `\\n`, so one record stays on one line. Numbers stay
numbers: only text is guarded.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from detector import names
from detector.errors import UsageError

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heif",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def cell(value: Any) -> str | float | int | None:
    """A value as it stands in CSV: numbers as they are, text made safe for spreadsheets.

    Several values are joined with "; "; objects become JSON.
    """
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        value = "; ".join(value)
    elif isinstance(value, list | tuple | Mapping):
        value = to_json(value)
    if not isinstance(value, str):
        return value  # type: ignore[no-any-return]
    guarded = value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)
    return ("'" if guarded else "") + names.one_line(value)


def to_json(value: Any) -> str:
    """JSON on one line, UTF-8 text as it is; what JSON cannot say (NaN, infinity) is null."""
    text = json.dumps(
        plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=False
    )
    # Legal inside JSON, but some readers end a line here.
    return text.translate(_LINE_ENDS)


def plain(value: Any) -> Any:
    """The value in plain JSON types, with valid Unicode and finite numbers only."""
    if isinstance(value, str):
        return names.printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {names.printable(str(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


@contextmanager
def writing(out: str) -> Iterator[IO[str]]:
    """A UTF-8 text stream to a file, or to standard output for "-".

    The file appears under its name once it is complete. Raises UsageError when it cannot.
    """
    if out == "-":
        # Whatever the terminal's encoding, what goes into a pipe is UTF-8.
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    with (
        replacing(out) as target,
        open(target, "w", encoding="utf-8", newline="") as stream,
    ):
        yield stream


@contextmanager
def replacing(out: str) -> Iterator[Path]:
    """A temporary file that takes the place of `out` once it is complete."""
    path = Path(out)
    target = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        target.touch(exist_ok=False)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield target
        target.replace(path)
    finally:
        target.unlink(missing_ok=True)


def utc(moment: datetime | None) -> str | None:
    """A datetime as ISO 8601 in UTC ("2026-01-05T08:30:00Z"); None stays None."""
    if moment is None:
        return None
    text = moment.astimezone(timezone.utc).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def mime_type(format: str) -> str:
    """The media type of a format as `FileFacts` names it; "" when there is none."""
    return _MIME.get(format, "")
