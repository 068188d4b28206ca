"""The findings of a scan as a sequence that shows, tabulates and plots itself."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from detector import html
from detector.errors import BundleError, MissingExtraError, UsageError
from detector.images import read_bytes, read_image
from detector.results import Evidence, Finding, Status, Verdict
from detector.store import Store
from detector.weights import Bundle, load_bundle

if TYPE_CHECKING:
    from detector.campaign.records import Campaign
    from detector.notebook.plots import Plots
    from detector.notebook.reportview import ReportView
    from detector.predict import Detector

_NOT_SCORED = "not_scored"


class ResultSet(Sequence[Finding]):
    """Findings in order, with the store that holds their evidence and previews.

    A sequence: `results[0]` is a `Finding`, `results[:10]` a smaller result set. It shows itself
    in a notebook; `to_frame` gives a table, `plot` the plots.

    Attributes:
        store: the SQLite file behind it.
        scan: number of the scan in the store; None for everything in it.
    """

    def __init__(
        self,
        findings: Sequence[Finding],
        store: Path,
        *,
        scan: int | None = None,
        locations: Mapping[str, str] | None = None,
        bundle: str | Path | None = None,
        kept: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self._findings = tuple(findings)
        self._locations = dict(locations or {})
        self._bundle = bundle
        self._kept = kept  # removes a store of our own when the last set that needs it is gone
        self.store = store
        self.scan = scan

    @classmethod
    def open(
        cls,
        store: str | Path | Any,
        *,
        scan: int | None = None,
        model: str | None = None,
        bundle: str | Path | None = None,
        kept: tempfile.TemporaryDirectory[str] | None = None,
    ) -> ResultSet:
        """The findings of a store.

        Args:
            store: the SQLite file that `detector scan` wrote.
            scan: number of a scan, to see what it saw; None for every path of the store.
            model: a model's id, when several scanned into the store; None for the last one.
            bundle: name or folder of the bundle, when it is not one that ships.
            kept: a folder to remove with the result set.

        Raises StoreError for a missing, foreign or damaged file.
        """
        with Store.open(store, readonly=True) as opened:
            view = opened if scan is None else opened.limited_to(scan)
            findings = list(view.findings(model))
            locations = dict(view.locations())
        return cls(findings, Path(store), scan=scan, locations=locations, bundle=bundle, kept=kept)

    # A sequence

    def __len__(self) -> int:
        return len(self._findings)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> ResultSet: ...
    def __getitem__(self, index: int | slice) -> Finding | ResultSet:
        if isinstance(index, slice):
            return self._with(self._findings[index])
        return self._findings[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def where(
        self, test: Callable[[Finding], bool] | None = None, *, verdict: str | None = None
    ) -> ResultSet:
        """The findings for which `test` holds, or that have a verdict.

        Args:
            test: a function of a finding.
            verdict: "likely_generated", "inconclusive", "no_sign" or "not_scored".

        Raises UsageError for a verdict that does not exist.
        """
        words = [*(v.value for v in Verdict), _NOT_SCORED]
        if verdict is not None and verdict not in words:
            raise UsageError(f"no verdict {verdict!r}: one of {', '.join(words)}")
        return self._with(
            [
                f
                for f in self._findings
                if (test is None or test(f)) and (verdict is None or _word(f) == verdict)
            ]
        )

    def by_score(self) -> ResultSet:
        """The same findings, highest score first; those without a score come last."""
        return self._with(
            sorted(self._findings, key=lambda f: (f.score is None, -(f.score or 0.0), f.path))
        )

    def named(self, part: str) -> int:
        """The index of the one finding whose path holds `part`.

        Raises UsageError when there is none or more than one.
        """
        found = [i for i, f in enumerate(self._findings) if part in f.path]
        if len(found) != 1:
            raise UsageError(f"{len(found)} paths hold {part!r}; name one")
        return found[0]

    # What is known of one image

    def path(self, index: int) -> str:
        """The name that opens the file of a finding, absolute, or a URL."""
        finding = self._findings[index]
        return self._locations.get(finding.path, finding.path)

    def evidence(self, index: int) -> list[Evidence]:
        """What the file of a finding says of its origin.

        Taken from the store when the scan gathered it; else gathered now from the file.
        Raises ImageError when the file is gone and the store has nothing.
        """
        sha256 = self._findings[index].sha256
        if sha256:
            with Store.open(self.store, readonly=True) as store:
                kept = store.get_evidence(sha256)
            if kept is not None:
                return kept
        from detector.evidence import gather

        return gather(read_bytes(self.path(index)))

    def rgb(self, index: int) -> Any:
        """(H, W, 3) uint8 upright RGB pixels of the file of a finding; raises ImageError."""
        return read_image(read_bytes(self.path(index))).rgb

    def thumbnails(self, most: int | None = None) -> dict[str, bytes]:
        """WebP previews by sha256, of the first `most` findings; None for all."""
        with Store.open(self.store, readonly=True) as store:
            found = {f.sha256: store.thumbnail(f.sha256) for f in self._findings[:most]}
        return {sha256: data for sha256, data in found.items() if data}

    def card(self, index: int) -> Card:
        """One finding with preview and evidence, as a card that shows itself in a notebook."""
        finding = self._findings[index]
        picture = self[index : index + 1 or None].thumbnails().get(finding.sha256)
        found = [item.to_record() for item in self.evidence(index)]
        return Card(
            html.finding_card(finding.to_record(), picture, evidence=found, marks=self._marks()),
            f"{finding.path}: {_word(finding)}. {finding.reason}",
        )

    # The model

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle that made the findings; raises BundleError when it is not installed."""
        models = sorted({f.model for f in self._findings if f.model})
        if self._bundle is None and len(models) > 1:
            raise UsageError(f"these findings are of several models ({', '.join(models)})")
        return load_bundle(self._bundle or (models[0] if models else None))

    @cached_property
    def detector(self) -> Detector:
        """The model, loaded at first use; loads torch."""
        from detector.predict import Detector

        return Detector(self.bundle)

    # Other forms

    def to_frame(self, *, evidence: bool = True) -> Any:
        """A pandas DataFrame, one row a finding, the columns of every export.

        Args:
            evidence: whether a column "evidence" lists the kinds that the store holds; None
                where nobody has looked.

        Raises MissingExtraError without pandas (extra "notebook").
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("A data frame", "notebook") from error
        columns = list(Finding("", "", Status.OK, "").to_record())
        frame = pd.DataFrame([f.to_record() for f in self._findings], columns=columns)
        if evidence:
            with Store.open(self.store, readonly=True) as store:
                kinds = [_kinds(store, f.sha256) for f in self._findings]
            frame["evidence"] = pd.Series(kinds, index=frame.index, dtype=object)
        return frame

    def campaign(self, context: str | Path | None = None, **options: Any) -> Campaign:
        """The findings read as a campaign: same-image clusters, prevalence, links, timeline.

        Args:
            context: a CSV file with one row a post.
            options: further options of `detector.campaign.build`, such as `title` and `labels`.
        """
        from detector.campaign import build

        with Store.open(self.store, readonly=True) as store:
            view = store if self.scan is None else store.limited_to(self.scan)
            return build(view, context=context, **options)

    def report(
        self,
        out: str | Path,
        *,
        context: str | Path | None = None,
        title: str | None = None,
        **options: Any,
    ) -> ReportView:
        """Write the campaign's HTML page, and give something that shows it in a notebook.

        The page holds what the store holds, or the scan of this result set, not only a subset.

        Args:
            out: the HTML file.
            context: a CSV file with one row a post.
            title: the page's heading.
            options: further options of `detector.report.write_report`.
        """
        from detector.notebook.reportview import ReportView, write

        try:
            bundle = self.bundle
        except (BundleError, UsageError):  # the page then says that no error rate is known
            bundle = None
        with Store.open(self.store, readonly=True) as store:
            view = store if self.scan is None else store.limited_to(self.scan)
            write(view, Path(out), context=context, title=title, bundle=bundle, **options)
        return ReportView(Path(out))

    @property
    def plot(self) -> Plots:
        """Plots on matplotlib; each method returns axes."""
        from detector.notebook.plots import Plots

        return Plots(self)

    def counts(self) -> dict[str, int]:
        """How many findings have each verdict; "not_scored" for failures."""
        found = Counter(_word(f) for f in self._findings)
        return {word: found[word] for word in html.VERDICT_WORDS}

    def __repr__(self) -> str:
        return f"<ResultSet: {self._title()}>"

    def _repr_html_(self) -> str:
        most = 10
        return html.findings_table(
            [f.to_record() for f in self._findings],
            self.thumbnails(most),
            most=most,
            title=self._title(),
            marks=self._marks(),
        )

    # Inside

    def _title(self) -> str:
        words = [
            f"{count:,} {html.VERDICT_WORDS[word].lower()}"
            for word, count in self.counts().items()
            if count
        ]
        noun = "file" if len(self) == 1 else "files"
        return f"{len(self):,} {noun}" + (f": {', '.join(words)}" if words else "")

    def _marks(self) -> tuple[float, ...]:
        try:
            limits = self.bundle.thresholds
        except (BundleError, UsageError):  # another machine's model: a bar without marks
            return ()
        return (limits.inconclusive, limits.likely_generated)

    def _with(self, findings: Sequence[Finding]) -> ResultSet:
        return ResultSet(
            findings,
            self.store,
            scan=self.scan,
            locations=self._locations,
            bundle=self._bundle,
            kept=self._kept,
        )


class Card:
    """HTML for a notebook, and the same in a line of text."""

    def __init__(self, made: str, text: str) -> None:
        self._made, self._text = made, text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._made


def _word(finding: Finding) -> str:
    return finding.verdict.value if finding.verdict is not None else _NOT_SCORED


def _kinds(store: Store, sha256: str) -> list[str] | None:
    found = store.get_evidence(sha256) if sha256 else None
    return None if found is None else [item.kind for item in found]
