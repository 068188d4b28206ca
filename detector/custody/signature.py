"""Signatures of reports in the format of minisign (Ed25519 over BLAKE2b-512), beside the file.

`minisign -V -p KEY.pub -m report.html` checks what `sign` writes, and keys made by either work
with both. A signature says who vouches for these bytes and when they say they did; the time is
the signer's own claim.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from detector import names
from detector.errors import CustodyError, MissingExtraError, UsageError

SUFFIX = ".minisig"


def new_key(path: str | Path, password: str = "") -> str:
    """Make a key pair: the secret key at `path`, readable by its owner alone, and `path`.pub.

    Args:
        path: of the secret key; neither file may be there yet.
        password: encrypts the secret key (scrypt); "" leaves it open.

    Returns the public key as one line of base64, as others need it.
    """
    minisign = _minisign()
    secret_path, public_path = Path(path), Path(f"{path}.pub")
    pair = minisign.KeyPair.generate()
    with pair.secret_key as secret:
        public = bytes(pair.public_key)
        if password:
            secret.encrypt(password)
        _create(secret_path, bytes(secret) + b"\n", 0o600)
    _create(public_path, public + b"\n", 0o644)
    line: str = pair.public_key.to_base64().decode("ascii")
    return line


def sign(path: str | Path, key: str | Path, password: str = "") -> Path:
    """Sign a file; gives the path of the signature, `path`.minisig.

    Raises CustodyError when the key or the password does not fit, UsageError when the
    signature cannot be written.
    """
    minisign = _minisign()
    try:
        secret = minisign.SecretKey.from_file(key)
        with secret, open(path, "rb") as stream:
            if secret.is_encrypted():
                secret.decrypt(password)
            signature = secret.sign(stream, trusted_comment=_comment(Path(path)))
    except OSError as error:
        raise CustodyError(f"cannot sign {path}: {error}") from error
    except minisign.Error as error:
        raise CustodyError(f"cannot sign with {key}: {error}") from error
    target = Path(f"{path}{SUFFIX}")
    try:
        target.write_bytes(bytes(signature) + b"\n")
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from error
    return target


def needs_password(key: str | Path) -> bool:
    """Whether a secret key is encrypted; raises CustodyError when it is none."""
    minisign = _minisign()
    try:
        with minisign.SecretKey.from_file(key) as secret:
            encrypted: bool = secret.is_encrypted()
            return encrypted
    except (OSError, minisign.Error) as error:
        raise CustodyError(f"{key}: not a secret key of minisign: {error}") from error


def verify_signature(
    path: str | Path, public_key: str | Path, signature: str | Path | None = None
) -> str:
    """Check a file against its signature; gives the signed comment (time and file name).

    Args:
        path: the signed file.
        public_key: a file, or the key itself as base64.
        signature: its file; None: `path`.minisig.

    Raises CustodyError, saying why, when the signature is missing or does not hold.
    """
    minisign = _minisign()
    public = _public(minisign, public_key)
    place = Path(f"{path}{SUFFIX}" if signature is None else signature)
    try:
        read = minisign.Signature.from_file(place)
        with open(path, "rb") as stream:
            public.verify(stream, read)
    except OSError as error:
        raise CustodyError(f"{place}: no signature to check: {error.strerror}") from error
    except minisign.Error as error:
        raise CustodyError(f"{path}: the signature does not hold: {error}") from error
    comment: str = read.trusted_comment
    return names.one_line(comment.replace("\t", " "))


def _public(minisign: ModuleType, public_key: str | Path) -> Any:
    try:
        if Path(public_key).is_file():
            return minisign.PublicKey.from_file(public_key)
        return minisign.PublicKey.from_base64(str(public_key))
    except (OSError, minisign.Error) as error:
        raise CustodyError(f"{public_key}: neither a public key nor its file: {error}") from error


def _comment(path: Path) -> str:
    # minisign takes printable ASCII only; a name may be anything.
    name = names.printable(path.name).encode("ascii", "backslashreplace").decode("ascii")
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return f"timestamp:{int(time.time())}\tfile:{shown}\thashed"


def _create(path: Path, data: bytes, mode: int) -> None:
    """A new file that never was readable by more than `mode` allows."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already: a key is never overwritten") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _minisign() -> ModuleType:
    try:
        import minisign
    except ImportError as error:
        raise MissingExtraError("Signing", "campaign") from error
    module: ModuleType = minisign
    return module
