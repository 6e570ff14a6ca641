"""policy.json: where it lies (containers-policy.json(5), with the look-up order of containers/image)."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll import limits
from plimsoll.config.files import SYSTEM_PLACES, ConfigFile, read_file, read_first, user_places
from plimsoll.errors import PolicyError


def find_policy(
    *, policy: str | None, environ: Mapping[str, str], system: tuple[str, ...] = SYSTEM_PLACES
) -> ConfigFile:
    """Read the policy file that applies: ``--policy``, CONTAINERS_POLICY_JSON, the user's, the system's.

    The first two must exist. Raises PolicyError where none is found, naming every place that was searched, and for a
    file that cannot be read: never a built-in fallback, and never the next place instead of an unreadable one.
    """
    named = policy if policy is not None else environ.get("CONTAINERS_POLICY_JSON") or None
    if named is not None:
        option = "--policy" if policy is not None else "CONTAINERS_POLICY_JSON"
        try:
            return read_file(named, limit=limits.POLICY_BYTES, error=PolicyError)
        except FileNotFoundError as error:
            raise PolicyError(f"no policy: {error}, which {option} names") from None
    places = [f"{place}/policy.json" for place in (*user_places(environ), *system)]
    found = read_first(places, limit=limits.POLICY_BYTES, error=PolicyError)
    if found is None:
        searched = ", ".join(repr(place) for place in places)
        raise PolicyError(
            f"no policy.json was found; searched: {searched}; name one with --policy, or a key with --key"
        )
    return found
