"""Files that are no images, and what bundles prove about them: the way of ``plimsoll conformance``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from plimsoll import limits
from plimsoll.config.files import read_file
from plimsoll.errors import ConfigError, DigestMismatchError, PayloadError
from plimsoll.model.digest import HEX_LENGTH, Digest
from plimsoll.model.identity import Identity
from plimsoll.model.trust import PublicKey
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.native import sha256_files
from plimsoll.pipeline.notary import Notary
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.formats import Artifact, IdentityTrust, KeyTrust, LogByRoot, Verified
from plimsoll.signatures.made_bundles import sign_blob, sign_statement
from plimsoll.signatures.sigstore import needs_bytes, verify_bundle
from plimsoll.signatures.statement import parse_statement
from plimsoll.signatures.trust_index import index_root


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file that a bundle should be about: its SHA-256, and ``read`` for its bytes where they can be had."""

    digest: Digest
    read: Callable[[], bytes] | None = None


def open_blob(path: str) -> Blob:
    """Hash the file, of any size; its bytes are read only if they are asked for.

    Raises ConfigError for a file that is missing, no regular one, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path!r:.1024} cannot be opened: {_reason(error)}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ConfigError(f"{path!r} is no regular file, and one is needed")
        (found,) = sha256_files([handle])
    except OSError as error:
        raise ConfigError(f"{path!r} cannot be read: {_reason(error)}") from error
    finally:
        os.close(handle)
    digest = Digest.parse(f"sha256:{found.hex()}")
    return Blob(digest=digest, read=lambda: _read(path, digest))


def verify_blob(bundle: bytes, blob: Blob, *, signer: PublicKey | Identity, root: TrustRoot, now_s: float) -> Verified:
    """Prove that ``signer`` signed ``blob``, by the bytes of a bundle with an entry of one of the root's logs.

    Raises SignatureError, TrustRootError for a root whose certificates cannot be read, ConfigError for bytes that are
    needed and cannot be had.
    """
    index = index_root(root)
    log = LogByRoot(root=index)
    trust = (
        KeyTrust(keys=(signer,), log=log)
        if isinstance(signer, PublicKey)
        else IdentityTrust(identities=(signer,), root=index, log=log)
    )
    untrusted = parse_bundle(bundle)
    if blob.read is None or not needs_bytes(untrusted, trust):
        return verify_bundle(untrusted, trust, Artifact(digests=(blob.digest,)), now_s)
    data = blob.read()
    more = [Digest.of(data, algorithm="sha384"), Digest.of(data, algorithm="sha512")]
    return verify_bundle(untrusted, trust, Artifact(digests=(blob.digest, *more), data=data), now_s)


async def sign_file(data: bytes, *, notary: Notary, is_statement: bool) -> bytes:
    """The bundle of a file's bytes; of an in-toto statement, in an envelope, about the statement's own subjects.

    Raises PayloadError for a statement that cannot be read, and what ``Notary.bundle`` raises.
    """
    if not is_statement:
        digests = (Digest.of(data), Digest.of(data, algorithm="sha384"), Digest.of(data, algorithm="sha512"))
        return await notary.bundle(sign_blob(data, notary.credential), artifact=Artifact(digests=digests, data=data))
    subjects = parse_statement(data).subjects
    known = [f"{name}:{value}" for each in subjects for name, value in each.digests.items() if name in HEX_LENGTH]
    if not known:
        raise PayloadError("no subject of the statement has a digest by sha256, sha384 or sha512")
    artifact = Artifact(digests=tuple([Digest.parse(each) for each in known]))
    return await notary.bundle(sign_statement(data, notary.credential), artifact=artifact)


def _read(path: str, digest: Digest) -> bytes:
    try:
        data = read_file(path, limit=limits.ARTIFACT_BYTES).data
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    if Digest.of(data) != digest:
        raise DigestMismatchError(f"{path!r} changed while it was read")
    return data


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or "its name is no path"
