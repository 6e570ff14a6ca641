"""Every error plimsoll raises, split by who is at fault.

::

    PlimsollError
    ├── UsageError                  you: what was asked
    │   ├── InvalidReferenceError
    │   └── UnsupportedTransportError
    ├── ConfigError                 your files
    │   ├── PolicyError
    │   ├── TrustRootError
    │   ├── SigningConfigError
    │   └── UnreadableKeyError
    ├── TransportError              the way there (a verdict becomes UNDETERMINED)
    │   ├── UnreachableError
    │   │   ├── NotConnectedError
    │   │   │   └── NoTLSError
    │   │   └── UntrustedHostError
    │   ├── RequestTimeoutError
    │   │   └── ConnectTimeoutError
    │   ├── UnauthorizedError
    │   │   └── CredentialHelperError
    │   ├── NotFoundError
    │   ├── RateLimitedError
    │   └── RegistryError
    ├── BlockedError                your registries.conf forbids the registry (REJECTED)
    ├── UnsupportedError            us: not built yet (UNDETERMINED)
    ├── ContentError                the bytes (REJECTED)
    │   ├── DigestMismatchError
    │   │   └── LayerDigestMismatchError
    │   ├── DiffIdMismatchError
    │   ├── MalformedManifestError
    │   └── LimitExceededError
    ├── EffortExceededError         what lies beside an image: too dear to check (REJECTED)
    ├── SignatureError              the signer (REJECTED)
    │   ├── BadSignatureError
    │   ├── UntrustedKeyError
    │   ├── IdentityMismatchError
    │   ├── PayloadError
    │   ├── SignedDigestMismatchError
    │   ├── LogProofMissingError
    │   ├── LogProofInvalidError
    │   ├── CertificateUntrustedError
    │   ├── CertificateExpiredError
    │   ├── BundleInvalidError
    │   ├── TimestampInvalidError
    │   ├── TimestampMissingError
    │   ├── SctInvalidError
    │   └── AttestationConditionError
    ├── ReadError                   the native reader: bytes that are no strict JSON document (also a ValueError)
    ├── CanonicalizationError       the native writer: a value that RFC 8785 cannot say (also a ValueError)
    ├── FileHashError               the native hasher: a file that could not be read or changed (also an OSError)
    ├── StoreError                  the embedded registry's client: what it asked of the folder
    ├── DeliveryError               the way out: a report that could not be written
    ├── SigningError                the signature we were to make: not made, or not stored
    └── RejectedError               the verdict, raised by raise_unless_accepted() only

``code`` is the stable reason code of ``docs/reference/reason-codes.md``. All pickle: the message first, fields by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from plimsoll.model.verdict import Verdict


class PlimsollError(Exception):
    """The root of every error raised on purpose."""

    code: ClassVar[str] = "internal-error"


class UsageError(PlimsollError):
    """What was asked makes no sense; nothing was tried."""

    code = "usage"


class InvalidReferenceError(UsageError):
    """A text that is no image reference."""

    code = "invalid-reference"


class UnsupportedTransportError(UsageError):
    """A transport that is unknown, or known to skopeo and not built here yet."""

    code = "invalid-reference"


class ConfigError(PlimsollError):
    """A file of the user's that cannot be used."""

    code = "configuration"


class PolicyError(ConfigError):
    """A policy that is not read with certainty is not used at all."""

    code = "policy-invalid"


class TrustRootError(ConfigError):
    """A trusted root that cannot be used."""

    code = "trust-root-invalid"


class SigningConfigError(ConfigError):
    """A signing config that cannot be used."""


class UnreadableKeyError(ConfigError):
    """A key that a requirement names and that cannot be read or parsed."""

    code = "key-unreadable"


class TransportError(PlimsollError):
    """The bytes could not be had; says nothing about the image."""

    code = "unreachable"


class UnreachableError(TransportError):
    """No connection, a broken one, or a TLS failure."""


class NotConnectedError(UnreachableError):
    """No connection, or no TLS on it: no request was sent."""


class NoTLSError(NotConnectedError):
    """A port that answers a TLS greeting with something else: no try mends it."""


class UntrustedHostError(UnreachableError):
    """An untrusted certificate, certificates or a proxy of ours that are of no use, no host's name: no try mends it."""


class RequestTimeoutError(TransportError):
    """A request that did not end within its time."""

    code = "timeout"


class ConnectTimeoutError(RequestTimeoutError):
    """No connection within its time, TLS included: nothing was sent."""


class UnauthorizedError(TransportError):
    """The registry wants other credentials, or none will do."""

    code = "unauthorized"


class CredentialHelperError(UnauthorizedError):
    """A docker-credential-NAME program that is missing, fails, hangs or answers rubbish: no other place is asked."""


class NotFoundError(TransportError):
    """The registry, or the folder, has no such image, manifest or blob."""

    code = "not-found"


class RateLimitedError(TransportError):
    """429; ``retry_after_s`` is what the registry asked for, None where it asked for nothing."""

    code = "rate-limited"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RegistryError(TransportError):
    """Any other refusal; ``status`` is the HTTP status. 5xx and 408 are worth another try."""

    code = "server-error"

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def worth_a_retry(self) -> bool:
        """Whether the same request may succeed later (RFC 9110 sections 15.5.9 and 15.6)."""
        return self.status in (408, 500, 502, 503, 504)


