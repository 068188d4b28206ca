"""The service's figures in Prometheus' text format; no figure says anything about one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detector.results import Finding


class Metrics:
    """Counters and histograms of one application, in a registry of its own.

    Args:
        held: gives the number of images in the house.
    """

    def __init__(self, held: Callable[[], int]) -> None:
        import prometheus_client as prom

        self.registry = prom.CollectorRegistry()
        where: dict[str, Any] = {"registry": self.registry}
        self._requests = prom.Counter(
            "detector_requests", "Requests answered", ["method", "route", "status"], **where
        )
        self._seconds = prom.Histogram(
            "detector_request_seconds",
            "Seconds from a request's head to the end of its answer",
            ["route"],
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60),
            **where,
        )
        self._images = prom.Counter(
            "detector_images", "Images looked at", ["status", "verdict"], **where
        )
        self._actions = prom.Counter(
            "detector_actions", "Actions that the policy gave", ["action", "dry_run"], **where
        )
        self._batches = prom.Histogram(
            "detector_batch_images",
            "Images that the CNN scored together",
            buckets=(1, 2, 4, 8, 16, 32),
            **where,
        )
        gauge = prom.Gauge("detector_images_held", "Images waiting or being scored", **where)
        gauge.set_function(held)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `status` 0 is a client that left before its answer."""
        known = method if method in ("GET", "POST", "HEAD", "OPTIONS") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def looked_at(self, finding: Finding) -> None:
        """Count one image."""
        self._images.labels(str(finding.status), str(finding.verdict or "none")).inc()

    def acted(self, action: str, dry_run: bool) -> None:
        """Count one action of the policy."""
        self._actions.labels(action, str(dry_run).lower()).inc()

    def batched(self, size: int) -> None:
        """Count one batch of the CNN."""
        self._batches.observe(size)

    def text(self) -> bytes:
        """All figures, in Prometheus' text format 0.0.4."""
        import prometheus_client as prom

        return bytes(prom.generate_latest(self.registry))
