"""RFC 3161 timestamps over a signature: who signed one, whether a trusted authority's, and when the signature was made.

The signer's certificate is the one that the SignerInfo names, never one that stands somewhere in the bag
(CVE-2026-39984). The order is from cheap to dear: shapes, imprint, attributes, windows, the signature, the path.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, Protocol, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from plimsoll.errors import SignatureError, TimestampInvalidError, UnreadableKeyError
from plimsoll.signatures.certificate_paths import IssuedCheck, find_path, is_issued
from plimsoll.signatures.cms import SignerInfo, check_attributes, check_named_certificate
from plimsoll.signatures.cms_algorithms import check_signature
from plimsoll.signatures.effort import spend_reading
from plimsoll.signatures.timestamp_token import UntrustedTimestamp, parse_timestamp
from plimsoll.signatures.trust_index import Authority, TrustIndex
from plimsoll.signatures.x509 import Certificate

TIME_STAMPING: Final = ExtendedKeyUsageOID.TIME_STAMPING.dotted_string

_Value = TypeVar("_Value", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTimestamp:
    """A trusted authority saw the signature at ``time_s``, in seconds since 1970; ``authority`` is what it is called.

    Two of one authority prove no more than one.
    """

    time_s: float
    authority: str


class TimestamperCheck(Protocol):
    """What ``check_timestamper`` is, or remembers of it."""

    def __call__(self, leaf: Certificate, *, authority: Authority, at_s: float) -> object:
        """Return if ``leaf`` signs timestamps for ``authority`` at that time; raises a SignatureError."""


def check_timestamper(
    leaf: Certificate, *, authority: Authority, at_s: float, issued: IssuedCheck = is_issued
) -> tuple[Certificate, ...]:
    """The path from ``leaf`` to the authority's anchor, for timestamps and at that time; the response has no say in it.

    The answer is the same for each time at which ``authority`` and every certificate of the path are valid: so far it
    may be remembered. Only the authority's own certificates stand between. Source: RFC 3161 section 2.3: one extended
    key usage, critical, and no other. Raises TimestampInvalidError, CertificateUntrustedError, CertificateExpiredError.
    """
    if not authority.valid_at(at_s):
        raise TimestampInvalidError(f"its authority was not in use at {at_s:.3f} seconds since 1970")
    if authority.leaf is not None and leaf != authority.leaf:
        raise TimestampInvalidError(f"{leaf.title} is not the certificate that the trusted root names for timestamps")
    _check_purpose(leaf)
    return find_path(
        leaf,
        roots=(authority.anchor,),
        intermediates=authority.others,
        at_s=at_s,
        usages=(TIME_STAMPING,),
        issued=issued,
    )


@lru_cache(maxsize=64)  # of a run's few authorities: the certificate alone decides
def _check_purpose(leaf: Certificate) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise TimestampInvalidError(f"{leaf.title} is a certificate authority; one may not sign timestamps itself")
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    if usages is None or not usages.critical or list(usages.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TimestampInvalidError(f"{leaf.title} is not for timestamps alone, as a critical extended key usage says")


def _extension(found: Certificate, kind: type[_Value]) -> x509.Extension[_Value] | None:
    try:
        return found.crypto.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def verify_timestamp(
    response: bytes, *, signature: bytes, trust: TrustIndex, check: TimestamperCheck | None = None
) -> VerifiedTimestamp:
    """The time at which a trusted authority saw ``signature``, by a DER TimeStampResp.

    ``signature`` is its raw bytes. ``check`` may remember what ``check_timestamper`` said, as far as that allows; by
    default no more is remembered than who issued whom. Raises TimestampInvalidError.
    """
    if not trust.timestampers:
        raise TimestampInvalidError("no timestamp authority is trusted here")
    try:
        timestamp = parse_timestamp(response)
        _check_imprint(timestamp, signature)
        check_attributes(timestamp.message)
        return _judge(timestamp, trust, check or partial(check_timestamper, issued=trust.facts.is_issued))
    except (SignatureError, UnreadableKeyError) as error:
        raise TimestampInvalidError(f"the timestamp is refused: {error}") from error


def _check_imprint(timestamp: UntrustedTimestamp, signature: bytes) -> None:
    if hashlib.new(timestamp.hash_name, signature).digest() != timestamp.imprint:
        raise TimestampInvalidError("it is about another signature")


def _judge(timestamp: UntrustedTimestamp, trust: TrustIndex, check: TimestamperCheck) -> VerifiedTimestamp:
    """The first authority whose signer signed; else the last fault is told."""
    signer, at_s = timestamp.message.signer, timestamp.time_s
    embedded = _embedded(timestamp, trust)
    fault: SignatureError = TimestampInvalidError("its signer's certificate is neither in it nor in the trusted root")
    for authority in trust.timestampers:
        leaf = authority.leaf if embedded is None else embedded
        if leaf is None or not _is_named(leaf, signer):
            continue
        try:
            check(leaf, authority=authority, at_s=at_s)
            _check_signed(signer, leaf)
        except SignatureError as error:
            fault = error
            continue
        return VerifiedTimestamp(time_s=at_s, authority=authority.window.uri or authority.anchor.title)
    raise fault


def _check_signed(signer: SignerInfo, leaf: Certificate) -> None:
    if leaf.key is None:
        raise TimestampInvalidError(f"{leaf.title} has a key of a kind that is not trusted")
    check_named_certificate(signer, certificate=leaf.der)
    check_signature(signer.algorithm, key=leaf.key, signature=signer.signature, signed=signer.signed)


def _embedded(timestamp: UntrustedTimestamp, trust: TrustIndex) -> Certificate | None:
    """The certificate of the bag that the SignerInfo names, None where none is; two that it names are refused."""
    known = {each.leaf.der: each.leaf for each in trust.timestampers if each.leaf is not None}  # read already
    spend_reading(len(timestamp.message.certificates))
    bag = [known.get(der) or Certificate(der) for der in timestamp.message.certificates]
    found = [each for each in bag if _is_named(each, timestamp.message.signer)]
    if len(found) > 1:
        raise TimestampInvalidError("it has two certificates that its signer's name fits")
    return found[0] if found else None


def _is_named(found: Certificate, signer: SignerInfo) -> bool:
    if signer.key_id is None:
        return (found.issuer, found.serial) == (signer.issuer, signer.serial)
    key_id = _extension(found, x509.SubjectKeyIdentifier)
    return key_id is not None and key_id.value.digest == signer.key_id
