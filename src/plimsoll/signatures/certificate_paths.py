"""The path from a certificate to a trusted root at a given time (RFC 5280 section 6), and who issued whom.

Nothing is trusted for its place in a list: any certificate at hand may stand anywhere in the path, where its checks
allow. No revocation, no policies. What is asked is what Go's crypto/x509 asks, which containers/image and cosign use;
stricter: an issuer always says that it is an authority, and its name constraints are read more narrowly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from plimsoll import limits
from plimsoll.errors import BadSignatureError, CertificateExpiredError, CertificateUntrustedError
from plimsoll.signatures.der import CONSTRUCTED_0, INTEGER, SEQUENCE, read_der
from plimsoll.signatures.effort import spend_check
from plimsoll.signatures.name_constraints import constraint_fault
from plimsoll.signatures.x509 import Certificate

_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""No MD5 and no SHA-1: others can make a certificate with the same hash."""
_ECDSA: Final = {"sha256": ec.ECDSA(Prehashed(hashes.SHA256())), "sha384": ec.ECDSA(Prehashed(hashes.SHA384()))}


class IssuedCheck(Protocol):
    """What ``is_issued`` is, or remembers of it."""

    def __call__(self, child: Certificate, *, by: Certificate) -> bool:
        """Whether ``by`` signed ``child``."""


def is_issued(child: Certificate, *, by: Certificate) -> bool:
    """Whether ``by`` signed ``child``, with an algorithm that nobody can forge."""
    if child.issuer != by.subject or by.key is None:
        return False
    spend_check(by.key.crypto)
    issuing = by.key.crypto
    try:
        if child.fields is not None:  # of the plain shape, by ECDSA with SHA-256 or SHA-384
            fields = child.fields
            if not isinstance(issuing, ec.EllipticCurvePublicKey):
                return False
            hashed = hashlib.new(fields.hash_name, fields.signed).digest()
            issuing.verify(fields.signature, hashed, _ECDSA[fields.hash_name])
            return True
        algorithm = child.crypto.signature_hash_algorithm
        if not (algorithm is None or isinstance(algorithm, _HASHES)):  # None: Ed25519 signs the message itself
            return False
        if isinstance(issuing, ec.EllipticCurvePublicKey):
            _check_curve(child, issuing)
        else:
            child.crypto.verify_directly_issued_by(by.crypto)
    except (InvalidSignature, UnsupportedAlgorithm, BadSignatureError, ValueError, TypeError):
        return False
    return True


def _check_curve(child: Certificate, key: ec.EllipticCurvePublicKey) -> None:
    """Return if ``key`` signed ``child``; raises as it may where it did not.

    ``verify_directly_issued_by`` does the same and reads the issuer's key anew each time, a tenth of a P-384 check.
    """
    algorithm = child.crypto.signature_algorithm_parameters
    whole = read_der(child.der, tag=SEQUENCE, what="the certificate", most=limits.CERTIFICATE_BYTES)
    signed, stated = whole.take_whole(SEQUENCE, "tbsCertificate"), whole.take_whole(SEQUENCE, "signatureAlgorithm")
    inner = read_der(signed, tag=SEQUENCE, what="tbsCertificate", most=len(signed))
    if inner.next_is(CONSTRUCTED_0):
        inner.take(CONSTRUCTED_0, "version")
    inner.take(INTEGER, "serialNumber")
    if not isinstance(algorithm, ec.ECDSA) or inner.take_whole(SEQUENCE, "signature") != stated:  # RFC 5280, 4.1.1.2
        raise InvalidSignature
    key.verify(child.crypto.signature, signed, algorithm)


