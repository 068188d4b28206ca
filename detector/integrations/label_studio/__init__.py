"""Label Studio: findings as predictions, and the HTTP contract of an ML backend.

`prediction` is pure and serves exports, too; `router` speaks the contract that a running Label
Studio calls, and needs the extra `serve`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.integrations.label_studio.shape import (
    DEFAULT_CONTROLS,
    LABEL_CONFIG,
    Controls,
    prediction,
    read_controls,
)

if TYPE_CHECKING:
    from detector.integrations.label_studio.backend import Settings, router

__all__ = [
    "DEFAULT_CONTROLS",
    "LABEL_CONFIG",
    "Controls",
    "Settings",
    "prediction",
    "read_controls",
    "router",
]


def __getattr__(name: str) -> Any:
    if name in ("Settings", "router"):
        from detector.integrations.label_studio import backend

        return getattr(backend, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
