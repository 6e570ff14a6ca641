"""How a host is spoken to, where TLS may be unproven: found out once, for all, and by nobody's own request."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import pytest
import uvloop

from fakes import hostile
from fakes.clock import Clock
from fakes.hostile import HostileRegistry
from fakes.raw_server import RawServer, endlessly, ok, says
from plimsoll import limits
from plimsoll.config.proxies import Proxies
from plimsoll.errors import (
    ConnectTimeoutError,
    NotConnectedError,
    NoTLSError,
    RegistryError,
    UnauthorizedError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.model.settings import HttpSettings, Proxy, TLSSettings
from plimsoll.transport.base import Meter
from plimsoll.transport.connections import BodyStream
from plimsoll.transport.http import HttpClient
from plimsoll.wire import Request

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
GET = Request(target="/a")
HTML = b"<html>400 The plain HTTP request was sent to HTTPS port</html>"


@dataclass
class Door:
    client: HttpClient
    clock: Clock
    name: str
    meter: Meter

    async def get(self, path="/a", *, meter=None):
        host = self.client.host(self.name)
        return await self.client.get(host, Request(target=path), limit=1000, meter=meter or self.meter)

    async def post(self, path="/a"):
        return await self.client.get(
            self.client.host(self.name), Request(method="POST", target=path), limit=1000, meter=self.meter
        )


@asynccontextmanager
async def door(name, *, verify=False, retries=0, timeout_s=10.0, proxy_for=None):
    clock = Clock()
    client = HttpClient(
        HttpSettings(timeout_s=timeout_s, retries=retries),
        lambda _: TLSSettings(verify=verify),
        proxy_for=proxy_for,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        wall_s=clock.wall_s,
    )
    try:
        yield Door(client, clock, name, Meter())
    finally:
        await client.aclose()


@pytest.fixture(params=LOOPS)
def run(request):
    """Run a story on each loop; what nobody caught there is an error."""

    def play(story):
        failures = []

        async def watched():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
            async with asyncio.timeout(20):
                await story()

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(watched())
            gc.collect()
            runner.run(asyncio.sleep(0))
        assert failures == []

    return play


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


# --- nobody waits for another's request ---


@pytest.mark.parametrize("how", [{}, {"frank": True}])
def test_a_slow_first_answer_holds_nobody_up(run, how):
    async def story():
        async with HostileRegistry(**how) as registry, door(registry.host) as way:
            others_done = asyncio.Event()
            registry.on("/slow", hostile.held(others_done, hostile.reply(b"slow")))
            registry.on("/a", hostile.reply(b"quick"))
            slow = asyncio.create_task(way.get("/slow"))
            replies = await asyncio.gather(*(way.get() for _ in range(5)))
            assert {reply.body for reply in replies} == {b"quick"}
            assert not slow.done()
            others_done.set()
            assert (await slow).body == b"slow"
            assert registry.hellos == 1
            assert way.meter.requests == len(registry.seen) == 6

    run(story)


@pytest.mark.parametrize("how", [{}, {"frank": True}, {"patient": True}])
def test_a_first_request_that_fails_fails_alone(run, how):
    async def story():
        async with HostileRegistry(**how) as registry, door(registry.host) as way:
            others_done = asyncio.Event()
            registry.on("/first", hostile.held(others_done, hostile.hang_up()))
            registry.on("/a", hostile.reply(b"quick"))
            first = asyncio.create_task(way.get("/first"))
            replies = await asyncio.gather(*(way.get() for _ in range(3)))
            assert {reply.body for reply in replies} == {b"quick"}
            others_done.set()
            with pytest.raises(UnreachableError, match="/first: the connection was closed before an answer"):
                await first

    run(story)


def test_the_first_to_ask_may_be_cancelled(run):
    async def story():
        async with HostileRegistry(frank=True) as registry, door(registry.host) as way:
            registry.on("/a", hostile.reply(b"quick"))
            first, second = asyncio.create_task(way.get()), asyncio.create_task(way.get())
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).body == b"quick"
            assert registry.hellos == 1

    run(story)


def test_a_host_that_is_not_there_fails_for_all_who_wait_and_each_message_names_the_host(run):
    async def story():
        async with door(f"127.0.0.1:{closed_port()}") as way:
            found = await asyncio.gather(*(way.get(f"/{at}") for at in range(5)), return_exceptions=True)
            assert {type(error) for error in found} == {NotConnectedError}
            [text] = {str(error) for error in found}
            assert text.count(f"://{way.name}: no connection") == 2
            assert way.meter.requests == 0

    run(story)


def test_a_host_that_hears_nothing_is_a_connect_time_out_for_all(run, monkeypatch):
    monkeypatch.setattr(limits, "TLS_PROBE_LOOPBACK_S", 0.1)

    async def story():
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for one in fillers:
                one.setblocking(False)
                one.connect_ex(deaf.getsockname())
            async with door(f"127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.2) as way:
                found = await asyncio.gather(*(way.get() for _ in range(3)), return_exceptions=True)
                assert {type(error) for error in found} == {ConnectTimeoutError}
                assert way.meter.requests == 0
            for one in fillers:
                one.close()

    run(story)


# --- which scheme it is ---


@pytest.mark.parametrize("retries", [0, 5])
def test_a_400_of_a_host_that_answers_tls_in_plain_http_is_its_own(run, retries):
    async def story():
        async with HostileRegistry(frank=True) as registry, door(registry.host, retries=retries) as way:
            registry.on("/bad", hostile.reply(HTML, status=400))
            registry.on("/a", hostile.reply(b"quick"))
            assert (await way.get("/bad")).status == 400
            assert (await way.get()).body == b"quick"
            assert registry.hellos == 1

    run(story)


@pytest.mark.parametrize(
    ("answer", "is_registry"),
    [
        (hostile.refused(400, "NAME_INVALID"), True),
        (hostile.reply(HTML, status=400, Docker_Distribution_Api_Version="registry/2.0"), True),
        (hostile.reply(HTML, status=400), False),
        (hostile.reply(b"", status=400), False),
        (hostile.reply(b"Client sent an HTTP request to an HTTPS server.\n", status=400), False),
    ],
)
def test_a_400_of_a_host_that_only_hangs_up_on_tls_counts_if_it_is_a_registrys(run, answer, is_registry):
    async def story():
        async with HostileRegistry() as registry, door(registry.host) as way:
            registry.on("/a", answer)
            if is_registry:
                assert (await way.get()).status == 400
            else:
                with pytest.raises(UnreachableError, match=r"no .*connection.*as a TLS port does"):
                    await way.get()
            registry.on("/a", hostile.reply(b"quick"))
            assert (await way.get()).body == b"quick"
            assert registry.hellos == (1 if is_registry else 2)

    run(story)


def test_a_host_that_hangs_up_on_both_is_asked_anew(run):
    async def story():
        async with HostileRegistry() as registry, door(registry.host, retries=1) as way:
            registry.on("/a", hostile.in_turn(hostile.hang_up(), hostile.reply(b"quick")))
            assert (await way.get()).body == b"quick"
            assert registry.hellos == 2
            assert way.meter.requests == len(registry.seen) == 2

    run(story)


@pytest.mark.parametrize("leads_to", ["/a", "http://{host}/a", "//{host}/a"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_that_is_cut_harms_no_redirect_of_another(run, leads_to, streamed):
    async def story():
        async with HostileRegistry() as registry, door(registry.host) as way:
            cut = asyncio.Event()
            registry.on("/cut", hostile.hang_up())
            registry.on("/moved", hostile.held(cut, hostile.redirect(leads_to.format(host=registry.host))))
            registry.on("/a", hostile.reply(b"quick"))
            host = way.client.host(registry.host)
            send = way.client.open(host, Request(target="/moved"), meter=way.meter) if streamed else way.get("/moved")
            moved = asyncio.create_task(send)
            while not registry.asked("/moved"):
                await asyncio.sleep(0.001)
            with pytest.raises(UnreachableError, match="nor over plain HTTP"):
                await way.get("/cut")
            assert host.base is None
            cut.set()
            answer = await moved
            if streamed:
                assert b"".join([chunk async for chunk in answer.chunks(budget_s=9)]) == b"quick"
                answer.close()
            else:
                assert answer.body == b"quick"

    run(story)


def test_once_it_has_answered_plainly_a_broken_answer_is_no_doubt(run):
    async def story():
        async with HostileRegistry() as registry, door(registry.host) as way:
            registry.on("/a", hostile.in_turn(hostile.reply(b"quick"), hostile.hang_up(), hostile.reply(b"again")))
            await way.get()
            with pytest.raises(UnreachableError) as caught:
                await way.get()
            assert "nor over plain HTTP" not in str(caught.value)
            assert (await way.get()).body == b"again"
            assert registry.hellos == 1

    run(story)


def test_the_scheme_is_found_out_for_what_is_posted_and_streamed_too(run):
    async def story():
        async with HostileRegistry(frank=True) as registry, door(registry.host) as way:
            registry.on("/a", hostile.reply(b"done"))
            assert (await way.post()).body == b"done"
            host = way.client.host(registry.host)
            stream = await way.client.open(host, Request(target="/a"), meter=way.meter)
            assert isinstance(stream, BodyStream)
            assert b"".join([chunk async for chunk in stream.chunks(budget_s=9)]) == b"done"
            stream.close()
            assert (registry.hellos, way.meter.requests) == (1, 2)

    run(story)


@pytest.mark.parametrize("send", [Door.get, Door.post])
def test_tls_that_must_be_spoken_is_tried_once_on_a_port_without_it(run, send):
    async def story():
        async with HostileRegistry(frank=True) as registry, door(registry.host, verify=True, retries=5) as way:
            with pytest.raises(NoTLSError, match="no TLS"):
                await send(way)
            assert (registry.hellos, way.clock.slept, way.meter.requests) == (1, [], 0)

    run(story)


def test_through_a_proxy_the_scheme_is_found_out_by_one_request_of_its_own(run):
    async def story():
        async with HostileRegistry() as proxy:

            def proxy_for(*_):
                return Proxy(url=f"http://{proxy.host}")

            async with door("registry.example:5000", proxy_for=proxy_for) as way:
                proxy.on("http://registry.example:5000/v2/", hostile.refused(401))
                proxy.on("http://registry.example:5000/a", hostile.reply(b"quick"))
                replies = await asyncio.gather(*(way.get() for _ in range(3)))
                assert {reply.body for reply in replies} == {b"quick"}
                sent = [(seen.method, seen.target) for seen in proxy.seen]
                assert sent[0] == ("CONNECT", "registry.example:5000")
                assert sent[1] == ("GET", "http://registry.example:5000/v2/")
                assert sent[2:] == [("GET", "http://registry.example:5000/a")] * 3

    run(story)


# --- a host that another was matched for is never contacted ---


@pytest.mark.parametrize("send", [Door.get, Door.post])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("spell", ["{}:{wrapped}", "{}:0{}", "{}:", "[{}]:{}", "x@{}:{}", "{}:{}:{}"])
def test_no_other_spelling_of_a_port_or_host_leads_to_a_server(run, spell, verify, send):
    async def story():
        async with HostileRegistry() as registry:
            name, port = registry.host.split(":")
            spelled = spell.format(name, port, port, wrapped=int(port) + 65536)
            async with door(spelled, verify=verify, retries=5) as way:
                with pytest.raises(UntrustedHostError, match="no host's name and port"):
                    await send(way)
                assert (registry.connections, way.meter.requests, way.clock.slept) == (0, 0, [])

    run(story)


def test_nor_through_a_proxy(run):
    async def story():
        async with door("registry.example:70536", proxy_for=Proxies({"http_proxy": "p.example"}).proxy_for) as way:
            with pytest.raises(UntrustedHostError, match="no host's name and port"):
                await way.client.get(way.client.host(way.name, scheme="http"), GET, limit=9, meter=way.meter)

    run(story)


@pytest.mark.parametrize("send", [Door.get, Door.post])
@pytest.mark.parametrize("verify", [True, False])
def test_a_name_that_dns_cannot_have_is_no_fault_of_ours(run, verify, send):
    async def story():
        async with door(f"{'a' * 64}.example", verify=verify, retries=5) as way:
            with pytest.raises(UntrustedHostError):
                await send(way)

    run(story)


# --- redirects ---


def test_a_401_behind_a_redirect_is_no_challenge_of_the_registry(run):
    async def story():
        async with HostileRegistry() as registry, HostileRegistry() as other, door(registry.host) as way:
            registry.on("/a", hostile.redirect(f"http://{other.host}/b"))
            other.on("/b", hostile.refused(401, WWW_Authenticate='Basic realm="x"'))
            with pytest.raises(UnauthorizedError, match=f"{other.host}/b, where {registry.host} redirects to"):
                await way.get()
            registry.on("/c", hostile.redirect("/d"))
            registry.on("/d", hostile.refused(401, WWW_Authenticate='Basic realm="x"'))
            assert (await way.get("/c")).headers.get("WWW-Authenticate") == 'Basic realm="x"'

    run(story)


def test_a_redirect_to_a_port_that_wraps_round_is_refused(run):
    async def story():
        async with HostileRegistry() as registry, HostileRegistry() as other, door(registry.host) as way:
            registry.on("/a", hostile.redirect(f"http://127.0.0.1:{other.port + 65536}/b"))
            with pytest.raises(RegistryError, match="no plain http or https URL"):
                await way.get()
            assert other.connections == 0

    run(story)


# --- ends ---


@pytest.mark.parametrize("send", [Door.get, Door.post])
@pytest.mark.parametrize("verify", [True, False])
def test_nothing_is_sent_after_the_end(run, verify, send):
    async def story():
        async with HostileRegistry() as registry:
            async with door(registry.host, verify=verify) as way:
                pass
            with pytest.raises(NotConnectedError, match="this run is over"):
                await send(way)
            assert registry.connections == 0

    run(story)


def test_the_end_of_a_run_ends_a_probe_and_leaves_no_socket(run):
    async def story():
        async with RawServer(endlessly(b"", b"", pause_s=0.01)) as server:
            async with door(f"127.0.0.1:{server.port}") as way:
                waiting = asyncio.create_task(way.get())
                async with asyncio.timeout(5):
                    while not server.connections:
                        await asyncio.sleep(0.001)
            await asyncio.gather(waiting, return_exceptions=True)
            await server.left(1)

    run(story)


@contextmanager
def frank_elsewhere(*, speaks_first):
    """A server in a thread, so that its answer may come while our loop is doing something else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        name = "127.0.0.1:{1}".format(*listening.getsockname())

        def serve():
            kept = []
            with ExitStack() as stack:
                while True:
                    try:
                        kept.append(stack.enter_context(listening.accept()[0]))
                    except OSError:  # it is shut down at the end
                        return
                    if not speaks_first:
                        with suppress(ConnectionError):
                            kept[-1].recv(1)
                    with suppress(ConnectionError):
                        kept[-1].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield name
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("speaks_first", [True, False])
def test_a_cancelled_greeting_leaves_no_complaint_behind(new_loop, verify, speaks_first):
    """uvloop tells of a future "never retrieved" where its own create_connection is cancelled at some turns."""
    failures = []

    async def story(name, spins):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with door(name, verify=verify) as way:
            getting = asyncio.create_task(way.get())
            for _ in range(spins):
                await asyncio.sleep(0)
            getting.cancel()
            [found] = await asyncio.gather(getting, return_exceptions=True)
            assert isinstance(found, asyncio.CancelledError | UnreachableError)
        await asyncio.sleep(0.01)  # uvloop closes its sockets a turn later

    with frank_elsewhere(speaks_first=speaks_first) as name:
        for spins in (*range(2, 8), *range(2, 8)):
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(story(name, spins))
    gc.collect()
    assert failures == []


