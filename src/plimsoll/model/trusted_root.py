"""TrustRoot: the logs and authorities of a sigstore ``trusted_root.json``, parsed once a run into immutable values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from plimsoll import limits
from plimsoll.errors import TrustRootError, UnreadableKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.native import ReadError, read_json

TRUSTED_ROOT_TYPES: Final = frozenset(
    {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    }
)
LogHash = Literal["sha256", "sha384", "sha512"]
RsaPadding = Literal["pkcs1v15", "pss"]

_UNSPECIFIED: Final = "PUBLIC_KEY_DETAILS_UNSPECIFIED"
_KEY_DETAILS: Final[Mapping[str, tuple[str, LogHash, RsaPadding]]] = {
    "PKIX_ECDSA_P256_SHA_256": ("secp256r1", "sha256", "pkcs1v15"),
    "PKIX_ECDSA_P256_HMAC_SHA_256": ("secp256r1", "sha256", "pkcs1v15"),
    "PKIX_ECDSA_P384_SHA_384": ("secp384r1", "sha384", "pkcs1v15"),
    "PKIX_ECDSA_P384_SHA_256": ("secp384r1", "sha256", "pkcs1v15"),
    "PKIX_ECDSA_P521_SHA_512": ("secp521r1", "sha512", "pkcs1v15"),
    "PKIX_ECDSA_P521_SHA_256": ("secp521r1", "sha256", "pkcs1v15"),
    "PKIX_ED25519": ("ed25519", "sha256", "pkcs1v15"),
    "PKCS1_RSA_PKCS1V5": ("rsa", "sha256", "pkcs1v15"),
    "PKIX_RSA_PKCS1V5": ("rsa", "sha256", "pkcs1v15"),
    "PKIX_RSA_PKCS1V15_2048_SHA256": ("rsa2048", "sha256", "pkcs1v15"),
    "PKIX_RSA_PKCS1V15_3072_SHA256": ("rsa3072", "sha256", "pkcs1v15"),
    "PKIX_RSA_PKCS1V15_4096_SHA256": ("rsa4096", "sha256", "pkcs1v15"),
    "PKCS1_RSA_PSS": ("rsa", "sha256", "pss"),
    "PKIX_RSA_PSS": ("rsa", "sha256", "pss"),
    "PKIX_RSA_PSS_2048_SHA256": ("rsa2048", "sha256", "pss"),
    "PKIX_RSA_PSS_3072_SHA256": ("rsa3072", "sha256", "pss"),
    "PKIX_RSA_PSS_4096_SHA256": ("rsa4096", "sha256", "pss"),
}
"""protobuf-specs' PublicKeyDetails (sigstore_common.proto) -> kind of key, hash, padding; the padding is RSA's only."""
_BY_KIND: Final = {
    "secp256r1": "PKIX_ECDSA_P256_SHA_256",
    "secp384r1": "PKIX_ECDSA_P384_SHA_384",
    "secp521r1": "PKIX_ECDSA_P521_SHA_512",
    "ed25519": "PKIX_ED25519",
}
"""What a key says of itself where ``keyDetails`` says nothing; an RSA key does not say its padding."""
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,79}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_SNAKE = re.compile(r"_([a-z0-9])")

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransparencyLog:
    """One log (Rekor's, or of certificates): its id, its key, and when it was in use (seconds since 1970; both count).

    ``hash_name`` and ``padding`` are how it signs, where its key leaves a choice: the hash for ECDSA and RSA, the
    padding for RSA. ``checkpoint_key_id`` is the id under which it signs checkpoints, None where that is ``log_id``.
    ``host`` is the host name in ``base_url``, in lower case and without port: a Rekor v2 log's name in its notes; empty
    where there is none.
    """

    log_id: bytes
    key: PublicKey
    valid_from_s: float
    valid_until_s: float | None
    base_url: str = ""
    hash_name: LogHash = "sha256"
    padding: RsaPadding = "pkcs1v15"
    checkpoint_key_id: bytes | None = None
    host: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _host(self.base_url))  # once: it is asked for with each entry

    def valid_at(self, time_s: float) -> bool:
        """Whether the log was in use then (protobuf-specs TimeRange: a closed interval)."""
        return self.valid_from_s <= time_s and (self.valid_until_s is None or time_s <= self.valid_until_s)


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthority:
    """One authority and when it was in use: for code-signing certificates, or for timestamps.

    ``chain`` is DER, the anchor last; a timestamp authority's chain may begin with the one leaf that it signs with.
    """

    chain: tuple[bytes, ...]
    valid_from_s: float
    valid_until_s: float | None
    uri: str = ""

    def valid_at(self, time_s: float) -> bool:
        """Whether it was in use then (a closed interval)."""
        return self.valid_from_s <= time_s and (self.valid_until_s is None or time_s <= self.valid_until_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """What is trusted beside the keys that a requirement names; empty trusts no log and no authority.

    ``unsupported`` names the logs of the file that are left out, since they hash or sign by an algorithm that is not
    built in: what only they vouch for is not trusted.
    """

    tlogs: tuple[TransparencyLog, ...] = ()
    ctlogs: tuple[TransparencyLog, ...] = ()
    certificate_authorities: tuple[CertificateAuthority, ...] = ()
    timestamp_authorities: tuple[CertificateAuthority, ...] = ()
    unsupported: tuple[str, ...] = ()

    def logs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The transparency logs of that id: none, one, or one for each validity window."""
        return tuple([log for log in self.tlogs if log_id in (log.log_id, log.checkpoint_key_id)])


def parse_trusted_root(data: bytes) -> TrustRoot:
    """Read a sigstore ``trusted_root.json`` (protobuf-specs sigstore_trustroot.proto, v0.1 and v0.2).

    A log or an authority that cannot be read, or has no start of validity, makes the whole file unusable, and so does a
    member that no version knows. A log by an algorithm that is not built in is left out and named in ``unsupported``.
    Raises TrustRootError.
    """
    if len(data) > limits.TRUSTED_ROOT_BYTES:
        raise TrustRootError(f"a trusted root of {len(data)} bytes: at most {limits.TRUSTED_ROOT_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise TrustRootError(f"the trusted root is refused: {error}") from error
    members = _members(
        document, "the trusted root", "mediaType tlogs ctlogs certificateAuthorities timestampAuthorities"
    )
    media_type = members.get("mediaType")
    if not isinstance(media_type, str) or media_type not in TRUSTED_ROOT_TYPES:
        raise TrustRootError(f"mediaType {media_type!r:.160} is no trusted root that is known")
    tlogs, ctlogs = [_list(members, name, _log, limits.TLOGS) for name in ("tlogs", "ctlogs")]
    found = [*tlogs, *ctlogs]
    return TrustRoot(
        tlogs=tuple([log for log in tlogs if isinstance(log, TransparencyLog)]),
        ctlogs=tuple([log for log in ctlogs if isinstance(log, TransparencyLog)]),
        certificate_authorities=tuple(_list(members, "certificateAuthorities", _authority, limits.AUTHORITIES)),
        timestamp_authorities=tuple(_list(members, "timestampAuthorities", _authority, limits.AUTHORITIES)),
        unsupported=tuple([name for name in found if isinstance(name, str)]),
    )


def _list(members: Mapping[str, object], name: str, read: Callable[[object, str], _Item], limit: int) -> list[_Item]:
    entries = members.get(name, [])
    if not isinstance(entries, list) or len(entries) > limit:
        raise TrustRootError(f"{name} is no list of at most {limit}")
    return [read(entry, f"{name}[{at}]") for at, entry in enumerate(entries)]


def _log(value: object, where: str) -> TransparencyLog | str:
    """One TransparencyLogInstance, or what to call it where its algorithms are not built in."""
    members = _members(value, where, "baseUrl hashAlgorithm publicKey logId checkpointKeyId operator")
    public = _members(members.get("publicKey"), f"{where}.publicKey", "rawBytes keyDetails validFor")
    valid_from_s, valid_until_s = _window(public.get("validFor"), f"{where}.publicKey.validFor")
    log_id = _log_id(members.get("logId"), f"{where}.logId")
    checkpoint = members.get("checkpointKeyId")
    checkpoint_key_id = None if checkpoint is None else _log_id(checkpoint, f"{where}.checkpointKeyId")
    raw = _bytes(public, "rawBytes", f"{where}.publicKey")
    base_url = _text(members, "baseUrl", where)
    _text(members, "operator", where)
    hashing = _enum(members, "hashAlgorithm", where, default="SHA2_256")
    details = _enum(public, "keyDetails", f"{where}.publicKey", default=_UNSPECIFIED)
    for algorithm, known in ((hashing, hashing == "SHA2_256"), (details, details in {_UNSPECIFIED, *_KEY_DETAILS})):
        if not known:
            return f"{where} {base_url[:160]}: {algorithm}"
    key = _key(raw, f"{where}.publicKey.rawBytes")
    hash_name, padding = _signing(key, details, f"{where}.publicKey.keyDetails")
    return TransparencyLog(
        log_id=log_id,
        key=key,
        valid_from_s=valid_from_s,
        valid_until_s=valid_until_s,
        base_url=base_url,
        hash_name=hash_name,
        padding=padding,
        checkpoint_key_id=None if checkpoint_key_id == log_id else checkpoint_key_id,
    )


def _authority(value: object, where: str) -> CertificateAuthority:
    members = _members(value, where, "subject uri certChain validFor operator")
    if members.get("subject") is not None:
        subject = _members(members["subject"], f"{where}.subject", "organization commonName")
        for name in subject:
            _text(subject, name, f"{where}.subject")
    _text(members, "operator", where)
    valid_from_s, valid_until_s = _window(members.get("validFor"), f"{where}.validFor")
    chain = _members(members.get("certChain"), f"{where}.certChain", "certificates")
    try:
        certificates = _list(chain, "certificates", _certificate, limits.CHAIN_CERTIFICATES)
    except TrustRootError as error:
        raise TrustRootError(f"{where}.certChain.{error}") from None
    if not certificates:
        raise TrustRootError(f"{where}.certChain has no certificate")
    return CertificateAuthority(
        chain=tuple(certificates),
        valid_from_s=valid_from_s,
        valid_until_s=valid_until_s,
        uri=_text(members, "uri", where),
    )


def _certificate(value: object, where: str) -> bytes:
    return _bytes(_members(value, where, "rawBytes"), "rawBytes", where)


def _log_id(value: object, where: str) -> bytes:
    return _bytes(_members(value, where, "keyId"), "keyId", where)


def _members(value: object, where: str, known: str) -> dict[str, object]:
    """An object's members by their lowerCamelCase names; the names of the schema are legal too (protobuf JSON)."""
    if not isinstance(value, dict):
        raise TrustRootError(f"{where} is missing, or no JSON object")
    found: dict[str, object] = {}
    for name, item in value.items():
        camel = _SNAKE.sub(lambda match: match[1].upper(), name)
        if camel not in known.split():
            raise TrustRootError(f"{where}: the member {name[:64]!r} is not known")
        if camel in found:
            raise TrustRootError(f"{where}: {camel} is there in two spellings")
        found[camel] = item
    return found


def _window(value: object, where: str) -> tuple[float, float | None]:
    members = _members(value, where, "start end")
    start, end = [
        None if members.get(name) is None else _instant(members[name], f"{where}.{name}") for name in ("start", "end")
    ]
    if start is None:
        raise TrustRootError(f"{where}.start is missing: nothing is valid from ever")
    return start, end


def _instant(value: object, where: str) -> float:
    """RFC 3339, as protobuf JSON writes a Timestamp."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise TrustRootError(f"{where}: {value!r:.64} is no time such as 2021-01-12T11:53:27Z")
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError as error:
        raise TrustRootError(f"{where}: {value[:64]!r} is no time: {error}") from error


def _text(members: Mapping[str, object], name: str, where: str) -> str:
    found = members.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise TrustRootError(f"{where}.{name} is no text")
    return found


def _enum(members: Mapping[str, object], name: str, where: str, *, default: str) -> str:
    found = _text(members, name, where) if members.get(name) is not None else default
    if not _NAME.fullmatch(found):
        raise TrustRootError(f"{where}.{name}: {found[:64]!r} is no name of an algorithm")
    return found


def _bytes(members: Mapping[str, object], name: str, where: str) -> bytes:
    found = members.get(name)
    if not isinstance(found, str) or not found:
        raise TrustRootError(f"{where}.{name} is missing, or no text")
    try:
        return base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TrustRootError(f"{where}.{name} is not base64: {error}") from error


def _key(raw: bytes, where: str) -> PublicKey:
    try:
        return PublicKey(raw)
    except UnreadableKeyError as error:
        raise TrustRootError(f"{where}: {error}") from error


def _signing(key: PublicKey, details: str, where: str) -> tuple[LogHash, RsaPadding]:
    """How this key signs; raises TrustRootError where ``details`` speak of another kind of key."""
    kind = _kind(key)
    named = _BY_KIND.get(kind, details) if details == _UNSPECIFIED else details
    if named not in _KEY_DETAILS:
        raise TrustRootError(f"{where} is missing: an RSA key may sign by PKCS #1 v1.5 or by PSS")
    wanted, hash_name, padding = _KEY_DETAILS[named]
    if wanted != kind and not (wanted == "rsa" and kind.startswith("rsa")):
        raise TrustRootError(f"{where} is {details}, and the key is {kind}")
    return hash_name, padding


def _kind(key: PublicKey) -> str:
    curve = getattr(key.crypto, "curve", None)
    if curve is not None:
        return str(curve.name)
    bits = getattr(key.crypto, "key_size", None)
    return "ed25519" if bits is None else f"rsa{bits}"
