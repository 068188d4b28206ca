"""What every container parser returns, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from detector.errors import ImageError
from detector.results import Status

# Counting frames or walking parts stops here: an honest file has far fewer, and a hostile one
# must not buy minutes of work with a few megabytes.
MAX_PARTS = 2**18


@dataclass(frozen=True)
class Container:
    """What a file's container says, and the least of it that a decoder needs.

    Attributes:
        kind: as in `FileFacts.format`.
        width, height: stored size in pixels, before the orientation is applied; 0 where only
            the decoder can tell (AVIF, HEIF).
        parts: slices that, joined, are a file of the same kind that holds the first frame and
            nothing else: no text, no profile, no thumbnail, no second frame. What is not
            handed to a decoder cannot harm it.
        frames: frames, pages or pictures in the file, as far as they were counted.
        orientation: EXIF orientation, 1–8.
        lossless: as in `FileFacts.lossless`.
        jpeg_quality: as in `FileFacts.jpeg_quality`.
        depth: bits per sample, where they are more than 8.
        inverted: whether 0 means white in a greyscale of more than 8 bits.
        clear: the one colour (in samples of `depth` bits) that is transparent, if any.
        coded: bytes of image data, where they are counted (JPEG).
        notes: what a reader should know about the container.
    """

    kind: str
    width: int
    height: int
    parts: tuple[bytes | memoryview, ...]
    frames: int = 1
    orientation: int = 1
    lossless: bool = False
    jpeg_quality: int | None = None
    depth: int = 8
    inverted: bool = False
    clear: tuple[int, ...] | None = None
    coded: int = 0
    notes: tuple[str, ...] = ()

    def pixel_file(self) -> bytes:
        """The parts, joined: what the decoder is given."""
        return b"".join(self.parts)


def truncated(detail: str) -> ImageError:
    """The error for data that end too early."""
    return ImageError(Status.TRUNCATED, f"The file is cut short: {detail}.")


def damaged(detail: str) -> ImageError:
    """The error for data that contradict their format."""
    return ImageError(Status.UNREADABLE, f"The file is damaged: {detail}.")


def unsupported(what: str) -> ImageError:
    """The error for a sound file that is not read."""
    return ImageError(Status.UNSUPPORTED, f"This is {what}, which is not read.")


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn a read past the end of the data, while inside, into `truncated`."""
    try:
        yield
    except IndexError as fault:
        raise truncated(f"it ends inside {what}") from fault


def take(data: bytes, start: int, length: int, what: str) -> bytes:
    """`length` bytes from `start`; raises the `truncated` error when there are fewer."""
    if start < 0 or start + length > len(data):
        raise truncated(f"it ends inside {what}")
    return data[start : start + length]
