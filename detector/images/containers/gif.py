"""Walks the blocks of a GIF (CompuServe GIF89a)."""

from __future__ import annotations

import re
import struct

from detector.images.containers.base import Container, damaged, reading, take

# A step is one length byte; a 256 MB file of full blocks takes a million.
_MAX_STEPS = 2**22
_IMAGE, _EXTENSION, _TRAILER, _CONTROL = 0x2C, 0x21, 0x3B, 0xF9
_NOT_ZERO = re.compile(rb"[^\0]")


def parse(data: bytes) -> Container:
    """Read a GIF's facts; raises `ImageError` unless the first frame has begun.

    Whether that frame's pixels are complete is for the decoder to say: many writers forget
    the trailer, and later frames are not looked at.
    """
    screen = take(data, 0, 13, "the GIF header")
    palette_end = 13 + _palette_size(screen[10])
    palette = take(data, 13, palette_end - 13, "the GIF palette")
    walk = _Walk(data, palette_end)
    with reading("the GIF's blocks"):
        control = walk.to_first_image()
        start = walk.at
        box = take(data, start + 1, 9, "the GIF's first frame")
        end = walk.past_image()
    left, top, frame_width, frame_height = struct.unpack("<HHHH", box[:8])
    width, height = struct.unpack("<HH", screen[6:10])
    # A frame may reach beyond the screen that the header declares; the screen grows with it.
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    if max(width, height) > 0xFFFF:
        raise damaged("the GIF's first frame lies far outside its screen")
    frames = 1 + walk.count_images()
    return Container(
        kind="GIF",
        width=width,
        height=height,
        parts=(
            screen[:6] + struct.pack("<HH", width, height) + screen[10:],
            palette,
            control,
            memoryview(data)[start:end],
            b"" if walk.cut and frames == 1 else b";",
        ),
        frames=frames,
        lossless=True,
        notes=("the file ends early, but after the first frame's pixels",) if walk.cut else (),
    )


def _palette_size(flags: int) -> int:
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


class _Walk:
    """A position in the data; `cut` is set when the data end before the trailer."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.cut = False
        self._steps = _MAX_STEPS

    def to_first_image(self) -> bytes:
        """Go to the first image; returns the graphic control extension before it, or b""."""
        control = b""
        while (kind := self._next_kind()) != _IMAGE:
            start = self.at
            if kind == _TRAILER:
                raise damaged("the GIF has no image")
            if kind != _EXTENSION:
                raise damaged(f"the GIF has an unknown block (0x{kind:02x})")
            self._skip_blocks(start + 2)
            if self.data[start + 1] == _CONTROL:
                control = self.data[start : self.at]
        return control

    def past_image(self) -> int:
        """Go past the image at the position; returns its end, even where the data are cut."""
        try:
            flags = self.data[self.at + 9]
            self._skip_blocks(self.at + 11 + _palette_size(flags))
        except IndexError:
            self.cut = True
            self.at = len(self.data)
        return self.at

    def count_images(self) -> int:
        """Number of images from the position on, as far as they are worth counting."""
        images = 0
        try:
            while not self.cut and self._steps > 0:
                kind = self._next_kind()
                if kind == _IMAGE:
                    images += 1
                    self.past_image()
                elif kind == _EXTENSION:
                    self._skip_blocks(self.at + 2)
                else:
                    break
        except IndexError:
            self.cut = True
        return images

    def _next_kind(self) -> int:
        # Some writers pad blocks with zeros.
        found = _NOT_ZERO.search(self.data, self.at)
        if found is None:
            raise IndexError
        self.at = found.start()
        return self.data[self.at]

    def _skip_blocks(self, at: int) -> None:
        data, steps = self.data, self._steps
        while (length := data[at]) and steps > 0:
            at += length + 1
            steps -= 1
        self._steps = steps
        self.at = at + 1
