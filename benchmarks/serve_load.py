"""2,000 mixed requests at concurrency 64 against a running `detector serve`, a tenth hostile.

    python -m benchmarks.serve_load [--requests 2000] [--concurrency 64] [--out benchmarks/results]

Good requests are photographs of scikit-image in several formats and sizes, one or several in a
request. Hostile ones are bombs, truncated files, wrong types, clients that stop half-way, and
clients that stall. Every good request must be answered with the scores that `Detector.predict`
gives, or with 429; a client that gets 429 comes again when it is told to, at most a few times.
The server's memory, its workers included, is read all along.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from skimage import data as photographs

from detector import __version__
from detector.predict import Detector

TOLERANCE = 1e-4  # what `Detector` promises over batch sizes and threads
TRIES = 6
TOKEN = "0123456789abcdef0123456789abcdef"
HOSTILE_SHARE = 0.1


@dataclass
class Outcome:
    """What became of one request."""

    kind: str
    status: int  # 0: the connection was closed
    seconds: float
    retries: int = 0
    wrong: str = ""


@dataclass
class Memory:
    """Resident memory of the server and its workers, in MiB, over time."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    def part(self, start: float, end: float) -> list[float]:
        """The samples between two shares of the run."""
        count = len(self.samples)
        return [mib for _, mib in self.samples[int(count * start) : max(int(count * end), 1)]]


def good_files() -> dict[str, bytes]:
    """Named files that can be scored: photographs, resized and saved in several ways."""
    made: dict[str, bytes] = {}
    names = ("astronaut", "chelsea", "coffee", "rocket", "cat")
    for number, name in enumerate(names):
        picture = Image.fromarray(getattr(photographs, name)()[..., :3])
        for width, kind, options in (
            (640, "JPEG", {"quality": 90}),
            (420, "JPEG", {"quality": 70}),
            (384, "PNG", {}),
            (512, "WEBP", {"quality": 80}),
        ):
            height = round(picture.height * width / picture.width)
            out = io.BytesIO()
            picture.resize((width, height)).save(out, kind, **options)
            made[f"{name}-{width}-{number}.{kind.lower()}"] = out.getvalue()
    return made


