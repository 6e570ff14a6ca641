"""TrustIndex: a trusted root with its certificates read and its logs found by id; made once a run, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from plimsoll.errors import TrustRootError, UnreadableKeyError, UntrustedKeyError
from plimsoll.model.trusted_root import CertificateAuthority, TransparencyLog, TrustRoot
from plimsoll.signatures.effort import spend_check
from plimsoll.signatures.proven_facts import ProvenFacts
from plimsoll.signatures.verifying import verify_by_key
from plimsoll.signatures.x509 import Certificate

_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
_SHA256: Final = hashes.SHA256()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One authority's certificates: the ``anchor`` that is trusted, the ``others`` of its chain, and its window.

    A timestamp authority whose chain begins with a certificate that is no authority has it as ``leaf`` (not among
    ``others``): no other one may then sign for it.
    """

    anchor: Certificate
    others: tuple[Certificate, ...]
    leaf: Certificate | None
    window: CertificateAuthority

    def valid_at(self, time_s: float) -> bool:
        """Whether it was in use then (a closed interval)."""
        return self.window.valid_at(time_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustIndex:
    """What verification looks things up in; empty trusts nothing. ``facts`` are what the run has proven so far."""

    root: TrustRoot
    authorities: tuple[Authority, ...]
    timestampers: tuple[Authority, ...]
    facts: ProvenFacts = field(default_factory=ProvenFacts, compare=False, repr=False)

    def tlogs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The transparency logs of that id: none, one, or one for each validity window."""
        return self.root.logs(log_id)

    def ctlogs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The certificate-transparency logs of that id."""
        return tuple([log for log in self.root.ctlogs if log.log_id == log_id])

    def note_logs(self, name: str) -> tuple[TransparencyLog, ...]:
        """The transparency logs whose host is ``name``, the origin of a Rekor v2 checkpoint; none for an empty name."""
        return tuple([log for log in self.root.tlogs if name and log.host == name])

    def authorities_at(self, time_s: float) -> tuple[Authority, ...]:
        """The authorities for code-signing certificates that were in use then."""
        return tuple([found for found in self.authorities if found.valid_at(time_s)])

    def timestampers_at(self, time_s: float) -> tuple[Authority, ...]:
        """The timestamp authorities that were in use then."""
        return tuple([found for found in self.timestampers if found.valid_at(time_s)])


def verify_by_log(log: TransparencyLog, *, signature: bytes, signed: bytes) -> None:
    """Return if ``log`` made ``signature`` over ``signed``, by its own hash and padding; raises UntrustedKeyError.

    Nothing is said about when: the caller asks ``log.valid_at``.
    """
    crypto = log.key.crypto
    if log.padding == "pkcs1v15" or not isinstance(crypto, rsa.RSAPublicKey):
        verify_by_key(log.key, signature=signature, signed=signed, hash_name=log.hash_name)
        return
    spend_check(crypto, hashed_bytes=len(signed))
    try:
        crypto.verify(signature, signed, _PSS, _SHA256)
    except InvalidSignature:
        raise UntrustedKeyError(f"the log {log.base_url!r:.160} did not make this signature") from None


def index_root(root: TrustRoot, *, facts: ProvenFacts | None = None) -> TrustIndex:
    """Read the certificates of ``root``; raises TrustRootError naming the authority that cannot be read.

    ``facts`` are shared with other roots of the same run; by default nothing is proven yet.
    """
    return TrustIndex(
        facts=ProvenFacts() if facts is None else facts,
        root=root,
        authorities=tuple(
            [
                _authority(found, f"certificateAuthorities[{at}]", keep_leaf=False)
                for at, found in enumerate(root.certificate_authorities)
            ]
        ),
        timestampers=tuple(
            [
                _authority(found, f"timestampAuthorities[{at}]", keep_leaf=True)
                for at, found in enumerate(root.timestamp_authorities)
            ]
        ),
    )


def _authority(found: CertificateAuthority, where: str, *, keep_leaf: bool) -> Authority:
    if not found.chain:
        raise TrustRootError(f"{where} has no certificate")
    try:
        *others, anchor = [Certificate(der) for der in found.chain]
    except UnreadableKeyError as error:
        raise TrustRootError(f"{where}: {error}") from error
    leaf = others[0] if keep_leaf and others and not others[0].is_authority else None
    return Authority(anchor=anchor, others=tuple(others[1:] if leaf else others), leaf=leaf, window=found)
