"""A process pool for work that may kill its worker: a dead worker costs one task, never the run.

Image decoders are C code that reads hostile input. When one crashes, or the system kills it
for its memory, the standard executors lose every task in flight and cannot say which was to
blame. Here each worker has its own pipe and one task in hand, so the blame is exact; the rest
goes on.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from detector.errors import DetectorError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Spawned workers begin with nothing of the parent's: no torch, no threads half-way through.
_CONTEXT = multiprocessing.get_context("spawn")

# A worker computes one task while the next one waits in its pipe.
_IN_FLIGHT = 2
_FALSE_STARTS = 3


@dataclass(frozen=True)
class Fault:
    """What came instead of a result: the worker died, took too long, or raised an exception."""

    reason: str


@dataclass
class _Worker(Generic[Task]):
    process: BaseProcess
    pipe: Connection
    tasks: deque[Task] = field(default_factory=deque)
    started: float = 0.0  # when the first of `tasks` was begun, seconds
    ready: bool = False


class Pool(Generic[Task, Result]):
    """Worker processes that apply one function to tasks; a context manager.

    Args:
        function: picklable; called with one task. Tasks are small (names, not contents):
            the pipe takes them while the worker is still sending its last result.
        workers: number of processes; 0 calls the function in this process, unprotected.
        timeout: seconds that one task may take before its worker is killed.
        pause: seconds between two looks at `stop` in `run`.
    """

    def __init__(
        self,
        function: Callable[[Task], Result],
        workers: int,
        *,
        timeout: float = 120.0,
        pause: float = 0.2,
    ) -> None:
        self._function = function
        self._timeout = timeout
        self._pause = pause
        self._false_starts = 0
        self._workers: list[_Worker[Task]] = []
        for _ in range(workers):
            self._workers.append(self._start())

    def __enter__(self) -> Pool[Task, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def processes(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def close(self) -> None:
        """End all workers; one that does not follow is killed."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(0.0 if worker.tasks else 5.0)
            _kill(worker.process)
        self._workers.clear()

    def run(
        self, tasks: Iterable[Task], *, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[Task, Result | Fault]]:
        """Every task with its result, in the order of completion.

        Tasks are taken from the iterable only as workers become free, so that neither tasks
        nor results pile up. After `stop` answers true no task is begun and the rest is left.
        Raises DetectorError when workers cannot even start.
        """
        source = iter(tasks)
        if not self._workers:
            for task in source:
                if stop():
                    return
                yield task, _call(self._function, task)
            return
        self._hand_out(source)
        while any(worker.tasks for worker in self._workers):
            if stop():
                return
            pipes = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(pipes), self._pause):
                yield from self._receive(pipes[pipe])  # type: ignore[index]
            for worker in list(self._workers):
                if worker.tasks and worker.ready and self._late(worker):
                    yield self._replace(worker, f"took longer than {self._timeout:g} s")
            self._hand_out(source)

    def _hand_out(self, source: Iterator[Task]) -> None:
        # One each in turn, so that few tasks spread over all workers.
        for depth in range(1, _IN_FLIGHT + 1):
            for worker in self._workers:
                if len(worker.tasks) < depth:
                    task = next(source, None)
                    if task is None:
                        return
                    self._give(worker, task)

    def _give(self, worker: _Worker[Task], task: Task) -> None:
        if not worker.tasks:
            worker.started = time.monotonic()
        worker.tasks.append(task)
        # When the worker is dead, `_receive` finds its closed pipe and says so.
        with suppress(OSError):
            worker.pipe.send(task)

    def _receive(self, worker: _Worker[Task]) -> Iterator[tuple[Task, Result | Fault]]:
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(5.0)
            if worker.ready and worker.tasks:
                yield self._replace(worker, _obituary(worker.process.exitcode))
            else:
                self._restart(worker)
            return
        if not worker.ready:  # the first message only says that the worker is there
            worker.ready, worker.started, self._false_starts = True, time.monotonic(), 0
            return
        task = worker.tasks.popleft()
        worker.started = time.monotonic()
        yield task, answer

    def _late(self, worker: _Worker[Task]) -> bool:
        spent = time.monotonic() - worker.started
        return spent > self._timeout and not worker.pipe.poll()

    def _replace(self, worker: _Worker[Task], reason: str) -> tuple[Task, Fault]:
        """Blame the task in hand, and give the one that waited behind it to a new worker."""
        blamed = worker.tasks.popleft()
        self._restart(worker)
        return blamed, Fault(reason)

    def _restart(self, worker: _Worker[Task]) -> None:
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                raise DetectorError(
                    "worker processes do not start. A script that scans needs its calls under "
                    '`if __name__ == "__main__":`; else try workers=0 (--workers 0).'
                )
        worker.pipe.close()
        _kill(worker.process)
        fresh = self._start()
        self._workers[self._workers.index(worker)] = fresh
        for task in worker.tasks:
            self._give(fresh, task)

    def _start(self) -> _Worker[Task]:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(
            target=_work, args=(theirs, self._function), daemon=True, name="detector-worker"
        )
        with _interrupts_held():
            process.start()
        theirs.close()
        return _Worker(process, ours)


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    # Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A decoder's objects may hold one another in a circle, with all the pixels of an image, and
    # Python would look for circles only after many small objects more. What is loaded by now
    # stays for good; left out of the search, it makes the search after each task cheap.
    gc.collect()
    gc.freeze()
    pipe.send(None)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        answer = _call(function, task)
        try:
            pipe.send(answer)
        except OSError:
            return
        del task, answer
        gc.collect()


def _call(function: Callable[[Task], Result], task: Task) -> Result | Fault:
    try:
        return function(task)
    except Exception as error:  # noqa: BLE001 - it travels on as a value, with its name
        return Fault(f"{type(error).__name__}: {error}")


def _kill(process: BaseProcess) -> None:
    if process.is_alive():
        process.kill()
        process.join()


def _obituary(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"the process that read this file was killed ({name}{hint})"
    return f"the process that read this file ended unexpectedly (exit code {code})"


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Starts children with SIGINT blocked: a Ctrl-C while they import must not end them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def available_cpus() -> int:
    """Number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
