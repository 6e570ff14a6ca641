"""Public keys on PKCS#11 tokens, by python-pkcs11. Imported only where a ``pkcs11:`` key is named.

What a URI matches must be one key: the public key objects and the certificates that it names are all read, and two
that differ are refused, since which of them was meant is a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.token_uri import TokenKey
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.x509 import Certificate

try:
    import pkcs11
    from pkcs11.util.ec import encode_ec_public_key
    from pkcs11.util.rsa import encode_rsa_public_key
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("pkcs11", "asn1crypto"):
        raise
    raise UnreadableKeyError("pkcs11: keys need python-pkcs11: install plimsoll[pkcs11]") from None

_ED25519: Final = (bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519")
"""How CKA_EC_PARAMS names the curve: by its OID (RFC 8410), or by PKCS#11's curveName."""
_ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
_CLASSES: Final = {"public": "PUBLIC_KEY", "cert": "CERTIFICATE"}


def read_token_key(reference: TokenKey, *, module: str, pin: str | None) -> PublicKey:
    """The one public key that ``reference`` names; without a PIN nobody is logged in, which most tokens allow.

    Raises UnreadableKeyError for a module that is none, for no token and for several, a PIN that is refused (it is
    tried once, as tokens count), no key, several, and kinds that are not trusted; never quoting the PIN.
    """
    if reference.kind == "private":
        raise UnreadableKeyError("type=private names no public key: leave it out, or write type=public")
    try:
        token = find_token(reference, module=module)
        with open_session(token, pin=pin) as session:
            keys = set(_keys(session, reference))
    except pkcs11.PKCS11Error as error:
        raise UnreadableKeyError(f"the token refuses it: {said(error)}") from None
    except UnicodeDecodeError:
        raise UnreadableKeyError("a token's label, or its maker's name, is no UTF-8") from None
    if not keys:
        raise UnreadableKeyError(
            "the token shows no such public key or certificate" + ("" if pin else ", without a PIN")
        )
    if len(keys) > 1:
        raise UnreadableKeyError(f"the token has {len(keys)} keys of that name: add id=, object= or type=")
    return keys.pop()


def find_token(reference: TokenKey, *, module: str) -> pkcs11.Token:
    """The one token that is meant; raises UnreadableKeyError, PKCS11Error."""
    try:
        library = pkcs11.lib(module)
    except pkcs11.PKCS11Error:
        raise UnreadableKeyError(f"{module!r} is no PKCS#11 module that can be loaded") from None
    found = [token for token in _tokens(library.get_slots(token_present=True)) if _is_meant(token, reference)]
    if not found:
        raise UnreadableKeyError(f"{module!r} has no such token")
    if len(found) > 1:
        raise UnreadableKeyError(f"{module!r} has {len(found)} such tokens: add token= or serial=")
    return found[0]


def open_session(token: pkcs11.Token, *, pin: str | None) -> pkcs11.Session:
    """A session for reading; a login holds for the whole process, so one that is there already serves."""
    try:
        return token.open(user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open()


def said(error: pkcs11.PKCS11Error) -> str:
    """An error of the token's by its name: its text is mostly empty, and might hold anything."""
    return type(error).__name__


def matching(reference: TokenKey) -> dict[pkcs11.Attribute, object]:
    """CKA_LABEL and CKA_ID, as far as the reference says."""
    wanted: dict[pkcs11.Attribute, object] = {}
    if reference.label is not None:
        wanted[pkcs11.Attribute.LABEL] = reference.label
    if reference.id is not None:
        wanted[pkcs11.Attribute.ID] = reference.id
    return wanted


def public_key_of(found: pkcs11.PublicKey) -> PublicKey:
    """The key of a public key object; raises UnreadableKeyError."""
    try:
        match found.key_type:
            case pkcs11.KeyType.RSA:
                return PublicKey(encode_rsa_public_key(found))
            case pkcs11.KeyType.EC:
                return PublicKey(encode_ec_public_key(found))
            case pkcs11.KeyType.EC_EDWARDS if found[pkcs11.Attribute.EC_PARAMS] in _ED25519:
                return PublicKey(_ED25519_SPKI + _point(found[pkcs11.Attribute.EC_POINT]))
            case _:
                raise UnreadableKeyError("a key of this kind is not trusted: P-256, P-384, P-521, RSA and Ed25519 are")
    except (ValueError, TypeError):
        raise UnreadableKeyError("the token's public key object cannot be read") from None


def _tokens(slots: Iterable[pkcs11.Slot]) -> Iterator[pkcs11.Token]:
    for slot in slots:
        try:
            yield slot.get_token()
        except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
            continue  # pulled out since, or of another make: not the one that is named, or it will be missed


def _is_meant(token: pkcs11.Token, reference: TokenKey) -> bool:
    serial = token.serial.decode(errors="replace").rstrip()
    return all(
        asked is None or asked == there
        for asked, there in (
            (reference.token, token.label),
            (reference.serial, serial),
            (reference.manufacturer, token.manufacturer_id),
            (reference.model, token.model),
            (reference.slot_id, token.slot.slot_id),
        )
    )


def _keys(session: pkcs11.Session, reference: TokenKey) -> Iterator[PublicKey]:
    for kind, name in _CLASSES.items():
        if reference.kind not in (None, kind):
            continue
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass[name], **matching(reference)}
        for number, found in enumerate(session.get_objects(wanted)):
            if number >= limits.TOKEN_OBJECTS:
                raise UnreadableKeyError(f"the token has more than {limits.TOKEN_OBJECTS} objects of that name")
            yield public_key_of(found) if isinstance(found, pkcs11.PublicKey) else _certified(found)


def _certified(found: pkcs11.Object) -> PublicKey:
    key = Certificate(found[pkcs11.Attribute.VALUE]).key
    if key is None:
        raise UnreadableKeyError("the token's certificate has a key of a kind that is not trusted")
    return key


def _point(value: bytes) -> bytes:
    """CKA_EC_POINT of Ed25519: 32 bytes in a DER OCTET STRING, or (PKCS#11 3.0 left it open) as they are."""
    raw = value.removeprefix(b"\x04\x20") if len(value) == 34 else value
    if len(raw) != 32:
        raise ValueError(f"a point of {len(value)} bytes")
    return raw
