from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from fakes import hostile
from fakes.clock import Clock
from fakes.hostile import HostileRegistry
from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    DigestMismatchError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnauthorizedError,
    UnreachableError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import DockerReference, parse_docker_reference
from plimsoll.model.settings import Credentials, HttpSettings, Login, TLSSettings
from plimsoll.transport.registry import Registries, RegistrySource, connect

BLOB = bytes(range(256)) * 64
DIGEST = Digest.of(BLOB)
LAYER = Descriptor(media_type="application/octet-stream", digest=DIGEST, size=len(BLOB))
BLOB_PATH = f"/v2/app/blobs/{DIGEST}"
DOCUMENT = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": hostile.MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(DIGEST), "size": len(BLOB)},
        "layers": [],
    }
).encode()
OTHER_CONFIG = json.dumps(
    {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(Digest.of(b"{}")), "size": 2}
).encode()
PATH = "/v2/app/manifests/v1"
SECRET = Credentials(username="canary", password="canary-password")


@dataclass
class Stage:
    registry: HostileRegistry
    registries: Registries
    clock: Clock

    def source(self, name: str = "app:v1") -> RegistrySource:
        return self.registries.open(self.reference(name))

    def reference(self, name: str) -> DockerReference:
        return parse_docker_reference(f"{self.registry.host}/{name}")


@asynccontextmanager
async def staged(
    *,
    credentials: Credentials | None = None,
    settings: HttpSettings | None = None,
    verify: Callable[[str], bool] = lambda _: False,
    patient: bool = False,
    frank: bool = False,
) -> AsyncIterator[Stage]:
    clock = Clock()
    async with HostileRegistry(patient=patient, frank=frank) as registry:

        async def credentials_for(host: str, _: str, *, stands_in: bool = False) -> Login | None:
            return credentials if host == registry.host and not stands_in else None

        registries = connect(
            settings or HttpSettings(timeout_s=10.0),
            credentials_for=credentials_for,
            tls_for=lambda host: TLSSettings(verify=verify(host)),
            sleep=clock.sleep,
            monotonic=clock.monotonic,
            jitter=lambda: 1.0,
            wall_s=clock.wall_s,
        )
        try:
            yield Stage(registry, registries, clock)
        finally:
            await registries.aclose()


def run(story: Callable[[Stage], Awaitable[None]], **how: object) -> None:
    async def main() -> None:
        async with staged(**how) as stage:
            await story(stage)

    asyncio.run(main())


async def read(source: RegistrySource, descriptor: Descriptor = LAYER) -> bytes:
    return b"".join([chunk async for chunk in source.stream(descriptor)])


def test_an_honest_answer_is_read_and_counted() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.manifest(DOCUMENT))
        stage.registry.on(BLOB_PATH, hostile.ranged(BLOB))
        source = stage.source()
        raw = await source.manifest()
        assert raw == RawManifest(data=DOCUMENT, content_type=hostile.MANIFEST)
        assert await source.blob(LAYER, limit=len(BLOB)) == BLOB
        assert await read(source) == BLOB
        # One try over TLS found out that the host speaks plain HTTP.
        assert stage.registry.hellos == 1
        assert source.meter.requests == len(stage.registry.seen) == 3
        assert source.meter.bytes == len(DOCUMENT) + 2 * len(BLOB)
        assert stage.clock.slept == []

    run(story)


def test_one_accept_field_names_all_four_types_and_no_encoding_is_accepted() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.manifest(DOCUMENT))
        await stage.source().manifest()
        [seen] = stage.registry.seen
        assert seen.method == "GET"
        assert seen.headers["accept"].count("application/vnd.") == 4
        assert seen.headers["accept-encoding"] == "identity"
        assert "authorization" not in seen.headers

    run(story)


@pytest.mark.parametrize("requests_at_once", [1, 40])
def test_the_scheme_is_found_out_once_for_all_images_of_a_host(requests_at_once: int) -> None:
    async def story(stage: Stage) -> None:
        sources = [stage.source(f"app:v{at}") for at in range(requests_at_once)]
        for at in range(requests_at_once):
            stage.registry.on(f"/v2/app/manifests/v{at}", hostile.manifest(DOCUMENT))
        await asyncio.gather(*(source.manifest() for source in sources))
        assert stage.registry.hellos == 1
        assert sum(source.meter.requests for source in sources) == requests_at_once

    run(story)


def test_a_plain_server_that_waits_after_a_tls_greeting_is_found_out_too() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.manifest(DOCUMENT))
        assert (await stage.source().manifest()).data == DOCUMENT
        assert stage.registry.hellos == 1

    run(story, patient=True)


def test_plain_http_is_not_tried_where_tls_must_be_proven() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.manifest(DOCUMENT))
        with pytest.raises(UnreachableError, match=r"TLS|connection"):
            await stage.source().manifest()
        assert stage.registry.seen == []

    run(story, verify=lambda _: True, settings=HttpSettings(retries=0))


def test_a_plain_host_that_hangs_up_on_its_first_request_is_found_out_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.in_turn(hostile.hang_up(), hostile.manifest(DOCUMENT)))
        replies = await asyncio.gather(*(stage.source().manifest() for _ in range(8)))
        assert {raw.data for raw in replies} == {DOCUMENT}
        assert stage.registry.hellos in (1, 2)  # another answer may have shown by then that the host speaks plainly

    run(story)


def test_a_400_over_plain_http_does_not_decide_for_plain_http() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.in_turn(hostile.reply(b"", status=400), hostile.manifest(DOCUMENT)))
        assert (await stage.source().manifest()).data == DOCUMENT
        assert stage.registry.hellos == 2

    run(story)


# --- lies about the body -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [len(DOCUMENT) - 7, len(DOCUMENT) + 7])
def test_a_lying_content_length_never_gives_a_manifest(said: int) -> None:
    async def story(stage: Stage) -> None:
        answer = hostile.reply(DOCUMENT, said=said, Content_Type=hostile.MANIFEST)
        stage.registry.on(PATH, answer)
        stage.registry.on(f"/v2/app/manifests/{Digest.of(DOCUMENT)}", answer)
        with pytest.raises((UnreachableError, DigestMismatchError)):
            await stage.source(f"app@{Digest.of(DOCUMENT)}").manifest()
        with pytest.raises((UnreachableError, MalformedManifestError)):
            parse_manifest(await stage.source().manifest())

    run(story)


