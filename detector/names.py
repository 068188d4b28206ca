"""Makes file names safe to store, to show in a terminal and to put into a spreadsheet.

On Linux a file name is bytes, and may be no valid text at all; Python then holds the odd
bytes as lone surrogates, which neither SQLite nor JSON nor a terminal accepts.
"""

from __future__ import annotations

import os
import re
import unicodedata

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str) -> bool:
    """Whether a path goes through fsspec ("s3://…", "zip://…::file.zip")."""
    return _URL.match(path) is not None


def location(path: str) -> str:
    """The absolute form of a path, which tells files of the same relative name apart.

    URLs stay as they are; symbolic links are not resolved, since each link is its own name.
    """
    return path if is_url(path) else os.path.abspath(path)


def printable(path: str) -> str:
    """The path as valid Unicode: undecodable bytes become `\\xNN`, all else stays."""
    if _is_text(path):
        return path
    return "".join(_escape(c) if "\ud800" <= c <= "\udfff" else c for c in path)


def pack(path: str) -> bytes:
    """Bytes that `unpack` turns back into exactly this path; empty for valid Unicode."""
    return b"" if _is_text(path) else path.encode("utf-8", "surrogatepass")


def unpack(path: str, packed: bytes) -> str:
    """The exact path from its printable form and what `pack` gave."""
    return packed.decode("utf-8", "surrogatepass") if packed else path


def one_line(text: str) -> str:
    """The text on one line: control and direction characters become visible escapes.

    A file name may hold a newline, a terminal's escape sequence, or a mark that reverses the
    writing direction so that `gpj.exe` reads as `exe.jpg`.
    """
    if text.isprintable():
        return text
    return "".join(_escape(c) if _hides(c) else c for c in text)


def _is_text(path: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in path)


def _hides(character: str) -> bool:
    # Control and format characters, surrogates, unassigned and private ones; wide spaces stay.
    return not character.isprintable() and unicodedata.category(character) != "Zs"


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not read
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
