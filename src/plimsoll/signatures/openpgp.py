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
_CHANGED: Final = (
    "the OpenPGP signature does not verify: the payload was changed after it was signed, or the key was not valid then"
)


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
        _check_claims(signature, signers)
    certs = [signer.cert for signer in signers]
    with _sequoia(BadSignatureError, _CHANGED):
        found = pysequoia.verify(signed.data, lambda _handles: certs, signature=signature).valid_sigs
    if len(found) != 1:
        raise BadSignatureError(f"{len(found)} keys made one OpenPGP signature")
    signer, key = _maker(found[0].certificate, found[0].signing_key, signers)
    _check_good_now(signer.primary, "key")
    _check_good_now(key, "subkey")
    return VerifiedMessage(data=signed.data, signer=signer.fingerprint)


def _maker(certificate: str, key: str, signers: Iterable[_Certificate]) -> tuple[_Certificate, _Key]:
    """Whom Sequoia names as the signer, among those it was given."""
    for signer in signers:
        if signer.primary.fingerprint == certificate:
            made = signer.primary if key == certificate else signer.subkeys.get(key)
            if made is not None:
                return signer, made
    raise UntrustedKeyError(f"signed by the OpenPGP key {certificate.upper()}, which is not trusted here")


def _check_good_now(key: _Key, what: str) -> None:
    if key.revoked:
        raise BadSignatureError(f"signed by the OpenPGP {what} {key.fingerprint.upper()}, which is revoked")
    if key.expires_s is not None and key.expires_s <= time.time():
        raise BadSignatureError(f"signed by the OpenPGP {what} {key.fingerprint.upper()}, which has expired")


def _handles(signature: Sig) -> tuple[str, ...]:
    return tuple([name for name in (signature.issuer_fingerprint, signature.issuer_key_id) if name is not None])


def _named(signature: Sig) -> str:
    return next((name.upper() for name in _handles(signature)), "that it does not name")


def _check_claims(signature: Sig, signers: tuple[_Certificate, ...]) -> None:
    """Refuse what Sequoia would refuse, whatever was signed: it does so without saying why."""
    from pysequoia.packet import HashAlgorithm  # noqa: PLC0415  # late, see above

    if all(signer.unusable is not None for signer in signers):
        raise BadSignatureError(f"signed by the OpenPGP key {_named(signature)}, which is refused: {signers[0].unusable}")
    if signature.hash_algorithm in (HashAlgorithm.MD5, HashAlgorithm.SHA1, HashAlgorithm.RipeMD):
        raise BadSignatureError("the OpenPGP signature is over a broken hash; sign again with SHA-256 or better")
    if signature.expiration is not None and signature.expiration.timestamp() <= time.time():
        raise BadSignatureError(f"the OpenPGP signature has expired, on {signature.expiration:%Y-%m-%d}")


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
    """Read what judging a certificate's signatures needs; any revocation of the primary key counts, proven or not."""
    from pysequoia.packet import PacketPile, SignatureType, Tag  # noqa: PLC0415  # late, see above

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
    primary = _key(
        groups[0],
        revoked=cert.is_revoked or any(packet.signature_type == SignatureType.KeyRevocation for packet in groups[0]),
        expires_s=None if expiration is None else expiration.timestamp(),
    )
    return _Certificate(
        fingerprint=cert.fingerprint.upper(),
        primary=primary,
        subkeys={key.fingerprint: key for key in map(_subkey, groups[1:])},
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
