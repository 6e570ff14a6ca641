"""Public keys by reference, wherever a user names one: a file, ``env://``, a PKCS#11 token, Vault, AWS KMS.

The libraries for tokens and for AWS are optional extras; each is imported when the first key of its kind is named.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping

from plimsoll import limits
from plimsoll.config.files import ConfigFile, home, read_file
from plimsoll.config.keys import read_key_file
from plimsoll.config.proxies import Proxies
from plimsoll.errors import ConfigError, UnreadableKeyError
from plimsoll.model.key_reference import (
    AwsKey,
    FileKey,
    KeyReference,
    NamedReference,
    VariableKey,
    VaultKey,
    parse_key_reference,
    shown_reference,
)
from plimsoll.model.token_uri import TokenKey
from plimsoll.model.trust import PublicKey
from plimsoll.pipeline.signing_keys import read_passphrase_file


def read_key_reference(
    reference: str | os.PathLike[str], *, environ: Mapping[str, str], offline: bool = False, where: str = ""
) -> ConfigFile:
    """The PEM of the key that is named; ``where`` is the option or the place in the policy that names it.

    A ``PathLike`` is always a file's. Blocks until the key is there; with ``offline`` what needs a connection is
    refused. Raises UnreadableKeyError naming the reference, without PINs and tokens. What a file or a variable holds is
    not looked at; the others give one trusted public key.
    """
    if not isinstance(reference, str):
        return read_key_file(os.fspath(reference), where=where)
    named = parse_key_reference(reference)
    if isinstance(named.key, FileKey):
        return read_key_file(named.key.path, where=where)
    try:
        return _read(named, environ=environ, offline=offline)
    except UnreadableKeyError as error:
        named_by = f", which {where} names" if where else ""
        raise UnreadableKeyError(f"the key {named.shown!r}{named_by}: {error}") from None


def shown_key_reference(reference: str | os.PathLike[str]) -> str:
    """It as messages name it: what may hold a PIN is left out."""
    return shown_reference(reference) if isinstance(reference, str) else os.fspath(reference)


def _read(named: NamedReference, *, environ: Mapping[str, str], offline: bool) -> ConfigFile:
    if isinstance(named.key, VariableKey):
        return ConfigFile(origin=named.shown, data=_variable(named.key.name, environ))
    if offline and isinstance(named.key, VaultKey | AwsKey):
        raise UnreadableKeyError("--offline forbids to ask for it: save the public key to a file and name that")
    return ConfigFile(origin=named.shown, data=_held_elsewhere(named.key, environ).pem)


def _variable(name: str, environ: Mapping[str, str]) -> bytes:
    value = environ.get(name)
    if not value:
        raise UnreadableKeyError("the variable is not set, or empty" if value is None else "the variable is empty")
    if len(value) > limits.KEY_BYTES:
        raise UnreadableKeyError(f"the variable has more than {limits.KEY_BYTES} characters")
    return os.fsencode(value)


def _held_elsewhere(key: KeyReference, environ: Mapping[str, str]) -> PublicKey:
    match key:
        case TokenKey():
            # Late, as all that follows: an extra that this run may not have, and would not use.
            from plimsoll.transport.pkcs11_keys import read_token_key  # noqa: PLC0415

            return read_token_key(key, module=module_of(key, environ), pin=pin_of(key, environ))
        case VaultKey():
            return _vault(key, environ)
        case AwsKey():
            from plimsoll.transport.aws_kms import fetch_aws_key  # noqa: PLC0415

            return fetch_aws_key(key)
        case FileKey() | VariableKey():
            raise AssertionError("read already")


def module_of(key: TokenKey, environ: Mapping[str, str]) -> str:
    """The PKCS#11 module's path: the URI's, else ``COSIGN_PKCS11_MODULE_PATH``; raises UnreadableKeyError."""
    path = key.module_path or environ.get("COSIGN_PKCS11_MODULE_PATH")
    if not path:
        raise UnreadableKeyError("no module is named: add ?module-path=FILE, or set COSIGN_PKCS11_MODULE_PATH")
    if not os.path.isabs(path):  # noqa: PTH117  # a text, that pathlib would rewrite
        raise UnreadableKeyError("COSIGN_PKCS11_MODULE_PATH is no absolute path: code is not looked for elsewhere")
    return path


def pin_of(key: TokenKey, environ: Mapping[str, str]) -> str | None:
    """The PIN: the URI's, its source's first line, or ``COSIGN_PKCS11_PIN``; None where nothing gives one."""
    if key.pin_value is not None:
        return key.pin_value or None
    if key.pin_source is None:
        return environ.get("COSIGN_PKCS11_PIN") or None
    try:
        return read_passphrase_file(key.pin_source).decode() or None
    except UnicodeDecodeError:
        raise UnreadableKeyError("what pin-source names holds no PIN: it is no UTF-8") from None
    except ConfigError as error:
        raise UnreadableKeyError(f"its PIN: {error}") from None


def _vault(key: VaultKey, environ: Mapping[str, str]) -> PublicKey:
    from plimsoll.transport.vault import Vault, fetch_vault_key  # noqa: PLC0415

    address = environ.get("VAULT_ADDR")
    if not address:
        raise UnreadableKeyError("VAULT_ADDR is not set: it says where the vault is")
    vault = Vault(
        address=address,
        token=_vault_token(environ),
        mount=environ.get("TRANSIT_SECRET_ENGINE_PATH") or "transit",
        namespace=environ.get("VAULT_NAMESPACE", ""),
    )
    return _waited(fetch_vault_key(key.name, vault, proxy_for=Proxies(environ).proxy_for))


def _vault_token(environ: Mapping[str, str]) -> str:
    """``VAULT_TOKEN``, else what ``vault login`` left in the home; raises UnreadableKeyError."""
    token = environ.get("VAULT_TOKEN", "")
    if not token and (folder := home(environ)):
        try:
            kept = read_file(f"{folder}/.vault-token", limit=limits.PASSPHRASE_BYTES, error=UnreadableKeyError)
            token = kept.data.decode("ascii", "replace").strip()
        except FileNotFoundError:
            token = ""
    if not token:
        raise UnreadableKeyError("VAULT_TOKEN is not set, and there is no ~/.vault-token: who is to ask?")
    if not all("\x21" <= char <= "\x7e" for char in token):
        raise UnreadableKeyError("VAULT_TOKEN holds a character that no token has")
    return token


def _waited(asking: Coroutine[object, object, PublicKey]) -> PublicKey:
    """Run to its end on a thread of its own: whoever calls may have an event loop running on this one."""
    import asyncio  # noqa: PLC0415  # a tenth of a second
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="plimsoll-key") as pool:
        return pool.submit(asyncio.run, asking).result()
