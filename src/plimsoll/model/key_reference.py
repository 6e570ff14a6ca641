"""How a user names a public key: a file, an environment variable, an object of a PKCS#11 token, a key of a KMS.

Lexical only: nothing is read here. The forms are cosign's, so that a ``--key`` can be carried over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.token_uri import TokenKey, parse_token_uri, shown_token_uri

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_USER = re.compile(r"://[^/]*@")
_PKCS11: Final = "pkcs11:"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_VAULT_KEY = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?", re.ASCII)
_AWS = re.compile(
    r"(?P<endpoint>(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(?::[0-9]{1,5})?|)/(?P<key>"
    r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|alias/[A-Za-z0-9/_-]{1,250}"
    r"|arn:aws[a-z-]{0,16}:kms:(?P<region>[a-z0-9-]{1,32}):[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]{1,250}))",
    re.ASCII,
)
_BY_URL: Final = "whoever answers at a URL would be trusted: download the key, look at it, and name the file"
_NOT_HERE: Final = {
    "azurekms": "Azure's key vaults are not built yet: save the public key to a file and name that",
    "gcpkms": "Google's KMS is not built yet: save the public key to a file and name that",
    "gitlab": "GitLab's variables are not read: save the public key to a file and name that",
    "http": _BY_URL,
    "https": _BY_URL,
    "k8s": "Kubernetes' secrets are not read: save the public key to a file and name that",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKey:
    """A PEM file."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableKey:
    """PEM in an environment variable."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultKey:
    """A key of the transit engine of a HashiCorp Vault, or of an OpenBao, which speaks the same."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsKey:
    """A key of AWS KMS: its id, alias or ARN; ``endpoint`` is ``HOST[:PORT]``, "" for AWS's own of the region."""

    key_id: str
    endpoint: str = ""
    region: str | None = None


KeyReference = FileKey | VariableKey | TokenKey | VaultKey | AwsKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedReference:
    """A reference and how messages name it: without what may be secret."""

    key: KeyReference = field(repr=False)
    shown: str


def parse_key_reference(text: str) -> NamedReference:
    """Read what a user wrote; what begins with no ``WORD://`` and no ``pkcs11:`` is a file.

    Raises UnreadableKeyError, in words without a PIN, for a form that is wrong, unknown, or not built.
    """
    shown = shown_reference(text)
    if _is_token(text):
        return NamedReference(key=parse_token_uri(text), shown=shown)
    scheme = _SCHEME.fullmatch(text)
    key = FileKey(path=text) if scheme is None else _by_scheme(scheme[1].lower(), scheme[2], shown)
    return NamedReference(key=key, shown=shown)


def shown_reference(text: str) -> str:
    """A reference as messages name it, whether or not it can be read: without PIN, password and query, and bounded."""
    if _is_token(text):
        return shown_token_uri(text)
    if _SCHEME.fullmatch(text) is not None:
        text = _USER.sub("://", text.partition("?")[0])
    return text[: limits.KEY_REFERENCE_CHARS]


def _is_token(text: str) -> bool:
    return text[: len(_PKCS11)].lower() == _PKCS11


def _by_scheme(scheme: str, rest: str, shown: str) -> KeyReference:
    match scheme:
        case "env":
            if _VARIABLE.fullmatch(rest) is None:
                raise UnreadableKeyError(f"{shown!r} names no environment variable: write env://NAME")
            return VariableKey(name=rest)
        case "hashivault" | "openbao":
            if _VAULT_KEY.fullmatch(rest) is None:
                raise UnreadableKeyError(f"{shown!r} names no key: write {scheme}://KEY, the name of a transit key")
            return VaultKey(name=rest)
        case "awskms":
            return _aws(rest, shown)
        case _:
            why = _NOT_HERE.get(scheme, f"keys of {scheme[:32]!r} are unknown here, and cosign's plugins are not run")
            raise UnreadableKeyError(f"{shown!r}: {why} (a file of that name: write ./{scheme[:32]}:...)")


def _aws(rest: str, shown: str) -> AwsKey:
    found = _AWS.fullmatch(rest)
    if found is None:
        raise UnreadableKeyError(f"{shown!r} names no key: write awskms://[HOST[:PORT]]/ID, /alias/NAME or /ARN")
    return AwsKey(key_id=found["key"], endpoint=found["endpoint"].lower(), region=found["region"])
