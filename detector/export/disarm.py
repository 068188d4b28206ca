"""DISARM techniques that a campaign gives reason to consider; suggestions, never assertions.

The ids are those of the DISARM Foundation's STIX bundle (CC BY-SA 4.0), so that a platform that
holds DISARM joins them to its own objects. Whether a technique was used is for an analyst to
say: a generated picture may be a joke, an advertisement, or declared as generated.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.campaign.records import Campaign, Item
from detector.results import Asserts, Verdict


@dataclass(frozen=True)
class Technique:
    """A technique of DISARM: its number, its published name and its published STIX id."""

    number: str
    name: str
    stix_id: str

    @property
    def url(self) -> str:
        """The page of the technique in DISARM's repository."""
        pages = "https://github.com/DISARMFoundation/DISARMframeworks/blob/main/generated_pages"
        return f"{pages}/techniques/{self.number}.md"

    @property
    def misp_tag(self) -> str:
        """The tag of the technique in MISP's galaxy."""
        return f'misp-galaxy:disarm-techniques="{self.name}"'


GENERATED_IMAGES = Technique(
    "T0086.002",
    "Develop AI-Generated Images (Deepfakes)",
    "attack-pattern--7b6c328e-b050-4d76-8e11-ff3b3fe7dea3",
)
ACCOUNT_IMAGERY = Technique(
    "T0145.002",
    "AI-Generated Account Imagery",
    "attack-pattern--f5ce482b-547c-4776-b8ec-acd96c2322d3",
)

# Words in a column of the context table that say a picture is an account's own.
_PROFILE = frozenset(("avatar", "profile", "profile picture", "profile_picture", "banner"))


@dataclass(frozen=True)
class Suggestion:
    """A technique to consider, with the images that give reason to, and one sentence on why."""

    technique: Technique
    sha256s: tuple[str, ...]
    words: str


def suggestions(campaign: Campaign) -> list[Suggestion]:
    """The techniques to consider, in the order of their numbers; often none."""
    pointing = [item for item in campaign.items if item.finding.sha256 and points(item)]
    profile = [item for item in pointing if _is_profile(item)]
    found = []
    for technique, items in ((GENERATED_IMAGES, pointing), (ACCOUNT_IMAGERY, profile)):
        if not items:
            continue
        flagged = sum(item.finding.verdict is Verdict.LIKELY_GENERATED for item in items)
        words = (
            f"Suggestion, not an assertion: consider DISARM {technique.number}, "
            f"{technique.name}. {len(items)} images give reason to: the model calls {flagged} of "
            f"them likely generated, and {sum(map(says_generated, items))} carry a statement in "
            "their file that they are. An analyst decides whether the technique applies."
        )
        sha256s = tuple(sorted(item.finding.sha256 for item in items))
        found.append(Suggestion(technique, sha256s, words))
    return found


def points(item: Item) -> bool:
    """Whether the verdict or the file's own statement says "generated"."""
    return item.finding.verdict is Verdict.LIKELY_GENERATED or says_generated(item)


def says_generated(item: Item) -> bool:
    """Whether any evidence of the file claims that it was generated."""
    return any(evidence.asserts is Asserts.GENERATED for evidence in item.evidence)


def _is_profile(item: Item) -> bool:
    return any(value.strip().lower() in _PROFILE for p in item.posts for value in p.extra.values())
