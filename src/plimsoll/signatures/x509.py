"""X.509 certificates: read with caps and in full, so that what cannot be read is seen before anything is asked.

Nothing here is proven: paths to trusted roots are found in ``certificate_paths``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, PublicKeyAlgorithmOID

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.native import CertificateFields
from plimsoll.signatures.plain_certificates import read_plain

CODE_SIGNING: Final = ExtendedKeyUsageOID.CODE_SIGNING.dotted_string
_ANY_USAGE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

_PEM_BEGIN: Final = b"-----BEGIN "
# One repetition only, of characters that end at the next dash: the text is a stranger's.
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        # Any policy will do, so policies alone forbid nothing; what constrains them is not understood.
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
_KEYS: Final = frozenset(
    {PublicKeyAlgorithmOID.EC_PUBLIC_KEY, PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5, PublicKeyAlgorithmOID.ED25519}
)

_Value = TypeVar("_Value", bound=x509.ExtensionType)


class Certificate:
    """A certificate that was read in full, and of which nothing is proven.

    ``der`` is its bytes: equal certificates are equal bytes. ``key`` is None where the key is of a kind that is not
    trusted. ``not_before_s`` and ``not_after_s`` are seconds since 1970; both ends count.

    ``is_authority`` is whether it says that it may issue certificates: in its basic constraints, and in its key usage
    if any; ``path_length``, how many authorities may then stand between it and the leaf, None says nothing. ``names``
    are the subject alternative names, ``constraints`` which names those below it may have. With an ``unknown_critical``
    extension (dotted OIDs) it must not be used (RFC 5280 section 4.2). ``unread`` are the DER values of the extensions
    that are not understood, by their dotted OIDs. ``fields`` are there for one of the plain shape.
    """

    __slots__ = (
        "_crypto",
        "_extensions",
        "_usages",
        "constraints",
        "der",
        "fields",
        "is_authority",
        "issuer",
        "key",
        "names",
        "not_after_s",
        "not_before_s",
        "path_length",
        "subject",
        "unknown_critical",
        "unread",
    )

    der: bytes
    fields: CertificateFields | None
    key: PublicKey | None
    subject: bytes
    issuer: bytes
    not_before_s: float
    not_after_s: float
    is_authority: bool
    path_length: int | None
    names: tuple[x509.GeneralName, ...]
    constraints: x509.NameConstraints | None
    unknown_critical: tuple[str, ...]
    unread: Mapping[str, bytes]
    _crypto: x509.Certificate | None
    _extensions: Mapping[str, x509.ExtensionType | bytes]
    _usages: frozenset[str] | None

    def __init__(self, der: bytes) -> None:
        if len(der) > limits.CERTIFICATE_BYTES:
            raise UnreadableKeyError(f"a certificate of {len(der)} bytes: at most {limits.CERTIFICATE_BYTES}")
        try:
            for name, value in (read_plain(der) or _read(der)).items():
                object.__setattr__(self, name, value)
        except _FAULTS as error:
            raise UnreadableKeyError(f"no certificate can be read from these {len(der)} bytes: {error}") from error
        if len(self.names) > limits.CERTIFICATE_NAMES or _subtrees(self.constraints) > limits.CERTIFICATE_NAMES:
            raise UnreadableKeyError(f"a certificate of more than {limits.CERTIFICATE_NAMES} names")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Certificate is immutable, {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __reduce__(self) -> tuple[type[Certificate], tuple[bytes]]:
        return (Certificate, (self.der,))

    def __repr__(self) -> str:
        return f"Certificate({self.title!r})"

    @property
    def crypto(self) -> x509.Certificate:
        """The same as ``cryptography`` has it."""
        if self._crypto is None:
            object.__setattr__(self, "_crypto", x509.load_der_x509_certificate(self.der))
        assert self._crypto is not None
        return self._crypto

    @property
    def precertificate(self) -> bytes:
        """The part that was signed without the CT logs' timestamps (RFC 6962 section 3.2); ValueError for none."""
        known = None if self.fields is None else self.fields.precertificate
        return self.crypto.tbs_precertificate_bytes if known is None else known

    @property
    def serial(self) -> int:
        """Its serial number."""
        return self.crypto.serial_number if self.fields is None else self.fields.serial

    @property
    def title(self) -> str:
        """What a message calls it: its subject, or its serial number where that is empty."""
        return self.crypto.subject.rfc4514_string()[:160] or f"serial {self.crypto.serial_number:x}"

    def allows(self, usage: str) -> bool:
        """Whether its extended key usage names this OID, or any, or is absent and says nothing."""
        return self._usages is None or usage in self._usages or _ANY_USAGE in self._usages

    def names_usage(self, usage: str) -> bool:
        """Whether its extended key usage is there and names this OID."""
        return self._usages is not None and usage in self._usages

    def raw_extension(self, oid: str) -> bytes | None:
        """The DER value of an extension that is not understood here; None where it is absent."""
        found = self._extensions.get(oid)
        if found is None or isinstance(found, bytes):
            return found
        return found.value if isinstance(found, x509.UnrecognizedExtension) else found.public_bytes()

    def valid_at(self, time_s: float) -> bool:
        """Whether it was valid then."""
        return self.not_before_s <= time_s <= self.not_after_s


