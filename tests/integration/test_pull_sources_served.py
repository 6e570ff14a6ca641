"""Mirrors, rewritten and blocked registries, and proxies, over real sockets: who is asked, in which order, with what."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

from fakes import hostile
from fakes.clock import Clock
from fakes.hostile import HostileRegistry
from plimsoll import limits
from plimsoll.config.access import Access
from plimsoll.config.auth_file import AuthFiles, parse_auth_file
from plimsoll.config.files import ConfigFile
from plimsoll.config.proxies import Proxies
from plimsoll.config.registries_toml import parse_registries_conf
from plimsoll.errors import (
    BlockedError,
    DigestMismatchError,
    NotFoundError,
    RateLimitedError,
    UnauthorizedError,
    UnreachableError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.settings import Credentials, HttpSettings, Routes, Settings, TLSSettings
from plimsoll.transport.registry import Registries, RegistrySource, connect

BLOB = b"a blob"
DOCUMENT = json.dumps({"schemaVersion": 2, "mediaType": hostile.MANIFEST, "config": {}, "layers": []}).encode()
DIGEST = Digest.of(DOCUMENT)
LAYER = Descriptor(media_type="application/octet-stream", digest=Digest.of(BLOB), size=len(BLOB))
CREDS = Credentials(username="canary", password="canary-password")
BASIC = f"Basic {base64.b64encode(b'canary:canary-password').decode()}"

CONF = """
[[registry]]
prefix = "registry.example/team"
location = "@PRIMARY@/there"
insecure = true
[[registry.mirror]]
location = "@MIRROR@/mirrored/team"
insecure = true
"""
MIRRORED = "/v2/mirrored/team/app/manifests/"
PRIMARY = "/v2/there/app/manifests/"


@dataclass
class Stage:
    mirror: HostileRegistry
    primary: HostileRegistry
    registries: Registries
    access: Access
    clock: Clock

    def source(self, name: str = "registry.example/team/app:v1") -> RegistrySource:
        reference = parse_docker_reference(name)
        self.access.own_credentials(reference.domain)
        return self.registries.open(reference)

    @property
    def asked(self) -> list[str]:
        return [
            f"{name} {seen.path}"
            for name, registry in (("mirror", self.mirror), ("primary", self.primary))
            for seen in registry.seen
        ]


@asynccontextmanager
async def staged(
    conf: str = CONF,
    *,
    settings: Settings | None = None,
    auths: dict[str, str] | None = None,
    retries: int = 2,
    timeout_s: float = 10.0,
) -> AsyncIterator[Stage]:
    clock = Clock()
    async with HostileRegistry() as mirror, HostileRegistry() as primary:
        places = {"@MIRROR@": mirror.host, "@PRIMARY@": primary.host}
        for place, host in places.items():
            conf = conf.replace(place, host)
        entries = {
            places.get(host, host): {"auth": base64.b64encode(login.encode()).decode()}
            for host, login in (auths or {}).items()
        }
        auth_file = parse_auth_file(ConfigFile(origin="auth.json", data=json.dumps({"auths": entries}).encode()))
        access = Access(
            settings or Settings(),
            auth_files=AuthFiles(files=(auth_file,)),
            registries=parse_registries_conf(ConfigFile(origin="x.conf", data=conf.encode())),
            environ={},
            system=(),
        )
        registries = connect(
            HttpSettings(timeout_s=timeout_s, retries=retries),
            credentials_for=access.credentials_for,
            tls_for=access.tls_for,
            routes=Routes(endpoints_for=access.endpoints_for, repository_for=access.repository_for),
            sleep=clock.sleep,
            monotonic=clock.monotonic,
            jitter=lambda: 1.0,
            wall_s=clock.wall_s,
        )
        try:
            yield Stage(mirror, primary, registries, access, clock)
        finally:
            await registries.aclose()


def run(story: Callable[[Stage], Awaitable[None]], conf: str = CONF, **how: object) -> None:
    async def main() -> None:
        async with staged(conf, **how) as stage:
            await story(stage)

    asyncio.run(main())


def test_the_mirror_supplies_the_bytes_and_the_location_stays_the_users() -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}v1", hostile.manifest(DOCUMENT))
        stage.mirror.on(f"/v2/mirrored/team/app/blobs/{LAYER.digest}", hostile.reply(BLOB))
        stage.mirror.on(f"{MIRRORED}{DIGEST.tag}.sig", hostile.manifest(DOCUMENT))
        source = stage.source()
        assert (await source.manifest()).data == DOCUMENT
        assert await source.blob(LAYER, limit=100) == BLOB
        assert b"".join([chunk async for chunk in source.stream(LAYER)]) == BLOB
        await source.manifest_by_tag(f"{DIGEST.tag}.sig")
        with pytest.raises(NotFoundError):
            await source.manifest_by_tag("sha256-0.sig")
        assert await source.referrers(DIGEST, whole=False) == ()
        assert stage.primary.seen == []
        assert source.location.identity == "registry.example/team/app:v1"
        assert str(source.physical) == f"docker://{stage.mirror.host}/mirrored/team/app:v1"
        assert source.contacted == (f"{stage.mirror.host}/mirrored/team/app",)
        assert source.meter.requests == len(stage.mirror.seen)

    run(story)


FAILURES = {
    "not there": hostile.refused(404, "MANIFEST_UNKNOWN"),
    "forbidden": hostile.refused(403),
    "no login": hostile.refused(401, "UNAUTHORIZED"),
    "broken": hostile.refused(500, "UNKNOWN"),
    "limited": hostile.refused(429, "TOOMANYREQUESTS", Retry_After="3600"),
    "hung up": hostile.hang_up(),
    "no HTTP": hostile.rubbish(b"\0\0"),
    "too long": hostile.reply(b"", said=1 << 30),
    "encoded": hostile.reply(b"x", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_mirror_that_fails_gives_way_to_the_primary_at_once(failure: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}v1", failure)
        stage.primary.on(f"{PRIMARY}v1", hostile.manifest(DOCUMENT))
        stage.primary.on(f"/v2/there/app/blobs/{LAYER.digest}", hostile.reply(BLOB))
        source = stage.source()
        assert (await source.manifest()).data == DOCUMENT
        assert await source.blob(LAYER, limit=100) == BLOB
        assert len(stage.mirror.seen) == 1
        assert source.contacted == (f"{stage.mirror.host}/mirrored/team/app", f"{stage.primary.host}/there/app")
        assert source.physical.repository == f"{stage.primary.host}/there/app"
        assert stage.clock.slept == []

    run(story)


def test_a_mirror_that_is_not_there_gives_way_to_the_primary() -> None:
    async def story(stage: Stage) -> None:
        stage.primary.on(f"{PRIMARY}v1", hostile.manifest(DOCUMENT))
        await stage.mirror.__aexit__()
        assert (await stage.source().manifest()).data == DOCUMENT

    run(story)


@contextmanager
def deaf() -> Iterator[str]:
    """A place that lets connections time out: its queue is full, so the system drops what comes."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("insecure", ["true", "false"])
