"""Masks in Label Studio's own run-length code, the form in which it keeps brush strokes.

The code is @thi.ng/rle-pack's: a header of 32 bits for the number of values, 5 for the word
size and four times 4 for the sizes of run lengths; then, for each run, a bit that says "run", two
bits for the size of its length, the length less one, and the value. Values are RGBA bytes,
row by row, so a pixel of the mask stands for four of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORD = 8
_SIZES = (3, 4, 8, 16)  # bits that a run's length may take
_LONGEST = 2 ** _SIZES[-1]


def encode_mask(mask: NDArray[np.bool_]) -> list[int]:
    """The bytes of a brush stroke that covers the mask.

    Args:
        mask: (H, W) bool; at most 2^30 pixels.
    """
    flat = np.asarray(mask, dtype=bool).ravel()
    header = [(flat.size * 4, 32), (_WORD - 1, 5), *((size - 1, 4) for size in _SIZES)]
    bits = [format(value, f"0{size}b") for value, size in header]
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate(([0], edges)) if flat.size else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.concatenate((starts, [flat.size]))) * 4
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        bits += _run(length, 255 if flat[start] else 0)
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _run(length: int, value: int) -> list[str]:
    pieces: list[str] = []
    while length > 0:
        part = min(length, _LONGEST)
        place = next(i for i, size in enumerate(_SIZES) if part <= 2**size)
        pieces.append(f"1{place:02b}{part - 1:0{_SIZES[place]}b}{value:08b}")
        length -= part
    return pieces


def decode_mask(code: list[int], width: int, height: int) -> NDArray[np.bool_]:
    """The (height, width) mask of a brush stroke; raises ValueError when it is malformed."""
    bits = "".join(f"{byte:08b}" for byte in bytes(code))
    place = 0

    def read(count: int) -> int:
        nonlocal place
        if place + count > len(bits):
            raise ValueError("the brush stroke's code ends too early")
        place += count
        return int(bits[place - count : place], 2)

    if read(32) != width * height * 4:
        raise ValueError("the brush stroke is of another size")
    word = read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values = bytearray()
    while len(values) < width * height * 4:
        run = read(1)
        length = read(sizes[read(2)]) + 1
        values += bytes([read(word)]) * length if run else bytes(read(word) for _ in range(length))
    out = np.frombuffer(bytes(values[: width * height * 4]), dtype=np.uint8)
    return np.asarray(out.reshape(height, width, 4)[..., 3] > 0)
