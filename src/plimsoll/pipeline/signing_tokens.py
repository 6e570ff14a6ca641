"""Private keys on PKCS#11 tokens: ``sign --key pkcs11:...``; the key stays there, and each signature is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from plimsoll.errors import UnreadableKeyError
from plimsoll.model.key_reference import parse_key_reference
from plimsoll.model.token_uri import TokenKey
from plimsoll.pipeline.key_references import module_of, pin_of
from plimsoll.signatures.signing import SigningKey


def is_token_reference(text: str) -> bool:
    """Whether it names a key on a token, and no file."""
    return text[:7].lower() == "pkcs11:"


def token_signing_key(uri: str, *, environ: Mapping[str, str]) -> SigningKey:
    """The key pair that a ``pkcs11:`` URI names; its public half is read now, from the token too.

    Raises UnreadableKeyError naming the URI without its PIN, also where no PIN is given.
    """
    named = parse_key_reference(uri)
    assert isinstance(named.key, TokenKey)  # asked of these only
    try:
        return _pair(named.key, environ)
    except UnreadableKeyError as error:
        raise UnreadableKeyError(f"the key {named.shown!r}: {error}") from None


def _pair(key: TokenKey, environ: Mapping[str, str]) -> SigningKey:
    if key.kind not in (None, "private"):
        raise UnreadableKeyError(f"type={key.kind} names no private key: leave it out, or write type=private")
    pin = pin_of(key, environ)
    if pin is None:
        raise UnreadableKeyError("no PIN: add ?pin-source=FILE, or set COSIGN_PKCS11_PIN")
    module = module_of(key, environ)
    from plimsoll.transport.pkcs11_keys import read_token_key  # noqa: PLC0415  # an optional extra
    from plimsoll.transport.pkcs11_signing import TokenSigner  # noqa: PLC0415  # as above

    public = read_token_key(replace(key, kind=None), module=module, pin=pin)
    held = TokenSigner(reference=key, module=module, pin=pin)
    return SigningKey(private=held, public_key=public)
