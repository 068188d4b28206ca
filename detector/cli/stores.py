"""Which part of a store a command reads."""

from __future__ import annotations

from detector.errors import UsageError
from detector.store import Store


def selected(store: Store, scan: int | None) -> Store:
    """The whole store, or what one scan saw: its number, or counted from the end with -1.

    Raises UsageError when there is no such scan.
    """
    if scan is None:
        return store
    numbers = [info.id for info in store.scans()]
    if scan < 0 and -scan <= len(numbers):
        return store.limited_to(numbers[scan])
    if scan in numbers:
        return store.limited_to(scan)
    raise UsageError(f"no scan {scan} in {store.path}: it holds {len(numbers)}")
