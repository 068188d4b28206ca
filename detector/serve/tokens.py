"""Bearer tokens from a file: kept as hashes, compared in constant time, read again on change."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
import threading
from pathlib import Path

from detector.errors import UsageError

log = logging.getLogger("detector.serve")

SHORTEST = 16
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


def parse(text: str, name: str = "token file") -> tuple[bytes, ...]:
    """The sha256 digests of the tokens in a file's text.

    A line is a token of at least 16 printable ASCII characters without spaces, or "sha256:" and
    the 64 hex digits of a token's hash; empty lines and lines that begin with # do not count.

    Raises:
        UsageError: a malformed line, named by its number and never quoted; or no token at all.
    """
    digests: list[bytes] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("sha256:"):
            found = _HASHED.fullmatch(line)
            if found is None:
                raise UsageError(f"{name}, line {number}: after sha256: come 64 hex digits")
            digests.append(bytes.fromhex(found[1]))
            continue
        if len(line) < SHORTEST or not line.isascii() or not line.isprintable() or " " in line:
            raise UsageError(
                f"{name}, line {number}: a token has at least {SHORTEST} printable ASCII "
                "characters and no space; make one with: openssl rand -hex 32"
            )
        digests.append(hashlib.sha256(line.encode()).digest())
    if not digests:
        raise UsageError(f"{name} holds no token; make one with: openssl rand -hex 32")
    return tuple(digests)


class TokenFile:
    """The tokens of one file. A change of the file counts from the next request on.

    A file that cannot be read any more, or is malformed, leaves the tokens as they were and is
    told in the log: an editor's half-written file must not open the service, nor close it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._digests = self._read()

    def accepts(self, authorization: str) -> bool:
        """Whether the value of an Authorization header carries one of the tokens."""
        token = presented(authorization)
        if token is None:
            return False
        digest = hashlib.sha256(token).digest()
        found = False
        for known in self._current():
            # All are compared, so that the time does not tell which one was near.
            found |= hmac.compare_digest(digest, known)
        return found

    def _current(self) -> tuple[bytes, ...]:
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._digests = self._read()
                    log.info("tokens_reloaded", extra={"tokens": len(self._digests)})
                except UsageError as error:
                    log.error("tokens_kept", extra={"reason": str(error)})
            return self._digests

    def _look(self) -> tuple[int, int, int] | None:
        try:
            info = self._path.stat()
        except OSError:
            return None
        return (info.st_mtime_ns, info.st_size, info.st_ino)

    def _read(self) -> tuple[bytes, ...]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token file {self._path} cannot be read: {error}") from error
        return parse(text, str(self._path))


def presented(authorization: str) -> bytes | None:
    """The token in an Authorization header; None when there is none.

    "Bearer TOKEN" is the usual form. "Basic" with the token as password is for clients that can
    only be given a URL: http://any:TOKEN@host/. Amazon's clients put the access key into their
    signature's "Credential", which is read as the token; the signature is not looked at.
    """
    scheme, _, rest = authorization.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return rest.encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            _, colon, password = base64.b64decode(rest, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        return password if colon and password else None
    signed = _CREDENTIAL.search(rest) if scheme == "AWS4-HMAC-SHA256" else None
    return signed[1].encode() if signed else None
