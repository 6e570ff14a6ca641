"""Pages: the way through a list that a registry serves page by page (RFC 8288 links), which comes to an end."""

from __future__ import annotations

from plimsoll.errors import LimitExceededError, RegistryError
from plimsoll.wire import Reply, Request, next_page, page_request


class Pages:
    """The way from page to page: at most ``most`` of them, each asked for once.

    The last of ``idle`` pages in a row that bring nothing new may not lead on.
    """

    __slots__ = ("_idle", "_idle_most", "_most", "_request", "_seen", "_where")

    def __init__(self, first: Request, *, where: str, most: int, idle: int) -> None:
        self._request = first
        self._seen = {first.target}
        self._where = where
        self._most = most
        self._idle_most = idle
        self._idle = 0

    @property
    def is_first(self) -> bool:
        """Whether no page led on yet."""
        return len(self._seen) == 1

    def following(self, reply: Reply, *, brought: int) -> Request | None:
        """The page that this one, which ``brought`` so many new entries, leads to; None after the last.

        Raises RegistryError for pages that go round in circles or bring nothing, LimitExceededError for too many.
        """
        target = next_page(reply.headers.getall("Link", ()), target=self._request.target)
        if target is None:
            return None
        if target in self._seen:
            raise RegistryError(f"{self._where}: the registry's pages go round in circles", status=200)
        self._idle = 0 if brought else self._idle + 1
        if self._idle >= self._idle_most:
            raise RegistryError(f"{self._where}: the registry's pages lead on and bring nothing new", status=200)
        if len(self._seen) >= self._most:
            raise LimitExceededError(f"{self._where}: the registry's list has more than {self._most} pages")
        self._seen.add(target)
        self._request = page_request(target, like=self._request)
        return self._request
