"""Judges an image for an adapter: by asking a running `detector serve`, or in this process.

With an `endpoint` only the standard library is needed, so that a homeserver's or an archiver's
environment holds this package (`pip install --no-deps`) and nothing else of it.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from detector.errors import DetectorError, UsageError
from detector.results import Asserts, Evidence, FileFacts, Finding, Status, Stratum, Trust, Verdict

MAX_ANSWER = 32 * 2**20
SCORE_PATH = "/v1/score"


class JudgeError(DetectorError):
    """No finding could be had: the service is away, too slow, full, or answered nonsense.

    This is a fault of the set-up, never news about the image: a file that cannot be scored is
    a finding with another status than OK.
    """


@dataclass(frozen=True)
class Judgement:
    """What is known of one image.

    Attributes:
        finding: what the model says.
        evidence: what the file says of its origin; beside the score, never in it.
    """

    finding: Finding
    evidence: tuple[Evidence, ...] = ()

    @property
    def claims(self) -> tuple[Evidence, ...]:
        """The evidence that claims something of the image's origin; the rest are measurements."""
        return tuple(item for item in self.evidence if item.asserts is not Asserts.UNKNOWN)


class Judge(Protocol):
    """Bytes of a file in, what is known of it out; raises `JudgeError` when that fails."""

    def __call__(self, data: bytes) -> Judgement:
        """Blocks until the judgement is there; called from several threads at once."""


class ServiceJudge:
    """Asks a running `detector serve`.

    Args:
        endpoint: base URL of the service, such as "http://127.0.0.1:8000".
        token: bearer token, if the service wants one.
        timeout: seconds that one image may take in all, queueing included.
    """

    def __init__(self, endpoint: str, token: str = "", timeout: float = 20.0) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"endpoint must be an http or https URL, not {endpoint!r}")
        if timeout <= 0:
            raise UsageError("timeout must be above 0 seconds")
        if any(c in token for c in "\r\n"):
            raise UsageError("token must be one line")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + SCORE_PATH
        self._headers = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout

    def __call__(self, data: bytes) -> Judgement:
        """One POST with the file as its body. A busy service (429, 503) is asked once more."""
        deadline = time.monotonic() + self._timeout
        status, wait, body = self._post(data, deadline)
        if status in (429, 503) and time.monotonic() + wait < deadline:
            time.sleep(wait)
            status, wait, body = self._post(data, deadline)
        if status != 200:
            raise JudgeError(f"the detector service answered {status}: {_excerpt(body)}")
        return judgement_from_answer(body)

    def _post(self, data: bytes, deadline: float) -> tuple[int, float, bytes]:
        left = max(deadline - time.monotonic(), 0.001)
        if self._https:
            context = ssl.create_default_context()
            link: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=left, context=context
            )
        else:
            link = http.client.HTTPConnection(self._host, self._port, timeout=left)
        timer: threading.Timer | None = None
        try:
            link.connect()
            # A socket's timeout starts anew with every byte; the timer ends a trickle, too.
            timer = threading.Timer(max(deadline - time.monotonic(), 0.001), _shut, [link.sock])
            timer.daemon = True
            timer.start()
            link.request("POST", self._path, body=data, headers=self._headers)
            answer = link.getresponse()
            body = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            if time.monotonic() >= deadline:
                raise self._too_slow() from fault
            raise JudgeError(f"the detector service cannot be asked: {fault}") from fault
        finally:
            if timer is not None:
                timer.cancel()
            link.close()
        if time.monotonic() >= deadline:
            raise self._too_slow()  # what was read may be cut short
        if len(body) > MAX_ANSWER:
            raise JudgeError("the detector service's answer is too long")
        return answer.status, _seconds(answer.getheader("Retry-After")), body

    def _too_slow(self) -> JudgeError:
        return JudgeError(f"the detector service took over {self._timeout:g} s")


