"""`detector serve`: an HTTP service that scores images for other programs."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from detector.serve.settings import Settings

_MEGABYTE = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Answers POST /v1/score with findings, and says how it is at /healthz, /readyz and "
        "/metrics; /openapi.json describes it. Nothing of an image is stored, and no address is "
        "fetched unless its host is listed. Needs the extra: pip install 'aigi-detector[serve]'"
    )
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="address to listen on")
    where.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    where.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="bearer tokens, one a line, or sha256:HEX; read again when it changes",
    )
    where.add_argument(
        "--no-token",
        action="store_true",
        help="let everybody in who reaches an address other than loopback",
    )
    what = parser.add_argument_group("what")
    what.add_argument("--model", metavar="NAME", help="a bundle's name or folder, or hf:FOLDER")
    what.add_argument("--policy", type=Path, metavar="FILE", help="adds an action to each finding")
    what.add_argument(
        "--allow-fetch",
        action="append",
        default=[],
        metavar="HOST",
        help="fetch images from this host (NAME or NAME:PORT) when a request names them; never "
        "from private addresses; may be repeated",
    )
    what.add_argument("--label-studio", metavar="URL", help="be the ML backend of this one")
    what.add_argument(
        "--label-studio-token-file", type=Path, metavar="FILE", help="an API token of it"
    )
    _add_limits(parser.add_argument_group("limits"))


def _add_limits(group: argparse._ArgumentGroup) -> None:
    from detector.serve.settings import Settings

    usual = Settings()
    for option, value, words in (
        ("--max-file", usual.limits.max_bytes // _MEGABYTE, "largest file in MiB"),
        ("--max-pixels", usual.limits.max_pixels // 10**6, "largest image in megapixels"),
        ("--max-body", usual.max_body // _MEGABYTE, "largest request in MiB"),
        ("--max-images", usual.max_images, "most images in one request"),
        ("--queue", usual.queue, "most images in the house; more get 429"),
        ("--workers", usual.workers, "decoding processes; 0 decodes unprotected"),
        ("--threads", usual.threads, "CPU threads of the CNN"),
        ("--batch-size", usual.batch_size, "images that the CNN scores together"),
        ("--decode-timeout", int(usual.decode_timeout), "seconds for one file in a worker"),
        ("--request-timeout", int(usual.request_timeout), "seconds for one request"),
        ("--body-timeout", int(usual.body_timeout), "seconds that a client has for its body"),
    ):
        least = 0 if option == "--workers" else 1
        group.add_argument(
            option,
            type=lambda text, least=least: _number(text, least),  # type: ignore[misc]
            default=value,
            metavar="N",
            help=f"{words} (default: {value})",
        )
    group.add_argument("--spool", type=Path, metavar="DIR", help="folder for bodies on their way")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    for module in ("fastapi", "uvicorn", "multipart", "prometheus_client"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("The HTTP service", "serve")
    if args.token_file is None and not args.no_token and not _is_loopback(args.host):
        raise UsageError(
            f"--host {args.host} can be reached by others: give --token-file FILE "
            "(openssl rand -hex 32 > FILE), or say --no-token"
        )
    from detector.serve.app import create_app
    from detector.serve.run import serve

    settings = settings_of(args)
    return serve(create_app(settings), settings, args.host, args.port)


def settings_of(args: argparse.Namespace) -> Settings:
    """The service's settings, as the command line has them."""
    from detector.images import Limits
    from detector.serve.settings import Settings

    if args.spool is not None and not args.spool.is_dir():
        raise UsageError(f"--spool {args.spool}: no such folder")
    return Settings(
        model=args.model,
        token_file=args.token_file,
        policy=args.policy,
        limits=Limits(args.max_file * _MEGABYTE, args.max_pixels * 10**6),
        max_body=args.max_body * _MEGABYTE,
        max_images=min(args.max_images, args.queue),
        queue=args.queue,
        requests=2 * args.queue,
        workers=args.workers,
        threads=args.threads,
        batch_size=args.batch_size,
        decode_timeout=args.decode_timeout,
        request_timeout=args.request_timeout,
        body_timeout=args.body_timeout,
        allow_fetch=tuple(args.allow_fetch),
        label_studio=args.label_studio,
        label_studio_token=_token(args.label_studio_token_file),
        spool=args.spool,
    )


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--label-studio-token-file {path}: cannot be read: {error}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _number(text: str, least: int) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"{value} is less than {least}")
    return value
