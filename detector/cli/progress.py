"""What a person sees of a scan on standard error: the bar while it runs, the summary after."""

from __future__ import annotations

import shlex
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.table import Table
from rich.text import Text

from detector.names import one_line
from detector.results import Finding, Status, Verdict
from detector.scan.inputs import Listing
from detector.scan.run import ScanSummary, Watcher

VERDICTS: tuple[tuple[Verdict, str, str], ...] = (
    (Verdict.LIKELY_GENERATED, "likely generated", "bold red"),
    (Verdict.INCONCLUSIVE, "inconclusive", "yellow"),
    (Verdict.NO_SIGN, "no sign", "green"),
)

LIMITS_OF_THE_TOOL = (
    "A score is a measurement with an error rate, not proof. “No sign” does not show that an "
    "image is authentic, and “likely generated” accuses nobody without further evidence."
)


class _Pace:
    """Files a second over the last half minute: batches arrive in bursts, so not from the last."""

    WINDOW = 30.0

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque()

    def note(self, done: float) -> None:
        """Remember how far the scan is now."""
        now = time.monotonic()
        while len(self._marks) > 1 and now - self._marks[0][0] > self.WINDOW:
            self._marks.popleft()
        self._marks.append((now, done))

    def rate(self, done: float) -> float | None:
        """Files a second; None until there is something to go by."""
        if not self._marks:
            return None
        since, before = self._marks[0]
        spent = time.monotonic() - since
        return (done - before) / spent if spent > 1 and done > before else None


class _PaceColumn(ProgressColumn):
    def __init__(self, pace: _Pace) -> None:
        self._pace = pace
        super().__init__()

    def render(self, task: Task) -> Text:
        rate = self._pace.rate(task.completed)
        if rate is None or task.remaining is None:
            return Text()
        return Text(f"{rate:.1f} files/s, {duration(task.remaining / rate)} left", style="cyan")