def test_a_body_cut_short_is_tried_again_as_often_as_set_and_counted() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.reply(DOCUMENT, said=len(DOCUMENT) + 7))
        source = stage.source()
        with pytest.raises(UnreachableError, match="broke off"):
            await source.manifest()
        assert len(stage.registry.seen) == 6
        assert source.meter.requests == 6
        # The jitter is at its most here: the waits double from 0.1 s.
        assert stage.clock.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])

    run(story)


@pytest.mark.parametrize(
    "answer",
    [hostile.endless_body(), hostile.endless_body(chunked=False), hostile.reply(b"", said=10 * 1024**4)],
    ids=["chunks", "no-length", "stated"],
)
def test_an_endless_body_is_cut_at_the_cap(answer: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, answer)
        source = stage.source()
        with pytest.raises(LimitExceededError, match=str(limits.MANIFEST_BYTES)):
            await source.manifest()
        assert len(stage.registry.seen) == 1

    run(story)


@pytest.mark.parametrize("one_line", [True, False])
def test_an_endless_head_is_cut_too(one_line: bool) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.endless_head(one_line=one_line))
        with pytest.raises(UnreachableError):
            await stage.source().manifest()

    run(story, settings=HttpSettings(retries=0))


def test_rubbish_instead_of_http_is_unreachable() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.rubbish(b"\x00\xff SSH-2.0 hello\r\n\r\n"))
        with pytest.raises(UnreachableError, match="no HTTP"):
            await stage.source().manifest()

    run(story, settings=HttpSettings(retries=0))


def test_an_encoded_body_is_refused_and_identity_is_not() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.reply(DOCUMENT, Content_Encoding="gzip"))
        stage.registry.on("/v2/app/manifests/v2", hostile.reply(DOCUMENT, Content_Encoding="identity"))
        stage.registry.on(BLOB_PATH, hostile.reply(BLOB, Content_Encoding="gzip"))
        with pytest.raises(ContentError, match="gzip"):
            await stage.source().manifest()
        assert (await stage.source("app:v2").manifest()).data == DOCUMENT
        with pytest.raises(ContentError, match="gzip"):
            await read(stage.source())

    run(story)


def test_a_manifest_of_another_digest_is_refused_and_its_own_accepted() -> None:
    async def story(stage: Stage) -> None:
        right, wrong = Digest.of(DOCUMENT, algorithm="sha512"), Digest.of(b"other", algorithm="sha512")
        for digest in (right, wrong):
            stage.registry.on(f"/v2/app/manifests/{digest}", hostile.manifest(DOCUMENT))
        assert (await stage.source(f"app@{right}").manifest()).data == DOCUMENT
        with pytest.raises(DigestMismatchError, match=right.hex):
            await stage.source(f"app@{wrong}").manifest()

    run(story)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_manifest_of_another_size_than_its_descriptor_is_refused(change: int) -> None:
    async def story(stage: Stage) -> None:
        digest = Digest.of(DOCUMENT)
        stage.registry.on(f"/v2/app/manifests/{digest}", hostile.manifest(DOCUMENT))
        good = Descriptor(media_type=hostile.MANIFEST, digest=digest, size=len(DOCUMENT))
        bad = Descriptor(media_type=hostile.MANIFEST, digest=digest, size=len(DOCUMENT) + change)
        assert (await stage.source().manifest_by_digest(good)).data == DOCUMENT
        with pytest.raises(DigestMismatchError, match="bytes"):
            await stage.source().manifest_by_digest(bad)

    run(story)


@pytest.mark.parametrize("served", [BLOB[:-1], BLOB + b"x", BLOB[:-1] + b"x", b""])
def test_a_blob_that_is_not_its_descriptor_is_refused(served: bytes) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.reply(served))
        with pytest.raises(DigestMismatchError):
            await stage.source().blob(LAYER, limit=len(BLOB))

    run(story)


def test_what_is_said_to_be_too_large_is_not_even_asked_for() -> None:
    async def story(stage: Stage) -> None:
        source = stage.source()
        with pytest.raises(LimitExceededError):
            await source.blob(LAYER, limit=len(BLOB) - 1)
        huge = Descriptor(media_type=hostile.MANIFEST, digest=DIGEST, size=limits.MANIFEST_BYTES + 1)
        with pytest.raises(LimitExceededError):
            await source.manifest_by_digest(huge)
        assert source.meter.requests == 0

    run(story)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        # Each reader would find a whole manifest here, the first that wins or the last.
        (DOCUMENT.replace(b'"layers"', b'"config": %s, "layers"' % OTHER_CONFIG), "already has"),
        (DOCUMENT.replace(b'"layers": []', b'"layers": [], "manifests": []'), "also has 'manifests'"),
    ],
    ids=["duplicate-key", "index-and-manifest"],
)
def test_an_ambiguous_manifest_is_refused_by_the_model(document: bytes, said: str) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.manifest(document))
        with pytest.raises(MalformedManifestError, match=said):
            parse_manifest(await stage.source().manifest())

    run(story)


# --- refusals and other tries ------------------------------------------------------------------------------------


def test_500_twice_then_good_is_good() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.in_turn(hostile.refused(500), hostile.refused(502), hostile.manifest(DOCUMENT)))
        source = stage.source()
        assert (await source.manifest()).data == DOCUMENT
        assert source.meter.requests == 3
        assert stage.clock.slept == pytest.approx([0.1, 0.2])

    run(story)


def test_500_for_ever_is_a_server_error() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.refused(500, "UNKNOWN"))
        with pytest.raises(RegistryError, match="because UNKNOWN") as caught:
            await stage.source().manifest()
        assert caught.value.code == "server-error"
        assert len(stage.registry.seen) == 6

    run(story)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, NotFoundError),
        (403, UnauthorizedError),
        (405, RegistryError),
        (204, RegistryError),
    ],
)
def test_what_another_try_does_not_mend_is_not_tried_again(status: int, error: type[Exception]) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.reply(b"", status=status))
        with pytest.raises(error):
            await stage.source().manifest()
        assert len(stage.registry.seen) == 1
        assert stage.clock.slept == []

    run(story)


def test_a_registrys_own_400_is_its_answer_and_is_not_tried_again() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.refused(400, "MANIFEST_INVALID"))
        with pytest.raises(RegistryError, match="because MANIFEST_INVALID"):
            await stage.source().manifest()
        assert len(stage.registry.seen) == 1
        assert stage.clock.slept == []
        stage.registry.on(PATH, hostile.manifest(DOCUMENT))
        assert (await stage.source().manifest()).data == DOCUMENT

    run(story)


