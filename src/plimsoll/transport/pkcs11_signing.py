"""Signatures by private keys on PKCS#11 tokens: one session a signature. Imported only where a token is to sign."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import islice

import pkcs11
from pkcs11.util.ec import encode_ecdsa_signature

from plimsoll.errors import SigningError, UnreadableKeyError
from plimsoll.model.token_uri import TokenKey
from plimsoll.transport.pkcs11_keys import find_token, matching, open_session, said


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSigner:
    """A private key on a token: what names it, by which module it is reached, and the PIN."""

    reference: TokenKey
    module: str
    pin: str = field(repr=False)

    def sign_payload(self, payload: bytes) -> bytes:
        """ECDSA in DER or RSA PKCS#1 v1.5 over the SHA-256, Ed25519 over the bytes; raises SigningError."""
        try:
            token = find_token(self.reference, module=self.module)
            with open_session(token, pin=self.pin) as session:
                return _signature(self._private(session), payload)
        except pkcs11.PKCS11Error as error:
            raise SigningError(f"the token does not sign: {said(error)}") from None
        except (UnreadableKeyError, ValueError, TypeError) as error:
            raise SigningError(f"the token does not sign: {error}") from None

    def _private(self, session: pkcs11.Session) -> pkcs11.SignMixin:
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, **matching(self.reference)}
        found = list(islice(session.get_objects(wanted), 2))
        if len(found) != 1 or not isinstance(found[0], pkcs11.SignMixin):
            raise SigningError("the token has " + ("several" if found else "no") + " such private keys")
        return found[0]


def _signature(key: pkcs11.SignMixin, payload: bytes) -> bytes:
    match key.key_type:
        case pkcs11.KeyType.EC:
            raw = key.sign(hashlib.sha256(payload).digest(), mechanism=pkcs11.Mechanism.ECDSA)
            return bytes(encode_ecdsa_signature(raw))
        case pkcs11.KeyType.RSA:
            return bytes(key.sign(payload, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
        case pkcs11.KeyType.EC_EDWARDS:
            return bytes(key.sign(payload, mechanism=pkcs11.Mechanism.EDDSA))
        case kind:
            raise SigningError(f"the token's key is of a kind that is not used here: {kind!r:.40}")
