"""Every design of network by its name: what a bundle's config or a training run asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from detector.errors import BundleError
from detector.model import TwoViewNet, build
from detector.tower import TokenNet, build_heads
from detector.traces import BUILDERS as TRACES
from detector.traces import TraceNet, build_traces

Network = TwoViewNet | TokenNet | TraceNet
BUILDERS: dict[str, Callable[[Mapping[str, Any]], Network]] = {
    "lite0_two_view": build,
    "clip_tokens": build_heads,
    **dict.fromkeys(TRACES, build_traces),
}


def build_network(architecture: Mapping[str, Any]) -> Network:
    """The network that a bundle's config names, with random weights.

    Raises:
        BundleError: an architecture that this version of the package does not know.
    """
    name = architecture.get("name")
    if name not in BUILDERS:
        raise BundleError(
            f"architecture {name!r} is unknown to this version: "
            "upgrade the package or use another bundle"
        )
    return BUILDERS[name](architecture)
