"""What the routes call: uploads to judgements, with evidence, heatmap and the policy's action."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from detector.errors import DetectorError, UsageError
from detector.integrations.client import Judgement
from detector.policy import Action, Policy
from detector.scorers import Scorer
from detector.serve.engine import Engine, Judged, Upload
from detector.serve.faults import HttpError
from detector.serve.fetching import Fetcher, allowed_hosts
from detector.serve.guard import log_facts
from detector.serve.metrics import Metrics
from detector.serve.settings import Settings

# Heatmaps look at an image many times over: few of them in one request.
MOST_HEATMAPS = 4


class Service:
    """One model behind HTTP. `start` before the first request, `close` after the last.

    Args:
        settings: limits and switches.
        scorer: the model.
    """

    def __init__(self, settings: Settings, scorer: Scorer) -> None:
        self.settings = settings
        self.scorer = scorer
        self.metrics = Metrics(lambda: self.engine.held)
        self.engine = Engine(scorer, settings, self.metrics.batched)
        self.policy = Policy.load(settings.policy) if settings.policy else None
        hosts = allowed_hosts(settings.allow_fetch)
        self.fetcher = Fetcher(hosts, settings.limits.max_bytes) if hosts else None
        self.ready = False
        self._one_map = asyncio.Lock()

    def start(self) -> None:
        """Load the weights and start the workers; blocks."""
        load = getattr(self.scorer, "load", None)
        if load is not None:
            load()
        # A test client may run the application's life more than once.
        self.engine = Engine(self.scorer, self.settings, self.metrics.batched)
        self.engine.start()
        self.ready = True

    def close(self) -> None:
        """Finish what was taken; blocks."""
        self.ready = False
        self.engine.close()

    async def score(
        self, uploads: Sequence[Upload], *, evidence: bool = True, heatmap: bool = False
    ) -> tuple[list[Judged], list[Action | None], list[dict[str, Any] | None]]:
        """Judgement, action and heatmap of every upload, in order; raises `HttpError`."""
        if heatmap and len(uploads) > MOST_HEATMAPS:
            raise HttpError(
                422,
                "too_many_images",
                f"Heatmaps are made for at most {MOST_HEATMAPS} images in one request.",
                "Send fewer images, or leave heatmap out.",
            )
        # A policy may speak of evidence, so it always gets it; the client only if it asked.
        judged = await self.engine.score(
            uploads, evidence=evidence or self.policy is not None, pixels=heatmap
        )
        actions = [self._action(item) for item in judged]
        maps = [await self._map(item) if heatmap else None for item in judged]
        for item in judged:
            self.metrics.looked_at(item.finding)
        facts = log_facts.get()
        if facts is not None:
            facts["images"] = len(judged)
            facts["not_scored"] = sum(not item.finding.ok for item in judged)
        return judged, actions, maps

    async def judge(self, data: bytes) -> Judgement:
        """One file's finding and evidence, for the adapters of `detector.integrations`."""
        judged, _, _ = await self.score([Upload(data)])
        return Judgement(judged[0].finding, judged[0].evidence or ())

    def _action(self, judged: Judged) -> Action | None:
        if self.policy is None:
            return None
        action = self.policy.decide(judged.finding, judged.evidence or ())
        self.metrics.acted(action.name, action.dry_run)
        return action

    async def _map(self, judged: Judged) -> dict[str, Any] | None:
        if judged.rgb is None:
            return None
        try:
            from detector.explain import heatmap
        except ImportError as error:
            raise _no_map("this version has none") from error
        load = getattr(self.scorer, "load", None)
        model: Any = load() if load is not None else self.scorer
        try:
            async with self._one_map:
                made = await asyncio.to_thread(heatmap, model, judged.rgb)
        except UsageError as error:
            raise _no_map(str(error)) from error
        except DetectorError:
            return None
        return made.to_record()


def _no_map(reason: str) -> HttpError:
    return HttpError(
        501, "no_heatmap", f"There is no heatmap to give: {reason}.", "Leave heatmap out."
    )
