"""OpenPGP by Sequoia: keyrings, and whether one of their keys made the one signature of a message.

The only module that imports pysequoia, and late: policies without GPG keys never pay for it. Expiry is judged by the
system clock, Sequoia's and ours alike, so a verdict that is replayed later may differ.

Sequoia judges a key at the time its signature claims; gpg refuses one that has expired or was revoked since, for
whatever reason. We ask for both. Sequoia's policy also refuses SHA-1 and RSA below 2048 bits, which gpg takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError, PlimsollError, UnreadableKeyError, UntrustedKeyError
from plimsoll.signatures.packets import read_signed_message

if TYPE_CHECKING:
    from pysequoia import Cert, Sig
    from pysequoia.packet import Packet

_FAULTS: Final = (RuntimeError, ValueError, OSError)
"""What pysequoia raises: RuntimeError for all that Sequoia says, the others for what lies below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A primary key or subkey: when it ends, in seconds since 1970 (None: never), and whether it is revoked."""

    fingerprint: str
    key_id: str
    expires_s: float | None
    revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Certificate:
    """A primary key with its subkeys; ``unusable`` says why Sequoia's policy refuses it altogether, if it does."""

    fingerprint: str
    primary: _Key
    subkeys: Mapping[str, _Key]
    unusable: str | None
    cert: Cert


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The certificates of some keyrings, copies of one merged; ``fingerprints`` are those of the primary keys."""

    fingerprints: frozenset[str]
    _by_handle: Mapping[str, tuple[_Certificate, ...]] = field(repr=False)

    def signers(self, handles: Iterable[str]) -> tuple[_Certificate, ...]:
        """The certificates that have a key with one of these fingerprints or key ids (lower-case hex)."""
        found = [certificate for handle in handles for certificate in self._by_handle.get(handle, ())]
        return tuple({certificate.fingerprint: certificate for certificate in found}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedMessage:
    """Bytes that the holder of one certificate of a keyring signed; ``signer`` is its primary key, upper-case hex."""

    data: bytes
    signer: str


def load_keyrings(keyrings: tuple[bytes, ...]) -> Keyring:
    """Read keyrings, binary or armored, of any number of certificates each; empty ones add nothing (as gpg imports).

    Secret keys are read as their public halves. Raises UnreadableKeyError if one of them cannot be read to its end, and
    past the caps.
    """
    merged: dict[str, Cert] = {}
    for at, data in enumerate(keyrings, start=1):
        where = "the keyring" if len(keyrings) == 1 else f"keyring {at} of {len(keyrings)}"
        with _sequoia(UnreadableKeyError, f"{where} is no OpenPGP keyring that can be read"):
            for cert in _split(data, where):
                known = merged.get(cert.fingerprint)
                merged[cert.fingerprint] = cert if known is None else known.merge(cert)
    if len(merged) > limits.OPENPGP_CERTIFICATES:
        raise UnreadableKeyError(f"{len(merged)} keys in the keyrings: at most {limits.OPENPGP_CERTIFICATES}")
    by_handle: dict[str, tuple[_Certificate, ...]] = {}
    for cert in merged.values():
        with _sequoia(UnreadableKeyError, f"the key {cert.fingerprint.upper()} cannot be read"):
            certificate = _certificate(cert)
        for key in (certificate.primary, *certificate.subkeys.values()):
            for handle in (key.fingerprint, key.key_id):
                by_handle[handle] = (*by_handle.get(handle, ()), certificate)
    return Keyring(fingerprints=frozenset([name.upper() for name in merged]), _by_handle=by_handle)


def verify_message(message: bytes, keyring: Keyring) -> VerifiedMessage:
    """Prove that ``message`` is signed, once, by a key of ``keyring`` that is good now.

    Raises BadSignatureError for any form but the one of ``packets``, for a signature that does not verify or has
    expired, and for a key that is expired, revoked or refused; UntrustedKeyError where no key of the keyring is named.
    """
    import pysequoia  # noqa: PLC0415  # late, see above

    if not keyring.fingerprints:
        raise UntrustedKeyError("no public key is trusted here: the keyrings hold none")
    signed = read_signed_message(message)
    with _sequoia(BadSignatureError, "the OpenPGP signature cannot be read"):
        signature = pysequoia.Sig.from_bytes(signed.signature)
        signers = keyring.signers(_handles(signature))
    if not signers:
        raise UntrustedKeyError(f"signed by the OpenPGP key {_named(signature)}, which is not trusted here")
    certs = [signer.cert for signer in signers]
    try:
        with _sequoia(BadSignatureError, "the OpenPGP signature does not verify"):
            found = pysequoia.verify(signed.data, lambda _handles: certs, signature=signature).valid_sigs
    except BadSignatureError as error:
        raise BadSignatureError(f"{error}; {_likely_reason(signature, signers)}") from None
    if len(found) != 1:
        raise BadSignatureError(f"{len(found)} keys made one signature")
    return VerifiedMessage(data=signed.data, signer=_good_signer(found[0].certificate, found[0].signing_key, signers))


def _good_signer(certificate: str, key: str, signers: Iterable[_Certificate]) -> str:
    """The primary fingerprint of a signer whose keys are neither revoked nor expired by now."""
    for signer in signers:
        if signer.cert.fingerprint != certificate:
            continue
        made = signer.primary if key == signer.primary.fingerprint else signer.subkeys[key]
        for each, what in ((signer.primary, "key"), (made, "subkey")):
            if each.revoked:
                raise BadSignatureError(f"signed by the OpenPGP {what} {each.fingerprint.upper()}, which is revoked")
            if each.expires_s is not None and each.expires_s <= time.time():
                raise BadSignatureError(f"signed by the OpenPGP {what} {each.fingerprint.upper()}, which has expired")
        return signer.fingerprint
    raise UntrustedKeyError(f"signed by the OpenPGP key {certificate.upper()}, which is not trusted here")


def _handles(signature: Sig) -> tuple[str, ...]:
    return tuple([name for name in (signature.issuer_fingerprint, signature.issuer_key_id) if name is not None])


def _named(signature: Sig) -> str:
    return next((name.upper() for name in _handles(signature)), "that it does not name")


def _likely_reason(signature: Sig, signers: tuple[_Certificate, ...]) -> str:
    """Why a signature by a trusted key may have failed, which pysequoia does not say."""
    from pysequoia.packet import HashAlgorithm  # noqa: PLC0415

    for signer in signers:
        if signer.unusable is not None:
            return f"the key {signer.fingerprint} is refused: {signer.unusable}"
    if signature.hash_algorithm in (HashAlgorithm.MD5, HashAlgorithm.SHA1, HashAlgorithm.RipeMD):
        return "it uses a broken hash (MD5, SHA-1 or RIPEMD-160): sign again with SHA-256 or better"
    if signature.expiration is not None and signature.expiration.timestamp() <= time.time():
        return "it has expired"
    return "its payload was changed after it was signed, or its key was not valid then"


def _split(data: bytes, where: str) -> list[Cert]:
    from pysequoia import Cert  # noqa: PLC0415  # late, see above

    if not data:
        return []
    if len(data) > limits.KEY_BYTES:
        raise UnreadableKeyError(f"{where} has {len(data)} bytes: at most {limits.KEY_BYTES}")
    certs = Cert.split_bytes(data)
    if not certs:
        raise UnreadableKeyError(f"{where} holds no OpenPGP key; export one with gpg --export")
    return certs


def _certificate(cert: Cert) -> _Certificate:
    """Read the facts of a certificate that judging its signatures needs."""
    from pysequoia.packet import PacketPile, Tag  # noqa: PLC0415  # late, see above

    unusable: str | None = None
    expiration = None
    try:
        expiration = cert.expiration
    except _FAULTS as error:
        unusable = _said(error)
    groups: list[list[Packet]] = []
    for packet in PacketPile.from_bytes(bytes(cert)):
        if packet.tag in (Tag.PublicKey, Tag.PublicSubkey):
            groups.append([])
        groups[-1].append(packet)
    primary, *subkeys = [
        _key(group, revoked=cert.is_revoked, expires_s=None if expiration is None else expiration.timestamp())
        if group[0].tag == Tag.PublicKey
        else _subkey(group)
        for group in groups
    ]
    return _Certificate(
        fingerprint=cert.fingerprint.upper(),
        primary=primary,
        subkeys={key.fingerprint: key for key in subkeys},
        unusable=unusable,
        cert=cert,
    )


def _subkey(group: list[Packet]) -> _Key:
    """A subkey: its newest binding says when it ends (as gpg reads it); any revocation counts, proven or not."""
    from pysequoia.packet import SignatureType  # noqa: PLC0415  # late, see above

    bindings = [packet for packet in group if packet.signature_type == SignatureType.SubkeyBinding]
    newest = max(bindings, key=_created_s, default=None)
    created, period = group[0].key_created, None if newest is None else newest.key_validity_period
    return _key(
        group,
        revoked=any(packet.signature_type == SignatureType.SubkeyRevocation for packet in group),
        expires_s=None if created is None or period is None else (created + period).timestamp(),
    )


def _created_s(binding: Packet) -> float:
    return 0.0 if binding.signature_created is None else binding.signature_created.timestamp()


def _key(group: list[Packet], *, revoked: bool, expires_s: float | None) -> _Key:
    fingerprint, key_id = group[0].fingerprint, group[0].key_id
    if fingerprint is None or key_id is None:
        raise UnreadableKeyError("a key without a fingerprint")
    return _Key(fingerprint=fingerprint, key_id=key_id, expires_s=expires_s, revoked=revoked)


@contextmanager
def _sequoia(error_class: type[PlimsollError], what: str) -> Iterator[None]:
    """Turn what Sequoia raises into an error of ours, even a panic in it, which is no Exception."""
    try:
        yield
    except _FAULTS as error:
        if isinstance(error, PlimsollError):
            raise
        raise error_class(f"{what}: {_said(error)}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise error_class(f"{what}: Sequoia gave up on it") from None


def _said(error: BaseException) -> str:
    """What an error of Sequoia's says, without its stack trace and the folders in it, on one line."""
    said = str(error).partition("Stack backtrace:")[0].replace("Caused by:", ": ")
    return " ".join(said.split())[: limits.TEXT_CHARS]
