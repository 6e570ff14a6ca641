"""What Rekor writes of an entry, its canonicalised body, read strictly and bound to one signature.

A good proof about something else proves nothing (CVE-2022-36056, CVE-2026-22703): the body must name this artifact,
this very signature (two good ECDSA signatures of one payload differ) and this key or certificate, compared as DER.
Sources: rekor, pkg/types (hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and 0.0.2); protobuf-specs, rekor v2 entries.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from plimsoll import limits
from plimsoll.errors import LogProofInvalidError, UnreadableKeyError
from plimsoll.model.trust import HashName, PublicKey, parse_pem_key
from plimsoll.native import JsonValue
from plimsoll.signatures.log_documents import blob, json_list, json_object, members, read_document, text
from plimsoll.signatures.x509 import Certificate

_CERTIFICATE: Final = (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----")
_PUBLIC_KEY: Final = (b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----")
_HASHES_V2: Final[Mapping[str, HashName]] = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_KEY_DETAILS: Final[Mapping[str, tuple[str, HashName]]] = {
    "PKIX_ECDSA_P256_SHA_256": ("secp256r1", "sha256"),
    "PKIX_ECDSA_P384_SHA_384": ("secp384r1", "sha384"),
    "PKIX_ECDSA_P384_SHA_256": ("secp384r1", "sha256"),
    "PKIX_ECDSA_P521_SHA_512": ("secp521r1", "sha512"),
    "PKIX_ECDSA_P521_SHA_256": ("secp521r1", "sha256"),
    "PKIX_RSA_PKCS1V15_2048_SHA256": ("rsa2048", "sha256"),
    "PKIX_RSA_PKCS1V15_3072_SHA256": ("rsa3072", "sha256"),
    "PKIX_RSA_PKCS1V15_4096_SHA256": ("rsa4096", "sha256"),
    "PKIX_RSA_PSS_2048_SHA256": ("rsa2048", "sha256"),
    "PKIX_RSA_PSS_3072_SHA256": ("rsa3072", "sha256"),
    "PKIX_RSA_PSS_4096_SHA256": ("rsa4096", "sha256"),
    "PKIX_ED25519_PH": ("ed25519", "sha512"),
}
"""sigstore_common.proto, PublicKeyDetails -> key and hash. Pure Ed25519 signs no digest: Rekor v2 takes none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedContent:
    """What an entry must be about: the signature's bytes, what they sign, and the key or certificate that signed.

    ``signed_digests`` are of the signed bytes (the artifact, or a DSSE envelope's pre-authentication encoding),
    ``payload_sha256`` of the envelope's payload, ``envelope_sha256`` of its JSON where that is as it was uploaded.
    """

    signer: PublicKey | Certificate
    signature: bytes
    signed_digests: Mapping[HashName, bytes]
    payload_sha256: bytes | None = None
    envelope_sha256: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSignature:
    """One signature of an entry and its ``verifier``: PEM, or the DER of a certificate or key (Rekor v2).

    ``signature`` is None in intoto 0.0.1, which names the whole envelope instead.
    """

    signature: bytes | None
    verifier: bytes
    form: Literal["pem", "certificate", "key"] = "pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedLogBody:
    """A body of any kind that is known; ``covers`` says of what the hash is, ``envelope_hex`` is dsse's other hash."""

    kind: str
    version: str
    covers: Literal["signed", "payload", "envelope"]
    hash_algorithm: str
    hash_hex: str
    signatures: tuple[LoggedSignature, ...]
    envelope_hex: str | None = None
    key_details: str | None = None


def kind_of(body: bytes) -> tuple[str, str]:
    """The kind and version that a body says it is of; raises LogProofInvalidError."""
    document = read_document(body, what="the log entry's body")
    return text(document.get("kind"), where="body.kind"), text(document.get("apiVersion"), where="body.apiVersion")