def test_a_400_after_tls_broke_off_may_be_a_tls_ports_and_both_are_said() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.reply(b"Bad Request", status=400))
        with pytest.raises(UnreachableError, match=r"https://.*no connection.*over plain HTTP.*status 400"):
            await stage.source().manifest()
        # A connection that broke off may hold the next time: that is tried again.
        assert len(stage.registry.seen) == stage.registry.hellos == 6

    run(story)


def test_a_400_of_a_host_that_answers_tls_in_plain_http_is_its_own() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.reply(b"Bad Request", status=400))
        with pytest.raises(RegistryError, match="status 400"):
            await stage.source().manifest()
        assert len(stage.registry.seen) == stage.registry.hellos == 1

    run(story, frank=True)


def test_429_is_waited_for_as_long_as_it_asks_and_no_longer() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.in_turn(hostile.refused(429, Retry_After="7"), hostile.manifest(DOCUMENT)))
        assert (await stage.source().manifest()).data == DOCUMENT
        assert stage.clock.slept == pytest.approx([7.1])

    run(story)


@pytest.mark.parametrize(
    "after",
    [
        "3600",
        "31",
        "9999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri Dec 31 23:59:59 9999",
        "Wednesday, 31-Dec-70 23:59:59 GMT",
    ],
)
def test_a_longer_wait_than_the_cap_ends_the_tries_at_once(after: str) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.refused(429, Retry_After=after))
        with pytest.raises(RateLimitedError) as caught:
            await stage.source().manifest()
        assert caught.value.code == "rate-limited"
        assert len(stage.registry.seen) == 1
        assert stage.clock.slept == []

    run(story)


def test_a_429_now_and_then_holds_nobody_else() -> None:
    async def story(stage: Stage) -> None:
        for at in range(60):
            good = hostile.manifest(DOCUMENT)
            stage.registry.on(
                f"/v2/app/manifests/v{at}",
                hostile.in_turn(hostile.refused(429, Retry_After="5"), good) if at == 30 else good,
            )
            await stage.source(f"app:v{at}").manifest()
        assert stage.clock.slept == pytest.approx([5.1])

    run(story)


@pytest.mark.parametrize(("refused", "held"), [(4, False), (16, True)])
def test_a_host_is_held_as_a_whole_only_when_it_refuses_more_than_a_tenth(refused: int, held: bool) -> None:
    async def story(stage: Stage) -> None:
        good, bad = hostile.manifest(DOCUMENT), hostile.refused(429, Retry_After="5")
        for at in range(100):
            stage.registry.on(PATH, hostile.in_turn(bad, good) if at >= 100 - refused else good)
            await stage.source().manifest()
        stage.registry.on("/v2/app/manifests/last", hostile.in_turn(hostile.refused(429, Retry_After="9"), good))
        stage.registry.on("/v2/app/manifests/other", good)
        stage.clock.freeze()
        last = asyncio.create_task(stage.source("app:last").manifest())
        while stage.clock.slept[-1] < 9:
            await asyncio.sleep(0.001)
        other = asyncio.create_task(stage.source("app:other").manifest())
        await asyncio.sleep(0.1)
        assert stage.clock.slept[-1] == pytest.approx(9.0 if held else 9.1)
        assert len(stage.registry.asked("/v2/app/manifests/other")) == (0 if held else 1)
        stage.clock.thaw()
        assert [(await last).data, (await other).data] == [DOCUMENT, DOCUMENT]

    run(story)


def test_silence_is_a_time_out() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.silence())
        stage.registry.on(BLOB_PATH, hostile.silence())
        with pytest.raises(RequestTimeoutError) as caught:
            await stage.source().manifest()
        assert caught.value.code == "timeout"
        with pytest.raises(RequestTimeoutError):
            await read(stage.source())

    run(story, settings=HttpSettings(timeout_s=0.2, retries=0))


def test_a_drip_of_bytes_is_a_time_out_too() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.drip(DOCUMENT, pause_s=0.05))
        with pytest.raises(RequestTimeoutError):
            await stage.source().manifest()

    run(story, settings=HttpSettings(timeout_s=0.2, retries=0))


def test_a_request_that_a_kept_connection_lost_is_counted_when_it_is_sent_again() -> None:
    # aiohttp would send it a second time by itself, unseen (connections._sent_once).
    async def story(stage: Stage) -> None:
        good = hostile.manifest(DOCUMENT)
        stage.registry.on(PATH, hostile.in_turn(good, hostile.hang_up(), hostile.hang_up(), good))
        source = stage.source()
        await source.manifest()
        await source.manifest()
        assert len(stage.registry.seen) == 4
        assert source.meter.requests == 4
        assert stage.clock.slept == pytest.approx([0.1, 0.2])

    run(story)


def test_no_retries_means_that_nothing_is_sent_twice() -> None:
    async def story(stage: Stage) -> None:
        good = hostile.manifest(DOCUMENT)
        stage.registry.on(PATH, hostile.in_turn(good, hostile.hang_up(), good))
        source = stage.source()
        await source.manifest()
        with pytest.raises(UnreachableError, match="closed before an answer"):
            await source.manifest()
        assert len(stage.registry.seen) == 2

    run(story, settings=HttpSettings(retries=0))


# --- streams -----------------------------------------------------------------------------------------------------


def test_a_broken_stream_is_resumed_where_it_broke() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.in_turn(hostile.broken(BLOB, after=5000), hostile.ranged(BLOB)))
        source = stage.source()
        assert await read(source) == BLOB
        first, second = stage.registry.asked(BLOB_PATH)
        assert "range" not in first.headers
        start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
        assert 0 < start <= 5000

    run(story)


def test_a_server_that_ignores_the_range_is_read_from_its_beginning_but_yielded_from_the_break() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.in_turn(hostile.broken(BLOB, after=5000), hostile.reply(BLOB)))
        assert await read(stage.source()) == BLOB

    run(story)


@pytest.mark.parametrize("content_range", ["bytes 0-16383/16384", "bytes 9-8/*", "bytes", ""])
def test_a_range_that_begins_elsewhere_is_refused(content_range: str) -> None:
    async def story(stage: Stage) -> None:
        wrong = hostile.reply(BLOB, status=206, Content_Range=content_range)
        stage.registry.on(BLOB_PATH, hostile.in_turn(hostile.broken(BLOB, after=5000), wrong))
        with pytest.raises(RegistryError, match="another range"):
            await read(stage.source())

    run(story)


def test_a_stream_that_always_breaks_ends_as_unreachable() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.broken(BLOB, after=100))
        with pytest.raises(UnreachableError):
            await read(stage.source())
        assert len(stage.registry.seen) == 6

    run(story)


