"""Asking Fulcio for a certificate of a new key, and its answer read.

Source: sigstore/fulcio's fulcio.proto (API v2, CreateSigningCertificate): the key, and as proof that it is held a
signature over the subject that the token names.
"""

from __future__ import annotations

import base64
import json

from plimsoll import limits
from plimsoll.errors import CertificateUntrustedError, ReadError, UnreadableKeyError
from plimsoll.model.identity_token import OidcToken
from plimsoll.native import read_json
from plimsoll.signatures.made_bundles import Credential
from plimsoll.signatures.signing import SigningKey
from plimsoll.signatures.x509 import parse_pem_certificates


def certificate_query(token: OidcToken, key: SigningKey) -> bytes:
    """The body of the POST; it holds the token, so it is secret."""
    proof = base64.b64encode(key.sign(token.subject.encode())).decode()
    public = {"algorithm": "ECDSA", "content": key.public_pem.decode()}
    document = {
        "credentials": {"oidcIdentityToken": token.value},
        "publicKeyRequest": {"publicKey": public, "proofOfPossession": proof},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def parse_issued(reply: bytes, *, key: SigningKey) -> Credential:
    """The certificate for ``key`` in Fulcio's answer; raises CertificateUntrustedError for anything else.

    Nothing of it is proven: neither who issued it nor for whom.
    """
    try:
        document = read_json(reply, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise CertificateUntrustedError(f"the certificate authority's answer is refused: {error}") from error
    match document:
        case {"signedCertificateEmbeddedSct": {"chain": {"certificates": [*pems]}}} if pems:
            texts = [each for each in pems[: limits.CHAIN_CERTIFICATES] if isinstance(each, str)]
        case {"signedCertificateDetachedSct": _}:
            raise CertificateUntrustedError("the authority gives the CT log's promise apart: no bundle can hold it")
        case _:
            raise CertificateUntrustedError("the certificate authority's answer has no certificate")
    try:
        found = parse_pem_certificates("\n".join(texts).encode())
    except UnreadableKeyError as error:
        raise CertificateUntrustedError(f"the certificate authority's answer: {error}") from error
    if not found or found[0].key != key.public_key:
        raise CertificateUntrustedError("the certificate authority's answer is no certificate of the key that was sent")
    return Credential(key=key, certificate=found[0], chain=tuple(found[1:]))
