"""The table of named rules that turn pixels and evidence into a verdict, in the order of use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from detector.results import Asserts, Evidence, Finding, Trust, Verdict
from detector.verdict.conflicts import INGREDIENT, MANIFEST, against_pixels, between_claims
from detector.verdict.wording import kind_words

# What a trusted C2PA manifest's claim rests on, in its `raw["claim_rests_on"]`: the signer's own
# words on how the image came to be, or those of an ingredient whose signer is trusted as well.
CREATED_ACTION = "created_action"
TRUSTED_INGREDIENT = "trusted_ingredient"
_MOST_CONFLICTS = 8
_SUSPECTED = ("2", "3")

Claims = tuple[Evidence, ...]


@dataclass(frozen=True)
class PixelJudgement:
    """What the pixels alone gave.

    Attributes:
        verdict: the CNN's own.
        code: the rule that gave it, in a fixed word ("score_above_threshold", …).
        reason: that rule in one sentence.
    """

    verdict: Verdict
    code: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """A verdict over pixels and evidence.

    Attributes:
        verdict: what may be said of the image.
        code: the rule that decided: of `RULES`, or the pixels' own.
        reason: one to three sentences that say why.
        conflicts: sentences on what cannot all be right, see `detector.verdict.conflicts`.
    """

    verdict: Verdict
    code: str
    reason: str
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes:
        code: its name, a fixed word.
        verdict: what it gives; None for the pixels' own verdict.
        when: in words, when it applies.
        sentence: the reason it gives; "{what}" stands for the pieces of evidence.
        applies: the evidence that it rests on; empty when it does not apply.
    """

    code: str
    verdict: Verdict | None
    when: str
    sentence: str
    applies: Callable[[PixelJudgement, Claims], Claims]


def decide(pixel: PixelJudgement, evidence: Sequence[Evidence]) -> Decision:
    """The verdict of the first rule in `RULES` that applies; else the pixels' own.

    Pure, and independent of the order of the evidence but for the order of words. Evidence under
    a broken signature is used by no rule, and said so in `conflicts`. Measured traces that
    assert nothing (compression, spectrum) change nothing.
    """
    usable = tuple(e for e in evidence if e.trust is not Trust.INVALID and e.kind != INGREDIENT)
    conflicts = (*between_claims(evidence), *against_pixels(pixel.verdict, usable))[
        :_MOST_CONFLICTS
    ]
    for rule in RULES:
        grounds = rule.applies(pixel, usable)
        if not grounds:
            continue
        what = ", ".join(dict.fromkeys(kind_words(e.kind) for e in grounds[:4]))
        if rule.verdict is None:
            reason = f"{pixel.reason} {rule.sentence.format(what=what)}"
            return Decision(pixel.verdict, pixel.code, reason, conflicts)
        reason = f"{rule.sentence.format(what=what)} Pixels alone: {pixel.reason}"
        return Decision(rule.verdict, rule.code, reason, conflicts)
    return Decision(pixel.verdict, pixel.code, pixel.reason, conflicts)


def pixels_of(finding: Finding) -> PixelJudgement | None:
    """What the pixels alone gave, as a finding keeps it; None for a file that was not scored."""
    if finding.pixel_verdict is not None:
        return PixelJudgement(finding.pixel_verdict, finding.pixel_code, finding.pixel_reason)
    if finding.verdict is None:
        return None
    return PixelJudgement(finding.verdict, finding.verdict_code, finding.reason)


