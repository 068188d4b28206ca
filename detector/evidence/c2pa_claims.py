"""What the manifests of a C2PA store claim together; plain dicts in, claims out.

The rules, in this order, for one manifest (C2PA 2.2, actions and digital source types):

- `c2pa.created` with a source type claims what the type says. Microsoft's manifests of 2024 have
  no type, but say "AI Generated Image" in words; that counts as well.
- `c2pa.opened` hands on what the opened file claimed: a retouched photograph stays captured,
  a cropped generated image stays generated.
- A later action whose source type is made by AI turns anything but `generated` into
  `edited_with_ai`; so does a placed part that is generated or edited with AI.
- A manifest without any action that holds one single ingredient hands on what that claimed, as
  OpenAI's did in 2025.
- Without any of these, source types in the manifest's metadata or on its ingredients count.

Ingredients that only served as input to a model (`inputTo`) hand nothing on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detector.evidence.source_types import SourceType, source_type
from detector.evidence.text import as_text, walk
from detector.results import Asserts
from detector.verdict import CREATED_ACTION, TRUSTED_INGREDIENT

MAX_DEPTH = 12
MAX_INGREDIENTS = 40
_MAX_ACTIONS = 100
TRUSTED, UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"
_HARMLESS = {
    UNTRUSTED,
    "signingCredential.expired",
    "signingCredential.invalid",
    "timeStamp.untrusted",
    "timeStamp.outsideValidity",
    "claim.malformed",
    "assertion.action.malformed",
}
_AI = {Asserts.GENERATED, Asserts.EDITED_WITH_AI}
_SAID_IN_WORDS = {"AI Generated Image", "Generated with AI"}
_ACTION_LABELS = ("c2pa.actions", "actions")
_METADATA_LABELS = ("stds.iptc", "c2pa.metadata", "cawg.metadata", "stds.exif")


@dataclass(frozen=True)
class Ingredient:
    """One ingredient of a store, with how it was used.

    Attributes:
        depth: 1 for the active manifest's own ingredients.
        relationship: "parentOf", "componentOf" or "inputTo".
        title: its name, as the signer recorded it.
        manifest: its own manifest; empty when it had none.
        asserts: what it claims.
        failures: checks that failed, when it was used (as the signer recorded it) or now.
        trusted: whether its own signer is on the trust list now, or was when it was used.
    """

    depth: int
    relationship: str
    title: str
    manifest: dict[str, Any]
    asserts: Asserts
    failures: tuple[str, ...]
    trusted: bool


def claim(store: dict[str, Any], label: str) -> Asserts:
    """What the manifest of that label claims, with everything that it was made from."""
    return _claim(store, label, 0, {})


def rests_on(store: dict[str, Any], label: str) -> str:
    """What the claim of that manifest rests on, in a fixed word; "" when it claims nothing.

    "created_action": the signer's own words on how the image came to be. "trusted_ingredient":
    those of a file that was opened, when its signer is trusted and so is everyone in between.
    "ingredient": of one whose signer is not. "other": later steps, placed parts, or metadata.
    """
    claimed, seen, word = claim(store, label), set[str](), CREATED_ACTION
    if claimed is Asserts.UNKNOWN:
        return ""
    while label not in seen and len(seen) <= MAX_DEPTH:
        seen.add(label)
        manifest = _manifest(store, label)
        created, part = _created(manifest), _opened(manifest)
        if created is not None:
            return word if created is claimed else "other"
        if part is None or _ingredient_claim(store, part, 0, {}) is not claimed:
            return "other"
        label = as_text(part.get("active_manifest"))
        failed, trusted = _checks(store, part, label)
        if word != "ingredient":
            sound = trusted and all(harmless(code) for code in failed)
            word = TRUSTED_INGREDIENT if sound else "ingredient"
    return "ingredient"


def _claim(store: dict[str, Any], label: str, depth: int, known: dict[str, Asserts]) -> Asserts:
    if label in known:
        return known[label]
    # A circle meets this, and each manifest is worked out once, however often it is used.
    known[label] = Asserts.UNKNOWN
    manifest = _manifest(store, label)
    if manifest and depth <= MAX_DEPTH:
        known[label] = _of_manifest(store, manifest, depth, known)
    return known[label]


def _of_manifest(
    store: dict[str, Any], manifest: dict[str, Any], depth: int, known: dict[str, Asserts]
) -> Asserts:
    base = _base(store, manifest, depth, known)
    if base is Asserts.GENERATED:
        return base
    parts = {
        _ingredient_claim(store, part, depth, known)
        for part in _ingredients(manifest)
        if part.get("relationship") == "componentOf"
    }
    later = {
        term.asserts
        for action in actions(manifest)
        if as_text(action.get("action")) != "c2pa.created" and (term := _source(action))
    }
    if base is Asserts.EDITED_WITH_AI or (later | parts) & _AI:
        return Asserts.EDITED_WITH_AI
    return _loose(manifest) if base is Asserts.UNKNOWN else base


def _base(
    store: dict[str, Any], manifest: dict[str, Any], depth: int, known: dict[str, Asserts]
) -> Asserts:
    """What the manifest began from."""
    created = _created(manifest)
    if created is not None:
        return created
    part = _opened(manifest)
    return Asserts.UNKNOWN if part is None else _ingredient_claim(store, part, depth, known)


def _created(manifest: dict[str, Any]) -> Asserts | None:
    """What the signer says of how the image came to be; None when it does not say so."""
    for action in actions(manifest):
        if as_text(action.get("action")) == "c2pa.created":
            term = _source(action)
            if term is not None and term.code != "empty":
                return term.asserts
            if term is None and as_text(action.get("description")) in _SAID_IN_WORDS:
                return Asserts.GENERATED
    return None


def _opened(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """The ingredient that the image is a later state of."""
    parts = list(_ingredients(manifest))
    lone = len(parts) == 1 and not actions(manifest)
    return next((p for p in parts if p.get("relationship") == "parentOf" or lone), None)


def _loose(manifest: dict[str, Any]) -> Asserts:
    """A source type in the manifest's metadata assertions."""
    for assertion in _assertions(manifest):
        if as_text(assertion.get("label")).startswith(_METADATA_LABELS):
            for found in walk(assertion.get("data"), limit=500):
                for key, value in found.items():
                    if key.endswith("DigitalSourceType") and (term := source_type(as_text(value))):
                        return term.asserts
    return Asserts.UNKNOWN


