"""The formats that are judged, each as one value; a new one joins here."""

from __future__ import annotations

from typing import Final

from plimsoll.errors import BadSignatureError, BundleInvalidError
from plimsoll.model.bundle import UntrustedBundle
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, Place, ReferrersPlace
from plimsoll.model.signature import UntrustedAttestation, UntrustedCosignSignature, UntrustedSimpleSignature
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.cosign import parse_attachment, signature_places, verify_signature
from plimsoll.signatures.cosign_attestation import attestation_places, parse_attestation, verify_attestation
from plimsoll.signatures.formats import (
    Artifact,
    IdentityTrust,
    KeyTrust,
    SignatureFormat,
    Trust,
    Verified,
    VerifiedAttestation,
    VerifiedSignature,
)
from plimsoll.signatures.framing import StoredSignature, unframe
from plimsoll.signatures.openpgp import GpgTrust
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.simple import verify_simple

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle"
"""How the media type of a bundle of any version begins."""


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


def _parse_bundle(attachment: Attachment) -> UntrustedBundle | None:
    if attachment.descriptor is None:
        return None  # what lies in a store is no bundle
    if attachment.data is None:
        raise BundleInvalidError("the bundle was not read")
    return parse_bundle(attachment.data)


def _verify_cosign(
    untrusted: UntrustedCosignSignature, trust: Trust, artifact: Artifact, now_s: float
) -> VerifiedSignature:
    if isinstance(trust, GpgTrust):
        raise TypeError("an OpenPGP keyring verifies no cosign signature")
    return verify_signature(untrusted, trust, artifact.digests, now_s)


def _verify_gpg(
    untrusted: UntrustedSimpleSignature, trust: Trust, artifact: Artifact, now_s: float
) -> VerifiedSignature:
    if not isinstance(trust, GpgTrust):
        raise TypeError("only an OpenPGP keyring verifies a simple signature")
    return verify_simple(untrusted, trust, artifact.digests, now_s)


def _verify_bundle(untrusted: UntrustedBundle, trust: Trust, artifact: Artifact, now_s: float) -> Verified:
    if not isinstance(trust, KeyTrust | IdentityTrust):
        raise TypeError("only keys and identities verify a bundle")
    return verify_bundle(untrusted, trust, artifact, now_s)


def _verify_attestation(
    untrusted: UntrustedAttestation, trust: Trust, artifact: Artifact, now_s: float
) -> VerifiedAttestation:
    if not isinstance(trust, KeyTrust | IdentityTrust):
        raise TypeError("only keys and identities verify an attestation")
    return verify_attestation(untrusted, trust, artifact, now_s)


def _bundle_places(digests: tuple[Digest, ...]) -> tuple[Place, ...]:
    return tuple([ReferrersPlace(digest=digest, artifact_type=BUNDLE_TYPE) for digest in digests])


def _nowhere_else(_digests: tuple[Digest, ...]) -> tuple[Place, ...]:
    return ()  # simple signatures lie in stores only


COSIGN: Final[SignatureFormat[UntrustedCosignSignature]] = SignatureFormat(
    name="cosign", places=signature_places, parse=_parse_cosign, verify=_verify_cosign
)
SIMPLE: Final[SignatureFormat[UntrustedSimpleSignature]] = SignatureFormat(
    name="simple", places=_nowhere_else, parse=_parse_simple, verify=_verify_gpg, family="openpgp"
)
BUNDLE: Final[SignatureFormat[UntrustedBundle]] = SignatureFormat(
    name="bundle", places=_bundle_places, parse=_parse_bundle, verify=_verify_bundle, family="bundle"
)
ATTESTATION: Final[SignatureFormat[UntrustedAttestation]] = SignatureFormat(
    name="attestation",
    places=attestation_places,
    parse=parse_attestation,
    verify=_verify_attestation,
    family="attestation",
)
FORMATS: Final[tuple[SignatureFormat[object], ...]] = (COSIGN, SIMPLE, BUNDLE, ATTESTATION)  # type: ignore[assignment]  # each reads its own
"""All of them, in the order in which places are asked."""
