"""From samples to a table of scores: treat and prepare in worker processes, score in this one."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from PIL import JpegImagePlugin

from detector.conditions import PUBLISHED, treat
from detector.corpus.samples import Sample
from detector.errors import CorpusError, ImageError
from detector.evaluate.table import ScoreRow
from detector.images import DEFAULT_LIMITS, Limits, read_header, read_image
from detector.pool import Fault, Pool
from detector.preprocess import Cutter, Prepared, prepare
from detector.results import FileFacts, Status
from detector.scorers import Scorer

Progress = Callable[[int, int], None]

TEST, CONTROL = "test", "control"


@dataclass(frozen=True)
class Task:
    """What a worker does with one sample: every treatment in turn, from one reading."""

    index: int
    sample: Sample
    conditions: tuple[str, ...]
    only_header: bool = False


@dataclass(frozen=True)
class Treated:
    """One image after one treatment. `prepared` is None for images of the control."""

    row: ScoreRow
    prepared: Prepared | None


def score(
    detector: Scorer,
    tasks: Sequence[Task],
    *,
    seed: int = 0,
    workers: int = 1,
    batch_size: int = 16,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> list[ScoreRow]:
    """A row for every task and treatment, in the order of the tasks.

    Images are scored in batches that depend on the order of the tasks alone, so the table does
    not depend on the number of workers. A worker that dies costs its one image, which becomes
    a row that says so.
    """
    work = partial(_treat_all, config=detector.bundle.preprocess, seed=seed, limits=limits)
    rows: list[ScoreRow] = []
    waiting: list[Treated] = []
    with Pool(work, workers, timeout=300.0) as pool:
        for done, (task, result) in enumerate(_in_order(pool.run(tasks)), start=1):
            waiting += _faulty(task, result) if isinstance(result, Fault) else result
            if len(waiting) >= batch_size or done == len(tasks):
                rows += _scored(detector, waiting, batch_size)
                waiting = []
            if progress is not None:
                progress(done, len(tasks))
    return rows


def _in_order(
    results: Iterable[tuple[Task, list[Treated] | Fault]],
) -> Iterator[tuple[Task, list[Treated] | Fault]]:
    early: dict[int, tuple[Task, list[Treated] | Fault]] = {}
    expected = 0
    for task, result in results:
        early[task.index] = (task, result)
        while expected in early:
            yield early.pop(expected)
            expected += 1


def _scored(detector: Scorer, treated: Sequence[Treated], batch_size: int) -> list[ScoreRow]:
    prepared = [item.prepared for item in treated if item.prepared is not None]
    began = time.perf_counter()
    findings = iter(detector.score_prepared(prepared, batch_size) if prepared else [])
    usable = sum(item.views is not None for item in prepared)
    each = (time.perf_counter() - began) / max(usable, 1)
    rows = []
    for item in treated:
        if item.prepared is None:
            rows.append(item.row)
            continue
        finding = next(findings)
        rows.append(
            replace(
                item.row,
                status=str(finding.status),
                reason="" if finding.ok else finding.reason,
                score=finding.score,
                stratum="" if finding.stratum is None else str(finding.stratum),
                score_seconds=each if finding.ok else None,
            )
        )
    return rows


# --- in the workers -------------------------------------------------------------------------


def _treat_all(task: Task, *, config: Cutter, seed: int, limits: Limits) -> list[Treated]:
    sample = task.sample
    began = time.perf_counter()
    try:
        data = sample.read()
        rgb = None
        if task.conditions != (PUBLISHED,):
            rgb = read_image(data, limits).rgb
    except ImageError as error:
        return [_failed(task, name, error.status, error.reason) for name in task.conditions]
    except (OSError, CorpusError) as error:
        return [_failed(task, name, Status.MISSING, str(error)) for name in task.conditions]
    # Reading and decoding happen once; every treatment bears its part of that time.
    shared = (time.perf_counter() - began) / len(task.conditions)
    treated = []
    for name in task.conditions:
        began = time.perf_counter()
        out = data if rgb is None else treat(name, data, rgb, sample.key, seed)
        prepared = None if task.only_header else prepare(sample.key, out, config, limits=limits)
        seconds = shared + time.perf_counter() - began
        row = replace(
            _row(task, name, Status.OK, ""), prepare_seconds=seconds, **_looks(out, limits)
        )
        treated.append(Treated(row, prepared))
    return treated


def _row(task: Task, condition: str, status: Status, reason: str) -> ScoreRow:
    sample = task.sample
    return ScoreRow(
        key=sample.key,
        condition=condition,
        split=CONTROL if task.only_header else TEST,
        label=sample.label,
        source=sample.source,
        generator=sample.generator,
        kind=sample.kind,
        pair=sample.pair,
        status=str(status),
        reason=reason,
    )


def _failed(task: Task, condition: str, status: Status, reason: str) -> Treated:
    return Treated(_row(task, condition, status, reason), None)


def _faulty(task: Task, fault: Fault) -> list[Treated]:
    return [_failed(task, name, Status.FAILED, fault.reason) for name in task.conditions]


def _looks(data: bytes, limits: Limits) -> dict[str, Any]:
    """What a file shows from outside: all that the size-and-format control may use."""
    try:
        facts: FileFacts = read_header(data, limits)
    except ImageError:
        return {}
    luma, chroma = _quantisation(data) if facts.format == "JPEG" else (None, None)
    return {
        "width": facts.width,
        "height": facts.height,
        "bytes": facts.bytes,
        "format": facts.format,
        "jpeg_quality": facts.jpeg_quality,
        "luma_table": luma,
        "chroma_table": chroma,
    }


def _quantisation(data: bytes) -> tuple[float | None, float | None]:
    """The mean entries of a JPEG's first and second quantisation table."""
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        tables: dict[int, Sequence[int]] = image.quantization
    means = [sum(table) / len(table) for _, table in sorted(tables.items())]
    return (means[0] if means else None), (means[1] if len(means) > 1 else None)
