"""Requirements with their keys read: what judge needs beside the evidence.

Keys are read once for each list of requirements, through a callable of the pipeline's; a key that cannot be read is
remembered as a Reason and makes undetermined only what really needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.model.verdict import Reason
from plimsoll.policy.plimsoll_signers import is_unread
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHoc,
    AllOf,
    AnyOf,
    AttestationsRequired,
    FulcioTrust,
    KeySource,
    KeyType,
    LogDemand,
    NamedKey,
    PkiTrust,
    Reject,
    Requirement,
    SignaturesRequired,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.policy.signers import ReadKey, ReadySigner, prepare_signer, unread_reference
from plimsoll.signatures.certificates import FulcioCertificates, PkiCertificates
from plimsoll.signatures.formats import (
    IdentityTrust,
    KeyTrust,
    LogByKeys,
    LogByRoot,
    LogIgnored,
    SignatureFormat,
    Trust,
)
from plimsoll.signatures.known_formats import FORMATS
from plimsoll.signatures.openpgp import GpgTrust
from plimsoll.signatures.trust_index import TrustIndex, index_root
from plimsoll.signatures.x509 import Certificate, parse_pem_certificates

_Material = TypeVar("_Material", PublicKey, Certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyRequirement:
    """A requirement and the trust it gives: a Reason where a key could not be had, None where none is used.

    A plimsoll document's have ``signers`` instead, or ``parts``.
    """

    requirement: Requirement
    trust: Trust | Reason | None = None
    signers: tuple[ReadySigner, ...] = ()
    parts: tuple[ReadyRequirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One list of requirements, ready to judge any number of images.

    ``attachments`` says whether signatures attached to the image may be looked at (registries.d's
    ``use-sigstore-attachments``; always so for ad hoc trust). ``store`` is the lookaside to look in, "" the transport's
    own store, None for no store. ``scope`` names where the list stands in the policy.
    """

    requirements: tuple[ReadyRequirement, ...]
    attachments: bool
    store: str | None = None
    scope: str = ""
    require_signed: bool = False
    formats: tuple[SignatureFormat[object], ...] = FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readers:
    read_key: ReadKey
    read_reference: ReadKey


def prepare(
    requirements: tuple[Requirement, ...],
    *,
    read_key: ReadKey,
    trust_root: TrustIndex | None,
    attachments: bool,
    store: str | None = None,
    scope: str = "",
    require_signed: bool = False,
    read_reference: ReadKey = unread_reference,
) -> Ready:
    """Read the keys that ``requirements`` name; never raises for a key, the failure is part of the result.

    ``read_reference`` is asked for the keys of a plimsoll document that are no files (``key_references_of``).
    """
    readers = _Readers(read_key=read_key, read_reference=read_reference)
    return Ready(
        requirements=tuple([_prepared(item, readers=readers, trust_root=trust_root) for item in requirements]),
        attachments=attachments,
        store=store,
        scope=scope,
        require_signed=require_signed,
    )


def key_references_of(requirements: Iterable[Requirement]) -> Iterator[str]:
    """The references that ``prepare`` would read: somebody may want to have them before."""
    for item in requirements:
        match item:
            case AllOf(parts=parts) | AnyOf(parts=parts):
                yield from key_references_of(parts)
            case SignaturesRequired(signers=signers) | AttestationsRequired(signers=signers):
                named = (signer.reference for signer in signers if isinstance(signer, NamedKey))
                yield from (reference for reference in named if reference is not None and not is_unread(reference))
            case _:
                pass


def _prepared(item: Requirement, *, readers: _Readers, trust_root: TrustIndex | None) -> ReadyRequirement:
    match item:
        case SignaturesRequired(signers=signers, log=log) | AttestationsRequired(signers=signers, log=log):
            root = trust_root or index_root(TrustRoot())
            entries = [
                prepare_signer(
                    signer, log=log, read_key=readers.read_key, read_reference=readers.read_reference, root=root
                )
                for signer in signers
            ]
            return ReadyRequirement(requirement=item, signers=tuple(entries))
        case AllOf(parts=parts) | AnyOf(parts=parts):
            prepared = [_prepared(part, readers=readers, trust_root=trust_root) for part in parts]
            return ReadyRequirement(requirement=item, parts=tuple(prepared))
        case _:
            trust = _trust(item, read_key=readers.read_key, trust_root=trust_root)
            return ReadyRequirement(requirement=item, trust=trust)


def _trust(
    item: AcceptAnything | Reject | SignedBy | SigstoreSigned | SignedBaseLayer | AdHoc,
    *,
    read_key: ReadKey,
    trust_root: TrustIndex | None,
) -> Trust | Reason | None:
    match item:
        case AcceptAnything() | Reject():
            return None
        case AdHoc():
            return _ad_hoc_trust(item, trust_root or index_root(TrustRoot()))
        case SigstoreSigned(keys=KeySource() as source, fulcio=None, pki=None):
            return _sigstore_trust(source, item.rekor_keys, read_key)
        case SigstoreSigned(keys=None, fulcio=FulcioTrust() as fulcio, pki=None):
            return _fulcio_trust(fulcio, item.rekor_keys, read_key)
        case SigstoreSigned(keys=None, fulcio=None, pki=PkiTrust() as pki, rekor_keys=None):
            return _pki_trust(pki, read_key)
        case SigstoreSigned():
            return _unsupported("sigstoreSigned with other trust than one of keys, fulcio and pki", item.where)
        case SignedBy(key_type=KeyType.GPG_KEYS):
            return _gpg_trust(item.keys, read_key)
        case SignedBy():
            return _unsupported(f"signedBy with keyType {item.key_type.value} (skopeo has none either)", item.where)
        case SignedBaseLayer():
            return None