def test_a_mirror_that_lets_connections_time_out_is_tried_last_for_a_while(
    insecure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TLS_PROBE_LOOPBACK_S", 0.1)

    async def story(stage: Stage) -> None:
        mirror, primary = f"{silent}/mirrored/team/app", f"{stage.primary.host}/there/app"
        stage.primary.on(f"{PRIMARY}v1", hostile.manifest(DOCUMENT))
        for contacted in ((mirror, primary), (primary,), (primary,)):
            source = stage.source()
            assert (await source.manifest()).data == DOCUMENT
            assert source.contacted == contacted
        missing = stage.source("registry.example/team/app:v2")
        with pytest.raises(NotFoundError, match=rf"{stage.primary.host}.*mirrors failed.*{silent}.*no connection in"):
            await missing.manifest()
        assert missing.contacted == (primary, mirror)  # the last that failed stays the last asked
        stage.clock.now += 31
        source = stage.source()
        assert (await source.manifest()).data == DOCUMENT
        assert source.contacted == (mirror, primary)

    with deaf() as silent:
        conf = CONF.replace("@MIRROR@", silent)
        head, _, tail = conf.rpartition("insecure = true")
        run(story, f"{head}insecure = {insecure}{tail}", retries=0, timeout_s=1.0)


def test_a_mirror_with_other_bytes_for_a_digest_is_named_and_nobody_else_is_asked() -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}{DIGEST}", hostile.manifest(DOCUMENT + b" "))
        stage.primary.on(f"{PRIMARY}{DIGEST}", hostile.manifest(DOCUMENT))
        with pytest.raises(DigestMismatchError, match=rf"{stage.mirror.host}/mirrored/team/app serves it hashes to"):
            await stage.source(f"registry.example/team/app@{DIGEST}").manifest()
        assert stage.primary.seen == []
        stage.mirror.on(f"{MIRRORED}{DIGEST}", hostile.manifest(DOCUMENT))
        assert (await stage.source(f"registry.example/team/app@{DIGEST}").manifest()).data == DOCUMENT

    run(story)


def test_when_all_fail_the_primarys_error_tells_the_mirrors_too() -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}v1", hostile.refused(403))
        source = stage.source()
        with pytest.raises(NotFoundError, match=rf"{stage.primary.host}.*mirrors failed.*{stage.mirror.host}.*DENIED"):
            await source.manifest()
        assert len(source.contacted) == 2
        assert len(stage.mirror.seen) == len(stage.primary.seen) == 1  # neither error goes away by trying again

    run(story)


