"""Lookasides by file and by HTTP: what is asked, what ends the reading, what is refused, and that nothing is confided."""

from __future__ import annotations

import asyncio
import os

import pytest

from fakes.clock import Clock
from fakes.hostile import HostileRegistry, endless_body, hang_up, in_turn, redirect, refused, reply, silence
from plimsoll import limits
from plimsoll.errors import (
    ConfigError,
    ContentError,
    LimitExceededError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnauthorizedError,
    UnreachableError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.settings import HttpSettings, TLSSettings
from plimsoll.transport.base import Meter
from plimsoll.transport.http import HttpClient
from plimsoll.transport.lookaside import read_lookaside

DIGEST = Digest.of(b"an image")
PATH = "team/app"
FOLDER = f"{PATH}@sha256={DIGEST.hex}"


def read(base, *, server=None, retries=0, timeout_s=10.0, meter=None):
    """The signatures below ``base``, in which HOST stands for the server's."""

    async def run():
        async with asyncio.timeout(20):
            client = HttpClient(
                HttpSettings(retries=retries, timeout_s=timeout_s), lambda _: TLSSettings(), sleep=Clock().sleep
            )
            try:
                if server is None:
                    return await read_lookaside(client, meter or Meter(), base=base, path=PATH, digest=DIGEST)
                async with server:
                    url = base.replace("HOST", server.host)
                    return await read_lookaside(client, meter or Meter(), base=url, path=PATH, digest=DIGEST)
            finally:
                await client.aclose()

    return asyncio.run(run())


def serving(*answers, below="/sigs"):
    server = HostileRegistry()
    for at, answer in enumerate(answers, 1):
        server.on(f"{below}/{FOLDER}/signature-{at}", answer)
    return server


def stored(folder, *blobs):
    (folder / FOLDER).mkdir(parents=True)
    for at, blob in enumerate(blobs, 1):
        (folder / FOLDER / f"signature-{at}").write_bytes(blob)
    return folder


# --- files ---


def test_files_are_read_from_one_on(tmp_path):
    meter = Meter()
    assert read(f"file://{stored(tmp_path, b'one', b'two')}", meter=meter) == (b"one", b"two")
    assert (meter.requests, meter.bytes) == (0, 6)


@pytest.mark.parametrize(
    "how", ["file://{}", "file://{}/", "file://{}//", "file://localhost{}", "FILE://{}", "file:{}"]
)
def test_a_folder_may_be_written_in_many_ways(tmp_path, how):
    assert read(how.format(stored(tmp_path, b"one"))) == (b"one",)


def test_a_percent_sign_in_the_url_is_an_escape(tmp_path):
    stored(tmp_path / "with space%", b"one")
    assert read(f"file://{tmp_path}/with%20space%25") == (b"one",)
    assert read(f"file://{tmp_path}/with space%25") == (b"one",)
    assert read(f"file://{tmp_path}/with%2520space%25") == ()


def test_a_store_that_is_not_there_holds_nothing(tmp_path):
    assert read(f"file://{tmp_path}/nowhere") == ()


def test_a_file_in_a_stores_place_is_a_failure_and_not_an_absence(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UnreachableError, match="no folder"):
        read(f"file://{tmp_path}/file")


@pytest.mark.parametrize("what", [FOLDER, f"{FOLDER}/signature-1"])
def test_a_link_that_leads_nowhere_is_a_failure_and_not_an_absence(tmp_path, what):
    link = tmp_path / what
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(UnreachableError, match="leads nowhere"):
        read(f"file://{tmp_path}")


def test_another_images_signatures_are_not_found(tmp_path):
    stored(tmp_path, b"one")
    (tmp_path / FOLDER).rename(tmp_path / "team" / f"app@sha256={'0' * 64}")
    assert read(f"file://{tmp_path}") == ()


def test_a_file_of_the_largest_size_is_read_and_a_larger_one_is_not(tmp_path):
    stored(tmp_path, bytes(limits.PAYLOAD_BYTES))
    assert [len(blob) for blob in read(f"file://{tmp_path}")] == [limits.PAYLOAD_BYTES]
    (tmp_path / FOLDER / "signature-2").write_bytes(bytes(limits.PAYLOAD_BYTES + 1))
    with pytest.raises(LimitExceededError, match="signature-2"):
        read(f"file://{tmp_path}")


def make_fifo(path):
    os.mkfifo(path)


def make_loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [os.mkdir, make_fifo, make_loop])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, make):
    stored(tmp_path)
    make(tmp_path / FOLDER / "signature-1")
    with pytest.raises(ContentError, match="signature-1"):
        read(f"file://{tmp_path}")


def test_a_link_in_the_users_own_store_is_followed(tmp_path):
    real = stored(tmp_path / "real", b"one")
    (tmp_path / "link").symlink_to(real)
    assert read(f"file://{tmp_path}/link") == (b"one",)


def test_a_file_that_cannot_be_reached_is_not_absent(tmp_path):
    with pytest.raises(UnreachableError):
        read(f"file://{tmp_path}/{'x' * 300}")  # longer than a name may be


# --- URLs that are none of ours ---


