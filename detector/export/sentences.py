"""The sentences that STIX, MISP and other exports share, made from one campaign."""

from __future__ import annotations

from collections.abc import Sequence

from detector import words
from detector.campaign.records import Campaign, Cluster, Item, Member, Prevalence
from detector.export.tables import in_short

# The prior at which a bundle's probabilities are given, see `detector.calibration`.
PRIOR = 0.5


def headline(item: Item) -> str:
    """The verdict in a few words, such as "likely generated (lite_v4)"."""
    finding = item.finding
    if finding.verdict is None:
        return f"not scored: {str(finding.status).replace('_', ' ')}"
    return f"{str(finding.verdict).replace('_', ' ')} ({finding.model})"


def assessment(item: Item) -> str:
    """What was found on one image, in a few sentences, and what it does not mean."""
    finding = item.finding
    parts = [f"{headline(item).capitalize()}. {finding.reason}".strip()]
    if finding.lr is not None:
        parts.append(
            f"Score {finding.score:+.2f}; likelihood ratio {finding.lr:.3g}: "
            f"{words.support(finding.lr)}."
        )
    parts += [f"The file: {in_short(evidence)}." for evidence in item.evidence]
    parts += [f"Contradiction: {conflict}" for conflict in finding.conflicts]
    parts += [f"Note: {note}." for note in finding.notes]
    parts.append("A score accuses nobody: it is a measurement with an error rate.")
    return "\n".join(parts)


def same_picture(member: Member) -> str:
    """How a member was found to show the same picture as another of its cluster."""
    if member.by == "pdq":
        return f"Shows the same picture: PDQ distance {member.distance} of 256 bits."
    if member.by == "features":
        return f"Shows the same picture: {member.inliers} matched points fit one geometry."
    return "The image that the others of its cluster were compared with."


def cluster(found: Cluster) -> str:
    """One sentence on a same-image cluster: how many files, posts and accounts."""
    return (
        f"{_count(len(found.members), 'file')} that show the same picture, in "
        f"{_count(found.posts, 'post')} by {_count(len(found.accounts), 'account')}."
    )


def share(row: Prevalence) -> str:
    """One sentence on the share of generated pictures in a group, with its interval."""
    where = f"{row.by} {row.group}" if row.group else "the whole set"
    interval = f"{row.low:.0%} to {row.high:.0%}"
    if row.estimate is None:
        figure = f"between {interval}; no estimate"
    else:
        figure = f"about {row.estimate:.0%} ({interval} at the {row.level:.0%} level)"
    return (
        f"Share of generated pictures in {where}: {figure}. {_count(row.pictures, 'picture')}, "
        f"{row.flagged} flagged, {row.inconclusive} inconclusive. {row.reason}"
    )


def summary(campaign: Campaign) -> str:
    """The campaign in a few lines: counts, share, and what cannot be said."""
    items = campaign.items
    counts = _verdicts(items)
    lines = [
        f"{_count(len(items), 'distinct image')}, "
        f"{_count(sum(len(item.posts) for item in items), 'post')}, "
        f"{_count(len(campaign.accounts), 'account')}. By verdict: {counts}. "
        f"{_count(len(campaign.clusters), 'same-image cluster')}."
    ]
    lines += [share(row) for row in campaign.prevalence if row.by == "all"]
    if campaign.gaps:
        gaps = "; ".join(f"{gap.words.rstrip('.')} ({gap.count})" for gap in campaign.gaps)
        lines.append(f"What cannot be said: {gaps}.")
    custody = campaign.custody
    lines.append(
        f"Made by {custody.tool}, model {custody.model}, settings {custody.config_hash}. "
        "Links between accounts are leads, and suggested techniques are suggestions."
    )
    return "\n".join(lines)


def likelihood_tag(item: Item) -> str | None:
    """MISP's estimative-language tag (ICD 203) at the bundle's prior; None without a score."""
    if item.finding.probability is None:
        return None
    word = words.likelihood(item.finding.probability).replace(" ", "-")
    return f'estimative-language:likelihood-probability="{word}"'


def _verdicts(items: Sequence[Item]) -> str:
    found: dict[str, int] = {}
    for item in items:
        verdict = item.finding.verdict
        word = "not scored" if verdict is None else str(verdict).replace("_", " ")
        found[word] = found.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in sorted(found.items())) or "none"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
