"""Recomputes what a report claims, and signs it.

`statement` puts down who measured what with which tool, and the sha256 of every original; a
report carries it as JSON. `verify` reads it back and says what has changed since. `sign` and
`verify_signature` do the same for the report itself, in the format of minisign.
"""

from __future__ import annotations

from detector.custody.check import Change, Installed, verify
from detector.custody.signature import new_key, sign, verify_signature
from detector.custody.statement import digest, read_statement, statement

__all__ = [
    "Change",
    "Installed",
    "digest",
    "new_key",
    "read_statement",
    "sign",
    "statement",
    "verify",
    "verify_signature",
]
