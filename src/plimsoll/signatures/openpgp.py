"""OpenPGP by Sequoia: keyrings, and whether one of their keys made the one signature of a message.

The only module that imports pysequoia, and late: policies without GPG keys never pay for it.

Sequoia judges a key at the time that its signature claims; gpg refuses one that has expired or was revoked since, for
whatever reason. Both are asked for. Whether a signature itself has expired Sequoia judges by the system clock, so a
verdict that is replayed later may differ. Its policy also refuses SHA-1 and RSA below 2048 bits, which gpg takes.

Sequoia judges; ``known_signers`` only spares it the arithmetic of signatures like one that it has just accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError, PlimsollError, UnreadableKeyError, UntrustedKeyError
from plimsoll.signatures.known_signers import KnownSigner, PlainSignature, read_plain, read_signer
from plimsoll.signatures.packets import SignedMessage, read_signed_message

if TYPE_CHECKING:
    from pysequoia import Cert, Sig
    from pysequoia.packet import Packet

_FAULTS: Final = (RuntimeError, ValueError, OSError)
"""What pysequoia raises: RuntimeError for all that Sequoia says, the others for what lies below it."""
_CHANGED: Final = (
    "the OpenPGP signature does not verify: the payload was changed after it was signed, or the key was not valid then"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signer:
    """A primary key or subkey that may have signed, with the certificate it belongs to.

    Fingerprints are lower-case hex. ``refused`` says why it is never good; ``expires_s`` is the earlier end of it and
    its primary key, in seconds since 1970.
    """

    primary: str
    fingerprint: str
    key_id: str
    expires_s: float | None
    refused: str | None
    cert: Cert

    def objection(self, now_s: float) -> str | None:
        """Why it is not good now; None if it is."""
        if self.refused is None and self.expires_s is not None and self.expires_s <= now_s:
            return "has expired"
        return self.refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The certificates of some keyrings; ``fingerprints`` are those of their primary keys, in upper-case hex.

    ``_known`` remembers, by fingerprint, the keys that Sequoia has accepted a signature of: it saves time and changes
    no answer. None is a key that only Sequoia can judge.
    """

    fingerprints: frozenset[str]
    _signers: Mapping[str, tuple[_Signer, ...]] = field(repr=False)
    _known: dict[str, KnownSigner | None] = field(default_factory=dict, repr=False, compare=False)

    def signers(self, handles: Iterable[str]) -> tuple[_Signer, ...]:
        """The keys that have one of these fingerprints or key ids (lower-case hex)."""
        found = [signer for handle in handles for signer in self._signers.get(handle, ())]
        return tuple({(signer.primary, signer.fingerprint): signer for signer in found}.values())

    def vouched(self, plain: PlainSignature, data: bytes, *, now_s: float) -> _Signer | None:
        """Who made ``plain`` over ``data``, where that is certain without Sequoia; None says nothing."""
        known = self._known.get(plain.issuer)
        if known is None or not known.covers(plain, now_s=now_s):
            return None
        named = self.signers((plain.issuer, plain.issuer[-16:]))
        if len(named) != 1 or named[0].fingerprint != plain.issuer or named[0].objection(now_s) is not None:
            return None
        return named[0] if known.made(plain, data) else None

    def remember(self, plain: PlainSignature, signer: _Signer, *, now_s: float) -> None:
        """Note that Sequoia has just accepted ``plain`` as made by ``signer``."""
        if plain.issuer != signer.fingerprint:
            return
        if plain.issuer not in self._known:
            self._known[plain.issuer] = _known_signer(signer)
        known = self._known[plain.issuer]
        if known is not None:
            known.accepted(plain, now_s=now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedMessage:
    """Bytes that the holder of one certificate of a keyring signed; ``signer`` is its primary key, upper-case hex."""

    data: bytes
    signer: str


def load_keyrings(keyrings: tuple[bytes, ...]) -> Keyring:
    """Read keyrings, binary or armored, of any number of certificates each; empty ones add nothing (as gpg imports).

    Copies of one certificate are merged; of secret keys the public halves are read. Raises UnreadableKeyError if a
    keyring cannot be read to its end, and past the caps.
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
    by_handle: dict[str, tuple[_Signer, ...]] = {}
    for cert in merged.values():
        with _sequoia(UnreadableKeyError, f"the key {cert.fingerprint.upper()} cannot be read"):
            for signer in _signers(cert):
                for handle in (signer.fingerprint, signer.key_id):
                    by_handle[handle] = (*by_handle.get(handle, ()), signer)
    return Keyring(fingerprints=frozenset([name.upper() for name in merged]), _signers=by_handle)


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


def verify_message(message: bytes, keyring: Keyring, *, now_s: float) -> VerifiedMessage:
    """Prove that ``message`` is signed, once, by a key of ``keyring`` that is good at ``now_s`` (seconds since 1970).

    Raises BadSignatureError for any form but the one of ``packets``, for a signature that does not verify or has
    expired, and for a key that is expired, revoked or refused; UntrustedKeyError where no key of the keyring is named.
    """
    if not keyring.fingerprints:
        raise UntrustedKeyError("no public key is trusted here: the keyrings hold none")
    signed = read_signed_message(message)
    plain = read_plain(signed.signature_body)
    vouched = None if plain is None else keyring.vouched(plain, signed.data, now_s=now_s)
    if vouched is not None:
        return VerifiedMessage(data=signed.data, signer=vouched.primary.upper())
    signer = _judged(signed, keyring, now_s=now_s)
    if plain is not None:
        keyring.remember(plain, signer, now_s=now_s)
    return VerifiedMessage(data=signed.data, signer=signer.primary.upper())


def _judged(signed: SignedMessage, keyring: Keyring, *, now_s: float) -> _Signer:
    """The one key of ``keyring`` that Sequoia says made the signature; raises what ``verify_message`` does."""
    import pysequoia  # noqa: PLC0415  # late, see above

    with _sequoia(BadSignatureError, "the OpenPGP signature cannot be read"):
        signature = pysequoia.Sig.from_bytes(signed.signature)
        signers = _good_signers(signature, keyring, now_s=now_s)
        _check_claims(signature, now_s=now_s)
    certs = [signer.cert for signer in signers]
    with _sequoia(BadSignatureError, _CHANGED):
        found = pysequoia.verify(signed.data, lambda _handles: certs, signature=signature).valid_sigs
    made = {(each.certificate, each.signing_key) for each in found}
    for signer in signers:
        if made == {(signer.primary, signer.fingerprint)}:
            return signer
    raise BadSignatureError("the OpenPGP signature was made by another key than it names")


def _good_signers(signature: Sig, keyring: Keyring, *, now_s: float) -> list[_Signer]:
    """The keys of ``keyring`` that the signature names and that are good now: at least one."""
    handles = [name for name in (signature.issuer_fingerprint, signature.issuer_key_id) if name is not None]
    named = keyring.signers(handles)
    if not named:
        name = handles[0].upper() if handles else "that it does not name"
        raise UntrustedKeyError(f"signed by the OpenPGP key {name}, which is not trusted here")
    objections = [signer.objection(now_s) for signer in named]
    good = [signer for signer, objection in zip(named, objections, strict=True) if objection is None]
    if not good:
        raise BadSignatureError(f"signed by the OpenPGP key {named[0].fingerprint.upper()}, which {objections[0]}")
    return good


def _check_claims(signature: Sig, *, now_s: float) -> None:
    """Refuse what Sequoia would refuse whatever was signed: it does so without saying why."""
    from pysequoia.packet import HashAlgorithm  # noqa: PLC0415  # late, see above

    if signature.hash_algorithm in (HashAlgorithm.MD5, HashAlgorithm.SHA1, HashAlgorithm.RipeMD):
        raise BadSignatureError("the OpenPGP signature is over a broken hash; sign again with SHA-256 or better")
    if signature.expiration is not None and signature.expiration.timestamp() <= now_s:
        raise BadSignatureError(f"the OpenPGP signature has expired, on {signature.expiration:%Y-%m-%d}")


def _split(data: bytes, where: str) -> list[Cert]:
    if not data:
        return []
    if len(data) > limits.KEY_BYTES:
        raise UnreadableKeyError(f"{where} has {len(data)} bytes: at most {limits.KEY_BYTES}")
    from pysequoia import Cert  # noqa: PLC0415  # late, see above

    certs = Cert.split_bytes(data)
    if not certs:
        raise UnreadableKeyError(f"{where} holds no OpenPGP key; export one with gpg --export")
    return certs


def _signers(cert: Cert) -> Iterator[_Signer]:
    """The primary key of a certificate and its subkeys, each with what speaks against it."""
    from pysequoia.packet import PacketPile, SignatureType, Tag  # noqa: PLC0415  # late, see above

    keys: list[list[Packet]] = []  # each key packet with the packets that belong to it
    for packet in PacketPile.from_bytes(bytes(cert)):
        if packet.tag in (Tag.PublicKey, Tag.PublicSubkey):
            keys.append([])
        keys[-1].append(packet)
    primary_expires_s, refused = _primary_facts(cert, keys[0])
    for packets in keys:
        revoked = any(packet.signature_type == SignatureType.SubkeyRevocation for packet in packets)
        ends = [end for end in (primary_expires_s, _subkey_expires_s(packets)) if end is not None]
        fingerprint, key_id = packets[0].fingerprint, packets[0].key_id
        if fingerprint is not None and key_id is not None:
            yield _Signer(
                primary=cert.fingerprint,
                fingerprint=fingerprint,
                key_id=key_id,
                expires_s=min(ends, default=None),
                refused="is revoked" if revoked else refused,
                cert=cert,
            )


def _known_signer(signer: _Signer) -> KnownSigner | None:
    """What ``known_signers`` makes of a key; None where it leaves it to Sequoia."""
    from pysequoia.packet import PacketPile, Tag  # noqa: PLC0415  # late, see above

    with _sequoia(BadSignatureError, "the certificate cannot be read again"):
        packets = list(PacketPile.from_bytes(bytes(signer.cert)))
        keys = [packet.body for packet in packets if packet.tag in (Tag.PublicKey, Tag.PublicSubkey)]
        signatures = [packet.body for packet in packets if packet.tag == Tag.Signature]
    return read_signer(signer.fingerprint, keys=keys, signatures=signatures)


def _primary_facts(cert: Cert, primary: list[Packet]) -> tuple[float | None, str | None]:
    """When a certificate ends, and why none of its keys is ever good; any revocation of it counts, proven or not."""
    from pysequoia.packet import SignatureType  # noqa: PLC0415  # late, see above

    if any(packet.signature_type == SignatureType.KeyRevocation for packet in primary):
        return None, "is revoked"
    try:
        expiration, revoked = cert.expiration, cert.is_revoked
    except _FAULTS as error:  # its algorithm or its own certifications are below Sequoia's policy
        return None, f"is refused: {_said(error)}"
    return None if expiration is None else expiration.timestamp(), "is revoked" if revoked else None


def _subkey_expires_s(packets: list[Packet]) -> float | None:
    """When a subkey ends, by its newest binding, as gpg reads it; None for never and for a primary key."""
    from pysequoia.packet import SignatureType  # noqa: PLC0415  # late, see above

    bindings = [packet for packet in packets if packet.signature_type == SignatureType.SubkeyBinding]
    newest = max(bindings, key=_created_s, default=None)
    created, period = packets[0].key_created, None if newest is None else newest.key_validity_period
    return None if created is None or period is None else (created + period).timestamp()


def _created_s(binding: Packet) -> float:
    return 0.0 if binding.signature_created is None else binding.signature_created.timestamp()


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
    said = str(error).partition("Stack backtrace:")[0].replace("\n\nCaused by:", ": ")
    return " ".join(said.split())[: limits.TEXT_CHARS]
