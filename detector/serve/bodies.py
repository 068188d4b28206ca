"""What a client sent, to uploads: raw bytes, a form with files, or JSON with or about images."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from detector.images import sniff
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
JSON_TYPES = frozenset({JSON, "application/x-amz-json-1.1"})
URLENCODED = "application/x-www-form-urlencoded"
_LONGEST_NAME = 200


async def uploads_of(request: Request, settings: Settings, fetcher: Fetcher | None) -> list[Upload]:
    """The files of a request, at least one and at most `settings.max_images`.

    Raises:
        HttpError: 400, 413, 415 or 422, with the cure.
    """
    kind = request.headers.get("content-type", RAW).partition(";")[0].strip().lower()
    if kind == FORM:
        return await _of_form(request, settings)
    if kind in JSON_TYPES:
        return await _of_json(request, settings, fetcher)
    if kind != RAW and kind != URLENCODED and not kind.startswith("image/"):
        raise _unsupported(kind)
    data = await request.body()
    if not data:
        raise _nothing()
    # `curl --data-binary` calls everything a form; what is in it tells.
    if kind == URLENCODED and sniff(data) is None:
        raise _unsupported(kind)
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


async def _of_json(request: Request, settings: Settings, fetcher: Fetcher | None) -> list[Upload]:
    """Images inside JSON, or their addresses, as the clients of four services write them."""
    places = places_of(await request.body())
    if len(places) > settings.max_images:
        raise _too_many(settings)
    uploads: list[Upload] = []
    for place in places:
        if isinstance(place, bytes):
            uploads.append(Upload(place))
        elif fetcher is None:
            raise HttpError(
                415,
                "fetch_off",
                "This service does not fetch addresses.",
                "Send the image itself, or start the service with --allow-fetch HOST.",
            )
        else:
            uploads.append(Upload(await fetcher.fetch(place), printable(place)[:_LONGEST_NAME]))
    return uploads


def places_of(body: bytes) -> list[bytes | str]:
    """The images of a JSON body, as bytes, or as addresses that are not fetched yet.

    Read are {"url": …} and {"urls": […]}; {"inputs": BASE64} of Hugging Face; {"input": […]} of
    OpenAI's moderations, with data: or http addresses; {"Image": {"Bytes": BASE64}} of Amazon
    Rekognition. Raises `HttpError` 422 for anything else.
    """
    try:
        record: Any = json.loads(body)
        if "url" in record:
            found = [_address(record["url"])]
        elif "urls" in record:
            found = [_address(url) for url in _list(record["urls"])]
        elif "inputs" in record:
            found = [_inline(record["inputs"])]
        elif "input" in record:
            items = [item for item in _list(record["input"]) if item["type"] == "image_url"]
            found = [_address(item["image_url"]["url"]) for item in items]
        else:
            found = [_inline(record["Image"]["Bytes"])]
        if not found:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise HttpError(
            422,
            "bad_json",
            "The JSON body names no image.",
            'Send {"url": "https://…"}, {"inputs": BASE64}, or a body of type '
            f"{RAW} with the image itself.",
        ) from error
    return found


def _address(url: Any) -> bytes | str:
    if not isinstance(url, str):
        raise ValueError
    if url[:5].lower() != "data:":
        return url
    head, comma, text = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ValueError
    return _inline(text)


def _inline(text: Any) -> bytes:
    if not isinstance(text, str) or not text:
        raise ValueError
    return base64.b64decode(text, validate=True)


def _list(items: Any) -> list[Any]:
    if not isinstance(items, list):
        raise ValueError
    return items


def _unsupported(kind: str) -> HttpError:
    return HttpError(
        415,
        "unsupported_type",
        f"A body of type {printable(kind)[:80]!r} is not read here.",
        f"Send the bytes of an image with Content-Type: {RAW}, or files as {FORM}.",
    )


def _nothing() -> HttpError:
    return HttpError(
        400,
        "no_image",
        "The request holds no file.",
        "Send the bytes of an image as the body, or files as multipart/form-data.",
    )


def _too_many(settings: Settings) -> HttpError:
    return HttpError(
        422,
        "too_many_images",
        f"There are more than {settings.max_images} images in one request.",
        "Send them in several requests.",
    )
