"""The inside of one scan: workers' files to batches, batches to the CNN, findings to the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

from detector import names
from detector.errors import DetectorError
from detector.pool import Fault, Pool, available_cpus
from detector.preprocess import Prepared
from detector.results import Evidence, Finding, Status
from detector.scan.examine import Copies, Doubt, Examiner, Known, Suspect, path_of
from detector.scan.inputs import Listing
from detector.scan.settling import OFF, Settling
from detector.scan.summary import ScanSummary, Watcher
from detector.scorers import Scorer
from detector.store import Store
from detector.verdict import decided

__all__ = ["Run", "ScanSummary", "Watcher"]

MOST_WORKERS = 8

# Results that need no CNN are saved together, at this number or after this many seconds.
_SAVE_AT = 200
_SAVE_AFTER = 0.5


class Run:
    """The state of one scan: what waits for the CNN, what is in it, what waits to be saved."""

    def __init__(
        self,
        store: Store,
        number: int,
        scorer: Scorer,
        batch_size: int,
        rescore: bool,
        watcher: Watcher,
        settings: str | None = None,
        stability: str = OFF,
    ) -> None:
        self.summary = ScanSummary(store.path, number, scorer.model_id)
        self._store = store
        self._scorer = scorer
        self._batch_size = max(1, batch_size)
        self._rescore = rescore
        self._settings = settings  # of the evidence; None for none
        self._scored: set[bytes] = set()  # digests, by this scan
        self._taken = 0
        self._watcher = watcher
        self._settling = Settling(stability, scorer, self._score_copies)
        self._executor = ThreadPoolExecutor(1, "detector-score")
        self._batch: dict[str, Prepared] = {}
        self._in_cnn: dict[str, Prepared] = {}
        self._scores: Future[list[Finding]] | None = None
        self._also: dict[str, list[str]] = {}  # other paths of bytes that are in one of the two
        self._known: list[Known] = []
        self._failed: list[Finding] = []
        self._evidence: dict[str, tuple[Evidence, ...]] = {}  # of files in the two lists
        self._saved_at = time.monotonic()

    def work(
        self,
        listing: Listing,
        examiner: Examiner,
        workers: int | None,
        timeout: float,
        stop: Callable[[], bool],
    ) -> None:
        """Do the whole scan, or as much as `stop` allows."""
        self.summary.total = len(listing.inputs)
        self.summary.skipped = listing.skipped
        readable = [item.path for item in listing.inputs if item.status is Status.OK]
        remote = [path for path in readable if not _is_of_this_process(path)]
        if workers is None:
            workers = min(available_cpus(), MOST_WORKERS)
        count = min(workers, len(remote))
        with self._executor, Pool(examiner, count, timeout=timeout) as pool:
            for item in listing.inputs:
                if item.status is not Status.OK:
                    self._take(item.path, Prepared(item.path, "", item.status, item.reason))
                elif _is_of_this_process(item.path):
                    self._take(item.path, examiner(item.path))
            suspects: list[Suspect] = []
            for task, outcome in pool.run(remote, stop=stop):
                path = path_of(task)
                if isinstance(outcome, Fault) and self._settings is not None:
                    suspects.append(Suspect(path, outcome.reason))
                else:
                    self._take(path, outcome)
            for task, outcome in pool.run(suspects, stop=stop):
                self._take(path_of(task), outcome)
            unfinished = bool(self._batch) or self._taken < self.summary.total
            self.summary.interrupted = stop() and unfinished
            if not self.summary.interrupted:
                self._submit()
            self._collect()
            self._save_rest()
            doubts = self._settling.tasks()
            if not self.summary.interrupted:
                near = [task for task in doubts if _is_of_this_process(task.path)]
                far = [task for task in doubts if not _is_of_this_process(task.path)]
                with Pool(examiner, 0) as here:
                    for task, outcome in chain(here.run(near, stop=stop), pool.run(far, stop=stop)):
                        assert isinstance(task, Doubt)
                        self._settle(task, outcome)
            for task in self._settling.tasks():  # left over where the scan was stopped
                self.summary.interrupted = True
                self._settle(task, None)

    def _settle(self, task: Doubt, outcome: Known | Prepared | Copies | Fault | None) -> None:
        """Save and report what became of a verdict in question; None leaves it as it is."""
        stored = self._store.result(task.sha256, self._scorer.model_id, self._scorer.config_hash)
        held = self._settling.take(task.sha256)
        if stored is None:  # another scan has replaced it
            return
        final = stored
        if isinstance(outcome, (Copies, Fault)):
            with_evidence = self._settings is not None or bool(stored.evidence_kinds)
            evidence = self._store.get_evidence(task.sha256) if with_evidence else None
            final = self._settling.settled(stored, outcome, evidence)
        findings = [replace(final, path=path) for path, _ in held]
        if final != stored:
            self._store.put(findings, None, self._scorer.config_hash, scan=self.summary.scan)
        for finding, (_, fresh) in zip(findings, held, strict=True):
            self._tell(finding, fresh)

    def _score_copies(self, copies: Sequence[Prepared]) -> list[Finding]:
        """One finding per copy, in order; what cannot be scored has a status."""
        sound = iter(self._score([copy for copy in copies if copy.status is Status.OK]))
        return [
            next(sound)
            if copy.status is Status.OK
            else self._failure(copy, copy.status, copy.reason)
            for copy in copies
        ]

    def _take(self, path: str, outcome: Known | Prepared | Copies | Fault) -> None:
        assert not isinstance(outcome, Copies)  # which only a `Doubt` gives
        self._taken += 1
        if isinstance(outcome, Fault):
            outcome = Prepared(path, "", Status.FAILED, outcome.reason)
        if isinstance(outcome, Known):
            self._known.append(outcome)
        elif outcome.status is not Status.OK:
            self._failed.append(self._failure(outcome, outcome.status, outcome.reason))
            if outcome.evidence is not None:
                self._evidence[outcome.sha256] = outcome.evidence
        else:
            self._enqueue(outcome)
        if self._scores is not None and self._scores.done():
            self._collect()
        late = time.monotonic() - self._saved_at > _SAVE_AFTER
        if late or len(self._known) + len(self._failed) >= _SAVE_AT:
            self._save_rest()

    def _enqueue(self, item: Prepared) -> None:
        if item.sha256 in self._batch or item.sha256 in self._in_cnn:
            self._also.setdefault(item.sha256, []).append(item.path)
        elif self._is_done(item.sha256):
            # Scored since the worker looked: by an earlier batch, or by another scan.
            fresh = bytes.fromhex(item.sha256) not in self._scored
            self._known.append(Known(item.path, item.sha256, item.evidence if fresh else None))
        else:
            self._batch[item.sha256] = item
            if len(self._batch) >= self._batch_size:
                self._submit()

    def _is_done(self, sha256: str) -> bool:
        if bytes.fromhex(sha256) in self._scored:
            return True
        if self._rescore:
            return False
        known = self._store.known([sha256], self._scorer.model_id, self._scorer.config_hash)
        return bool(known)

    def _submit(self) -> None:
        """Send the batch to the CNN, after the one before is out and saved."""
        self._collect()
        if self._batch:
            self._in_cnn, self._batch = self._batch, {}
            items = list(self._in_cnn.values())
            self._scores = self._executor.submit(self._score, items)

    def _score(self, items: list[Prepared]) -> list[Finding]:
        try:
            return self._scorer.score_prepared(items, self._batch_size)
        except DetectorError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes the reason of the one file to blame
            if len(items) == 1:
                reason = f"scoring failed: {type(error).__name__}: {error}"
                return [self._failure(items[0], Status.FAILED, reason)]
            return [finding for item in items for finding in self._score([item])]

    def _failure(self, item: Prepared, status: Status, reason: str) -> Finding:
        return Finding(
            item.path,
            item.sha256,
            status,
            reason,
            self._scorer.model_id,
            file=item.facts,
            notes=item.notes,
        )

    def _collect(self) -> None:
        """Wait for the batch in the CNN, save it, and report it."""
        if self._scores is None:
            return
        findings = self._scores.result()
        thumbnails = {
            sha256: item.thumbnail
            for sha256, item in self._in_cnn.items()
            if item.thumbnail is not None
        }
        evidence = {
            sha256: item.evidence
            for sha256, item in self._in_cnn.items()
            if item.evidence is not None
        }
        findings = [self._decided(f, evidence.get(f.sha256)) for f in findings]
        copies = [
            replace(finding, path=path)
            for finding in findings
            for path in self._also.pop(finding.sha256, ())
        ]
        self._put([*findings, *copies], thumbnails, evidence)
        self._scored.update(map(bytes.fromhex, self._in_cnn))
        self._in_cnn, self._scores = {}, None
        self.summary.fresh += len(findings)
        self.summary.repeated += len(copies)

    def _put(
        self,
        findings: list[Finding],
        thumbnails: dict[str, bytes],
        evidence: dict[str, tuple[Evidence, ...]],
    ) -> None:
        self._store.put(
            findings,
            thumbnails,
            self._scorer.config_hash,
            scan=self.summary.scan,
            evidence=evidence,
            settings=self._settings or "",
        )
        for finding in findings:
            self._report(finding, fresh=True)

    def _decided(self, finding: Finding, evidence: tuple[Evidence, ...] | None) -> Finding:
        """The finding with the say of its evidence: just gathered, or kept by an earlier scan."""
        if self._settings is None:
            return finding
        kept = self._store.get_evidence(finding.sha256) if evidence is None else evidence
        return finding if kept is None else decided(finding, kept)

    def _save_rest(self) -> None:
        """Save and report what needed no CNN: failures, and files with a known result."""
        known, self._known = self._known, []
        same, changed = self._recalled(known)
        failed = [self._decided(f, self._evidence.get(f.sha256)) for f in self._failed]
        evidence, self._failed, self._evidence = self._evidence, [], {}
        if same:
            self._store.put_paths(same, self._scorer.config_hash, scan=self.summary.scan)
        if changed or failed or evidence:
            self._store.put(
                [*changed, *failed],
                None,
                self._scorer.config_hash,
                scan=self.summary.scan,
                evidence=evidence,
                settings=self._settings or "",
            )
        for finding in (*same, *changed):
            self._report(finding, fresh=False)
            repeated = bytes.fromhex(finding.sha256) in self._scored
            self.summary.repeated += repeated
            self.summary.known += not repeated
        for finding in failed:
            self._report(finding, fresh=True)
        self.summary.fresh += len(failed)
        self._saved_at = time.monotonic()

    def _recalled(self, known: list[Known]) -> tuple[list[Finding], list[Finding]]:
        """Stored findings of known files: those that stand, and those decided anew."""
        same: list[Finding] = []
        changed: list[Finding] = []
        model, config_hash = self._scorer.model_id, self._scorer.config_hash
        for item in known:
            stored = self._store.result(item.sha256, model, config_hash)
            if stored is None:
                reason = "its result has left the store meanwhile"
                lost = Prepared(item.path, "", Status.FAILED, reason)
                self._failed.append(self._failure(lost, lost.status, lost.reason))
                continue
            stored = replace(stored, path=item.path)
            if item.evidence is not None:
                self._evidence[item.sha256] = item.evidence
            finding = self._decided(stored, item.evidence)
            (same if finding == stored else changed).append(finding)
        return same, changed

    def _report(self, finding: Finding, fresh: bool) -> None:
        if not self._settling.holds(finding, fresh):
            self._tell(finding, fresh)

    def _tell(self, finding: Finding, fresh: bool) -> None:
        finding = replace(finding, path=names.printable(finding.path))
        self.summary.add(finding)
        self._watcher.found(finding, fresh)


def _is_of_this_process(path: str) -> bool:
    """Whether only this process can read a file: fsspec's `memory://` is not shared."""
    return path.startswith("memory://")
