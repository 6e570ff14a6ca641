"""CMS SignedData with exactly one signer, read strictly; what its signed attributes say.

Source: RFC 5652 sections 3, 5 and 11, RFC 2634 and 5035 (the signing certificate). Signed attributes are required.
The bag of certificates is not signed: nothing in it counts for its place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.signatures.cms_algorithms import SignatureAlgorithm, read_hash_algorithm, read_signature_algorithm
from plimsoll.signatures.der import (
    CONSTRUCTED_0,
    CONSTRUCTED_1,
    CONTEXT_0,
    OBJECT_ID,
    OCTET_STRING,
    SEQUENCE,
    SET,
    DerReader,
    read_der,
)

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_CONTENT_TYPE: Final = bytes.fromhex("2a864886f70d010903")  # 1.2.840.113549.1.9.3
_MESSAGE_DIGEST: Final = bytes.fromhex("2a864886f70d010904")  # 1.2.840.113549.1.9.4
_SIGNING_CERTIFICATE: Final = bytes.fromhex("2a864886f70d010910020c")  # 1.2.840.113549.1.9.16.2.12
_SIGNING_CERTIFICATE_V2: Final = bytes.fromhex("2a864886f70d010910022f")  # 1.2.840.113549.1.9.16.2.47


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """Who is said to have signed, and what: ``attributes`` are the values by raw OID, ``signed`` the bytes signed.

    The signer is named by ``issuer`` (a DER Name) and ``serial``, or else by ``key_id``.
    """

    issuer: bytes | None
    serial: int | None
    key_id: bytes | None
    attributes: MappingProxyType[bytes, bytes]
    signed: bytes
    algorithm: SignatureAlgorithm
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """What a CMS message carries: ``content_type`` is a raw OID, ``certificates`` are DER in the bag's order."""

    content_type: bytes
    content: bytes
    certificates: tuple[bytes, ...]
    signer: SignerInfo


def parse_signed_data(data: bytes, *, what: str) -> SignedData:
    """Read a ContentInfo with a SignedData of one signer; ``what`` names it in messages. Raises BadSignatureError."""
    outer = read_der(data, tag=SEQUENCE, what=what, most=limits.TIMESTAMP_BYTES)
    if outer.take(OBJECT_ID, "contentType") != _SIGNED_DATA:
        raise BadSignatureError(f"{what} is no CMS SignedData")
    wrapped = outer.inside(CONSTRUCTED_0, "content")
    outer.end()
    found = wrapped.inside(SEQUENCE, "signedData")
    wrapped.end()
    found.take_integer("version")  # it only says which of the optional parts there may be
    found.take(SET, "digestAlgorithms")  # the signer's own counts
    content_type, content = _read_content(found.inside(SEQUENCE, "encapContentInfo"))
    certificates: tuple[bytes, ...] = ()
    if found.next_is(CONSTRUCTED_0):
        certificates = _read_certificates(found.inside(CONSTRUCTED_0, "certificates"))
    if found.next_is(CONSTRUCTED_1):
        found.take(CONSTRUCTED_1, "crls")  # revocation is not asked
    signers = found.inside(SET, "signerInfos")
    found.end()
    signer = _read_signer(signers.inside(SEQUENCE, "signerInfo"))
    signers.end()
    return SignedData(content_type=content_type, content=content, certificates=certificates, signer=signer)


def _read_content(found: DerReader) -> tuple[bytes, bytes]:
    content_type = found.take(OBJECT_ID, "eContentType")
    wrapped = found.inside(CONSTRUCTED_0, "eContent")
    found.end()
    content = wrapped.take(OCTET_STRING, "octets")
    wrapped.end()
    return content_type, content


def _read_certificates(bag: DerReader) -> tuple[bytes, ...]:
    """The bag, which holds X.509 certificates only (not the older or other forms of RFC 5652 section 10.2.2)."""
    certificates: list[bytes] = []
    while not bag.at_end():
        if len(certificates) == limits.CHAIN_CERTIFICATES:
            raise BadSignatureError(f"more than {limits.CHAIN_CERTIFICATES} certificates in one CMS message")
        certificates.append(bag.take_whole(SEQUENCE, "certificate"))
    return tuple(certificates)


