"""What the C library's settings for large blocks bring to a training step on a CPU.

    python -m benchmarks.train_memory

Linux with glibc. Each step of training allocates and frees maps of tens of megabytes; glibc takes
each one from the kernel anew, page by page. The same steps run in three processes that take turns:
as they are, with blocks kept on the heap, and with huge pages as well. One thread; CPU seconds, so
that other work hardly matters. Writes `benchmarks/results/train_memory.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

OUT = Path(__file__).parent / "results" / "train_memory.json"
KEPT = (
    "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=16000000000:glibc.malloc.top_pad=500000000"
)
FORMS = {"plain": "", "kept": KEPT, "kept, huge pages": f"glibc.malloc.hugetlb=1:{KEPT}"}
STEPS, VIEWS, ROUNDS = 4, 32, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().steps:
        print(json.dumps(steps()))
        return
    seconds: dict[str, list[float]] = {name: [] for name in FORMS}
    faults: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name, tunables in FORMS.items():
            ran = subprocess.run(
                [sys.executable, "-m", "benchmarks.train_memory", "--steps"],
                env={**os.environ, "OMP_NUM_THREADS": "1", "GLIBC_TUNABLES": tunables},
                stdout=subprocess.PIPE,
                check=True,
            )
            cost, count = json.loads(ran.stdout)
            seconds[name].append(cost)
            faults[name] = count
    result = {
        "command": "python -m benchmarks.train_memory",
        "forms": {
            name: {
                "tunables": FORMS[name],
                "cpu_seconds_a_step": round(statistics.median(costs), 3),
                "ratio_to_plain": round(
                    statistics.median(a / b for a, b in zip(costs, seconds["plain"], strict=True)),
                    3,
                ),
                "page_faults_a_step": faults[name] // STEPS,
            }
            for name, costs in seconds.items()
        },
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def steps() -> tuple[float, int]:
    """CPU seconds and minor page faults of some forward and backward passes, after one."""
    import torch

    from detector.model import TwoViewNet
    from detector.train.loop import freeze

    torch.manual_seed(0)
    net = TwoViewNet().train().to(memory_format=torch.channels_last)
    freeze(net, 5)
    views = torch.randn(VIEWS, 3, 224, 224).to(memory_format=torch.channels_last)
    net.embed(views).sum().backward()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(STEPS):
        net.embed(views).sum().backward()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent / STEPS, after.ru_minflt - before.ru_minflt


if __name__ == "__main__":
    main()
