"""Fetches images from hosts that the operator listed, and from no address inside the network.

A name is resolved once, every address that it has must be public, and the connection goes to the
address that was checked (so a second answer of the name server changes nothing). A redirect is
followed only to a listed host, and checked in the same way. Credentials, cookies and proxies of
the environment are not used.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from detector.errors import UsageError
from detector.serve.faults import HttpError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_PIECE = 65536
# Prefixes under which an IPv4 address hides in an IPv6 one.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address lies in the open internet: not private, loopback, link-local, shared,
    multicast or reserved; addresses that are wrapped in IPv6 are unwrapped first."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def resolve(host: str, port: int) -> list[str]:
    """The addresses that a name has at this moment."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]).partition("%")[0] for item in found))


@dataclass(frozen=True)
class Fetcher:
    """Fetches from listed hosts.

    Attributes:
        hosts: "name" (ports 80 and 443) or "name:port", in lower case; see `allowed_hosts`.
        max_bytes: largest file.
        timeout: seconds for one file in all, redirects included.
        resolve: names to addresses.
        permitted: whether an address may be spoken to.
    """

    hosts: frozenset[str]
    max_bytes: int
    timeout: float = 15.0
    resolve: Resolve = resolve
    permitted: Callable[[Address], bool] = is_public

    async def fetch(self, url: str) -> bytes:
        """The bytes behind an address; raises `HttpError` 422 or 413, with the cure."""
        return await asyncio.to_thread(self.get, url)

    def get(self, url: str) -> bytes:
        """As `fetch`, blocking."""
        until = time.monotonic() + self.timeout
        for _ in range(_REDIRECTS + 1):
            parts = self._checked(url)
            answer = self._ask(parts, until)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise _refused("it was redirected too often", "Name the image's own address.")

    def _checked(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            host = (parts.hostname or "").rstrip(".").encode("idna").decode().lower()
        except (ValueError, UnicodeError) as error:
            raise _refused("it is malformed", "Send an http or https address.") from error
        if parts.scheme not in _PORTS or not host or not url.isprintable() or " " in url:
            raise _refused("it is no http or https address", "Send one.")
        if parts.username is not None or parts.password is not None:
            raise _refused("it carries credentials", "Send it without.")
        standard = port == _PORTS[parts.scheme]
        if not (f"{host}:{port}" in self.hosts or (standard and host in self.hosts)):
            raise _refused(
                "its host is not on the list", "The operator lists hosts with --allow-fetch."
            )
        return parts._replace(netloc=f"{host}:{port}")

    def _pinned(self, host: str, port: int) -> str:
        try:
            addresses = self.resolve(host, port)
            if not addresses:
                raise OSError("no address")
            parsed = [ipaddress.ip_address(address) for address in addresses]
        except (OSError, ValueError, UnicodeError) as error:
            raise _refused("its host has no address", "Check the name.") from error
        if not all(self.permitted(address) for address in parsed):
            raise _refused(
                "its host lies inside a private network", "Send the image itself instead."
            )
        return addresses[0]

    def _ask(self, parts: SplitResult, until: float) -> bytes | str:
        """The body, or the place that a redirect points to."""
        host, port = str(parts.hostname), int(parts.port or 0)
        address = self._pinned(host, port)
        link = _link(parts.scheme, host, port, address, until)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        try:
            link.request("GET", path, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
            answer = link.getresponse()
            if answer.status in (301, 302, 303, 307, 308):
                return answer.getheader("Location") or ""
            if answer.status != 200:
                raise _refused(f"its host answered {answer.status}", "Check the address.")
            return self._read(link, answer, until)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = "its host took too long" if time.monotonic() >= until else "it failed"
            raise _refused(reason, "Send the image itself instead.") from error
        finally:
            link.close()

    def _read(
        self, link: http.client.HTTPConnection, answer: http.client.HTTPResponse, until: float
    ) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            if link.sock is not None:
                link.sock.settimeout(_left(until))
            elif time.monotonic() >= until:
                raise TimeoutError
            piece = answer.read1(_PIECE)
            if not piece:
                return b"".join(pieces)
            size += len(piece)
            if size > self.max_bytes:
                raise HttpError(
                    413,
                    "too_large",
                    f"The file behind the address is larger than {self.max_bytes} bytes.",
                    "Send a smaller one, or raise --max-file.",
                )
            pieces.append(piece)


def allowed_hosts(words: Sequence[str]) -> frozenset[str]:
    """The hosts of `--allow-fetch`; raises `UsageError` for what is no host."""
    hosts: set[str] = set()
    for word in words:
        name, colon, port = word.lower().partition(":")
        if not name or any(c in word for c in "/*@ ") or (colon and not port.isdigit()):
            raise UsageError(f"--allow-fetch {word}: give a host name, or NAME:PORT")
        hosts.add(word.lower())
    return frozenset(hosts)


def _link(
    scheme: str, host: str, port: int, address: str, until: float
) -> http.client.HTTPConnection:
    """A connection to the address that was checked, which calls itself by the host's name."""

    def connect(_: Any, timeout: Any = None, source: Any = None) -> socket.socket:
        return socket.create_connection((address, port), _left(until))

    link: http.client.HTTPConnection
    if scheme == "https":
        link = http.client.HTTPSConnection(
            host, port, timeout=_left(until), context=ssl.create_default_context()
        )
    else:
        link = http.client.HTTPConnection(host, port, timeout=_left(until))
    link._create_connection = connect  # type: ignore[attr-defined]
    return link


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _refused(reason: str, cure: str) -> HttpError:
    return HttpError(422, "not_fetched", f"The address was not fetched: {reason}.", cure)
