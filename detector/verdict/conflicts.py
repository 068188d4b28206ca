"""What cannot all be right: claims of a file against each other and against its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detector.results import Asserts, Evidence, Trust, Verdict
from detector.verdict.wording import claim_words, kind_words, subject, verb

__all__ = ["INGREDIENT", "MANIFEST", "against_pixels", "between_claims"]

# An ingredient is what the image was made from: its claim is not the image's own.
INGREDIENT = "c2pa_ingredient"
MANIFEST = "c2pa_manifest"
_REAL = (Asserts.CAPTURED, Asserts.HUMAN_MADE)
_WRITERS = {
    "a1111_parameters",
    "comfyui_graph",
    "draw_things_metadata",
    "easy_diffusion_metadata",
    "fooocus_parameters",
    "grok_signature",
    "ideogram_make",
    "invokeai_metadata",
    "midjourney_job",
    "novelai_metadata",
    "swarmui_parameters",
}
_SAME_PICTURE = 0.5
_MAX_SENTENCES = 6


def between_claims(evidence: Iterable[Evidence]) -> list[str]:
    """Sentences on pieces of evidence that cannot all be right, or do not fit together.

    An edit with AI beside a camera is no conflict: photographs are edited. A claim under a
    broken signature is named as broken and then left out. Ingredients are not the image.
    """
    listed = [e for e in evidence if e.kind != INGREDIENT]
    sentences = [_broken(e) for e in listed if _is_broken(e)]
    sound = [e for e in listed if e.trust is not Trust.INVALID]
    made = [e for e in sound if e.asserts is Asserts.GENERATED]
    real = [e for e in sound if e.asserts in _REAL]
    sentences += [_against(g, r) for g in made[:3] for r in real[:3]]
    sentences += _two_generators(made)
    sentences += _other_thumbnail(sound)
    return list(dict.fromkeys(sentences))[:_MAX_SENTENCES]


def against_pixels(pixels: Verdict, evidence: Iterable[Evidence]) -> list[str]:
    """Sentences on claims that the pixels' own verdict contradicts, at most three.

    Pixels that are inconclusive contradict nothing; a claim under a broken signature is none.
    """
    sound = [e for e in evidence if e.kind != INGREDIENT and e.trust is not Trust.INVALID]
    if pixels is Verdict.LIKELY_GENERATED:
        sentences = [_real_but_flagged(e) for e in sound if e.asserts in _REAL]
    elif pixels is Verdict.NO_SIGN:
        sentences = [_made_but_unseen(e) for e in sound if e.asserts is Asserts.GENERATED]
    else:
        return []
    return list(dict.fromkeys(sentences))[:3]


def _is_broken(e: Evidence) -> bool:
    claims = e.asserts is not Asserts.UNKNOWN or e.kind == MANIFEST
    return e.trust is Trust.INVALID and claims


def _broken(e: Evidence) -> str:
    its = verb(e.kind, "its", "their")
    if e.asserts is Asserts.UNKNOWN:
        start = f"{subject(e.kind)} {verb(e.kind, 'is', 'are')} signed"
    else:
        start = claim_words(e.kind, e.asserts)
    return _sentence(f"{start}, but {its} signature does not hold.")


def _real_but_flagged(e: Evidence) -> str:
    if e.trust is Trust.TRUSTED:
        return _sentence(
            f"{_vouched(e)}, while the pixels look generated: the CNN may be wrong, or a camera "
            "may have photographed a generated picture."
        )
    return _sentence(
        f"{claim_words(e.kind, e.asserts)}, while the pixels look generated: the CNN may be "
        "wrong, but such a claim can be copied onto any image, so it clears nothing."
    )


def _made_but_unseen(e: Evidence) -> str:
    if e.trust is Trust.TRUSTED:
        return _sentence(
            f"{_vouched(e)}, while the CNN saw no sign of it in the pixels: it misses many "
            "generated images."
        )
    return _sentence(
        f"{claim_words(e.kind, e.asserts)}, while the CNN saw no sign of it in the pixels: it "
        "misses many generated images, but the claim may also have been copied onto this one."
    )


def _vouched(e: Evidence) -> str:
    signed = verb(e.kind, "is", "are")
    return f"{claim_words(e.kind, e.asserts)} and {signed} signed by a trusted signer"


def _against(made: Evidence, real: Evidence) -> str:
    sentence = (
        f"{claim_words(made.kind, made.asserts)}, while "
        f"{claim_words(real.kind, real.asserts, 'it')}: both cannot be right"
    )
    signed = [e.kind for e in (made, real) if e.trust is Trust.TRUSTED]
    if len(signed) == 1:
        are = verb(signed[0], "is", "are")
        return _sentence(f"{sentence}; only {subject(signed[0])} {are} signed by a trusted signer.")
    return _sentence(f"{sentence}, and either may have been copied.")


def _two_generators(made: Sequence[Evidence]) -> list[str]:
    names = list(dict.fromkeys(kind_words(e.kind) for e in made if e.kind in _WRITERS))[:4]
    if len(names) < 2:
        return []
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return [
        f"The file names more than one generator: {listed}; one may have edited the other's image."
    ]


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _other_thumbnail(sound: Sequence[Evidence]) -> list[str]:
    for e in sound:
        thumbnail = e.raw.get("thumbnail") if e.kind == "camera_exif" else None
        agreement = thumbnail.get("correlation") if isinstance(thumbnail, dict) else None
        if isinstance(agreement, float) and agreement < _SAME_PICTURE:
            return [
                "The camera's embedded thumbnail does not show this image (correlation "
                f"{agreement:.2f}): the image was replaced, cropped or heavily edited after it."
            ]
    return []