def parse_log_body(body: bytes, *, kind: str, version: str) -> UntrustedLogBody:
    """Read the bytes of an entry's body, which must say that it is of this kind and version.

    Raises LogProofInvalidError, for kinds that are not known too.
    """
    document = read_document(body, what="the log entry's body")
    found = (document.get("kind"), document.get("apiVersion"))
    if found != (kind, version):
        raise LogProofInvalidError(f"the log entry is of kind {found!r:.160}, not {kind[:64]} {version[:64]}")
    reader = _READERS.get((kind, version))
    if reader is None:
        raise LogProofInvalidError(f"log entries of kind {kind[:64]!r} {version[:64]!r} are not known")
    members(document, names={"apiVersion", "kind", "spec"}, where="body")
    return reader(document["spec"])


def bind_body(body: UntrustedLogBody, *, content: LoggedContent) -> None:
    """Return if ``body`` is about ``content``: the same bytes signed, the same signature, the same signer.

    Raises LogProofInvalidError.
    """
    # 1. It is about what was signed ...
    _bind_digests(body, content)
    # 2. ... and this very signature ...
    same = [logged for logged in body.signatures if logged.signature in (None, content.signature)]
    if not same:
        raise LogProofInvalidError("the log entry is about another signature")
    # 3. ... by this signer, who is named beside it.
    if not any(_is_verifier(logged, content.signer) for logged in same):
        raise LogProofInvalidError("the log entry is about a signature by another key")
    # 4. What Rekor v2 says of key and hash fits the key.
    if body.key_details is not None:
        _bind_details(body.key_details, body.hash_algorithm, content.signer)


def _bind_digests(body: UntrustedLogBody, content: LoggedContent) -> None:
    if body.covers == "signed":
        wanted = content.signed_digests.get(cast("HashName", body.hash_algorithm))
    elif body.hash_algorithm != "sha256":
        wanted = None
    else:
        wanted = content.payload_sha256 if body.covers == "payload" else content.envelope_sha256
    if not wanted or wanted.hex() != body.hash_hex:
        raise LogProofInvalidError("the log entry is about another payload")
    envelope = content.envelope_sha256
    if envelope is not None and body.envelope_hex is not None and envelope.hex() != body.envelope_hex:
        raise LogProofInvalidError("the log entry is about another envelope")


def _is_verifier(logged: LoggedSignature, signer: PublicKey | Certificate) -> bool:
    """Whether the entry names just this signer: a key where a certificate signed is another one, and so on."""
    if isinstance(signer, Certificate):
        if logged.form == "pem":
            return _pem_der(logged.verifier, _CERTIFICATE) == signer.der
        return logged.form == "certificate" and logged.verifier == signer.der
    if logged.form != "pem":
        return logged.form == "key" and logged.verifier == signer.spki
    if _pem_der(logged.verifier, _PUBLIC_KEY) == signer.spki:
        return True
    try:
        return parse_pem_key(logged.verifier) == signer  # one key has several encodings, PKCS#1's for one
    except UnreadableKeyError:
        return False  # a certificate where a key signed, or nothing readable


def _pem_der(pem: bytes, label: tuple[bytes, bytes]) -> bytes | None:
    """The DER of the one block that a PEM text is: equal bytes are all that is asked of it, so it is not parsed."""
    block = pem.strip()
    begin, end = label
    if not (block.startswith(begin) and block.endswith(end)):
        return None
    try:
        return base64.b64decode(b"".join(block[len(begin) : -len(end)].split()), validate=True)
    except binascii.Error:
        return None


def _bind_details(details: str, hash_algorithm: str, signer: PublicKey | Certificate) -> None:
    key = signer.key if isinstance(signer, Certificate) else signer
    known = _KEY_DETAILS.get(details)
    if known is None or key is None or known != (_kind(key), hash_algorithm):
        raise LogProofInvalidError(
            f"the log entry's keyDetails {details!r:.80} and {hash_algorithm} do not fit the key that signed"
        )


