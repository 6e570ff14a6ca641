"""UntrustedSignature: one signature as it was found, before anything about it is believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedCosignSignature:
    """One layer of a cosign ``.sig`` manifest: the signed bytes and the annotations that came with them.

    ``signature``, ``log_entry``, ``certificate``, ``chain`` and ``timestamp`` are the annotations' texts, undecoded:
    None where the annotation is absent.
    """

    payload: bytes
    signature: str | None
    log_entry: str | None
    certificate: str | None
    chain: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedAttestation:
    """One layer of a cosign ``.att`` manifest: a DSSE envelope's bytes and the annotations that came with them."""

    envelope: bytes
    log_entry: str | None
    certificate: str | None
    chain: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedSimpleSignature:
    """One simple-signing blob: what should be a signed OpenPGP message around its payload."""

    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownStoredSignature:
    """A stored sigstore attachment that is no signature of a known type: carried along, never used."""

    mime_type: str
