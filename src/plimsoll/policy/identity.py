"""Signed identity: which names a signature may carry for an image (containers-policy.json(5), "signedIdentity").

Names are compared normalised, as whole strings. A signed name that is no reference matches nothing, and neither does
an image without a docker name where the rule starts from the image's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, PolicyError
from plimsoll.model.digest import Digest
from plimsoll.model.reference import DockerReference, is_host, is_path, split_docker_reference
from plimsoll.policy.fields import map_at, member, object_at, shown, text_at


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedReference:
    """A normalised docker name as a signer wrote it: without a tag, with one, with a digest, or with both."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """Host and path."""
        return f"{self.domain}/{self.path}"

    @property
    def is_name_only(self) -> bool:
        """Whether it names a repository and no image in it."""
        return self.tag is None and self.digest is None

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return f"{self.repository}{tag}" if self.digest is None else f"{self.repository}{tag}@{self.digest}"


def parse_named(text: str) -> NamedReference:
    """Read and normalise a docker name, adding no default tag; raises InvalidReferenceError."""
    if len(text) > limits.REFERENCE_CHARS:
        raise InvalidReferenceError(f"a name of {len(text)} characters: at most {limits.REFERENCE_CHARS}")
    domain, path, tag, digest = split_docker_reference(text)
    return NamedReference(domain=domain, path=path, tag=tag, digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchExact:
    """The signed name is the image's, and both have a tag or a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRepoDigestOrExact:
    """As MatchExact for an image named by tag; for one named by digest the repository is enough. The default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRepository:
    """The signed name is in the image's repository; cosign signs names without a tag, which match here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactReference:
    """The signed name is ``reference``, which has a tag or a digest, whatever the image is called."""

    reference: NamedReference


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRepository:
    """The signed name is in ``repository`` (normalised host and path), whatever the image is called."""

    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemapIdentity:
    """As MatchRepoDigestOrExact, after ``prefix`` of the image's name was replaced by ``signed_prefix``."""

    prefix: str
    signed_prefix: str


SignedIdentity = (
    MatchExact | MatchRepoDigestOrExact | MatchRepository | ExactReference | ExactRepository | RemapIdentity
)

DEFAULT_IDENTITY: Final = MatchRepoDigestOrExact()
"""What holds where a requirement has no ``signedIdentity``."""

_KEYS: Final[dict[str, frozenset[str]]] = {
    "matchExact": frozenset({"type"}),
    "matchRepoDigestOrExact": frozenset({"type"}),
    "matchRepository": frozenset({"type"}),
    "exactReference": frozenset({"type", "dockerReference"}),
    "exactRepository": frozenset({"type", "dockerRepository"}),
    "remapIdentity": frozenset({"type", "prefix", "signedPrefix"}),
}


def accepts(identity: SignedIdentity, *, image: DockerReference | None, signed: str) -> bool:
    """Whether a signature for the name ``signed`` counts for ``image``; None is an image without a docker name."""
    try:
        name = parse_named(signed)
    except InvalidReferenceError:
        return False  # containers/image: a name that cannot be read is not the one that is wanted
    own = None if image is None else _own(image)
    match identity:
        case ExactReference(reference=wanted):
            return not name.is_name_only and name == wanted
        case ExactRepository(repository=wanted_repository):
            return name.repository == wanted_repository
        case MatchExact():
            return own is not None and not name.is_name_only and name == own
        case MatchRepoDigestOrExact():
            return own is not None and _repo_digest_or_exact(own, name)
        case MatchRepository():
            return own is not None and name.repository == own.repository
        case RemapIdentity():
            remapped = None if own is None else _remap(identity, own)
            return remapped is not None and _repo_digest_or_exact(remapped, name)


def _own(image: DockerReference) -> NamedReference:
    """The name that a policy sees: with the digest or the tag, never both."""
    return NamedReference(
        domain=image.domain, path=image.path, tag=image.tag if image.digest is None else None, digest=image.digest
    )


def _repo_digest_or_exact(own: NamedReference, name: NamedReference) -> bool:
    if name.is_name_only or own.is_name_only:
        return False
    if own.tag is not None:
        return name == own
    # The bytes were checked against the image's digest, and the signature's digest against the bytes.
    return name.repository == own.repository


def _remap(identity: RemapIdentity, own: NamedReference) -> NamedReference | None:
    """The name to look for instead of ``own``; None where the new text is no name in its normal form."""
    repository = own.repository
    if repository != identity.prefix and not repository.startswith(f"{identity.prefix}/"):
        return own
    text = identity.signed_prefix + str(own)[len(identity.prefix) :]
    try:
        remapped = parse_named(text)
    except InvalidReferenceError:
        return None
    # A short name such as "busybox" would be completed to docker.io/library/: it parses and must not match.
    return remapped if str(remapped) == text else None


def parse_identity(value: object, where: str) -> SignedIdentity:
    """Read a ``signedIdentity`` or ``baseLayerIdentity`` object; raises PolicyError."""
    kind = text_at(map_at(value, where).get("type", ""), member(where, "type"))
    keys = _KEYS.get(kind)
    if keys is None:
        raise PolicyError(f"{member(where, 'type')}: unknown identity type {shown(kind)}; known: {', '.join(_KEYS)}")
    fields = object_at(value, where, known=keys, needed=keys)
    match kind:
        case "matchExact":
            return MatchExact()
        case "matchRepoDigestOrExact":
            return MatchRepoDigestOrExact()
        case "matchRepository":
            return MatchRepository()
        case "exactReference":
            return _exact_reference(fields["dockerReference"], member(where, "dockerReference"))
        case "exactRepository":
            return ExactRepository(
                repository=_named(fields["dockerRepository"], member(where, "dockerRepository")).repository
            )
        case _:
            return RemapIdentity(
                prefix=_prefix(fields["prefix"], member(where, "prefix")),
                signed_prefix=_prefix(fields["signedPrefix"], member(where, "signedPrefix")),
            )


def _exact_reference(value: object, where: str) -> ExactReference:
    reference = _named(value, where)
    if reference.is_name_only:
        raise PolicyError(f"{where}: {shown(str(reference))} needs a tag or a digest; for any use exactRepository")
    return ExactReference(reference=reference)


def _named(value: object, where: str) -> NamedReference:
    text = text_at(value, where)
    try:
        return parse_named(text)
    except InvalidReferenceError as error:
        raise PolicyError(f"{where}: {error}") from None


def _prefix(value: object, where: str) -> str:
    text = text_at(value, where)
    host, slash, path = text.partition("/")
    if not is_host(host) or (slash and not is_path(path)):
        raise PolicyError(f"{where}: {shown(text)} is no prefix; write HOST[:PORT] or HOST[:PORT]/PATH, without a tag")
    return text