def decided(finding: Finding, evidence: Sequence[Evidence]) -> Finding:
    """The finding with the verdict that its pixels and this evidence give together.

    Deciding again, with the same evidence or other, starts from the pixels' own judgement. A
    file that was not scored gets no verdict, only the kinds of its evidence and its conflicts.
    """
    kinds = tuple(dict.fromkeys(e.kind for e in evidence))
    pixel = pixels_of(finding)
    if pixel is None:
        clashes = tuple(between_claims(evidence))
        return replace(finding, evidence_kinds=kinds, conflicts=clashes)
    decision = decide(pixel, evidence)
    return replace(
        finding,
        verdict=decision.verdict,
        verdict_code=decision.code,
        reason=decision.reason,
        pixel_verdict=pixel.verdict,
        pixel_code=pixel.code,
        pixel_reason=pixel.reason,
        evidence_kinds=kinds,
        conflicts=decision.conflicts,
    )


def _claiming(usable: Claims, asserts: Asserts, *trusts: Trust) -> Claims:
    return tuple(e for e in usable if e.asserts is asserts and e.trust in trusts)


def _signed_generated(pixel: PixelJudgement, usable: Claims) -> Claims:
    signed = _claiming(usable, Asserts.GENERATED, Trust.TRUSTED)
    return tuple(e for e in signed if _rests_on(e, CREATED_ACTION, TRUSTED_INGREDIENT))


def _captured(usable: Claims) -> Claims:
    """Signed by the camera itself: nothing was opened, placed or inherited."""
    signed = _claiming(usable, Asserts.CAPTURED, Trust.TRUSTED)
    return tuple(e for e in signed if _rests_on(e, CREATED_ACTION) and not e.raw.get("ingredients"))


def _signed_captured(pixel: PixelJudgement, usable: Claims) -> Claims:
    return () if _is_disputed(pixel, usable) else _captured(usable)


def _signed_captured_disputed(pixel: PixelJudgement, usable: Claims) -> Claims:
    return _captured(usable) if _is_disputed(pixel, usable) else ()


def _is_disputed(pixel: PixelJudgement, usable: Claims) -> bool:
    flagged = pixel.verdict is Verdict.LIKELY_GENERATED
    return flagged or any(e.asserts in (Asserts.GENERATED, Asserts.EDITED_WITH_AI) for e in usable)


def _pixels_agree(pixel: PixelJudgement, usable: Claims) -> Claims:
    if pixel.verdict is not Verdict.LIKELY_GENERATED:
        return ()
    return tuple(e for e in usable if e.asserts is Asserts.GENERATED)


def _unless_flagged(find: Callable[[Claims], Claims]) -> Callable[[PixelJudgement, Claims], Claims]:
    """A rule that can only make a verdict worse: pixels that look generated need no lifting."""

    def applies(pixel: PixelJudgement, usable: Claims) -> Claims:
        return () if pixel.verdict is Verdict.LIKELY_GENERATED else find(usable)

    return applies


def _rests_on(e: Evidence, *bases: str) -> bool:
    # Only C2PA has to tell the signer's own words from what the signer passed on.
    return e.kind != MANIFEST or e.raw.get("claim_rests_on") in bases


def _signed_edited(usable: Claims) -> Claims:
    return _claiming(usable, Asserts.EDITED_WITH_AI, Trust.TRUSTED)


def _signature(usable: Claims) -> Claims:
    return _claiming(usable, Asserts.GENERATED, Trust.TRUSTED, Trust.VALID)


def _label(usable: Claims) -> Claims:
    declared = _claiming(usable, Asserts.GENERATED, Trust.SELF_DECLARED)
    return tuple(e for e in declared if e.channel == "aigc_label")


def _metadata(usable: Claims) -> Claims:
    return _claiming(usable, Asserts.GENERATED, Trust.SELF_DECLARED)


def _watermark(usable: Claims) -> Claims:
    return _claiming(usable, Asserts.GENERATED, Trust.INFERRED)


def _edited(usable: Claims) -> Claims:
    below = (Trust.VALID, Trust.SELF_DECLARED, Trust.INFERRED)
    return _claiming(usable, Asserts.EDITED_WITH_AI, *below)


def _suspected(usable: Claims) -> Claims:
    return tuple(e for e in usable if e.kind == "aigc_label" and e.raw.get("label") in _SUSPECTED)