def test_a_stream_without_a_marked_end_that_is_too_short_is_unreachable_not_wrong() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.unlimited(BLOB[:1000]))
        with pytest.raises(UnreachableError, match="1000 of"):
            await read(stage.source())

    run(story, settings=HttpSettings(retries=0))


def test_a_stream_yields_at_most_one_chunk_too_much() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.endless_body())
        got = await read(stage.source())
        assert len(BLOB) < len(got) <= len(BLOB) + 4 * limits.CHUNK_BYTES

    run(story)


def test_a_shorter_stream_with_its_end_marked_is_given_as_it_is() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.reply(BLOB[:-1]))
        assert await read(stage.source()) == BLOB[:-1]
        assert len(stage.registry.seen) == 1

    run(story)


def test_streams_give_their_places_back() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(BLOB_PATH, hostile.ranged(BLOB))
        for _ in range(5):
            stream = stage.source().stream(LAYER)
            await anext(stream)
            await stream.aclose()
        assert await read(stage.source()) == BLOB

    run(story, settings=HttpSettings(connections_per_host=1))


def test_a_missing_blob_is_not_found_when_streamed() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(NotFoundError):
            await read(stage.source())

    run(story)


def test_a_stream_too_slow_as_a_whole_is_a_time_out() -> None:
    async def story(stage: Stage) -> None:
        async def slow(_: hostile.Seen, writer: asyncio.StreamWriter) -> None:
            writer.write(hostile.head(200, {"Content-Length": str(len(BLOB))}))
            for at in range(0, len(BLOB), 4096):
                stage.clock.now += 12.0
                writer.write(BLOB[at : at + 4096])
                await writer.drain()
                await asyncio.sleep(0.05)

        stage.registry.on(BLOB_PATH, slow)
        with pytest.raises(RequestTimeoutError):
            await read(stage.source())

    run(story, settings=HttpSettings(retries=0))


# --- redirects ---------------------------------------------------------------------------------------------------


def test_a_redirect_to_another_host_carries_no_authorization_and_counts() -> None:
    async def story(stage: Stage) -> None:
        async with HostileRegistry() as elsewhere:
            elsewhere.on("/stored", hostile.reply(BLOB))
            good = hostile.redirect(f"http://{elsewhere.host}/stored?signature=canary-query")
            basic = "Basic Y2FuYXJ5OmNhbmFyeS1wYXNzd29yZA=="
            stage.registry.on(BLOB_PATH, hostile.needs(basic, good, challenge='Basic realm="here"'))
            source = stage.source()
            assert await source.blob(LAYER, limit=len(BLOB)) == BLOB
            assert stage.registry.seen[-1].headers["authorization"] == basic
            [seen] = elsewhere.seen
            assert "authorization" not in seen.headers
            assert source.meter.requests == len(stage.registry.seen) + 1 == 3
            assert await read(source) == BLOB
            assert "authorization" not in elsewhere.seen[-1].headers

    run(story, credentials=SECRET)


def test_a_redirect_within_the_origin_keeps_the_authorization() -> None:
    async def story(stage: Stage) -> None:
        basic = "Basic Y2FuYXJ5OmNhbmFyeS1wYXNzd29yZA=="
        stage.registry.on(PATH, hostile.needs(basic, hostile.redirect("/elsewhere"), challenge="Basic realm=x"))
        stage.registry.on("/elsewhere", hostile.manifest(DOCUMENT))
        assert (await stage.source().manifest()).data == DOCUMENT
        assert stage.registry.seen[-1].headers["authorization"] == basic
        assert "application/vnd.oci" in stage.registry.seen[-1].headers["accept"]

    run(story, credentials=SECRET)


def test_a_redirect_loop_ends() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.redirect(PATH))
        with pytest.raises(RegistryError, match="redirects more than 10"):
            await stage.source().manifest()
        assert len(stage.registry.seen) == limits.REDIRECTS + 1

    run(story)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("ftp://{host}/good", "no plain http or https URL"),
        ("http://user:pass@{host}/good", "no plain http or https URL"),
        ("http://x:99999/good", "no plain http or https URL"),
        ("http://{host}/go od", "no plain http or https URL"),
        ("", "a redirect without a Location"),
    ],
)
def test_a_redirect_to_what_is_no_url_is_refused(location: str, said: str) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/good", hostile.manifest(DOCUMENT))
        stage.registry.on(PATH, hostile.redirect(location.format(host=stage.registry.host)))
        with pytest.raises(RegistryError, match=said):
            await stage.source().manifest()
        assert [seen.path for seen in stage.registry.seen] == [PATH]

    run(story)


BESIDE = f"/v2/app/manifests/{DIGEST.tag}"
TAGS = "/v2/app/tags/list"


