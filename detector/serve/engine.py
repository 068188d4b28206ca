"""The middle of the service: uploads to worker processes, views to the CNN, findings back.

Three parties work at once. The event loop admits uploads, as many as the settings allow and no
more. One thread hands them to the worker processes of `detector.pool`, where a file that kills
its decoder costs itself alone. One thread gives the CNN whatever views are there, of one request
or of many, up to a batch. What was admitted is finished, also when the service ends.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import DetectorError
from detector.pool import Fault, Pool
from detector.preprocess import Prepared
from detector.results import Evidence, Finding, Status
from detector.scorers import Scorer
from detector.serve.batches import Batcher
from detector.serve.decode import Decoded, Decoder, Ticket
from detector.serve.faults import HttpError, busy
from detector.serve.settings import Settings
from detector.verdict import decided

log = logging.getLogger("detector.serve")

# Smoothing of the seconds that one image takes, from which Retry-After is told.
_SMOOTH = 0.1
_LONGEST_WAIT = 60


@dataclass(frozen=True)
class Upload:
    """One file of a request.

    Attributes:
        data: its bytes.
        name: the client's name for it, "" when it gave none.
    """

    data: bytes
    name: str = ""


@dataclass(frozen=True)
class Judged:
    """What is known of one upload.

    Attributes:
        finding: with the verdict over pixels and evidence, as far as evidence was asked for.
        evidence: None when it was not asked for.
        rgb: (H, W, 3) uint8 upright RGB, if it was asked for and the file could be decoded.
    """

    finding: Finding
    evidence: tuple[Evidence, ...] | None = None
    rgb: NDArray[np.uint8] | None = None


@dataclass
class _Job:
    ticket: Ticket
    data: bytes
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Judged]
    started: float = field(default_factory=time.monotonic)
    given_up: bool = False


class Engine:
    """Scores uploads; `start` before the first one, `close` after the last.

    Args:
        scorer: the model.
        settings: limits, workers and times.
        on_batch: called with the size of every batch that went through the CNN.
    """

    def __init__(
        self, scorer: Scorer, settings: Settings, on_batch: Callable[[int], None] = lambda n: None
    ) -> None:
        self.scorer = scorer
        self._settings = settings
        self._numbers = itertools.count(1)
        self._held = 0
        self._each = 0.2  # seconds per image, a guess until some were scored
        self._waiting: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._closing = False
        self._batcher = Batcher(scorer, settings.batch_size, settings.linger, on_batch)
        self._spool = Path()
        self._thread = threading.Thread(target=self._decode, name="detector-decode", daemon=True)
        self.fault = ""  # why the service cannot work at present; "" when it can

    def start(self) -> None:
        """Start the threads and the workers."""
        parent = self._settings.spool
        self._spool = Path(tempfile.mkdtemp(prefix="detector-serve-", dir=parent))
        self._batcher.start()
        self._thread.start()

    def close(self) -> None:
        """Finish what was admitted, and end the threads and the workers."""
        self._closing = True
        self._arrived.set()
        self._thread.join(self._settings.shutdown_timeout)
        self._batcher.close(self._settings.shutdown_timeout)
        shutil.rmtree(self._spool, ignore_errors=True)

    @property
    def held(self) -> int:
        """Images in the house."""
        return self._held

    def retry_after(self, more: int = 1) -> int:
        """Seconds after which there is probably room for `more` images."""
        return int(min(_LONGEST_WAIT, max(1.0, self._each * (self._held + more) / 2)))

    async def score(
        self, uploads: Sequence[Upload], *, evidence: bool = True, pixels: bool = False
    ) -> list[Judged]:
        """One answer per upload, in order. Call it in the event loop.

        Raises:
            HttpError: 429 when there is no room, 503 when it took too long or is ending.
        """
        if self._closing:
            raise _ending()
        with self._lock:
            held = self._held
            room = held + len(uploads) <= self._settings.queue
            self._held += len(uploads) if room else 0
        if not room:
            what = f"{held} of {self._settings.queue} images are waiting"
            raise busy(what, self.retry_after(len(uploads)))
        jobs = [self._admit(upload, evidence, pixels) for upload in uploads]
        futures = [job.future for job in jobs]
        try:
            answers = asyncio.gather(*futures)
            return list(await asyncio.wait_for(answers, self._settings.request_timeout))
        except asyncio.TimeoutError as error:
            seconds = f"{self._settings.request_timeout:g} s"
            raise HttpError(
                503,
                "timeout",
                f"The request took longer than {seconds}.",
                "Send fewer or smaller images at once.",
                {"Retry-After": str(self.retry_after())},
            ) from error
        finally:
            for job in jobs:
                job.given_up = True  # a job that nobody waits for any more is not begun
                job.future.cancel()

    def _admit(self, upload: Upload, evidence: bool, pixels: bool) -> _Job:
        number = next(self._numbers)
        ticket = Ticket(number, self._spool / str(number), upload.name, evidence, pixels)
        loop = asyncio.get_running_loop()
        job = _Job(ticket, upload.data, loop, loop.create_future())
        with self._lock:
            self._jobs[number] = job
        self._waiting.append(job)
        self._arrived.set()
        return job

    # --- in the thread that hands out ------------------------------------------------------

    def _decode(self) -> None:
        decoder = Decoder(self.scorer.bundle.preprocess, self._settings.limits)
        while not (self._closing and not self._waiting):
            try:
                with Pool(
                    decoder,
                    self._settings.workers,
                    timeout=self._settings.decode_timeout,
                    pause=0.01,
                ) as pool:
                    self._hand_out(pool)
            except (DetectorError, OSError) as error:
                self.fault = str(error)
                log.error("workers_failed", extra={"reason": self.fault})
                for number in list(self._jobs):
                    self._finish(number, Judged(_failed("", "", self.fault, self.scorer)))
                time.sleep(1.0)

    def _hand_out(self, pool: Pool[Ticket, Decoded]) -> None:
        while True:
            self._arrived.wait()
            self._arrived.clear()
            for ticket, outcome in pool.run(_Source(self._next)):
                self.fault = ""
                self._decoded(ticket, outcome)
            if self._closing and not self._waiting:
                return

    def _next(self) -> Ticket | None:
        """The next upload that somebody still waits for, its bytes put where a worker reads."""
        while self._waiting:
            job = self._waiting.popleft()
            if job.given_up:
                self._release(job.ticket.number)
                continue
            file = job.ticket.file
            file.touch(mode=0o600)
            file.write_bytes(job.data)
            job.data = b""
            return job.ticket
        return None

    def _decoded(self, ticket: Ticket, outcome: Decoded | Fault) -> None:
        if isinstance(outcome, Fault):
            with suppress(OSError):
                ticket.file.unlink()
            prepared = Prepared(ticket.name, "", Status.FAILED, outcome.reason)
            outcome = Decoded(prepared)
        if outcome.prepared.status is not Status.OK:
            item = outcome.prepared
            finding = Finding(
                item.path,
                item.sha256,
                item.status,
                item.reason,
                self.scorer.model_id,
                notes=item.notes,
            )
            self._settle(ticket, outcome, finding)
            return
        self._batcher.put(outcome.prepared, lambda finding: self._settle(ticket, outcome, finding))

    # --- in either thread ------------------------------------------------------------------

    def _settle(self, ticket: Ticket, outcome: Decoded, finding: Finding) -> None:
        if outcome.evidence is not None:
            finding = decided(finding, outcome.evidence)
        self._finish(ticket.number, Judged(finding, outcome.evidence, outcome.rgb))

    def _finish(self, number: int, judged: Judged) -> None:
        job = self._release(number)
        if job is None or job.given_up:
            return

        def tell() -> None:
            if not job.future.done():
                job.future.set_result(judged)

        with suppress(RuntimeError):  # the loop has ended: nobody waits
            job.loop.call_soon_threadsafe(tell)

    def _release(self, number: int) -> _Job | None:
        with self._lock:
            job = self._jobs.pop(number, None)
            if job is None:
                return None
            self._held -= 1
            # Of the wait, the part that this image's own work took.
            spent = (time.monotonic() - job.started) / (self._held + 1)
            self._each += _SMOOTH * (spent - self._each)
            return job


class _Source(Iterator[Ticket]):
    """Gives what there is at the moment, and may be asked again after it was empty."""

    def __init__(self, next_ticket: Callable[[], Ticket | None]) -> None:
        self._next_ticket = next_ticket

    def __next__(self) -> Ticket:
        ticket = self._next_ticket()
        if ticket is None:
            raise StopIteration
        return ticket


def _failed(name: str, sha256: str, reason: str, scorer: Scorer) -> Finding:
    return Finding(name, sha256, Status.FAILED, reason, scorer.model_id)


def _ending() -> HttpError:
    return HttpError(
        503, "ending", "The service is ending.", "Send it to another one.", {"Retry-After": "5"}
    )
