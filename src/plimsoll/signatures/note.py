"""A log's checkpoint: how large its tree is and what its root, in a note that the log signed.

Sources: C2SP signed-note and tlog-checkpoint; rekor, pkg/util (v1: origin "HOST - TREE", signed as HOST); rekor-tiles,
pkg/note (v2: the origin is the host name of the log, which witnesses may sign beside it).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plimsoll import limits
from plimsoll.errors import BadSignatureError, LogProofInvalidError, UntrustedKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.model.trusted_root import TransparencyLog
from plimsoll.signatures.verifying import KeyCheck, decode_base64, verify_by_key

_V1_ORIGIN = re.compile(r"(\S+) - (?:0|[1-9][0-9]*)", re.ASCII)
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]+) (\S+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_RSA_FORM: Final = b"\xffPKIX-RSA-PKCS#1v1.5"
_HINT_BYTES: Final = 4
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line; ``key_hint`` is 4 bytes, which any key may claim."""

    name: str
    key_hint: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedCheckpoint:
    """A checkpoint as it was found; ``signed`` are the note's bytes that signatures are over."""

    origin: str
    tree_size: int
    root_hash: bytes
    signed: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCheckpoint:
    """A tree that a trusted log signed for."""

    origin: str
    tree_size: int
    root_hash: bytes


def parse_checkpoint(text: str) -> UntrustedCheckpoint:
    """Read the text of a checkpoint, its last line ended; raises LogProofInvalidError."""
    if len(text) > limits.CHECKPOINT_CHARS:
        raise LogProofInvalidError(f"a checkpoint of {len(text)} characters: at most {limits.CHECKPOINT_CHARS}")
    if _CONTROL.search(text) or not text.endswith("\n"):
        raise LogProofInvalidError("the checkpoint has a control character, or no end of its last line")
    body, parted, lines = text.rpartition("\n\n")
    if not parted or not lines:
        raise LogProofInvalidError("the checkpoint has no signature: it is no signed note")
    body += "\n"
    origin, tree_size, root_hash = _tree(body)
    try:
        signed = body.encode()
    except UnicodeEncodeError as error:
        raise LogProofInvalidError("the checkpoint has a character that UTF-8 has no bytes for") from error
    return UntrustedCheckpoint(
        origin=origin, tree_size=tree_size, root_hash=root_hash, signed=signed, signatures=_signatures(lines)
    )


def verify_checkpoint(
    checkpoint: UntrustedCheckpoint, *, log: TransparencyLog, check: KeyCheck = verify_by_key
) -> VerifiedCheckpoint:
    """Return what ``log`` signed for; raises LogProofInvalidError if it did not.

    Lines by others prove nothing and are no fault; of the log's own the first one counts. A pure function of the note
    and the log; ``check`` may remember what ``verify_by_key`` said. The caller owes: whether the log was in use when
    the entry was made.
    """
    name, hint = _expected(checkpoint.origin, log)
    for line in checkpoint.signatures:
        if line.name == name and line.key_hint == hint:
            break
    else:
        raise LogProofInvalidError(
            f"the checkpoint of {checkpoint.origin[:160]!r} is not signed by the log {log.log_id.hex()[:64]}"
        )
    try:
        check(log.key, signature=line.signature, signed=checkpoint.signed, hash_name=log.hash_name)
    except UntrustedKeyError:
        raise LogProofInvalidError(
            f"the log's signature of its checkpoint {checkpoint.origin[:160]!r} is bad"
        ) from None
    return VerifiedCheckpoint(origin=checkpoint.origin, tree_size=checkpoint.tree_size, root_hash=checkpoint.root_hash)


def note_key_id(key: PublicKey, *, name: str) -> bytes:
    """The id of a key that signs notes as ``name``, 32 bytes of which the first four are its hint.

    It is a Rekor v2 log's id. Source: C2SP signed-note, "Signature types"; protobuf-specs, checkpoint_key_id.
    """
    crypto = key.crypto
    prefix = name.encode() + b"\n"
    if isinstance(crypto, ed25519.Ed25519PublicKey):
        return hashlib.sha256(prefix + b"\x01" + crypto.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()
    if isinstance(crypto, rsa.RSAPublicKey):
        return hashlib.sha256(prefix + _RSA_FORM + key.spki).digest()
    return hashlib.sha256(key.spki).digest()


def _expected(origin: str, log: TransparencyLog) -> tuple[str, bytes]:
    """The name and hint that the log signs checkpoints of ``origin`` with."""
    shard = _V1_ORIGIN.fullmatch(origin)
    if shard is not None:
        return shard[1], hashlib.sha256(log.key.spki).digest()[:_HINT_BYTES]
    if not log.host or origin != log.host:
        raise LogProofInvalidError(f"the checkpoint is of {origin[:160]!r}, and the log is {log.host[:160]!r}")
    return origin, note_key_id(log.key, name=origin)[:_HINT_BYTES]


def _tree(body: str) -> tuple[str, int, bytes]:
    """Origin, size and root; lines that follow them (extensions) are signed and mean nothing here."""
    lines = body.split("\n")[:-1]
    if len(lines) < 3 or "" in lines:
        raise LogProofInvalidError("the checkpoint lacks its origin, tree size or root hash, or has an empty line")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size) or int(size) >= 2**63:
        raise LogProofInvalidError(f"the checkpoint's tree size {size[:64]!r} is no decimal number of an int64")
    try:
        root_hash = decode_base64(root, what="the checkpoint's root hash", limit=_HASH_BYTES)
    except BadSignatureError as error:
        raise LogProofInvalidError(str(error)) from error
    if len(root_hash) != _HASH_BYTES:
        raise LogProofInvalidError(f"the checkpoint's root hash has {len(root_hash)} bytes, not {_HASH_BYTES}")
    return origin, int(size), root_hash


def _signatures(lines: str) -> tuple[NoteSignature, ...]:
    found = lines.split("\n")[:-1]
    if len(found) > limits.NOTE_SIGNATURES:
        raise LogProofInvalidError(f"the checkpoint has {len(found)} signatures: at most {limits.NOTE_SIGNATURES}")
    return tuple([_signature(line) for line in found])


def _signature(line: str) -> NoteSignature:
    parts = _SIGNATURE_LINE.fullmatch(line)
    if parts is None:
        raise LogProofInvalidError("the checkpoint has a signature line that is none")
    try:
        data = decode_base64(parts[2], what="a signature of the checkpoint", limit=limits.NOTE_SIGNATURE_BYTES)
    except BadSignatureError as error:
        raise LogProofInvalidError(str(error)) from error
    if len(data) <= _HINT_BYTES:
        raise LogProofInvalidError("a signature of the checkpoint is empty")
    return NoteSignature(name=parts[1], key_hint=data[:_HINT_BYTES], signature=data[_HINT_BYTES:])
