"""Every limit and switch of the service in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from detector.images import Limits
from detector.pool import available_cpus

MEGABYTE = 2**20
# A service answers strangers: tighter than a scan of one's own disk.
SERVICE_LIMITS = Limits(max_bytes=32 * MEGABYTE, max_pixels=60_000_000)


@dataclass(frozen=True)
class Settings:
    """How the service works; the defaults suit one machine behind a proxy.

    Attributes:
        model: as for `--model`; None for the default bundle.
        token_file: bearer tokens, one a line; None lets everybody in.
        policy: a policy file, whose action every finding then carries; None for none.
        limits: bounds on one file, checked before decoding.
        max_body: largest request body in bytes.
        max_images: most images in one request.
        queue: most images that are in the house at once; more are answered with 429.
        requests: most requests that are in the house at once, slow uploads included.
        held_bytes: most bytes of bodies in memory at once.
        workers: decoding processes; 0 decodes in this one, which a bad file can then crash.
        threads: CPU threads of the CNN.
        batch_size: images that the CNN looks at together, of whatever requests.
        linger: seconds that the CNN waits for a batch to fill.
        decode_timeout: seconds that one file may take in a worker.
        request_timeout: seconds from the last byte of a request to its answer.
        body_timeout: seconds that a client has to send its body.
        idle_timeout: seconds without a byte after which a client is given up.
        header_timeout: seconds that a client has to send its request's head.
        shutdown_timeout: seconds that work already taken may need at the end.
        connections: most open connections.
        allow_fetch: hosts (NAME or NAME:PORT) that images may be fetched from; none by default.
        label_studio: address of a Label Studio whose ML backend this is; None for none.
        label_studio_token: an API token of it.
        spool: folder for bodies on their way to a worker; None for the system's.
    """

    model: str | None = None
    token_file: Path | None = None
    policy: Path | None = None
    limits: Limits = SERVICE_LIMITS
    max_body: int = 64 * MEGABYTE
    max_images: int = 32
    queue: int = 64
    requests: int = 128
    held_bytes: int = 512 * MEGABYTE
    workers: int = field(default_factory=lambda: max(1, min(8, available_cpus() // 2)))
    threads: int = field(default_factory=lambda: max(1, available_cpus() // 2))
    batch_size: int = 16
    linger: float = 0.005
    decode_timeout: float = 20.0
    request_timeout: float = 60.0
    body_timeout: float = 60.0
    idle_timeout: float = 10.0
    header_timeout: float = 10.0
    shutdown_timeout: float = 30.0
    connections: int = 512
    allow_fetch: tuple[str, ...] = ()
    label_studio: str | None = None
    label_studio_token: str = ""
    spool: Path | None = None
