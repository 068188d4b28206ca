"""How `detector.images.read_bytes` gets the bytes of a file, or says why not."""

from __future__ import annotations

import os
import socket
import stat
import sys

import fsspec
import pytest

from detector.errors import ImageError
from detector.images import read_bytes
from detector.results import Status
from tests import files


def refused(path: object, **options: int) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_bytes(str(path), **options)
    assert caught.value.reason
    return caught.value


def test_a_local_file_is_read(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"some bytes")
    assert read_bytes(str(tmp_path / "photo.jpg")) == b"some bytes"
    assert read_bytes(tmp_path / "photo.jpg") == b"some bytes"


@pytest.mark.parametrize("name", files.ODD_NAMES)
def test_odd_names_are_only_names(tmp_path, name):
    try:
        (tmp_path / name).write_bytes(b"x")
    except (OSError, ValueError):
        pytest.skip("the file system does not take this name")
    assert read_bytes(os.path.join(tmp_path, name)) == b"x"


def test_a_file_that_is_not_there_is_missing(tmp_path):
    assert refused(tmp_path / "no.jpg").status is Status.MISSING
    (tmp_path / "file").write_bytes(b"x")
    assert refused(tmp_path / "file" / "below.jpg").status is Status.MISSING
    assert refused("a" * 5000).status is Status.MISSING
    assert refused("zero\0byte").status is Status.MISSING
    assert refused("").status is Status.MISSING


def test_an_empty_file_is_empty(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert refused(tmp_path / "empty.jpg").status is Status.EMPTY


def test_the_size_is_checked_before_reading(tmp_path):
    with open(tmp_path / "sparse.jpg", "wb") as stream:
        stream.truncate(2**40)
    error = refused(tmp_path / "sparse.jpg")
    assert error.status is Status.TOO_LARGE
    (tmp_path / "ten.jpg").write_bytes(bytes(10))
    assert refused(tmp_path / "ten.jpg", max_bytes=9).status is Status.TOO_LARGE
    assert len(read_bytes(str(tmp_path / "ten.jpg"), max_bytes=10)) == 10


def test_links_are_followed_and_bad_ones_explained(tmp_path):
    expected = files.special_files(tmp_path)
    for name, status in expected.items():
        assert refused(tmp_path / name).status is status
    if "broken-link.jpg" in expected:
        assert "leads nowhere" in refused(tmp_path / "broken-link.jpg").reason
        (tmp_path / "nowhere.jpg").write_bytes(b"x")
        assert read_bytes(str(tmp_path / "broken-link.jpg")) == b"x"


def test_a_directory_is_unsupported(tmp_path):
    error = refused(tmp_path)
    assert error.status is Status.UNSUPPORTED
    assert "a directory" in error.reason


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs device files")
def test_an_endless_device_is_not_read():
    assert refused("/dev/zero").status is Status.UNSUPPORTED


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang_even_when_it_takes_the_place_of_a_file(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "a named pipe" in refused(tmp_path / "pipe.jpg").reason
    (tmp_path / "file.jpg").write_bytes(b"x")
    regular = os.stat(tmp_path / "file.jpg")
    monkeypatch.setattr(os, "stat", lambda path, **_: regular)  # as it was a moment ago
    assert "a named pipe" in refused(tmp_path / "pipe.jpg").reason


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
def test_a_socket_is_unsupported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        assert "a socket" in refused("socket.jpg").reason


def test_a_file_without_permission_is_missing_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads everything

        def denied(*_: object, **__: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", denied)
    error = refused(path)
    assert error.status is Status.MISSING
    assert "permission denied" in error.reason
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_a_url_is_read_through_fsspec(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/photo.jpg", b"some bytes")
    memory.pipe("/bucket/empty.jpg", b"")
    assert read_bytes("memory://bucket/photo.jpg") == b"some bytes"
    assert refused("memory://bucket/empty.jpg").status is Status.EMPTY
    assert refused("memory://bucket/photo.jpg", max_bytes=9).status is Status.TOO_LARGE
    assert refused("memory://bucket/none.jpg").status is Status.MISSING
    assert refused("memory://bucket").status is Status.UNSUPPORTED
    (tmp_path / "photo.jpg").write_bytes(b"local")
    assert read_bytes(f"file://{tmp_path}/photo.jpg") == b"local"


def test_a_url_that_cannot_be_had_is_missing_with_the_reason():
    for url in ("nosuchprotocol://x/y.jpg", "://", "memory://"):
        assert refused(url).status in (Status.MISSING, Status.UNSUPPORTED)
    assert "nosuchprotocol" in refused("nosuchprotocol://x/y.jpg").reason
