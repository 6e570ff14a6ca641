"""Policy: the library's choice of trust, by a policy.json or by keys at hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self, cast

from plimsoll.config.policy_file import find_policy
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Identity
from plimsoll.model.location import Location
from plimsoll.model.trust import HashName, parse_pem_key
from plimsoll.model.trusted_root import CertificateAuthority
from plimsoll.native import JsonValue, jcs_encode
from plimsoll.pipeline.key_references import read_key_reference, shown_key_reference
from plimsoll.pipeline.policy_files import parse_policy_file
from plimsoll.policy.plimsoll_document import Chosen, PlimsollPolicy, choose
from plimsoll.policy.requirements import AcceptAnything, AdHoc, CountsAs, LogDemand
from plimsoll.policy.requirements import Policy as PolicyDocument
from plimsoll.policy.root_needs import needs_root
from plimsoll.policy.scope import Selected, select
from plimsoll.signatures.formats import SctDemand
from plimsoll.signatures.statement import predicate_type_of

ACCEPT_ANYTHING: Final = b'{"default":[{"type":"insecureAcceptAnything"}]}'
"""What ``--insecure-policy`` stands for, written out (containers-policy.json(5))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an image must satisfy: a policy file, or ad hoc trust in keys or identities; exactly one of the two.

    ``document`` is a policy.json or a plimsoll document. ``digest`` names the policy in reports: of the file's bytes
    (of both files' digests where one extends another), or of the RFC 8785 form of what was asked ad hoc.
    """

    document: PolicyDocument | PlimsollPolicy | None = None
    ad_hoc: tuple[AdHoc, ...] = ()
    digest: str
    require_signed: bool = False

    def __post_init__(self) -> None:
        if (self.document is None) == (not self.ad_hoc):
            raise ValueError("a Policy is a document or ad hoc trust, never both and never neither")

    @property
    def needs_root(self) -> bool:
        """Whether the trusted root is needed: for a log entry, or for a certificate's authority."""
        if isinstance(self.document, PlimsollPolicy):
            return needs_root(self.document)
        return any(item.log is LogDemand.REQUIRED or item.identities for item in self.ad_hoc)

    @property
    def policy_json(self) -> PolicyDocument | None:
        """The policy.json that it is, or extends: under that registries.d has its say."""
        return self.document.extended if isinstance(self.document, PlimsollPolicy) else self.document

    def choose(self, location: Location) -> Chosen:
        """The one list that applies to an image there; ad hoc trust is one list for all."""
        match self.document:
            case None:
                selected = Selected(requirements=self.ad_hoc, scope=self.ad_hoc[0].where, passed_over=())
                return Chosen(selected=selected)
            case PlimsollPolicy() as document:
                return choose(document, location)
            case document:
                return Chosen(selected=select(document, location), by_policy_json=True)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, require_signed: bool = False) -> Self:
        """Read a policy.json or a plimsoll document; raises PolicyError, or ConfigError where it cannot be read."""
        return cls.found(path=os.fspath(path), environ={}, require_signed=require_signed)

    @classmethod
    def found(cls, *, path: str | None = None, environ: Mapping[str, str], require_signed: bool = False) -> Self:
        """The file of containers-policy.json(5)'s look-up; raises PolicyError naming what was searched."""
        found = find_policy(policy=path, environ=environ)
        parsed = parse_policy_file(found.data, origin=found.origin)
        return cls._of(parsed.document, require_signed=require_signed)

    @classmethod
    def accept_anything(cls) -> Self:
        """Skopeo's ``--insecure-policy``: every image is accepted, nothing is verified.

        Its digest is that of the policy.json which says the same (``ACCEPT_ANYTHING``).
        """
        digest = str(Digest.of(ACCEPT_ANYTHING))
        document = PolicyDocument(default=(AcceptAnything(),), transports={}, digest=digest, origin="--insecure-policy")
        return cls(document=document, digest=digest)

    @classmethod
    def from_keys(
        cls,
        *paths: str | os.PathLike[str],
        threshold: int = 1,
        annotations: Iterable[tuple[str, str]] = (),
        log: LogDemand = LogDemand.REQUIRED,
        digest_algorithm: HashName = "sha256",
        attestation_types: Iterable[str] = (),
        counts_as: CountsAs = CountsAs.SIGNATURE,
        environ: Mapping[str, str] | None = None,
        offline: bool = False,
    ) -> Self:
        """Trust in these public keys, as ``--key``: PEM files, or by text what docs/reference/keys.md lists.

        ``environ`` (None: the process's) is asked what those references leave to it; with ``offline`` one that needs a
        connection is refused. With ``attestation_types``, cosign's short names or URIs, an attestation of each is asked
        for instead of a signature. Raises UnreadableKeyError naming the key, UsageError for no key, an unknown type, or
        a threshold that cannot be met.
        """
        keys = []
        for path in paths:
            try:
                found = read_key_reference(path, environ=os.environ if environ is None else environ, offline=offline)
                keys.append(parse_pem_key(found.data))
            except UnreadableKeyError as error:
                raise UnreadableKeyError(f"--key {shown_key_reference(path)}: {error}") from error
        return cls._asking(
            AdHoc(
                keys=tuple(dict.fromkeys(keys)),
                threshold=threshold,
                annotations=tuple(annotations),
                log=log,
                digest_algorithm=digest_algorithm,
                counts_as=counts_as,
            ),
            attestation_types,
        )

    @classmethod
    def from_identities(
        cls,
        *identities: Identity,
        annotations: Iterable[tuple[str, str]] = (),
        log: LogDemand = LogDemand.REQUIRED,
        sct: SctDemand = SctDemand.REQUIRED,
        authorities: Iterable[CertificateAuthority] = (),
        attestation_types: Iterable[str] = (),
        counts_as: CountsAs = CountsAs.SIGNATURE,
    ) -> Self:
        """Trust in certificates issued to any one of ``identities``, as ``--certificate-identity``.

        ``authorities``, where given, stand in for those of the trusted root. Raises UsageError as ``from_keys``.
        """
        return cls._asking(
            AdHoc(
                identities=identities,
                annotations=tuple(annotations),
                log=log,
                sct=sct,
                counts_as=counts_as,
                authorities=tuple(authorities),
            ),
            attestation_types,
        )

    @classmethod
    def _asking(cls, asked: AdHoc, attestation_types: Iterable[str]) -> Self:
        uris = tuple(dict.fromkeys(predicate_type_of(name) for name in attestation_types))
        ad_hoc = tuple([replace(asked, attestation_type=uri) for uri in uris]) or (asked,)
        return cls(ad_hoc=ad_hoc, digest=_digest(ad_hoc))

    @classmethod
    def _of(cls, document: PolicyDocument | PlimsollPolicy, *, require_signed: bool) -> Self:
        return cls(document=document, digest=document.digest, require_signed=require_signed)


def _digest(ad_hoc: tuple[AdHoc, ...]) -> str:
    described = cast("JsonValue", [_described(asked) for asked in ad_hoc])
    return f"sha256:{hashlib.sha256(jcs_encode(described)).hexdigest()}"


def _described(asked: AdHoc) -> dict[str, object]:
    return {
        "annotations": sorted([list(pair) for pair in asked.annotations]),
        "attestationType": asked.attestation_type,
        "authorities": sorted(hashlib.sha256(b"".join(each.chain)).hexdigest() for each in asked.authorities),
        "countsAs": asked.counts_as.value,
        "digestAlgorithm": asked.digest_algorithm,
        "identities": sorted(repr(identity) for identity in asked.identities),
        "keys": sorted(key.fingerprint for key in asked.keys),
        "log": asked.log.value,
        "sct": asked.sct.value,
        "threshold": asked.threshold,
    }
