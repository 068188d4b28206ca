"""What every request passes: an id, a token, limits on its body, and a line in the log.

Plain ASGI, so that it sees a body's bytes as they come and can refuse before they are all here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from detector.serve.faults import HttpError, busy
from detector.serve.settings import Settings
from detector.serve.tokens import TokenFile

log = logging.getLogger("detector.serve")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Answered to everybody: they say whether the service lives, and what it offers.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

request_id: ContextVar[str] = ContextVar("request_id", default="")
# What a handler adds to the log line of its request.
log_facts: ContextVar[dict[str, Any] | None] = ContextVar("log_facts", default=None)


class Guard:
    """The outermost layer of the application.

    Args:
        app: what is inside.
        settings: limits and times.
        tokens: who may come in; None for everybody.
        on_answer: called with (method, path, status, seconds) of every request.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        tokens: TokenFile | None,
        on_answer: Callable[[str, str, int, float], None],
    ) -> None:
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._on_answer = on_answer
        self._inside = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's event, as ASGI defines it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {k.lower(): v for k, v in scope["headers"]}
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        identity = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        request_id.set(identity)
        facts: dict[str, Any] = {}
        log_facts.set(facts)
        began = time.monotonic()
        answer = _Answer(send, identity)
        body = _Body(self, receive, headers)
        try:
            self._enter(scope["path"], headers, body)
            await self._app(scope, body.receive, answer.send)
        except HttpError as fault:
            await answer.fault(fault)
        except Exception as error:
            log.exception("fault", extra={"id": identity, "kind": type(error).__name__})
            await answer.fault(_internal())
        finally:
            body.leave()
            seconds = time.monotonic() - began
            status = answer.status
            self._on_answer(scope["method"], _route(scope), status, seconds)
            log.info(
                "request",
                extra={
                    "id": identity,
                    "method": scope["method"],
                    "path": _route(scope),
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    "bytes": body.taken,
                    **facts,
                },
            )

    def _enter(self, path: str, headers: dict[bytes, bytes], body: _Body) -> None:
        if path in OPEN_PATHS:
            return
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        if self._tokens is not None and not self._tokens.accepts(authorization):
            raise HttpError(
                401,
                "unauthorized",
                "This service wants a token, and the request carries none that it knows.",
                "Send the header Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": "Bearer"},
            )
        if self._inside >= self._settings.requests:
            raise busy(f"{self._inside} requests are being answered", 1)
        body.enter()

    # Bodies in memory; called by `_Body` in the event loop, so that no lock is needed.

    def hold(self, count: int) -> None:
        """Take room for bytes of a body; raises `HttpError` when there is none."""
        if self._held + count > self._settings.held_bytes:
            raise busy("too many bytes are being uploaded", 2)
        self._held += count


class _Body:
    """The body of one request on its way in: counted, timed, and given up when it is too slow."""

    def __init__(self, guard: Guard, receive: Receive, headers: dict[bytes, bytes]) -> None:
        self._guard = guard
        self._receive = receive
        self._settings = guard._settings
        self._headers = headers
        self._entered = False
        self._done = False
        self._until = time.monotonic() + self._settings.body_timeout
        self.taken = 0

    def enter(self) -> None:
        self._entered = True
        self._guard._inside += 1
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._settings.max_body:
            raise _too_large(self._settings.max_body)

    def leave(self) -> None:
        if self._entered:
            self._guard._inside -= 1
            self._guard._held -= self.taken

    async def receive(self) -> Message:
        if self._done:
            return await self._receive()
        left = min(self._settings.idle_timeout, self._until - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except asyncio.TimeoutError as error:
            raise HttpError(
                408,
                "slow_client",
                "The body of the request came too slowly.",
                f"Send it within {self._settings.body_timeout:g} s, without pauses over "
                f"{self._settings.idle_timeout:g} s.",
                {"Connection": "close"},
            ) from error
        if message["type"] != "http.request":
            raise HttpError(
                499,
                "client_left",
                "The client left before its body was complete.",
                "Send the whole body.",
            )
        size = len(message.get("body", b""))
        if self.taken + size > self._settings.max_body:
            raise _too_large(self._settings.max_body)
        if self._entered:
            self._guard.hold(size)
            self.taken += size
        self._done = not message.get("more_body", False)
        return message


class _Answer:
    """The answer on its way out: gets the request's id, and is replaced by a fault at most once."""

    def __init__(self, send: Send, identity: str) -> None:
        self._send = send
        self._identity = identity
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            extra = [
                (b"x-request-id", self._identity.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
            ]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await self._send(message)

    async def fault(self, fault: HttpError) -> None:
        if self.status:  # half an answer is out: there is no taking it back
            return
        body = json.dumps(fault.to_record(self._identity)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        pairs = {**headers, **{k.lower(): v for k, v in fault.headers.items()}}
        raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in pairs.items()]
        await self.send({"type": "http.response.start", "status": fault.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


def _route(scope: Scope) -> str:
    """The route's own path; what a stranger typed is neither a label nor a line of the log."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or (
        scope["path"] if scope["path"] in OPEN_PATHS else "other"
    )


def _too_large(most: int) -> HttpError:
    return HttpError(
        413,
        "too_large",
        f"The body is larger than {most} bytes.",
        "Send fewer or smaller files, or raise --max-body.",
        {"Connection": "close"},
    )


def _internal() -> HttpError:
    return HttpError(
        500,
        "internal",
        "A fault in the service.",
        "Its log has the cause under the request's id; please report it.",
    )
