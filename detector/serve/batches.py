"""The thread of the CNN: takes what is there, of whatever requests, and scores it together."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from detector.preprocess import Prepared
from detector.results import Finding, Status
from detector.scorers import Scorer

log = logging.getLogger("detector.serve")

Tell = Callable[[Finding], None]
_Item = tuple[Prepared, Tell]


class Batcher:
    """Scores prepared images in one thread, as many at once as came in a short while.

    Args:
        scorer: the model; used by this thread alone, and by `borrow`.
        batch_size: most images at once.
        linger: seconds that a batch waits for company after its first image.
        on_batch: called with the size of every batch.
    """

    def __init__(
        self, scorer: Scorer, batch_size: int, linger: float, on_batch: Callable[[int], None]
    ) -> None:
        self._scorer = scorer
        self._size = max(1, batch_size)
        self._linger = linger
        self._on_batch = on_batch
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="detector-score", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Score what was put, and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout)

    def put(self, prepared: Prepared, tell: Tell) -> None:
        """Have one image scored; `tell` is called in the thread with its finding."""
        self._queue.put((prepared, tell))

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._gather()
            if not batch:
                continue
            findings = self._score([prepared for prepared, _ in batch])
            self._on_batch(len(batch))
            for (_, tell), finding in zip(batch, findings, strict=True):
                tell(finding)

    def _gather(self) -> tuple[list[_Item], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        until = time.monotonic() + self._linger
        while len(batch) < self._size:
            try:
                item = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _score(self, items: list[Prepared]) -> list[Finding]:
        try:
            findings = self._scorer.score_prepared(items, self._size)
            if len(findings) != len(items):
                raise RuntimeError(f"the model gave {len(findings)} findings for {len(items)}")
            return findings
        except Exception as error:  # noqa: BLE001 - becomes the reason of the one file to blame
            if len(items) > 1:
                return [self._score([item])[0] for item in items]
            reason = f"scoring failed: {type(error).__name__}: {error}"
            log.error("scoring_failed", extra={"reason": reason})
            item = items[0]
            return [Finding(item.path, item.sha256, Status.FAILED, reason, self._scorer.model_id)]
