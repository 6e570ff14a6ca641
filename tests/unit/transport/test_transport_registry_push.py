"""Writing to a registry: what is sent, with which rights, and what of a liar's answers is not followed."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import pytest

from fakes.clock import Clock
from fakes.hostile import HostileRegistry, hang_up, in_turn, needs, redirect, refused, reply, token
from plimsoll.errors import RegistryError, TransportError, UnauthorizedError
from plimsoll.model.descriptor import OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.reference import DockerReference
from plimsoll.model.settings import Credentials, HttpSettings, TLSSettings
from plimsoll.transport.registry import connect
from plimsoll.transport.registry_push import RegistryDestination

BEGIN, PLACE, TAGGED = "/v2/app/blobs/uploads/", "/v2/app/blobs/uploads/1", "/v2/app/manifests/v1.sig"
ACCEPTED = reply(status=202, Location=PLACE)
CREATED = reply(status=201)
SECRET = Credentials(username="user", password="canary")


def push(prepare, act, *, retries=0):
    """Run ``act`` on a destination at a server that ``prepare`` has taught; gives the server."""

    async def run():
        async with asyncio.timeout(20), HostileRegistry() as server:
            prepare(server)

            async def known(host, repository, *, stands_in=False):
                return SECRET if host == server.host else None

            registries = connect(
                HttpSettings(retries=retries, timeout_s=10.0),
                credentials_for=known,
                tls_for=lambda _: TLSSettings(verify=False),
                sleep=Clock().sleep,
            )
            reference = DockerReference(domain=server.host, path="app", tag="v1")
            try:
                await act(RegistryDestination(reference, registries=registries))
            finally:
                await registries.aclose()
            return server

    return asyncio.run(run())


async def blob(destination):
    await destination.put_blob(b"data")


async def manifest(destination):
    await destination.put_manifest(b"{}", tag="v1.sig", media_type=OCI_MANIFEST)


def good(server):
    server.on(BEGIN, ACCEPTED)
    server.on(PLACE, CREATED)
    server.on(TAGGED, CREATED)


def lines(server):
    return [(seen.method, seen.path, seen.body) for seen in server.seen]


def test_a_blob_is_announced_and_put():
    server = push(good, blob)
    assert lines(server) == [("POST", BEGIN, b""), ("PUT", PLACE, b"data")]
    begun, put = server.seen
    assert begun.headers["content-length"] == "0"
    assert parse_qs(put.target.partition("?")[2]) == {"digest": [str(Digest.of(b"data"))]}
    assert put.headers["content-type"] == "application/octet-stream"


def test_a_manifest_is_put_under_its_tag():
    server = push(good, manifest)
    assert lines(server) == [("PUT", TAGGED, b"{}")]
    assert server.seen[0].headers["content-type"] == OCI_MANIFEST


def test_an_upload_that_breaks_is_begun_anew():
    def prepare(server):
        server.on(BEGIN, in_turn(refused(503), ACCEPTED))
        server.on(PLACE, in_turn(hang_up(), refused(500), CREATED))

    server = push(prepare, blob, retries=5)
    asked = [path for _, path, _ in lines(server)]
    assert asked == [BEGIN, BEGIN, PLACE, BEGIN, PLACE, BEGIN, PLACE]
    with pytest.raises(TransportError):
        push(prepare, blob, retries=2)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (BEGIN, reply(status=200)),
        (BEGIN, reply(status=201, Location=PLACE)),
        (BEGIN, reply(status=202)),
        (BEGIN, reply(status=202, Location="http://evil.example/u")),
        (BEGIN, refused(405, "UNSUPPORTED")),
        (BEGIN, refused(404, "NAME_UNKNOWN")),
        (PLACE, reply(status=200)),
        (PLACE, reply(status=202, Location=PLACE)),
        (PLACE, refused(400, "DIGEST_INVALID")),
        (PLACE, refused(413)),
    ],
)
def test_any_answer_but_the_right_one_is_a_refusal(path, answer):
    def prepare(server):
        good(server)
        server.on(path, answer)

    with pytest.raises(TransportError):
        push(prepare, blob)


@pytest.mark.parametrize("answer", [reply(status=200), reply(status=202), refused(400, "MANIFEST_INVALID")])
def test_a_manifest_that_is_not_created_is_a_refusal(answer):
    with pytest.raises(TransportError):
        push(lambda server: server.on(TAGGED, answer), manifest)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_writes_follows_no_redirect(status):
    asked = []

    def prepare(server):
        good(server)
        server.on(TAGGED, redirect(BEGIN, status=status))
        asked.append(server)

    with pytest.raises(RegistryError, match="redirects a request that writes"):
        push(prepare, manifest)
    assert [seen.path for seen in asked[0].seen] == [TAGGED]


def test_the_token_is_asked_for_with_the_right_to_push():
    def prepare(server):
        challenge = f'Bearer realm="http://{server.host}/token",service="s",scope="repository:app:pull"'
        server.on("/token", token("t0k3n"))
        for path, answer in ((BEGIN, ACCEPTED), (PLACE, CREATED)):
            server.on(path, needs("Bearer t0k3n", answer, challenge=challenge))

    server = push(prepare, blob)
    [asked] = server.asked("/token")
    assert parse_qs(asked.target.partition("?")[2])["scope"] == ["repository:app:pull,push"]
    assert [seen.body for seen in server.asked(PLACE)] == [b"data"]


def test_a_login_that_may_not_push_is_unauthorized_and_not_shown():
    with pytest.raises(UnauthorizedError) as caught:
        push(lambda server: server.on(BEGIN, refused(401, WWW_Authenticate="Basic realm=x")), blob)
    assert "canary" not in str(caught.value)
    with pytest.raises(UnauthorizedError):
        push(lambda server: server.on(BEGIN, refused(403)), blob)
