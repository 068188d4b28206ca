"""What a client sent: raw bytes, a form with files, or the address of an image; to uploads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from detector.names import printable
from detector.serve.engine import Upload
from detector.serve.faults import HttpError
from detector.serve.fetching import Fetcher
from detector.serve.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request

RAW = "application/octet-stream"
FORM = "multipart/form-data"
JSON = "application/json"
_LONGEST_NAME = 200
_LONGEST_JSON = 65536


async def uploads_of(request: Request, settings: Settings, fetcher: Fetcher | None) -> list[Upload]:
    """The files of a request, at least one and at most `settings.max_images`.

    Raises:
        HttpError: 400, 413, 415 or 422, with the cure.
    """
    kind = request.headers.get("content-type", RAW).partition(";")[0].strip().lower()
    if kind == FORM:
        return await _of_form(request, settings)
    if kind == JSON:
        return await _of_addresses(request, settings, fetcher)
    if kind != RAW and not kind.startswith("image/"):
        raise HttpError(
            415,
            "unsupported_type",
            f"A body of type {printable(kind)[:80]!r} is not read here.",
            f"Send the bytes of an image with Content-Type: {RAW}, or files as {FORM}.",
        )
    data = await request.body()
    if not data:
        raise _nothing()
    return [Upload(data)]


async def _of_form(request: Request, settings: Settings) -> list[Upload]:
    from starlette.datastructures import UploadFile
    from starlette.exceptions import HTTPException

    try:
        async with request.form(
            max_files=settings.max_images,
            max_fields=settings.max_images,
            max_part_size=settings.limits.max_bytes,
        ) as form:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            uploads = [
                Upload(await file.read(), printable(file.filename or "")[:_LONGEST_NAME])
                for file in files
            ]
    except HTTPException as error:
        if "Too many" in str(error.detail):
            raise _too_many(settings) from error
        raise HttpError(
            400,
            "bad_form",
            f"The form cannot be read: {printable(str(error.detail))[:200]}.",
            "Send it as multipart/form-data, every file with a filename.",
        ) from error
    if not uploads:
        raise _nothing()
    return uploads


async def _of_addresses(
    request: Request, settings: Settings, fetcher: Fetcher | None
) -> list[Upload]:
    if fetcher is None:
        raise HttpError(
            415,
            "fetch_off",
            "This service does not fetch addresses.",
            "Send the image itself, or start the service with --allow-fetch HOST.",
        )
    urls = _addresses(await request.body())
    if len(urls) > settings.max_images:
        raise _too_many(settings)
    return [Upload(await fetcher.fetch(url), url[:_LONGEST_NAME]) for url in urls]


def _addresses(body: bytes) -> Sequence[str]:
    try:
        if len(body) > _LONGEST_JSON:
            raise ValueError
        record: Any = json.loads(body)
        urls = [record["url"]] if "url" in record else record["urls"]
        if not urls or not isinstance(urls, list) or not all(isinstance(u, str) for u in urls):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise HttpError(
            422,
            "bad_json",
            "The JSON body names no image.",
            'Send {"url": "https://…"} or {"urls": ["https://…"]}.',
        ) from error
    return list(urls)


def _nothing() -> HttpError:
    return HttpError(
        400,
        "no_image",
        "The request holds no file.",
        "Send the bytes of an image as the body, or files as multipart/form-data.",
    )


def _too_many(settings: Settings) -> HttpError:
    return HttpError(
        413,
        "too_many_images",
        f"There are more than {settings.max_images} images in one request.",
        "Send them in several requests.",
    )
