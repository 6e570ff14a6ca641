from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest
from multidict import CIMultiDict

from plimsoll.errors import ContentError, LimitExceededError, RegistryError, UnauthorizedError
from plimsoll.model.settings import Credentials, HttpSettings, IdentityToken, TLSSettings
from plimsoll.transport.auth import Authorizer, Repository, _Proof
from plimsoll.transport.base import Meter
from plimsoll.transport.hosts import Host
from plimsoll.transport.limiter import Limiter
from plimsoll.wire import Reply, Request

SECRET = Credentials(username="user", password="canary")
BASIC = "Basic dXNlcjpjYW5hcnk="
REALM = "https://auth.example.com/token"


@dataclass
class Sent:
    host: str
    scheme: str | None
    authorization: str | None
    form: bytes | None = None
    tls: TLSSettings | None = None


@dataclass
class Client:
    """Answers 401 until a Bearer comes, and gives a token to everybody."""

    challenge: str
    token_status: int = 200
    settings: HttpSettings = field(default_factory=HttpSettings)
    sent: list[Sent] = field(default_factory=list)

    def monotonic(self):
        return 0.0

    def host(self, name, *, scheme=None, tls=None):
        return host(name, scheme=scheme or "https", tls=tls)

    async def get(self, to, request, *, limit, meter, authorization=None, once=False):
        self.sent.append(Sent(to.name, to.base.partition(":")[0], authorization, request.form, to.tls))
        if request.path == "/token":
            return Reply(status=self.token_status, headers=CIMultiDict(), body=b'{"token": "t0k3n"}')
        if authorization in ("Bearer t0k3n", BASIC):
            return Reply(status=200, headers=CIMultiDict(), body=b"")
        return Reply(status=401, headers=CIMultiDict({"WWW-Authenticate": self.challenge}), body=b"")


def host(name, *, scheme="https", over_http=False, tls=None):
    limiter = Limiter(connections=1, requests_per_s=None, sleep=asyncio.sleep, monotonic=lambda: 0.0)
    tls = tls or TLSSettings(verify=scheme == "https", credentials_over_http=over_http)
    found = Host(name, limiter=limiter, tls=tls)
    found.decide(scheme)
    return found


def log_in(client, to, *, credentials=SECRET):
    async def story():
        async def known(*_, **__):
            return credentials

        authorizer = Authorizer(client, known)
        repository = Repository(host=to, domain=to.name, path="app")
        try:
            return await authorizer.get(repository, Request(target="/v2/x"), limit=1, meter=Meter())
        finally:
            await authorizer.aclose()

    return asyncio.run(story())


def token_request(client):
    [found] = [sent for sent in client.sent if not sent.host.startswith("registry")]
    return found


@pytest.mark.parametrize(
    ("to", "realm", "settings"),
    [
        (host("registry.example.com"), REALM, HttpSettings()),
        (host("registry.example.com:5000"), "https://example.com/token", HttpSettings()),
        (host("registry.other.net"), REALM, HttpSettings(auth_realms=frozenset({"auth.example.com"}))),
        (host("registry.example.com", scheme="http", over_http=True), REALM, HttpSettings()),
    ],
)
def test_credentials_go_to_a_realm_that_may_have_them(to, realm, settings):
    client = Client(challenge=f'Bearer realm="{realm}"', settings=settings)
    assert log_in(client, to).status == 200
    assert token_request(client).authorization == BASIC


@pytest.mark.parametrize(
    ("to", "realm", "settings"),
    [
        (host("registry.other.net"), REALM, HttpSettings()),
        (host("registry.example.com"), "http://auth.example.com/token", HttpSettings()),
        (host("registry.example.com"), "http://auth.example.com/token", HttpSettings(auth_realms=frozenset({"auth.example.com"}))),
        (host("registry.example.com"), "https://auth.example.com.evil.io/token", HttpSettings()),
        (host("registry.example.com"), "http://127.0.0.1/token", HttpSettings()),
        (host("registry.example.com", scheme="http"), REALM, HttpSettings()),
        (host("registry.example.com", scheme="http", over_http=True), "http://auth.example.com/token", HttpSettings()),
        (host("registry.ghcr.io"), "https://ghcr.io.evil.example/token", HttpSettings()),
    ],
)  # fmt: skip
def test_another_realm_is_asked_without_them(to, realm, settings):
    client = Client(challenge=f'Bearer realm="{realm}"', settings=settings)
    assert log_in(client, to).status == 200
    assert token_request(client).authorization is None
    assert all(sent.authorization in (None, "Bearer t0k3n") for sent in client.sent)


