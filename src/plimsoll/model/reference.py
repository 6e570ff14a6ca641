"""Reference: which image is meant, read from what a person wrote; lexical only, nothing is looked up.

Grammar and normalisation of docker references are those of github.com/distribution/reference as containers/image
uses it; transports are skopeo's (containers-transports(5)). ``oci:PATH@DIGEST`` is plimsoll's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, UnsupportedTransportError
from plimsoll.model.digest import Digest

SKOPEO_TRANSPORTS: Final = frozenset(
    {
        "atomic",
        "containers-storage",
        "dir",
        "docker",
        "docker-archive",
        "docker-daemon",
        "oci",
        "oci-archive",
        "ostree",
        "sif",
        "tarball",
    }
)
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"({_LABEL}(?:\.{_LABEL})*)(?::([1-9][0-9]{{0,4}}))?", re.ASCII)
_NUMBERED = re.compile(r":[0-9]+\Z", re.ASCII)
_MOST_PORT: Final = 65535
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_BARE_HEX = re.compile(r"[a-f0-9]{64}", re.ASCII)
_PART = r"[A-Za-z0-9]+(?:(?:--|[-._:@+])[A-Za-z0-9]+)*"
_LAYOUT_NAME = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_PINNED_PATH = re.compile(r"(?s)(.+)@(sha256|sha384|sha512)")
# Algorithms by name: `main-GITSHA` is an image's tag and must be verified. OCI's fallback tag cuts at 64 digits.
_ATTACHMENT_TAG = re.compile(r"sha(?:256|384|512)-[a-f0-9]{64,128}(?:\.(?:sig|att|sbom))?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerReference:
    """A normalised docker reference: host, path, and a tag or a digest.

    ``echo_tag`` is the tag of a ``NAME:TAG@DIGEST``: shown, but seen by no policy and asked of no registry.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None
    echo_tag: str | None = None

    transport = "docker"

    @property
    def repository(self) -> str:
        """Host and path: what signatures name and scopes match."""
        return f"{self.domain}/{self.path}"

    @property
    def identity(self) -> str:
        """The string that a policy matches: with the digest, or the tag, never both."""
        if self.digest is not None:
            return f"{self.repository}@{self.digest}"
        return f"{self.repository}:{self.tag}" if self.tag is not None else self.repository

    def with_tag(self, tag: str) -> DockerReference:
        """Name another tag of the repository; raises InvalidReferenceError for a text outside the tag grammar."""
        if not is_tag(tag):
            raise InvalidReferenceError(f"{tag[:160]!r} in {self.repository} is outside the tag grammar")
        return DockerReference(domain=self.domain, path=self.path, tag=tag)

    def pinned(self, digest: Digest) -> str:
        """The immutable name of what was judged."""
        return f"{self.repository}@{digest}"

    def __str__(self) -> str:
        if self.digest is not None and self.echo_tag is not None:
            return f"docker://{self.repository}:{self.echo_tag}@{self.digest}"
        return f"docker://{self.identity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutReference:
    """An image in an OCI layout: by name, by position, by digest, or the only one there."""

    path: str
    name: str | None = None
    index: int | None = None
    digest: Digest | None = None

    transport = "oci"

    def __str__(self) -> str:
        if self.digest is not None:
            return f"oci:{self.path}@{self.digest}"
        if self.index is not None:
            return f"oci:{self.path}:@{self.index}"
        return f"oci:{self.path}:{self.name}" if self.name is not None else f"oci:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReference:
    """An image in a tar file that holds an OCI layout."""

    path: str
    name: str | None = None

    transport = "oci-archive"

    def __str__(self) -> str:
        return f"oci-archive:{self.path}:{self.name}" if self.name is not None else f"oci-archive:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerArchiveReference:
    """An image in a tar file as ``docker save`` writes it: by its name with a tag, by position, or the only one."""

    path: str
    image: DockerReference | None = None
    index: int | None = None

    transport = "docker-archive"

    def __str__(self) -> str:
        if self.index is not None:
            return f"docker-archive:{self.path}:@{self.index}"
        if self.image is not None:
            return f"docker-archive:{self.path}:{self.image.identity}"
        return f"docker-archive:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryReference:
    """An image as skopeo's ``dir:`` writes it: manifest.json and blobs beside it."""

    path: str

    transport = "dir"

    def __str__(self) -> str:
        return f"dir:{self.path}"