@pytest.mark.parametrize("target", ["/storage/{0}/data", "/storage/{1}", "/gone"])
@pytest.mark.parametrize("body", [b"", b"<html>NoSuchKey", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'])
def test_what_a_redirect_says_is_there_is_not_absent(target: str, body: bytes) -> None:
    async def story(stage: Stage) -> None:
        for path in (PATH, BESIDE, f"/v2/app/referrers/{DIGEST}", BLOB_PATH, TAGS):
            place = target.format(path.rpartition("/")[2], path.rpartition("/")[2].replace("sha256", "sha256/ab"))
            stage.registry.on(path, hostile.redirect(f"{place}?canary=query"))
            stage.registry.on(place, hostile.reply(body, status=404))
        source = stage.source()
        for ask in (
            source.manifest,
            lambda: source.manifest_by_tag(DIGEST.tag),
            lambda: source.referrers(DIGEST, whole=False),
            lambda: source.blob(LAYER, limit=len(BLOB)),
            lambda: read(source),
            lambda: anext(source.tags()),
        ):
            with pytest.raises(RegistryError, match=r"redirects to .*, which does not exist") as caught:
                await ask()
            assert "canary" not in str(caught.value)
            assert caught.value.status == 404
        with pytest.raises(TransportError):
            await source.referrers(DIGEST, whole=True)
        assert stage.clock.slept == []

    run(story)


@pytest.mark.parametrize(
    "leads_to", ["{path}/", "//{host}{path}", "http://{host}/v2/group{name}?a=b", "/store{name}", "/v2/x{escaped}"]
)
@pytest.mark.parametrize("hops", [1, 2])
def test_a_registry_that_sends_all_to_another_has_what_that_one_has(leads_to: str, hops: int) -> None:
    """As registry.k8s.io does: the same is asked for there, so what is not there is absent."""

    async def story(stage: Stage) -> None:
        async with HostileRegistry() as other:
            for path in (PATH, BESIDE, f"/v2/app/referrers/{DIGEST}", BLOB_PATH, TAGS):
                name = path.removeprefix("/v2/app")
                escaped = name.replace(":", "%3A")
                target = leads_to.format(path=path, host=other.host, name=name, escaped=escaped)
                by_way_of = f"/v2/old{name}"
                stage.registry.on(path, hostile.redirect(by_way_of if hops == 2 else target))
                stage.registry.on(by_way_of, hostile.redirect(target))
            source = stage.source()
            assert await source.referrers(DIGEST, whole=False) == ()
            assert await source.referrers(DIGEST, whole=True) == ()
            for ask in (source.manifest, lambda: source.manifest_by_tag(DIGEST.tag), lambda: read(source)):
                with pytest.raises(NotFoundError):
                    await ask()
            with pytest.raises(NotFoundError):
                await anext(source.tags())

    run(story)


# --- logins ------------------------------------------------------------------------------------------------------


def bearer(stage: Stage, *, realm: str | None = None) -> str:
    return f'Bearer realm="{realm or f"http://{stage.registry.host}/token"}",service="here",scope="repository:app:pull,push"'


def test_a_token_is_asked_for_once_for_a_repository_and_before_the_first_401_of_the_next() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.token("t0k3n"))
        for path in (PATH, "/v2/app/manifests/v2", "/v2/other/manifests/v1"):
            stage.registry.on(path, hostile.needs("Bearer t0k3n", hostile.manifest(DOCUMENT), challenge=bearer(stage)))
        first = stage.source()
        await first.manifest()
        await asyncio.gather(*(stage.source("app:v2").manifest() for _ in range(10)))
        await asyncio.gather(*(stage.source("other:v1").manifest() for _ in range(10)))
        tokens = stage.registry.asked("/token")
        assert [seen.target.partition("?")[2] for seen in tokens] == [
            "service=here&scope=repository%3Aapp%3Apull",
            "service=here&scope=repository%3Aother%3Apull",
        ]
        assert len(stage.registry.asked(PATH)) == 2
        assert len(stage.registry.asked("/v2/other/manifests/v1")) == 10
        assert first.meter.requests == 3

    run(story)


def test_an_expired_token_is_asked_for_anew() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.in_turn(hostile.token("one", expires_in=100), hostile.token("two")))
        stage.registry.on(PATH, hostile.needs("Bearer one", hostile.manifest(DOCUMENT), challenge=bearer(stage)))
        await stage.source().manifest()
        stage.clock.now += 99
        await stage.source().manifest()
        assert len(stage.registry.asked("/token")) == 1
        stage.clock.now += 2
        stage.registry.on(PATH, hostile.needs("Bearer two", hostile.manifest(DOCUMENT), challenge=bearer(stage)))
        await stage.source().manifest()
        assert len(stage.registry.asked("/token")) == 2
        assert len(stage.registry.asked(PATH)) == 4

    run(story)


def test_a_revoked_token_is_refreshed_on_401() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.in_turn(hostile.token("one"), hostile.token("two")))
        stage.registry.on(PATH, hostile.needs("Bearer two", hostile.manifest(DOCUMENT), challenge=bearer(stage)))
        assert (await stage.source().manifest()).data == DOCUMENT
        assert len(stage.registry.asked("/token")) == 2

    run(story)


def test_a_401_loop_ends() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.token("useless"))
        stage.registry.on(PATH, hostile.refused(401, "UNAUTHORIZED", WWW_Authenticate=bearer(stage)))
        with pytest.raises(UnauthorizedError, match="401"):
            await stage.source().manifest()
        assert len(stage.registry.asked(PATH)) == limits.TOKEN_REFRESHES + 1

    run(story)


@pytest.mark.parametrize(
    "challenge", ["", "Negotiate", 'Bearer service="x"', 'Bearer realm="ftp://x/"', "Basic realm=x"]
)
def test_a_challenge_that_cannot_be_answered_is_unauthorized_at_once(challenge: str) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.refused(401, "UNAUTHORIZED", WWW_Authenticate=challenge))
        with pytest.raises(UnauthorizedError):
            await stage.source().manifest()
        assert len(stage.registry.seen) == 1

    run(story)


def test_wrong_basic_credentials_are_sent_once() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.refused(401, "UNAUTHORIZED", WWW_Authenticate="Basic realm=x"))
        with pytest.raises(UnauthorizedError) as caught:
            await stage.source().manifest()
        assert len(stage.registry.seen) == 2
        assert "canary-password" not in str(caught.value)

    run(story, credentials=SECRET)


def test_credentials_reach_the_registrys_own_realm() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.token("t0k3n"))
        stage.registry.on(PATH, hostile.needs("Bearer t0k3n", hostile.manifest(DOCUMENT), challenge=bearer(stage)))
        await stage.source().manifest()
        [asked] = stage.registry.asked("/token")
        assert asked.headers["authorization"].startswith("Basic ")

    run(story, credentials=SECRET)


def test_a_realm_on_another_host_is_asked_without_credentials_and_the_message_says_so() -> None:
    async def story(stage: Stage) -> None:
        async with HostileRegistry() as thief:
            thief.on("/token", hostile.in_turn(hostile.token("anonymous"), hostile.refused(403)))
            realm = f"http://localhost:{thief.port}/token"
            stage.registry.on(PATH, hostile.refused(401, WWW_Authenticate=bearer(stage, realm=realm)))
            with pytest.raises(UnauthorizedError, match=r"without the credentials.*--auth-realm"):
                await stage.source().manifest()
            assert thief.seen
            assert all("authorization" not in seen.headers for seen in thief.seen)

    run(story, credentials=SECRET)


def test_a_loopback_realm_that_is_named_gets_the_credentials() -> None:
    async def main() -> None:
        async with HostileRegistry() as friend:
            settings = HttpSettings(auth_realms=frozenset({"localhost"}))
            async with staged(credentials=SECRET, settings=settings) as stage:
                friend.on("/token", hostile.token("t0k3n"))
                realm = f"http://localhost:{friend.port}/token"
                answer = hostile.needs("Bearer t0k3n", hostile.manifest(DOCUMENT), challenge=bearer(stage, realm=realm))
                stage.registry.on(PATH, answer)
                await stage.source().manifest()
                assert friend.seen[0].headers["authorization"].startswith("Basic ")

    asyncio.run(main())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\nb"}', b'{"token":"a","token":"b"}']
)
def test_a_token_reply_without_a_token_is_unauthorized(body: bytes) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.reply(body))
        stage.registry.on(PATH, hostile.refused(401, WWW_Authenticate=bearer(stage)))
        with pytest.raises(UnauthorizedError):
            await stage.source().manifest()

    run(story)


