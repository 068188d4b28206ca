"""Runs the application under uvicorn: slow heads are given up, and what was taken is finished."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Any

from detector.errors import MissingExtraError, UsageError
from detector.serve.settings import Settings

try:
    import h11
    import uvicorn
    from fastapi import FastAPI
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as missing:
    raise MissingExtraError("The HTTP service", "serve") from missing

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """A log record as one line of JSON: time, level, event, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{k: v for k, v in vars(record).items() if k not in _STANDARD},
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def protocol(header_timeout: float) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, with a limit on the time that a request's head may take.

    uvicorn waits for a head as long as the client likes, so that a few hundred idle sockets
    would fill the service.
    """

    class Impatient(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
                self._await_head()
            elif self.conn.their_state is not h11.IDLE:
                self._stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            if self._head is None:
                self._head = self.loop.call_later(header_timeout, self._give_up)

        def _give_up(self) -> None:
            self._head = None
            if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
                self.transport.close()

        def _stop(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Impatient


def serve(app: FastAPI, settings: Settings, host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM; then finish what was taken. Gives the exit code.

    Raises:
        UsageError: the address cannot be listened on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("detector", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol(settings.header_timeout),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=int(settings.shutdown_timeout),
        limit_concurrency=settings.connections,
        backlog=256,
    )
    server = uvicorn.Server(config)
    try:
        listener = config.bind_socket()
    except SystemExit as error:
        raise UsageError(f"{host}:{port} cannot be listened on: take another") from error
    logging.getLogger("detector.serve").info("listening", extra={"host": host, "port": port})
    server.run(sockets=[listener])
    return 0 if server.started else 1