@pytest.mark.parametrize("realm", [REALM, "https://auth.other.net/token"])
def test_a_token_service_that_is_not_there_never_makes_the_image_absent(realm):
    client = Client(challenge=f'Bearer realm="{realm}"', token_status=404)
    with pytest.raises(RegistryError, match=r"the token of auth.*404") as caught:
        log_in(client, host("registry.example.com"))
    assert (caught.value.code, caught.value.worth_a_retry) == ("server-error", False)
    assert ("--auth-realm" in str(caught.value)) == (realm != REALM)


@pytest.mark.parametrize("error", [ContentError("encoded"), LimitExceededError("too long")])
def test_a_token_that_cannot_be_read_never_rejects_the_image(error):
    class Unreadable(Client):
        async def get(self, to, request, **how):
            if request.path == "/token":
                raise error
            return await super().get(to, request, **how)

    with pytest.raises(RegistryError, match=r"the token of auth\.example\.com cannot be read"):
        log_in(Unreadable(challenge=f'Bearer realm="{REALM}"'), host("registry.example.com"))


def test_the_message_says_when_they_were_held_back():
    client = Client(challenge=f'Bearer realm="{REALM}"', token_status=401)
    with pytest.raises(UnauthorizedError, match="--auth-realm") as caught:
        log_in(client, host("registry.other.net"))
    assert "canary" not in str(caught.value)
    with pytest.raises(UnauthorizedError) as plain:
        log_in(Client(challenge=f'Bearer realm="{REALM}"', token_status=401), host("registry.example.com"))
    assert "--auth-realm" not in str(plain.value)


def test_the_message_says_when_plain_http_held_them_back():
    client = Client(challenge="Basic realm=x")
    with pytest.raises(UnauthorizedError, match="plain HTTP"):
        log_in(client, host("registry.example.com", scheme="http"))
    assert [sent.authorization for sent in client.sent] == [None]


@pytest.mark.parametrize(
    "to",
    [
        host("registry.example.com"),
        host("registry.example.com", scheme="http", over_http=True),
    ],
)
def test_basic_credentials_go_to_the_registry_itself(to):
    client = Client(challenge="Basic realm=x")
    assert log_in(client, to).status == 200
    assert [sent.authorization for sent in client.sent] == [None, BASIC]


def test_basic_is_passed_over_without_credentials():
    client = Client(challenge=f'Basic realm=x, Bearer realm="{REALM}"')
    assert log_in(client, host("registry.example.com"), credentials=None).status == 200
    assert token_request(client).authorization is None


def test_proofs_and_credentials_do_not_show_themselves():
    assert "canary" not in repr(SECRET)
    assert "canary" not in repr(_Proof(value="Bearer canary", until=1.0))


TOKEN = IdentityToken(value="canary-token")


def test_an_identity_token_is_posted_to_the_token_service_alone():
    client = Client(challenge=f'Bearer realm="{REALM}?a=b",service="r s"')
    assert log_in(client, host("registry.example.com"), credentials=TOKEN).status == 200
    asked = token_request(client)
    assert asked.authorization is None
    assert parse_qs(asked.form.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary-token"],
        "client_id": ["plimsoll"],
        "scope": ["repository:app:pull"],
        "service": ["r s"],
    }
    assert [sent.form for sent in client.sent if sent is not asked] == [None, None]


@pytest.mark.parametrize(
    ("to", "realm"),
    [
        (host("registry.other.net"), REALM),
        (host("registry.example.com"), "http://auth.example.com/token"),
        (host("registry.example.com", scheme="http"), REALM),
    ],
)
def test_another_realm_is_asked_without_the_identity_token(to, realm):
    client = Client(challenge=f'Bearer realm="{realm}"')
    assert log_in(client, to, credentials=TOKEN).status == 200
    assert token_request(client).form is None
    assert "canary" not in repr(client.sent)


def test_an_identity_token_answers_no_basic_challenge():
    client = Client(challenge="Basic realm=x")
    with pytest.raises(UnauthorizedError, match="identity token") as caught:
        log_in(client, host("registry.example.com"), credentials=TOKEN)
    assert "canary" not in str(caught.value)
    assert [sent.authorization for sent in client.sent] == [None]


def test_a_registry_that_is_its_own_token_service_is_spoken_to_alike_and_no_other_is():
    loose = TLSSettings(verify=False, credentials_over_http=True)
    for realm, tls in (("registry.example.com", loose), ("auth.example.com", TLSSettings())):
        client = Client(challenge=f'Bearer realm="https://{realm}/token"')
        log_in(client, host("registry.example.com", tls=loose))
        [asked] = [sent for sent in client.sent if sent.authorization == BASIC]
        assert (asked.host, asked.tls) == (realm, tls)


def test_a_proof_is_for_one_way_to_one_host():
    one, other = host("registry.example.com"), host("registry.example.com", scheme="http")
    keys = [
        Repository(host=to, domain=to.name, path="app", stands_in=stands_in).key
        for to in (one, other)
        for stands_in in (True, False)
    ]
    assert len(set(keys)) == 4
