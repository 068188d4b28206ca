"""Expands what a user names (files, folders, lists, URLs) into the files to look at.

Nothing is judged by its name here: every regular file of a folder is listed, and its bytes
decide later whether it is an image. What is left out is counted, so that a reader can tell.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from detector import names
from detector.errors import UsageError
from detector.results import Status


@dataclass(frozen=True)
class Filters:
    """Which files of a folder are looked at; a file named by itself is never left out.

    Attributes:
        include: shell patterns; when there are any, a file has to match one.
        exclude: shell patterns; a matching file is left out, a matching folder with all in it.
        hidden: whether names that begin with a dot are looked at.
        follow_symlinks: whether links to folders are entered. Links to files always count as
            files, since their content is there to be looked at.

    A pattern without "/" is held against the name, one with "/" against the path below the
    folder that was named. "*" matches any characters, "/" among them; case does not matter.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False

    def excludes(self, below: str) -> bool:
        """Whether a file or folder of this path below the root is left out."""
        return any(_matches(below, pattern) for pattern in self.exclude)

    def includes(self, below: str) -> bool:
        """Whether a file of this path below the root is wanted."""
        return not self.include or any(_matches(below, pattern) for pattern in self.include)


@dataclass(frozen=True, slots=True)
class Input:
    """One file to look at.

    Attributes:
        path: as the caller named it, or the caller's folder joined with the path below it.
        status, reason: set when it is known already that there is nothing to read.
    """

    path: str
    status: Status = Status.OK
    reason: str = ""


@dataclass
class Listing:
    """All files to look at, each once, and how many were left out, by the reason.

    Attributes:
        inputs: in the order of the roots; sorted within a folder.
        skipped: "hidden", "excluded", "linked folder", "special file" or "own output" to a
            count; a folder that was not entered counts as one.
    """

    inputs: list[Input] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def expand(
    paths: Iterable[str],
    filters: Filters | None = None,
    *,
    own: Sequence[str] = (),
    on_count: Callable[[int], None] | None = None,
) -> Listing:
    """List the files behind paths, folders and URLs.

    Args:
        paths: files, folders (searched to the bottom) and fsspec URLs of either.
        filters: what is left out of folders.
        own: files that the caller is about to write, such as the store; left out of folders.
        on_count: called now and then with the number of files found so far.

    A path that is not there, or a folder that cannot be read, is an `Input` with a status.
    Raises UsageError when the driver for a URL is not installed.
    """
    filters = filters or Filters()
    listing = Listing()
    outputs = {os.path.realpath(path) for path in own}
    seen: set[str] = set()
    for root in paths:
        found = (
            _url(root, filters, listing)
            if names.is_url(root)
            else _local(root, filters, listing, outputs)
        )
        for item in found:
            place = names.location(item.path)
            if place in seen:
                continue
            seen.add(place)
            listing.inputs.append(item)
            if on_count is not None and len(listing.inputs) % 500 == 0:
                on_count(len(listing.inputs))
    return listing


def read_list(data: bytes, *, nul: bool = False) -> list[str]:
    """The paths of a list as `find` prints it: one a line, or ended by NUL bytes.

    Bytes that are no valid text are kept, as Python does for file names. Empty entries are
    dropped; with newlines, a carriage return at the end of a line is too.
    """
    parts = data.split(b"\0") if nul else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(part) for part in parts if part]


def _local(root: str, filters: Filters, listing: Listing, outputs: set[str]) -> Iterator[Input]:
    try:
        mode = os.stat(root).st_mode
    except (OSError, ValueError) as error:
        yield Input(root, Status.MISSING, f"cannot be opened: {_cause(error)}")
        return
    if stat.S_ISDIR(mode):
        yield from _folder(root, filters, listing, outputs)
    elif stat.S_ISREG(mode):
        yield Input(root)
    else:
        yield Input(root, Status.UNSUPPORTED, "not a regular file but a pipe, socket or device")


def _folder(root: str, filters: Filters, listing: Listing, outputs: set[str]) -> Iterator[Input]:
    entered: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            yield Input(folder, Status.MISSING, f"this folder cannot be read: {_cause(error)}")
            continue
        # Only links can lead into a folder twice, and a loop of them would never end.
        if (status.st_dev, status.st_ino) in entered:
            listing.skipped["linked folder"] += 1
            continue
        entered.add((status.st_dev, status.st_ino))
        deeper: list[str] = []
        for entry in entries:
            why = _left_out(entry, os.path.relpath(entry.path, root), filters, outputs)
            if why:
                listing.skipped[why] += 1
            elif _is(entry.is_dir):
                deeper.append(entry.path)
            else:
                yield Input(entry.path)
        waiting += reversed(deeper)


def _left_out(entry: os.DirEntry[str], below: str, filters: Filters, outputs: set[str]) -> str:
    """Why an entry of a folder is not looked at; "" when it is."""
    if entry.name.startswith(".") and not filters.hidden:
        return "hidden"
    if filters.excludes(below):
        return "excluded"
    if _is(entry.is_dir):
        return "linked folder" if entry.is_symlink() and not filters.follow_symlinks else ""
    # A dangling link is neither file nor folder; it goes on, to become a row that says so.
    if not _is(entry.is_file) and not entry.is_symlink():
        return "special file"
    if outputs and os.path.realpath(entry.path) in outputs:
        return "own output"
    return "" if filters.includes(below) else "excluded"


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link that leads back to itself
        return False


def _url(root: str, filters: Filters, listing: Listing) -> Iterator[Input]:
    import fsspec

    # "zip://*::photos.zip": the rest of a chain belongs to every file found in it.
    first, separator, rest = root.partition("::")
    try:
        filesystem, start = fsspec.core.url_to_fs(root)
        is_folder = filesystem.isdir(start)
        found = sorted(filesystem.find(start)) if is_folder else []
    except ImportError as error:
        raise UsageError(f"{first}: {error}") from error
    except Exception as error:  # noqa: BLE001 - drivers raise what they like; it becomes a row
        yield Input(root, Status.MISSING, f"cannot be opened: {_cause(error)}")
        return
    if not is_folder:
        yield Input(root)
        return
    base = start.rstrip("/") + "/" if start.rstrip("/") else ""
    for path in found:
        below = path[len(base) :] if path.startswith(base) else path
        why = _hides(below.lstrip("/"), filters)
        if why:
            listing.skipped[why] += 1
        else:
            yield Input(filesystem.unstrip_protocol(path) + separator + rest)


def _hides(below: str, filters: Filters) -> str:
    """Why a file of a listed URL is not looked at; "" when it is."""
    parts = below.split("/")
    if not filters.hidden and any(part.startswith(".") for part in parts):
        return "hidden"
    folders = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    if any(filters.excludes(folder) for folder in folders) or not filters.includes(below):
        return "excluded"
    return ""


def _matches(below: str, pattern: str) -> bool:
    below = below.replace(os.sep, "/").lower()
    pattern = pattern.lower().removeprefix("./").rstrip("/")
    if "/" not in pattern:
        below = below.rsplit("/", 1)[-1]
    return fnmatch.fnmatchcase(below, pattern)


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
