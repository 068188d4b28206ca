"""Findings, stores and pages that the tests of the report are made from."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from detector.results import CropScore, FileFacts, Finding, Status, Stratum, Verdict
from detector.store import ScanInfo, Store

FACTS = {
    "threshold": 1.5,
    "no_sign_below": -0.5,
    "prior": 0.5,
    "measured_on": "Made-up figures of a test.",
    "overall": {"tpr": 0.613, "fpr": 0.021, "real": 400, "generated": 300, "sources": 12},
    "strata": {"jpeg/medium/light": {"tpr": 0.7, "fpr": 0.014, "real": 90, "generated": 80}},
}
HOSTILE = (
    "<script>document.title='pwned'</script>.jpg",
    "<img src=x onerror=\"document.title='pwned'\">.jpg",
    "</script><script>document.title='pwned'</script>.jpg",
    "</title><svg onload=document.title='pwned'>.jpg",
    "\"' onmouseover=document.title='pwned' x='.jpg",
    "<!-- thumbnails --><!--<script>.jpg",
    "photo\u202egpj.exe",
    "line\nbreak\u2028and\u2029more.jpg",
    "&lt;b&gt;&amp;.jpg",
    "$title ${script} $$.jpg",
)


def sha_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def scored(path: str, score: float, *, content: str | None = None, **changes: object) -> Finding:
    sha = sha_of(content or path)
    verdict = (
        Verdict.LIKELY_GENERATED
        if score >= 1.5
        else Verdict.NO_SIGN
        if score < -0.5
        else Verdict.INCONCLUSIVE
    )
    values: dict[str, object] = {
        "path": path,
        "sha256": sha,
        "status": Status.OK,
        "reason": f"The score is {score:.1f}.",
        "model": "lite_v1",
        "score": score,
        "probability": 0.9 if score > 0 else 0.1,
        "lr": 9.0 if score > 0 else 1 / 9,
        "verdict": verdict,
        "verdict_code": "score",
        "crops": (
            CropScore("native", 10, 20, 224, 224, score + 0.5),
            CropScore("whole", 0, 0, 640, 480, score),
        ),
        "spread": 0.4,
        "stratum": Stratum("jpeg", "medium", "light"),
        "file": FileFacts(sha, 81_234, "JPEG", 640, 480, jpeg_quality=85),
    }
    return Finding(**(values | changes))  # type: ignore[arg-type]


def failed(path: str, status: Status = Status.TRUNCATED) -> Finding:
    return Finding(
        path, sha_of(f"failed {path}"), status, "The data end after 12 of 480 lines.", "lite_v1"
    )


def webp(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), (shade % 256, 90, 120)).save(stream, "WEBP", quality=60)
    return stream.getvalue()


def make_store(
    path: Path, findings: Sequence[Finding], command: str = "detector scan in --store s.db"
) -> Store:
    store = Store.open(path)
    scan = store.begin_scan("lite_v1", "c0ffee", command=command, roots=["in"])
    previews = {f.sha256: webp(i) for i, f in enumerate(findings) if f.ok}
    store.put(findings, previews, "c0ffee", scan=scan)
    store.end_scan(scan, "finished")
    return store


def mixed() -> list[Finding]:
    return [
        scored("/data/in/anna/b10.jpg", 3.0),
        scored("/data/in/anna/b9.jpg", 2.0),
        scored("/data/in/bert/c.jpg", 0.5, notes=("animated: the first of 3 frames was scored",)),
        scored("/data/in/bert/copy.jpg", 3.0, content="/data/in/anna/b10.jpg"),
        scored("/data/in/d.png", -4.0, file=FileFacts("d", 9, "PNG", 64, 64, lossless=True)),
        failed("/data/in/bert/half.jpg"),
        failed("/data/in/none.txt", Status.UNSUPPORTED),
    ]


class FindingsOnly:
    """Stands in for a store, for names that no file system or database takes."""

    path = Path("s.db")

    def __init__(self, findings: Sequence[Finding], command: str = "c") -> None:
        self._findings = findings
        self._command = command

    def findings(self) -> Sequence[Finding]:
        return self._findings

    def scans(self) -> list[ScanInfo]:
        started = "2026-01-02T03:04:05+00:00"
        return [
            ScanInfo(1, "0.1", "m", "h", self._command, "/", (self._command,), started, None, None)
        ]

    def get_evidence(self, sha256: str) -> None:
        return None


class Page(HTMLParser):
    """A page's elements, attributes, and the text of its script, style and title elements."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.raw: list[tuple[str, dict[str, str], str]] = []
        self.text = ""
        self._inside: tuple[str, dict[str, str]] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in ("script", "style", "title"):
            self._inside = (tag, {name: value or "" for name, value in attrs})
            self.raw.append((*self._inside, ""))

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[0]:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[-1] = (*self._inside, self.raw[-1][2] + data)
        else:
            self.text += data

    def script(self, identifier: str) -> str:
        return next(text for _, attrs, text in self.raw if attrs.get("id") == identifier)

    @property
    def data(self) -> dict[str, object]:
        return json.loads(self.script("report-data"))

    @property
    def details(self) -> list[dict[str, object]]:
        """What the sheets of the images show, in the order of their numbers."""
        blocks = [t for _, attrs, t in self.raw if attrs.get("id", "").startswith("details-")]
        return [json.loads(line) for block in blocks for line in block.split("\n")]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())
