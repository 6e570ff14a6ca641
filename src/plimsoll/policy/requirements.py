"""Requirements: what a policy can ask of an image, each read in full; evaluate says which of them can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final, TypeAlias, get_args

from plimsoll.errors import UsageError
from plimsoll.model.identity import Identity
from plimsoll.model.trust import HashName, PublicKey
from plimsoll.model.trusted_root import CertificateAuthority
from plimsoll.policy.conditions import Condition
from plimsoll.policy.identity import SignedIdentity
from plimsoll.signatures.formats import SctDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where keys or certificates come from: files, opened when first needed, or the policy's own text.

    ``where`` is the place in the policy, for messages. An empty source holds no key and satisfies nothing.
    """

    paths: tuple[str, ...] = ()
    data: tuple[bytes, ...] = field(default=(), repr=False)
    where: str = field(default="", compare=False)


class KeyType(Enum):
    """The ``keyType`` of signedBy; skopeo implements the first only."""

    GPG_KEYS = "GPGKeys"
    SIGNED_BY_GPG_KEYS = "signedByGPGKeys"
    X509_CERTIFICATES = "X509Certificates"
    SIGNED_BY_X509_CAS = "signedByX509CAs"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptAnything:
    """``insecureAcceptAnything``: satisfied by any image, so no signature is fetched for it."""

    where: str = field(default="", compare=False)
    verifies_signatures: ClassVar[bool] = False
    """``--require-signed`` refuses an image of which nothing more is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """``reject``: satisfied by no image."""

    where: str = field(default="", compare=False)
    verifies_signatures: ClassVar[bool] = False
    """It looks at nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """``signedBy``: a simple-signing signature made by one of ``keys``, for a name that ``identity`` accepts."""

    key_type: KeyType
    keys: KeySource
    identity: SignedIdentity
    where: str = field(default="", compare=False)
    verifies_signatures: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FulcioTrust:
    """``fulcio``: a short-lived certificate of ``ca`` for this issuer and this e-mail address."""

    ca: KeySource
    oidc_issuer: str
    subject_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiTrust:
    """``pki``: a certificate that leads to ``roots``; at least one subject is given, and all given must match."""

    roots: KeySource
    intermediates: KeySource | None
    subject_email: str | None
    subject_hostname: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigstoreSigned:
    """``sigstoreSigned``: a cosign signature by exactly one of ``keys``, ``fulcio`` and ``pki``.

    ``rekor_keys`` None asks for no log entry; it never is with ``fulcio`` and always is with ``pki``.
    """

    keys: KeySource | None
    fulcio: FulcioTrust | None
    pki: PkiTrust | None
    rekor_keys: KeySource | None
    identity: SignedIdentity
    where: str = field(default="", compare=False)
    verifies_signatures: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBaseLayer:
    """``signedBaseLayer``: read, and satisfied by no image, in containers/image as here."""

    base_layer_identity: SignedIdentity
    where: str = field(default="", compare=False)
    verifies_signatures: ClassVar[bool] = False
    """Nobody implements it, so it verifies nothing."""


class LogDemand(Enum):
    """Whether a signature must be in a transparency log."""

    REQUIRED = "required"
    IGNORED = "ignored"


class CountsAs(Enum):
    """What may stand for a signature: a signature alone, or an attestation too, whatever it says (cosign)."""

    SIGNATURE = "signature"
    ANYTHING_SIGNED = "anything-signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdHoc:
    """``--key``, or ``--certificate-identity`` and its like: signed by at least ``threshold`` distinct signers.

    Those are ``keys``, or certificates issued to one of ``identities``; any name that is signed will do. With an
    ``attestation_type``, a predicate type's URI, attestations of that type count instead of signatures. ``annotations``
    are pairs that each counted payload must carry. ``digest_algorithm`` hashes the payload where the key's own scheme
    does not fix it. ``authorities``, where there are any, replace those of the trusted root. Raises UsageError for a
    threshold that cannot be met or that nothing would meet, and for keys and identities together.
    """

    keys: tuple[PublicKey, ...] = ()
    identities: tuple[Identity, ...] = ()
    threshold: int = 1
    annotations: tuple[tuple[str, str], ...] = ()
    log: LogDemand = LogDemand.REQUIRED
    sct: SctDemand = SctDemand.REQUIRED
    digest_algorithm: HashName = "sha256"
    attestation_type: str | None = None
    counts_as: CountsAs = CountsAs.SIGNATURE
    authorities: tuple[CertificateAuthority, ...] = ()
    verifies_signatures: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.keys and not self.identities:
            raise UsageError("no key is given; name at least one with --key, or an identity and its issuer")
        if self.keys and self.identities:
            raise UsageError("--key and --certificate-identity exclude each other")
        distinct = len({key.spki for key in self.keys}) or len(set(self.identities))
        if not 1 <= self.threshold <= distinct:
            raise UsageError(f"--threshold {self.threshold}: from 1 to {distinct}, the number of distinct keys given")
        if self.digest_algorithm not in get_args(HashName):
            known = ", ".join(get_args(HashName))
            raise UsageError(f"--signature-digest-algorithm {self.digest_algorithm[:64]!r}: one of {known}")

    @property
    def where(self) -> str:
        """What a message calls this requirement."""
        return "--key" if self.keys else "--certificate-identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a key is good, in seconds since 1970; both ends belong to it, None is no end."""

    not_before_s: float | None = None
    not_after_s: float | None = None

    def holds(self, time_s: float) -> bool:
        """Whether ``time_s`` lies inside."""
        begun = self.not_before_s is None or time_s >= self.not_before_s
        return begun and (self.not_after_s is None or time_s <= self.not_after_s)


