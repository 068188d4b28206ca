"""Walking through trees of labelled folders, of which some benchmarks hold millions of files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png"}
    | {".tif", ".tiff", ".webp"}
)

# Every pair of label words, folder name -> label, that some benchmark uses.
NUMBERED = {"0_real": 0, "1_fake": 1}
CAPITALS = {"REAL": 0, "FAKE": 1}
NATURE_AI = {"nature": 0, "ai": 1}
PLAIN = (NUMBERED, {"real": 0, "fake": 1}, CAPITALS, NATURE_AI)
WILD = {"likely_authentic": 0, "authentic": 0, "likely_manipulated": 1, "manipulated": 1}
_ANY_LABEL = frozenset(word for words in (*PLAIN, WILD) for word in words)
_MAX_DEPTH = 5  # of folders above the images; a mistaken "/" should not be walked to its end


def folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones and archive leftovers."""
    # scandir knows what is a folder without asking for each of a million images.
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [folder / name for name in names if not name.startswith((".", "__MACOSX"))]


def images(folder: Path) -> Iterator[Path]:
    """The image files below a folder, told by suffix, in a fixed order; hidden ones left out."""
    for where, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield Path(where, name)


def labelled(
    root: Path, words: Mapping[str, int], above: tuple[str, ...] = ()
) -> Iterator[tuple[Path, int, tuple[str, ...]]]:
    """Folders whose name is a label, with the label and the names of the folders above."""
    for folder in folders(root):
        if folder.name in words:
            yield folder, words[folder.name], above
        elif folder.name not in _ANY_LABEL and len(above) < _MAX_DEPTH:
            yield from labelled(folder, words, (*above, folder.name))


def side_by_side(root: Path, words: Mapping[str, int]) -> list[tuple[str, ...]]:
    """The folder names above each place where both labels lie side by side."""
    places: dict[tuple[str, ...], set[int]] = {}
    for _, label, above in labelled(root, words):
        places.setdefault(above, set()).add(label)
    return [above for above, labels in places.items() if len(labels) == 2]
