"""Reads XMP packets (ISO 16684-1) as a flat list of properties, safely.

The parser is expat from the standard library. A packet that declares a document type is
refused when expat meets the declaration, before any entity can be defined: entities are what
makes XML expand or reach for other files, and XMP never needs them. Elements, depth and text
are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
DC = "http://purl.org/dc/elements/1.1/"
EXIF = "http://ns.adobe.com/exif/1.0/"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
XMP_BASIC = "http://ns.adobe.com/xap/1.0/"
DC_TERMS = "http://purl.org/dc/terms/"
AIGC = "http://www.tc260.org.cn/ns/AIGC/1.0/"

MAX_PACKET = 4 * 2**20
_MAX_ELEMENTS = 20_000
_MAX_DEPTH = 60
_MAX_PROPERTIES = 2_000
_WRAPPER = re.compile(rb"\A(?:<\?xpacket[^>]{0,200}\?>\s{0,8})+")


@dataclass(frozen=True)
class Property:
    """One value of a packet: the nearest named element or attribute, and its text."""

    namespace: str
    name: str
    value: str


@dataclass(frozen=True)
class Packet:
    """What one XMP packet says; `fault` is why it could not be read to its end, or ""."""

    properties: tuple[Property, ...] = ()
    fault: str = ""
    raw: bytes = field(default=b"", repr=False)

    def values(self, namespace: str, name: str) -> list[str]:
        """The texts of one property, in packet order."""
        return [p.value for p in self.properties if p.namespace == namespace and p.name == name]

    def first(self, namespace: str, name: str) -> str:
        """The first text of one property; "" when absent."""
        return next(iter(self.values(namespace, name)), "")


def read_xmp(raw: bytes) -> Packet:
    """Read a packet; what came before a fault is kept, nothing raises."""
    if len(raw) > MAX_PACKET:
        return Packet(fault=f"the packet has {len(raw):,} bytes")
    body = _body(raw)
    if not body:
        return Packet(fault="it holds no XML", raw=raw)
    reader = _Reader()
    try:
        reader.feed(body)
    except _RefusedError as refused:
        return Packet((), str(refused), raw)
    except expat.ExpatError as error:
        return Packet(tuple(reader.properties), f"the XML is damaged: {error}", raw)
    return Packet(tuple(reader.properties), "", raw)


def _body(raw: bytes) -> bytes:
    """The packet as UTF-8, without the wrapper and the padding around it."""
    wide = raw.find("<rdf:RDF".encode("utf-16-le"))
    if wide >= 0:
        # In big-endian text the same bytes begin one place later.
        encoding = "utf-16-be" if wide % 2 else "utf-16-le"
        raw = raw.decode(encoding, "ignore").encode("utf-8", "ignore")
    start, end = raw.find(b"<"), raw.rfind(b">")
    if not 0 <= start < end:
        return b""
    return _WRAPPER.sub(b"", raw[start : end + 1])


class _RefusedError(Exception):
    """The packet holds what XMP never needs, or more than it should cost."""


class _Reader:
    """Expat's handlers: they keep named values and count everything."""

    def __init__(self) -> None:
        self.properties: list[Property] = []
        self._elements = 0
        self._stack: list[tuple[str, str]] = []
        self._text: list[list[str]] = []

    def feed(self, body: bytes) -> None:
        """Parse the whole packet; raises `_RefusedError` or `expat.ExpatError`."""
        parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(body, True)

    def _doctype(self, *_: object) -> None:
        raise _RefusedError("it declares a document type, which XMP never needs")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS or len(self._stack) >= _MAX_DEPTH:
            raise _RefusedError("it has more or deeper elements than any honest packet")
        namespace, name = _split(tag)
        # Containers of RDF are not what people look for: values belong to what holds them.
        if namespace == RDF and self._stack:
            namespace, name = self._stack[-1]
        self._stack.append((namespace, name))
        self._text.append([])
        for key, value in attributes.items():
            space, attribute = _split(key)
            if space == RDF and attribute == "resource":
                self._keep(namespace, name, value)
            elif space not in (RDF, XML, ""):
                self._keep(space, attribute, value)

    def _end(self, _: str) -> None:
        namespace, name = self._stack.pop()
        text = "".join(self._text.pop()).strip()
        if text and namespace not in ("", RDF):
            self._keep(namespace, name, text)

    def _characters(self, text: str) -> None:
        if self._text:
            self._text[-1].append(text)

    def _keep(self, namespace: str, name: str, value: str) -> None:
        if len(self.properties) < _MAX_PROPERTIES:
            self.properties.append(Property(namespace, name, value))


def _split(tag: str) -> tuple[str, str]:
    namespace, _, name = tag.rpartition(" ")
    return namespace, name
