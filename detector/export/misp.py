"""Writes a campaign as one MISP event, unpublished and for the own organisation only.

Every image becomes a `file` object, its verdict an `annotation` object that annotates it, every
post with a URL an `image` object that names the account and refers to the file. Clusters and
links between accounts become annotations; the summary is an event report. No attribute is
marked for detection (`to_ids`) unless an analyst confirmed the image as generated.

Tags: `estimative-language:likelihood-probability` on an image's sha256, by ICD 203 at the
bundle's prior; a DISARM technique on the annotation that suggests it, not on the event. UUIDs
are the same in every run on the same data, and times come from the scans.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

from detector import names
from detector.campaign.records import Campaign, Item, Post
from detector.errors import MissingExtraError, UsageError
from detector.export import disarm, sentences
from detector.export.files import mime_type, utc, writing

# Chosen once, at random, for this package.
NAMESPACE = uuid.UUID("5a3b8a0e-7c7e-4a55-8a0b-3f7f3f2d9c41")
TLP = ("clear", "green", "amber", "amber+strict", "red")


def write(
    campaign: Campaign,
    out: str,
    *,
    labels: Mapping[str, int] | None = None,
    tlp: str = "",
) -> int:
    """Write the event to a file, or to standard output for "-"; gives the number of objects.

    Args are those of `event`. Raises MissingExtraError without pymisp, UsageError when the file
    cannot be written.
    """
    made = event(campaign, labels=labels, tlp=tlp)
    with writing(out) as stream:
        json.dump({"Event": json.loads(made.to_json())}, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    return len(made.objects)


def event(campaign: Campaign, *, labels: Mapping[str, int] | None = None, tlp: str = "") -> Any:
    """The campaign as a `pymisp.MISPEvent`.

    Args:
        labels: by sha256, what an analyst confirmed: 1 for generated, 0 for real.
        tlp: a tag for the event: "clear", "green", "amber", "amber+strict" or "red".
    """
    if tlp and tlp not in TLP:
        raise UsageError(f"no marking {tlp!r}: there are {', '.join(TLP)}")
    maker = _Maker(_pymisp(), campaign, labels or {})
    maker.images()
    maker.clusters()
    maker.links()
    maker.suggestions()
    maker.summary()
    if tlp:
        maker.event.add_tag(f"tlp:{tlp}")
    return maker.finished()


class _Maker:
    """Fills one event, a kind of object at a time."""

    def __init__(self, pymisp: ModuleType, campaign: Campaign, labels: Mapping[str, int]) -> None:
        self._pymisp = pymisp
        self._campaign = campaign
        self._labels = labels
        custody = campaign.custody
        self._first = custody.started or custody.finished or custody.made_at
        self._last = custody.finished or self._first
        self._files: dict[str, Any] = {}
        self.event = pymisp.MISPEvent()
        self.event.from_dict(
            info=_text(campaign.title) or "Images",
            uuid=self._uuid("event"),
            date=self._last.date().isoformat(),
            timestamp=_seconds(self._last),
            distribution=0,  # the own organisation: sharing is a decision of people
            threat_level_id=4,  # undefined
            analysis=0,  # initial
            published=False,
        )

    def images(self) -> None:
        """A file, its annotation, and an image object for each of its posts with a URL."""
        for item in self._campaign.items:
            if not item.finding.sha256:
                continue
            file = self._file(item)
            self._files[item.finding.sha256] = file
            self._annotate(
                ["finding", item.finding.sha256], sentences.assessment(item), "Assessment", [file]
            )
            for post in item.posts:
                if post.url:
                    self._post(item, post, file)

    def clusters(self) -> None:
        """An annotation for every same-image cluster."""
        for cluster in self._campaign.clusters:
            lines = [sentences.cluster(cluster)]
            lines += [f"{m.sha256}: {sentences.same_picture(m)}" for m in cluster.members]
            lines += [f"Accounts: {', '.join(cluster.accounts)}."] if cluster.accounts else []
            files = [self._files[m.sha256] for m in cluster.members if m.sha256 in self._files]
            self._annotate(["cluster", cluster.id], "\n".join(lines), "Same picture", files)

    def links(self) -> None:
        """An annotation for every trace that accounts share."""
        for link in self._campaign.links:
            text = (
                f"{link.words}\n{link.trace}: {link.value}\nAccounts: {', '.join(link.accounts)}."
            )
            files = [self._files[sha256] for sha256 in link.sha256s if sha256 in self._files]
            self._annotate(["link", link.trace, link.value], text, "Lead", files)

    def suggestions(self) -> None:
        """A tagged annotation for every DISARM technique to consider."""
        for suggestion in disarm.suggestions(self._campaign):
            files = [self._files[sha256] for sha256 in suggestion.sha256s]
            key = ["technique", suggestion.technique.number]
            text = self._annotate(key, suggestion.words, "Suggestion", files)
            text.add_tag(suggestion.technique.misp_tag)

    def summary(self) -> None:
        """The event report, in Markdown."""
        lines = [f"# {_markdown(self._campaign.title)}", ""]
        lines += [f"{_markdown(line)}\n" for line in sentences.summary(self._campaign).split("\n")]
        lines += [
            f"- {_markdown(sentences.share(row))}"
            for row in self._campaign.prevalence
            if row.by != "all"
        ]
        self.event.add_event_report(
            name="What was found, and what cannot be said",
            content="\n".join(lines),
            uuid=self._uuid("report"),
            distribution=5,  # as the event
            timestamp=_seconds(self._last),
        )

    def finished(self) -> Any:
        """The event, with the times of the scans kept."""
        # pymisp drops the time of whatever was touched after it was made.
        for made in self.event.objects:
            for part in (*made.attributes, *made.references, made):
                part.edited = False
        self.event.edited = False
        return self.event

    # Inside

    def _file(self, item: Item) -> Any:
        finding, facts = item.finding, item.finding.file
        file = self._object("file", ["file", finding.sha256])
        file.comment = sentences.headline(item)
        confirmed = self._labels.get(finding.sha256) == 1
        sha256 = self._attribute(file, "sha256", finding.sha256, to_ids=confirmed)
        tag = sentences.likelihood_tag(item)
        if tag:
            sha256.add_tag(tag)
        label = self._labels.get(finding.sha256)
        if label is not None:
            sha256.comment = f"Confirmed by an analyst as {'generated' if label else 'real'}"
        for name in sorted({_base(path) for path in item.paths}):
            self._attribute(file, "filename", name)
        for path in item.paths:
            self._attribute(file, "fullpath", path)
        if facts is not None:
            self._attribute(file, "size-in-bytes", str(facts.bytes))
            self._attribute(file, "mimetype", mime_type(facts.format))
        return file

    def _post(self, item: Item, post: Post, file: Any) -> None:
        when = utc(post.posted_at) or str(post.line)
        key = ["post", item.finding.sha256, post.account, post.url, when]
        image = self._object("image", key)
        seen = f" at {utc(post.posted_at)}" if post.posted_at else ""
        image.comment = _text(f"Posted{seen} on {post.platform or 'an unnamed platform'}")
        if post.posted_at:
            image.first_seen = image.last_seen = post.posted_at
        self._attribute(image, "link", post.url)
        self._attribute(image, "username", post.account)
        self._attribute(image, "image-text", post.text)
        self._refer(image, file, "related-to")

    def _annotate(self, key: list[str], text: str, kind: str, files: list[Any]) -> Any:
        note = self._object("annotation", key)
        made = self._attribute(note, "text", text)
        self._attribute(note, "type", kind)
        self._attribute(note, "format", "text")
        self._attribute(note, "creation-date", utc(self._last) or "")
        for file in files:
            self._refer(note, file, "annotates")
        return made

    def _object(self, template: str, key: list[str]) -> Any:
        made = self._pymisp.MISPObject(template)
        made.uuid = self._uuid(*key)
        made.timestamp = _seconds(self._last)
        made.distribution = 5
        self.event.add_object(made)
        return made

    def _attribute(self, target: Any, relation: str, value: str, to_ids: bool = False) -> Any:
        if not _text(value).strip():
            return None  # MISP refuses empty values
        return target.add_attribute(
            relation,
            value=_text(value),
            uuid=self._uuid(target.uuid, relation, value),
            timestamp=_seconds(self._last),
            to_ids=to_ids,
            disable_correlation=relation not in ("sha256", "link", "username"),
        )

    def _refer(self, source: Any, target: Any, how: str) -> None:
        reference = source.add_reference(target.uuid, how)
        reference.uuid = self._uuid(source.uuid, how, target.uuid)

    def _uuid(self, *key: str) -> str:
        run = [self._campaign.custody.store, utc(self._first), *key]
        return str(uuid.uuid5(NAMESPACE, json.dumps(run)))


def _text(text: str) -> str:
    return names.printable(text).replace("\0", "\\x00")


def _markdown(text: str) -> str:
    """Text that is only text where Markdown is shown."""
    plain = names.one_line(names.printable(text))
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#!|@$~" else c for c in plain)


def _base(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name or path


def _seconds(moment: datetime) -> int:
    return int(moment.astimezone(timezone.utc).timestamp())


def _pymisp() -> ModuleType:
    try:
        import pymisp
    except ImportError as error:
        raise MissingExtraError("MISP export", "campaign") from error
    module: ModuleType = pymisp
    return module
