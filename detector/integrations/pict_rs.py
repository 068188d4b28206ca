"""The endpoint that pict-rs, and so Lemmy, asks before it stores an upload.

pict-rs posts each file's bytes to the URL of its `external_validation` setting; an answer of 2xx
lets it in, any other keeps it out. The setting takes credentials in the URL:
`http://pict-rs:TOKEN@127.0.0.1:8000/v1/pict-rs`. What is accepted can be said there, too:
`…/v1/pict-rs?inconclusive=reject&fault=reject`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from detector.errors import DetectorError, MissingExtraError
from detector.integrations.actions import FAULT, UNSCORED, Choice, Decide, Rules
from detector.integrations.asynchronous import AsyncJudge

if TYPE_CHECKING:
    from fastapi import APIRouter

logger = logging.getLogger(__name__)

ACCEPT, REJECT = "accept", "reject"
_Answer = Literal["accept", "reject"]
ACTIONS = (ACCEPT, REJECT)
# Lemmy also uploads videos and formats that are not read: what cannot be scored is let in.
DEFAULTS = {
    "likely_generated": REJECT,
    "inconclusive": ACCEPT,
    "no_sign": ACCEPT,
    UNSCORED: ACCEPT,
    FAULT: ACCEPT,
}


@dataclass(frozen=True)
class Settings:
    """What is accepted.

    Attributes:
        rules: accept or reject, for each verdict, for files that cannot be scored, and for
            faults ("accept" fails open, "reject" fails closed).
        max_bytes: longer bodies are not read; they count as "unscored".
        dry_run: accept everything, and log what would have been rejected.
    """

    rules: Rules = field(default_factory=lambda: Rules(DEFAULTS))
    max_bytes: int = 64 * 2**20
    dry_run: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any], decide: Decide | None = None) -> "Settings":
        """The settings of a configuration; raises UsageError for an unknown action."""
        return cls(
            Rules.from_options(options, ACTIONS, DEFAULTS, decide),
            int(options.get("max_bytes", cls.max_bytes)),
            bool(options.get("dry_run", cls.dry_run)),
        )


def router(
    judge: AsyncJudge, settings: Settings | None = None, *, path: str = "/v1/pict-rs"
) -> "APIRouter":
    """The route that pict-rs calls.

    Args:
        judge: who is asked about each file.
        settings: what is accepted; None for the defaults.
        path: where the route lies.

    Raises:
        MissingExtraError: FastAPI is not installed.
    """
    try:
        from fastapi import APIRouter, Request
        from fastapi.responses import JSONResponse
    except ImportError as fault:
        raise MissingExtraError("the pict-rs endpoint", "serve") from fault
    chosen = settings or Settings()
    routes = APIRouter(tags=["pict-rs"])

    async def validate(
        request: Request,
        likely_generated: _Answer | None = None,
        inconclusive: _Answer | None = None,
        no_sign: _Answer | None = None,
        unscored: _Answer | None = None,
        fault: _Answer | None = None,
    ) -> JSONResponse:
        """Accepts (200) or rejects (403) one file: the raw body.

        The query changes an answer for this caller: `?inconclusive=reject&fault=reject`.
        """
        asked = {
            "likely_generated": likely_generated,
            "inconclusive": inconclusive,
            "no_sign": no_sign,
            UNSCORED: unscored,
            FAULT: fault,
        }
        given = {case: answer for case, answer in asked.items() if answer is not None}
        rules = replace(chosen.rules, actions={**chosen.rules.actions, **given})
        data = await _body(request, chosen.max_bytes)
        if data is None:
            text = f"the file has more than {chosen.max_bytes:,} bytes"
            choice = Choice(rules.actions[UNSCORED], UNSCORED, text)
        else:
            try:
                choice = rules.choose(await judge(data))
            except DetectorError as error:
                choice = rules.on_fault(error)
        rejected = choice.action != ACCEPT
        if rejected or choice.rule == FAULT:
            logger.warning("pict-rs: %s by %s: %s", choice.action, choice.rule, choice.reason)
        answer = {"action": choice.action, "rule": choice.rule, "reason": choice.reason}
        if chosen.dry_run:
            answer["dry_run"] = "accepted all the same"
        return JSONResponse(answer, 403 if rejected and not chosen.dry_run else 200)

    routes.add_api_route(
        path,
        validate,
        methods=["POST"],
        responses={403: {"description": "The file is rejected."}},
        openapi_extra={
            "requestBody": {
                "required": False,  # an empty body is a file that cannot be scored
                "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    return routes


async def _body(request: Any, max_bytes: int) -> bytes | None:
    """The whole body; None when it is longer, in which case the rest is left unread."""
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > max_bytes:
            return None
        parts.append(part)
    return b"".join(parts)
