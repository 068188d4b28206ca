"""The report as one value: a campaign, what is known of its model, and what follows from both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from detector.campaign.records import Campaign, Cluster, Item
from detector.report.facts import ModelFacts
from detector.report.wording import NOT_SCORED, count
from detector.results import Finding, Status, Verdict

_WINDOWS = re.compile(r"^(?:[A-Za-z]:[\\/]|\\\\)")


@dataclass(frozen=True)
class Document:
    """Everything that a report says, before it is put into words.

    Attributes:
        campaign: the images and what was found in them together.
        facts: the model's thresholds and error rates, as far as they are known.
        card: the model's card as text; "" when it is not at hand.
    """

    campaign: Campaign
    facts: ModelFacts
    card: str = ""

    @property
    def title(self) -> str:
        """The page's heading."""
        return self.campaign.title

    @property
    def analysed(self) -> bool:
        """Whether the images were compared; else the page says that nothing was looked for."""
        found = self.campaign
        return bool(found.prevalence or found.clusters or found.gaps or found.timeline)

    @property
    def items(self) -> tuple[Item, ...]:
        """One per distinct image, in the order of their numbers (the first is image 1)."""
        return self.campaign.items

    @property
    def by_folder(self) -> bool:
        """Whether folders stand for accounts, since no table of context was given."""
        return not self.campaign.context.source

    def accounts_word(self, number: int) -> str:
        """A number of accounts, or of folders where these stand for them."""
        return count(number, "folder" if self.by_folder else "account")

    @cached_property
    def counts(self) -> Counter[str]:
        """Images per verdict word, with `NOT_SCORED` for those that have none."""
        return Counter(verdict_of(item.finding) for item in self.items)

    @cached_property
    def failures(self) -> tuple[tuple[int, Finding], ...]:
        """The images that were not scored, with their indices."""
        return tuple((i, item.finding) for i, item in enumerate(self.items) if not item.finding.ok)

    @cached_property
    def statuses(self) -> Counter[Status]:
        """Images per status, without those that were scored."""
        return Counter(finding.status for _, finding in self.failures)

    @cached_property
    def files(self) -> int:
        """Number of files; the same bytes under two names are one image in two files."""
        return sum(max(len(item.paths), 1) for item in self.items)

    @cached_property
    def posts(self) -> int:
        """Number of posts that carry one of the images."""
        return sum(len(item.posts) for item in self.items)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Index of an image by its sha256."""
        return {item.finding.sha256: i for i, item in enumerate(self.items) if item.finding.sha256}

    @cached_property
    def clusters(self) -> tuple[Cluster, ...]:
        """The campaign's clusters, those of most accounts and posts first."""

        def rank(cluster: Cluster) -> tuple[int, int, int, str]:
            return -len(cluster.accounts), -cluster.posts, -len(cluster.members), cluster.id

        return tuple(sorted(self.campaign.clusters, key=rank))

    @cached_property
    def cluster_numbers(self) -> dict[str, int]:
        """A cluster's number on the page, by its id."""
        return {cluster.id: number for number, cluster in enumerate(self.clusters, 1)}

    @cached_property
    def places(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Folder (below `root`, "" for itself) and file name of every path of every image."""
        cut = len(self.root)
        return tuple(
            tuple((folder[cut:].strip("/\\"), name) for folder, name in split)
            for split in self._split
        )

    @cached_property
    def root(self) -> str:
        """The folder that all files lie below, as far as the paths share one."""
        return shared_folder({folder for split in self._split for folder, _ in split})

    @cached_property
    def _split(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        return tuple(
            tuple(split_path(path) for path in item.paths or (item.finding.path,))
            for item in self.items
        )

    @cached_property
    def facts_model(self) -> str:
        """The model that `facts` hold for: the one they name, else the campaign's."""
        return self.facts.model or self.campaign.custody.model

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The ids of the models whose scores are shown, sorted."""
        return tuple(sorted({item.finding.model for item in self.items if item.finding.model}))

    @cached_property
    def scored(self) -> int:
        """Images that have a verdict."""
        return sum(self.counts[verdict.value] for verdict in Verdict)


def verdict_of(finding: Finding) -> str:
    """The verdict's fixed word, or `NOT_SCORED`."""
    return NOT_SCORED if finding.verdict is None else finding.verdict.value


def shared_folder(folders: Iterable[str]) -> str:
    """The folder that all of these lie in or below, as far as they share whole parts."""
    shared: list[str] | None = None
    for folder in sorted(folders):
        parts = re.split(r"([/\\])", folder)
        if shared is None:
            shared = parts
        length = next(
            (i for i, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b),
            min(len(shared), len(parts)),
        )
        # Parts and separators alternate; a shared root ends with a whole part.
        shared = shared[: length - 1 if length and length % 2 == 0 else length]
    return "".join(shared or [])


def split_path(path: str) -> tuple[str, str]:
    """Folder and file name of a local path or a URL.

    A backslash separates only in a path that starts as Windows paths do: elsewhere it can be
    part of a name.
    """
    cut = path.rfind("/")
    if _WINDOWS.match(path):
        cut = max(cut, path.rfind("\\"))
    return path[: max(cut, 0)], path[cut + 1 :]
