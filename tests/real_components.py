"""Starts the real moderation tools for `tests/test_integrations_real.py`.

Each tool lives in a virtual environment of its own, made by `.ci/integrations` in the folder
that DETECTOR_INTEGRATIONS_DIR names; where that is not set, the tests skip and say so.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = "DETECTOR_INTEGRATIONS_DIR"


def environment(name: str) -> Path:
    """The `bin` folder of one tool's virtual environment; skips the test where there is none."""
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"{FOLDER} is not set: run .ci/integrations for the real tools")
    programs = Path(folder) / name / "bin"
    if not (programs / "python").exists():
        pytest.skip(f"{name} is not installed in {folder}")
    return programs


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def plain_environment(**more: str) -> dict[str, str]:
    """The process's environment without what would leak this one's Python into another."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def started(
    command: list[str], log: Path, ready: Callable[[], bool], seconds: float = 180, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server until the block ends; fails with the end of its log when it does not start."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, **options)
    try:
        end = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{command[0]} did not start:\n{tail(log)}")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def tail(log: Path, length: int = 4000) -> str:
    """The end of a log."""
    return log.read_text(encoding="utf-8", errors="replace")[-length:]


def http(
    method: str,
    url: str,
    body: bytes | Mapping[str, Any] | list[Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """One request; gives the status and the decoded JSON, or the bytes where it is none."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=body, headers=sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            status, raw = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, raw = error.code, error.read()
    try:
        return status, json.loads(raw)
    except ValueError:
        return status, raw


def answers(url: str) -> bool:
    """Whether something answers there with 200."""
    try:
        return http("GET", url)[0] == 200
    except OSError:
        return False


def eventually(check: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true value that the check gives; its last value when time is up."""
    end = time.monotonic() + seconds
    while not (value := check()) and time.monotonic() < end:
        time.sleep(0.2)
    return value


def multipart(name: str, data: bytes) -> tuple[bytes, str]:
    """A form with one file: the body and its content type."""
    border = "border-of-a-test"
    head = (
        f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    body = head.encode() + data + f"\r\n--{border}--\r\n".encode()
    return body, f"multipart/form-data; boundary={border}"
