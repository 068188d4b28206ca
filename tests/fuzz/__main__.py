"""Looks for bytes that break a promise, guided by the coverage of the package's Python code.

    python -m tests.fuzz [--minutes N] [--corpus FOLDER]
    python -m tests.fuzz --keep FOLDER

Needs atheris (pip install atheris; Linux and macOS), which brings libFuzzer. It begins with the
made seeds and the kept corpus. What breaks a promise is written to the current folder as crash-…,
timeout-… or oom-…, and printed with its traceback; an oom-… that `target.check` passes is the
fuzzer's own, whose memory grows with the runs: start it again. --keep copies the smallest inputs
of every container from a working folder into the kept corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

KEPT = Path(__file__).with_name("corpus")
WORDS = Path(__file__).with_name("words.dict")
MOST_OF_A_KIND = 16


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--corpus", type=Path, help="working folder, kept between runs")
    parser.add_argument("--keep", type=Path, help="working folder to keep inputs of")
    given = parser.parse_args()
    if given.keep:
        keep(given.keep)
        return
    with atheris.instrument_imports(include=["detector"]):
        from tests.fuzz import seeds, target

        # Channels are imported when they are first used, which must happen in here.
        made = list(seeds.seeds())
        for data in made:
            target.check(data)
    folder = given.corpus or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    for data in made:
        (folder / name_of(data)).write_bytes(data)
    options = [
        f"-max_total_time={int(given.minutes * 60)}",
        f"-dict={WORDS}",
        f"-max_len={seeds.MOST_BYTES}",
        "-timeout=60",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-reload=0",
    ]
    print(f"working folder: {folder}", file=sys.stderr)
    atheris.Setup([sys.argv[0], *options, str(folder), str(KEPT)], target.check)
    atheris.Fuzz()


def keep(folder: Path) -> None:
    """Keep the smallest inputs of every container that libFuzzer thought worth keeping."""
    from detector.images import sniff

    kinds: dict[str | None, list[bytes]] = {}
    for path in folder.iterdir():
        data = path.read_bytes()
        kinds.setdefault(sniff(data), []).append(data)
    for found in kinds.values():
        for data in sorted(found, key=lambda data: (len(data), data))[:MOST_OF_A_KIND]:
            (KEPT / name_of(data)).write_bytes(data)


def name_of(data: bytes) -> str:
    """A name that tells inputs apart."""
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    main()