_NO_MORE = "so alone it decides no more than inconclusive."

RULES: tuple[Rule, ...] = (
    Rule(
        "signed_generated",
        Verdict.LIKELY_GENERATED,
        "A signer on the trust list says in its own words that the image was generated, and the "
        "file is unchanged since, whatever the pixels look like.",
        "A trusted signer says that this image was generated ({what}), and the file is unchanged "
        "since it was signed.",
        _signed_generated,
    ),
    Rule(
        "signed_captured_disputed",
        Verdict.INCONCLUSIVE,
        "A camera's trusted signature says captured, but the pixels look generated or another "
        "claim in the file says generated or edited with AI.",
        "A trusted signer says that a camera captured this image ({what}), but the pixels or "
        "another claim in the file speak against it.",
        _signed_captured_disputed,
    ),
    Rule(
        "signed_captured",
        Verdict.NO_SIGN,
        "A camera's trusted signature says captured, with nothing opened or placed in between, "
        "and neither the pixels nor another claim speak against it.",
        "A trusted signer says that a camera captured this image ({what}), and the file is "
        "unchanged since it was signed.",
        _signed_captured,
    ),
    Rule(
        "pixels_and_claims",
        None,
        "The pixels look generated and the file says so too; the pixels' own rule decides.",
        "The file itself says generated too ({what}).",
        _pixels_agree,
    ),
    Rule(
        "signed_edited_with_ai",
        Verdict.INCONCLUSIVE,
        "A signer on the trust list says that the image was edited with AI.",
        "A trusted signer says that this image was edited with AI ({what}), so parts of it may "
        "be generated.",
        _unless_flagged(_signed_edited),
    ),
    Rule(
        "signature_says_generated",
        Verdict.INCONCLUSIVE,
        "An intact signature says generated, but by a signer that nobody vouches for, or only as "
        "a claim of something that the image was made from.",
        "An intact signature says that this image was generated ({what}), but its signer is not "
        "on the trust list or only passed the claim on, " + _NO_MORE,
        _unless_flagged(_signature),
    ),
    Rule(
        "aigc_label_says_generated",
        Verdict.INCONCLUSIVE,
        "The file carries China's label for generated content (GB 45438, value 1).",
        "The file carries the label that Chinese law demands for generated content ({what}); "
        "anyone can write or copy it, " + _NO_MORE,
        _unless_flagged(_label),
    ),
    Rule(
        "metadata_says_generated",
        Verdict.INCONCLUSIVE,
        "Plain metadata name a generator or say generated.",
        "The file's own metadata say that it was generated ({what}); anyone can write or copy "
        "them, " + _NO_MORE,
        _unless_flagged(_metadata),
    ),
    Rule(
        "watermark_says_generated",
        Verdict.INCONCLUSIVE,
        "The pixels carry a generator's public watermark, or another measured mark of one.",
        "The pixels carry a mark that generators leave ({what}); anyone can embed it, " + _NO_MORE,
        _unless_flagged(_watermark),
    ),
    Rule(
        "says_edited_with_ai",
        Verdict.INCONCLUSIVE,
        "Plain metadata or an unvouched signature say edited with AI.",
        "The file says that it was edited with AI ({what}), so parts of it may be generated; "
        "that can be written or copied by anyone, " + _NO_MORE,
        _unless_flagged(_edited),
    ),
    Rule(
        "aigc_label_suspects",
        Verdict.INCONCLUSIVE,
        "The file carries China's label for content that an uploader declared (2) or a platform "
        "suspects (3) to be generated.",
        "A platform's label says that the content is declared or suspected to be generated "
        "({what}), " + _NO_MORE,
        _unless_flagged(_suspected),
    ),
)
"""In order: the first that applies decides. No rule clears an image on unsigned metadata, and no
rule makes one `likely_generated` but the pixels or a trusted signer's own words."""
