from __future__ import annotations

import asyncio
import socket

import pytest

from plimsoll.transport.dialing import LOOKED_UP_S, Dialer


class Names:
    """A loop's name service, counted: the only part of dialing that leaves this machine."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = addresses
        self.asked = 0

    async def getaddrinfo(self, host, port, *, type):  # noqa: A002
        self.asked += 1
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))
            for address, port in self.addresses
        ]


def dial(names: Names, *, times: int = 1, now: list[float] | None = None, step: float = 0.0):
    clock = now or [0.0]

    async def run():
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = names.getaddrinfo
        dialer = Dialer(monotonic=lambda: clock[0])
        peers = []
        for _ in range(times):
            try:
                connected = await dialer.dial("registry.example", names.addresses[0][1] if names.addresses else 1)
            except OSError as error:
                peers.append(error)
            else:
                peers.append(connected.getpeername()[0])
                connected.close()
            clock[0] += step
        return peers

    return asyncio.run(run())


def test_a_name_is_looked_up_once_for_a_while():
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = Names(("127.0.0.1", server.getsockname()[1]))
        assert dial(names, times=3) == ["127.0.0.1"] * 3
        assert names.asked == 1
        dial(names, times=2, step=LOOKED_UP_S)
        assert names.asked == 3


def test_an_address_that_refuses_does_not_hide_one_that_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # Nobody listens at 127.0.0.2 on this port.
        assert dial(Names(("127.0.0.2", port), ("127.0.0.1", port))) == ["127.0.0.1"]


def test_a_name_is_looked_up_again_after_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    names = Names(("127.0.0.1", port))
    assert all(isinstance(error, OSError) for error in dial(names, times=2))
    assert names.asked == 2


@pytest.mark.parametrize("times", [1, 2])
def test_a_name_without_addresses_is_an_error(times):
    names = Names()
    assert all("no address" in str(error) for error in dial(names, times=times))
    assert names.asked == times
