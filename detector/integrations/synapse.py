"""A Matrix Synapse module: asks the detector about each uploaded image, off the reactor.

In `homeserver.yaml`:

    modules:
      - module: detector.integrations.synapse.DetectorModule
        config:
          endpoint: http://127.0.0.1:8000   # a running `detector serve`; without it, in-process
          token_file: /etc/detector/token
          likely_generated: quarantine      # allow | log | quarantine | reject
          notes: /var/log/matrix-synapse/detector.jsonl

Synapse's own interface: https://element-hq.github.io/synapse/latest/modules/spam_checker_callbacks.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from detector.errors import DetectorError, UsageError
from detector.integrations.actions import FAULT, UNSCORED, Choice, Rules, decide_by
from detector.integrations.client import Judge, JudgeError, Judgement, make_judge
from detector.policy import Policy

logger = logging.getLogger(__name__)

ALLOW, LOG, QUARANTINE, REJECT = "allow", "log", "quarantine", "reject"
ACTIONS = (ALLOW, LOG, QUARANTINE, REJECT)
# A new installation watches before it acts: nothing is refused until the operator says so.
DEFAULTS = {
    "likely_generated": LOG,
    "inconclusive": ALLOW,
    "no_sign": ALLOW,
    UNSCORED: ALLOW,
    FAULT: ALLOW,
}
OPTIONS = {
    *DEFAULTS,
    *("endpoint", "token", "token_file", "model", "timeout", "policy", "notes"),
    *("max_bytes", "max_pending", "threads", "remote_media"),
}

# What a policy file may say here: to label or review is a note for the moderators.
POLICY_WORDS = {
    "allow": ALLOW,
    "label": LOG,
    "review": LOG,
    "log": LOG,
    "quarantine": QUARANTINE,
    "reject": REJECT,
}

# How a file must begin to be sent on: no other is an image that the detector reads.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_QUARANTINED_BY = "aigi-detector"


@dataclass(frozen=True)
class Config:
    """The module's configuration, checked when Synapse starts.

    Attributes:
        judge: who is asked.
        rules: the action for each verdict, for files that cannot be scored, and for faults.
        notes: file that gets one JSON line for each image that is not simply allowed.
        timeout: seconds that an upload may wait for the detector.
        max_bytes: longer files are not read; they count as "unscored".
        max_pending: images that may be under way or wait; one more counts as a fault.
        threads: images that are judged at the same time.
        remote_media: whether media from other servers is judged when it is fetched.
    """

    judge: Judge
    rules: Rules
    notes: Path | None = None
    timeout: float = 15.0
    max_bytes: int = 50 * 2**20
    max_pending: int = 16
    threads: int = 2
    remote_media: bool = True


class DetectorModule:
    """The module that Synapse makes once per process; see the first lines of this file.

    Args:
        config: what `parse_config` gave.
        api: Synapse's `ModuleApi`.
    """

    def __init__(self, config: Config, api: Any) -> None:
        from synapse.module_api import NOT_SPAM
        from synapse.module_api.errors import Codes
        from twisted.python.threadpool import ThreadPool

        self._config, self._api = config, api
        self._allowed, self._refused = NOT_SPAM, Codes.FORBIDDEN
        self._pending = 0
        self._lock = threading.Lock()  # for the count and for the notes' file
        # A pool of our own: Synapse's default one also resolves names.
        self._pool = ThreadPool(1, config.threads, name="aigi-detector")
        self._pool.start()
        _stop_with_reactor(self._pool)
        api.register_spam_checker_callbacks(check_media_file_for_spam=self.check_media_file)

    @staticmethod
    def parse_config(config: Mapping[str, Any]) -> Config:
        """Checks the module's part of homeserver.yaml; a fault there stops Synapse's start.

        Raises:
            UsageError: an unknown option, a wrong value, or a file that cannot be read.
        """
        config = config or {}
        unknown = sorted(set(config) - OPTIONS)
        if unknown:
            raise UsageError(f"unknown option for the detector module: {', '.join(unknown)}")
        notes, policy = config.get("notes"), config.get("policy")
        decide = decide_by(Policy.load(policy), POLICY_WORDS, LOG) if policy else None
        return Config(
            judge=make_judge(
                config.get("endpoint"),
                str(config.get("token") or ""),
                token_file=config.get("token_file"),
                model=config.get("model"),
                timeout=_positive(config, "timeout", Config.timeout),
            ),
            rules=Rules.from_options(config, ACTIONS, DEFAULTS, decide),
            notes=None if notes is None else _writable(Path(str(notes))),
            timeout=_positive(config, "timeout", Config.timeout),
            max_bytes=int(_positive(config, "max_bytes", Config.max_bytes)),
            max_pending=int(_positive(config, "max_pending", Config.max_pending)),
            threads=int(_positive(config, "threads", Config.threads)),
            remote_media=bool(config.get("remote_media", True)),
        )

    async def check_media_file(self, file_wrapper: Any, file_info: Any) -> Any:
        """Synapse's callback: NOT_SPAM, or the error code that refuses the upload.

        It is also called for every thumbnail and for previews of URLs, which are let pass.
        """
        if file_info.thumbnail or file_info.url_cache:
            return self._allowed
        if file_info.server_name is not None and not self._config.remote_media:
            return self._allowed
        started = time.monotonic()
        judgement: Judgement | None = None
        try:
            data = await self._read(file_wrapper)
            if data is None:
                return self._allowed
            judgement = await self._judge(data)
            choice = self._config.rules.choose(judgement)
        except _TooLongError as error:
            choice = Choice(self._config.rules.actions[UNSCORED], UNSCORED, str(error))
        except (DetectorError, OSError) as error:
            choice = self._config.rules.on_fault(error)
        except Exception as error:
            # Whatever else goes wrong here must not become Synapse's "500" for the uploader.
            logger.exception("the detector module failed")
            choice = self._config.rules.on_fault(error)
        await self._carry_out(choice, judgement, file_info, time.monotonic() - started)
        return self._refused if choice.action == REJECT else self._allowed

    async def _read(self, file_wrapper: Any) -> bytes | None:
        """The file's bytes; None when it is no image that the detector reads."""
        buffer = BytesIO()
        limit = self._config.max_bytes

        def keep(chunk: bytes) -> None:
            if buffer.tell() == 0 and not looks_like_image(chunk):
                raise _NoImageError
            if buffer.tell() + len(chunk) > limit:
                raise _TooLongError(f"the file has more than {limit:,} bytes")
            buffer.write(chunk)

        try:
            await file_wrapper.write_chunks_to(keep)
        except _NoImageError:
            return None
        return buffer.getvalue() or None

    async def _judge(self, data: bytes) -> Judgement:
        with self._lock:
            if self._pending >= self._config.max_pending:
                raise JudgeError(f"{self._pending} images are under way already")
            self._pending += 1
        deadline = time.monotonic() + self._config.timeout
        work = self._api.defer_to_threadpool(self._pool, self._ask, data, deadline)
        return await _within(self._config.timeout, work)

    def _ask(self, data: bytes, deadline: float) -> Judgement:
        """Runs in a thread; one that comes too late to matter costs nothing more."""
        try:
            if time.monotonic() > deadline:
                raise JudgeError("the image waited too long for its turn")
            return self._config.judge(data)
        finally:
            with self._lock:
                self._pending -= 1

    async def _carry_out(
        self, choice: Choice, judgement: Judgement | None, file_info: Any, seconds: float
    ) -> None:
        if choice.action == ALLOW and choice.rule != FAULT:
            return
        note = make_note(choice, judgement, file_info, self._api.server_name, seconds)
        logger.warning("detector: %s", json.dumps(note))
        if choice.action == QUARANTINE:
            self._api.run_as_background_process(
                "aigi_detector_quarantine", self._quarantine, file_info
            )
        if self._config.notes is not None:
            await self._api.defer_to_threadpool(self._pool, self._write_note, note)

    def _write_note(self, note: Mapping[str, Any]) -> None:
        line = json.dumps(note, ensure_ascii=False) + "\n"
        try:
            with self._lock, open(self._config.notes or "", "a", encoding="utf-8") as stream:
                stream.write(line)
        except OSError as fault:
            logger.error("the detector's note cannot be written: %s", fault)

    async def _quarantine(self, file_info: Any) -> None:
        """Quarantines the medium as soon as Synapse has recorded it, just after this upload."""
        # Not in the stable module API: an operator's quarantine goes this way, too.
        store = self._api._store
        server = file_info.server_name or self._api.server_name
        for wait in (0.2, 0.5, 1, 2, 4, 8, 16):
            await self._api.sleep(wait)
            if await store.quarantine_media_by_id(server, file_info.file_id, _QUARANTINED_BY):
                return
        logger.error("detector: %s/%s could not be quarantined", server, file_info.file_id)