def _ad_hoc_trust(item: AdHoc, root: TrustIndex) -> Trust:
    log = LogIgnored() if item.log is LogDemand.IGNORED else LogByRoot(root=root)
    if item.keys:
        return KeyTrust(keys=item.keys, log=log, hash_name=item.digest_algorithm)
    if item.authorities:
        root = index_root(replace(root.root, certificate_authorities=item.authorities), facts=root.facts)
    return IdentityTrust(identities=item.identities, root=root, log=log, sct=item.sct)


def _unsupported(what: str, where: str) -> Reason:
    return Reason(code="unsupported", message=f"the requirement {where} asks for {what}, which is not judged yet")


def _sigstore_trust(source: KeySource, rekor: KeySource | None, read_key: ReadKey) -> KeyTrust | Reason:
    keys = _keys(source, read_key)
    if isinstance(keys, Reason):
        return keys
    if rekor is None:
        return KeyTrust(keys=keys, log=LogIgnored())
    rekor_keys = _keys(rekor, read_key)
    return rekor_keys if isinstance(rekor_keys, Reason) else KeyTrust(keys=keys, log=LogByKeys(keys=rekor_keys))


def _fulcio_trust(asked: FulcioTrust, rekor: KeySource | None, read_key: ReadKey) -> FulcioCertificates | Reason:
    authorities = _certificates(asked.ca, read_key)
    if isinstance(authorities, Reason):
        return authorities
    rekor_keys = _keys(rekor or KeySource(), read_key)  # without a log key no time is proven, and nothing is good
    if isinstance(rekor_keys, Reason):
        return rekor_keys
    return FulcioCertificates(
        ca=authorities, oidc_issuer=asked.oidc_issuer, subject_email=asked.subject_email, rekor_keys=rekor_keys
    )


def _pki_trust(asked: PkiTrust, read_key: ReadKey) -> PkiCertificates | Reason:
    roots = _certificates(asked.roots, read_key)
    if isinstance(roots, Reason):
        return roots
    intermediates = _certificates(asked.intermediates or KeySource(), read_key)
    if isinstance(intermediates, Reason):
        return intermediates
    return PkiCertificates(
        roots=roots,
        intermediates=intermediates,
        subject_email=asked.subject_email,
        subject_hostname=asked.subject_hostname,
    )


def _gpg_trust(source: KeySource, read_key: ReadKey) -> GpgTrust | Reason:
    """All keyrings of a source together, as one keyring."""
    keyrings = []
    name = "the keyrings of"
    try:
        for name, content in _texts(source, read_key, "keyring"):  # noqa: B007  # the handler names the one that failed
            keyrings.append(content())
    except UnreadableKeyError as error:
        return Reason(code=error.code, message=f"{name} {source.where}: {error}")
    try:
        trust = GpgTrust(tuple(keyrings))
    except UnreadableKeyError as error:
        # What holds no key that can be imported trusts nobody, and that is sure (containers/image rejects too).
        return Reason(code="untrusted-key", message=f"the keyrings of {source.where}: {error}")
    if not trust.keyring.fingerprints:
        named = f"{name} {source.where}" if len(keyrings) == 1 else f"the keyrings of {source.where}"
        return Reason(code="untrusted-key", message=f"{named}: no public key is in there")
    return trust


def _keys(source: KeySource, read_key: ReadKey) -> tuple[PublicKey, ...] | Reason:
    """All keys of a source; one that fails spoils all, as in containers/image."""
    return _load(source, read_key, lambda pem: (parse_pem_key(pem),), "key")


def _certificates(source: KeySource, read_key: ReadKey) -> tuple[Certificate, ...] | Reason:
    """All certificates of a source; one that fails spoils all."""
    return _load(source, read_key, parse_pem_certificates, "certificate")


def _load(
    source: KeySource, read_key: ReadKey, parse: Callable[[bytes], tuple[_Material, ...]], what: str
) -> tuple[_Material, ...] | Reason:
    found: list[_Material] = []
    for name, pem in _texts(source, read_key, what):
        try:
            found.extend(parse(pem()))
        except UnreadableKeyError as error:
            return Reason(code=error.code, message=f"{name} {source.where}: {error}")
    return tuple(dict.fromkeys(found))


def _texts(source: KeySource, read_key: ReadKey, what: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What a message calls each text, and how to get it."""
    for path in source.paths:
        yield f"the {what} {path!r} of", partial(read_key, path)
    for at, data in enumerate(source.data):
        yield f"{what} {at} given inline at", partial(bytes, data)
