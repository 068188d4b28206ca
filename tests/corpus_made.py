"""Small corpora made up for the tests of `detector.corpus`."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from detector.corpus import Row

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def image(seed: int, size: tuple[int, int] = (64, 48), format_: str = "PNG") -> bytes:
    """An image file of smooth random colours, different for every seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
    stream = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(stream, format_)
    return stream.getvalue()


def row_of(data: bytes, **fields: object) -> Row:
    """The manifest row of an image file; other fields as given."""
    with Image.open(io.BytesIO(data)) as opened:
        width, height, format_ = *opened.size, str(opened.format)
    label = int(str(fields.get("label", 0)))
    values: dict[str, object] = {
        "source": "github:someone/things",
        "revision": COMMIT,
        "path": "images/a.png",
        "label": label,
        "generator": "a-generator" if label else "",
        "kind": "photo",
        "licence": "CC0",
        "date": "",
        "pair": False,
        "grid": "",
        "group": "",
        "split": "train",
    }
    values |= fields
    return Row(
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        format=format_,
        bytes=len(data),
        **values,  # type: ignore[arg-type]
    )


def store(out: Path, *files: bytes) -> None:
    """Puts files into a corpus folder, as a build would."""
    for data in files:
        name = hashlib.sha256(data).hexdigest()
        folder = out / "files" / name[:2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