def test_all_are_tried_again_together_while_one_of_them_may_recover() -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}v1", hostile.in_turn(hostile.refused(503), hostile.manifest(DOCUMENT)))
        source = stage.source()
        assert (await source.manifest()).data == DOCUMENT
        assert len(stage.clock.slept) == 1
        # The one that has it is the last of those contacted.
        assert source.contacted == (f"{stage.primary.host}/there/app", f"{stage.mirror.host}/mirrored/team/app")

    run(story)


def test_the_rounds_end() -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}v1", hostile.refused(503))
        with pytest.raises(NotFoundError):
            await stage.source().manifest()
        assert (len(stage.mirror.seen), len(stage.primary.seen)) == (3, 3)

    run(story)


def test_a_long_retry_after_of_all_of_them_ends_it_at_once() -> None:
    async def story(stage: Stage) -> None:
        for registry, path in ((stage.mirror, MIRRORED), (stage.primary, PRIMARY)):
            registry.on(f"{path}v1", hostile.refused(429, "TOOMANYREQUESTS", Retry_After="3600"))
        with pytest.raises(RateLimitedError):
            await stage.source().manifest()
        assert (len(stage.mirror.seen), len(stage.primary.seen)) == (1, 1)

    run(story)


def test_tags_are_listed_at_the_registry_that_is_named() -> None:
    conf = CONF.replace('"registry.example/team"', '"@PRIMARY@/team"')

    async def story(stage: Stage) -> None:
        stage.primary.on("/v2/team/app/tags/list", hostile.reply(b'{"tags": ["v1"]}'))
        source = stage.registries.open_repository(parse_docker_reference(f"{stage.primary.host}/team/app"))
        assert [tag async for tag in source.tags()] == ["v1"]
        assert stage.mirror.seen == []

    run(story, conf)


def challenged(stage: Stage, *, good: str) -> None:
    for registry, path in ((stage.mirror, MIRRORED), (stage.primary, PRIMARY)):
        registry.on(f"{path}v1", hostile.needs(good, hostile.manifest(DOCUMENT), challenge="Basic realm=x"))


def sent(registry: HostileRegistry) -> set[str | None]:
    return {seen.headers.get("authorization") for seen in registry.seen}


@pytest.mark.parametrize("owner", [None, "mirror", "primary"])
def test_creds_go_to_no_registry_that_stands_in_for_another(owner: str | None) -> None:
    async def story(stage: Stage) -> None:
        if owner is not None:
            # Not even where they belong to the very host that the mirror is at.
            stage.access.own_credentials(getattr(stage, owner).host)
        challenged(stage, good=BASIC)
        with pytest.raises(UnauthorizedError):
            await stage.source().manifest()
        assert sent(stage.mirror) == sent(stage.primary) == {None}

    run(story, settings=Settings(credentials=CREDS))


def test_creds_go_where_the_registry_is_its_own_primary_and_not_to_its_mirror() -> None:
    conf = CONF.replace('"registry.example/team"', '"@PRIMARY@/team"')

    async def story(stage: Stage) -> None:
        challenged(stage, good=BASIC)
        source = stage.source(f"{stage.primary.host}/team/app:v1")
        assert (await source.manifest()).data == DOCUMENT
        assert sent(stage.mirror) == {None}
        assert sent(stage.primary) == {None, BASIC}

    run(story, conf, settings=Settings(credentials=CREDS))


def test_a_mirror_has_the_login_that_the_auth_file_has_for_it() -> None:
    async def story(stage: Stage) -> None:
        challenged(stage, good=BASIC)
        assert (await stage.source().manifest()).data == DOCUMENT
        assert sent(stage.mirror) == {None, BASIC}
        assert stage.primary.seen == []

    run(story, auths={"@MIRROR@": "canary:canary-password", "registry.example": "not:this", "@PRIMARY@": "nor:this"})


def test_a_token_got_for_a_registry_itself_is_not_used_where_it_stands_in() -> None:
    async def story(stage: Stage) -> None:
        challenge = f'Bearer realm="http://{stage.mirror.host}/token"'
        for path in (f"{MIRRORED}v1", "/v2/mirrored/team/app/manifests/own"):
            stage.mirror.on(path, hostile.needs("Bearer t", hostile.manifest(DOCUMENT), challenge=challenge))
        stage.mirror.on("/token", hostile.token("t"))
        stage.access.own_credentials(stage.mirror.host)
        await stage.source(f"{stage.mirror.host}/mirrored/team/app:own").manifest()
        await stage.source().manifest()
        assert [seen.headers.get("authorization") for seen in stage.mirror.asked("/token")] == [BASIC, None]

    run(story, f"{CONF}[[registry]]\nlocation = '@MIRROR@'\ninsecure = true", settings=Settings(credentials=CREDS))


