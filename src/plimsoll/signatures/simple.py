"""GPG simple signing: what it trusts, and when a signature of an image is good.

Sources: containers-signature(5); the order of checks is that of containers/image for ``signedBy``: OpenPGP before the
payload is read, the digest before any identity.
"""

from __future__ import annotations

from typing import Final

from plimsoll.errors import SignedDigestMismatchError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.signature import UntrustedSimpleSignature
from plimsoll.signatures.formats import VerifiedSignature
from plimsoll.signatures.openpgp import Keyring, load_keyrings, verify_message
from plimsoll.signatures.simple_payload import ATOMIC_TYPE, UntrustedPayload, parse_payload

FORMAT: Final = "simple"


class GpgTrust:
    """Trust in the certificates of OpenPGP keyrings: any one of them makes a signature good. None: nothing is good.

    ``keyrings`` are the bytes of key files, binary or armored; they are parsed here, once, and travel as they are.
    Raises UnreadableKeyError if one of them cannot be read.
    """

    __slots__ = ("keyring", "keyrings")

    keyrings: tuple[bytes, ...]
    keyring: Keyring

    def __init__(self, keyrings: tuple[bytes, ...]) -> None:
        object.__setattr__(self, "keyrings", keyrings)
        object.__setattr__(self, "keyring", load_keyrings(keyrings))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a GpgTrust is immutable, {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GpgTrust) and other.keyrings == self.keyrings

    def __hash__(self) -> int:
        return hash(self.keyrings)

    def __reduce__(self) -> tuple[type[GpgTrust], tuple[tuple[bytes, ...]]]:
        return (GpgTrust, (self.keyrings,))

    def __repr__(self) -> str:
        return f"GpgTrust({', '.join(sorted(self.keyring.fingerprints))})"


def verify_simple(
    untrusted: UntrustedSimpleSignature, trust: GpgTrust, digests: tuple[Digest, ...]
) -> VerifiedSignature:
    """Prove a signature of an image with ``digests``; raises the SignatureError of the first step that fails.

    ``key`` of the result is the upper-case hex fingerprint of the signer's primary key. The caller owes: the signed
    identity.
    """
    # 1. It is an OpenPGP message with one signature, which a key made that is good now.
    message = verify_message(untrusted.message, trust.keyring)
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
