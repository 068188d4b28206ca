"""What the HTTP adapters share: a judge that may be awaited, and Basic credentials."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

from detector.integrations.client import Judge, Judgement

AsyncJudge = Callable[[bytes], Awaitable[Judgement]]


def threaded(judge: Judge) -> AsyncJudge:
    """A judge that blocks, called in a thread so that the service's loop goes on."""
    from starlette.concurrency import run_in_threadpool

    async def ask(data: bytes) -> Judgement:
        return await run_in_threadpool(judge, data)

    return ask


def basic_password(header: str) -> str | None:
    """The password of an `Authorization: Basic …` header; None when there is none.

    Label Studio and pict-rs cannot send bearer tokens, but both send Basic credentials (RFC
    7617), pict-rs those of its URL. The user's name is not looked at.
    """
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    _, found, password = text.partition(":")
    return password if found else None
