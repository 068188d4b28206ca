"""Measures `detector scan`: images a second, seconds a megapixel, memory, and decoding alone.

    python -m benchmarks.scan_speed

Run from the repository's root on an idle machine. For each number of images it makes a folder
of sound images (`benchmarks.make_mixed_folder`, which says what is in it), scans it with the
command as a user would, in a process of its own and into a new store, scans it again, and
decodes it once more with the same number of worker processes and nothing else. Memory is the
resident size of the scan's process and of all its workers together, read from /proc ten times
a second; pages that processes share count more than once, so it is an upper bound. Results go
to `benchmarks/results/scan_speed.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.make_mixed_folder import make
from detector.errors import ImageError
from detector.images import read_bytes, read_image
from detector.pool import Pool, available_cpus
from detector.scan.run import MOST_WORKERS
from detector.weights import load_bundle

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measured:
    """One folder's figures.

    Attributes:
        images, megapixels, bytes: of the folder.
        seconds: of the whole first scan, start and loading of the model included.
        again: seconds of the second scan, in which nothing is new.
        decoding: seconds to read and decode the folder, with as many processes.
        peak_main, peak_workers, peak_total: resident bytes; the total's own peak.
    """

    images: int
    megapixels: float
    bytes: int
    seconds: float
    again: float
    decoding: float
    peak_main: int
    peak_workers: int
    peak_total: int

    @property
    def images_per_second(self) -> float:
        """Of the first scan."""
        return self.images / self.seconds

    @property
    def seconds_per_megapixel(self) -> float:
        """Of the first scan."""
        return self.seconds / self.megapixels

    @property
    def ratio(self) -> float:
        """How many times as long as decoding alone the first scan takes."""
        return self.seconds / self.decoding


@dataclass
class Peaks:
    """Largest resident sizes seen so far, in bytes."""

    main: int = 0
    workers: int = 0
    total: int = 0

    def look(self, pid: int) -> None:
        """Read the sizes of a process and of its children."""
        main = resident(pid)
        workers = sum(resident(child) for child in children(pid))
        self.main, self.workers = max(self.main, main), max(self.workers, workers)
        self.total = max(self.total, main + workers)


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 when it has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        return found
    return found


def run(words: list[str]) -> tuple[float, Peaks]:
    """Run one `detector` command; gives its seconds and its memory."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "detector", *words])
    peaks = Peaks()
    while process.poll() is None:
        peaks.look(process.pid)
        time.sleep(0.1)
    if process.returncode != 0:
        raise SystemExit(f"detector {' '.join(words)} ended with {process.returncode}")
    return time.monotonic() - begun, peaks


def decode(path: str) -> str:
    """Read and decode one file; gives what went wrong, or nothing."""
    try:
        read_image(read_bytes(path))
    except ImageError as error:
        return error.reason
    return ""


def time_decoding(folder: Path, workers: int) -> float:
    """Seconds to decode every file of a folder in worker processes."""
    paths = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    begun = time.monotonic()
    with Pool(decode, workers) as pool:
        faults = [outcome for _, outcome in pool.run(paths) if outcome]
    if faults:
        raise SystemExit(f"{len(faults)} files of {folder} cannot be decoded: {faults[0]}")
    return time.monotonic() - begun


def measure(folder: Path, count: int, workers: int, options: list[str]) -> Measured:
    """All figures of one folder, which is made for it."""
    made = make(folder, count, clean=True)
    store = folder.parent / f"{folder.name}.db"
    words = ["scan", str(folder), "--store", str(store), "--quiet", "--workers", str(workers)]
    seconds, peaks = run([*words, *options])
    again, _ = run([*words, *options])
    return Measured(
        made.files,
        made.megapixels,
        made.bytes,
        seconds,
        again,
        time_decoding(folder, workers),
        peaks.main,
        peaks.workers,
        peaks.total,
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cpus": available_cpus(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def as_markdown(record: dict[str, Any], measured: list[Measured]) -> str:
    """The figures as a page."""
    on = record["machine"]
    lines = [
        "# Speed and memory of `detector scan`",
        "",
        f"Made by `python -m benchmarks.scan_speed` on {on['date']}: {on['cpus']} × {on['cpu']}, "
        f"Python {on['python']}, torch {on['torch']}, {record['workers']} decoding processes, "
        f"model `{record['model']}` ({record['config_hash']}).",
        "",
        "| images | megapixels | seconds | images/s | s/megapixel | × decoding alone | "
        "second scan, s | peak memory, MB (main + workers) |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {m.images} | {m.megapixels:.0f} | {m.seconds:.1f} | {m.images_per_second:.1f} | "
        f"{m.seconds_per_megapixel:.3f} | {m.ratio:.2f} | {m.again:.1f} | "
        f"{m.peak_total / 1e6:.0f} ({m.peak_main / 1e6:.0f} + {m.peak_workers / 1e6:.0f}) |"
        for m in measured
    ]
    if len(measured) > 1:
        growth = measured[-1].peak_total / measured[0].peak_total - 1
        lines += [
            "",
            f"From {measured[0].images} to {measured[-1].images} images the peak memory "
            f"changes by {growth:+.0%}.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 2000], metavar="N")
    parser.add_argument("--workers", type=int, default=min(available_cpus(), MOST_WORKERS))
    parser.add_argument("--threads", type=int, help="threads of the CNN (default: torch's)")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--model", help="model bundle: its name or its folder")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    options = ["--batch-size", str(args.batch_size)]
    options += ["--threads", str(args.threads)] if args.threads else []
    options += ["--model", args.model] if args.model else []
    bundle = load_bundle(args.model)
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as place:
        for count in sorted(args.counts):
            print(f"{count} images …", file=sys.stderr)
            measured.append(measure(Path(place) / f"n{count}", count, args.workers, options))
    record = {
        "machine": machine(),
        "model": bundle.id,
        "config_hash": bundle.config_hash,
        "workers": args.workers,
        "threads": args.threads,
        "batch_size": args.batch_size,
        "measured": [
            {
                **asdict(m),
                "images_per_second": round(m.images_per_second, 3),
                "seconds_per_megapixel": round(m.seconds_per_megapixel, 4),
                "times_decoding": round(m.ratio, 3),
            }
            for m in measured
        ],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "scan_speed.json").write_text(json.dumps(record, indent=2) + "\n")
    page = as_markdown(record, measured)
    (args.out / "scan_speed.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
