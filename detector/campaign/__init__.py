"""From a store of findings to a finding about a network: clusters, prevalence, links, timeline.

The functions are loaded on first use, so that reading a `Campaign` costs nothing but its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.campaign.records import Campaign

if TYPE_CHECKING:
    from detector.campaign.builder import build
    from detector.campaign.network import graph

__all__ = ["Campaign", "build", "graph"]


def __getattr__(name: str) -> Any:
    if name == "build":
        from detector.campaign.builder import build

        # Importing the module put it under this name; the function is what is asked for.
        globals()["build"] = build
        return build
    if name == "graph":
        from detector.campaign.network import graph

        return graph
    raise AttributeError(f"module 'detector.campaign' has no attribute {name!r}")