def test_an_endless_token_is_no_content_error() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/token", hostile.endless_body())
        stage.registry.on(PATH, hostile.refused(401, WWW_Authenticate=bearer(stage)))
        with pytest.raises(RegistryError, match="token"):
            await stage.source().manifest()

    run(story)


def test_a_cancelled_leader_does_not_take_the_token_from_the_others() -> None:
    async def story(stage: Stage) -> None:
        async def slow(seen: hostile.Seen, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.1)
            await hostile.token("t0k3n")(seen, writer)

        stage.registry.on("/token", slow)
        stage.registry.on(PATH, hostile.needs("Bearer t0k3n", hostile.manifest(DOCUMENT), challenge=bearer(stage)))
        leader = asyncio.create_task(stage.source().manifest())
        while not stage.registry.asked("/token"):
            await asyncio.sleep(0)
        follower = asyncio.create_task(stage.source().manifest())
        await asyncio.sleep(0.02)
        leader.cancel()
        assert (await follower).data == DOCUMENT
        assert len(stage.registry.asked("/token")) == 1

    run(story)


# --- tags and referrers ------------------------------------------------------------------------------------------


def page(*tags: str, **headers: str) -> hostile.Answer:
    return hostile.reply(json.dumps({"name": "app", "tags": list(tags)}).encode(), **headers)


def test_tags_are_read_over_all_pages_of_this_host_only() -> None:
    async def story(stage: Stage) -> None:
        following = '<http://elsewhere.example/v2/app/tags/list2?last=b>; rel="next"'
        stage.registry.on("/v2/app/tags/list", page("a", "b", Link=following))
        stage.registry.on("/v2/app/tags/list2", page("c"))
        assert [tag async for tag in stage.source().tags()] == ["a", "b", "c"]
        assert [seen.target for seen in stage.registry.seen] == [
            "/v2/app/tags/list?n=1000",
            "/v2/app/tags/list2?last=b",
        ]

    run(story)


def test_a_paging_loop_ends() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/v2/app/tags/list", page("a", Link='</v2/app/tags/list?n=1000>; rel="next"'))
        with pytest.raises(RegistryError, match="circles"):
            _ = [tag async for tag in stage.source().tags()]

    run(story)


def test_a_tag_on_two_pages_is_one_tag() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/v2/app/tags/list", page("a", "b", "a", Link='</v2/app/tags/list2>; rel="next"'))
        stage.registry.on("/v2/app/tags/list2", page("b", "c"))
        assert [tag async for tag in stage.source().tags()] == ["a", "b", "c"]

    run(story)


def test_a_second_page_of_tags_that_is_missing_is_a_failure() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(NotFoundError):
            _ = [tag async for tag in stage.source().tags()]
        stage.registry.on("/v2/app/tags/list", page("a", Link='</v2/app/tags/list2>; rel="next"'))
        with pytest.raises(RegistryError, match="the page of tags before it names it"):
            _ = [tag async for tag in stage.source().tags()]

    run(story)


def test_a_link_to_more_tags_that_cannot_be_read_is_a_failure() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on("/v2/app/tags/list", page("a", Link='/v2/app/tags/list2; rel="next"'))
        with pytest.raises(RegistryError, match="cannot be read"):
            _ = [tag async for tag in stage.source().tags()]

    run(story)


def leading_on(make: Callable[[int], hostile.Answer]) -> hostile.Answer:
    """Page after page without end, each of which ``make`` makes of its number and the link to the next."""
    count = itertools.count(1)

    async def answer(seen: hostile.Seen, writer: asyncio.StreamWriter) -> None:
        await make(next(count))(seen, writer)

    return answer


def test_pages_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TAG_PAGES", 12)

    async def story(stage: Stage) -> None:
        endless = leading_on(lambda number: page(f"t{number}", Link=f"</v2/app/tags/list?last={number}>; rel=next"))
        stage.registry.on("/v2/app/tags/list", endless)
        with pytest.raises(LimitExceededError, match="more than 12 pages"):
            _ = [tag async for tag in stage.source().tags()]
        assert len(stage.registry.seen) == 12

    run(story)


@pytest.mark.parametrize("tags", [(), ("a",)])
def test_pages_of_tags_that_bring_nothing_new_end(tags: tuple[str, ...]) -> None:
    async def story(stage: Stage) -> None:
        endless = leading_on(lambda number: page(*tags, Link=f"</v2/app/tags/list?last={number}>; rel=next"))
        stage.registry.on("/v2/app/tags/list", endless)
        with pytest.raises(RegistryError, match="bring nothing new"):
            _ = [tag async for tag in stage.source().tags()]
        assert len(stage.registry.seen) == limits.IDLE_TAG_PAGES + len(tags)

    run(story)


def test_some_empty_pages_of_tags_are_no_end() -> None:
    async def story(stage: Stage) -> None:
        def make(number: int) -> hostile.Answer:
            tags = () if number % limits.IDLE_TAG_PAGES else (f"t{number}",)
            more = {"Link": f"</v2/app/tags/list?last={number}>; rel=next"} if number < 20 else {}
            return page(*tags, **more)

        stage.registry.on("/v2/app/tags/list", leading_on(make))
        assert [tag async for tag in stage.source().tags()] == ["t8", "t16"]

    run(story)


def test_more_tags_than_the_cap_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TAGS", 3)

    async def story(stage: Stage) -> None:
        stage.registry.on("/v2/app/tags/list", page("a", "b", "c", "d"))
        with pytest.raises(LimitExceededError, match="more than 3"):
            _ = [tag async for tag in stage.source().tags()]

    run(story)


def descriptor_of(data: bytes) -> dict[str, object]:
    return {"mediaType": hostile.MANIFEST, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def index(*data: bytes, **headers: str) -> hostile.Answer:
    document = {"schemaVersion": 2, "mediaType": hostile.INDEX, "manifests": [descriptor_of(item) for item in data]}
    return hostile.reply(json.dumps(document).encode(), Content_Type=hostile.INDEX, **headers)


REFERRERS = f"/v2/app/referrers/{DIGEST}"
FALLBACK = f"/v2/app/manifests/{DIGEST.tag}"


def test_referrers_are_read_over_all_pages() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, index(b"one", Link='</page2>; rel="next"'))
        stage.registry.on("/page2", index(b"two"))
        found = await stage.source().referrers(DIGEST, whole=False)
        assert [item.digest for item in found] == [Digest.of(b"one"), Digest.of(b"two")]
        assert stage.registry.asked(FALLBACK) == []

    run(story)


