"""SignatureFormat: what a signature format offers as data and pure functions; and what trust it is given.

gather and judge know places and this shape, never a format. ``Verified...`` values are made in this room only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, Place
from plimsoll.model.trust import PublicKey
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.signatures.certificates import CertificateTrust
from plimsoll.signatures.openpgp import GpgTrust

HashName = Literal["sha224", "sha256", "sha384", "sha512"]
Family = Literal["sigstore", "openpgp"]
Untrusted = TypeVar("Untrusted")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIgnored:
    """No log entry is asked for and none is looked at: --insecure-ignore-tlog, or a policy.json without Rekor keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogByRoot:
    """A log entry is demanded; the log's id selects its key among the root's (cosign's way)."""

    root: TrustRoot


@dataclass(frozen=True, slots=True, kw_only=True)
class LogByKeys:
    """A log entry is demanded, signed by one of these keys (policy.json's ``rekorPublicKey...``)."""

    keys: tuple[PublicKey, ...]


LogTrust = LogIgnored | LogByRoot | LogByKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrust:
    """Trust in named keys: any one of ``keys`` makes a signature good. No keys: nothing is good."""

    keys: tuple[PublicKey, ...]
    log: LogTrust
    hash_name: HashName = "sha256"


Trust = KeyTrust | CertificateTrust | GpgTrust
"""Who may have signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """A signature that one trusted key made over one of the image's digests; what it claims beside is signed too.

    The caller still owes: whether ``docker_reference`` is a name that the policy wants, and ``annotations``.
    ``key`` is the fingerprint of the SPKI of the key, or of the certificate's key. ``logged_at_s`` is None unless a log
    proved it.
    """

    format: str
    key: str
    digest: Digest
    docker_reference: str
    annotations: Mapping[str, object] = field(default_factory=dict)
    logged_at_s: int | None = None


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
    verify: Callable[[Untrusted, Trust, tuple[Digest, ...], float], VerifiedSignature]
    family: Family = "sigstore"
