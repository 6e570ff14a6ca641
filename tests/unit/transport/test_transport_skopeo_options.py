"""What skopeo's options come to on the line: a registry token, the User-Agent, the delay before another try."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from plimsoll import limits
from plimsoll.errors import RateLimitedError, UnauthorizedError, UnreachableError
from plimsoll.model.settings import HttpSettings, RegistryToken, TLSSettings
from plimsoll.transport.auth import Authorizer, Repository
from plimsoll.transport.base import Meter
from plimsoll.transport.hosts import Host
from plimsoll.transport.http import HttpClient
from plimsoll.transport.limiter import Limiter
from plimsoll.transport.retry import retry_wait_s
from plimsoll.wire import Reply, Request

TOKEN = RegistryToken(value="canary.token")
BEARER = 'Bearer realm="https://auth.example/token",service="x"'


@dataclass
class Registry:
    """Takes one Authorization, and asks for it by a challenge."""

    challenge: str
    takes: str = "Bearer canary.token"
    settings: HttpSettings = field(default_factory=HttpSettings)
    sent: list[tuple[str, str | None]] = field(default_factory=list)

    def monotonic(self):
        return 0.0

    def host(self, name, *, scheme=None, tls=None):
        return host(name, scheme=scheme or "https")

    async def get(self, to, request, *, limit, meter, authorization=None, once=False):
        self.sent.append((to.name, authorization))
        if request.path == "/token":
            return Reply(status=200, headers=CIMultiDict(), body=b'{"token": "anonymous"}')
        status = 200 if authorization == self.takes else 401
        return Reply(status=status, headers=CIMultiDict({"WWW-Authenticate": self.challenge}), body=b"")


def host(name, *, scheme="https", over_http=False):
    limiter = Limiter(connections=1, requests_per_s=None, sleep=asyncio.sleep, monotonic=lambda: 0.0)
    found = Host(name, limiter=limiter, tls=TLSSettings(verify=scheme == "https", credentials_over_http=over_http))
    found.decide(scheme)
    return found


def ask(registry, to, *, times=1):
    async def story():
        async def known(*_, **__):
            return TOKEN

        authorizer = Authorizer(registry, known)
        repository = Repository(host=to, domain=to.name, path="app")
        try:
            for _ in range(times):
                reply = await authorizer.get(repository, Request(target="/v2/x"), limit=1, meter=Meter())
            return reply.status
        finally:
            await authorizer.aclose()

    return asyncio.run(story())


def test_a_registry_token_answers_a_bearer_challenge_as_it_is_and_no_token_is_asked_for():
    registry = Registry(BEARER)
    assert ask(registry, host("registry.example"), times=2) == 200
    proof = ("registry.example", "Bearer canary.token")
    assert registry.sent == [("registry.example", None), proof, proof]


def test_one_that_is_refused_is_sent_once():
    registry = Registry(BEARER, takes="Bearer another")
    with pytest.raises(UnauthorizedError) as raised:
        ask(registry, host("registry.example"))
    assert [authorization for _, authorization in registry.sent] == [None, "Bearer canary.token"]
    assert "canary" not in str(raised.value)


def test_it_is_no_password():
    registry = Registry('Basic realm="x"')
    with pytest.raises(UnauthorizedError):
        ask(registry, host("registry.example"))
    assert registry.sent == [("registry.example", None)]


def test_it_does_not_go_over_plain_http_where_credentials_may_not():
    registry = Registry(BEARER)
    with pytest.raises(UnauthorizedError):
        ask(registry, host("registry.example", scheme="http"))
    assert ("registry.example", "Bearer canary.token") not in registry.sent
    assert all("canary" not in (authorization or "") for _, authorization in registry.sent)
    registry = Registry(BEARER)
    assert ask(registry, host("registry.example", scheme="http", over_http=True)) == 200


async def heads_of(settings, *, ways):
    """What comes on the line for one request by each of ``ways``."""
    heads = []

    async def answer(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = HttpClient(settings, lambda _: TLSSettings(verify=False))
    try:
        to = client.host(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", scheme="http")
        for way in ways:
            await way(client, to)
    finally:
        await client.aclose()
        server.close()
        await server.wait_closed()
    return heads


async def by_get(client, to):
    await client.get(to, Request(target="/v2/x"), limit=10, meter=Meter())


async def by_stream(client, to):
    stream = await client.open(to, Request(target="/v2/x"), meter=Meter())
    async for _ in stream.chunks(budget_s=10):
        raise AssertionError("the body is empty")


@pytest.mark.parametrize(("prefix", "expected"), [("", "plimsoll"), ("fleet/1 ci", "fleet/1 ci plimsoll")])
def test_both_clients_say_who_asks(prefix, expected):
    heads = asyncio.run(heads_of(HttpSettings(user_agent_prefix=prefix), ways=(by_get, by_stream)))
    found = [line for head in heads for line in head.split("\r\n") if line.lower().startswith("user-agent:")]
    assert found == [f"User-Agent: {expected}"] * 2


def test_a_prefix_that_would_be_a_line_of_its_own_is_not_sent():
    with pytest.raises(UnreachableError, match="characters that HTTP has not"):
        asyncio.run(heads_of(HttpSettings(user_agent_prefix="a\r\nX: y"), ways=(by_get,)))


@given(st.integers(0, 100), st.floats(0, 1), st.floats(0.001, 1000))
def test_a_delay_that_is_given_does_not_grow(tried, random, delay_s):
    found = retry_wait_s(UnreachableError("x"), tried=tried, retries=101, random=lambda: random, delay_s=delay_s)
    assert found is not None
    assert delay_s <= found <= delay_s * 1.1 + 1e-9


def test_what_a_registry_asks_for_is_more_than_a_short_delay():
    error = RateLimitedError("x", retry_after_s=2.0)
    assert retry_wait_s(error, tried=0, retries=1, random=lambda: 0.0, delay_s=0.1) == 2.0
    assert retry_wait_s(error, tried=0, retries=1, random=lambda: 0.0, delay_s=5.0) == 5.0
    assert retry_wait_s(error, tried=1, retries=1, random=lambda: 0.0, delay_s=5.0) is None
    late = RateLimitedError("x", retry_after_s=limits.RETRY_AFTER_S + 1)
    with pytest.raises(RateLimitedError):
        retry_wait_s(late, tried=0, retries=1, random=lambda: 0.0, delay_s=0.1)


def test_the_client_waits_for_so_long():
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    async def story():
        client = HttpClient(HttpSettings(retry_delay_s=3.0), lambda _: TLSSettings(), sleep=sleep, jitter=lambda: 1.0)
        try:
            for tried in range(3):
                await client.pause(UnreachableError("x"), tried=tried)
        finally:
            await client.aclose()

    asyncio.run(story())
    assert waited == [pytest.approx(3.3)] * 3
