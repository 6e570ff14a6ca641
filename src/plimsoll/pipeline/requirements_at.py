"""Which requirements apply where an image lies, with their keys read: once for each list of the policy."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.config.files import ConfigFile
from plimsoll.config.registries_d import RegistriesD
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.location import Location
from plimsoll.model.reference import DockerReference
from plimsoll.pipeline.fetched_keys import FetchedKeys
from plimsoll.pipeline.policies import Policy
from plimsoll.policy.prepare import Ready, key_references_of, prepare
from plimsoll.signatures.trust_index import TrustIndex


class RequirementsAt:
    """Selects by location and remembers what it prepared; keys are read when a list first names them.

    Files are read at once, what ``fetched`` reads is waited for.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        trust: TrustIndex | None,
        registries_d: RegistriesD | None,
        read_key: Callable[[str], ConfigFile],
        fetched: FetchedKeys,
    ) -> None:
        self._policy = policy
        self._trust = trust
        self._registries_d = registries_d
        self._read_key = read_key
        self._fetched = fetched
        self._read: dict[str, ConfigFile | UnreadableKeyError] = {}
        self._prepared: dict[tuple[str, bool, str | None], Ready] = {}

    async def at(self, location: Location, physical: DockerReference | None) -> Ready:
        """The requirements for an image at ``location``; registries.d is asked for its ``physical`` name."""
        chosen = self._policy.choose(location)
        requirements, scope = chosen.selected.requirements, chosen.selected.scope
        registries_d = self._registries_d if chosen.by_policy_json else None
        attachments = not chosen.by_policy_json or _reads_attachments(registries_d, physical)
        store = _store(registries_d, location, physical)
        ready = self._prepared.get((scope, attachments, store))
        if ready is None:
            await self._fetched.fetch(key_references_of(requirements))
            ready = prepare(
                requirements,
                read_key=self._key,
                read_reference=self._fetched.read,
                trust_root=self._trust,
                attachments=attachments,
                store=store,
                scope=scope,
                require_signed=self._policy.require_signed,
            )
            self._prepared[scope, attachments, store] = ready
        return ready

    def _key(self, path: str) -> bytes:
        found = self._read.get(path)
        if found is None:
            try:
                found = self._read_key(path)
            except UnreadableKeyError as error:
                found = error
            self._read[path] = found
        if isinstance(found, UnreadableKeyError):
            raise found
        return found.data


def _reads_attachments(registries_d: RegistriesD | None, physical: DockerReference | None) -> bool:
    """cli.md, "Known differences": registries.d gates `.sig` tags, under a policy.json and for registries only."""
    if physical is None or registries_d is None:
        return False
    return registries_d.uses_sigstore_attachments(physical)


def _store(registries_d: RegistriesD | None, location: Location, physical: DockerReference | None) -> str | None:
    """Where signatures are stored apart: beside a ``dir:`` image, or in a lookaside (under a policy.json)."""
    if physical is None:
        return "" if location.transport == "dir" else None
    return None if registries_d is None else registries_d.lookaside(physical)
