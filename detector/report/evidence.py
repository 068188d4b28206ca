"""What the files say of their origin, put into the words and groups of the page."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from detector.campaign.records import Item
from detector.evidence.wording import CLAIMS, TRUSTS, conflicts, kind_words
from detector.names import one_line
from detector.report.wording import CHANNEL_GROUPS, EVIDENCE_GROUPS, clipped
from detector.results import Asserts, Evidence, Trust, Verdict

TRUST_NAMES: dict[Trust, str] = {
    Trust.TRUSTED: "Trusted signature",
    Trust.VALID: "Valid signature",
    Trust.INVALID: "Broken signature",
    Trust.SELF_DECLARED: "Self-declared",
    Trust.INFERRED: "Measured",
}
_RAW_MOST = 20_000  # letters of one piece's raw fields; ComfyUI graphs can be megabytes
_LEADS = ("prompt", "positive_prompt", "model", "seed", "producer", "signed_by")


def conflicts_of(item: Item) -> tuple[str, ...]:
    """Sentences on channels that cannot all be right: the finding's own, else its evidence's."""
    own = tuple(getattr(item.finding, "conflicts", ())) or tuple(conflicts(item.evidence))
    if not own and item.finding.verdict is Verdict.NO_SIGN and says_generated(item):
        return ("The file says generated, while the model sees no sign of it.",)
    return own


def claims(evidence: Iterable[Evidence]) -> list[str]:
    """The claims among some evidence, each once; a broken signature claims nothing."""
    found = (
        e.asserts.value
        for e in evidence
        if e.asserts is not Asserts.UNKNOWN
        and e.trust is not Trust.INVALID
        and e.kind != "c2pa_ingredient"  # ingredients are not the image
    )
    return list(dict.fromkeys(found))


def evidence_rows(evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Pieces of evidence for the page's script, in the order of the groups."""
    order = list(EVIDENCE_GROUPS)
    rows = [
        {
            "group": CHANNEL_GROUPS.get(e.channel, "other"),
            "kind": one_line(kind_words(e.kind)),
            "channel": one_line(e.channel),
            "claim": CLAIMS[e.asserts] if e.asserts is not Asserts.UNKNOWN else "",
            "issuer": one_line(e.issuer),
            "trust": e.trust.value,
            "trustName": TRUST_NAMES[e.trust],
            "trustWords": TRUSTS[e.trust],
            "caveat": one_line(e.caveat),
            "raw": raw_lines(e.raw),
        }
        for e in evidence
    ]
    return sorted(rows, key=lambda row: order.index(str(row["group"])))


def raw_lines(raw: Mapping[str, Any]) -> list[list[str]]:
    """Raw fields as pairs of name and text, cut where they are too long for a page."""
    left, pairs = _RAW_MOST, []
    for name, value in raw.items():
        text = value if isinstance(value, str) else _json(value)
        # Line breaks inside a prompt are kept: the page shows them as plain text.
        lines = [one_line(line) for line in text.splitlines()[:200]]
        text = clipped("\n".join(lines), max(left, 1))
        left -= len(text)
        pairs.append([clipped(one_line(str(name)), 200), text])
        if left <= 0 or len(pairs) == 200:
            pairs.append(["…", "More fields are in the file; `detector inspect` lists them."])
            break
    return pairs


def search_words(item: Item) -> str:
    """Captions and leads in metadata, for the page's search."""
    words = [post.text for post in item.posts]
    for e in item.evidence:
        words += [e.issuer, kind_words(e.kind)]
        words += [str(e.raw[name]) for name in _LEADS if e.raw.get(name)]
    return " ".join(dict.fromkeys(clipped(word, 400) for word in words if word)).lower()


def claim_counts(items: Iterable[Item]) -> Counter[tuple[Asserts, Trust]]:
    """Images by claim and trust; an image counts once for each pair that it carries."""
    counts: Counter[tuple[Asserts, Trust]] = Counter()
    for item in items:
        counts.update(
            {
                (e.asserts, e.trust)
                for e in item.evidence
                if e.asserts is not Asserts.UNKNOWN and e.kind != "c2pa_ingredient"
            }
        )
    return counts


def says_generated(item: Item) -> bool:
    """Whether the file carries a claim, not under a broken signature, that it was generated."""
    return Asserts.GENERATED.value in claims(item.evidence)


def _json(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
