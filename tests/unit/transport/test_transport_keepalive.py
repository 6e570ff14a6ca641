from __future__ import annotations

import asyncio
import datetime as dt
import gc
import ipaddress
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes import hostile
from fakes.clock import Clock
from fakes.hostile import HostileRegistry
from fakes.raw_server import RawServer, endlessly, ok, raw, says
from plimsoll import limits
from plimsoll.errors import (
    ConnectTimeoutError,
    ContentError,
    LimitExceededError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.model.settings import HttpSettings, TLSSettings
from plimsoll.transport.base import Meter
from plimsoll.transport.budget import ByteBudget
from plimsoll.transport.http import HttpClient
from plimsoll.transport.keepalive import IDLE_S, KeptAlive
from plimsoll.wire import Reply, Request

LIMIT = 1 << 20
TOTAL = 1 << 20
LARGE = b"L" * (limits.SMALL_BODY_BYTES + 1)
GET = Request(target="/v2/a?b=c")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Client:
    kept: KeptAlive
    server: RawServer
    budget: ByteBudget
    clock: Clock
    meter: Meter = field(default_factory=Meter)

    async def get(self, request=GET, *, limit=LIMIT, context=True, authorization=None):
        return await self.kept.get(
            self.server.base, request, authorization, context=context, limit=limit, meter=self.meter
        )

    def is_whole(self):
        """Whether nothing of the budget is held, and nothing was given back twice."""
        return self.budget._free == self.budget._total and not self.budget._waiting


def run_on(new_loop, main):
    """Run ``main``; what went wrong in a callback of the loop is an error, too."""
    failures = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        return await main()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        result = runner.run(watched())
        left = [task for task in asyncio.all_tasks(runner.get_loop()) if not task.done()]
    gc.collect()
    assert failures == []
    assert left == []
    return result


@asynccontextmanager
async def opened(*scripts, tls=None, timeout_s=5.0, total=TOTAL):
    clock, budget = Clock(), ByteBudget(total)
    kept = KeptAlive(timeout_s=timeout_s, budget=budget, monotonic=clock.monotonic)
    async with RawServer(*scripts, tls=tls) as server:
        try:
            yield Client(kept, server, budget, clock)
            await asyncio.sleep(0)
            assert budget._free == total
        finally:
            kept.aclose()
            await asyncio.sleep(0.001)


@pytest.fixture(params=LOOPS)
def run(request):
    """Run a story of a client and a server with these scripts, on each loop."""

    def play(story, *scripts, **how):
        async def main():
            async with opened(*scripts, **how) as client:
                return await story(client)

        return run_on(LOOPS[request.param], main)

    return play


# --- connections kept and dropped ---


def gets(count):
    async def story(client):
        replies = []
        for _ in range(count):
            replies.append(await client.get())
            await asyncio.sleep(0.02)  # what is behind an answer should have come
        return [reply.body for reply in replies], client.server.connections

    return story


TWICE = says(ok(b"one"), ok(b"two"))


def test_requests_one_after_another_share_a_connection(run):
    assert run(gets(2), TWICE) == ([b"one", b"two"], 1)


def test_requests_at_once_have_a_connection_each_and_all_are_kept(run):
    async def story(client):
        for _ in range(2):
            await asyncio.gather(*(client.get() for _ in range(5)))
        return client.server.connections

    assert run(story, TWICE) == 5


def test_what_is_sent_is_one_honest_head(run):
    async def story(client):
        await client.get(Request(target="/v2/a?b=c", headers=(("Accept", "x/y"),)), authorization="Bearer t")
        return client.server.heads, client.server.port

    heads, port = run(story, TWICE)
    assert heads == [
        [
            f"GET /v2/a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: plimsoll\r\nAccept-Encoding: identity\r\n"
            "Accept: x/y\r\nAuthorization: Bearer t\r\n\r\n".encode()
        ]
    ]


@pytest.mark.parametrize(
    "first",
    [
        ok(b"one", "Connection: close"),
        ok(b"one", version="1.0"),
        ok(b"one") + ok(b"bad"),
        ok(b"one") + raw(status="103 Early Hints"),
        ok(b"one") + b"HTT",
        ok(b"one") + b"\0",
        ok(b"one", "Connection: close") + ok(b"bad"),
        raw("Transfer-Encoding: chunked", body=b"3\r\none\r\n0\r\n\r\n") + ok(b"bad"),
    ],
)
def test_a_connection_whose_answer_was_its_last_or_had_something_behind_it_is_not_used_again(run, first):
    assert run(gets(2), says(first), TWICE) == ([b"one", b"one"], 2)


def test_an_interim_answer_behind_an_answer_takes_nothing_from_it(run):
    async def story(client):
        return (await client.get()).headers

    behind = raw("X: bad", status="103 Early Hints")
    assert run(story, says(ok(b"one", "Content-Encoding: gzip") + behind))["content-encoding"] == "gzip"


def test_bytes_that_nobody_asked_for_close_an_idle_connection(run):
    async def talks_unasked(reader, writer):
        await says(ok(b"one"), then="")(reader, writer)
        await asyncio.sleep(0.005)
        writer.write(ok(b"bad"))
        await reader.read()

    assert run(gets(2), talks_unasked, TWICE) == ([b"one", b"one"], 2)


def test_a_server_that_speaks_first_is_not_believed_on_an_idle_connection(run):
    async def story(client):
        connection = await client.kept._connect(client.server.base, True, 5.0)
        await asyncio.sleep(0.02)
        message = b"GET / HTTP/1.1\r\n\r\n"
        async with asyncio.timeout(None) as clock:
            with pytest.raises(UnreachableError, match="closed before anything was asked"):
                await connection.exchange(
                    message, limit=9, budget=client.budget, clock=clock, asked="x", meter=client.meter
                )

    async def greets(reader, writer):
        writer.write(ok(b"bad"))
        await reader.read()

    run(story, greets)


def test_a_connection_that_the_server_closed_is_not_used_again(run):
    assert run(gets(2), says(ok(b"one"), then="close"), TWICE) == ([b"one", b"one"], 2)


@pytest.mark.parametrize(("idle_s", "connections"), [(IDLE_S - 0.1, 1), (IDLE_S, 2)])
def test_a_connection_idle_for_long_is_not_used_again(run, idle_s, connections):
    async def story(client):
        await client.get()
        client.clock.now += idle_s
        await client.get()
        return client.server.connections

    assert run(story, TWICE) == connections


def test_a_connection_closed_instead_of_an_answer_is_unreachable_and_the_next_is_new(run):
    async def story(client):
        assert (await client.get()).body == b"one"
        with pytest.raises(UnreachableError, match="closed before an answer"):
            await client.get()
        return (await client.get()).body

    async def hangs_up(reader, writer):
        await says(ok(b"one"), then="")(reader, writer)
        await reader.readuntil(b"\r\n\r\n")

    assert run(story, hangs_up, TWICE) == b"one"


def test_origins_do_not_share_connections(run):
    async def story(client):
        async with RawServer(says(ok(b"other"))) as other:
            await client.get()
            reply = await client.kept.get(other.base, GET, None, context=True, limit=LIMIT, meter=client.meter)
        return reply.body

    assert run(story, TWICE) == b"other"


def test_aclose_closes_idle_connections_and_those_in_use_after_their_answer(run):
    async def story(client):
        await client.get()
        slow = asyncio.create_task(client.get())
        other = asyncio.create_task(client.get())
        await asyncio.sleep(0.02)
        client.kept.aclose()
        assert (await slow).body == (await other).body == b"two"
        await client.server.left(2)

    async def ponders(reader, writer):
        await says(ok(b"one"), then="")(reader, writer)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(ok(b"two"))
        await reader.read()

    async def ponders_at_once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(ok(b"two"))
        await reader.read()

    run(story, ponders, ponders_at_once)


# --- answers ---

CHUNKED = "Transfer-Encoding: chunked"
GOOD = {
    "stated": (ok(b"abc"), b"abc"),
    "empty": (ok(b""), b""),
    "chunked": (raw(CHUNKED, body=b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"), b"abc"),
    "chunked, with trailers": (raw(CHUNKED, body=b"3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n"), b"abc"),
    "to the end": (raw(body=b"abc"), b"abc"),
    "after interim answers": (raw(status="100 Continue") + raw("X-Early: 1", status="103 Early Hints") + ok(), b"abc"),
    "padded length": (raw("Content-Length:  3 \t", body=b"abc"), b"abc"),
    "large": (ok(LARGE), LARGE),
    "204": (raw(status="204 No Content"), b""),
    "304": (raw("Content-Length: 7", status="304 Not Modified"), b""),
}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", GOOD)
def test_honest_answers_are_read_however_they_come(run, name, at_once):
    answer, body = GOOD[name]

    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for part in [answer] if at_once else split(answer):
            writer.write(part)
            await asyncio.sleep(0)

    async def story(client):
        reply = await client.get()
        assert reply.body == body
        assert not {"x-late", "x-early"} & {field.lower() for field in reply.headers}
        assert reply.headers.get("content-length", "3").strip() == reply.headers.get("content-length", "3")

    run(story, script)


def split(answer):
    cut = min(len(answer), 200)
    return [answer[at : at + 1] for at in range(cut)] + [answer[cut:]]


BAD = {
    "nothing": (b"", "closed before"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", "closed before"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", "no HTTP"),
    "negative length": (raw("Content-Length: -3", body=b"abc"), "no HTTP"),
    "signed length": (raw("Content-Length: +3", body=b"abc"), "no HTTP"),
    "two lengths": (raw("Content-Length: 3", "Content-Length: 4", body=b"abcd"), "no HTTP"),
    "the same length twice": (raw("Content-Length: 3", "Content-Length: 3", body=b"abc"), "no HTTP"),
    "a list of lengths": (raw("Content-Length: 3, 3", body=b"abc"), "no HTTP"),
    "a length of many zeros": (raw("Content-Length: " + "0" * 5000 + "3", body=b"abc"), "no HTTP"),
    "a length past 64 bits": (raw("Content-Length: 99999999999999999999", body=b"abc"), "no HTTP"),
    "a length too long": (raw("Content-Length: 4", body=b"abc"), "broke off"),
    "length and chunks": (raw("Content-Length: 3", CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"), "no HTTP"),
    "chunks and length": (raw(CHUNKED, "Content-Length: 3", body=b"3\r\nabc\r\n0\r\n\r\n"), "no HTTP"),
    "no number of bytes": (raw(CHUNKED, body=b"zz\r\nabc\r\n0\r\n\r\n"), "no HTTP"),
    "a chunk too long": (raw(CHUNKED, body=b"2\r\nabc\r\n0\r\n\r\n"), "no HTTP"),
    "no last chunk": (raw(CHUNKED, body=b"3\r\nabc\r\n"), "broke off"),
    "an unended last chunk": (raw(CHUNKED, body=b"3\r\nabc\r\n0\r\n"), "broke off"),
    "another coding": (raw("Transfer-Encoding: gzip", body=b"abc"), "broke off"),
    "a folded field": (raw("X: a", " b", "Content-Length: 3", body=b"abc"), "no HTTP"),
    "a space before the colon": (raw("Content-Length : 3", body=b"abc"), "no HTTP"),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "no HTTP"),
    "a NUL": (raw("X: a\0b", "Content-Length: 3", body=b"abc"), "no HTTP"),
    "upgrade": (raw("Upgrade: x", "Connection: upgrade", status="101 Switching Protocols", body=b"abc"), "101"),
    "another protocol": (raw(status="101 Switching Protocols"), "101"),
    "status 000": (ok(status="000 No"), "status 0"),
    "too many fields": (ok(b"abc", *["X: y"] * limits.REPLY_FIELDS), "too many header fields"),
    "a long value": (ok(b"abc", "X: " + "y" * limits.HEADER_BYTES), "header fields"),
    "a long name": (ok(b"abc", "X" * limits.HEADER_BYTES + ": y"), "header fields"),
    "an interim answer only": (raw(status="103 Early Hints"), "closed before"),
}


@pytest.mark.parametrize("name", BAD)
def test_dishonest_answers_are_unreachable(run, name):
    answer, why = BAD[name]

    async def story(client):
        with pytest.raises(UnreachableError, match=why) as caught:
            await client.get()
        assert "b=c" not in str(caught.value)
        await client.server.left(1)

    run(story, says(answer, then="close"))


@pytest.mark.parametrize("answer", [raw(status="101 Switching Protocols"), ok(status="000 No"), BAD["upgrade"][0]])
def test_what_cannot_become_an_answer_is_not_waited_for(run, answer):
    async def story(client):
        with pytest.raises(UnreachableError):
            await client.get()

    run(story, says(answer))


def test_a_length_too_short_gives_no_more_than_it_says_and_the_rest_is_no_answer(run):
    assert run(gets(2), says(raw("Content-Length: 2", body=b"abc")), TWICE) == ([b"ab", b"one"], 2)


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"", raw("X: y", status="103 Early Hints") * 100),
        (b"HTTP/1.1 200 ", b"O" * 4096),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 512),
        (raw(CHUNKED, body=b"3\r\nabc\r\n0\r\nX: "), b"y" * 4096),
        (raw(CHUNKED, body=b"3\r\nabc\r\n0\r\n"), b"X: y\r\n" * 512),
        (raw(CHUNKED, body=b"3;"), b"y" * 4096),
    ],
)
def test_a_head_interim_answers_or_trailers_without_end_are_cut(run, start, part):
    async def story(client):
        with pytest.raises(UnreachableError, match=r"too (long|many)"):
            await client.get()
        await client.server.left(1)

    run(story, endlessly(start, part))


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", raw("Content-Length: 9999")])
def test_what_drips_is_a_time_out_and_the_connection_closed(run, start):
    async def story(client):
        with pytest.raises(RequestTimeoutError):
            await client.get()
        await client.server.left(1)

    run(story, endlessly(start, b"y", pause_s=0.01) if start else says(b""), timeout_s=0.1)


