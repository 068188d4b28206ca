"""How far a scan is: a line in a notebook, a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

from detector.html import VERDICT_WORDS
from detector.results import Finding
from detector.scan.inputs import Listing
from detector.scan.run import Watcher

# A front end gets at most so many updates a second; each is a message over the network.
_SHOWN_EVERY = 0.25


class Progress(Watcher):
    """Tells how a scan goes, in the way that fits where it runs; a context manager.

    In a notebook one output line is replaced as the scan goes on. `rich` could draw a bar
    there, but only with ipywidgets and a front end that supports them; this needs neither.

    Args:
        show: True and False decide; None shows in notebooks and on terminals.
    """

    def __init__(self, show: bool | None = None) -> None:
        self._view = _view(show)
        self._total = 0
        self._done = 0
        self._counts: Counter[str] = Counter()
        self._shown_at = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        self._view.close()

    def listed(self, listing: Listing) -> None:
        """Show how many files there are."""
        self._total = len(listing.inputs)
        self._show()

    def found(self, finding: Finding, fresh: bool) -> None:
        """Count one file."""
        self._done += 1
        self._counts[str(finding.verdict) if finding.verdict else "not_scored"] += 1
        if time.monotonic() - self._shown_at > _SHOWN_EVERY:
            self._show()

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        self._view.show(self._done, self._total, self._counts)


class _Nothing:
    """No progress: output goes to a file or a pipe."""

    def show(self, done: int, total: int, counts: Counter[str]) -> None:
        """Show nothing."""

    def close(self) -> None:
        """End."""


class _Line(_Nothing):
    """One line in a notebook, replaced in place."""

    def __init__(self) -> None:
        from IPython.display import display

        show_now: Any = display
        self._handle = show_now(_Shown("Listing files", 0, 0), display_id=True)

    def show(self, done: int, total: int, counts: Counter[str]) -> None:
        """Replace the line."""
        text = f"{done:,} of {total:,} files"
        words = [f"{counts[key]:,} {word.lower()}" for key, word in VERDICT_WORDS.items()]
        if self._handle is not None:
            self._handle.update(_Shown(f"{text}: {', '.join(words)}", done, total))


class _Shown:
    """The line as HTML and as plain text, for front ends that take only one of them."""

    def __init__(self, text: str, done: int, total: int) -> None:
        self._text, self._done, self._total = text, done, total

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._done}" max="{self._total}"></progress> '
        return f"<div>{bar if self._done < self._total else ''}{self._text}</div>"


class _Bar(_Nothing):
    """A bar on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("Scanning", total=None)
        self._bar.start()

    def show(self, done: int, total: int, counts: Counter[str]) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, total=total or None)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def _view(show: bool | None) -> _Nothing:
    if show is False:
        return _Nothing()
    if in_notebook():
        return _Line()
    return _Bar() if show or sys.stderr.isatty() else _Nothing()


def in_notebook() -> bool:
    """Whether an IPython kernel with a front end runs this: Jupyter, VS Code, Colab and alike."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
