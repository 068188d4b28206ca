"""What the tests of the adapters share: images of each verdict, a stand-in service, judges."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from detector.explain import Heatmap, Layer
from detector.integrations.client import Judgement
from detector.preprocess import prepare
from detector.results import Asserts, Evidence, Finding, Trust, Verdict
from tests.standin import StandIn

TOKEN = "a-token-for-tests"
EVIDENCE = Evidence(
    "a1111_parameters", "metadata", Asserts.GENERATED, "a program", Trust.SELF_DECLARED
)
# What `tests.standin.StandIn` makes of them: it scores brightness.
BRIGHT, MIDDLE, DARK = 230, 145, 30


def picture(
    brightness: int,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    *,
    declared: bool = False,
) -> bytes:
    """A PNG of that brightness with enough texture to be worth a look.

    A declared one says in its metadata that a generator made it.
    """
    noise = np.random.default_rng(seed).integers(-20, 21, (size[1], size[0], 3))
    pixels = np.clip(brightness + noise, 0, 255).astype(np.uint8)
    buffer, info = io.BytesIO(), PngInfo()
    if declared:
        info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def flat(brightness: int) -> bytes:
    """A PNG of one colour, of which PDQ gives no hash."""
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (brightness,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def judge(data: bytes) -> Judgement:
    """The stand-in's judgement; bright images also carry a piece of evidence."""
    model = StandIn()
    item = prepare("", data, model.bundle.preprocess)
    if item.views is None:
        return Judgement(Finding("", item.sha256, item.status, item.reason, model.model_id))
    finding = model.score_prepared([item])[0]
    return Judgement(finding, (EVIDENCE,) if finding.verdict is Verdict.LIKELY_GENERATED else ())


@dataclass
class Service:
    """A stand-in for `detector serve`: the same answers, and faults on demand.

    Attributes:
        url: where it listens.
        asked: the bytes of every image that it was asked about.
        status: what it answers instead of 200, when set.
        gate: an answer waits until this is set.
        entered: set as soon as an image has come.
    """

    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """Forgets what was asked, and answers at once."""
        self.asked.clear()
        self.status = 200
        self.gate.set()
        self.entered.clear()


@contextmanager
def service(extra: Any = None) -> Iterator[Service]:
    """Runs the stand-in service on a free port of the loopback until the block ends.

    Args:
        extra: called with the FastAPI app before it starts, to mount routers.
    """
    state = Service()
    state.gate.set()
    app = FastAPI()

    @app.post("/v1/score")
    async def score(request: Request) -> Any:
        body = await request.body()
        state.asked.append(body)
        state.entered.set()
        await run_in_threadpool(state.gate.wait, 60)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise HTTPException(401, "a token is needed")
        if state.status != 200:
            raise HTTPException(state.status, "as the test asked")
        found = judge(body)
        evidence = [item.to_record() for item in found.evidence]
        return {"findings": [{**found.finding.to_record(), "evidence": evidence}]}

    if extra is not None:
        extra(app)
    with running(app) as url:
        state.url = url
        yield state


@contextmanager
def real_service(folder: Path, extra: Any = None) -> Iterator[Service]:
    """Runs the real `detector serve` application with the stand-in model; see `service`.

    Faults are put around it: what the adapters must survive is any service's, not this one's.
    """
    from detector.serve.app import create_app
    from detector.serve.settings import Settings

    state = Service()
    state.gate.set()
    settings = Settings(token_file=token_file(folder), workers=1, request_timeout=600)
    app = create_app(settings, StandIn())
    if extra is not None:
        extra(app)

    async def around(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/v1/score":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        state.asked.append(body)
        state.entered.set()
        await run_in_threadpool(state.gate.wait, 60)
        if state.status != 200:
            answer = JSONResponse({"error": "as the test asked"}, state.status)
            await answer(scope, receive, send)
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Any:
            return next(parts, None) or await receive()

        await app(scope, again, send)

    with running(around) as url:
        state.url = url
        yield state


@contextmanager
def running(app: Any) -> Iterator[str]:
    """Serves an app in a thread; gives its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the app did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def token_file(folder: Path) -> Path:
    """A file with the stand-in service's token."""
    path = folder / "token"
    path.write_text(f"# for tests\n{TOKEN}\n", encoding="utf-8")
    return path


def heat(width: int, height: int) -> Heatmap:
    """A map of two pieces: the left half speaks for generated, the right half against it."""
    half = width // 2
    boxes = ((0, 0, half, height), (half, 0, width - half, height))
    values = np.array([[2.0, -2.0]], dtype=np.float32)
    layer = Layer("native", "made for a test", values, values, boxes, ("", ""))
    return Heatmap("standin_v1", "crops", (width, height), (layer,))


async def left_half_is_hot(data: bytes) -> Heatmap | None:
    """The map of `heat` for any image."""
    return heat(*Image.open(io.BytesIO(data)).size)
