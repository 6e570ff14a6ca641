"""UntrustedBundle: a sigstore bundle as it was found, all bytes decoded and nothing about it believed.

Source: sigstore/protobuf-specs, sigstore_bundle.proto, sigstore_rekor.proto and envelope.proto.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedMessageSignature:
    """A signature over an artifact's own bytes; the digest is a hint, None where the bundle gives none."""

    signature: bytes
    digest_algorithm: str | None = None
    digest: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedEnvelope:
    """A DSSE envelope: the payload's decoded bytes, and each signature with its key id ("" where it has none)."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedInclusionProof:
    """An RFC 6962 audit path, leaf to root, in a tree of ``tree_size`` leaves; ``checkpoint`` is the note's text."""

    log_index: int
    root_hash: bytes
    tree_size: int
    hashes: tuple[bytes, ...]
    checkpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedTlogEntry:
    """One transparency-log entry: ``body`` is the canonicalised body's bytes, ``log_index`` the global index.

    ``promise`` is the signed entry timestamp (SET); ``integrated_time_s``, in seconds since 1970, counts only with one.
    """

    log_index: int
    log_id: bytes
    kind: str
    version: str
    body: bytes
    integrated_time_s: int | None = None
    promise: bytes | None = None
    proof: UntrustedInclusionProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedBundle:
    """One bundle of ``version`` "0.1", "0.2" or "0.3".

    ``certificates`` are DER, the leaf first; empty where the bundle names a public key, by ``key_hint``. ``timestamps``
    are DER TimeStampResp (RFC 3161).
    """

    version: str
    content: UntrustedMessageSignature | UntrustedEnvelope
    certificates: tuple[bytes, ...] = ()
    key_hint: str | None = None
    entries: tuple[UntrustedTlogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()
