"""Measures what gathering evidence costs a scan: the same folder with and without it.

    python -m benchmarks.scan_evidence [--images N]

Makes a folder as `benchmarks.scan_speed` does and scans it twice with the command, into new
stores. CPU seconds of all processes are given beside wall seconds, since they hardly depend on what
else the machine is doing; of a run on a shared machine (see `load_average`, taken before) only the
ratios within that run say something. Writes `benchmarks/results/scan_evidence.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.make_mixed_folder import make
from benchmarks.scan_speed import RESULTS, machine, run


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    record: dict[str, Any] = {"machine": machine(), "workers": given.workers}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        made = make(folder, given.images, clean=True)
        record |= {"images": made.files, "megapixels": round(made.megapixels, 1)}
        record["load_average"] = round(os.getloadavg()[0], 1)
        for name, options in (("without", ["--no-evidence"]), ("with", [])):
            store = str(Path(place) / f"{name}.db")
            words = ["scan", str(folder), "--store", store, "--quiet"]
            before = os.times()
            seconds, peaks = run([*words, "--workers", str(given.workers), *options])
            after = os.times()
            cpu = sum(after[2:4]) - sum(before[2:4])
            record[name] = {
                "seconds": round(seconds, 1),
                "images_per_second": round(made.files / seconds, 2),
                "cpu_seconds": round(cpu, 1),
                "cpu_ms_per_image": round(1000 * cpu / made.files),
                "peak_memory_mb": round(peaks.total / 1e6),
            }
    record["ratio_of_with_to_without"] = {
        name: round(record["with"][name] / record["without"][name], 2)
        for name in ("seconds", "cpu_seconds", "peak_memory_mb")
    }
    (RESULTS / "scan_evidence.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