_FAULTS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    Warning,  # where warnings are errors: cryptography warns of what it will refuse one day
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""All that cryptography raises for bytes that are no certificate, or one with a part that it cannot read."""


def _read(der: bytes) -> dict[str, object]:
    """All parts of a certificate, so that what cannot be read is seen now and not at its use."""
    crypto = x509.load_der_x509_certificate(der)
    if crypto.serial_number < 0:  # as Go; some roots that are still in use have 0
        raise ValueError("its serial number is negative (RFC 5280 section 4.1.2.2)")
    if der[-len(crypto.signature) - 1] != 0:  # the count of unused bits is not signed: else there were eight encodings
        raise ValueError("its signature is not whole bytes")
    return {
        "der": der,
        "fields": None,
        "_crypto": crypto,
        "key": _key(crypto),
        "subject": crypto.subject.public_bytes(),
        "issuer": crypto.issuer.public_bytes(),
        "not_before_s": crypto.not_valid_before_utc.timestamp(),
        "not_after_s": crypto.not_valid_after_utc.timestamp(),
        **_extended(crypto.extensions),
    }


def _extended(extensions: x509.Extensions) -> dict[str, object]:
    """What the extensions say; those that are absent allow everything but to be an authority."""
    found = {each.oid.dotted_string: each.value for each in extensions}
    basic = _of_kind(found, x509.BasicConstraints)
    usage = _of_kind(found, x509.KeyUsage)
    usages = _of_kind(found, x509.ExtendedKeyUsage)
    return {
        "is_authority": basic is not None and basic.ca and (usage is None or usage.key_cert_sign),
        "path_length": None if basic is None else basic.path_length,
        "names": tuple(_of_kind(found, x509.SubjectAlternativeName) or ()),
        "constraints": _of_kind(found, x509.NameConstraints),
        "unknown_critical": tuple(
            [each.oid.dotted_string for each in extensions if each.critical and each.oid not in _UNDERSTOOD]
        ),
        "_usages": None if usages is None else frozenset([each.dotted_string for each in usages]),
        "_extensions": found,
        "unread": {oid: each.value for oid, each in found.items() if isinstance(each, x509.UnrecognizedExtension)},
    }


def _of_kind(found: dict[str, x509.ExtensionType], kind: type[_Value]) -> _Value | None:
    value = found.get(kind.oid.dotted_string)
    return value if isinstance(value, kind) else None


def _key(crypto: x509.Certificate) -> PublicKey | None:
    """The key, with the same bounds on kind and size as any trusted key; None outside of them."""
    # Asked before anything is computed, as in model.trust: OpenSSL tests a Diffie-Hellman key's prime for minutes.
    if crypto.public_key_algorithm_oid not in _KEYS:
        return None
    try:
        return PublicKey.of(crypto.public_key())
    except (ValueError, UnsupportedAlgorithm, UnreadableKeyError):
        return None


def _subtrees(constraints: x509.NameConstraints | None) -> int:
    if constraints is None:
        return 0
    return len(constraints.permitted_subtrees or ()) + len(constraints.excluded_subtrees or ())


def parse_pem_certificates(pem: bytes, *, most: int = limits.CERTIFICATES) -> tuple[Certificate, ...]:
    """Read the ``CERTIFICATE`` blocks of a PEM text (RFC 7468), in their order; text around them means nothing.

    Raises UnreadableKeyError for none, for more than ``most``, for a block of any other kind (a private key has no
    place among certificates) and for one that cannot be read.
    """
    if len(pem) > limits.KEY_BYTES:
        raise UnreadableKeyError(f"{len(pem)} bytes are no certificate file: at most {limits.KEY_BYTES}")
    begun = pem.count(_PEM_BEGIN)
    if not begun:
        raise UnreadableKeyError("there is no PEM block here: a certificate begins with -----BEGIN CERTIFICATE-----")
    if begun > most:
        raise UnreadableKeyError(f"{begun} PEM blocks where at most {most} may be")
    blocks = _PEM.findall(pem)
    if len(blocks) != begun:
        raise UnreadableKeyError("a PEM block is broken, cut, or no certificate: only certificates may be here")
    return tuple([Certificate(_decode(block)) for block in blocks])


def _decode(block: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error as error:
        raise UnreadableKeyError(f"the PEM block is not base64: {error}") from error
