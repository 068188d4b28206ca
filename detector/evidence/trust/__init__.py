"""The certificates that C2PA signers are checked against: the user's list, or one beside this file.

The C2PA's own list is published on GitHub, in c2pa-org/conformance-public, as
`trust-list/C2PA-TRUST-LIST.pem` under CC BY 4.0; it changes as signers join and leave. Nothing
here fetches it: download it, look at it, and name it with `--trust-anchors FILE`, with the
environment variable DETECTOR_TRUST_ANCHORS, or as the argument `trust_anchors` in Python. A
distributor may put a dated copy into this folder as `C2PA-TRUST-LIST.pem`, with its date and
licence in `README.md`. Without any list no signer is trusted, and intact manifests count as
valid only.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from detector.errors import UsageError

VARIABLE = "DETECTOR_TRUST_ANCHORS"
BUNDLED = Path(__file__).with_name("C2PA-TRUST-LIST.pem")
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----"
)
_DATE = re.compile(r"\b(20\d\d-\d\d-\d\d)\b")
_MAX_BYTES = 4 * 2**20


class TrustList(NamedTuple):
    """PEM text, the number of its certificates, and where it is from, in words."""

    pem: str
    certificates: int
    origin: str


def anchors(path: str | Path | None = None) -> TrustList | None:
    """The list to use: the file named here, else by DETECTOR_TRUST_ANCHORS, else beside this file.

    None when there is none of them. Raises `UsageError` as `read_trust_list`.
    """
    if path is not None:
        return read_trust_list(path)
    named = os.environ.get(VARIABLE, "")
    return _read_once(named) if named else bundled()


@lru_cache(maxsize=4)
def _read_once(path: str) -> TrustList:
    return read_trust_list(path)


def read_trust_list(path: str | Path) -> TrustList:
    """The user's list; raises `UsageError` for a file that is not there or holds no certificate."""
    file = Path(path)
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise UsageError(f"The trust list {file} has more than {_MAX_BYTES:,} bytes.")
        text = file.read_text("utf-8", "replace")
    except OSError as fault:
        raise UsageError(f"The trust list {file} cannot be read: {fault.strerror}.") from fault
    count = count_certificates(text)
    if not count:
        raise UsageError(f"The trust list {file} holds no certificate in PEM form.")
    return TrustList(text, count, "given by the user")


@lru_cache(maxsize=1)
def bundled() -> TrustList | None:
    """The list beside this file; None when there is none."""
    if not BUNDLED.is_file():
        return None
    text = BUNDLED.read_text("utf-8", "replace")
    notes = BUNDLED.with_name("README.md")
    dated = _DATE.search(notes.read_text("utf-8")) if notes.is_file() else None
    date = f" of {dated.group(1)}" if dated else ""
    return TrustList(text, count_certificates(text), f"the C2PA trust list{date}")


def count_certificates(pem: str) -> int:
    """How many certificates a PEM text holds, by the look of their first byte."""
    return sum(_is_certificate(found.group(1)) for found in _CERTIFICATE.finditer(pem))


def _is_certificate(body: str) -> bool:
    try:
        return base64.b64decode("".join(body.split()), validate=True)[:1] == b"\x30"
    except (binascii.Error, ValueError):
        return False
