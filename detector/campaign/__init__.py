"""From a store of findings to a finding about a network: clusters, prevalence, links, timeline."""

from __future__ import annotations

from detector.campaign.records import Campaign

__all__ = ["Campaign"]
