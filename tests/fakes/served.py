"""The embedded registry beside a test that blocks."""

import asyncio
import threading
from contextlib import contextmanager

from plimsoll.embedded.server import RegistryServer
from plimsoll.embedded.store import Store


@contextmanager
def served_store(store):
    """The store, served by a thread with a loop of its own; gives HOST:PORT."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = RegistryServer(store)
    try:
        yield asyncio.run_coroutine_threadsafe(server.start(), loop).result(20)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@contextmanager
def served(root):
    """The layouts below ``root``, served likewise and read-only."""
    with Store(root) as store, served_store(store) as address:
        yield address
