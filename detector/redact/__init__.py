"""Takes faces, names, paths and texts out of a campaign before it is passed on.

What stays: scores, verdicts, hashes, measured evidence, platforms, languages, times and the
structure of clusters and links. What is replaced: account names, paths, command lines and
everything that a file's metadata says in free words, by pseudonyms that are the same for the
same name wherever it stands. What is dropped: post texts, URLs and columns that are not ours.
Faces are blurred, by a detector that misses some; see `detector.redact.faces`.

A hash still identifies a file to whoever has the file: that is what a chain of custody is for.
"""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

import numpy as np

from detector.campaign.records import Campaign
from detector.errors import UsageError
from detector.redact import faces, records
from detector.redact.pseudonyms import Pseudonyms

__all__ = ["Redactor", "load_secret"]


class Redactor:
    """Redacts one campaign and its pictures; the same secret gives the same pseudonyms.

    Args:
        secret: keys the pseudonyms (HMAC-SHA256). Keep it out of the report: whoever has it can
            test a guess at a name. None draws one that nobody knows and that is gone afterwards.
        face_model: a YuNet model (ONNX) for the face detector that OpenCV has built in; None
            takes the best one that is installed, see `detector.redact.faces.find`.
    """

    def __init__(
        self, secret: bytes | None = None, *, face_model: str | Path | None = None
    ) -> None:
        if secret is not None and len(secret) < 16:
            raise UsageError("a secret for pseudonyms has 16 bytes or more")
        self._pseudonyms = Pseudonyms(secrets.token_bytes(32) if secret is None else secret)
        self._finder = faces.find(face_model)

    @property
    def method(self) -> str:
        """One sentence on how faces are found and how many of them are missed."""
        return self._finder.words

    def account(self, name: str) -> str:
        """The pseudonym of an account, "acct-" and ten hex digits; "" stays ""."""
        return self._pseudonyms.account(name)

    def path(self, path: str) -> str:
        """The pseudonym of a path: "redacted/", ten hex digits, and the file's ending."""
        return self._pseudonyms.path(path)

    def campaign(self, campaign: Campaign) -> Campaign:
        """The campaign with every name, path, text and URL replaced or dropped."""
        return records.redacted(campaign, self._pseudonyms)

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB with faces made unrecognisable; a new array of the same shape.

        Without a face detector the whole picture is made unrecognisable.
        """
        return faces.blurred(rgb, self._finder)

    def thumbnail(self, webp: bytes) -> bytes:
        """A WebP, PNG or JPEG thumbnail with faces made unrecognisable, as WebP."""
        return faces.blurred_thumbnail(webp, self._finder)


def load_secret(path: str | Path) -> bytes:
    """The secret in a file; made, readable by its owner alone, when it is not there yet.

    Two reports that are redacted with the same file use the same pseudonyms. Raises UsageError
    when the file cannot be read or written, or is too short.
    """
    place = Path(path)
    try:
        if not place.exists():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(place, flags, 0o600), "wb") as stream:
                stream.write(secrets.token_hex(32).encode("ascii") + b"\n")
        data = place.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"cannot use the secret {path}: {error.strerror}") from error
    if len(data) < 16:
        raise UsageError(f"{path}: a secret for pseudonyms has 16 bytes or more")
    return hmac.new(b"detector pseudonyms", data, sha256).digest()