class BlockedError(PlimsollError):
    """A registry that registries.conf blocks: the user's own configuration rejects whatever comes from it."""

    code = "policy-reject"


class UnsupportedError(PlimsollError):
    """Something that plimsoll cannot judge yet, so it does not guess."""

    code = "unsupported"


class ContentError(PlimsollError):
    """Bytes that are not what they are said to be."""

    code = "manifest-invalid"


class DigestMismatchError(ContentError):
    """Bytes that do not hash to the digest they were asked by, or have another size."""

    code = "digest-mismatch"


class LayerDigestMismatchError(DigestMismatchError):
    """A config or layer blob that does not hash to its descriptor's digest, or has another size."""

    code = "layer-digest-mismatch"


class DiffIdMismatchError(ContentError):
    """A layer that does not unpack to what the image's config says, or that two readers would unpack to two things."""

    code = "diffid-mismatch"


class MalformedManifestError(ContentError):
    """A manifest, index or config that two readers could understand differently, or none at all."""


class LimitExceededError(ContentError):
    """More bytes, entries or depth than ``plimsoll.limits`` allows."""

    code = "limit-exceeded"


class EffortExceededError(PlimsollError):
    """Of one image's signatures together: whoever catches a SignatureError to try the next must not go on."""

    code = "limit-exceeded"


class SignatureError(PlimsollError):
    """A signature that proves nothing about this image."""

    code = "bad-signature"


class BadSignatureError(SignatureError):
    """A signature in no readable form, or that does not verify."""


class UntrustedKeyError(SignatureError):
    """A well-formed signature that none of the trusted keys made."""

    code = "untrusted-key"


class IdentityMismatchError(SignatureError):
    """A good signature for another name than the policy wants."""

    code = "identity-mismatch"


class PayloadError(SignatureError):
    """A signed payload that is not the strict document its format asks for; ``proven``: a trusted signer made it."""

    code = "payload-invalid"
    proven = False


class SignedDigestMismatchError(SignatureError):
    """A good signature of another image."""

    code = "digest-mismatch"


class LogProofMissingError(SignatureError):
    """No transparency-log entry where one is demanded."""

    code = "log-proof-missing"


class LogProofInvalidError(SignatureError):
    """A log entry that does not verify, or is not about this signature, key and payload."""

    code = "log-proof-invalid"


class CertificateUntrustedError(SignatureError):
    """No certificate, none that can be read, or one that does not lead to a trusted root for this usage."""

    code = "certificate-untrusted"


class CertificateExpiredError(SignatureError):
    """A certificate that leads to a trusted root, but not at the time of the signature."""

    code = "certificate-expired"


class BundleInvalidError(SignatureError):
    """A sigstore bundle that is not the strict document its version asks for."""

    code = "bundle-invalid"


class TimestampInvalidError(SignatureError):
    """An RFC 3161 timestamp that does not verify, or is not about this signature."""

    code = "timestamp-invalid"


class TimestampMissingError(SignatureError):
    """No proven time where one is demanded: neither a log's promise nor a signed timestamp."""

    code = "timestamp-missing"


class SctInvalidError(SignatureError):
    """No signed certificate timestamp by a trusted CT log in a certificate of which one is demanded."""

    code = "sct-invalid"


class AttestationConditionError(SignatureError):
    """A verified attestation that does not meet its condition: false, no answer, or past its cost cap."""

    code = "attestation-condition"


ReadErrorKind: TypeAlias = Literal["syntax", "utf-8", "duplicate-key", "depth", "number", "shape", "too-large"]


class ReadError(PlimsollError, ValueError):
    """Bytes that are no strict JSON document, or a manifest whose members have other types than the spec's.

    ``kind`` says what is wrong; ``offset`` is the byte where, 0 for the kind "shape", whose message names the member.
    """

    code = "manifest-invalid"

    def __init__(self, message: str, *, kind: ReadErrorKind = "syntax", offset: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.offset = offset


class CanonicalizationError(PlimsollError, ValueError):
    """A value that RFC 8785 has no bytes for: NaN, a lone surrogate, an integer beyond 2**53 - 1, too deep."""


class FileHashError(PlimsollError, OSError):
    """A file that could not be read, or that changed while it was hashed; ``index`` is its place in the call."""

    code = "unreadable"

    def __init__(self, *arguments: object, index: int = 0) -> None:
        super().__init__(*arguments)
        self.index = index


class StoreError(PlimsollError):
    """What the embedded registry's folder refuses; ``refusal`` is the distribution-spec's error code for it."""

    code = "refused"

    def __init__(self, message: str, *, refusal: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.refusal = refusal


class DeliveryError(PlimsollError):
    """The report could not be written; ``undelivered`` counts the verdicts that were reached and not written."""

    code = "output"

    def __init__(self, message: str, *, undelivered: int = 0) -> None:
        super().__init__(message)
        self.undelivered = undelivered


class SigningError(PlimsollError):
    """A signature that could not be made, or not be stored where it was to go; nothing is half written."""

    code = "signing"


class RejectedError(PlimsollError):
    """The image may not be run, or nobody knows; ``verdict`` says which and why."""

    code = "rejected"

    def __init__(self, message: str, *, verdict: Verdict | None = None) -> None:
        super().__init__(message)
        self.verdict = verdict
