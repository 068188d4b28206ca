"""Every exception that the package raises on purpose.

A file that cannot be read is not an exception at the seams: it becomes a `Finding`
whose `status` and `reason` say what happened. `ImageError` is how that news travels
inside the package, up to the function that makes the `Finding`.
"""

from __future__ import annotations

from detector.results import Status


class DetectorError(Exception):
    """Base of all errors of this package; its text names the cause and the cure."""


class ImageError(DetectorError):
    """An image file that cannot be scored.

    Attributes:
        status: why, as one of the fixed words of `Status` (never `Status.OK`).
        reason: one sentence for people, with the numbers that matter.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Status, str]]:
        # Exceptions with two arguments do not survive pickling between processes by default.
        return (type(self), (self.status, self.reason))


class UsageError(DetectorError):
    """The caller asked for something that cannot be done: a wrong path, pattern or option."""


class MissingExtraError(DetectorError):
    """An optional dependency is needed; the text says which extra installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an optional dependency: pip install 'aigi-detector[{extra}]'"
        )
        self.feature = feature
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return (type(self), (self.feature, self.extra))


class BundleError(DetectorError):
    """A model bundle is incomplete, altered or made for another version of the package."""


class StoreError(DetectorError):
    """A result store cannot be opened, read or written."""


class CorpusError(DetectorError):
    """A corpus manifest or folder is malformed; the text names the file and the line."""


class CustodyError(DetectorError):
    """A report's statement of custody or its signature is missing, unreadable or does not hold."""
