"""The answers as pydantic models, for the OpenAPI description; nothing else here uses pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    """Base of the answers; a later version may add fields."""

    model_config = ConfigDict(extra="allow")


class Crop(Reply):
    """One view that the CNN looked at: its box in pixels of the upright image, and its logit."""

    view: str
    x: int
    y: int
    width: int
    height: int
    score: float


class EvidenceItem(Reply):
    """One thing that the file says of its own origin; never a part of the score."""

    kind: str
    channel: str
    asserts: str
    issuer: str
    trust: str
    raw: dict[str, Any]
    caveat: str


class ActionTaken(Reply):
    """What the policy says; with `dry_run` nobody should carry it out yet."""

    name: str
    rule: str
    dry_run: bool


class FindingRecord(Reply):
    """All that the model says about one file. `status` is the first thing to read."""

    path: str = Field(description="The client's name for the file.")
    sha256: str
    status: str = Field(description='"ok" when the file was scored; else why it was not.')
    reason: str
    score: float | None
    probability: float | None
    lr: float | None
    verdict: str | None = Field(description="likely_generated, inconclusive or no_sign.")
    verdict_code: str | None
    pixel_verdict: str | None
    stability: str | None
    model: str
    width: int | None
    height: int | None
    format: str | None
    bytes: int | None
    frames: int | None
    jpeg_quality: int | None
    stratum: str | None
    spread: float | None
    evidence_kinds: list[str]
    conflicts: list[str]
    notes: list[str]
    crops: list[Crop]
    evidence: list[EvidenceItem] | None
    action: ActionTaken | None
    heatmap: dict[str, Any] | None


class Findings(Reply):
    """The native answer: one finding per file, in the order in which they were sent."""

    findings: list[FindingRecord]


class Label(Reply):
    """A label with its probability."""

    label: str
    score: float


class ModerationLabel(Reply):
    """A label of Amazon Rekognition's form."""

    Name: str
    Confidence: float
    ParentName: str
    TaxonomyLevel: int


class ModerationLabels(Reply):
    """Amazon Rekognition's form."""

    ModerationLabels: list[ModerationLabel]
    ModerationModelVersion: str
    ContentTypes: list[dict[str, Any]]


class ModerationResult(Reply):
    """One result of OpenAI's form."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class Moderation(Reply):
    """OpenAI's form."""

    id: str
    model: str
    results: list[ModerationResult]


Answer = Findings | Moderation | ModerationLabels | list[Label] | list[list[Label]]


class Model(Reply):
    """A model that answers here."""

    id: str
    object: str
    owned_by: str
    created: int
    config_hash: str
    calibrated: bool
    thresholds: dict[str, float] | None


class Fault(Reply):
    """A plug-in that could not be loaded."""

    group: str
    name: str
    reason: str
    distribution: str


class Models(Reply):
    """The models of this service."""

    object: str
    data: list[Model]
    faults: list[Fault]


class State(Reply):
    """How the service is."""

    status: str
    reason: str = ""


class ErrorFacts(Reply):
    """What is the matter, and what can be done about it."""

    code: str
    message: str
    cure: str
    request_id: str


class Error(Reply):
    """Every answer that is an error."""

    error: ErrorFacts
