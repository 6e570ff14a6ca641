"""TrustIndex: a trusted root with its certificates read and its logs found by id; made once a run, never changed."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.errors import TrustRootError, UnreadableKeyError
from plimsoll.model.trusted_root import CertificateAuthority, TransparencyLog, TrustRoot
from plimsoll.signatures.x509 import Certificate


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
    """What verification looks things up in; empty trusts nothing."""

    root: TrustRoot
    authorities: tuple[Authority, ...]
    timestampers: tuple[Authority, ...]

    def tlogs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The transparency logs of that id: none, one, or one for each validity window."""
        return self.root.logs(log_id)

    def ctlogs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The certificate-transparency logs of that id."""
        return tuple([log for log in self.root.ctlogs if log.log_id == log_id])


def index_root(root: TrustRoot) -> TrustIndex:
    """Read the certificates of ``root``; raises TrustRootError naming the authority that cannot be read."""
    return TrustIndex(
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