NO_SUCH = hostile.refused(404, "NOT_FOUND")


@pytest.mark.parametrize("missing", [NO_SUCH, hostile.reply(b"404 page not found\n", status=404)])
def test_without_the_api_the_fallback_tag_is_read_and_the_lack_remembered(missing: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, missing)
        stage.registry.on(FALLBACK, index(b"one"))
        for _ in range(3):
            [found] = await stage.source().referrers(DIGEST, whole=False)
            assert found.digest == Digest.of(b"one")
        assert len(stage.registry.asked(REFERRERS)) == 1
        assert len(stage.registry.asked(FALLBACK)) == 3
        # What may decide against the image is never left unasked.
        for _ in range(3):
            [found] = await stage.source().referrers(DIGEST, whole=True)
        assert len(stage.registry.asked(REFERRERS)) == 4

    run(story)


UNCLEAR = [hostile.refused(status, "UNSUPPORTED") for status in (400, 405, 406, 501)]
UNCLEAR += [hostile.refused(404, "DENIED"), hostile.reply(b"<html>", Content_Type="text/html")]
UNCLEAR += [hostile.reply(b"{}", Content_Type="application/json"), hostile.manifest(DOCUMENT)]


@pytest.mark.parametrize("answer", UNCLEAR)
def test_an_answer_that_is_unclear_lets_the_fallback_tag_be_read_and_is_not_remembered(answer: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, answer)
        stage.registry.on(FALLBACK, index(b"one"))
        for _ in range(3):
            [found] = await stage.source().referrers(DIGEST, whole=False)
            assert found.digest == Digest.of(b"one")
        assert len(stage.registry.asked(REFERRERS)) == 3

    run(story, settings=HttpSettings(retries=0))


@pytest.mark.parametrize("answer", [*UNCLEAR, hostile.refused(403), hostile.refused(410)])
def test_an_answer_that_is_unclear_is_a_failure_where_none_may_be_missed(answer: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, answer)
        stage.registry.on(FALLBACK, index(b"one"))
        with pytest.raises(TransportError):
            await stage.source().referrers(DIGEST, whole=True)
        assert stage.registry.asked(FALLBACK) == []

    run(story, settings=HttpSettings(retries=0))


OTHER = Digest.of(b"another image")
OTHERS = f"/v2/app/referrers/{OTHER}"


@pytest.mark.parametrize("turn", [(DIGEST, OTHER), (OTHER, DIGEST), (DIGEST, OTHER, DIGEST, OTHER)])
@pytest.mark.parametrize("tagged", [(), (b"by tag",)])
def test_what_one_image_is_answered_hides_nothing_of_another(
    turn: tuple[Digest, ...], tagged: tuple[bytes, ...]
) -> None:
    """A static mirror has no file for what nothing refers to, and may have a tag of older days."""

    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, index(b"one"))
        stage.registry.on(OTHERS, NO_SUCH)
        if tagged:
            stage.registry.on(f"/v2/app/manifests/{OTHER.tag}", index(*tagged))
        else:
            stage.registry.on(FALLBACK, index(b"old"))
        expected = {DIGEST: [Digest.of(b"one")], OTHER: [Digest.of(data) for data in tagged]}
        for digest in turn:
            for whole in (False, True):
                found = await stage.source().referrers(digest, whole=whole)
                assert [each.digest for each in found] == expected[digest]

    run(story)


def test_an_image_that_nothing_refers_to_says_nothing_of_the_api() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(2):
            assert await stage.source().referrers(DIGEST, whole=False) == ()
        assert len(stage.registry.asked(REFERRERS)) == 2

    run(story)


@pytest.mark.parametrize("body", [b"<html>", b'{"errors":[]}'])
def test_a_page_in_the_apis_place_lets_the_fallback_tag_be_read_and_is_not_remembered(body: bytes) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"

    async def story(stage: Stage) -> None:
        stage.registry.on(FALLBACK, index(b"one"))
        stage.registry.on(REFERRERS, hostile.in_turn(hostile.reply(body, Content_Type=kind), index(b"one", b"two")))
        assert len(await stage.source().referrers(DIGEST, whole=False)) == 1
        assert len(await stage.source().referrers(DIGEST, whole=False)) == 2

    run(story)


def test_a_registry_that_has_the_api_does_not_lose_it() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(FALLBACK, index(b"old"))
        stage.registry.on(REFERRERS, hostile.in_turn(index(b"one"), NO_SUCH, index(b"one")))
        found = [await stage.source().referrers(DIGEST, whole=False) for _ in range(3)]
        assert [one.digest for [one] in found] == [Digest.of(data) for data in (b"one", b"old", b"one")]
        assert len(stage.registry.asked(REFERRERS)) == 3

    run(story)


def test_a_registry_that_knows_sha256_alone_still_has_the_api() -> None:
    async def story(stage: Stage) -> None:
        other = Digest.of(BLOB, algorithm="sha512")
        stage.registry.on(f"/v2/app/referrers/{other}", hostile.refused(404, "NAME_UNKNOWN"))
        stage.registry.on(REFERRERS, index(b"one"))
        assert await stage.source().referrers(other, whole=False) == ()
        [found] = await stage.source().referrers(DIGEST, whole=False)
        assert found.digest == Digest.of(b"one")
        # `sha512-HEX` is no tag: it is not even asked for.
        assert [seen.path for seen in stage.registry.seen] == [f"/v2/app/referrers/{other}", REFERRERS]

    run(story)


def test_no_api_and_no_fallback_tag_is_none() -> None:
    async def story(stage: Stage) -> None:
        assert await stage.source().referrers(DIGEST, whole=False) == ()

    run(story)


@pytest.mark.parametrize("served_as", ["application/json", "application/octet-stream", "text/plain", ""])
@pytest.mark.parametrize("place", [FALLBACK, REFERRERS])
def test_a_type_that_says_nothing_does_not_hide_a_list_of_referrers(served_as: str, place: str) -> None:
    document = {"schemaVersion": 2, "mediaType": hostile.INDEX, "manifests": [descriptor_of(b"one")]}

    async def story(stage: Stage) -> None:
        stage.registry.on(place, hostile.reply(json.dumps(document).encode(), Content_Type=served_as))
        [found] = await stage.source().referrers(DIGEST, whole=False)
        assert found.digest == Digest.of(b"one")

    run(story)


