"""The routes that other tools call, as the settings ask for them.

pict-rs needs nothing but its route, and so always has it. Label Studio has its images fetched
from where it lives, which an operator must name first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from detector.integrations import pict_rs
from detector.integrations.actions import Decide, Rules
from detector.results import Evidence, Finding
from detector.serve.engine import Upload
from detector.serve.service import Service

if TYPE_CHECKING:
    from fastapi import APIRouter

    from detector.integrations.label_studio.backend import Mapper

# Actions of a policy that keep an upload out; a tool with two answers needs that said.
KEEP_OUT = frozenset({"reject", "quarantine"})


def routers(service: Service) -> list[APIRouter]:
    """The adapters' routes."""
    policy = service.policy
    dry_run = policy is not None and policy.dry_run
    rules = Rules(pict_rs.DEFAULTS, _two_answers(service) if policy is not None else None)
    settings = pict_rs.Settings(rules, service.settings.limits.max_bytes, dry_run)
    found = [pict_rs.router(service.judge, settings)]
    if service.settings.label_studio is not None:
        from detector.integrations import label_studio

        where = label_studio.Settings(
            service.settings.label_studio,
            service.settings.label_studio_token,
            max_bytes=service.settings.limits.max_bytes,
        )
        version = f"{service.scorer.model_id}-{service.scorer.config_hash}"
        found.append(
            label_studio.router(
                service.judge, where, model_version=version, heatmap=_mapper(service)
            )
        )
    return found


def _mapper(service: Service) -> Mapper:
    async def heatmap(data: bytes) -> dict[str, Any] | None:
        _, _, maps = await service.score([Upload(data)], evidence=False, heatmap=True)
        return maps[0]

    return heatmap


def _two_answers(service: Service) -> Decide:
    def decide(finding: Finding, evidence: Sequence[Evidence]) -> tuple[str, str]:
        assert service.policy is not None
        action = service.policy.decide(finding, evidence)
        service.metrics.acted(action.name, action.dry_run)
        kept_out = action.name in KEEP_OUT
        return (pict_rs.REJECT if kept_out else pict_rs.ACCEPT), action.rule

    return decide
