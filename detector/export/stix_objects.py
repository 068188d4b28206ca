"""Makes the objects of a STIX bundle one kind at a time; see `detector.export.stix`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from detector import names
from detector.campaign.records import Campaign, Item, Post
from detector.export import disarm, sentences
from detector.export.files import mime_type, plain, utc
from detector.export.stix_base import ANALYSTS_ID, DEFINED, Collector


class Maker(Collector):
    """Makes the objects of one campaign, in the order in which `stix.bundle` asks for them."""

    def __init__(self, stix2: ModuleType, campaign: Campaign, tlp: str) -> None:
        super().__init__(stix2, campaign, tlp)
        self._campaign = campaign
        # Without a table the "accounts" are folders, which are nobody's accounts.
        self._has_context = bool(campaign.context.source)
        self._platforms: dict[str, set[str]] = {}
        for item in campaign.items:
            for post in item.posts:
                self._platforms.setdefault(post.account, set()).add(post.platform)
        self._files: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._observed: dict[str, list[str]] = {}

    def observables(self, thumbnails: Mapping[str, bytes]) -> None:
        """A File for every image, and an Artifact for its thumbnail."""
        for item in self._scored_first():
            finding, facts = item.finding, item.finding.file
            values: dict[str, Any] = {"hashes": {"SHA-256": finding.sha256}}
            if facts is not None:
                values["size"] = facts.bytes
                if mime_type(facts.format):
                    values["mime_type"] = mime_type(facts.format)
            file = self._observable("File", **values)
            self._files[finding.sha256] = file
            if finding.sha256 in thumbnails:
                self._artifact(thumbnails[finding.sha256], file)

    def posts(self) -> None:
        """An ObservedData for every post, and for every image that has none."""
        for item in self._scored_first():
            if not item.posts:
                self._observe(item, None, [self._files[item.finding.sha256]])
            for post in item.posts:
                refs = [self._files[item.finding.sha256]]
                if post.account and self._has_context:
                    refs.append(self.account(post.account, post.platform))
                if post.url:
                    refs.append(self._observable("URL", value=names.printable(post.url)))
                self._observe(item, post, refs)

    def notes(self) -> None:
        """A Note on every image with its verdict, and on every share and gap."""
        for item in self._scored_first():
            sha256 = item.finding.sha256
            self._notes[sha256] = self._note(
                ["finding", sha256],
                sentences.headline(item),
                sentences.assessment(item),
                [self._files[sha256], *self._observed.get(sha256, ())],
                extension=self._figures(item),
            )
        for row in self._campaign.prevalence:
            refs = self._accounts([row.group]) if row.by == "account" else []
            if refs:
                abstract = "Share of generated pictures of this account"
                self._note(["share", row.by, row.group], abstract, sentences.share(row), refs)

    def clusters(self) -> None:
        """A Grouping for every same-image cluster, and how each member was found."""
        for cluster in self._campaign.clusters:
            refs = [self._files[m.sha256] for m in cluster.members if m.sha256 in self._files]
            if not refs:
                continue
            first = refs[0]
            for member in cluster.members:
                file = self._files.get(member.sha256)
                if file is not None and file != first:
                    self._relate(file, "related-to", first, sentences.same_picture(member))
            self._grouping(
                ["cluster", cluster.id],
                f"Same picture, {cluster.id}",
                sentences.cluster(cluster),
                [*refs, *self._accounts(cluster.accounts)],
            )

    def links(self) -> None:
        """A Note on every trace that accounts share, and a Relationship for every edge."""
        for link in self._campaign.links:
            refs = [*self._accounts(link.accounts), *self._of(link.sha256s)]
            content = f"{link.words}\n{link.trace}: {link.value}"
            if link.reference_rate is not None:
                content += f"\nShare of reference images with it: {link.reference_rate:.3%}."
            if refs:
                abstract = f"Lead: {len(link.accounts)} accounts share a trace ({link.trace})"
                self._note(["link", link.trace, link.value], abstract, content, refs)
        for edge in self._campaign.edges if self._has_context else ():
            one, other = (self._accounts([name]) for name in edge.accounts)
            words = (
                f"A lead: the accounts share {len(edge.clusters)} pictures and "
                f"{len(edge.traces)} production traces."
            )
            for a, b in zip(one[:1], other[:1], strict=False):
                self._relate(a, "related-to", b, words)

    def labels(self, labels: Mapping[str, int]) -> None:
        """An Opinion on the Note of every labelled image, an Indicator where it was confirmed."""
        known = {sha256: label for sha256, label in labels.items() if sha256 in self._notes}
        if known:
            self._add(
                self._stix2.Identity(
                    id=ANALYSTS_ID,
                    created=DEFINED,
                    modified=DEFINED,
                    name="Analysts who labelled images",
                    identity_class="group",
                )
            )
        verdicts = {i.finding.sha256: i.finding.verdict for i in self._campaign.items}
        for sha256, generated in sorted(known.items()):
            word = verdicts[sha256]
            flagged = word is not None and str(word) == "likely_generated"
            unsure = word is None or str(word) == "inconclusive"
            opinion = "neutral" if unsure else "agree" if flagged == bool(generated) else "disagree"
            self._add(
                self._stix2.Opinion(
                    **self._common("opinion", ["label", sha256], author=ANALYSTS_ID),
                    opinion=opinion,
                    explanation=f"Confirmed as {'generated' if generated else 'real'}.",
                    object_refs=[self._notes[sha256]],
                )
            )
            if generated:
                self._indicator(sha256)

    def suggestions(self) -> None:
        """A Note for every DISARM technique to consider, under its published id."""
        for suggestion in disarm.suggestions(self._campaign):
            technique = suggestion.technique
            self._note(
                ["technique", technique.number],
                f"Suggested technique: DISARM {technique.number} {technique.name}",
                suggestion.words,
                [technique.stix_id, *self._of(suggestion.sha256s)],
                external_references=[
                    {
                        "source_name": "DISARM",
                        "external_id": technique.number,
                        "url": technique.url,
                    }
                ],
            )

    def whole(self, name: str) -> None:
        """The set as a Grouping, with what can and cannot be said, and a Report over all of it."""
        campaign = self._campaign
        content = sentences.summary(campaign)
        if self._files:
            group = self._grouping(["set"], campaign.title, content, self._files.values())
            self._note(["summary"], "What was found, and what cannot be said", content, [group])
        if name:
            self._add(
                self._stix2.Campaign(
                    **self._common("campaign", ["campaign", name]), name=names.printable(name)
                )
            )
        refs = [key for key in self._objects if not key.startswith(("marking-", "extension-"))]
        self._add(
            self._stix2.Report(
                **self._common("report", ["report"]),
                name=names.printable(campaign.title) or "Images",
                description=names.printable(content),
                report_types=["observed-data"],
                published=self._modified,
                object_refs=refs,
            )
        )

    def account(self, account: str, platform: str) -> str:
        """The id of an account's UserAccount."""
        values = {"account_login": names.printable(account)}
        if platform:
            values["account_type"] = names.printable(platform).lower()
        return self._observable("UserAccount", **values)

    # Inside

    def _scored_first(self) -> Iterable[Item]:
        return (item for item in self._campaign.items if item.finding.sha256)

    def _accounts(self, accounts: Iterable[str]) -> list[str]:
        if not self._has_context:
            return []
        return [
            self.account(account, platform)
            for account in sorted(set(accounts) & self._platforms.keys())
            for platform in sorted(self._platforms[account])
        ]

    def _of(self, sha256s: Iterable[str]) -> list[str]:
        return [self._files[sha256] for sha256 in sha256s if sha256 in self._files]

    def _figures(self, item: Item) -> dict[str, Any]:
        finding = item.finding
        values = {
            "extension_type": "property-extension",
            "status": str(finding.status),
            "verdict": None if finding.verdict is None else str(finding.verdict),
            "verdict_code": finding.verdict_code,
            "score": finding.score,
            "probability": finding.probability,
            "prior": None if finding.probability is None else sentences.PRIOR,
            "likelihood_ratio": finding.lr,
            "model": finding.model,
            "config_hash": self._campaign.custody.config_hash,
            "stratum": None if finding.stratum is None else str(finding.stratum),
            "paths": list(item.paths),
            "evidence": [evidence.to_record() for evidence in item.evidence],
        }
        return {key: value for key, value in plain(values).items() if value not in (None, "", [])}

    def _observe(self, item: Item, post: Post | None, refs: list[str]) -> None:
        when = (post.posted_at if post else None) or self._created
        key = ["seen", item.finding.sha256]
        if post is not None:
            key += [post.account, post.platform, post.url, utc(post.posted_at) or str(post.line)]
        observed = self._add(
            self._stix2.ObservedData(
                **self._common("observed-data", key),
                first_observed=when,
                last_observed=when,
                number_observed=1,
                object_refs=refs,
            )
        )
        self._observed.setdefault(item.finding.sha256, []).append(observed)

    def _artifact(self, thumbnail: bytes, file: str) -> None:
        data = base64.b64encode(thumbnail).decode("ascii")
        artifact = self._observable("Artifact", mime_type="image/webp", payload_bin=data)
        self._relate(artifact, "derived-from", file, "A thumbnail of the file.")

    def _indicator(self, sha256: str) -> None:
        indicator = self._add(
            self._stix2.Indicator(
                **self._common("indicator", ["confirmed", sha256]),
                name="An image that an analyst confirmed as generated",
                description="Matches these bytes only. Generated does not mean malicious.",
                indicator_types=["unknown"],
                pattern=f"[file:hashes.'SHA-256' = '{sha256}']",
                pattern_type="stix",
                valid_from=self._created,
            )
        )
        for observed in self._observed.get(sha256, ()):
            self._relate(indicator, "based-on", observed, "")
