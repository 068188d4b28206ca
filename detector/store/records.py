"""Findings and evidence to plain JSON values and back, so that a database can hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from detector.results import (
    Asserts,
    CropScore,
    Evidence,
    FileFacts,
    Finding,
    Status,
    Stratum,
    Trust,
    Verdict,
)


def finding_to_detail(finding: Finding) -> str:
    """JSON of the parts of a finding that have no column of their own."""
    detail = {
        "crops": [asdict(crop) for crop in finding.crops],
        "stratum": None if finding.stratum is None else asdict(finding.stratum),
        "file": None if finding.file is None else asdict(finding.file),
        "notes": list(finding.notes),
        "pixel_code": finding.pixel_code,
        "pixel_reason": finding.pixel_reason,
        "evidence_kinds": list(finding.evidence_kinds),
        "conflicts": list(finding.conflicts),
        "stability": finding.stability,
    }
    return json.dumps(detail, ensure_ascii=False, separators=(",", ":"))


def finding_from_row(row: Mapping[str, Any]) -> Finding:
    """The finding of one database row; its keys are the column names of `results`.

    Rows of layout 1 know no evidence: what they say of the verdict, the pixels said.
    """
    detail = json.loads(row["detail"]) if row["detail"] else {}
    stratum, file = detail.get("stratum"), detail.get("file")
    return Finding(
        path=row["path"],
        sha256=row["sha256"],
        status=Status(row["status"]),
        reason=row["reason"],
        model=row["model"],
        score=row["score"],
        probability=row["probability"],
        lr=row["lr"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        verdict_code=row["verdict_code"] or "",
        crops=tuple(CropScore(**crop) for crop in detail.get("crops", ())),
        spread=row["spread"],
        stratum=None if stratum is None else Stratum(**stratum),
        file=None if file is None else FileFacts(**file),
        notes=tuple(detail.get("notes", ())),
        pixel_verdict=None if row["pixel_verdict"] is None else Verdict(row["pixel_verdict"]),
        pixel_code=detail.get("pixel_code", row["verdict_code"] or ""),
        pixel_reason=detail.get("pixel_reason", "" if row["verdict"] is None else row["reason"]),
        evidence_kinds=tuple(detail.get("evidence_kinds", ())),
        conflicts=tuple(detail.get("conflicts", ())),
        stability=detail.get("stability", ""),
    )


def evidence_to_json(items: list[Evidence]) -> str:
    """JSON of a file's evidence."""
    records = [item.to_record() for item in items]
    return json.dumps(records, ensure_ascii=False, separators=(",", ":"))


def evidence_from_json(text: str) -> list[Evidence]:
    """The evidence that `evidence_to_json` wrote."""
    return [
        Evidence(
            **{**record, "asserts": Asserts(record["asserts"]), "trust": Trust(record["trust"])}
        )
        for record in json.loads(text)
    ]