@pytest.mark.parametrize(
    "base",
    [
        "",
        "sigs",
        "/var/lib/sigs",
        "file:sigs",
        "file://",
        "file://elsewhere/sigs",
        "file://sigs.example:80/sigs",
        "file:///sigs%00",
        "ftp://sigs.example/sigs",
        "https:///sigs",
        "https:sigs.example/sigs",
        "https://[::1/sigs",
        "https://sigs.example:http/sigs",
        "https://sigs.example:99999/sigs",
        "https://sigs.example:0/sigs",
        "https://sigs example/sigs",
        "https://sigs.example\\@other.example/sigs",
    ],
)
def test_a_url_that_cannot_be_read_is_refused(base):
    with pytest.raises(ConfigError, match=r"the lookaside of team/app.*registries\.d|take it out"):
        read(base)


@pytest.mark.parametrize(
    "base",
    [
        "https://alice:hush@sigs.example/",
        "http://hush@sigs.example/",
        "https://:hush@x/",
        "ftp://a:hush@x/",
        "file://a:hush@x/",
        "https://a:hush@[x/",
    ],
)
def test_a_user_in_the_url_is_refused_and_never_shown(base):
    with pytest.raises(ConfigError) as caught:
        read(base)
    assert "hush" not in str(caught.value)


# --- HTTP ---


def test_urls_are_asked_one_after_another_until_one_is_missing():
    server, meter = serving(reply(b"one"), reply(b"two")), Meter()
    assert read("http://HOST/sigs", server=server, meter=meter) == (b"one", b"two")
    assert [seen.target for seen in server.seen] == [f"/sigs/{FOLDER}/signature-{at}" for at in (1, 2, 3)]
    assert meter.requests == 3


@pytest.mark.parametrize(
    ("base", "below"),
    [
        ("http://HOST", ""),
        ("http://HOST/", ""),
        ("http://HOST/sigs/", "/sigs"),
        ("HTTP://HOST/a/b", "/a/b"),
        ("http://HOST/a%20b", "/a%20b"),
        ("http://HOST/a b", "/a%20b"),
        ("http://HOST/a%25b", "/a%25b"),
        ("http://HOST/%C3%BC", "/%C3%BC"),
        ("http://HOST/ü", "/%C3%BC"),
        ("http://HOST/a%3Fb", "/a%3Fb"),
        ("http://HOST/sigs#part", "/sigs"),
    ],
)
def test_the_path_is_the_bases_and_the_images(base, below):
    server = serving(reply(b"one"), below=below)
    assert read(base, server=server) == (b"one",)
    assert server.seen[0].target == f"{below}/{FOLDER}/signature-1"


def test_a_query_goes_with_every_request_and_into_no_message():
    server = serving(reply(b"one"), refused(403))
    with pytest.raises(UnauthorizedError) as caught:
        read("http://HOST/sigs?sig=hush%2B", server=server)
    assert [seen.target.partition("?")[2] for seen in server.seen] == ["sig=hush%2B"] * 2
    assert "hush" not in str(caught.value)
    assert "signature-2" in str(caught.value)


def test_no_credentials_are_sent_even_where_they_are_asked_for():
    server = serving(refused(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="sigs"'))
    with pytest.raises(UnauthorizedError):
        read("http://HOST/sigs", server=server)
    assert len(server.seen) == 1
    assert not {"authorization", "cookie"} & set(server.seen[0].headers)


@pytest.mark.parametrize("status", [400, 401, 403, 410, 418, 500, 503])
def test_any_other_status_is_a_failure_and_not_an_absence(status):
    with pytest.raises(TransportError) as caught:
        read("http://HOST/sigs", server=serving(reply(b"one"), reply(b"", status=status)))
    assert caught.value.code != "not-found"


def test_a_passing_failure_is_tried_again():
    server = serving(in_turn(refused(500), reply(b"one")))
    assert read("http://HOST/sigs", server=server, retries=2) == (b"one",)
    server = serving(refused(500))
    with pytest.raises(RegistryError):
        read("http://HOST/sigs", server=server, retries=2)
    assert len(server.seen) == 3


def test_a_lookaside_that_hangs_up_is_unreachable():
    with pytest.raises(UnreachableError):
        read("http://HOST/sigs", server=serving(hang_up()))


def test_a_lookaside_that_says_nothing_is_timed_out():
    with pytest.raises(RequestTimeoutError):
        read("http://HOST/sigs", server=serving(silence()), timeout_s=0.2)


@pytest.mark.parametrize(
    "answer", [endless_body(), endless_body(chunked=False), reply(b"", said=limits.PAYLOAD_BYTES + 1)]
)
def test_a_body_that_is_too_long_is_cut(answer):
    with pytest.raises(LimitExceededError, match="signature-1"):
        read("http://HOST/sigs", server=serving(answer))


def test_signatures_without_end_are_too_many():
    server = serving(*[reply(b"one")] * (limits.SIGNATURES_PER_PLACE + 5))
    with pytest.raises(LimitExceededError):
        read("http://HOST/sigs", server=server)
    assert len(server.seen) == limits.SIGNATURES_PER_PLACE + 1


def test_an_error_page_with_status_200_is_given_as_it_is():
    page = b"<html>not found</html>"
    assert read("http://HOST/sigs", server=serving(reply(page, Content_Type="text/html"))) == (page,)


def test_a_redirect_is_followed():
    server = serving(redirect(f"/other/{FOLDER}/signature-1"))
    server.on(f"/other/{FOLDER}/signature-1", reply(b"one"))
    assert read("http://HOST/sigs", server=server) == (b"one",)


def test_a_redirect_in_circles_ends():
    server = serving(redirect(f"/sigs/{FOLDER}/signature-1"))
    with pytest.raises(TransportError):
        read("http://HOST/sigs", server=server)
    assert len(server.seen) <= limits.REDIRECTS + 2
