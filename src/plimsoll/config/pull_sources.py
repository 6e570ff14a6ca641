"""Pull sources: the places that registries.conf names for one image, mirrors before the primary; no I/O.

What containers/image does, and twice more (docs/adr/0007-stricter-than-skopeo.md): a blocked name is refused before it
is rewritten or looked for at a mirror, and the case of a host's letters does not lead past a block.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.config.registries_conf import Mirror, RegistriesConf, Registry, RegistryIndex, matched_length
from plimsoll.errors import BlockedError, InvalidReferenceError
from plimsoll.model.reference import DockerReference, parse_docker_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSource:
    """One place: the image's name there, and whether plain HTTP and unproven certificates will do."""

    reference: DockerReference
    insecure: bool = False


class PullSources:
    """Answers for one run by one configuration."""

    def __init__(self, conf: RegistriesConf) -> None:
        self._index = RegistryIndex(conf.registries)
        self._lower = RegistryIndex(
            tuple([_lowered(registry) for registry in conf.registries if registry.prefix != registry.prefix.lower()])
        )

    def of_image(self, reference: DockerReference) -> tuple[PullSource, ...]:
        """Where to ask for an image, in order, at least one place.

        Raises BlockedError where the name, or each place it leads to, is blocked; InvalidReferenceError where a rewrite
        leads to no image's name.
        """
        self._refuse_blocked(reference)
        registry = self._index.find(reference.repository)
        if registry is None:
            return (PullSource(reference=reference),)
        mirrors = registry.mirrors_for(digest=reference.digest is not None)
        primary = Mirror(location=registry.location, insecure=registry.insecure)
        sources = [_source(reference, registry, place) for place in (*mirrors, primary)]
        # One that is blocked itself is passed over like one that fails; that it is so is known without asking.
        blocks = [(source.reference, self._block_of(source.reference)) for source in sources]
        open_to_us = tuple([source for source, (_, by) in zip(sources, blocks, strict=True) if by is None])
        if not open_to_us:
            raise BlockedError("; ".join([_blocked(name, by) for name, by in blocks if by is not None]))
        return open_to_us

    def of_repository(self, reference: DockerReference) -> PullSource:
        """Where to list a repository's tags: at the registry that is named, never at a mirror; raises BlockedError."""
        self._refuse_blocked(reference)
        registry = self._index.find(reference.repository)
        return PullSource(reference=reference, insecure=registry is not None and registry.insecure)

    def is_insecure(self, host: str) -> bool:
        """Whether a whole host (``HOST[:PORT]``) is marked insecure: for token services and redirects."""
        registry = self._index.find(host)
        return registry is not None and registry.insecure

    def _refuse_blocked(self, reference: DockerReference) -> None:
        block = self._block_of(reference)
        if block is not None:
            raise BlockedError(_blocked(reference, block))

    def _block_of(self, reference: DockerReference) -> Registry | None:
        name = reference.repository
        for found in (self._index.find(name), self._index.find(name.lower()), self._lower.find(name.lower())):
            if found is not None and found.blocked:
                return found
        return None


def _lowered(registry: Registry) -> Registry:
    return Registry(origin=registry.origin, prefix=registry.prefix.lower(), blocked=registry.blocked)


def _blocked(reference: DockerReference, by: Registry) -> str:
    return f"{reference.repository} is blocked: {by.origin!r} has blocked = true for the prefix {by.prefix!r}"


def _source(reference: DockerReference, registry: Registry, place: Mirror) -> PullSource:
    if not place.location:
        return PullSource(reference=reference, insecure=place.insecure)
    rest = reference.identity[matched_length(reference.repository, registry.prefix) :]
    physical = _rewritten(reference, f"{place.location}{rest}", registry)
    return PullSource(reference=physical, insecure=place.insecure)


def _rewritten(reference: DockerReference, text: str, registry: Registry) -> DockerReference:
    try:
        found = parse_docker_reference(text)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"{registry.origin!r} rewrites {reference.identity} amiss: {error}") from None
    # Normalised it would be another name than the one written: docker.io/app is docker.io/library/app.
    if found.identity != text:
        raise InvalidReferenceError(
            f"{registry.origin!r} rewrites {reference.identity} to {text!r}, which is short for {found.identity!r}: "
            "write the location in full"
        )
    return found
