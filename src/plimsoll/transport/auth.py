"""Authorizer: how a run proves itself to registries; one token for each repository, asked for once.

A host that has challenged once is answered before it asks again. Credentials go where cli.md ("Credentials") lets them
and nowhere else; a realm they may not reach is asked without them, and the message of what then fails says so
(CVE-2026-33540, CVE-2026-24845, CVE-2026-48978: a hostile realm collects passwords).
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from plimsoll import limits
from plimsoll.errors import ContentError, NotFoundError, RegistryError, UnauthorizedError
from plimsoll.model.settings import Credentials, CredentialsFor, IdentityToken, Login, RegistryToken
from plimsoll.transport.base import Meter
from plimsoll.transport.connections import BodyStream
from plimsoll.transport.hosts import Host
from plimsoll.transport.http import HttpClient
from plimsoll.transport.origins import is_loopback, may_know
from plimsoll.wire import (
    Challenge,
    Reply,
    Request,
    TokenRequest,
    choose_challenge,
    has_signature_lists,
    parse_challenges,
    parse_token,
    pull_scope,
    push_scope,
    refresh_request,
    refusal,
    token_request,
)

Key = tuple[Host, str, bool, bool]
_FOR_EVER: Final = float("inf")
"""Until when a proof is good that nobody can renew: sent once more, it would be refused once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where requests go and whom they are for: ``host`` is contacted, ``domain`` and ``path`` are the name there.

    ``stands_in`` as in Endpoint: with other credentials, so with other tokens. ``is_written``: a token must allow it.
    """

    host: Host
    domain: str
    path: str
    stands_in: bool = False
    is_written: bool = False

    @property
    def key(self) -> Key:
        """What a token is good for; the host is the one object of its name and way to be spoken to."""
        return self.host, self.path, self.stands_in, self.is_written


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """An Authorization field and until when it is good, on the monotonic clock; ``note`` says what was held back."""

    value: str | None = field(repr=False)
    until: float
    note: str = ""


class Authorizer:
    """Sends requests with the proof that their registry wants, and renews it; one a run."""

    def __init__(self, client: HttpClient, credentials_for: CredentialsFor) -> None:
        self._client = client
        self._credentials_for = credentials_for
        self._monotonic = client.monotonic
        self._challenges: dict[Host, Challenge] = {}
        self._proofs: dict[Key, _Proof] = {}
        self._flights: dict[Key, asyncio.Task[_Proof]] = {}
        self.signature_keepers: set[Host] = set()
        """Hosts one of whose answers, if only a 401, said in this run that they keep signatures themselves."""

    async def get(
        self, repository: Repository, request: Request, *, limit: int, meter: Meter, once: bool = False
    ) -> Reply:
        """Send ``request`` and read its whole answer, which is never a 401; ``once`` as in HttpClient.get.

        Raises UnauthorizedError where no proof is taken, and what HttpClient.get raises.
        """
        proof = await self._proof(repository, meter)
        for refreshes in range(limits.TOKEN_REFRESHES + 1):
            value = None if proof is None else proof.value
            reply = await self._client.get(
                repository.host, request, limit=limit, meter=meter, authorization=value, once=once
            )
            if has_signature_lists(reply.headers):
                self.signature_keepers.add(repository.host)
            if reply.status != 401:
                return reply
            proof = await self._renewed(repository, request, reply, proof, refreshes=refreshes, meter=meter)
        raise AssertionError("the last round returns or raises")

    async def open(self, repository: Repository, request: Request, *, meter: Meter) -> BodyStream | Reply:
        """Send ``request`` likewise and leave the body of a 200 or 206 to be streamed."""
        proof = await self._proof(repository, meter)
        for refreshes in range(limits.TOKEN_REFRESHES + 1):
            value = None if proof is None else proof.value
            reply = await self._client.open(repository.host, request, meter=meter, authorization=value)
            if isinstance(reply, BodyStream) or reply.status != 401:
                return reply
            proof = await self._renewed(repository, request, reply, proof, refreshes=refreshes, meter=meter)
        raise AssertionError("the last round returns or raises")

    async def _proof(self, repository: Repository, meter: Meter) -> _Proof | None:
        """What to send at first: nothing to a host that has never asked."""
        challenge = self._challenges.get(repository.host)
        if challenge is None:
            return None
        known = self._proofs.get(repository.key)
        if known is not None and known.until > self._monotonic():
            return known
        return await self._fetch(repository, challenge, meter)

    async def _renewed(
        self,
        repository: Repository,
        request: Request,
        reply: Reply,
        used: _Proof | None,
        *,
        refreshes: int,
        meter: Meter,
    ) -> _Proof:
        """The proof to try after a 401; raises UnauthorizedError where there is none, or enough have been tried."""
        asked = f"{repository.host.name}{request.path}"
        note = used.note if used is not None else ""
        has_credentials, withheld = await self._may_log_in(repository)
        challenge = choose_challenge(
            parse_challenges(reply.headers.getall("WWW-Authenticate", ())), basic=has_credentials
        )
        if (
            challenge is None
            or refreshes == limits.TOKEN_REFRESHES
            or (used is not None and (challenge.scheme == "basic" or used.until == _FOR_EVER))
        ):
            raise UnauthorizedError(f"{refusal(401, reply.body, asked=asked)}{note or withheld}")
        self._challenges[repository.host] = challenge
        known = self._proofs.get(repository.key)
        if known is not None and known is not used and known.until > self._monotonic():
            return known
        self._proofs.pop(repository.key, None)
        return await self._fetch(repository, challenge, meter)

    async def _login(self, repository: Repository) -> Login | None:
        return await self._credentials_for(repository.domain, repository.path, stands_in=repository.stands_in)

    async def _may_log_in(self, repository: Repository) -> tuple[bool, str]:
        """Whether credentials may go to the registry itself, and where not, a sentence that says so."""
        login = await self._login(repository)
        if login is None:
            return False, ""
        if isinstance(login, IdentityToken):
            return False, "; what is known of the registry is an identity token, which only a token service takes"
        if repository.host.may_carry_credentials:
            return isinstance(login, Credentials), ""
        return False, f"; credentials were not sent: {repository.host.name} is spoken to over plain HTTP"

    async def _fetch(self, repository: Repository, challenge: Challenge, meter: Meter) -> _Proof:
        """Get the proof, together with everybody who wants the same one now."""
        key = repository.key
        flight = self._flights.get(key)
        if flight is None:
            # A task of its own: whoever began it may be cancelled while others wait for it.
            flight = self._flights[key] = asyncio.create_task(self._make(repository, challenge, meter))
            flight.add_done_callback(partial(self._landed, key))
        return await asyncio.shield(flight)

    def _landed(self, key: Key, flight: asyncio.Task[_Proof]) -> None:
        del self._flights[key]
        # Asking for the exception marks it as seen: everybody who waited may be gone.
        if not flight.cancelled() and flight.exception() is None:
            self._proofs[key] = flight.result()

    async def _make(self, repository: Repository, challenge: Challenge, meter: Meter) -> _Proof:
        login = await self._login(repository) if repository.host.may_carry_credentials else None
        if challenge.scheme == "basic":
            return _Proof(value=_basic(login) if isinstance(login, Credentials) else None, until=_FOR_EVER)
        if isinstance(login, RegistryToken):
            return _Proof(value=f"Bearer {login.value}", until=_FOR_EVER)
        scope = push_scope(repository.path) if repository.is_written else pull_scope(repository.path)
        asked = token_request(challenge, scope=scope)
        note = ""
        if login is not None and not self._may_reach(asked, repository.host):
            login = None
            note = (
                f"; the token was asked of {asked.scheme}://{asked.host} without the credentials of "
                f"{repository.host.name}, which may not go there (--auth-realm names an https host that may have them)"
            )
        if isinstance(login, IdentityToken):
            asked = refresh_request(challenge, scope=scope, refresh_token=login.value)
        authorization = _basic(login) if isinstance(login, Credentials) else None
        return await self._token(asked, repository.host, authorization, note, meter)

    def _may_reach(self, asked: TokenRequest, registry: Host) -> bool:
        """Whether the registry's credentials may go to the realm: https, or loopback http as the registry's own."""
        if asked.scheme != "https" and not (
            registry.is_plain and is_loopback(registry.name) and is_loopback(asked.host)
        ):
            return False
        return may_know(asked.host, registry=registry.name, allowed=self._client.settings.auth_realms)

    async def _token(
        self, asked: TokenRequest, registry: Host, authorization: str | None, note: str, meter: Meter
    ) -> _Proof:
        # A registry that is its own token service is spoken to alike; another host's TLS is its own (CVE-2019-10214).
        tls = registry.tls if asked.host == registry.name else None
        host = self._client.host(asked.host, scheme=asked.scheme, tls=tls)
        where = f"the token of {asked.host}"
        try:
            reply = await self._client.get(
                host, asked.request, limit=limits.TOKEN_BYTES, meter=meter, authorization=authorization
            )
        except ContentError as error:
            # Too long, or encoded: it says nothing of the image, which must not be rejected for it.
            raise RegistryError(f"{where} cannot be read: {error}") from error
        if reply.status != 200:
            refused = refusal(reply.status, reply.body, asked=where)
            if isinstance(refused, NotFoundError):
                # What the token is for must not pass for absent: a signature, or an attestation that a rule forbids.
                refused = RegistryError(f"{where} was answered with status 404", status=404)
            raise type(refused)(f"{refused}{note}") if note else refused
        token = parse_token(reply.body)
        return _Proof(value=f"Bearer {token.value}", until=self._monotonic() + token.lifetime_s, note=note)

    async def aclose(self) -> None:
        """End the token requests under way."""
        flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)


def _basic(credentials: Credentials) -> str:
    """RFC 7617, in UTF-8."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