class _Bar(Progress):
    """A bar with the counts so far on a line of their own, so that 80 columns suffice."""

    def __init__(self, console: Console) -> None:
        self.verdicts: Counter[str] = Counter()
        self.failures = 0
        self.pace = _Pace()
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _PaceColumn(self.pace),
            console=console,
            expand=True,
            transient=True,
            redirect_stdout=False,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the counts once there are any."""
        yield self.make_tasks_table(self.tasks)
        line = Text("  ")
        for verdict, word, style in VERDICTS:
            line.append(f"{self.verdicts[verdict.value]:,} {word}", style=style).append("   ")
        line.append(f"{self.failures:,} not scored", style="magenta" if self.failures else "dim")
        yield line


class ProgressWatcher(Watcher):
    """Shows a bar on a terminal, and hands each finding on.

    Args:
        console: of standard error.
        show: whether there is a bar.
        on_finding: called with every finding once it is saved.
    """

    def __init__(
        self, console: Console, *, show: bool, on_finding: Callable[[Finding], None] | None = None
    ) -> None:
        self._bar = _Bar(console) if show else None
        self._on_finding = on_finding
        self._done = 0
        self._started = False
        if self._bar is not None:
            self._task = self._bar.add_task("Listing files", total=None)

    def __enter__(self) -> ProgressWatcher:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def listing(self, count: int) -> None:
        """Show the number of files found so far."""
        if self._bar is not None:
            self._bar.update(self._task, completed=count)

    def listed(self, listing: Listing) -> None:
        """Turn the count into a bar towards the total."""
        if self._bar is not None:
            self._bar.remove_task(self._task)
            # Until the first batch is out, the model is being loaded.
            self._task = self._bar.add_task("Loading the model", total=len(listing.inputs))

    def found(self, finding: Finding, fresh: bool) -> None:
        """Count one finding, and hand it on."""
        if self._on_finding is not None:
            self._on_finding(finding)
        if self._bar is not None:
            if finding.verdict is not None:
                self._bar.verdicts[finding.verdict.value] += 1
            self._bar.failures += not finding.ok
            self._done += 1
            self._bar.update(self._task, completed=self._done)
            if finding.ok and not self._started:
                self._started = True
                self._bar.update(self._task, description="Scanning")
            if self._started and self._done % 16 == 0:
                self._bar.pace.note(self._done)


def one_line_summary(summary: ScanSummary) -> str:
    """The outcome for a log file, on one line."""
    counts = ", ".join(f"{summary.verdicts[v.value]} {v.value}" for v, _, _ in VERDICTS)
    state = "interrupted after" if summary.interrupted else "scanned"
    return (
        f"detector: {state} {summary.done} of {summary.total} files in {summary.seconds:.1f} s: "
        f"{counts}, {summary.failures} not scored; store {one_line(str(summary.store))}"
    )


def print_summary(console: Console, summary: ScanSummary, outputs: dict[str, str]) -> None:
    """The outcome for a person.

    Args:
        console: of standard error.
        summary: of the scan.
        outputs: what else was written, from a word ("report") to a path.
    """
    state = "Interrupted after" if summary.interrupted else "Scanned"
    of_total = f" of {summary.total:,}" if summary.interrupted else ""
    console.print(
        Text.assemble(
            (f"{state} {summary.done:,}{of_total} {_files(summary.total)}", "bold"),
            f" in {duration(summary.seconds)} with {summary.model}",
        )
    )
    console.print(_counts(summary))
    for line in (_earlier(summary), _skipped(summary)):
        if line:
            console.print(Text(line, style="dim"))
    if summary.reasons:
        console.print()
        console.print(_reasons(summary))
    console.print()
    places = Table.grid(padding=(0, 2))
    for word, path in {"store": str(summary.store), **outputs}.items():
        places.add_row(Text(f"  {word}", style="bold"), Text(one_line(path), overflow="fold"))
    console.print(places)
    if summary.interrupted:
        console.print(Text("The same command goes on where this one stopped."))
    elif "report" not in outputs and summary.done:
        store = shlex.quote(one_line(str(summary.store)))
        console.print(Text(f"  A page to read: detector report {store} -o report.html"))
    console.print()
    console.print(Text(LIMITS_OF_THE_TOOL, style="italic"))


def _counts(summary: ScanSummary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for verdict, word, style in VERDICTS:
        count = summary.verdicts[verdict.value]
        table.add_row(Text(f"  {count:,}", style=style if count else "dim"), Text(word))
    if summary.failures:
        kinds = ", ".join(
            f"{count:,} {status.replace('_', ' ')}"
            for status, count in summary.statuses.most_common()
            if status != Status.OK.value
        )
        table.add_row(Text(f"  {summary.failures:,}", style="magenta"), f"not scored ({kinds})")
    return table


def _earlier(summary: ScanSummary) -> str:
    parts = []
    if summary.known:
        parts.append(f"{summary.known:,} had their result in the store already")
    if summary.repeated:
        parts.append(f"{summary.repeated:,} with the same bytes as another file, scored once")
    return "  " + "; ".join(parts) if parts else ""


def _skipped(summary: ScanSummary) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.skipped.most_common())
    return f"  left out of folders: {kinds}" if kinds else ""


def _reasons(summary: ScanSummary) -> Table:
    table = Table.grid(padding=(0, 2))
    for path, status, reason in summary.reasons:
        table.add_row(
            Text(f"  {status}", style="magenta"),
            Text(one_line(path), overflow="fold"),
            Text(one_line(reason), style="dim"),
        )
    more = summary.failures - len(summary.reasons)
    if more > 0:
        table.add_row("", Text(f"and {more:,} more"), "")
    return table


def _files(count: int) -> str:
    return "file" if count == 1 else "files"


def duration(seconds: float) -> str:
    """A time in the two largest units that matter: "4.2 s", "3 min 10 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