def _kind(key: PublicKey) -> str:
    crypto = key.crypto
    if isinstance(crypto, ec.EllipticCurvePublicKey):
        return crypto.curve.name
    return f"rsa{crypto.key_size}" if isinstance(crypto, rsa.RSAPublicKey) else "ed25519"


def _hash(value: JsonValue, where: str) -> tuple[str, str]:
    found = members(value, names={"algorithm", "value"}, where=where)
    return text(found["algorithm"], where=f"{where}.algorithm"), text(found["value"], where=f"{where}.value")


def _pem(value: JsonValue, where: str) -> bytes:
    return blob(value, where=where, limit=limits.KEY_BYTES)


def _signature(value: JsonValue, where: str) -> bytes:
    return blob(value, where=where, limit=limits.SIGNATURE_BYTES)


def _hashedrekord_v001(value: JsonValue) -> UntrustedLogBody:
    spec = members(value, names={"data", "signature"}, where="body.spec")
    data = members(spec["data"], names={"hash"}, where="body.spec.data")
    algorithm, hexadecimal = _hash(data["hash"], "body.spec.data.hash")
    where = "body.spec.signature"
    signature = members(spec["signature"], names={"content", "publicKey"}, where=where)
    public_key = members(signature["publicKey"], names={"content"}, where=f"{where}.publicKey")
    logged = LoggedSignature(
        signature=_signature(signature["content"], f"{where}.content"),
        verifier=_pem(public_key["content"], f"{where}.publicKey.content"),
    )
    return UntrustedLogBody(
        kind="hashedrekord",
        version="0.0.1",
        covers="signed",
        hash_algorithm=algorithm,
        hash_hex=hexadecimal,
        signatures=(logged,),
    )


def _hashedrekord_v002(value: JsonValue) -> UntrustedLogBody:
    where = "body.spec.hashedRekordV002"
    record = members(value, names={"hashedRekordV002"}, where="body.spec")["hashedRekordV002"]
    spec = members(record, names={"data", "signature"}, where=where)
    data = members(spec["data"], names={"algorithm", "digest"}, where=f"{where}.data")
    algorithm = _HASHES_V2.get(text(data["algorithm"], where=f"{where}.data.algorithm"))
    if algorithm is None:
        raise LogProofInvalidError(f"{where}.data.algorithm {data['algorithm']!r:.80} is not known: SHA-2 is")
    digest = blob(data["digest"], where=f"{where}.data.digest", limit=limits.LOG_HASH_BYTES)
    where += ".signature"
    signature = members(spec["signature"], names={"content", "verifier"}, where=where)
    logged, details = _verifier_v2(signature["verifier"], _signature(signature["content"], f"{where}.content"))
    return UntrustedLogBody(
        kind="hashedrekord",
        version="0.0.2",
        covers="signed",
        hash_algorithm=algorithm,
        hash_hex=digest.hex(),
        signatures=(logged,),
        key_details=details,
    )


def _verifier_v2(value: JsonValue, signature: bytes) -> tuple[LoggedSignature, str]:
    where = "body.spec.hashedRekordV002.signature.verifier"
    form: Literal["certificate", "key"] = "certificate"
    name = "x509Certificate"
    if name not in json_object(value, where=where):
        form, name = "key", "publicKey"
    found = members(value, names={"keyDetails", name}, where=where)
    raw = members(found[name], names={"rawBytes"}, where=f"{where}.{name}")["rawBytes"]
    verifier = blob(raw, where=f"{where}.{name}.rawBytes", limit=limits.CERTIFICATE_BYTES)
    details = text(found["keyDetails"], where=f"{where}.keyDetails")
    return LoggedSignature(signature=signature, verifier=verifier, form=form), details


