"""The formats that are judged, each as one value; a new one joins here."""

from __future__ import annotations

from typing import Final

from plimsoll.errors import BadSignatureError
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, Place
from plimsoll.model.signature import UntrustedCosignSignature, UntrustedSimpleSignature
from plimsoll.signatures.cosign import parse_attachment, signature_places, verify_signature
from plimsoll.signatures.formats import SignatureFormat, Trust, VerifiedSignature
from plimsoll.signatures.framing import StoredSignature, unframe
from plimsoll.signatures.openpgp import GpgTrust
from plimsoll.signatures.simple import verify_simple


def _stored(attachment: Attachment) -> StoredSignature:
    if attachment.data is None:
        raise BadSignatureError("the stored signature was not read")
    return unframe(attachment.data)


def _parse_cosign(attachment: Attachment) -> UntrustedCosignSignature | None:
    if attachment.descriptor is not None:
        return parse_attachment(attachment)
    stored = _stored(attachment)
    return stored if isinstance(stored, UntrustedCosignSignature) else None


def _parse_simple(attachment: Attachment) -> UntrustedSimpleSignature | None:
    stored = _stored(attachment)
    return stored if isinstance(stored, UntrustedSimpleSignature) else None


def _verify_cosign(
    untrusted: UntrustedCosignSignature, trust: Trust, digests: tuple[Digest, ...], now_s: float
) -> VerifiedSignature:
    if isinstance(trust, GpgTrust):
        raise TypeError("an OpenPGP keyring verifies no cosign signature")
    return verify_signature(untrusted, trust, digests, now_s)


def _verify_gpg(
    untrusted: UntrustedSimpleSignature, trust: Trust, digests: tuple[Digest, ...], now_s: float
) -> VerifiedSignature:
    if not isinstance(trust, GpgTrust):
        raise TypeError("only an OpenPGP keyring verifies a simple signature")
    return verify_simple(untrusted, trust, digests, now_s)


def _nowhere_else(_digests: tuple[Digest, ...]) -> tuple[Place, ...]:
    return ()  # simple signatures lie in stores only


COSIGN: Final[SignatureFormat[UntrustedCosignSignature]] = SignatureFormat(
    name="cosign", places=signature_places, parse=_parse_cosign, verify=_verify_cosign
)
SIMPLE: Final[SignatureFormat[UntrustedSimpleSignature]] = SignatureFormat(
    name="simple", places=_nowhere_else, parse=_parse_simple, verify=_verify_gpg, family="openpgp"
)
FORMATS: Final[tuple[SignatureFormat[object], ...]] = (COSIGN, SIMPLE)  # type: ignore[assignment]  # each reads its own
"""All of them, in the order in which places are asked."""