class _NoImageError(Exception):
    pass


class _TooLongError(Exception):
    pass


def looks_like_image(start: bytes) -> bool:
    """Whether a file that begins like this may be an image; needs 16 bytes, reads no further."""
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    if start[4:8] == b"ftyp":
        return start[8:12] in _BRANDS
    return start.startswith(_MAGIC)


def make_note(
    choice: Choice,
    judgement: Judgement | None,
    file_info: Any,
    server_name: str,
    seconds: float,
) -> dict[str, Any]:
    """What moderators are told about one image, as plain JSON values; never the image itself."""
    finding = None if judgement is None else judgement.finding
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "mxc": f"mxc://{file_info.server_name or server_name}/{file_info.file_id}",
        "action": choice.action,
        "rule": choice.rule,
        "reason": choice.reason,
        "sha256": "" if finding is None else finding.sha256,
        "model": "" if finding is None else finding.model,
        "score": None if finding is None else finding.score,
        "verdict": None if finding is None or not finding.verdict else str(finding.verdict),
        "evidence": [] if judgement is None else [item.kind for item in judgement.claims],
        "seconds": round(seconds, 3),
    }


async def _within(seconds: float, work: Any) -> Judgement:
    """Waits for the thread's answer, but no longer than that; the thread itself goes on."""
    from twisted.internet import defer, reactor

    deferred = defer.ensureDeferred(work)
    deferred.addTimeout(seconds, reactor)
    try:
        result: Judgement = await deferred
    except defer.TimeoutError as fault:
        raise JudgeError(f"the detector took over {seconds:g} s") from fault
    return result


def _stop_with_reactor(pool: Any) -> None:
    from twisted.internet import reactor

    reactor.addSystemEventTrigger("during", "shutdown", pool.stop)


def _positive(config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise UsageError(f"{key} must be a number above 0, not {value!r}")
    return float(value)


def _writable(path: Path) -> Path:
    try:
        with path.open("a", encoding="utf-8"):
            return path
    except OSError as fault:
        raise UsageError(f"notes cannot be written: {fault}") from fault
