"""Plug-ins that other distributions bring: entry points by group, with faults told by name.

A distribution offers a plug-in by an entry point in one of three groups:

- "detector.models": a function `load(location: str) -> Scorer` (see `detector.scorers.Scorer`);
  `--model NAME` or `--model NAME:LOCATION` calls it.
- "detector.evidence": a channel, a module or object with `find(item) -> list[Evidence]` (see
  `detector.evidence.Channel`).
- "detector.exporters": a function `write(campaign, out) -> None` (see
  `detector.campaign.records.Campaign`).

What this package brings itself is registered in the same way. A plug-in that cannot be loaded
is a `PluginFault` with its name, never an exception: the others and the job go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from detector.errors import DetectorError

MODELS = "detector.models"
EVIDENCE = "detector.evidence"
EXPORTERS = "detector.exporters"
GROUPS = (MODELS, EVIDENCE, EXPORTERS)

_LONGEST = 300


@dataclass(frozen=True)
class PluginFault:
    """A plug-in that could not do its work.

    Attributes:
        group: its entry point group.
        name: its own name.
        reason: one line: the kind of error and what it said.
        distribution: name and version of the package that brought it; "" when unknown.
    """

    group: str
    name: str
    reason: str
    distribution: str = ""

    def __str__(self) -> str:
        origin = f" of {self.distribution}" if self.distribution else ""
        return f"plug-in {self.name!r}{origin} ({self.group}): {self.reason}"


class PluginError(DetectorError):
    """A plug-in was asked for by name and could not be had; `fault` says which and why."""

    def __init__(self, fault: PluginFault) -> None:
        super().__init__(f"{fault}. Reinstall or remove that package")
        self.fault = fault

    def __reduce__(self) -> tuple[type[PluginError], tuple[PluginFault]]:
        return (type(self), (self.fault,))


def points(group: str) -> dict[str, EntryPoint]:
    """Installed entry points of a group by name, sorted, not yet loaded.

    Of two distributions that offer one name, the first in the order of their names counts; this
    package's own come before all.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=_rank):
        found.setdefault(point.name, point)
    return dict(sorted(found.items()))


def entries(group: str) -> tuple[list[tuple[str, Any]], list[PluginFault]]:
    """All plug-ins of a group, loaded, and those that could not be; never raises.

    Args:
        group: one of `GROUPS`, or another package's.

    Returns:
        (name, object) pairs sorted by name, and a fault for each one that failed to load.
    """
    loaded: list[tuple[str, Any]] = []
    faults: list[PluginFault] = []
    for name, point in points(group).items():
        try:
            loaded.append((name, point.load()))
        except Exception as error:  # noqa: BLE001 - it travels on as a value, with its name
            faults.append(fault_of(group, name, error, point))
    return loaded, faults


def load(group: str, name: str) -> Any:
    """One plug-in by name.

    Raises:
        KeyError: no such plug-in is installed.
        PluginError: it is installed and cannot be loaded.
    """
    point = points(group)[name]
    try:
        return point.load()
    except Exception as error:
        raise PluginError(fault_of(group, name, error, point)) from error


def fault_of(
    group: str, name: str, error: BaseException, point: EntryPoint | None = None
) -> PluginFault:
    """The fault that an exception of a plug-in is."""
    # What others wrote becomes one short line: it goes into logs and pages.
    said = " ".join(str(error).split())[:_LONGEST]
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return PluginFault(group, name, reason, _origin(point))


def _origin(point: EntryPoint | None) -> str:
    if point is None or point.dist is None:
        return ""
    return f"{point.dist.name} {point.dist.version}"


def _rank(point: EntryPoint) -> tuple[bool, str, str]:
    own = point.value.split(":")[0].split(".")[0] == "detector"
    return (not own, _origin(point), point.value)
