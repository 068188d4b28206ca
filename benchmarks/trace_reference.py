"""Counts how common production traces are among the training images; writes the shipped table.

    python benchmarks/trace_reference.py --manifest datasets/web-corpus/manifest.tsv.gz \\
        --corpus CORPUS

CORPUS holds the images as files/<first two digits>/<sha256>. Reads headers and metadata only. A
source gives at most `--most` images, taken in the order of their hashes, so that no author's
habits make up the table; of generated PNGs, which keep prompts more often, it gives at most
`--most-png`. Only values that two images carry are kept, as short hashes. Writes
`detector/campaign/data/trace_reference.json`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from detector.campaign.reference import key_of
from detector.campaign.traces import prompts_of, shingles, traces
from detector.evidence import EvidenceInput, channel, header_facts
from detector.results import Evidence

OUT = Path(__file__).parent.parent / "detector" / "campaign" / "data" / "trace_reference.json"
CHANNELS = ("c2pa", "aigc_label", "metadata", "compression")


class HeaderOnly(EvidenceInput):
    """A file whose pixels are not looked at: channels then read what the container says."""

    rgb = None  # type: ignore[assignment]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--most", type=int, default=8, help="images of one source")
    parser.add_argument("--most-png", type=int, default=25, help="generated PNGs of one source")
    args = parser.parse_args()
    images: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    sources: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    chosen = choose(args.manifest, args.most, args.most_png)
    read = 0
    for row in chosen:
        path = args.corpus / "files" / row["sha256"][:2] / row["sha256"]
        if not path.is_file():
            continue
        read += 1
        for kind, value in values_of(path.read_bytes()):
            images[kind][value].add(row["sha256"])
            sources[kind][value].add(row["source"])
    kinds = {kind: counted(kind, images[kind], sources[kind]) for kind in sorted(images)}
    origin = (
        f"{read} images of {len({row['source'] for row in chosen})} sources of the training part "
        f"of {args.manifest.parent.name}, at most {args.most} of a source "
        f"({args.most_png} when generated PNGs)"
    )
    OUT.parent.mkdir(exist_ok=True)
    text = json.dumps({"counted_on": origin, "kinds": kinds}, separators=(",", ":"))
    OUT.write_text(text + "\n", encoding="utf-8")
    for kind, record in kinds.items():
        print(f"{kind}: {record['images']} images, {record['sources']} sources, "
              f"{len(record['values'])} values kept")  # fmt: skip
    print(f"{origin}; {OUT.stat().st_size:,} bytes")


def choose(manifest: Path, most: int, most_png: int) -> list[dict[str, str]]:
    """The training images that are counted."""
    with gzip.open(manifest, "rt", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["split"] == "train"]
    taken: dict[str, int] = defaultdict(int)
    chosen = []
    for row in sorted(rows, key=lambda row: row["sha256"]):
        taken[row["source"]] += 1
        png = row["label"] == "1" and row["format"] == "PNG"
        if taken[row["source"]] <= (most_png if png else most):
            chosen.append(row)
    return chosen


def values_of(data: bytes) -> set[tuple[str, str]]:
    """Kind and value of every trace of a file, shingles of prompts among them."""
    item = HeaderOnly(data, header_facts(data))
    evidence: list[Evidence] = []
    for name in CHANNELS:
        evidence += channel(name).find(item)
    found = {(trace.kind, trace.value) for trace in traces(evidence, item.facts)}
    return found | {("prompt", s) for prompt in prompts_of(evidence) for s in shingles(prompt)}


def counted(kind: str, images: dict[str, set[str]], sources: dict[str, set[str]]) -> Any:
    """One kind's record: how many images and sources carry any value, and the common values."""
    return {
        "images": len(set().union(*images.values())),
        "sources": len(set().union(*sources.values())),
        "values": {
            key_of(kind, value): [len(carriers), len(sources[value])]
            for value, carriers in sorted(images.items())
            if len(carriers) > 1
        },
    }


if __name__ == "__main__":
    main()