ALWAYS: Final = Window()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A key that a plimsoll document names; ``reference`` is its name in a KMS or token, then ``source`` is empty.

    ``hash_name`` hashes a payload where the key's own scheme does not fix it.
    """

    name: str
    source: KeySource = KeySource()
    reference: str | None = None
    window: Window = ALWAYS
    hash_name: HashName = "sha256"
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedIdentity:
    """An identity that a plimsoll document names."""

    name: str
    identity: Identity
    where: str = field(default="", compare=False)


NamedSigner = NamedKey | NamedIdentity
"""An entry of ``from``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturesRequired:
    """``signatures``: signed by at least ``at_least`` distinct ones of ``signers``, each time with ``annotations``."""

    signers: tuple[NamedSigner, ...]
    at_least: int = 1
    log: LogDemand = LogDemand.REQUIRED
    annotations: tuple[tuple[str, str], ...] = ()
    where: str = field(default="", compare=False)
    verifies_signatures: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationsRequired:
    """``attestation``: attested as ``type`` (a predicate type's URI) by ``signers``.

    ``at_least`` counts distinct signers whose attestation meets all ``conditions`` and is no older than ``max_age_s``;
    ``at_most`` counts attestations, None is any number. Both 0 is ``forbidden``.
    """

    type: str
    signers: tuple[NamedSigner, ...]
    at_least: int = 1
    at_most: int | None = None
    conditions: tuple[Condition, ...] = ()
    max_age_s: float | None = None
    log: LogDemand = LogDemand.REQUIRED
    where: str = field(default="", compare=False)

    @property
    def verifies_signatures(self) -> bool:
        """Whether it asks for anything at all: what only forbids is met by an image that nobody signed."""
        return self.at_least > 0

    @property
    def wants_all(self) -> bool:
        """Whether every attestation must be known: one more may be too many, or newer than the one that meets."""
        return bool(self.conditions) or self.at_most is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """``allOf``: each of ``parts``, of which there is one at least."""

    parts: tuple[Requirement, ...]
    where: str = field(default="", compare=False)

    @property
    def verifies_signatures(self) -> bool:
        """Whether one of them does."""
        return any(part.verifies_signatures for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """``anyOf``: one of ``parts``, of which there is one at least."""

    parts: tuple[Requirement, ...]
    where: str = field(default="", compare=False)

    @property
    def verifies_signatures(self) -> bool:
        """Whether each of them does: the others could be the one that is met."""
        return bool(self.parts) and all(part.verifies_signatures for part in self.parts)


Requirement: TypeAlias = (
    AcceptAnything
    | Reject
    | SignedBy
    | SigstoreSigned
    | SignedBaseLayer
    | AdHoc
    | SignaturesRequired
    | AttestationsRequired
    | AllOf
    | AnyOf
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy read in full: for one image exactly one list applies (``plimsoll.policy.scope``).

    ``transports`` maps a transport's name to its scopes, ``""`` being the whole transport. ``digest`` is ``sha256:``
    and the hash of the file's bytes, ``origin`` says where they came from.
    """

    default: tuple[Requirement, ...]
    transports: Mapping[str, Mapping[str, tuple[Requirement, ...]]]
    digest: str
    origin: str
