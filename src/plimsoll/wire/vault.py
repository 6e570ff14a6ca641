"""The transit engine of HashiCorp Vault and OpenBao without I/O: asking for a key, reading the answer.

Source: Vault's HTTP API, "Transit secrets engine", "Read key": ``GET /v1/:mount/keys/:name``.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import quote

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.native import ReadError, read_json
from plimsoll.wire.replies import Reply
from plimsoll.wire.requests import Request

_MOUNT = re.compile(r"[A-Za-z0-9_.-]{1,128}(?:/[A-Za-z0-9_.-]{1,128}){0,8}", re.ASCII)
_NAMESPACE = re.compile(r"[\x21-\x7e]{0,1024}", re.ASCII)
_ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
"""RFC 8410 section 4: all of the SubjectPublicKeyInfo but the key's 32 bytes."""
_STATUS: Final = {
    400: "it refuses the request: is there a transit engine at that path?",
    403: "the token may not read it",
    404: "it has no such key",
}


def vault_key_request(name: str, *, base: str, mount: str, namespace: str = "") -> Request:
    """Ask for a key; ``base`` is the path in Vault's URL. Raises UnreadableKeyError for a path that is none."""
    mount = mount.strip("/")
    if _MOUNT.fullmatch(mount) is None or {".", ".."} & set(mount.split("/")):
        raise UnreadableKeyError("TRANSIT_SECRET_ENGINE_PATH is no path of a secrets engine")
    if _NAMESPACE.fullmatch(namespace) is None:
        raise UnreadableKeyError("VAULT_NAMESPACE is no name of a namespace")
    headers = [("Accept", "application/json"), ("X-Vault-Request", "true")]  # Vault's agents can be told to want it
    if namespace:
        headers.append(("X-Vault-Namespace", namespace))
    return Request(target=f"{base}/v1/{mount}/keys/{quote(name, safe='')}", headers=tuple(headers))


def parse_vault_key(reply: Reply) -> PublicKey:
    """The newest version's public key; raises UnreadableKeyError, which quotes nothing of the answer."""
    if reply.status != 200:
        raise UnreadableKeyError(_STATUS.get(reply.status, f"it answered {reply.status}"))
    try:
        document = read_json(reply.body, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise UnreadableKeyError(f"its answer is no strict JSON: {error}") from None
    data = document.get("data") if isinstance(document, dict) else None
    keys = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(keys, dict) or type(data.get("latest_version")) is not int:
        raise UnreadableKeyError("its answer lacks the versions of a key, or says not which is the newest")
    newest = keys.get(str(data["latest_version"]))
    public = newest.get("public_key") if isinstance(newest, dict) else None
    if not isinstance(public, str) or not public:
        raise UnreadableKeyError("its newest version has no public key: is it a key for encryption?")
    return _ed25519(public) if data.get("type") == "ed25519" else parse_pem_key(public.encode(errors="replace"))


def _ed25519(text: str) -> PublicKey:
    """Vault gives the 32 bytes in base64, and no PEM."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableKeyError("its newest version's Ed25519 key is no base64") from None
    if len(raw) != 32:
        raise UnreadableKeyError(f"its newest version's Ed25519 key has {len(raw)} bytes, not 32")
    return PublicKey(_ED25519_SPKI + raw)
