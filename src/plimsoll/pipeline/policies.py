"""Policy: the library's choice of trust, by a policy.json or by keys at hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self, cast

from plimsoll.config.keys import read_key_file
from plimsoll.config.policy_file import find_policy
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import parse_pem_key
from plimsoll.native import JsonValue, jcs_encode
from plimsoll.policy.document import parse_policy
from plimsoll.policy.requirements import AcceptAnything, AdHocKeys, LogDemand
from plimsoll.policy.requirements import Policy as PolicyDocument
from plimsoll.signatures.formats import HashName


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an image must satisfy: a policy.json, or ad hoc trust in keys; exactly one of the two.

    ``digest`` names it in reports: of the file's bytes, or of the RFC 8785 form of what was asked ad hoc.
    """

    document: PolicyDocument | None = None
    keys: AdHocKeys | None = None
    digest: str
    require_signed: bool = False

    def __post_init__(self) -> None:
        if (self.document is None) == (self.keys is None):
            raise ValueError("a Policy is a document or keys, never both and never neither")

    @property
    def demands_log(self) -> bool:
        """Whether a log entry is demanded under the trusted root."""
        return self.keys is not None and self.keys.log is LogDemand.REQUIRED

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, require_signed: bool = False) -> Self:
        """Read a containers policy.json; raises PolicyError, or ConfigError where it cannot be read."""
        return cls.found(path=os.fspath(path), environ={}, require_signed=require_signed)

    @classmethod
    def found(cls, *, path: str | None = None, environ: Mapping[str, str], require_signed: bool = False) -> Self:
        """The policy.json of containers-policy.json(5)'s look-up; raises PolicyError naming what was searched."""
        found = find_policy(policy=path, environ=environ)
        return cls._of(parse_policy(found.data, origin=found.origin), require_signed=require_signed)

    @classmethod
    def accept_anything(cls) -> Self:
        """Skopeo's ``--insecure-policy``: every image is accepted, nothing is verified."""
        document = PolicyDocument(
            default=(AcceptAnything(),), transports={}, digest="insecure-policy", origin="--insecure-policy"
        )
        return cls(document=document, digest="insecure-policy")

    @classmethod
    def from_keys(
        cls,
        *paths: str | os.PathLike[str],
        threshold: int = 1,
        annotations: Iterable[tuple[str, str]] = (),
        log: LogDemand = LogDemand.REQUIRED,
        digest_algorithm: HashName = "sha256",
    ) -> Self:
        """Trust in the public keys of these PEM files, as ``--key``.

        Raises UnreadableKeyError naming the file, UsageError for no key or a threshold that cannot be met.
        """
        keys = []
        for path in paths:
            try:
                keys.append(parse_pem_key(read_key_file(os.fspath(path)).data))
            except UnreadableKeyError as error:
                raise UnreadableKeyError(f"--key {os.fspath(path)}: {error}") from error
        asked = AdHocKeys(
            keys=tuple(dict.fromkeys(keys)),
            threshold=threshold,
            annotations=tuple(annotations),
            log=log,
            digest_algorithm=digest_algorithm,
        )
        return cls(keys=asked, digest=_digest(asked))

    @classmethod
    def _of(cls, document: PolicyDocument, *, require_signed: bool) -> Self:
        return cls(document=document, digest=document.digest, require_signed=require_signed)


def _digest(asked: AdHocKeys) -> str:
    described = {
        "annotations": sorted([list(pair) for pair in asked.annotations]),
        "digestAlgorithm": asked.digest_algorithm,
        "keys": sorted(key.fingerprint for key in asked.keys),
        "log": asked.log.value,
        "threshold": asked.threshold,
    }
    return f"sha256:{hashlib.sha256(jcs_encode(cast('JsonValue', described))).hexdigest()}"
