"""A sigstore bundle, proven: who signed, what was signed, that it was logged, and when.

The order is from cheap to dear: what a bundle says of itself is compared before any signature is checked, and the
authorities' P-384 comes last. Nothing is believed before all steps are done.
Source: sigstore client specification, "Verification"; cosign-bundle-spec; the rules are stricter where noted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from plimsoll.errors import (
    BadSignatureError,
    BundleInvalidError,
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SignedDigestMismatchError,
    TimestampInvalidError,
    TimestampMissingError,
    UnreadableKeyError,
    UntrustedKeyError,
)
from plimsoll.model.attestation import Statement
from plimsoll.model.bundle import UntrustedBundle, UntrustedEnvelope, UntrustedMessageSignature
from plimsoll.model.digest import Digest
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.dsse import pae
from plimsoll.signatures.effort import read_once, spend_reading
from plimsoll.signatures.formats import (
    Artifact,
    CertifiedSigner,
    IdentityTrust,
    KeyTrust,
    LogByKeys,
    LogByRoot,
    LogTrust,
    Verified,
    VerifiedAttestation,
    VerifiedSignature,
)
from plimsoll.signatures.keyless import check_issued, check_wanted, verify_leaf
from plimsoll.signatures.log_entries import LoggedContent, VerifiedTlogEntry, check_in_use, verify_tlog_entry
from plimsoll.signatures.signed_content import SignedContent, own_hash, verify_content
from plimsoll.signatures.statement import COSIGN_SIGN_TYPE, outline_in, statement_in, subject_matches, unread
from plimsoll.signatures.timestamp import verify_timestamp
from plimsoll.signatures.trust_index import TrustIndex
from plimsoll.signatures.x509 import Certificate

FORMAT = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """When the signature was made, as far as that is proven; in seconds since 1970."""

    proven: tuple[float, ...]

    @property
    def first(self) -> float | None:
        return min(self.proven, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """Who made the signature, and when."""

    key: PublicKey
    times: _Times
    certified: CertifiedSigner | None


def verify_bundle(
    untrusted: UntrustedBundle, trust: KeyTrust | IdentityTrust, artifact: Artifact, now_s: float
) -> Verified:
    """Prove a bundle about ``artifact``; raises the SignatureError of the first step that fails.

    ``now_s``, in seconds since 1970, is when a certificate must be valid if no time needs to be proven.
    """
    # 1. It names a signer of the kind that is trusted; a certificate says that it is for somebody who is wanted.
    signer = _signer(untrusted, trust)
    # 2. It says that it is about this artifact.
    try:
        content, statement, digest = _content(untrusted, artifact)
    except PayloadError as error:
        envelope = untrusted.content
        assert isinstance(envelope, UntrustedEnvelope)  # nothing else has a payload
        hidden = read_once("signed content", envelope, _signed_content)
        raise unread(envelope, error, prove=lambda: _prove(untrusted, signer, trust, hidden, now_s)) from None
    # 3 to 6. It is the signer's.
    signed = _prove(untrusted, signer, trust, content, now_s)
    # 7. Only now is the predicate read.
    if isinstance(untrusted.content, UntrustedEnvelope):
        statement = statement_in(untrusted.content)
    return _verified(
        statement, key=signed.key, digest=digest, certified=signed.certified, signed_at_s=signed.times.first
    )


def _prove(
    untrusted: UntrustedBundle,
    signer: Certificate | None,
    trust: KeyTrust | IdentityTrust,
    content: SignedContent,
    now_s: float,
) -> _Signed:
    # 3. The signer's key made the signature over it.
    key = _verify_signature(signer, trust, content)
    # 4. It is logged, where that is demanded, by trusted logs as just this signature of this content by this signer.
    entries = _verify_entries(untrusted, trust.log, content, signer if isinstance(signer, Certificate) else key)
    # 5. When it was made: as a log promised, and as timestamp authorities say. What they say of a certificate that no
    # trusted authority can have issued is not read.
    if untrusted.timestamps and isinstance(signer, Certificate) and isinstance(trust, IdentityTrust):
        check_issued(signer, chain=_chain(untrusted), trust=trust)
    times = _verify_times(untrusted, trust, content, entries)
    for entry in entries:
        check_in_use(entry, times_s=times.proven or (now_s,))
    # 6. The certificate leads to a trusted authority at each of these times, and carries a trusted CT log's promise.
    certified = None
    if isinstance(signer, Certificate) and isinstance(trust, IdentityTrust):
        certified = _certify(untrusted, signer, trust, _certificate_times(times, trust, now_s))
    return _Signed(key=key, times=times, certified=certified)


def needs_bytes(untrusted: UntrustedBundle, trust: KeyTrust | IdentityTrust) -> bool:
    """Whether the artifact's bytes may be asked for, and its SHA-256 alone will not do; raises SignatureError.

    They are for keys that sign by another hash, or by none, and where the bundle names the artifact by another.
    """
    content = untrusted.content
    if isinstance(content, UntrustedEnvelope):
        return not any("sha256" in subject.digests for subject in outline_in(content).subjects)
    leaf = _signer(untrusted, trust)
    keys = trust.keys if isinstance(trust, KeyTrust) and leaf is None else (leaf.key if leaf else None,)
    return content.digest_algorithm not in (None, "SHA2_256") or any(key and own_hash(key) != "sha256" for key in keys)


def _signer(untrusted: UntrustedBundle, trust: KeyTrust | IdentityTrust) -> Certificate | None:
    """The leaf, unproven; None where the bundle relies on a key that is known beforehand."""
    if not untrusted.certificates:
        if isinstance(trust, IdentityTrust):
            raise UntrustedKeyError("signed by a key without a certificate, and only certificates are trusted here")
        return None
    leaf = read_once("leaf", untrusted.certificates[0], _leaf)
    if isinstance(trust, IdentityTrust):
        check_wanted(leaf, trust)
    elif leaf.key not in trust.keys:
        raise UntrustedKeyError("signed by a certificate's key, and that key is not trusted here")
    return leaf


def _leaf(der: bytes) -> Certificate:
    try:
        return Certificate(der)
    except UnreadableKeyError as error:
        raise BundleInvalidError(f"the bundle's certificate: {error}") from error


def _content(untrusted: UntrustedBundle, artifact: Artifact) -> tuple[SignedContent, Statement | None, Digest]:
    content = untrusted.content
    if isinstance(content, UntrustedMessageSignature):
        return _message(content, artifact)
    return _enveloped(content, artifact)


_SHA2: Final[dict[str, Literal["sha256", "sha384", "sha512"]]] = {
    "SHA2_256": "sha256",
    "SHA2_384": "sha384",
    "SHA2_512": "sha512",
}


def _message(content: UntrustedMessageSignature, artifact: Artifact) -> tuple[SignedContent, None, Digest]:
    if content.digest is not None:
        algorithm = _SHA2.get(content.digest_algorithm or "")
        if algorithm is None:
            raise BundleInvalidError(f"messageDigest is of the algorithm {content.digest_algorithm!r:.64}, not SHA-2")
        claimed = f"{algorithm}:{content.digest.hex()}"
        if artifact.data is not None:
            known = {str(Digest.of(artifact.data, algorithm=algorithm))}
        else:
            known = {str(each) for each in artifact.digests}
        if claimed not in known:
            raise SignedDigestMismatchError(f"the bundle is about another artifact: {claimed}")
    digest = artifact.digests[0]
    return SignedContent(signature=content.signature, data=artifact.data, digest=digest), None, digest


def _enveloped(content: UntrustedEnvelope, artifact: Artifact) -> tuple[SignedContent, Statement, Digest]:
    statement = outline_in(content)
    digest = subject_matches(statement, artifact.digests)
    if digest is None:
        raise SignedDigestMismatchError("the statement is about other artifacts: none of its subjects is this one")
    return read_once("signed content", content, _signed_content), statement, digest


def _signed_content(envelope: UntrustedEnvelope) -> SignedContent:
    ((_, signature),) = envelope.signatures  # parse_bundle lets just one pass
    signed = pae(envelope.payload_type, envelope.payload)
    return SignedContent(signature=signature, data=signed, payload=envelope.payload)


def _verify_signature(leaf: Certificate | None, trust: KeyTrust | IdentityTrust, content: SignedContent) -> PublicKey:
    if leaf is not None:
        if leaf.key is None:
            raise BundleInvalidError(f"{leaf.title} has a key of a kind that is not trusted")
        try:
            verify_content(leaf.key, content)
        except UntrustedKeyError:
            raise BadSignatureError("the certificate's key did not make this signature over this content") from None
        return leaf.key
    assert isinstance(trust, KeyTrust)  # an IdentityTrust was refused in step 1
    unchecked = None
    for key in trust.keys:
        try:
            verify_content(key, content, hash_name=trust.hash_name)
        except UntrustedKeyError:
            continue
        except BadSignatureError as error:  # one key that needs the bytes keeps none of the others from being tried
            unchecked = error
            continue
        return key
    raise unchecked or UntrustedKeyError("not signed by any of the trusted keys, or changed after it was signed")


def _verify_entries(
    untrusted: UntrustedBundle, log: LogTrust, content: SignedContent, signer: PublicKey | Certificate
) -> tuple[VerifiedTlogEntry, ...]:
    """The entries of trusted logs; those of unknown logs prove nothing and hide nothing (sigstore-go)."""
    if isinstance(log, LogByKeys):
        raise TypeError("a policy.json knows no bundles")
    if not isinstance(log, LogByRoot):
        return ()
    if not untrusted.entries:
        raise LogProofMissingError("the bundle has no transparency-log entry; sign with one, or --insecure-ignore-tlog")
    known = [entry for entry in untrusted.entries if log.root.tlogs(entry.log_id)]
    if not known:
        unknown = untrusted.entries[0].log_id.hex()
        raise LogProofInvalidError(f"the log {unknown[:64]} is not in the trusted root")
    about = LoggedContent(
        signer=signer,
        signature=content.signature,
        signed_digests=content.digests,
        payload_sha256=content.payload_sha256,
    )
    return tuple(
        [verify_tlog_entry(entry, content=about, trust=log.root, version=untrusted.version) for entry in known]
    )


def _verify_times(
    untrusted: UntrustedBundle,
    trust: KeyTrust | IdentityTrust,
    content: SignedContent,
    entries: tuple[VerifiedTlogEntry, ...],
) -> _Times:
    """All proven times; a timestamp that does not verify proves none, and is no more than missing (sigstore-go)."""
    promised = [float(entry.integrated_time_s) for entry in entries if entry.integrated_time_s is not None]
    root = _root(trust)
    if root is None or not untrusted.timestamps:
        return _Times(proven=tuple(promised))
    stamped, fault = [], None
    for response in untrusted.timestamps:
        try:
            stamped.append(verify_timestamp(response, signature=content.signature, trust=root).time_s)
        except TimestampInvalidError as error:
            fault = error
    # A key needs no time where a log has the signature: cosign asks for none either.
    needs_time = isinstance(trust, IdentityTrust) or not isinstance(trust.log, LogByRoot)
    if fault is not None and needs_time and not stamped and not promised:
        raise fault
    return _Times(proven=(*promised, *stamped))


def _root(trust: KeyTrust | IdentityTrust) -> TrustIndex | None:
    if isinstance(trust, IdentityTrust):
        return trust.root
    return trust.log.root if isinstance(trust.log, LogByRoot) else trust.stamped_by


def _certificate_times(times: _Times, trust: IdentityTrust, now_s: float) -> tuple[float, ...]:
    """When the certificate must have been valid: always at proven times where the log counts, else at least now."""
    if times.proven:
        return times.proven
    if isinstance(trust.log, LogByRoot):
        raise TimestampMissingError(
            "nothing proves when the certificate signed: there is neither a log's promise nor a signed timestamp"
        )
    return (now_s,)


def _certify(
    untrusted: UntrustedBundle, leaf: Certificate, trust: IdentityTrust, times_s: tuple[float, ...]
) -> CertifiedSigner:
    return verify_leaf(leaf, chain=_chain(untrusted), trust=trust, times_s=times_s)


def _chain(untrusted: UntrustedBundle) -> tuple[Certificate, ...]:
    spend_reading(len(untrusted.certificates) - 1)
    try:
        return tuple([Certificate(der) for der in untrusted.certificates[1:]])
    except UnreadableKeyError as error:
        raise BundleInvalidError(f"the bundle's certificate chain: {error}") from error


def _verified(
    statement: Statement | None,
    *,
    key: PublicKey,
    digest: Digest,
    certified: CertifiedSigner | None,
    signed_at_s: float | None,
) -> Verified:
    if statement is not None and statement.predicate_type != COSIGN_SIGN_TYPE:
        return VerifiedAttestation(
            format=FORMAT,
            key=key.fingerprint,
            digest=digest,
            statement=statement,
            certified=certified,
            signed_at_s=signed_at_s,
        )
    subject = None if statement is None else statement.subject_with(digest)
    return VerifiedSignature(
        format=FORMAT,
        key=key.fingerprint,
        digest=digest,
        docker_reference="" if subject is None else subject.name,
        annotations={} if subject is None else subject.annotations,
        certified=certified,
        signed_at_s=signed_at_s,
    )
