"""Finds production traces that several accounts share, and how surprising each is.

Null model. Accounts post independently of each other. An account that carries traces of a kind
at all carries this value with a chance that comes from the reference set: for what an author
keeps (`traces.KEPT`) the share of reference sources with the value; for what is new in every image
1 − (1 − r)^n, with r the share of reference images and n the account's own pictures with such
traces. Given that one account carries the value, the surprise is −log10 of the chance that at
least as many of the other accounts do, times the number of distinct values of that kind in the
set, since all of them were looked at.

Three cautions are built in. A picture posted by several accounts is one picture: its traces link
nobody. A size, a JPEG table or a tool that most accounts of a platform carry is counted as the
platform's habit. No tool counts as rarer than one source in ten.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detector.campaign.records import Item, TraceLink
from detector.campaign.reference import Reference, shipped
from detector.campaign.traces import (
    CONTAINER,
    KEPT,
    passage,
    prompts_of,
    shingles,
    traces_of,
    words_of,
)
from detector.names import one_line

MOST_LINKS = 500
# Sizes, tables and tools are shared everywhere: without surprise they are not worth a line.
_SHARED_BY_MANY = CONTAINER | {"generator"}
_LEAST_SURPRISE = 0.05
# Few tools and services make most images, so that no tool counts as rarer than this.
_LEAST_FOR_TOOL = 0.1
_PLATFORMS_OWN = 0.5
_LEAD = "This is a lead and not a proof: traces can be copied, and others may share them."
_NAMES = {
    "generator": "name the same generator",
    "model": "name the same model",
    "lora": "name the same add-on weights",
    "seed": "name the same seed",
    "prompt": "hold prompts that share a passage",
    "c2pa_signer": "were signed by the same signer",
    "c2pa_certificate": "were signed with the same certificate",
    "aigc_producer": "name the same producer code",
    "aigc_propagator": "name the same propagator code",
    "camera": "name the same camera",
    "quantisation": "were saved with the same JPEG tables",
    "size": "have the same size in pixels",
}


@dataclass
class _Carriers:
    """Who carries one value: account to picture to the images of it."""

    shown: str = ""
    by_account: dict[str, dict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )

    def add(self, account: str, picture: str, sha256: str) -> None:
        self.by_account[account][picture].add(sha256)


def find_links(items: Sequence[Item], reference: Reference | None = None) -> list[TraceLink]:
    """The links between accounts, the most surprising first, `MOST_LINKS` at most.

    Args:
        items: the images with their posts, evidence and clusters.
        reference: how common traces are; the shipped table when None.
    """
    reference = reference or shipped()
    values, amounts = _collected(items)
    prompts, prompt_amounts = _collected_prompts(items)
    platforms = _platforms(items)
    found = []
    distinct: dict[str, int] = defaultdict(int)
    for kind, _ in values:
        distinct[kind] += 1
    for (kind, value), carriers in values.items():
        if len(carriers.by_account) < 2:
            continue
        chances = _chances(kind, value, amounts[kind], reference)
        if kind in _SHARED_BY_MANY:
            chances = _at_least_the_platforms(chances, carriers, amounts[kind], platforms)
        rate = reference.image_rate(kind, value)
        found += _link(kind, carriers, chances, rate, distinct[kind], reference)
    found += _prompt_links(items, prompts, prompt_amounts, reference)
    found.sort(key=lambda link: (-link.surprise, link.trace, link.value))
    return found[:MOST_LINKS]


def picture_of(item: Item) -> str:
    """What stands for the picture that an image shows: its cluster, or the image itself."""
    return item.cluster or item.finding.sha256


def _collected(
    items: Sequence[Item],
) -> tuple[dict[tuple[str, str], _Carriers], dict[str, dict[str, int]]]:
    """Carriers by kind and value; and by kind how many pictures of each account have any."""
    values: dict[tuple[str, str], _Carriers] = defaultdict(_Carriers)
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for item in items:
        for trace in traces_of(item):
            carriers = values[trace.kind, trace.value]
            carriers.shown = min(filter(None, (carriers.shown, trace.shown)))
            for account in _accounts(item):
                carriers.add(account, picture_of(item), item.finding.sha256)
                seen[trace.kind][account].add(picture_of(item))
    amounts = {
        kind: {account: len(pictures) for account, pictures in by.items()}
        for kind, by in seen.items()
    }
    return dict(values), defaultdict(dict, amounts)


def _collected_prompts(items: Sequence[Item]) -> tuple[dict[str, _Carriers], dict[str, int]]:
    """The same for the shingles of prompts; the second counts prompts of each account."""
    found: dict[str, _Carriers] = defaultdict(_Carriers)
    seen: dict[str, set[str]] = defaultdict(set)
    for item in items:
        for prompt in prompts_of(item.evidence):
            for account in _accounts(item):
                seen[account].add(picture_of(item))
                for shingle in shingles(prompt):
                    found[shingle].add(account, picture_of(item), item.finding.sha256)
    return dict(found), {account: len(pictures) for account, pictures in seen.items()}


def _prompt_links(
    items: Sequence[Item],
    found: Mapping[str, _Carriers],
    amounts: Mapping[str, int],
    reference: Reference,
) -> list[TraceLink]:
    """One link for every set of accounts whose prompts share shingles, by the rarest of them."""
    prompts = {i.finding.sha256: prompts_of(i.evidence) for i in items if i.evidence}
    distinct = len({prompt for texts in prompts.values() for prompt in texts})
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for shingle, carriers in found.items():
        if len(carriers.by_account) > 1:
            groups[tuple(sorted(carriers.by_account)), _images(carriers)].append(shingle)
    best: dict[tuple[str, ...], TraceLink] = {}
    for (accounts, images), shared in groups.items():
        rarest = min(shared, key=lambda s: (reference.chance_in_image("prompt", s), s))
        carriers = found[rarest]
        texts = (passage(prompt, shared) for prompt in prompts.get(images[0], []))
        carriers.shown = max([*texts, rarest], key=len)
        length = len(words_of(carriers.shown))
        chances = _chances("prompt", rarest, amounts, reference, length)
        rate = reference.image_rate("prompt", rarest)
        for link in _link("prompt", carriers, chances, rate, distinct, reference):
            known = best.get(accounts)
            rank = (link.surprise, len(link.value))
            if known is None or rank > (known.surprise, len(known.value)):
                best[accounts] = link
    return list(best.values())


def _link(
    kind: str,
    carriers: _Carriers,
    chances: Mapping[str, float],
    rate: float | None,
    distinct: int,
    reference: Reference,
) -> list[TraceLink]:
    accounts = tuple(sorted(carriers.by_account))
    apart = _independent(carriers.by_account)
    if apart < 2:
        return []
    others = sorted((chances[a] for a in chances), reverse=True)[1:]
    chance = min(1.0, _at_least(others, apart - 1) * max(1, distinct))
    surprise = -math.log10(max(chance, 1e-300)) + 0.0
    if kind in _SHARED_BY_MANY and surprise < _LEAST_SURPRISE:
        return []
    shown = one_line(carriers.shown)
    words = _words(kind, accounts, rate, reference)
    return [TraceLink(kind, shown, accounts, _images(carriers), rate, round(surprise, 3), words)]


def _chances(
    kind: str, value: str, amounts: Mapping[str, int], reference: Reference, words: int = 0
) -> dict[str, float]:
    """Account to the chance that it carries the value by accident."""
    if kind in KEPT:
        least = _LEAST_FOR_TOOL if kind == "generator" else 0.0
        return dict.fromkeys(amounts, max(least, reference.chance_in_source(kind, value)))
    chance = reference.chance_in_image(kind, value, words)
    return {account: 1 - (1 - chance) ** count for account, count in amounts.items()}


def _at_least_the_platforms(
    chances: dict[str, float],
    carriers: _Carriers,
    amounts: Mapping[str, int],
    platforms: Mapping[str, frozenset[str]],
) -> dict[str, float]:
    """Chances raised for accounts of platforms on which most accounts carry the value."""
    raised = dict(chances)
    for platform in {p for account in carriers.by_account for p in platforms[account]}:
        there = [account for account in amounts if platform in platforms[account]]
        share = sum(account in carriers.by_account for account in there) / max(1, len(there))
        if share > _PLATFORMS_OWN and len(there) > 2:
            raised.update({a: max(raised[a], share) for a in there})
    return raised


def _independent(by_account: Mapping[str, Mapping[str, set[str]]]) -> int:
    """How many accounts can be given a picture of their own that carries the value."""
    holder: dict[str, str] = {}

    def give(account: str, tried: set[str]) -> bool:
        for picture in sorted(by_account[account]):
            if picture not in tried:
                tried.add(picture)
                if picture not in holder or give(holder[picture], tried):
                    holder[picture] = account
                    return True
        return False

    return sum(give(account, set()) for account in sorted(by_account))


def _at_least(chances: Sequence[float], wanted: int) -> float:
    """The chance that at least `wanted` of independent events happen (Poisson binomial)."""
    if wanted <= 0:
        return 1.0
    exactly = [1.0] + [0.0] * wanted  # the last place holds "as many or more"
    for chance in chances:
        top = exactly[wanted] + exactly[wanted - 1] * chance
        for k in range(wanted - 1, 0, -1):
            exactly[k] = exactly[k] * (1 - chance) + exactly[k - 1] * chance
        exactly[0] *= 1 - chance
        exactly[wanted] = top
    return exactly[wanted]


def _images(carriers: _Carriers) -> tuple[str, ...]:
    pictures = carriers.by_account.values()
    return tuple(sorted({sha for by in pictures for images in by.values() for sha in images}))


def _accounts(item: Item) -> list[str]:
    return sorted({post.account for post in item.posts if post.account})


def _platforms(items: Sequence[Item]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for item in items:
        for post in item.posts:
            found[post.account].add(post.platform)
    return {account: frozenset(names) for account, names in found.items()}


def _words(kind: str, accounts: Sequence[str], rate: float | None, reference: Reference) -> str:
    known = reference.kinds.get(kind)
    if rate is None or known is None:
        common = "The reference set cannot say how common that is."
    elif rate == 0:
        common = f"None of {known.images:,} reference images with such a trace carries it."
    else:
        common = f"{rate:.2%} of {known.images:,} reference images with such a trace carry it too."
    says = _NAMES.get(kind, f"share the trace {kind!r}")
    return (
        f"{len(accounts)} accounts posted different pictures whose files {says}. {common} {_LEAD}"
    )