@pytest.mark.parametrize(
    "answer",
    [
        hostile.manifest(DOCUMENT),
        hostile.reply(b"<html>maintenance</html>", Content_Type="text/html"),
        hostile.reply(b"{}", Content_Type="application/json"),
        hostile.reply(b""),
    ],
)
def test_a_fallback_tag_that_is_no_list_is_a_failure(answer: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(FALLBACK, answer)
        with pytest.raises(MalformedManifestError):
            await stage.source().referrers(DIGEST, whole=False)

    run(story)


@pytest.mark.parametrize("code", ["DENIED", "NAME_UNKNOWN", "TOOMANYREQUESTS"])
def test_a_404_that_says_something_else_is_no_absence_of_what_lies_beside_an_image(code: str) -> None:
    async def story(stage: Stage) -> None:
        for path in (FALLBACK, f"{FALLBACK}.sig"):
            stage.registry.on(path, hostile.refused(404, code))
        with pytest.raises(RegistryError, match=code):
            await stage.source().referrers(DIGEST, whole=False)
        with pytest.raises(RegistryError, match=code):
            await stage.source().manifest_by_tag(f"{DIGEST.tag}.sig")
        stage.registry.on(PATH, hostile.refused(404, code))
        with pytest.raises(NotFoundError):
            await stage.source().manifest()

    run(story)


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NOT_FOUND", "UNKNOWN"])
def test_any_other_404_is_an_absence(code: str) -> None:
    async def story(stage: Stage) -> None:
        for path in (FALLBACK, f"{FALLBACK}.sig"):
            stage.registry.on(path, hostile.refused(404, code))
        assert await stage.source().referrers(DIGEST, whole=False) == ()
        with pytest.raises(NotFoundError):
            await stage.source().manifest_by_tag(f"{DIGEST.tag}.sig")

    run(story)


@pytest.mark.parametrize(
    "answer", [hostile.refused(403), hostile.refused(500), hostile.reply(b"{}", Content_Type=hostile.INDEX)]
)
def test_referrers_that_fail_are_not_taken_for_none(answer: hostile.Answer) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, answer)
        with pytest.raises((UnauthorizedError, RegistryError, MalformedManifestError)):
            await stage.source().referrers(DIGEST, whole=False)
        assert stage.registry.asked(FALLBACK) == []

    run(story, settings=HttpSettings(retries=0))


def test_a_second_page_of_referrers_that_is_missing_is_a_failure() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, index(b"one", Link='</page2>; rel="next"'))
        with pytest.raises(NotFoundError):
            await stage.source().referrers(DIGEST, whole=False)

    run(story)


def test_more_referrers_than_the_cap_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFERRERS", 3)

    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, index(b"1", b"2", Link='</page2>; rel="next"'))
        stage.registry.on("/page2", index(b"3", b"4"))
        with pytest.raises(LimitExceededError, match="more than 3"):
            await stage.source().referrers(DIGEST, whole=False)

    run(story)


@pytest.mark.parametrize("listed", [(), (b"one",)])
def test_a_page_of_referrers_that_leads_on_brings_something_new(listed: tuple[bytes, ...]) -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(
            REFERRERS, leading_on(lambda number: index(*listed, Link=f"<{REFERRERS}?n={number}>; rel=next"))
        )
        with pytest.raises(RegistryError, match="bring nothing new"):
            await stage.source().referrers(DIGEST, whole=False)
        assert len(stage.registry.seen) == 1 + len(listed)

    run(story)


def test_the_last_page_of_referrers_may_be_empty() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, index(b"one", Link='</page2>; rel="next"'))
        stage.registry.on("/page2", index())
        [found] = await stage.source().referrers(DIGEST, whole=True)
        assert found.digest == Digest.of(b"one")

    run(story)


def test_an_entry_that_is_called_something_else_later_is_not_hidden() -> None:
    called = [descriptor_of(b"one") | {"artifactType": kind} for kind in ("application/x", "application/y")]
    pages = [{"schemaVersion": 2, "mediaType": hostile.INDEX, "manifests": [each]} for each in called]
    first, second = [json.dumps(each).encode() for each in pages]

    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, hostile.reply(first, Content_Type=hostile.INDEX, Link="</page2>; rel=next"))
        stage.registry.on("/page2", hostile.reply(second, Content_Type=hostile.INDEX))
        found = await stage.source().referrers(DIGEST, whole=False)
        assert [each.artifact_type for each in found] == ["application/x", "application/y"]

    run(story)


def test_referrers_on_too_many_pages_are_refused() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(
            REFERRERS, leading_on(lambda number: index(b"%d" % number, Link=f"<{REFERRERS}?n={number}>; rel=next"))
        )
        with pytest.raises(LimitExceededError, match="pages"):
            await stage.source().referrers(DIGEST, whole=False)
        assert len(stage.registry.seen) == limits.REFERRER_PAGES

    run(story)


def test_referrers_that_come_too_slowly_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFERRERS_S", -1.0)

    async def story(stage: Stage) -> None:
        stage.registry.on(REFERRERS, index(b"one"))
        assert len(await stage.source().referrers(DIGEST, whole=False)) == 1
        stage.registry.on(REFERRERS, index(b"one", Link='</page2>; rel="next"'))
        stage.registry.on("/page2", index(b"two"))
        with pytest.raises(RequestTimeoutError, match="takes more than"):
            await stage.source().referrers(DIGEST, whole=False)
        assert stage.registry.asked("/page2") == []

    run(story)


# --- nothing leaks -----------------------------------------------------------------------------------------------


def test_no_message_shows_a_query() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.redirect("/signed?token=canary-query"))
        stage.registry.on("/signed", hostile.refused(500))
        with pytest.raises(RegistryError) as caught:
            await stage.source().manifest()
        assert "canary" not in str(caught.value)
        stage.registry.on("/signed", hostile.hang_up())
        with pytest.raises(UnreachableError) as lost:
            await stage.source().manifest()
        assert "canary" not in str(lost.value)

    run(story, settings=HttpSettings(retries=0))


def test_cancelled_requests_leave_nothing_behind() -> None:
    async def story(stage: Stage) -> None:
        stage.registry.on(PATH, hostile.silence())
        tasks = [asyncio.create_task(stage.source().manifest()) for _ in range(10)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stage.registry.on(PATH, hostile.manifest(DOCUMENT))
        assert (await stage.source().manifest()).data == DOCUMENT

    run(story, settings=HttpSettings(connections_per_host=2))
