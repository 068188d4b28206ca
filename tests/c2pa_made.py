"""Signs files with keys that are made on the spot, for the tests of Content Credentials."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BASE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Authority:
    """A root certificate of its own, and a signer that it vouches for."""

    def __init__(self, organisation: str) -> None:
        self.organisation = organisation
        root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = self._certificate("Test Root", root_key, "Test Root", root_key, authority=True)
        leaf = self._certificate("Test Signer", leaf_key, "Test Root", root_key, authority=False)
        pem = serialization.Encoding.PEM
        self.root_pem = root.public_bytes(pem).decode()
        self.chain = leaf.public_bytes(pem) + root.public_bytes(pem)
        self.key = leaf_key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _name(self, common: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, common),
            ]
        )

    def _certificate(
        self,
        subject: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = {
            "digital_signature": not authority,
            "key_cert_sign": authority,
            "crl_sign": authority,
            "content_commitment": False,
            "key_encipherment": False,
            "data_encipherment": False,
            "key_agreement": False,
            "encipher_only": False,
            "decipher_only": False,
        }
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        limits = x509.BasicConstraints(ca=authority, path_length=0 if authority else None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._name(subject))
            .issuer_name(self._name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(limits, critical=True)
            .add_extension(own, critical=False)
            .add_extension(above, critical=False)
            .add_extension(x509.KeyUsage(**usage), critical=True)
        )
        if not authority:
            mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def signer(self) -> c2pa.Signer:
        """A signer without a time-stamping service, so that nothing is asked of a network."""
        info = c2pa.C2paSignerInfo(
            alg=b"es256", sign_cert=self.chain, private_key=self.key, ta_url=None
        )
        return c2pa.Signer.from_info(info)


@lru_cache(maxsize=1)
def authority() -> Authority:
    """The authority of this test run."""
    return Authority("Example Test")


def manifest(*actions: dict[str, Any], generator: str = "Example Generator") -> dict[str, Any]:
    """A manifest definition with these actions."""
    return {
        "claim_generator_info": [{"name": generator, "version": "1.0"}],
        "title": "example",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": list(actions)}}],
    }


def created(code: str) -> dict[str, Any]:
    """The action of making an image from nothing, with a source type."""
    return {"action": "c2pa.created", "digitalSourceType": BASE + code}


def sign(
    data: bytes,
    definition: dict[str, Any],
    *,
    kind: str = "image/jpeg",
    ingredients: Sequence[tuple[str, bytes]] = (),
    remote: str = "",
    by: Authority | None = None,
) -> bytes:
    """The file with a signed manifest; (relationship, JPEG) ingredients; or only an address."""
    builder = c2pa.Builder(definition)
    for number, (relationship, body) in enumerate(ingredients):
        name = f"part{number}"
        spec = {"title": f"{name}.jpg", "relationship": relationship, "instance_id": name}
        builder.add_ingredient({**spec, "label": name}, "image/jpeg", io.BytesIO(body))
    if remote:
        builder.set_remote_url(remote)
        builder.set_no_embed()
    signed = io.BytesIO()
    builder.sign((by or authority()).signer(), kind, io.BytesIO(data), signed)
    return signed.getvalue()
