"""Signatures of manifests in files, made and verified without any image or registry: skopeo's standalone-… commands."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    IdentityMismatchError,
    InvalidReferenceError,
    LimitExceededError,
    UntrustedKeyError,
    UsageError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import split_docker_reference
from plimsoll.model.signature import UntrustedSimpleSignature
from plimsoll.pipeline.signing import GpgSigner, make_claim
from plimsoll.signatures.simple import GpgTrust, verify_simple

ANY: Final = "any"
"""Stands for every key of the file with public keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Who signed which manifest: the fingerprint of the primary key in upper-case hex, and the digest."""

    fingerprint: str
    digest: Digest


async def sign_manifest(manifest: bytes, *, reference: str, signer: GpgSigner, now_s: float) -> bytes:
    """The OpenPGP message that signs ``manifest`` as ``reference``, which is written as it is.

    Raises UsageError for an empty reference, SigningError, and what ``manifest_digest`` raises.
    """
    if not reference:
        raise UsageError("Unexpected empty signature content: name the image")
    if not reference.isprintable():
        raise UsageError("the docker reference holds a character that no reference has")
    return (await signer.sign(make_claim(manifest_digest(manifest), reference, now_s=now_s))).message


def verify_manifest(
    manifest: bytes, signature: bytes, *, reference: str, trust: GpgTrust, fingerprints: Collection[str], now_s: float
) -> Proof:
    """Prove that one of ``fingerprints`` (for ``any``: of the keys in ``trust``) signed ``manifest`` as ``reference``.

    Raises SignatureError, in the order of skopeo's checks: signature, key, digest, name; and UsageError for a
    reference that is none.
    """
    expected = _normal(reference)
    if expected is None:
        raise UsageError(f"{reference!r} is no docker reference")
    digest = manifest_digest(manifest)
    found = verify_simple(UntrustedSimpleSignature(message=signature), trust, (digest,), now_s)
    if fingerprints != {ANY} and found.key not in fingerprints:
        raise UntrustedKeyError(f"signature by key {found.key} is not accepted")
    signed = _normal(found.docker_reference)
    if signed is None:
        raise IdentityMismatchError(f"Invalid docker reference {found.docker_reference[:160]!r} in signature")
    if signed != expected:
        raise IdentityMismatchError(f'Docker reference "{signed}" does not match "{expected}"')
    return Proof(fingerprint=found.key, digest=digest)


def manifest_digest(data: bytes) -> Digest:
    """The SHA-256 of a manifest's bytes; skopeo hashes whatever it is given, and so do we.

    Raises UnsupportedError for Docker schema 1, whose digest covers a part of the bytes only, LimitExceededError.
    """
    if len(data) > limits.MANIFEST_BYTES:
        raise LimitExceededError(f"a manifest of {len(data)} bytes: at most {limits.MANIFEST_BYTES}")
    with suppress(ContentError):  # what is no manifest has a digest all the same, and no image has that one
        parse_manifest(RawManifest(data=data))
    return Digest.of(data)


def _normal(reference: str) -> str | None:
    """The whole normalised reference, to which no tag is added; None for what is none."""
    try:
        domain, path, tag, digest = split_docker_reference(reference)
    except InvalidReferenceError:
        return None
    return f"{domain}/{path}{'' if tag is None else f':{tag}'}{'' if digest is None else f'@{digest}'}"