def reset_after(*parts):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
        await asyncio.sleep(0.02)
        hostile.reset(writer)

    return script


@pytest.mark.parametrize(
    "part",
    [raw("Content-Length: 9", body=b"abc"), raw(CHUNKED, body=b"9\r\nabc"), raw(body=b"abc"), b"HTTP/1.1 2", b""],
)
def test_a_reset_is_unreachable(run, part):
    async def story(client):
        with pytest.raises(UnreachableError):
            await client.get()

    run(story, reset_after(part))


# --- sizes and the budget ---


@pytest.mark.parametrize(
    "answer", [ok(b"x" * 11), raw(CHUNKED, body=b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n"), raw(body=b"x" * 11)]
)
def test_a_body_over_its_limit_is_refused_and_the_connection_dropped(run, answer):
    async def story(client):
        with pytest.raises(LimitExceededError):
            await client.get(limit=10)
        await client.server.left(1)
        assert len((await client.get(limit=11)).body) == 11

    run(story, says(answer), says(answer, then="close"))


def test_a_body_said_to_be_too_long_is_refused_unread(run):
    async def story(client):
        with pytest.raises(LimitExceededError, match="has 99999999 bytes: at most"):
            await client.get()

    run(story, says(raw("Content-Length: 99999999")))


def test_an_unstated_body_in_tiny_chunks_is_whole(run):
    async def story(client):
        assert (await client.get()).body == b"ab" * 20000

    run(story, says(raw(CHUNKED, body=b"2\r\nab\r\n" * 20000 + b"0\r\n\r\n")))


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("stated", [True, False])
def test_of_an_error_body_the_beginning_is_enough(run, extra, stated):
    body = b"e" * (limits.ERROR_BYTES + extra)
    chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    answer = ok(body, status="404 No") if stated else raw(CHUNKED, body=chunks, status="404 No")

    async def story(client):
        for _ in range(2):
            reply = await client.get(limit=10)
            assert (reply.status, len(reply.body)) == (404, limits.ERROR_BYTES)
        return client.server.connections

    assert run(story, says(answer, answer)) == 1 + extra


def test_an_error_body_without_end_is_cut(run):
    async def story(client):
        assert len((await client.get()).body) == limits.ERROR_BYTES
        await client.server.left(1)

    run(story, endlessly(raw(status="500 No"), b"e" * 4096))


def held_back(body, released):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw(f"Content-Length: {len(body)}", body=body[:1]))
        await released.wait()
        writer.write(body[1:])
        await reader.read()

    return script


@pytest.mark.parametrize("total", [1, len(LARGE), len(LARGE) * 3])
def test_large_bodies_wait_for_the_budget_and_all_are_read(run, total):
    async def story(client):
        replies = await asyncio.gather(*(client.get() for _ in range(6)))
        assert [reply.body for reply in replies] == [LARGE * 8] * 6
        assert client.is_whole()

    run(story, says(ok(LARGE * 8)), total=total)


def test_a_body_without_room_waits_and_goes_on_when_there_is_some(run):
    body = LARGE * 10

    async def story(client):
        taken = await client.budget.take(TOTAL)
        waiting = asyncio.create_task(client.get())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert len(client.budget._waiting) == 1
        client.budget.give(taken)
        assert (await waiting).body == body
        assert (await client.get()).body == body
        assert client.server.connections == 1

    run(story, says(ok(body), ok(body)))


def test_a_small_stated_body_needs_no_room(run):
    async def story(client):
        taken = await client.budget.take(TOTAL)
        assert (await client.get()).body == b"one"
        client.budget.give(taken)

    run(story, TWICE)


def test_cancelled_while_waiting_for_room_gives_nothing_back(run):
    async def story(client):
        taken = await client.budget.take(TOTAL)
        waiting = asyncio.create_task(client.get())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert client.budget._free == 0
        client.budget.give(taken)
        assert client.is_whole()
        await client.server.left(1)

    run(story, says(raw(f"Content-Length: {len(LARGE)}")))


@pytest.mark.parametrize("size", [100, len(LARGE)])
def test_cancelled_within_a_body_closes_the_connection_and_holds_no_room(run, size):
    async def story(client):
        waiting = asyncio.create_task(client.get())
        await asyncio.sleep(0.05)
        assert client.is_whole() == (size == 100)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert client.is_whole()
        await client.server.left(1)

    run(story, says(raw(f"Content-Length: {size}", body=b"x" * 50)))


def test_a_reset_and_a_time_out_within_a_large_body_hold_no_room(run):
    async def story(client):
        with pytest.raises(UnreachableError, match="broke off"):
            await client.get()
        assert client.is_whole()
        with pytest.raises(RequestTimeoutError):
            await client.get()
        assert client.is_whole()

    start = raw(f"Content-Length: {len(LARGE)}", body=b"x")
    run(story, reset_after(start), says(start), timeout_s=0.3)


# --- what is sent ---


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "caf\xe9", "\u2028", "\x7f"])
@pytest.mark.parametrize("where", ["target", "field", "authorization"])
def test_request_splitting_is_refused_before_anything_is_sent(run, where, bad):
    request = Request(
        target=f"/{bad}" if where == "target" else "/", headers=(("Accept", bad),) if where == "field" else ()
    )

    async def story(client):
        with pytest.raises(UnreachableError, match="characters that HTTP has not") as caught:
            await client.get(request, authorization=bad if where == "authorization" else "Bearer canary")
        assert "canary" not in str(caught.value)
        assert client.server.connections == 0

    run(story, TWICE)


