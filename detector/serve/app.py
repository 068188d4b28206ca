"""The application: routes, their OpenAPI description, and the life of the service behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from detector import __version__, plugins
from detector.errors import MissingExtraError

try:
    from fastapi import FastAPI, Query, Request, Response, Security
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from fastapi.security import HTTPBearer
    from starlette.exceptions import HTTPException
except ImportError as missing:
    raise MissingExtraError("The HTTP service", "serve") from missing

from detector.scorers import Scorer, load_scorer
from detector.serve import schemas, shapes
from detector.serve.bodies import FORM, JSON, RAW, uploads_of
from detector.serve.faults import HttpError
from detector.serve.guard import Guard, request_id
from detector.serve.service import Service
from detector.serve.settings import Settings
from detector.serve.shapes import Shape
from detector.serve.tokens import TokenFile

_BINARY = {"type": "string", "format": "binary", "minLength": 1}
_TYPES = (RAW, "image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "image/tiff")
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_ERRORS = {
    400: "The request holds no file, or a malformed form.",
    401: "No token, or none that is known.",
    408: "The body came too slowly.",
    413: "Too large.",
    415: "A kind of body that is not read.",
    422: "An unknown option, too many images, or an image that the asked shape cannot speak of.",
    429: "The service is full; Retry-After says when to come again.",
    500: "A fault in the service.",
    501: "This model gives no heatmap.",
    503: "Not ready, ending, or it took too long.",
}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_BASE64 = {"type": "string", "format": "byte", "minLength": 4}
_ADDRESS = {"type": "string", "format": "uri"}
_INPUTS = _object(inputs=_BASE64)
_ADDRESSES = {
    "anyOf": [
        _INPUTS,
        _object(url=_ADDRESS),
        _object(urls={"type": "array", "items": _ADDRESS, "minItems": 1}),
    ]
}
_IMAGE_URL = _object(type={"type": "string", "const": "image_url"}, image_url=_object(url=_ADDRESS))
_MODERATION = _object(input={"type": "array", "items": _IMAGE_URL, "minItems": 1})
_REKOGNITION = _object(Image=_object(Bytes=_BASE64))
_bearer = HTTPBearer(auto_error=False, description="A token of the file that --token-file names.")

_Evidence = Annotated[
    bool, Query(description="Ask the file what it says of its origin; the verdict counts it.")
]
_Heatmap = Annotated[bool, Query(description="Where in the image the model saw what.")]
_Shape = Annotated[Shape, Query(description="The form of the answer.")]


def create_app(settings: Settings | None = None, scorer: Scorer | None = None) -> FastAPI:
    """The service as an ASGI application; the model is loaded when it starts.

    Args:
        settings: limits and switches; None for the defaults.
        scorer: the model; None for the one that the settings name.

    The service itself is `app.state.service`. Raises BundleError, PluginError or UsageError for
    a model, a token file, a policy or a host that cannot be used.
    """
    settings = settings or Settings()
    tokens = TokenFile(settings.token_file) if settings.token_file else None
    service = Service(settings, scorer or load_scorer(settings.model, settings.threads))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        try:
            yield
        finally:
            await asyncio.to_thread(service.close)

    app = FastAPI(
        title="aigi-detector",
        version=__version__,
        summary="Says which images are likely diffusion-generated, how sure that is, and why.",
        lifespan=life,
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(Guard, settings=settings, tokens=tokens, on_answer=service.metrics.answered)
    _add_handlers(app)
    _add_state(app, service)
    _add_score(app, service)
    _add_adapters(app, service)
    return app


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=schemas.State, tags=["state"], summary="Alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "reason": ""}

    @app.get(
        "/readyz",
        response_model=schemas.State,
        responses={503: {"model": schemas.State, "description": "Not now."}},
        tags=["state"],
        summary="Ready for images?",
    )
    async def readyz(response: Response) -> dict[str, str]:
        reason = service.engine.fault or ("" if service.ready else "starting or ending")
        response.status_code = 503 if reason else 200
        return {"status": "not ready" if reason else "ready", "reason": reason}

    @app.get(
        "/metrics",
        tags=["state"],
        summary="Figures for Prometheus",
        dependencies=_secured(service),
        response_class=Response,
        responses={
            200: {"content": {_PROMETHEUS: {"schema": {"type": "string"}}}},
            **_errors(401, 429),
        },
    )
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=_PROMETHEUS)

    @app.get(
        "/v1/models",
        response_model=schemas.Models,
        tags=["score"],
        summary="The model that answers here",
        dependencies=_secured(service),
        responses=_errors(401, 429),
    )
    async def models() -> dict[str, Any]:
        return _models(service)


def _add_score(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/score",
        response_model=None,
        responses={200: {"model": schemas.Answer}, **_errors(*_ERRORS)},
        tags=["score"],
        summary="Score one image or several",
        dependencies=_secured(service),
        openapi_extra={"requestBody": _body_schema(service)},
    )
    async def score(
        request: Request,
        evidence: _Evidence = True,
        heatmap: _Heatmap = False,
        shape: _Shape = Shape.NATIVE,
    ) -> JSONResponse:
        """The bytes of an image as the body, or files as multipart/form-data.

        A file that cannot be scored is a finding with another `status` than "ok".
        """
        return await _answer(request, service, shape, evidence=evidence, heatmap=heatmap)

    @app.post(
        "/v1/moderations",
        response_model=None,
        responses={200: {"model": schemas.Moderation}, **_errors(*_ERRORS)},
        tags=["score"],
        summary="As OpenAI's moderations: for its clients, with base_url=…/v1",
        dependencies=_secured(service),
        openapi_extra={"requestBody": _json_schema(_MODERATION)},
    )
    async def moderations(request: Request) -> JSONResponse:
        """Images as data: addresses; others are fetched only from listed hosts."""
        return await _answer(request, service, Shape.OPENAI)

    @app.post(
        "/",
        response_model=None,
        responses={200: {"model": schemas.ModerationLabels}, **_errors(*_ERRORS)},
        tags=["score"],
        summary="As DetectModerationLabels of Amazon Rekognition: for its clients",
        dependencies=_secured(service),
        openapi_extra={"requestBody": _json_schema(_REKOGNITION)},
    )
    async def detect_moderation_labels(request: Request) -> JSONResponse:
        """The access key is taken for the token; signatures are not looked at."""
        return await _answer(request, service, Shape.REKOGNITION)


async def _answer(
    request: Request,
    service: Service,
    shape: Shape,
    *,
    evidence: bool = True,
    heatmap: bool = False,
) -> JSONResponse:
    uploads = await uploads_of(request, service.settings, service.fetcher)
    judged, actions, maps = await service.score(uploads, evidence=evidence, heatmap=heatmap)
    if shape is Shape.NATIVE:
        if not evidence:
            judged = [shapes.without_evidence(item) for item in judged]
        return JSONResponse(shapes.native(judged, actions, maps))
    shapes.all_scored(judged)
    model = service.scorer.model_id
    if shape is Shape.HUGGINGFACE:
        return JSONResponse(shapes.huggingface(judged))
    if shape is Shape.REKOGNITION:
        return JSONResponse(shapes.rekognition(judged, model))
    return JSONResponse(shapes.openai(judged, model, request_id.get()))


def _add_adapters(app: FastAPI, service: Service) -> None:
    """The routes that other tools call, each of them an adapter of `detector.integrations`."""
    from detector.serve.adapters import routers

    for router in routers(service):
        app.include_router(
            router, dependencies=_secured(service), responses=_errors(401, 408, 413, 422, 429, 503)
        )


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(HttpError)
    async def ours(_: Request, error: HttpError) -> JSONResponse:
        return _error_answer(error)

    @app.exception_handler(RequestValidationError)
    async def options(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return _error_answer(
            HttpError(422, "bad_option", f"{where}: {first['msg']}.", "See /openapi.json.")
        )

    @app.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> JSONResponse:
        words = {404: "not_found", 405: "wrong_method"}
        return _error_answer(
            HttpError(
                error.status_code,
                words.get(error.status_code, "refused"),
                f"{error.detail}.",
                "See /openapi.json for what there is.",
                dict(error.headers or {}),
            )
        )


def _error_answer(error: HttpError) -> JSONResponse:
    return JSONResponse(
        error.to_record(request_id.get()), error.status, headers=error.headers or None
    )


def _models(service: Service) -> dict[str, Any]:
    scorer = service.scorer
    bundle = scorer.bundle
    thresholds = getattr(bundle, "thresholds", None)
    _, faults = plugins.entries(plugins.MODELS)
    model = {
        "id": scorer.model_id,
        "object": "model",
        "owned_by": "aigi-detector",
        "created": 0,
        "config_hash": scorer.config_hash,
        "calibrated": bool(getattr(bundle, "calibrated", True)),
        "thresholds": None if thresholds is None else dict(vars(thresholds)),
    }
    return {"object": "list", "data": [model], "faults": [dict(vars(f)) for f in faults]}


def _secured(service: Service) -> list[Any]:
    """Says in the OpenAPI description that a token is wanted; the guard is what checks it."""
    return [Security(_bearer)] if service.settings.token_file else []


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {s: {"model": schemas.Error, "description": _ERRORS[s]} for s in statuses}


def _body_schema(service: Service) -> dict[str, Any]:
    # A file without bytes is answered by a finding that says so.
    part = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": part, "minItems": 1}
    files |= {"maxItems": service.settings.max_images}
    content: dict[str, Any] = {kind: {"schema": _BINARY} for kind in _TYPES}
    content[FORM] = {
        "schema": {"type": "object", "properties": {"file": files}, "required": ["file"]}
    }
    content |= _json_schema(_ADDRESSES if service.fetcher is not None else _INPUTS)["content"]
    return {"required": True, "content": content}


def _json_schema(body: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": body}}}