def _ingredient_claim(
    store: dict[str, Any], part: dict[str, Any], depth: int, known: dict[str, Asserts]
) -> Asserts:
    label = as_text(part.get("active_manifest"))
    if label:
        return _claim(store, label, depth + 1, known)
    term = source_type(as_text(part.get("digitalSourceType") or part.get("digital_source_type")))
    return term.asserts if term else Asserts.UNKNOWN


def ingredients(store: dict[str, Any], label: str) -> list[Ingredient]:
    """Every ingredient, nearest first; each manifest once, so that circles end."""
    found: list[Ingredient] = []
    seen, queue = {label}, [(label, 1)]
    while queue and len(found) < MAX_INGREDIENTS:
        current, depth = queue.pop(0)
        for part in _ingredients(_manifest(store, current)):
            own = as_text(part.get("active_manifest"))
            failed, trusted = _checks(store, part, own)
            found.append(
                Ingredient(
                    depth=depth,
                    relationship=as_text(part.get("relationship")),
                    title=as_text(part.get("title")),
                    manifest=_manifest(store, own),
                    asserts=_ingredient_claim(store, part, 0, {}),
                    failures=failed,
                    trusted=trusted,
                )
            )
            if own and own not in seen and depth < MAX_DEPTH:
                seen.add(own)
                queue.append((own, depth + 1))
    return found[:MAX_INGREDIENTS]


def _checks(
    store: dict[str, Any], part: dict[str, Any], label: str
) -> tuple[tuple[str, ...], bool]:
    """Failed checks of an ingredient, and whether its signer is trusted.

    The signer of the outer manifest recorded what held when the ingredient was used; the
    deltas of the store say what has changed since, by the trust list that is used now.
    """
    results = store.get("validation_results")
    deltas = results.get("ingredientDeltas") if isinstance(results, dict) else None
    now_failed = _codes(deltas, "failure", label)
    now_held = _codes(deltas, "success", label)
    recorded = part.get("validation_results")
    failed = [*_codes(recorded, "failure"), *now_failed]
    trusted = TRUSTED in now_held or (
        TRUSTED in _codes(recorded, "success") and UNTRUSTED not in now_failed
    )
    if trusted:
        failed = [code for code in failed if code != UNTRUSTED]
    return tuple(dict.fromkeys(failed)), trusted


def actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The manifest's actions, in order."""
    found: list[dict[str, Any]] = []
    for assertion in _assertions(manifest):
        if not as_text(assertion.get("label")).startswith(_ACTION_LABELS):
            continue
        data = assertion.get("data")
        # The first manifests had the list itself.
        listed = data.get("actions") if isinstance(data, dict) else data
        if isinstance(listed, list):
            found += [action for action in listed if isinstance(action, dict)]
    return found[:_MAX_ACTIONS]


def failures(results: Any) -> list[str]:
    """Codes of the checks that failed for the active manifest, each once."""
    active = results.get("activeManifest") if isinstance(results, dict) else None
    return list(dict.fromkeys(_codes(active, "failure")))


def intact(results: Any) -> bool:
    """Whether the file is as it was signed, although its manifest breaks a rule of C2PA.

    Certificates run out, lack a purpose that the rules ask for, or are not vouched for, and
    signers write malformed actions; none of these means that anything was altered. A revoked
    certificate, and every mismatch, does count.
    """
    active = results.get("activeManifest") if isinstance(results, dict) else None
    held = _codes(active, "success")
    bound = any(code.endswith("Hash.match") for code in held)
    return (
        bound
        and "claimSignature.validated" in held
        and all(harmless(code) for code in failures(results))
    )


def harmless(code: str) -> bool:
    """Whether a failed check says nothing about alteration."""
    return code in _HARMLESS


def _codes(results: Any, outcome: str, label: str = "") -> list[str]:
    """Codes of one outcome anywhere in the results, for things whose address names `label`."""
    codes: list[str] = []
    for found in walk(results, limit=2_000):
        listed = found.get(outcome)
        for item in listed if isinstance(listed, list) else []:
            if isinstance(item, dict) and label in as_text(item.get("url")):
                codes.append(as_text(item.get("code")))
    return [code for code in codes if code]


def source_codes(manifest: dict[str, Any]) -> list[str]:
    """The source types that the manifest's actions name, as codes, each once."""
    terms = (_source(action) for action in actions(manifest))
    return list(dict.fromkeys(term.code for term in terms if term))


def soft_bindings(manifest: dict[str, Any]) -> list[str]:
    """The watermark or fingerprint schemes that the manifest says were applied."""
    schemes = [
        as_text(found.get("alg"))
        for assertion in _assertions(manifest)
        if as_text(assertion.get("label")).startswith("c2pa.soft-binding")
        for found in walk(assertion.get("data"), limit=50)
    ]
    return list(dict.fromkeys(scheme for scheme in schemes if scheme))


def generator_names(manifest: dict[str, Any]) -> list[str]:
    """The programs that the manifest names: the claim's generator, and agents of actions."""
    names = [as_text(manifest.get("claim_generator"))]
    for info in _dicts(manifest.get("claim_generator_info")):
        names.append(f"{as_text(info.get('name'))} {as_text(info.get('version'))}".strip())
    for action in actions(manifest):
        agent = action.get("softwareAgent")
        if isinstance(agent, dict):
            names.append(f"{as_text(agent.get('name'))} {as_text(agent.get('version'))}".strip())
        else:
            names.append(as_text(agent))
    return list(dict.fromkeys(name for name in names if name))


def _source(action: dict[str, Any]) -> SourceType | None:
    return source_type(as_text(action.get("digitalSourceType")))


def _manifest(store: dict[str, Any], label: str) -> dict[str, Any]:
    manifests = store.get("manifests")
    found = manifests.get(label) if isinstance(manifests, dict) else None
    return found if isinstance(found, dict) else {}


def _assertions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from _dicts(manifest.get("assertions"))


def _ingredients(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from _dicts(manifest.get("ingredients"))


def _dicts(listed: Any) -> Iterator[dict[str, Any]]:
    if isinstance(listed, list):
        yield from (item for item in listed[:200] if isinstance(item, dict))
