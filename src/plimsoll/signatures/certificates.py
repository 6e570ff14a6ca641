"""Trust in certificates, as policy.json's ``sigstoreSigned`` has it: ``fulcio`` and ``pki``; and whom one is for.

The order of checks is that of containers/image: the path at the proven time, the issuer, the subject.
Neither asks for an SCT or for revocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509

from plimsoll import limits
from plimsoll.errors import CertificateUntrustedError, IdentityMismatchError, UnreadableKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.certificate_paths import find_path
from plimsoll.signatures.effort import read_once, spend_reading
from plimsoll.signatures.fulcio import read_issuer
from plimsoll.signatures.x509 import CODE_SIGNING, Certificate, parse_pem_certificates

_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class FulcioCertificates:
    """Trust in short-lived certificates of ``ca`` for one e-mail address that ``oidc_issuer`` vouched for.

    A log entry by one of ``rekor_keys`` is always demanded: it alone proves the time. Nothing in one of the fields
    trusts nobody.
    """

    ca: tuple[Certificate, ...]
    oidc_issuer: str
    subject_email: str
    rekor_keys: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiCertificates:
    """Trust in certificates that lead to ``roots`` now, for each subject that is given; with neither nobody is."""

    roots: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...] = ()
    subject_email: str | None = None
    subject_hostname: str | None = None


CertificateTrust = FulcioCertificates | PkiCertificates


def parse_leaf(text: str | None) -> Certificate:
    """Read a signature's certificate annotation: exactly one; raises CertificateUntrustedError."""
    if not text:
        raise CertificateUntrustedError("the signature has no certificate, and only certificates are trusted here")
    return read_once("annotated leaf", text, _leaf)


def _leaf(text: str) -> Certificate:
    return _parse(text, "the signature's certificate", limit=limits.CERTIFICATE_BYTES * 2, most=1)[0]


def parse_intermediates(text: str | None) -> tuple[Certificate, ...]:
    """Read a signature's chain annotation without its last certificate, the root, which is never trusted from there.

    An absent or empty one holds none. Raises CertificateUntrustedError.
    """
    if not text:
        return ()
    found = _parse(text, "the signature's chain", limit=limits.CHAIN_BYTES, most=limits.CHAIN_CERTIFICATES)
    spend_reading(len(found))
    return found[:-1]


def _parse(text: str, what: str, *, limit: int, most: int) -> tuple[Certificate, ...]:
    if len(text) > limit:
        raise CertificateUntrustedError(f"{what} has {len(text)} characters: at most {limit}")
    try:
        return parse_pem_certificates(text.encode("utf-8", "surrogatepass"), most=most)
    except UnreadableKeyError as error:
        raise CertificateUntrustedError(f"{what} is refused: {error}") from error


def verify_certificate(
    leaf: Certificate, *, intermediates: tuple[Certificate, ...], trust: CertificateTrust, at_s: float
) -> PublicKey:
    """The leaf's key, proven to be whose ``trust`` asks for; ``intermediates`` are not trusted, only tried.

    ``at_s`` is the time at which every certificate of the path must be valid: the log's for Fulcio, else now.
    Raises CertificateUntrustedError, CertificateExpiredError, IdentityMismatchError.
    """
    roots, known = (trust.ca, ()) if isinstance(trust, FulcioCertificates) else (trust.roots, trust.intermediates)
    find_path(leaf, roots=roots, intermediates=(*known, *intermediates), at_s=at_s, usages=(CODE_SIGNING,))
    match trust:
        case FulcioCertificates():
            _check_issuer(leaf, trust.oidc_issuer)
            _check_email(leaf, trust.subject_email)
        case PkiCertificates(subject_email=None, subject_hostname=None):
            raise IdentityMismatchError("no subject is trusted here: a pki trust needs an e-mail address or a host")
        case PkiCertificates():
            if trust.subject_email is not None:
                _check_email(leaf, trust.subject_email)
            if trust.subject_hostname is not None:
                _check_hostname(leaf, trust.subject_hostname)
    if leaf.key is None:
        raise CertificateUntrustedError(f"{leaf.title} has a key of a kind that is not trusted")
    return leaf.key


def _check_issuer(leaf: Certificate, wanted: str) -> None:
    issuer = read_issuer(leaf)
    if issuer is None:
        raise IdentityMismatchError("the certificate names no OIDC issuer, as Fulcio's do")
    if not wanted or issuer != wanted.encode():
        shown = issuer.decode("utf-8", "replace")
        raise IdentityMismatchError(f"the certificate's OIDC issuer is {shown!r:.160}, not {wanted!r:.160}")


def _check_email(leaf: Certificate, wanted: str) -> None:
    """The whole text as it stands: neither case nor quoting is forgiven (containers/image)."""
    emails = [name.value for name in leaf.names if isinstance(name, x509.RFC822Name)]
    if not wanted or wanted not in emails:
        raise IdentityMismatchError(f"the certificate is for {_listed(emails)}, not for the e-mail {wanted!r:.160}")


def _check_hostname(leaf: Certificate, wanted: str) -> None:
    """By the alternative names alone, never by a common name (Go's x509.VerifyHostname, RFC 6125)."""
    address = _address(wanted)
    if address is not None:
        addresses = [name.value for name in leaf.names if isinstance(name, x509.IPAddress)]
        if any(_same_address(address, found) for found in addresses):
            return
        raise IdentityMismatchError(f"the certificate is for {_listed(addresses)}, not for the address {wanted!r:.160}")
    hosts = [name.value for name in leaf.names if isinstance(name, x509.DNSName)]
    if not any(matches_host(pattern, wanted) for pattern in hosts):
        raise IdentityMismatchError(f"the certificate is for {_listed(hosts)}, not for the host {wanted!r:.160}")


def _listed(names: Sequence[object]) -> str:
    return f"{', '.join(map(repr, names[:4]))[:300]}{', ...' if len(names) > 4 else ''}" or "no such subject"


def _address(host: str) -> IPv4Address | IPv6Address | None:
    bare = host[1:-1] if len(host) > 2 and host[0] == "[" and host[-1] == "]" else host
    try:
        return None if "%" in bare else _unmapped(ip_address(bare))
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _same_address(address: IPv4Address | IPv6Address, found: object) -> bool:
    return isinstance(found, IPv4Address | IPv6Address) and _unmapped(found) == address


def matches_host(pattern: str, host: str) -> bool:
    """Whether a certificate's DNS name covers ``host``: its first label alone may be a whole ``*``, for one label.

    Names that are no host names match only themselves; one dot at the end of ``host`` is nothing.
    """
    if not host.isascii():
        return False  # a name of the DNS is ASCII, and some letters become ASCII in lower case
    pattern, host = pattern.lower(), host.lower()
    bare = host.removesuffix(".")
    labels, wanted = pattern.split("."), bare.split(".")
    if not (_is_host(wanted) and _is_host(labels[1:] if labels[0] == "*" else labels)):
        return pattern == host and pattern not in ("", ".")
    return len(labels) == len(wanted) and labels[1:] == wanted[1:] and labels[0] in ("*", wanted[0])


def _is_host(labels: list[str]) -> bool:
    return bool(labels) and all(
        label and not label.startswith("-") and _HOST_CHARACTERS.issuperset(label) for label in labels
    )