def test_a_greeting_is_cancelled_at_once_though_the_server_says_nothing(run):
    async def story():
        async with HostileRegistry(patient=True) as registry, door(registry.host, verify=True) as way:
            getting = asyncio.create_task(way.get())
            async with asyncio.timeout(5):
                while not registry.hellos:
                    await asyncio.sleep(0.001)
            getting.cancel()
            async with asyncio.timeout(5):
                with pytest.raises(asyncio.CancelledError):
                    await getting

    run(story)


# --- what is counted ---


@pytest.mark.parametrize("send", [Door.get, Door.post])
@pytest.mark.parametrize("verify", [True, False])
def test_what_found_no_connection_is_not_counted(run, verify, send):
    async def story():
        async with door(f"127.0.0.1:{closed_port()}", verify=verify, retries=2) as way:
            with pytest.raises(NotConnectedError):
                await send(way)
            assert (way.meter.requests, len(way.clock.slept)) == (0, 2)

    run(story)


@pytest.mark.parametrize("send", [Door.get, Door.post])
def test_what_was_sent_and_then_cancelled_is_counted(run, send):
    async def story():
        async with HostileRegistry(frank=True) as registry, door(registry.host) as way:
            registry.on("/a", hostile.silence())
            waiting = asyncio.create_task(send(way))
            async with asyncio.timeout(5):
                while not registry.seen:
                    await asyncio.sleep(0.001)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert way.meter.requests == len(registry.seen) == 1

    run(story)


def test_answers_that_break_are_counted_as_often_as_they_were_asked_for(run):
    async def story():
        server = RawServer(says(b"", then="close"), says(ok(b"one")))
        async with server, door("", retries=2) as way:
            host = way.client.host(f"127.0.0.1:{server.port}", scheme="http")
            reply = await way.client.get(host, Request(target="/a"), limit=9, meter=way.meter)
            assert (reply.body, way.meter.requests) == (b"one", 2)

    run(story)
