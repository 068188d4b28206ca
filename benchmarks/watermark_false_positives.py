"""Runs every evidence channel over a corpus's real images, and the watermark one over the rest.

    python benchmarks/watermark_false_positives.py MANIFEST FILES --records FILE.jsonl

FILES holds the images as `<first two digits>/<sha256>`. One process, every image at its own size.
Each image becomes a line of the records; a run that was stopped goes on where it was. In the end
`benchmarks/results/watermark_false_positives.json` is written: how often a channel asserts
"generated" on a real image, how close the watermark's bits come by chance, how often each trace
is seen on real images by kind, how long the channels take, and which marks the generated images
carry. `benchmarks/spectrum_reference.py` reads the same records.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.corpus.manifest import Row, read_manifest
from detector.evidence import CHANNELS, channel, watermark
from detector.evidence.base import EvidenceInput
from detector.results import Asserts

OUT = Path(__file__).parent / "results" / "watermark_false_positives.json"
MEASURED = ("watermark", "compression", "spectrum")

Record = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("--records", type=Path, required=True)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    done = {record["sha256"] for record in read_records(given.records)}
    with given.records.open("a", encoding="utf-8") as out:
        for row, data in images(read_manifest(given.manifest), given.files, done):
            out.write(json.dumps(record_of(row, EvidenceInput(data))) + "\n")
            out.flush()
    records = list(read_records(given.records))
    real = [record for record in records if record["label"] == 0]
    generated = [record for record in records if record["label"] == 1]
    OUT.parent.mkdir(exist_ok=True)
    result = {**about_real(real), "generated_images": about_generated(generated)}
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def read_records(path: Path) -> Iterator[Record]:
    """The whole lines of the file; the last may have been cut off."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def images(rows: Iterable[Row], files: Path, done: set[str]) -> Iterator[tuple[Row, bytes]]:
    """Real images first, each file once."""
    for row in sorted(rows, key=lambda row: (row.label, row.sha256)):
        path = files / row.sha256[:2] / row.sha256
        if row.sha256 not in done and path.is_file():
            done.add(row.sha256)
            yield row, path.read_bytes()


def record_of(row: Row, item: EvidenceInput) -> Record:
    record: Record = {
        "sha256": row.sha256,
        "source": row.source,
        "kind": row.kind,
        "split": row.split,
        "label": row.label,
        "generator": row.generator,
        "decoded": item.rgb is not None,
        "accusing": [],
        "failed": [],
        "traces": [],
        "seconds": {},
    }
    if item.rgb is None:
        return record
    if readings := watermark.read(item.rgb):
        record["equal_bits"] = {
            message.name: max(reading.equal(message) for reading in readings)
            for message in watermark.MESSAGES
        }
    for name in CHANNELS if row.label == 0 else ("watermark",):
        look(record, name, item)
    return record


def look(record: Record, name: str, item: EvidenceInput) -> None:
    start = time.process_time()
    try:
        found = channel(name).find(item)
    except Exception as fault:  # noqa: BLE001 - counted and named in the result
        record["failed"].append(f"{name}: {type(fault).__name__}")
        return
    record["seconds"][name] = round(time.process_time() - start, 4)
    for evidence in found:
        if evidence.asserts is Asserts.GENERATED:
            record["accusing"].append(f"{name}: {evidence.kind}")
        if name in MEASURED:
            record["traces"].append(evidence.kind)
            origins = evidence.raw.get("possible_origins", ())
            record["traces"] += [f"{evidence.kind}: {origin}" for origin in origins]
        if evidence.kind == watermark.KIND:
            record["mark"] = evidence.raw["mark"]
        if evidence.kind == "radial_spectrum":
            record["stratum"] = evidence.raw["stratum"]
            record["profile"] = evidence.raw["profile_db"]


def about_real(records: list[Record]) -> dict[str, Any]:
    looked_at = [record for record in records if record["decoded"]]
    kinds = Counter(record["kind"] for record in looked_at)
    traces: dict[str, Counter[str]] = defaultdict(Counter)
    for record in looked_at:
        for trace in set(record["traces"]):
            traces[trace][record["kind"]] += 1
    accusing = Counter(each for record in looked_at for each in set(record["accusing"]))
    return {
        "real_images": len(looked_at),
        "sources": len({record["source"] for record in looked_at}),
        "undecoded_or_too_large": len(records) - len(looked_at),
        "asserting_generated": dict(accusing),
        "accused": [
            {"sha256": record["sha256"], "source": record["source"], "by": record["accusing"]}
            for record in looked_at
            if record["accusing"]
        ],
        "failed": dict(Counter(each for record in looked_at for each in record["failed"])),
        "watermark": about_watermark(looked_at),
        "share_of_real_images_with_trace": {
            trace: {
                "all": round(sum(by_kind.values()) / len(looked_at), 4),
                **{kind: round(n / kinds[kind], 4) for kind, n in sorted(by_kind.items())},
            }
            for trace, by_kind in sorted(traces.items())
        },
        "images_by_kind": dict(sorted(kinds.items())),
        "seconds": {name: timing(looked_at, name) for name in CHANNELS},
    }


def about_watermark(records: list[Record]) -> dict[str, Any]:
    read = [record["equal_bits"] for record in records if "equal_bits" in record]
    found = sum("mark" in record for record in records)
    return {
        "images_large_enough": len(read),
        "found": found,
        "rate_upper_bound_95": upper_bound(found, len(read)),
        "bits_that_agree": {
            m.name: tail(m, [bits[m.name] for bits in read]) for m in watermark.MESSAGES
        },
    }


def tail(message: watermark.Message, equal: list[int]) -> dict[str, Any]:
    """The upper end of the distribution of equal bits, best reading of four."""
    counts = Counter(equal)
    return {
        "bits": len(message.bits),
        "needed": message.needed,
        "highest": max(counts, default=None),
        "images_by_equal_bits": {str(bits): counts[bits] for bits in sorted(counts)[-8:]},
    }


def upper_bound(hits: int, trials: int) -> float | None:
    """The 95 % upper bound of a rate: exact for no hit, a wide one otherwise."""
    if not trials:
        return None
    if hits == 0:
        return float(f"{1 - 0.05 ** (1 / trials):.3g}")
    return float(f"{(hits + 1.645 * hits**0.5 + 2) / trials:.3g}")


def timing(records: list[Record], name: str) -> dict[str, float]:
    values = [record["seconds"][name] for record in records if name in record["seconds"]]
    return {
        "mean": round(float(np.mean(values)), 4),
        "p99": round(float(np.percentile(values, 99)), 4),
        "most": round(max(values), 4),
    }


def about_generated(records: list[Record]) -> dict[str, Any]:
    """Which marks the generated images carry; most generators write none."""
    generators = Counter(record["generator"] or "not stated" for record in records)
    marked = [record for record in records if "mark" in record]
    by_generator = Counter((r["generator"] or "not stated", r["mark"]) for r in marked)
    return {
        "images": len(records),
        "marks": dict(Counter(record["mark"] for record in marked)),
        "by_generator": [
            {"generator": generator, "mark": mark, "images": n, "of": generators[generator]}
            for (generator, mark), n in by_generator.most_common()
        ],
    }


if __name__ == "__main__":
    main()