def bomb(width: int, height: int) -> bytes:
    """A small PNG that declares a huge picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    squeezed = zlib.compress(bytes(10_000_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", squeezed) + chunk(b"IEND", b"")
    )


class Load:
    """All requests of one run."""

    def __init__(self, port: int, files: dict[str, bytes], expected: dict[str, float]) -> None:
        self.port = port
        self.files = files
        self.names = sorted(files)
        self.expected = expected
        self.outcomes: list[Outcome] = []
        self.bombs = [bomb(60_000, 60_000), bomb(7_000, 7_000)]
        self.hostile = {
            "bomb": self.bombed,
            "truncated": self.truncated,
            "wrong type": self.wrong_type,
            "text as JPEG": self.text,
            "cut off": self.cut_off,
            "stalls": self.stalls,
            "no body": self.no_body,
            "too long": self.too_long,
        }

    async def run(self, requests: int, concurrency: int, seed: int) -> float:
        """Send them all; gives the seconds."""
        dice = random.Random(seed)
        hostile = set(dice.sample(range(requests), int(requests * HOSTILE_SHARE)))
        kinds = list(self.hostile)
        jobs = [
            (n, kinds[i % len(kinds)] if n in hostile else "", dice.random())
            for i, n in enumerate(range(requests))
        ]
        queue: asyncio.Queue[tuple[int, str, float]] = asyncio.Queue()
        for job in jobs:
            queue.put_nowait(job)
        began = time.monotonic()
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=300,
            limits=limits,
        ) as client:
            await asyncio.gather(*[self._client(client, queue) for _ in range(concurrency)])
        return time.monotonic() - began

    async def _client(self, client: httpx.AsyncClient, queue: Any) -> None:
        while not queue.empty():
            number, kind, chance = queue.get_nowait()
            start = time.monotonic()
            try:
                outcome = await (
                    self.hostile[kind](client) if kind else self.good(client, number, chance)
                )
            except (httpx.HTTPError, OSError, asyncio.IncompleteReadError) as error:
                outcome = Outcome(kind or "good", 0, 0.0)
                if not kind:
                    outcome.wrong = f"connection: {type(error).__name__}"
            outcome.seconds = time.monotonic() - start
            self.outcomes.append(outcome)

    async def good(self, client: httpx.AsyncClient, number: int, chance: float) -> Outcome:
        """One image as a raw body, or up to four as a form; comes again after 429."""
        count = 1 if chance < 0.8 else 2 + int(chance * 100) % 3
        names = [self.names[(number + i) % len(self.names)] for i in range(count)]
        outcome = Outcome(f"{count} image{'s' if count > 1 else ''}", 0, 0.0)
        for attempt in range(TRIES):
            outcome.retries = attempt
            if count == 1:
                kind = {"content-type": "application/octet-stream"}
                answer = await client.post("/v1/score", content=self.files[names[0]], headers=kind)
            else:
                form = [("file", (name, self.files[name])) for name in names]
                answer = await client.post("/v1/score", files=form)
            outcome.status = answer.status_code
            if answer.status_code != 429:
                break
            await asyncio.sleep(float(answer.headers["retry-after"]))
        if outcome.status == 200:
            outcome.wrong = self.compare(names, answer.json()["findings"])
        elif outcome.status != 429:
            outcome.wrong = f"status {outcome.status}: {answer.text[:200]}"
        return outcome

    def compare(self, names: list[str], findings: list[dict[str, Any]]) -> str:
        """What is wrong with an answer; "" when nothing is."""
        if len(findings) != len(names):
            return f"{len(findings)} findings for {len(names)} images"
        for name, finding in zip(names, findings, strict=True):
            score = finding["score"]
            if score is None or abs(score - self.expected[name]) > TOLERANCE:
                return f"{name}: score {score}, expected {self.expected[name]}: {finding['reason']}"
        return ""

    async def _expect(
        self, kind: str, answer: httpx.Response, statuses: set[int], word: str = ""
    ) -> Outcome:
        outcome = Outcome(kind, answer.status_code, 0.0)
        if answer.status_code == 429:
            return outcome
        if answer.status_code not in statuses:
            outcome.wrong = f"status {answer.status_code}: {answer.text[:200]}"
        elif answer.status_code == 200 and answer.json()["findings"][0]["status"] != word:
            outcome.wrong = f"finding {answer.json()['findings'][0]['status']}, expected {word}"
        return outcome

    async def bombed(self, client: httpx.AsyncClient) -> Outcome:
        body = self.bombs[len(self.outcomes) % 2]
        word = "too_large" if body is self.bombs[0] else "truncated"
        answer = await client.post("/v1/score", content=body, headers={"content-type": "image/png"})
        return await self._expect("bomb", answer, {200}, word)

    async def truncated(self, client: httpx.AsyncClient) -> Outcome:
        whole = self.files[next(n for n in self.names if n.endswith("jpeg"))]
        body, kind = whole[: len(whole) // 2], {"content-type": "image/jpeg"}
        answer = await client.post("/v1/score", content=body, headers=kind)
        return await self._expect("truncated", answer, {200}, "truncated")

    async def text(self, client: httpx.AsyncClient) -> Outcome:
        kind = {"content-type": "image/jpeg"}
        answer = await client.post("/v1/score", content=b"hello " * 999, headers=kind)
        return await self._expect("text as JPEG", answer, {200}, "unsupported")

    async def wrong_type(self, client: httpx.AsyncClient) -> Outcome:
        answer = await client.post("/v1/score", data={"a": "b"})
        return await self._expect("wrong type", answer, {415})

    async def no_body(self, client: httpx.AsyncClient) -> Outcome:
        return await self._expect("no body", await client.post("/v1/score"), {400})

    async def too_long(self, _: httpx.AsyncClient) -> Outcome:
        return await self._raw("too long", 10**12, b"x" * 1000, wait=True)

    async def cut_off(self, _: httpx.AsyncClient) -> Outcome:
        return await self._raw("cut off", 10_000, b"x" * 1000, wait=False)

    async def stalls(self, _: httpx.AsyncClient) -> Outcome:
        return await self._raw("stalls", 10_000, b"x" * 1000, wait=True)

    async def _raw(self, kind: str, length: int, body: bytes, *, wait: bool) -> Outcome:
        """A request whose body is shorter than its head says."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (
            f"POST /v1/score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        status = 0
        if wait:
            line = await asyncio.wait_for(reader.readline(), 120)
            status = int(line.split()[1]) if line else 0
        writer.close()
        outcome = Outcome(kind, status, 0.0)
        if wait and status not in (408, 413, 429):
            outcome.wrong = f"status {status}"
        return outcome