Reference = DockerReference | LayoutReference | ArchiveReference | DockerArchiveReference | DirectoryReference


def is_tag(text: str) -> bool:
    """Whether ``text`` fits the tag grammar of the distribution spec."""
    return _TAG.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether ``text`` fits the grammar of a registry host, with or without a port.

    One port is written in one way: what a policy or registries.conf says of ``host:5000`` must not be passed by as
    ``host:05000``, nor as ``host:70536``, which some resolvers take modulo 65536. distribution/reference allows both.
    An address, too, is written in one way.
    """
    found = _HOST.fullmatch(text)
    if found is None or is_odd_address(found[1]):
        return False
    return found[2] is None or int(found[2]) <= _MOST_PORT


def is_odd_address(host: str) -> bool:
    """Whether ``host`` is one of the many ways to write an IPv4 address of which only four decimal numbers is read.

    Resolvers take ``127.1``, ``0x7f.1`` and ``2130706433`` for 127.0.0.1 (inet_aton(3)); as in the URL standard
    (host parsing, "ends in a number"), a name whose last label is a number is an address or nothing.
    """
    if not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return False
    try:
        IPv4Address(host)
    except ValueError:
        return True
    return False


def is_path(text: str) -> bool:
    """Whether ``text`` fits the grammar of a repository's path."""
    return _PATH.fullmatch(text) is not None


def is_attachment_tag(text: str) -> bool:
    """Whether a tag names signatures, attestations or referrers of a digest: ``ALGO-HEX[.sig|.att|.sbom]``."""
    return _ATTACHMENT_TAG.fullmatch(text) is not None


def parse_reference(text: str) -> Reference:
    """Read one image reference as skopeo writes it; without a transport it is a docker reference.

    Raises InvalidReferenceError for a text that is none, UnsupportedTransportError for a transport that is unknown
    or not built yet.
    """
    if not text:
        raise InvalidReferenceError("an empty text is no image reference")
    if len(text) > limits.REFERENCE_CHARS:
        raise InvalidReferenceError(f"a reference of {len(text)} characters: at most {limits.REFERENCE_CHARS}")
    if _CONTROL.search(text):
        raise InvalidReferenceError(f"{text[:160]!r} holds a control character; no reference does")
    transport, colon, rest = text.partition(":")
    if colon and transport in SKOPEO_TRANSPORTS:
        return _parse_in_transport(transport, rest, text)
    if colon and rest.startswith("//"):
        raise UnsupportedTransportError(
            f"{text!r}: unknown transport {transport!r};"
            " docker://, oci:, oci-archive:, docker-archive: and dir: are known"
        )
    try:
        return parse_docker_reference(text)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"{error}; neither is it a known transport's reference") from None


def _parse_in_transport(transport: str, rest: str, text: str) -> Reference:
    match transport:
        case "docker":
            if not rest.startswith("//"):
                raise InvalidReferenceError(
                    f"{text!r}: write docker://{rest} for the image, docker://{text} for one named so"
                )
            return parse_docker_reference(rest[2:])
        case "oci":
            return _parse_layout(rest, text)
        case "oci-archive":
            path, _, name = rest.partition(":")
            return ArchiveReference(path=_path(path, text), name=_layout_name(name, text) if name else None)
        case "docker-archive":
            return _parse_docker_archive(rest, text)
        case "dir":
            return DirectoryReference(path=_path(rest, text))
        case _:
            raise UnsupportedTransportError(f"{text!r}: the transport {transport}: is not built yet")


def _path(path: str, text: str) -> str:
    if not path:
        raise InvalidReferenceError(f"{text!r} names no path")
    return path


def _layout_name(name: str, text: str) -> str:
    if _LAYOUT_NAME.fullmatch(name) is None:
        raise InvalidReferenceError(f"{text!r}: {name!r} is no image name of an OCI layout")
    return name


