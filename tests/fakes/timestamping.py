"""A timestamp authority of one's own: real RFC 3161 responses, each part of which a test can falsify.

It writes DER itself, so that what the strict reader reads was not written by it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID

from fakes.pki import Issued, extended, make, usage
from fakes.signing import HASHES, LOGGED_AT_S, signer
from plimsoll.model.trusted_root import CertificateAuthority, TrustRoot
from plimsoll.signatures.trust_index import index_root

TST_INFO = "1.2.840.113549.1.9.16.1.4"
SIGNED_DATA = "1.2.840.113549.1.7.2"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
STAMPED_AT = b"20231114221320Z"  # LOGGED_AT_S
URI = "https://timestamp.acme.example"
DIGESTS = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
ECDSA = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4"}
RSA_WITH = {"sha256": "1.2.840.113549.1.1.11", "sha384": "1.2.840.113549.1.1.12", "sha512": "1.2.840.113549.1.1.13"}
RSA, PSS, MGF1, ED25519 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8", "1.3.101.112"


def tlv(tag, *parts):
    """One DER element around the parts."""
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    digits = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def seq(*parts):
    return tlv(0x30, *parts)


def octets(data):
    return tlv(0x04, data)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        out += bytes(reversed(digits))
    return tlv(0x06, bytes(out))


def digest_id(name, *, null=True):
    return seq(oid(DIGESTS[name]), *([tlv(0x05)] if null else []))


def attribute(name, *values):
    return seq(oid(name), tlv(0x31, *values))


@dataclass(frozen=True)
class Stamp:
    """All that goes into one response; None leaves an optional part out, bytes stand for themselves.

    ``named`` is whom the SignerInfo names and ``signed_by`` whose key signs: ``by`` unless said. ``certificates`` is the
    bag, ``by`` alone unless said.
    """

    by: Issued
    signature: bytes = field(default=b"the signature")
    status: bytes = seq(integer(0))
    hash_name: str = "sha256"
    imprint_hash: str = "sha256"
    imprint: bytes | None = None
    info_version: int = 1
    time: bytes = tlv(0x18, STAMPED_AT)
    rest: bytes = b""
    content_type: str = TST_INFO
    wrapper_type: str = SIGNED_DATA
    certificates: tuple[bytes, ...] | None = None
    no_bag: bool = False
    crls: bytes = b""
    named: Issued | None = None
    by_key_id: bytes | None = None
    signer_version: int | None = None
    signed_by: Issued | None = None
    attributes: tuple[bytes, ...] | None = None
    more_attributes: tuple[bytes, ...] = ()
    no_attributes: bool = False
    algorithm: bytes | None = None
    pss_salt: int | None = None
    unsigned: bytes = b""
    signers: int = 1
    after: bytes = b""

    def changed(self, **changes):
        return replace(self, **changes)

    @property
    def info(self):
        imprint = hashlib.new(self.imprint_hash, self.signature).digest() if self.imprint is None else self.imprint
        return seq(
            integer(self.info_version),
            oid("1.3.6.1.4.1.57264.2"),
            seq(digest_id(self.imprint_hash), octets(imprint)),
            integer(4711),
            self.time,
            self.rest,
        )

    @property
    def _attributes(self):
        if self.attributes is not None:
            return (*self.attributes, *self.more_attributes)
        digest = hashlib.new(self.hash_name, self.info).digest()
        return (
            attribute(CONTENT_TYPE, oid(self.content_type)),
            attribute(MESSAGE_DIGEST, octets(digest)),
            *self.more_attributes,
        )

    @property
    def _algorithm(self):
        if self.algorithm is not None:
            return self.algorithm
        if self.pss_salt is not None:
            return pss(self.hash_name, salt=self.pss_salt)
        kind = (self.signed_by or self.by).by.kind
        if kind == "ed25519":
            return seq(oid(ED25519))
        if kind.startswith("rsa"):
            return seq(oid(RSA), tlv(0x05))
        return seq(oid(ECDSA[self.hash_name]))

    @property
    def _sid(self):
        if self.by_key_id is not None:
            return tlv(0x80, self.by_key_id)
        named = (self.named or self.by).certificate
        return seq(named.issuer.public_bytes(), integer(named.serial_number))

    def _sign(self, data):
        signer = (self.signed_by or self.by).by
        if self.pss_salt is not None:
            algorithm = HASHES[self.hash_name]
            return signer.private.sign(data, padding.PSS(padding.MGF1(algorithm), self.pss_salt), algorithm)
        return signer.sign(data, hash_name="sha256" if self.hash_name == "sha1" else self.hash_name)

    @property
    def token(self):
        """The TimeStampToken alone."""
        attributes = b"".join(self._attributes)
        signed = self.info if self.no_attributes else tlv(0x31, attributes)
        version = (1 if self.by_key_id is None else 3) if self.signer_version is None else self.signer_version
        signer = seq(
            integer(version),
            self._sid,
            digest_id(self.hash_name),
            b"" if self.no_attributes else tlv(0xA0, attributes),
            self._algorithm,
            octets(self._sign(signed)),
            self.unsigned,
        )
        bag = (self.by.der,) if self.certificates is None else self.certificates
        signed_data = seq(
            integer(3),
            tlv(0x31, digest_id(self.hash_name)),
            seq(oid(self.content_type), tlv(0xA0, octets(self.info))),
            b"" if self.no_bag else tlv(0xA0, *bag),
            self.crls,
            tlv(0x31, *[signer] * self.signers),
        )
        return seq(oid(self.wrapper_type), tlv(0xA0, signed_data))

    @property
    def response(self):
        """The whole TimeStampResp."""
        return seq(self.status, self.token) + self.after


def pss(hash_name, *, salt, mask=MGF1, mask_hash=None, null=True):
    """An AlgorithmIdentifier of RSASSA-PSS."""
    return seq(
        oid(PSS),
        seq(
            tlv(0xA0, digest_id(hash_name, null=null)),
            tlv(0xA1, seq(oid(mask), digest_id(mask_hash or hash_name, null=null))),
            tlv(0xA2, integer(salt)),
        ),
    )


def timestamper(
    parent,
    *,
    kind="p256",
    usages=(ExtendedKeyUsageOID.TIME_STAMPING,),
    critical=True,
    more=(),
    subject="tsa",
    **changes,
):
    """A certificate to sign timestamps with; ``usages`` None leaves the extended key usage out."""
    by = changes.pop("by", None) or signer(kind, "tsa")
    extensions = [(usage("digital_signature"), True)]
    if usages is not None:
        extensions.append((extended(*usages), critical))
    extensions.append((x509.SubjectKeyIdentifier.from_public_key(by.private.public_key()), False))
    return make(subject, by=by, parent=parent, extensions=(*extensions, *more), **changes)


def timestamp_authority(*chain, first=LOGGED_AT_S - 3600.0, last=LOGGED_AT_S + 3600.0, uri=URI):
    """The trusted root's record of an authority: its chain, the anchor last."""
    return CertificateAuthority(
        chain=tuple(each.der for each in chain), valid_from_s=first, valid_until_s=last, uri=uri
    )


def trusting(*authorities):
    """A trust index with these timestamp authorities."""
    return index_root(TrustRoot(timestamp_authorities=authorities))