async def watch(pid: int, memory: Memory, every: float = 0.5) -> None:
    """Read the memory of a process and its children until cancelled."""
    began = time.monotonic()
    while True:
        memory.samples.append((time.monotonic() - began, resident(pid)))
        await asyncio.sleep(every)


def resident(pid: int) -> float:
    """Proportional memory of a process and all below it, in MiB."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            todo += [int(c) for t in tasks for c in (t / "children").read_text().split()]
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One run, with its own server."""
    files = good_files()
    detector = Detector.load()
    findings = detector.predict_batch(list(files.values()))
    expected = {name: float(f.score or 0) for name, f in zip(files, findings, strict=True)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens"
        tokens.write_text(TOKEN + "\n")
        command = [sys.executable, "-m", "detector", "serve", "--port", str(port)]
        command += ["--token-file", str(tokens), "--request-timeout", "300"]
        with (Path(folder) / "log").open("w+") as log:
            server = subprocess.Popen(command, stderr=log)
            try:
                await until_ready(port)
                load, memory = Load(port, files, expected), Memory()
                # The first requests fill caches and start threads: they are not measured.
                await load.run(args.concurrency // 2, args.concurrency, seed=1)
                load.outcomes.clear()
                watcher = asyncio.create_task(watch(server.pid, memory))
                cpu = cpu_seconds(server.pid)
                seconds = await load.run(args.requests, args.concurrency, seed=0)
                cpu = cpu_seconds(server.pid) - cpu
                watcher.cancel()
            finally:
                server.terminate()
                code = server.wait(60)
            log.seek(0)
            faults = [line for line in log if '"level": "error"' in line]
    return summary(load, memory, seconds, cpu, args, code, faults)


async def until_ready(port: int) -> None:
    """Wait for the server to say that it is ready."""
    async with httpx.AsyncClient() as client:
        for _ in range(1200):
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit("the server does not become ready")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its living children."""
    total, todo = 0.0, [pid]
    while todo:
        one = todo.pop()
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            todo += [int(c) for t in tasks for c in (t / "children").read_text().split()]
            words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return total


def summary(
    load: Load,
    memory: Memory,
    seconds: float,
    cpu: float,
    args: argparse.Namespace,
    code: int,
    faults: list[str],
) -> dict[str, Any]:
    """The run as plain values."""
    good = [o for o in load.outcomes if "image" in o.kind]
    answered = [o for o in good if o.status == 200]
    images = sum(int(o.kind.split()[0]) for o in answered)
    by_kind: dict[str, Counter[str]] = {}
    for outcome in load.outcomes:
        by_kind.setdefault(outcome.kind, Counter())[str(outcome.status or "closed")] += 1
    early, late = memory.part(0.25, 0.5), memory.part(0.75, 1.0)
    one = sorted(o.seconds for o in answered if o.kind == "1 image" and not o.retries)
    return {
        "command": f"python -m benchmarks.serve_load --requests {args.requests} "
        f"--concurrency {args.concurrency}",
        "version": __version__,
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, "
        f"Python {platform.python_version()}",
        "load_average": [round(v, 1) for v in os.getloadavg()],
        "note": args.note,
        "requests": len(load.outcomes),
        "concurrency": args.concurrency,
        "hostile": len(load.outcomes) - len(good),
        "seconds": round(seconds, 1),
        "server_cpu_seconds": round(cpu, 1),
        "good": {
            "requests": len(good),
            "answered": len(answered),
            "refused_429": sum(o.status == 429 for o in good),
            "came_again": sum(o.retries > 0 for o in good),
            "images": images,
            "images_per_second": round(images / seconds, 2),
            "server_cpu_seconds_per_image": round(cpu / max(images, 1), 3),
        },
        "wrong": [f"{o.kind}: {o.wrong}" for o in load.outcomes if o.wrong],
        "latency_one_image_seconds": {
            "count": len(one),
            **{f"p{p}": round(float(np.percentile(one, p)), 2) for p in (50, 95, 99) if one},
        },
        "statuses": {kind: dict(count) for kind, count in sorted(by_kind.items())},
        "memory_mib": {
            "second_quarter": round(statistics.mean(early), 1),
            "last_quarter": round(statistics.mean(late), 1),
            "highest": round(max(mib for _, mib in memory.samples), 1),
        },
        "exit_code": code,
        "errors_in_log": len(faults),
    }


def markdown(found: dict[str, Any]) -> str:
    """The run as a page."""
    good, memory, latency = found["good"], found["memory_mib"], found["latency_one_image_seconds"]
    rows = "\n".join(
        f"| {kind} | {sum(count.values())} | "
        f"{', '.join(f'{n} × {status}' for status, n in sorted(count.items()))} |"
        for kind, count in found["statuses"].items()
    )
    figures = {
        "requests, of them hostile": f"{found['requests']}, {found['hostile']}",
        "concurrency": found["concurrency"],
        "good requests answered": good["answered"],
        f"good requests refused with 429, {TRIES} times": good["refused_429"],
        "good requests that came again after a 429": good["came_again"],
        "wrong answers": len(found["wrong"]),
        "images scored per second, wall time": good["images_per_second"],
        "CPU seconds of the server per image": good["server_cpu_seconds_per_image"],
        "latency of one image, p50 / p95 / p99": " / ".join(
            f"{latency.get(p)} s" for p in ("p50", "p95", "p99")
        ),
        "memory, second quarter / last quarter / highest": " / ".join(
            f"{memory[part]} MiB" for part in ("second_quarter", "last_quarter", "highest")
        ),
        "server's exit code, errors in its log": f"{found['exit_code']}, {found['errors_in_log']}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    return f"""# Load on `detector serve`

`{found["command"]}` on {found["machine"]}; load average at the end {found["load_average"]}.
{found["note"]}

| figure | value |
|---|---|
{table}

| kind of request | count | answers |
|---|---|---|
{rows}

Evidence is gathered for every image. A score counts as wrong when it differs from that of
`Detector.predict` by more than {TOLERANCE:g}. Memory is the server's and its workers' together.
"""


def main() -> int:
    """Run, write the results, and fail when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    parser.add_argument("--out", type=Path, help="folder for serve_load.json and serve_load.md")
    args = parser.parse_args()
    found = asyncio.run(measure(args))
    text = json.dumps(found, indent=2) + "\n"
    if args.out:
        (args.out / "serve_load.json").write_text(text)
        (args.out / "serve_load.md").write_text(markdown(found))
    print(text)
    return 1 if found["wrong"] or found["errors_in_log"] else 0


if __name__ == "__main__":
    sys.exit(main())
