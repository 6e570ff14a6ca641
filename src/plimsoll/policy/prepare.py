"""Requirements with their keys read: what judge needs beside the evidence.

Keys are read once for each list of requirements, through a callable of the pipeline's; a key that cannot be read is
remembered as a Reason and makes undetermined only what really needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import PublicKey, TrustRoot, parse_pem_key
from plimsoll.model.verdict import Reason
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHocKeys,
    KeySource,
    LogDemand,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.signatures.cosign import COSIGN
from plimsoll.signatures.formats import KeyTrust, LogByKeys, LogByRoot, LogIgnored, SignatureFormat

KEYED_FORMATS: Final[tuple[SignatureFormat[object], ...]] = (COSIGN,)  # type: ignore[assignment]  # each parses its own
"""The formats that trust in a key can use, the one asked first in front."""

ReadKey = Callable[[str], bytes]
"""A path -> the file's bytes; raises UnreadableKeyError naming the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyRequirement:
    """A requirement and the trust it gives: a Reason where a key could not be had, None where none is used."""

    requirement: Requirement
    trust: KeyTrust | Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One list of requirements, ready to judge any number of images.

    ``attachments`` says whether signatures attached to the image may be looked at (registries.d's
    ``use-sigstore-attachments``; always so for ad hoc trust). ``scope`` names where the list stands in the policy.
    """

    requirements: tuple[ReadyRequirement, ...]
    attachments: bool
    scope: str = ""
    require_signed: bool = False
    formats: tuple[SignatureFormat[object], ...] = KEYED_FORMATS


def prepare(
    requirements: tuple[Requirement, ...],
    *,
    read_key: ReadKey,
    trust_root: TrustRoot | None,
    attachments: bool,
    scope: str = "",
    require_signed: bool = False,
) -> Ready:
    """Read the keys that ``requirements`` name; never raises for a key, the failure is part of the result."""
    return Ready(
        requirements=tuple(
            [
                ReadyRequirement(requirement=item, trust=_trust(item, read_key=read_key, trust_root=trust_root))
                for item in requirements
            ]
        ),
        attachments=attachments,
        scope=scope,
        require_signed=require_signed,
    )


def _trust(item: Requirement, *, read_key: ReadKey, trust_root: TrustRoot | None) -> KeyTrust | Reason | None:
    match item:
        case AcceptAnything() | Reject():
            return None
        case AdHocKeys():
            log = LogIgnored() if item.log is LogDemand.IGNORED else LogByRoot(root=trust_root or TrustRoot())
            return KeyTrust(keys=item.keys, log=log, hash_name=item.digest_algorithm)
        case SigstoreSigned(keys=KeySource() as source, fulcio=None, pki=None):
            return _sigstore_trust(source, item.rekor_keys, read_key)
        case SigstoreSigned(fulcio=None):
            return _unsupported("sigstoreSigned with pki", item.where)
        case SigstoreSigned():
            return _unsupported("sigstoreSigned with fulcio", item.where)
        case SignedBy():
            return _unsupported("signedBy (GPG simple signing)", item.where)
        case SignedBaseLayer():
            return _unsupported("signedBaseLayer", item.where)


def _unsupported(what: str, where: str) -> Reason:
    return Reason(code="unsupported", message=f"the requirement {where} asks for {what}, which is not judged yet")


def _sigstore_trust(source: KeySource, rekor: KeySource | None, read_key: ReadKey) -> KeyTrust | Reason:
    keys = _load(source, read_key)
    if isinstance(keys, Reason):
        return keys
    if rekor is None:
        return KeyTrust(keys=keys, log=LogIgnored())
    rekor_keys = _load(rekor, read_key)
    return rekor_keys if isinstance(rekor_keys, Reason) else KeyTrust(keys=keys, log=LogByKeys(keys=rekor_keys))


def _load(source: KeySource, read_key: ReadKey) -> tuple[PublicKey, ...] | Reason:
    """All keys of a source; one that fails spoils all, as in containers/image."""
    keys: list[PublicKey] = []
    for path in source.paths:
        try:
            keys.append(parse_pem_key(read_key(path)))
        except UnreadableKeyError as error:
            return Reason(code=error.code, message=f"the key {path!r} of {source.where}: {error}")
    for at, data in enumerate(source.data):
        try:
            keys.append(parse_pem_key(data))
        except UnreadableKeyError as error:
            return Reason(code=error.code, message=f"key {at} given inline at {source.where}: {error}")
    return tuple(dict.fromkeys(keys))
