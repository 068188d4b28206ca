"""What cannot all be right: claims of a file against each other and against its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detector.results import Asserts, Evidence, Trust, Verdict
from detector.verdict.wording import CLAIMS, kind_words

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
    if e.asserts is Asserts.UNKNOWN:
        return f"The {kind_words(e.kind)} is signed, but its signature does not hold."
    return (
        f"The {kind_words(e.kind)} {_says(e)} {CLAIMS[e.asserts]}, but its signature does not hold."
    )


def _real_but_flagged(e: Evidence) -> str:
    start = f"The {_named(e)} {_says(e)} {CLAIMS[e.asserts]}"
    if e.trust is Trust.TRUSTED:
        return (
            f"{start} and a trusted signer signed it, while the pixels look generated: the CNN "
            "may be wrong, or a camera may have photographed a generated picture."
        )
    return (
        f"{start}, while the pixels look generated: the CNN may be wrong, but such a claim can "
        "be copied onto any image, so it clears nothing."
    )


def _made_but_unseen(e: Evidence) -> str:
    start = f"The {_named(e)} {_says(e)} generated"
    if e.trust is Trust.TRUSTED:
        return (
            f"{start} and a trusted signer signed it, while the CNN saw no sign of it in the "
            "pixels: it misses many generated images."
        )
    return (
        f"{start}, while the CNN saw no sign of it in the pixels: it misses many generated "
        "images, but the claim may also have been copied onto this one."
    )


def _named(e: Evidence) -> str:
    return f"{kind_words(e.kind)} ({e.channel})"


def _says(e: Evidence) -> str:
    return "say" if kind_words(e.kind).endswith(("parameters", "fields")) else "says"


def _against(made: Evidence, real: Evidence) -> str:
    sentence = (
        f"The {_named(made)} {_says(made)} generated, while the {_named(real)} {_says(real)} "
        f"{CLAIMS[real.asserts]}: both cannot be right"
    )
    signed = [e for e in (made, real) if e.trust is Trust.TRUSTED]
    if len(signed) == 1:
        return f"{sentence}; only the {kind_words(signed[0].kind)} is signed by a trusted signer."
    return f"{sentence}, and either may have been copied."


def _two_generators(made: Sequence[Evidence]) -> list[str]:
    names = list(dict.fromkeys(e.kind for e in made if e.kind in _WRITERS))
    if len(names) < 2:
        return []
    words = " and ".join(kind_words(name) for name in names[:4])
    return [f"The file names more than one generator: {words}; one may have edited the other's."]


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
