"""``plimsoll serve``: a folder of OCI layouts as a registry, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys
from pathlib import Path
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.embedded.server import RegistryServer, is_loopback
from plimsoll.embedded.store import Store, parse_name
from plimsoll.errors import StoreError, UsageError
from plimsoll.report.escape import printable

USAGE = "plimsoll serve [--listen HOST:PORT] [--allow-push] ROOT"
DEFAULT_LISTEN: Final = "127.0.0.1:5000"
_LISTEN: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\[\]:\s]*)):(?P<port>[0-9]{1,5})", re.ASCII)


def add_arguments(parser: Parser) -> None:
    """The options of ``serve``."""
    parser.add_argument(
        "--listen",
        default=DEFAULT_LISTEN,
        type=listen_address,
        metavar="HOST:PORT",
        help=f"where to listen (default {DEFAULT_LISTEN}); port 0 takes a free one; there is no login and no TLS",
    )
    parser.add_boolean("--allow-push", help="let every client that can connect push and delete")
    parser.add_argument("root", metavar="ROOT", help="the folder; the repository a/b is the OCI layout at ROOT/a/b")


def listen_address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[ADDRESS]:PORT``."""
    found = _LISTEN.fullmatch(text)
    host = None if found is None else found["six"] or found["name"]
    if found is None or not host or int(found["port"]) > 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no HOST:PORT; write {DEFAULT_LISTEN}, or 0.0.0.0:5000 for every address"
        )
    return host, int(found["port"])


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; 0 after one, and 1 where the folder or the address cannot be used."""
    host, port = arguments.listen
    root: str = arguments.root
    _refuse_layout(root)
    try:
        with Store(root, writable=arguments.allow_push, durable=True) as store:
            server = RegistryServer(
                store,
                host=host,
                port=port,
                allow_push=arguments.allow_push,
                beyond_loopback=True,  # --listen named it
            )
            _warn(host, allow_push=arguments.allow_push)
            asyncio.run(_serve(server, root))
    except OSError as error:
        raise UsageError(f"{root} cannot be served on {host}:{port}: {error.strerror or error}") from error
    return 0


def _refuse_layout(root: str) -> None:
    """Return unless ``root`` is a layout itself: as a folder of layouts it would be served as empty."""
    path = Path(root).resolve()
    if not (path / "oci-layout").exists():
        return
    try:
        cure = f"serve {path.parent}, where it is the repository {parse_name(path.name)}"
    except StoreError:
        cure = "move it to FOLDER/NAME, with a NAME in lower case, and serve FOLDER"
    raise UsageError(f"{root} is an OCI layout itself, not a folder of layouts: {cure}")


def _warn(host: str, *, allow_push: bool) -> None:
    if is_loopback(host):
        return
    what = "pull, push and delete" if allow_push else "pull"
    sys.stderr.write(f"plimsoll: warning: whoever reaches {printable(host)} can {what}: there is no login and no TLS\n")


async def _serve(server: RegistryServer, root: str) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with server as address:
        sys.stderr.write(f"serving {printable(root)} on http://{address}\n")
        sys.stderr.flush()
        await stopping.wait()
