"""What the service says when it cannot do what was asked: a status, a word, a cause and a cure."""

from __future__ import annotations

from typing import Any

from detector.errors import DetectorError


class HttpError(DetectorError):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        code: a fixed snake_case word for programs.
        message: what is the matter, one sentence.
        cure: what the client can do about it, one sentence.
        headers: more headers of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, cure: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{message} {cure}")
        self.status, self.code, self.message, self.cure = status, code, message, cure
        self.headers = headers or {}

    def to_record(self, request_id: str) -> dict[str, Any]:
        """The body of the answer."""
        error = {"code": self.code, "message": self.message, "cure": self.cure}
        return {"error": error | {"request_id": request_id}}


def busy(what: str, retry_after: int) -> HttpError:
    """The answer of a service that is full."""
    seconds = max(1, retry_after)
    return HttpError(
        429,
        "busy",
        f"The service is full: {what}.",
        f"Send it again in {seconds} s, or raise the limits of `detector serve`.",
        {"Retry-After": str(seconds)},
    )
