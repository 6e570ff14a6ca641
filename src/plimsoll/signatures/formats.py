"""SignatureFormat: what a signature format offers as data and pure functions; and what trust it is given.

gather and judge know places and this shape, never a format. ``Verified...`` values are made in this room only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Literal, TypeVar

from plimsoll.model.attestation import Statement, Subject
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, Place
from plimsoll.model.identity import Identity
from plimsoll.model.trust import HashName, PublicKey
from plimsoll.signatures.certificates import CertificateTrust
from plimsoll.signatures.openpgp import GpgTrust
from plimsoll.signatures.trust_index import TrustIndex

Family = Literal["sigstore", "openpgp", "bundle", "attestation"]
"""``sigstore``: what containers/image knows of cosign; ``bundle``: either kind; ``attestation``: cosign's ``.att``."""
Untrusted = TypeVar("Untrusted")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIgnored:
    """No log entry is asked for and none is looked at: --insecure-ignore-tlog, or a policy.json without Rekor keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogByRoot:
    """A log entry is demanded; the log's id selects its key among the root's (cosign's way)."""

    root: TrustIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class LogByKeys:
    """A log entry is demanded, signed by one of these keys (policy.json's ``rekorPublicKey...``)."""

    keys: tuple[PublicKey, ...]


LogTrust = LogIgnored | LogByRoot | LogByKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrust:
    """Trust in named keys: any one of ``keys`` makes a signature good. No keys: nothing is good.

    ``stamped_by`` is the root whose timestamp authorities prove a time where no log is asked; None asks for none.
    """

    keys: tuple[PublicKey, ...]
    log: LogTrust
    hash_name: HashName = "sha256"
    stamped_by: TrustIndex | None = None


class SctDemand(Enum):
    """Whether a certificate must carry a timestamp of a certificate-transparency log."""

    REQUIRED = "required"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTrust:
    """Trust in certificates that an authority of ``root`` issued to any one of ``identities``. None: nobody is."""

    identities: tuple[Identity, ...]
    root: TrustIndex
    log: LogIgnored | LogByRoot
    sct: SctDemand = SctDemand.REQUIRED


Trust = KeyTrust | IdentityTrust | CertificateTrust | GpgTrust
"""Who may have signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What a signature must be about: the digests of its bytes, SHA-256 first, and the bytes where they are at hand."""

    digests: tuple[Digest, ...]
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedSigner:
    """For whom the signing certificate was issued: its issuer's name for ``subject``, and all else it says of it.

    ``matched`` are the trusted identities that it is for.
    """

    issuer: str
    subject: str
    claims: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[Identity, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """A signature that one trusted key made over one of the image's digests; what it claims beside is signed too.

    The caller still owes: whether ``docker_reference`` is a name that the policy wants, and ``annotations``.
    ``key`` is the fingerprint of the SPKI of the key, or of the certificate's key; ``certified`` is None where no
    certificate was trusted. ``signed_at_s`` is None unless a log or a timestamp authority proved it.
    """

    format: str
    key: str
    digest: Digest
    docker_reference: str
    annotations: Mapping[str, object] = field(default_factory=dict)
    certified: CertifiedSigner | None = None
    signed_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAttestation:
    """A statement about one of the image's digests that one trusted key signed. Members as in VerifiedSignature.

    The caller still owes: whether it is of a type that is asked for, and whether what it says will do.
    """

    format: str
    key: str
    digest: Digest
    statement: Statement
    certified: CertifiedSigner | None = None
    signed_at_s: float | None = None

    @property
    def subject(self) -> Subject:
        """The first of the statement's subjects that is this image."""
        return self.statement.subject_with(self.digest)


Verified = VerifiedSignature | VerifiedAttestation


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureFormat(Generic[Untrusted]):
    """One format.

    ``places`` says where to look for signatures of an image with these digests, the best place first.
    ``parse`` reads one attachment; ``verify`` proves it, or raises SignatureError; both are pure. The time given to
    ``verify``, in seconds since 1970, is the present one: it counts where the signature proves no other. ``family``
    says which kind of trust can use it. A stored attachment, one without a descriptor, may be of another format:
    ``parse`` then gives None.
    """

    name: str
    places: Callable[[tuple[Digest, ...]], tuple[Place, ...]]
    parse: Callable[[Attachment], Untrusted | None]
    verify: Callable[[Untrusted, Trust, Artifact, float], Verified]
    family: Family = "sigstore"
