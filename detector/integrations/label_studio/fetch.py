"""Reads a task's image from Label Studio itself, and from nowhere else unless listed."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Collection
from typing import Any
from urllib.parse import urljoin, urlsplit

from detector.errors import DetectorError, UsageError

_MOST_REDIRECTS = 3


class FetchError(DetectorError):
    """A task's image could not be had; the text says why and names no token."""


def origin(url: str) -> str:
    """Scheme, host and port of an http(s) URL, spelled one way; raises UsageError otherwise."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError as fault:
        raise UsageError(f"not an http or https URL: {url!r}") from fault
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
        raise UsageError(f"not an http or https URL: {url!r}")
    return f"{parts.scheme}://{parts.hostname.lower()}:{port}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None  # each redirect is looked at by `Images`


class Images:
    """Fetches what tasks point to.

    Args:
        url: where Label Studio is, such as "http://127.0.0.1:8080".
        token: its API token: a legacy one, or a personal access token.
        also: further origins that images may come from, such as a bucket's; they get no token.
        max_bytes: longer files are refused.
        timeout: seconds that a request may wait for bytes.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        also: Collection[str] = (),
        max_bytes: int = 64 * 2**20,
        timeout: float = 20.0,
    ) -> None:
        self._home = url.rstrip("/") + "/"
        self._own = origin(url)
        self._allowed = {self._own, *(origin(other) for other in also)}
        self._token, self._max, self._timeout = token, max_bytes, timeout
        # No proxy from the environment: the allow-list is about where this process goes.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        self._access = ""
        self._lock = threading.Lock()

    def __call__(self, place: str) -> bytes:
        """The bytes of one image.

        Args:
            place: as in a task's data: a path on Label Studio's own host, or a whole URL of an
                allowed one.

        Raises:
            FetchError: another host, no answer, or too long.
        """
        target = urljoin(self._home, place)
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                own = origin(target) == self._own
                known = origin(target) in self._allowed
            except UsageError as fault:
                raise FetchError(str(fault)) from fault
            if not known:
                raise FetchError(f"images are not fetched from {origin(target)}")
            found = self._get(target, own)
            if isinstance(found, bytes):
                return found
            target = urljoin(target, found)
        raise FetchError("too many redirects")

    def _get(self, url: str, own: bool, again: bool = True) -> bytes | str:
        """The body, or where a redirect points."""
        request = urllib.request.Request(url)
        if own and self._token:
            request.add_header("Authorization", self._authorization())
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                data = bytes(answer.read(self._max + 1))
        except urllib.error.HTTPError as error:
            place = error.headers.get("Location")
            error.close()
            if error.code in (301, 302, 303, 307, 308) and place:
                return str(place)
            if error.code == 401 and own and again and self._is_personal:
                self._access = ""  # access tokens live for minutes
                return self._get(url, own, again=False)
            raise FetchError(f"Label Studio's image answered {error.code}") from error
        except (OSError, ValueError) as fault:
            raise FetchError(f"the image cannot be fetched: {fault}") from fault
        if len(data) > self._max:
            raise FetchError(f"the image has more than {self._max:,} bytes")
        return data

    @property
    def _is_personal(self) -> bool:
        return self._token.count(".") == 2  # a JSON web token; legacy ones are hexadecimal

    def _authorization(self) -> str:
        if not self._is_personal:
            return f"Token {self._token}"
        with self._lock:
            if not self._access:
                self._access = self._refresh()
            return f"Bearer {self._access}"

    def _refresh(self) -> str:
        """A personal access token is exchanged for one that requests may carry."""
        request = urllib.request.Request(
            urljoin(self._home, "api/token/refresh/"),
            data=json.dumps({"refresh": self._token}).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return str(json.loads(answer.read(100_000))["access"])
        except (OSError, ValueError, LookupError, TypeError) as fault:
            raise FetchError(
                f"Label Studio did not take the access token: {type(fault).__name__}"
            ) from fault