@pytest.mark.parametrize("target", ["", "v2/", "http://other.example/", "/a b", "/a\tb"])
def test_a_target_that_is_no_path_is_refused(run, target):
    async def story(client):
        with pytest.raises(UnreachableError):
            await client.get(Request(target=target))
        assert client.server.connections == 0

    run(story, TWICE)


# --- connecting and TLS ---


@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:1", "http://127.0.0.1:99999", "https://a..b", "https://.a", "http://[::1]:1", "http://:1"],
)
def test_what_cannot_be_connected_to_is_unreachable(run, base):
    async def story(client):
        with pytest.raises(UnreachableError, match=r"no (TLS )?connection"):
            await client.kept.get(base, GET, None, context=True, limit=9, meter=client.meter)

    run(story, TWICE)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Self-signed certificates with their keys in one file: of this host and of another name."""
    folder = tmp_path_factory.mktemp("pairs")
    for name, address in (("here", "127.0.0.1"), ("elsewhere", "192.0.2.1")):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / name).write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return folder


def serving(pairs, name="here"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pairs / name)
    return context


def trusting(pairs, name="here"):
    return ssl.create_default_context(cafile=str(pairs / name))


def test_a_trusted_host_is_spoken_to_and_its_connection_kept(run, pairs):
    proof = trusting(pairs)

    async def story(client):
        assert [(await client.get(context=proof)).body for _ in range(2)] == [b"one", b"two"]
        return client.server.connections

    assert run(story, TWICE, tls=serving(pairs)) == 1


def test_an_untrusted_host_or_one_of_another_name_gets_no_request(run, pairs):
    async def story(client):
        with pytest.raises(UntrustedHostError, match="certificate"):
            await client.get(context=True)
        with pytest.raises(UntrustedHostError, match=r"mismatch|not valid"):
            await client.get(context=trusting(pairs, "elsewhere"))
        assert not any(client.server.heads)

    run(story, TWICE, tls=serving(pairs, "elsewhere"))


def test_a_connection_without_proof_is_never_used_where_proof_is_asked_for(run, pairs):
    proof = trusting(pairs)

    async def story(client):
        assert (await client.get(context=False)).body == b"one"
        with pytest.raises(UntrustedHostError):
            await client.get(context=True)
        assert (await client.get(context=proof)).body == b"one"
        assert (await client.get(context=False)).body == b"two"
        assert (await client.get(context=proof)).body == b"two"
        return [len(heads) for heads in client.server.heads if heads]

    assert run(story, TWICE, tls=serving(pairs)) == [2, 2]


def test_a_large_body_over_tls_waits_for_room_too(run, pairs):
    body = LARGE * 10

    async def story(client):
        taken = await client.budget.take(TOTAL)
        waiting = asyncio.create_task(client.get(context=False))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        client.budget.give(taken)
        assert (await waiting).body == body
        assert (await client.get(context=False)).body == body
        return client.server.connections

    assert run(story, says(ok(body), ok(body)), tls=serving(pairs)) == 1


def test_a_server_that_speaks_no_tls_or_nothing_is_unreachable(run):
    async def story(client):
        base = client.server.base.replace("http", "https")
        with pytest.raises(UnreachableError, match=r"no (TLS )?connection"):
            await client.kept.get(base, GET, None, context=True, limit=9, meter=client.meter)
        with pytest.raises(ConnectTimeoutError):
            await client.kept.get(base, GET, None, context=True, limit=9, meter=client.meter)

    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def silent(reader, _):
        await reader.read()

    run(story, plain, silent, timeout_s=0.5)


# --- any bytes ---

LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 404 No\r\n",
        b"HTTP/1.1 103 E\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 70000\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"abc",
        b"x" * 70000,
    ]
)


@pytest.mark.parametrize("name", LOOPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=st.lists(LINES | st.binary(max_size=40), max_size=12), is_apart=st.booleans())
@example(parts=[BAD["upgrade"][0]], is_apart=False)
def test_any_bytes_give_an_answer_or_an_error_of_ours(name, parts, is_apart):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for part in parts if is_apart else [b"".join(parts)]:
            if writer.is_closing():
                return
            writer.write(part)
            await asyncio.sleep(0)

    async def main():
        async with opened(script, total=1000) as client:
            try:
                reply = await client.get(limit=100_000)
            except (TransportError, LimitExceededError):
                reply = None
            assert client.is_whole()
            return reply

    reply = run_on(LOOPS[name], main)
    assert reply is None or (isinstance(reply, Reply) and reply.status >= 200 and len(reply.body) <= 100_000)


# --- through the one door ---


def through(new_loop, story):
    async def main():
        clock = Clock()
        async with HostileRegistry() as registry:
            client = HttpClient(
                HttpSettings(timeout_s=5, retries=2),
                lambda _: TLSSettings(verify=False),
                sleep=clock.sleep,
                monotonic=clock.monotonic,
                wall_s=clock.wall_s,
            )
            meter = Meter()

            async def get(path="/a", **how):
                host = client.host(registry.host, scheme="http")
                return await client.get(host, Request(target=path), limit=1000, meter=meter, **how)

            try:
                await story(registry, get, meter)
                assert client._connections._session is None  # all of it went over the kept connections
            finally:
                await client.aclose()

    run_on(new_loop, main)


@pytest.fixture(params=LOOPS)
def door(request):
    return lambda story: through(LOOPS[request.param], story)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", " Gzip "])
def test_an_encoded_answer_is_refused_and_an_encoded_refusal_is_not(door, encoding):
    async def story(registry, get, meter):
        registry.on("/a", hostile.reply(b"{}", Content_Encoding=encoding))
        registry.on("/b", hostile.reply(b"{}", Content_Encoding=" IDENTITY "))
        registry.on("/c", hostile.reply(b"{}", Content_Encoding=encoding, status=404))
        with pytest.raises(ContentError, match="Content-Encoding"):
            await get()
        assert (await get("/b")).body == b"{}"
        assert (await get("/c")).status == 404
        assert (meter.requests, meter.bytes) == (3, 4)

    door(story)


def test_redirects_are_followed_and_counted_and_carry_authorization_within_the_origin_only(door):
    async def story(registry, get, meter):
        async with HostileRegistry() as other:
            registry.on("/a", hostile.redirect("/b"))
            registry.on("/b", hostile.redirect(f"http://{other.host}/c?sig=s"))
            other.on("/c", hostile.reply(b"there"))
            assert (await get(authorization="Bearer canary")).body == b"there"
            assert [seen.headers.get("authorization") for seen in registry.seen] == ["Bearer canary"] * 2
            assert ["authorization" in seen.headers for seen in other.seen] == [False]
            assert other.seen[0].target == "/c?sig=s"
            assert (meter.requests, meter.bytes) == (3, 2 * len(b"elsewhere") + 5)
            assert registry.connections == 1

    door(story)


def test_a_redirect_loop_ends(door):
    async def story(registry, get, meter):
        registry.on("/a", hostile.redirect("/a"))
        with pytest.raises(RegistryError, match="redirects more than"):
            await get()
        assert meter.requests == len(registry.seen) == limits.REDIRECTS + 1

    door(story)


def test_a_401_is_an_answer_with_its_challenge(door):
    async def story(registry, get, _):
        registry.on("/a", hostile.refused(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"'))
        reply = await get()
        assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="x"')

    door(story)


def test_what_fails_is_tried_again_and_counted(door):
    async def story(registry, get, meter):
        registry.on("/a", hostile.in_turn(hostile.hang_up(), hostile.refused(503), hostile.reply(b"{}")))
        assert (await get()).body == b"{}"
        assert meter.requests == len(registry.seen) == 3

    door(story)
