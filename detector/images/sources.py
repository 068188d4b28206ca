"""Reads the bytes of a local file or an fsspec URL, without hanging and within limits."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from detector.errors import ImageError
from detector.results import Status

MAX_BYTES = 256 * 2**20

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_REASONS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENAMETOOLONG: "the name is too long",
}


def read_bytes(path_or_url: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """All bytes of one file; its length is checked before it is read.

    A name with "://" goes to fsspec ("s3://bucket/key", "memory://name"), all else is local.
    Raises `ImageError`: MISSING (with the reason) when it cannot be opened, UNSUPPORTED for a
    directory, pipe, device or socket, EMPTY, TOO_LARGE.
    """
    name = os.fspath(path_or_url)
    data = _read_url(name, max_bytes) if "://" in name else _read_local(name, max_bytes)
    if not data:
        raise ImageError(Status.EMPTY, "The file has no bytes.")
    return data


def _read_local(path: str, max_bytes: int) -> bytes:
    try:
        # Looked at before it is opened: opening some devices has effects.
        _require_regular(os.stat(path).st_mode)
        # Without O_NONBLOCK, a pipe put in the file's place meanwhile would block for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags | getattr(os, "O_CLOEXEC", 0)), "rb") as stream:
            found = os.fstat(stream.fileno())
            _require_regular(found.st_mode)
            _require_size(found.st_size, max_bytes)
            return _read_all(stream, max_bytes)
    except (OSError, ValueError) as fault:
        raise _missing(path, fault) from fault


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        raise ImageError(Status.UNSUPPORTED, f"This is {kind}, not a file.")


def _require_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ImageError(
            Status.TOO_LARGE, f"The file has {size:,} bytes; at most {max_bytes:,} are read."
        )


def _read_all(stream: Any, max_bytes: int) -> bytes:
    # The stated size may be wrong or grow: one byte more than allowed is enough to know.
    data = bytes(stream.read(max_bytes + 1))
    _require_size(len(data), max_bytes)
    return data


def _missing(path: str, fault: OSError | ValueError) -> ImageError:
    if isinstance(fault, OSError) and fault.errno is not None:
        if fault.errno == errno.ENOENT and os.path.islink(path):
            reason = "its symbolic link leads nowhere"
        else:
            reason = _REASONS.get(fault.errno, os.strerror(fault.errno).lower())
    else:
        reason = str(fault)
    return ImageError(Status.MISSING, f"The file cannot be read: {reason}.")


def _read_url(url: str, max_bytes: int) -> bytes:
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        system, path = url_to_fs(url)
        if isinstance(system, LocalFileSystem):
            return _read_local(path, max_bytes)
        found = system.info(path)
        if found.get("type") == "directory":
            _require_regular(stat.S_IFDIR)
        _require_size(found.get("size") or 0, max_bytes)
        with system.open(path, "rb") as stream:
            return _read_all(stream, max_bytes)
    except ImageError:
        raise
    except FileNotFoundError as fault:
        raise ImageError(
            Status.MISSING, "The file cannot be read: there is no such file."
        ) from fault
    except Exception as fault:
        # Drivers raise exceptions of their own for refused access, lost networks, missing
        # packages and unknown protocols; all mean that this file could not be had.
        raise ImageError(
            Status.MISSING, f"The file cannot be read: {type(fault).__name__}: {fault}"
        ) from fault
