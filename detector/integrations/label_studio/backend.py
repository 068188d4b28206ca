"""The ML backend that a running Label Studio calls: health, setup, predict.

The contract is that of https://labelstud.io/guide/ml_create; the routes lie under the URL that
is registered as the model's, such as http://127.0.0.1:8000/label-studio.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Union

from detector.errors import DetectorError, MissingExtraError
from detector.integrations.asynchronous import AsyncJudge
from detector.integrations.label_studio.fetch import Images
from detector.integrations.label_studio.shape import (
    DEFAULT_CONTROLS,
    Controls,
    prediction,
    read_controls,
)
from detector.results import Finding, Verdict

if TYPE_CHECKING:
    from fastapi import APIRouter

    from detector.explain import Heatmap

logger = logging.getLogger(__name__)

# Where the CNN looked in an image, or the record of that; None when there is nothing to draw.
Drawing = Union["Heatmap", Mapping[str, Any], None]
Mapper = Callable[[bytes], Awaitable[Drawing]]


@dataclass(frozen=True)
class Settings:
    """Where Label Studio is.

    Attributes:
        url: its address, as this service reaches it.
        token: an API token of a user who may see the tasks: personal, or legacy.
        also: origins besides its own that images may come from, such as a bucket's.
        max_bytes: longer images are refused.
        most_tasks: tasks of one request that are worked on; more are refused.
    """

    url: str
    token: str
    also: tuple[str, ...] = ()
    max_bytes: int = 64 * 2**20
    most_tasks: int = 256


def router(
    judge: AsyncJudge,
    settings: Settings,
    *,
    model_version: str,
    heatmap: Mapper | None = None,
    prefix: str = "/label-studio",
) -> "APIRouter":
    """The routes of the ML backend.

    Args:
        judge: who is asked about each image.
        settings: where Label Studio is.
        model_version: what predictions are filed under; Label Studio asks again when it changes.
        heatmap: gives regions; None for none.
        prefix: where the routes lie.

    Raises:
        MissingExtraError: FastAPI is not installed.
        UsageError: the address of Label Studio is malformed.
    """
    try:
        from fastapi import APIRouter, Body, HTTPException
        from starlette.concurrency import run_in_threadpool
    except ImportError as fault:
        raise MissingExtraError("the Label Studio backend", "serve") from fault
    images = Images(settings.url, settings.token, also=settings.also, max_bytes=settings.max_bytes)
    unusable = "The labelling interface shows no image from the tasks' data."
    routes = APIRouter(
        prefix=prefix,
        tags=["label-studio"],
        responses={400: {"description": "The body is no JSON."}},
    )
    conflict: dict[int | str, dict[str, Any]] = {409: {"description": unusable}}
    most = settings.most_tasks

    @routes.get("/health")
    async def health() -> dict[str, str]:
        """Says that the backend is there."""
        return {"status": "UP", "model_class": "detector"}

    @routes.post("/setup", responses=conflict)
    async def setup(
        interface: Annotated[str | None, Body(embed=True, alias="schema")] = None,
    ) -> dict[str, str]:
        """Says which model answers.

        The address and token that come along are not used: whoever can reach this route
        could name any host.
        """
        _controls(interface)
        return {"model_version": model_version}

    @routes.get("/versions")
    async def versions() -> dict[str, list[str]]:
        """The models that can answer."""
        return {"versions": [model_version]}

    @routes.post("/webhook")
    async def webhook(request: dict[str, Any]) -> dict[str, str]:
        """Takes note of nothing: annotations train no model here."""
        return {"status": "ignored"}

    @routes.post("/predict", responses=conflict)
    async def predict(
        tasks: Annotated[list[dict[str, Any]], Body(max_length=most)],
        label_config: Annotated[str | None, Body()] = None,
    ) -> dict[str, Any]:
        """One prediction per task; an empty list for a task whose image could not be had."""
        controls = _controls(label_config)

        async def one(task: Mapping[str, Any]) -> Any:
            try:
                place = _place(task, controls)
                data = await run_in_threadpool(images, place)
                judgement = await judge(data)
                where = await _map(heatmap, data, judgement.finding, controls)
            except DetectorError as fault:
                # Without a prediction Label Studio asks again; a wrong one would stay.
                logger.warning("task %s has no prediction: %s", task.get("id"), fault)
                return []
            made = prediction(judgement.finding, judgement.evidence, where, controls=controls)
            return [] if made is None else {**made, "model_version": model_version}

        return {
            "results": await asyncio.gather(*(one(task) for task in tasks)),
            "model_version": model_version,
        }

    def _controls(label_config: str | None) -> Controls:
        if not label_config:
            return DEFAULT_CONTROLS
        try:
            return read_controls(label_config)
        except DetectorError as fault:
            raise HTTPException(409, str(fault)) from fault

    return routes


async def _map(
    heatmap: Mapper | None, data: bytes, finding: Finding, controls: Controls
) -> Drawing:
    """Where the CNN looked, if the project has a place for it: a map costs more than a score."""
    unwanted = finding.verdict in (None, Verdict.NO_SIGN) or not controls.regions
    if heatmap is None or unwanted:
        return None
    try:
        return await heatmap(data)
    except Exception as fault:  # noqa: BLE001 - a fault of the map must not lose the prediction
        logger.warning("a prediction has no regions: %s: %s", type(fault).__name__, fault)
        return None


def _place(task: Mapping[str, Any], controls: Controls) -> str:
    data = task.get("data")
    place = data.get(controls.key) if isinstance(data, Mapping) else None
    if not isinstance(place, str) or not place:
        raise DetectorError(f"its data has no {controls.key!r}")
    return place
