"""Scores every file behind some paths into a store: list, decode in workers, score, save.

Files are read, hashed, decoded and searched for evidence by worker processes; the CNN runs in a
thread of this process, a batch at a time; this thread hands the work round and writes each
finished batch to the store in one transaction. What is in flight is bounded, so memory does not
grow with the number of files, and whatever was saved is not done again.

A scan's outputs hold the files that this scan saw. A file that was there in an earlier scan and
is gone now keeps its row in the store, with the result it had: the store is the record of what
was looked at, not a mirror of the folder. A file whose content changed gets a new result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import detector as package
from detector.evidence import settings_hash
from detector.evidence.trust import read_trust_list
from detector.images import DEFAULT_LIMITS, Limits
from detector.preprocess import Prepared, prepare
from detector.scan.examine import Examiner
from detector.scan.inputs import Filters, expand
from detector.scan.run import Run, ScanSummary, Watcher
from detector.scan.settling import OFF
from detector.scorers import LazyDetector, Scorer, load_scorer
from detector.store import Store

__all__ = ["LazyDetector", "ScanSummary", "Scorer", "Watcher", "load_scorer", "scan"]

THUMBNAIL_SIDE = 256


def scan(
    paths: Iterable[str | os.PathLike[str]],
    *,
    store: str | Path | Store,
    model: str | Path | None = None,
    detector: Scorer | None = None,
    filters: Filters | None = None,
    workers: int | None = None,
    batch_size: int = 16,
    threads: int | None = None,
    thumbnails: bool = True,
    rescore: bool = False,
    evidence: bool = True,
    trust_anchors: str | Path | None = None,
    stability: str = OFF,
    limits: Limits = DEFAULT_LIMITS,
    timeout: float = 120.0,
    command: str = "",
    own: Sequence[str] = (),
    watcher: Watcher | None = None,
    stop: Callable[[], bool] = lambda: False,
    prepare: Callable[..., Prepared] = prepare,
) -> ScanSummary:
    """Score files, folders and URLs into a store; files with a result there are passed over.

    Args:
        paths: files, folders and fsspec URLs.
        store: the result database, or its path; made when it is not there.
        model: as for `--model`; None for the default. Not used with `detector`.
        detector: a loaded model to use instead.
        filters: which files of folders are looked at.
        workers: decoding processes; None for one per CPU, at most 8; 0 for none, which
            leaves this process open to crashes of the decoders. From a script, a scan with
            workers has to be called under `if __name__ == "__main__":`.
        batch_size: images that are scored and saved together.
        threads: CPU threads of torch; None leaves them as they are.
        thumbnails: whether thumbnails are kept for the report.
        rescore: whether files with a result are scored again, and their evidence looked for.
        evidence: whether what files say of their origin is gathered, kept, and has its say in
            the verdict, see `detector.verdict`. What is missing in the store is filled in.
        trust_anchors: file with PEM certificates that C2PA signers are checked against; None
            for the list of the environment or of the package, see `detector.evidence.trust`.
        stability: "near" or "all": verdicts near a threshold, or all that decided, are tried on
            treated copies of the image in a second pass, and one that flips is `inconclusive`;
            see `detector.explain.stability`. "off" for none.
        limits: bounds on bytes and pixels, checked before decoding.
        timeout: seconds after which a file that is still being read is given up.
        command: noted in the store as what started the scan.
        own: files being written meanwhile, left out of folders; the store always is.
        watcher: is told how it goes.
        stop: asked several times a second; once true, what is finished is saved and the
            scan ends.
        prepare: how a file is read, as `detector.preprocess.prepare`; picklable.

    Raises BundleError, StoreError and UsageError before any file is read, and StoreError when
    the store cannot be written. Files never raise; they become rows with a status. Evidence
    never costs a file: a channel that fails is evidence of kind "channel_failed", and a file
    whose evidence ends a worker process is read once more without.
    """
    begun = time.monotonic()
    watcher = watcher or Watcher()
    scorer: Scorer = detector or load_scorer(model, threads)
    roots = [os.fspath(path) for path in paths]
    certificates = None if trust_anchors is None else read_trust_list(trust_anchors).pem
    settings = settings_hash(certificates) if evidence else None
    with ExitStack() as stack:
        if not isinstance(store, Store):
            store = stack.enter_context(Store.open(store))
        outputs = [f"{store.path}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]
        listing = expand(roots, filters, own=[*outputs, *own], on_count=watcher.listing)
        watcher.listed(listing)
        number = store.begin_scan(
            scorer.model_id,
            scorer.config_hash,
            tool=package.__version__,
            command=command,
            roots=roots,
        )
        examiner = Examiner(
            store.path.absolute(),
            scorer.model_id,
            scorer.config_hash,
            scorer.bundle.preprocess,
            limits,
            THUMBNAIL_SIDE if thumbnails else None,
            not rescore,
            prepare,
            settings,
            certificates,
        )
        run = Run(store, number, scorer, batch_size, rescore, watcher, settings, stability)
        run.work(listing, examiner, workers, timeout, stop)
        store.end_scan(number, "interrupted" if run.summary.interrupted else "finished")
    run.summary.seconds = time.monotonic() - begun
    return run.summary
