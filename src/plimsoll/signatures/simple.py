"""GPG simple signing: when a signature of an image is good.

Sources: containers-signature(5); the order of checks is that of containers/image for ``signedBy``: OpenPGP before the
payload is read, the digest before any identity.
"""

from __future__ import annotations

from typing import Final

from plimsoll.errors import SignedDigestMismatchError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.signature import UntrustedSimpleSignature
from plimsoll.signatures.formats import VerifiedSignature
from plimsoll.signatures.openpgp import GpgTrust, verify_message
from plimsoll.signatures.simple_payload import ATOMIC_TYPE, UntrustedPayload, parse_payload

__all__ = ["FORMAT", "GpgTrust", "verify_simple"]

FORMAT: Final = "simple"


def verify_simple(
    untrusted: UntrustedSimpleSignature, trust: GpgTrust, digests: tuple[Digest, ...], now_s: float
) -> VerifiedSignature:
    """Prove a signature of an image with ``digests``; raises the SignatureError of the first step that fails.

    ``now_s`` is the present time in seconds since 1970, at which keys must not have expired.
    ``key`` of the result is the upper-case hex fingerprint of the signer's primary key. The caller owes: the signed
    identity.
    """
    # 1. It is an OpenPGP message with one signature, which a key made that is good now.
    message = verify_message(untrusted.message, trust.keyring, now_s=now_s)
    # 2. That key, or the primary key it belongs to, is one of those that were given.
    if message.signer not in trust.keyring.fingerprints:
        raise UntrustedKeyError(f"signed by the OpenPGP key {message.signer}, which is not trusted here")
    # 3. The payload, now known to be signed, is the exact document.
    payload = parse_payload(message.data, expected_type=ATOMIC_TYPE, null_optional=False)
    # 4. It names this image.
    digest = _claimed(payload, digests)
    return VerifiedSignature(
        format=FORMAT,
        key=message.signer,
        digest=digest,
        docker_reference=payload.docker_reference,
        annotations=payload.optional,
    )


def _claimed(payload: UntrustedPayload, digests: tuple[Digest, ...]) -> Digest:
    if payload.digest not in digests:
        raise SignedDigestMismatchError(f"a good signature, but of another image: {payload.digest}")
    return payload.digest
