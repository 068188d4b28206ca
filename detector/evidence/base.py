"""What every evidence channel is given, what it must offer, and how examples describe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from detector.errors import ImageError
from detector.evidence.blocks import Blocks, read_blocks
from detector.evidence.exif import Exif, read_exif
from detector.evidence.xmp import Packet, read_xmp
from detector.images import Limits, read_image, sniff
from detector.results import Asserts, Evidence, FileFacts

# What a channel may decode by itself: at this size, pixels and their copies take about 200 MB.
# A caller that has decoded a larger image hands its pixels in.
PIXEL_LIMITS = Limits(max_pixels=20_000_000, min_side=1)
# A header costs nothing, so evidence is read from files too small or large to be scored.
HEADER_LIMITS = Limits(max_pixels=2**40, min_side=1)


@dataclass(frozen=True)
class EvidenceInput:
    """One file as the channels see it; everything costly is worked out once, when asked for.

    Attributes:
        data: the file's bytes, unchanged.
        facts: the container's facts; None when they could not be read.
        given_rgb: (H, W, 3) uint8 upright RGB from a caller that has decoded the file already.
        trust_list: PEM certificates that C2PA signers are checked against; None for the
            list of the environment or of the package, see `detector.evidence.trust`.
        may_decode: whether the pixels may be decoded here when none were handed in; False
            where the caller has tried.
    """

    data: bytes = field(repr=False)
    facts: FileFacts | None = None
    given_rgb: np.ndarray | None = field(default=None, repr=False, compare=False)
    trust_list: str | None = field(default=None, repr=False)
    may_decode: bool = True

    @cached_property
    def kind(self) -> str | None:
        """The file's type by content, as in `FileFacts.format`; None when unknown."""
        return sniff(self.data)

    @cached_property
    def blocks(self) -> Blocks:
        """The file's metadata blocks, as far as they can be read."""
        return read_blocks(self.kind, self.data)

    @cached_property
    def exif(self) -> tuple[Exif, ...]:
        """The EXIF blocks; honest files have at most one."""
        return tuple(read_exif(block) for block in self.blocks.exif[:4])

    @cached_property
    def xmp(self) -> tuple[Packet, ...]:
        """The XMP packets; long ones are split in two."""
        return tuple(read_xmp(packet) for packet in self.blocks.xmp[:8])

    @cached_property
    def rgb(self) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB, upright, read-only; None when the file cannot be decoded.

        Transparent pixels lie over white. Images above `PIXEL_LIMITS` are not decoded here.
        """
        if self.given_rgb is not None:
            return self.given_rgb
        if not self.may_decode:
            return None
        try:
            return read_image(self.data, PIXEL_LIMITS).rgb
        except ImageError:
            return None


@dataclass(frozen=True)
class Example:
    """A file made in code, with what its channel must find in it; see `tests/test_evidence.py`.

    Attributes:
        name: what the example shows, as a short phrase.
        data: the file's bytes.
        finds: the kinds of all evidence that the channel must give, and no others.
        asserts: every claim among that evidence except `Asserts.UNKNOWN`.
    """

    name: str
    data: bytes = field(repr=False)
    finds: frozenset[str] = frozenset()
    asserts: frozenset[Asserts] = frozenset()


class Channel(Protocol):
    """A source of evidence: a module or object with these two functions.

    `find` gives what the file says; an empty list means that nothing was found, which says
    nothing about the image. It may raise anything: `detector.evidence.gather` turns that into
    evidence of kind "channel_failed". It should take under 2 s and 200 MB whatever the input.

    `examples` gives files that the channel finds something in, and some that it must not.
    """

    def find(self, item: EvidenceInput) -> list[Evidence]:
        """All evidence of this channel, in the order in which it should be read."""

    def examples(self) -> Sequence[Example]:
        """Files made in code, with what must be found in them."""