def find_path(
    leaf: Certificate,
    *,
    roots: tuple[Certificate, ...],
    intermediates: tuple[Certificate, ...],
    at_s: float | None,
    usages: tuple[str, ...],
    issued: IssuedCheck = is_issued,
) -> tuple[Certificate, ...]:
    """A path from ``leaf`` to one of ``roots``, both included, of which every certificate is valid ``at_s``.

    Where that is None no time is asked, which proves nothing yet: at any time that counts there must be a path too.

    ``usages`` are dotted OIDs of extended key usages: every certificate of the path must allow each. A leaf that is a
    root itself is a path. ``issued`` may remember what ``is_issued`` said. Raises CertificateExpiredError where only
    the time is wrong, else CertificateUntrustedError. The caller owes: whom the leaf is for.
    """
    if not roots:
        raise CertificateUntrustedError("no certificate authority is trusted here")
    search = _Search(roots=roots, intermediates=intermediates, usages=usages, at_s=at_s, issued=issued)
    path = search.path(leaf)
    if path is not None:
        return path
    if at_s is None or not search.is_out_of_time:  # time aside, the search would be the same
        raise CertificateUntrustedError(f"the certificate does not lead to a trusted root: {search.faults[0]}")
    search_any = _Search(roots=roots, intermediates=intermediates, usages=usages, at_s=None, issued=issued)
    timeless = search_any.path(leaf)
    for found in timeless or ():
        if not found.valid_at(at_s):
            raise CertificateExpiredError(_validity(found, at_s))
    raise CertificateUntrustedError(f"the certificate does not lead to a trusted root: {search.faults[0]}")


def _validity(found: Certificate, at_s: float) -> str:
    first, last = (
        f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in (found.crypto.not_valid_before_utc, found.crypto.not_valid_after_utc)
    )
    return f"the certificate {found.title} is valid from {first} to {last}, not at {at_s:.0f} seconds since 1970"


@dataclass(slots=True, kw_only=True)
class _Search:
    """One search, depth first, roots before intermediates; ``at_s`` None leaves the time aside."""

    roots: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...]
    usages: tuple[str, ...]
    at_s: float | None
    issued: IssuedCheck
    checks_left: int = limits.PATH_SIGNATURE_CHECKS
    faults: list[str] = field(default_factory=list)
    is_out_of_time: bool = False

    def path(self, leaf: Certificate) -> tuple[Certificate, ...] | None:
        fault = self._fault(leaf)
        if fault is not None:
            self.faults.append(fault)
            return None
        return self._extend((leaf,))

    def _extend(self, path: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
        if path[-1] in self.roots:
            return path if self._constrained(path) else None
        if len(path) >= limits.PATH_CERTIFICATES:
            self.faults.append(f"the path is longer than {limits.PATH_CERTIFICATES} certificates")
            return None
        issuers = [
            each for each in (*self.roots, *self.intermediates) if each.subject == path[-1].issuer and each not in path
        ]
        if not issuers:
            wanted = path[-1].crypto.issuer.rfc4514_string()
            self.faults.append(f"no certificate of {wanted!r:.160}, which issued {path[-1].title}, is at hand")
        for issuer in issuers:
            fault = self._fault(issuer) or self._issuing_fault(issuer, path)
            if fault is not None:
                self.faults.append(fault)
                continue
            found = self._extend((*path, issuer))
            if found is not None:
                return found
        return None

    def _fault(self, found: Certificate) -> str | None:
        """What keeps ``found`` from standing anywhere in a path."""
        if self.at_s is not None and not found.valid_at(self.at_s):
            self.is_out_of_time = True
            return _validity(found, self.at_s)
        if found.unknown_critical:
            return f"{found.title} has the critical extension {found.unknown_critical[0]}, which is not understood"
        if found.key is None:
            return f"{found.title} has a key of a kind that is not trusted"
        for usage in self.usages:
            if not found.allows(usage):
                return f"{found.title} may not be used for this (extended key usage {usage})"
        return None

    def _issuing_fault(self, issuer: Certificate, path: tuple[Certificate, ...]) -> str | None:
        """What keeps ``issuer`` from having issued the last of ``path``."""
        if not issuer.is_authority:
            return f"{issuer.title} is no certificate authority"
        if issuer.path_length is not None and len(path) - 1 > issuer.path_length:
            return f"{issuer.title} allows {issuer.path_length} authorities below it, and there are {len(path) - 1}"
        if self.checks_left == 0:
            raise CertificateUntrustedError(
                f"no path to a trusted root was found within {limits.PATH_SIGNATURE_CHECKS} signature checks"
            )
        self.checks_left -= 1
        return None if self.issued(path[-1], by=issuer) else f"{issuer.title} did not sign {path[-1].title}"

    def _constrained(self, path: tuple[Certificate, ...]) -> bool:
        """Whether every authority of a whole path may speak for all the names below it."""
        for at, issuer in enumerate(path):
            names = [name for below in path[:at] for name in below.names]
            fault = None if issuer.constraints is None else constraint_fault(names, issuer.constraints)
            if fault is not None:
                self.faults.append(f"{issuer.title} {fault}")
                return False
        return True
