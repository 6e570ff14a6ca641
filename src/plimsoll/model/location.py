"""Location: where an image lies, as a policy matches it: an identity and its parents, most specific first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from plimsoll.model.reference import DockerArchiveReference, DockerReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """What scopes are matched against (containers-policy.json(5), "TRANSPORTS AND SCOPES").

    ``identity`` is the full reference, or the resolved path; ``parents`` are tried after it in order.
    ``docker`` is None for places that give an image no docker name: there no signedIdentity can match.
    """

    transport: str
    identity: str
    parents: tuple[str, ...]
    docker: DockerReference | None = None


def locate_docker(reference: DockerReference) -> Location:
    """The location of a docker reference: the reference as the user wrote it, never a mirror's."""
    return Location(
        transport="docker",
        identity=reference.identity,
        parents=(*_namespaces(reference.repository), *_wildcards(reference.domain)),
        docker=reference,
    )


def locate_respelled(location: Location) -> Location | None:
    """The same image with its registry's name in the plain spelling; None where it is spelled so already."""
    reference = location.docker
    if location.transport != "docker" or reference is None:
        return None
    host, path = plain_name(reference)
    return None if host == reference.domain else locate_docker(replace(reference, domain=host, path=path))


def plain_name(reference: DockerReference) -> tuple[str, str]:
    """Host and path in the one spelling that scopes are meant for; Docker Hub's as references are completed."""
    host, path = plain_host(reference.domain), reference.path
    return host, f"library/{path}" if host == "docker.io" and "/" not in path else path


def plain_host(domain: str) -> str:
    """A registry's name in the one spelling that scopes are meant for: no other may lead past them.

    DNS knows no case, zeros before a port mean nothing, HTTPS needs no ``:443``, and Docker Hub has two names.
    """
    host, colon, port = domain.lower().rpartition(":")
    if not colon or not port.isdecimal():  # what follows the last colon of [::1] is no port
        host, port = domain.lower(), "443"
    port = port.lstrip("0") or "0"
    if port != "443":
        return f"{host}:{port}"
    return "docker.io" if host == "index.docker.io" else host


def locate_path(transport: str, path: str) -> Location:
    """The location of a local image; ``path`` is absolute and free of symlinks (the transport's duty)."""
    parents = []
    parent = path.rpartition("/")[0]
    while parent:
        parents.append(parent)
        parent = parent.rpartition("/")[0]
    return Location(transport=transport, identity=path, parents=tuple(parents))


def locate_docker_archive(reference: DockerArchiveReference) -> Location:
    """The location of an image in an archive of ``docker save``: the path is no scope, only "" is (as in skopeo)."""
    return Location(transport=reference.transport, identity="", parents=(), docker=reference.image)


def _namespaces(repository: str) -> tuple[str, ...]:
    found = [repository]
    while "/" in repository:
        repository = repository.rpartition("/")[0]
        found.append(repository)
    return tuple(found)


def _wildcards(domain: str) -> tuple[str, ...]:
    host = domain.partition(":")[0]
    found = []
    while "." in host:
        host = host.partition(".")[2]
        found.append(f"*.{host}")
    return tuple(found)