class LocalJudge:
    """Judges in this process; the model is loaded when the first image comes.

    Args:
        model: what `--model` takes: a bundle's name or folder, or a plug-in; None for the default.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        self._model = model
        self._scorer: Any = None
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> Judgement:
        """Score, gather evidence, decide over both; one image at a time is scored."""
        try:
            from detector.evidence import gather
            from detector.preprocess import prepare
            from detector.scorers import load_scorer
            from detector.verdict import decided
        except ImportError as fault:
            raise JudgeError(
                f"this environment cannot load the model ({fault.name} is missing): name the "
                "endpoint of a running `detector serve`, or install the package with its "
                "dependencies"
            ) from fault
        with self._lock:  # the CNN uses all cores by itself
            if self._scorer is None:
                self._scorer = load_scorer(self._model)
            item = prepare("", data, self._scorer.bundle.preprocess)
            finding = self._scorer.score_prepared([item])[0]
        evidence = tuple(gather(data))
        return Judgement(decided(finding, evidence), evidence)


def make_judge(
    endpoint: str | None = None,
    token: str = "",
    *,
    token_file: str | Path | None = None,
    model: str | Path | None = None,
    timeout: float = 20.0,
) -> Judge:
    """The judge that an adapter's configuration asks for: a service's, or this process's.

    Raises:
        UsageError: a malformed endpoint, an unreadable token file, or contradicting options.
    """
    if not endpoint:
        if token or token_file:
            raise UsageError("token is for an endpoint, and none is given")
        return LocalJudge(model)
    if model is not None:
        raise UsageError("with an endpoint, the service chooses the model: leave out model")
    if token_file and not token:
        token = _first_token(token_file)
    return ServiceJudge(endpoint, token, timeout)


def _first_token(path: str | Path) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"the token file cannot be read: {fault}") from fault
    words = [line.strip() for line in lines]
    found = next((word for word in words if word and not word.startswith("#")), None)
    if found is None:
        raise UsageError(f"there is no token in {path}")
    return found


def judgement_from_answer(body: bytes) -> Judgement:
    """The first judgement of a `POST /v1/score` answer; raises `JudgeError` for anything else."""
    try:
        record = json.loads(body)["findings"][0]
        evidence = record.get("evidence") or ()
        return Judgement(finding_from_record(record), tuple(map(evidence_from_record, evidence)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        raise JudgeError(
            f"the detector service's answer is not one of its findings: {_excerpt(body)}"
        ) from fault


def finding_from_record(record: Mapping[str, Any]) -> Finding:
    """The finding that `Finding.to_record` wrote, as far as a record tells.

    Views and some of the file's facts are not in a record; keys that are not known are left out.
    Raises ValueError, KeyError or TypeError when the record is none.
    """
    verdict, pixels = record.get("verdict"), record.get("pixel_verdict")
    status = Status(record["status"])
    if status is Status.OK and (verdict is None or record.get("score") is None):
        raise ValueError("a scored file has a score and a verdict")
    return Finding(
        path=str(record.get("path") or ""),
        sha256=str(record.get("sha256") or ""),
        status=status,
        reason=str(record.get("reason") or ""),
        model=str(record.get("model") or ""),
        score=_number(record, "score"),
        probability=_number(record, "probability"),
        lr=_number(record, "lr"),
        verdict=None if verdict is None else Verdict(verdict),
        verdict_code=str(record.get("verdict_code") or ""),
        spread=_number(record, "spread"),
        stratum=_stratum(record.get("stratum")),
        file=_facts(record),
        notes=_lines(record, "notes"),
        conflicts=_lines(record, "conflicts"),
        pixel_verdict=None if pixels is None else Verdict(pixels),
        stability=str(record.get("stability") or ""),
    )


def evidence_from_record(record: Mapping[str, Any]) -> Evidence:
    """The evidence that `Evidence.to_record` wrote; raises ValueError, KeyError or TypeError."""
    return Evidence(
        kind=str(record["kind"]),
        channel=str(record["channel"]),
        asserts=Asserts(record["asserts"]),
        issuer=str(record.get("issuer") or ""),
        trust=Trust(record["trust"]),
        raw=dict(record.get("raw") or {}),
        caveat=str(record.get("caveat") or ""),
    )


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise ValueError(f"{key} is not a number")
    return float(value)


def _lines(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(line) for line in record.get(key) or ())


def _stratum(text: Any) -> Stratum | None:
    parts = str(text or "").split("/")
    return Stratum(*parts) if len(parts) == 3 else None


def _facts(record: Mapping[str, Any]) -> FileFacts | None:
    if not record.get("format"):
        return None
    quality = record.get("jpeg_quality")
    return FileFacts(
        sha256=str(record.get("sha256") or ""),
        bytes=int(record.get("bytes") or 0),
        format=str(record["format"]),
        width=int(record.get("width") or 0),
        height=int(record.get("height") or 0),
        frames=int(record.get("frames") or 1),
        jpeg_quality=None if quality is None else int(quality),
    )


def _seconds(text: str | None) -> float:
    try:
        return min(max(float(text or 1.0), 0.05), 60.0)
    except ValueError:
        return 1.0  # an HTTP date: the service's own answers carry seconds


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        sock.shutdown(socket.SHUT_RDWR)


def _excerpt(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip() or "nothing"