def test_an_endpoint_that_is_not_insecure_is_not_spoken_to_plainly() -> None:
    async def story(stage: Stage) -> None:
        stage.mirror.on(f"{MIRRORED}v1", hostile.manifest(DOCUMENT))
        with pytest.raises(
            UnreachableError,
            match=f"https://{stage.primary.host}.*: no connection.*https://{stage.mirror.host}",
        ):
            await stage.source().manifest()
        assert stage.mirror.seen == stage.primary.seen == []

    run(story, CONF.replace("insecure = true", ""), retries=0)
    run(story, settings=Settings(tls_verify=True), retries=0)


def test_without_tls_verify_every_endpoint_may_be_plain() -> None:
    async def story(stage: Stage) -> None:
        stage.primary.on(f"{PRIMARY}v1", hostile.manifest(DOCUMENT))
        assert (await stage.source().manifest()).data == DOCUMENT

    run(story, CONF.replace("insecure = true", ""), settings=Settings(tls_verify=False))


def test_nobody_is_asked_for_what_is_blocked() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(BlockedError):
            stage.source()
        with pytest.raises(BlockedError):
            stage.registries.open_repository(parse_docker_reference("registry.example/team/app"))
        assert stage.mirror.seen == stage.primary.seen == []

    run(story, CONF.replace("insecure = true", "insecure = true\nblocked = true", 1))


def test_an_identity_token_is_posted_and_follows_no_redirect() -> None:
    async def story(stage: Stage) -> None:
        challenge = f'Bearer realm="http://{stage.mirror.host}/token"'
        good = hostile.needs("Bearer t", hostile.manifest(DOCUMENT), challenge=challenge)
        stage.mirror.on(f"{MIRRORED}v1", good)
        stage.mirror.on("/token", hostile.token("t"))
        source = stage.registries.open(parse_docker_reference("registry.example/team/app:v1"))
        assert (await source.manifest()).data == DOCUMENT
        [asked] = stage.mirror.asked("/token")
        assert asked.method == "POST"
        assert b"refresh_token=canary-token" in asked.body
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        stage.mirror.on("/token", hostile.redirect(f"http://{stage.primary.host}/token"))
        stage.registries.authorizer._proofs.clear()
        with pytest.raises(NotFoundError, match="redirects a request that holds a secret"):
            await stage.registries.open(parse_docker_reference("registry.example/team/app:v1")).manifest()
        assert stage.primary.asked("/token") == []

    async def main() -> None:
        async with staged(auths={}) as stage:
            token = {"auths": {stage.mirror.host: {"identitytoken": "canary-token"}}}
            file = parse_auth_file(ConfigFile(origin="auth.json", data=json.dumps(token).encode()))
            stage.access._auth_files = AuthFiles(files=(file,))
            await story(stage)

    asyncio.run(main())


def test_a_proxy_carries_what_goes_to_other_hosts_and_nothing_to_this_one() -> None:
    async def main() -> None:
        async with HostileRegistry() as proxy, HostileRegistry() as local:
            proxy.on("http://registry.invalid/v2/app/manifests/v1", hostile.manifest(DOCUMENT))
            local.on("/v2/app/manifests/v1", hostile.manifest(DOCUMENT))
            url = f"http://user:canary@{proxy.host}"
            plain = ("registry.invalid", local.host)
            registries = connect(
                HttpSettings(timeout_s=10.0, retries=0),
                credentials_for=Access(Settings(), auth_files=AuthFiles(), environ={}).credentials_for,
                tls_for=lambda host: TLSSettings(verify=host not in plain),
                routes=Routes(proxy_for=Proxies({"HTTP_PROXY": url, "HTTPS_PROXY": url}).proxy_for),
            )
            try:
                for host in plain:
                    source = registries.open(parse_docker_reference(f"{host}/app:v1"))
                    assert (await source.manifest()).data == DOCUMENT
                with pytest.raises(UnreachableError, match="proxy refuses") as caught:
                    await registries.open(parse_docker_reference("other.invalid/app:v1")).manifest()
                assert "canary" not in str(caught.value)
            finally:
                await registries.aclose()
            assert [seen.method for seen in proxy.seen][:2] == ["CONNECT", "GET"]
            assert {seen.headers["proxy-authorization"] for seen in proxy.seen} == {
                f"Basic {base64.b64encode(b'user:canary').decode()}"
            }
            assert [seen.target for seen in local.seen] == ["/v2/app/manifests/v1"]
            assert "proxy-authorization" not in local.seen[0].headers

    asyncio.run(main())


def test_the_document_is_what_its_digest_says() -> None:
    assert DIGEST.hex == hashlib.sha256(DOCUMENT).hexdigest()