def _dsse_v001(value: JsonValue) -> UntrustedLogBody:
    spec = members(value, names={"envelopeHash", "payloadHash", "signatures"}, where="body.spec")
    algorithm, hexadecimal = _hash(spec["payloadHash"], "body.spec.payloadHash")
    envelope_algorithm, envelope_hex = _hash(spec["envelopeHash"], "body.spec.envelopeHash")
    if envelope_algorithm != "sha256":
        raise LogProofInvalidError(f"body.spec.envelopeHash is by {envelope_algorithm[:64]!r}, not sha256")
    signatures = []
    listed = json_list(spec["signatures"], where="body.spec.signatures", limit=limits.ENVELOPE_SIGNATURES)
    for at, entry in enumerate(listed):
        where = f"body.spec.signatures[{at}]"
        found = members(entry, names={"signature", "verifier"}, where=where)
        signature = _signature(found["signature"], f"{where}.signature")
        signatures.append(LoggedSignature(signature=signature, verifier=_pem(found["verifier"], f"{where}.verifier")))
    return UntrustedLogBody(
        kind="dsse",
        version="0.0.1",
        covers="payload",
        hash_algorithm=algorithm,
        hash_hex=hexadecimal,
        signatures=tuple(signatures),
        envelope_hex=envelope_hex,
    )


def _intoto_v001(value: JsonValue) -> UntrustedLogBody:
    spec = members(value, names={"content", "publicKey"}, where="body.spec")
    content = members(spec["content"], names={"hash"}, optional={"payloadHash"}, where="body.spec.content")
    algorithm, hexadecimal = _hash(content["hash"], "body.spec.content.hash")
    return UntrustedLogBody(
        kind="intoto",
        version="0.0.1",
        covers="envelope",
        hash_algorithm=algorithm,
        hash_hex=hexadecimal,
        signatures=(LoggedSignature(signature=None, verifier=_pem(spec["publicKey"], "body.spec.publicKey")),),
    )


def _intoto_v002(value: JsonValue) -> UntrustedLogBody:
    spec = members(value, names={"content"}, where="body.spec")
    content = members(spec["content"], names={"envelope", "hash", "payloadHash"}, where="body.spec.content")
    where = "body.spec.content.envelope"
    algorithm, hexadecimal = _hash(content["payloadHash"], "body.spec.content.payloadHash")
    _hash(content["hash"], "body.spec.content.hash")  # of the envelope as Rekor rewrote it: nobody else can make it
    # The payload itself is left out by Rekor and kept by others: its hash is what counts.
    envelope = members(content["envelope"], names={"payloadType", "signatures"}, optional={"payload"}, where=where)
    text(envelope["payloadType"], where=f"{where}.payloadType")
    listed = json_list(envelope["signatures"], where=f"{where}.signatures", limit=limits.ENVELOPE_SIGNATURES)
    return UntrustedLogBody(
        kind="intoto",
        version="0.0.2",
        covers="payload",
        hash_algorithm=algorithm,
        hash_hex=hexadecimal,
        signatures=tuple([_intoto_signature(entry, f"{where}.signatures[{at}]") for at, entry in enumerate(listed)]),
    )


def _intoto_signature(value: JsonValue, where: str) -> LoggedSignature:
    found = members(value, names={"publicKey", "sig"}, optional={"keyid"}, where=where)
    # The base64 text of the signature is itself written as base64.
    inner = blob(found["sig"], where=f"{where}.sig", limit=limits.SIGNATURE_BYTES * 2)
    return LoggedSignature(
        signature=_signature(inner.decode("latin-1"), f"{where}.sig, decoded once,"),
        verifier=_pem(found["publicKey"], f"{where}.publicKey"),
    )


_READERS: Final[Mapping[tuple[str, str], Callable[[JsonValue], UntrustedLogBody]]] = {
    ("hashedrekord", "0.0.1"): _hashedrekord_v001,
    ("hashedrekord", "0.0.2"): _hashedrekord_v002,
    ("dsse", "0.0.1"): _dsse_v001,
    ("intoto", "0.0.1"): _intoto_v001,
    ("intoto", "0.0.2"): _intoto_v002,
}
