"""The texts of a file, wherever they stand, in one shape that every recogniser reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from detector.evidence import xmp
from detector.evidence.base import EvidenceInput
from detector.evidence.metadata.iptc import read_iptc
from detector.evidence.text import parse_object

_MAX_FIELDS = 3_000


@dataclass(frozen=True)
class Field:
    """One text of a file.

    Attributes:
        where: the container's part: "PNG tEXt", "EXIF", "XMP", "IPTC", "stealth alpha", ….
        key: the field's name there: "parameters", "UserComment", "CreatorTool", ….
        value: the text.
    """

    where: str
    key: str
    value: str

    @property
    def place(self) -> str:
        """Where it was found, in words for people and for `raw`."""
        return f"{self.where} {self.key}".strip()

    @cached_property
    def object(self) -> dict[str, Any] | None:
        """The JSON object that the text is; None when it is none."""
        return parse_object(self.value)


@dataclass(frozen=True)
class Fields:
    """All texts of one file, in the order in which they stand."""

    all: tuple[Field, ...]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.all)

    def named(self, *keys: str) -> list[Field]:
        """The fields whose key is one of these."""
        return [field for field in self.all if field.key in keys]

    def value(self, *keys: str) -> str:
        """The first non-empty text under one of these keys; "" when there is none."""
        return next((f.value for f in self.named(*keys) if f.value.strip()), "")

    def objects(self) -> list[tuple[Field, dict[str, Any]]]:
        """The fields that hold a JSON object, with the object."""
        return [(field, field.object) for field in self.all if field.object is not None]


def fields_of(item: EvidenceInput) -> Fields:
    """Every text of the file: the container's own, EXIF's, XMP's and IPTC's."""
    return Fields(tuple(field for field, _ in zip(_each(item), range(_MAX_FIELDS), strict=False)))


def _each(item: EvidenceInput) -> Iterator[Field]:
    for text in item.blocks.texts:
        yield Field(text.where, text.key, text.value)
    for block in item.exif:
        for name, value in block.texts:
            yield Field("EXIF", name, value)
    for packet in item.xmp:
        for entry in packet.properties:
            if entry.namespace != xmp.XML:
                yield Field("XMP", entry.name, entry.value)
    for record in item.blocks.iptc:
        for name, value in read_iptc(record):
            yield Field("IPTC", name, value)
