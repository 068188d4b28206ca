"""What the HTTP adapters ask: a judge that may be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from detector.integrations.client import Judge, Judgement

AsyncJudge = Callable[[bytes], Awaitable[Judgement]]


def threaded(judge: Judge) -> AsyncJudge:
    """A judge that blocks, called in a thread so that the service's loop goes on."""
    from starlette.concurrency import run_in_threadpool

    async def ask(data: bytes) -> Judgement:
        return await run_in_threadpool(judge, data)

    return ask