def _parse_layout(rest: str, text: str) -> LayoutReference:
    path, colon, name = rest.partition(":")
    _path(path, text)
    if not colon:
        return LayoutReference(path=path)
    pinned = _PINNED_PATH.fullmatch(path)
    if pinned is not None:
        return LayoutReference(path=pinned[1], digest=Digest.parse(f"{pinned[2]}:{name}"))
    if not name:
        return LayoutReference(path=path)  # as skopeo: an empty name is none
    if name.startswith("@"):
        return LayoutReference(path=path, index=_position(name, text))
    return LayoutReference(path=path, name=_layout_name(name, text))


def _position(name: str, text: str) -> int:
    if not re.fullmatch(r"@[0-9]{1,9}", name, re.ASCII):
        raise InvalidReferenceError(f"{text!r}: {name!r} is no position; write @0 for the first image")
    return int(name[1:])


def _parse_docker_archive(rest: str, text: str) -> DockerArchiveReference:
    path, colon, name = rest.partition(":")
    _path(path, text)
    if not colon:
        return DockerArchiveReference(path=path)
    if name.startswith("@"):
        return DockerArchiveReference(path=path, index=_position(name, text))
    image = parse_docker_reference(name)
    if image.digest is not None:
        raise InvalidReferenceError(f"{text!r}: an archive of docker save names its images by tag, not by digest")
    return DockerArchiveReference(path=path, image=image)


def parse_docker_reference(text: str) -> DockerReference:
    """Read and normalise ``[HOST/]PATH[:TAG][@DIGEST]``; raises InvalidReferenceError.

    A tag beside a digest becomes ``echo_tag``; with neither the tag is ``latest``.
    """
    domain, path, tag, digest = split_docker_reference(text)
    if digest is not None:
        return DockerReference(domain=domain, path=path, digest=digest, echo_tag=tag)
    return DockerReference(domain=domain, path=path, tag=tag or "latest")


def split_docker_reference(text: str) -> tuple[str, str, str | None, Digest | None]:
    """Read and normalise ``[HOST/]PATH[:TAG][@DIGEST]`` into host, path, tag and digest, adding no tag.

    Raises InvalidReferenceError. For signed names, where no tag, a tag, and a tag beside a digest all differ.
    """
    name, tag, digest = _split_docker(text)
    domain, path = _split_domain(name)
    if not is_host(domain):
        hint = "; a port is 1 to 65535, without zeros before it" if _NUMBERED.search(domain) else ""
        if is_odd_address(domain.partition(":")[0]):
            hint = "; an address is four decimal numbers without zeros before them"
        raise InvalidReferenceError(f"{text!r}: {domain!r} is no registry host{hint}")
    if not _PATH.fullmatch(path):
        hint = "; repository names are lower case" if path != path.lower() else ""
        raise InvalidReferenceError(f"{text!r}: {path!r} is no repository path{hint}")
    if len(domain) + 1 + len(path) > limits.REPOSITORY_CHARS:
        raise InvalidReferenceError(
            f"{text[:160]!r}: a repository name has at most {limits.REPOSITORY_CHARS} characters"
        )
    if tag is not None and not is_tag(tag):
        raise InvalidReferenceError(f"{text!r}: {tag[:160]!r} is outside the tag grammar")
    return domain, path, tag, None if digest is None else Digest.parse(digest)


def _split_docker(text: str) -> tuple[str, str | None, str | None]:
    name, at, digest = text.partition("@")
    slash, colon = name.rfind("/"), name.rfind(":")
    tag = None
    if colon > slash:
        name, tag = name[:colon], name[colon + 1 :]
    if not name:
        raise InvalidReferenceError(f"{text!r} names no repository")
    if _BARE_HEX.fullmatch(name) and tag is None and not at:
        raise InvalidReferenceError(f"{text!r} is a bare identifier; write NAME@sha256:{text}")
    return name, tag, digest if at else None


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", name
    if first == "index.docker.io":
        first = "docker.io"
    if first == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
