"""The referrers API of a registry: what it lists of one image over all pages, and which repositories seem to lack it.

distribution-spec 1.1 "Listing Referrers", "Unavailable Referrers API".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from plimsoll import limits
from plimsoll.errors import LimitExceededError, RegistryError, RequestTimeoutError, TransportError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.transport.auth import Key
from plimsoll.transport.base import what_is_claimed
from plimsoll.transport.pages import Pages
from plimsoll.wire import Reply, Request, contradiction, parse_referrers, refusal

_NO_REFERRERS_API: Final = frozenset({400, 405, 406, 501})
"""What registries answer that do not know the endpoint (406: Artifactory; go-containerregistry takes most so too)."""
_OF_ANOTHER_ENDPOINT: Final = frozenset({"", "NAME_UNKNOWN"})
"""What a 404 may say of a path that a registry does not know; any other code of ``contradiction`` is a refusal."""


class Unlisted(Enum):
    """Why the API lists nothing of an image, not even that there is nothing."""

    NOT_FOUND = "not found"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """A first answer of which nobody knows what it means: ``failure``, unless the fallback tag lists something."""

    failure: RegistryError


class ApiMemory:
    """Which repositories of a run have a referrers API, and which lack it.

    Who answers 404 for one image may answer for another: static mirrors do. A lack is a fact only where the 404 was for
    an image that has referrers, by the fallback tag, and nothing was ever listed by the API.
    """

    def __init__(self) -> None:
        self._with: set[Key] = set()
        self._without: set[Key] = set()

    def listed(self, key: Key) -> None:
        """The API has answered with a list, if an empty one."""
        self._with.add(key)

    def missed(self, key: Key) -> None:
        """The API was not found for an image that has referrers."""
        self._without.add(key)

    def is_missing(self, key: Key) -> bool:
        """Whether the fallback tag is worth asking first."""
        return key in self._without and key not in self._with


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferrersApi:
    """The API of one repository: ``ask`` sends a request, ``asked`` names it in messages, ``seen`` hears of a list."""

    where: str
    ask: Callable[[Request], Awaitable[Reply]]
    asked: Callable[[Request], str]
    seen: Callable[[], None]
    monotonic: Callable[[], float]

    async def listed(
        self, digest: Digest, first: Request, *, whole: bool
    ) -> tuple[Descriptor, ...] | Unlisted | Unclear:
        """What it lists over all pages; with ``whole`` no answer will do but a list or a 404.

        Raises what ``refusal`` and ``parse_referrers`` give, RegistryError for pages that lead nowhere or are none,
        LimitExceededError past the caps, RequestTimeoutError for a list that comes too slowly.
        """
        begun = self.monotonic()
        pages = Pages(first, where=self.where, most=limits.REFERRER_PAGES, idle=1)
        found: dict[Hashable, Descriptor] = {}
        request: Request | None = first
        while request is not None:
            reply = await self.ask(request)
            page = parse_referrers(reply.body, reply.content_type) if reply.status == 200 else None
            if page is None:
                failure = self._no_page(reply, request)
                if pages.is_first and (unlisted := _unlisted(reply, failure, whole=whole)) is not None:
                    return unlisted
                raise failure
            self.seen()
            known = len(found)
            found |= {what_is_claimed(each): each for each in page}
            if len(found) > limits.REFERRERS:
                raise LimitExceededError(f"{self.where}@{digest} has more than {limits.REFERRERS} referrers")
            request = pages.following(reply, brought=len(found) - known)
            if request is not None and self.monotonic() - begun > limits.REFERRERS_S:
                message = f"{self.where}@{digest}: listing its referrers takes more than {limits.REFERRERS_S:g} seconds"
                raise RequestTimeoutError(message)
        return tuple(found.values())

    def _no_page(self, reply: Reply, request: Request) -> TransportError:
        if reply.status != 200:
            return refusal(reply.status, reply.body, asked=self.asked(request))
        return RegistryError(f"{self.where}: what should list the image's referrers is no OCI index", status=200)


def _unlisted(reply: Reply, failure: TransportError, *, whole: bool) -> Unlisted | Unclear | None:
    """What a first answer that is no list means; None where it is a failure, whatever the fallback tag lists."""
    if reply.status == 404 and not reply.led_to and contradiction(reply.body) in _OF_ANOTHER_ENDPOINT:
        return Unlisted.NOT_FOUND
    if whole:
        return None
    if reply.status in (200, 404):  # a page of somebody else's, or a 404 that denies or limits
        return Unclear(failure=RegistryError(str(failure), status=reply.status))
    return Unlisted.OTHER if reply.status in _NO_REFERRERS_API else None