def _read_signer(found: DerReader) -> SignerInfo:
    """RFC 5652 section 5.3; unsigned attributes say nothing and are passed over."""
    version = found.take_integer("version")
    issuer, serial, key_id = _read_sid(found)
    if version != (3 if key_id is not None else 1):
        raise BadSignatureError(f"a SignerInfo of version {version} names its signer in another version's way")
    hash_name = read_hash_algorithm(found.inside(SEQUENCE, "digestAlgorithm"))
    if not found.next_is(CONSTRUCTED_0):
        raise BadSignatureError("the CMS message has no signed attributes: they say what was signed")
    attributes = found.take_whole(CONSTRUCTED_0, "signedAttrs")
    algorithm = read_signature_algorithm(found.inside(SEQUENCE, "signatureAlgorithm"), hash_name=hash_name)
    signature = found.take(OCTET_STRING, "signature")
    if found.next_is(CONSTRUCTED_1):
        found.take(CONSTRUCTED_1, "unsignedAttrs")
    found.end()
    return SignerInfo(
        issuer=issuer,
        serial=serial,
        key_id=key_id,
        attributes=_read_attributes(attributes),
        signed=bytes([SET]) + attributes[1:],  # section 5.4: what is signed has the tag of a SET
        algorithm=algorithm,
        signature=signature,
    )


def _read_sid(found: DerReader) -> tuple[bytes | None, int | None, bytes | None]:
    if found.next_is(CONTEXT_0):
        return None, None, found.take(CONTEXT_0, "subjectKeyIdentifier")
    sid = found.inside(SEQUENCE, "issuerAndSerialNumber")
    issuer, serial = sid.take_whole(SEQUENCE, "issuer"), sid.take_integer("serialNumber")
    sid.end()
    return issuer, serial, None


def _read_attributes(whole: bytes) -> MappingProxyType[bytes, bytes]:
    """Each attribute's one value by its raw OID: none is there twice, or with several values (section 11)."""
    found = read_der(whole, tag=CONSTRUCTED_0, what="signedAttrs", most=len(whole))
    attributes: dict[bytes, bytes] = {}
    while not found.at_end():
        attribute = found.inside(SEQUENCE, "attribute")
        oid, values = attribute.take(OBJECT_ID, "type"), attribute.take(SET, "values")
        attribute.end()
        if oid in attributes:
            raise BadSignatureError("a signed attribute is there twice")
        attributes[oid] = values
    return MappingProxyType(attributes)


def check_attributes(found: SignedData) -> None:
    """Return if the signed attributes name this content and its type; raises BadSignatureError."""
    signer = found.signer
    if _only(signer, _CONTENT_TYPE, OBJECT_ID, "content-type") != found.content_type:
        raise BadSignatureError("the signed content-type is not that of the content")
    digest = hashlib.new(signer.algorithm.hash_name, found.content).digest()
    if _only(signer, _MESSAGE_DIGEST, OCTET_STRING, "message-digest") != digest:
        raise BadSignatureError("the signed message-digest is not that of the content")


def _only(signer: SignerInfo, oid: bytes, tag: int, name: str) -> bytes:
    values = signer.attributes.get(oid)
    if values is None:
        raise BadSignatureError(f"the signed attribute {name} is absent")
    found = DerReader(values, what=name)
    value = found.take(tag, "value")
    found.end()
    return value


def check_named_certificate(signer: SignerInfo, *, certificate: bytes) -> None:
    """Return if each signing-certificate attribute there is names ``certificate`` (DER) first.

    Raises BadSignatureError. Neither has to be there: the signer is named by the SignerInfo anyway.
    """
    # SHA-1 here tells certificates apart that are each proven by a path; nobody's signature rests on it.
    sha1 = hashlib.sha1(certificate, usedforsecurity=False).digest()
    for oid, name in ((_SIGNING_CERTIFICATE, "signingCertificate"), (_SIGNING_CERTIFICATE_V2, "signingCertificateV2")):
        if oid not in signer.attributes:
            continue
        found = DerReader(_only(signer, oid, SEQUENCE, name), what=name)
        first = found.inside(SEQUENCE, "certs").inside(SEQUENCE, "certID")
        wanted = sha1
        if oid == _SIGNING_CERTIFICATE_V2:
            hashed = (
                read_hash_algorithm(first.inside(SEQUENCE, "hashAlgorithm")) if first.next_is(SEQUENCE) else "sha256"
            )
            wanted = hashlib.new(hashed, certificate).digest()
        if first.take(OCTET_STRING, "certHash") != wanted:
            raise BadSignatureError(f"the signed attribute {name} names another certificate")
