"""``plimsoll trust update``: refresh a trusted root from its TUF repository, now and never during a verification."""

from __future__ import annotations

import argparse
import os
import sys
import time

from plimsoll import limits
from plimsoll.cli.arguments import Parser
from plimsoll.cli.verify import configure_logging
from plimsoll.config.files import read_file
from plimsoll.config.trust_store import PUBLIC_GOOD_MIRROR, checked_mirror, instant, store_folder
from plimsoll.config.trusted_root import vendored_tuf_root
from plimsoll.errors import ConfigError, TrustRootError, UsageError
from plimsoll.report.escape import printable

USAGE = "plimsoll trust update [--tuf-mirror URL [--tuf-root FILE]]"


def add_arguments(parser: Parser) -> None:
    """The options of ``trust update``."""
    parser.add_argument("--tuf-mirror", metavar="URL", help=f"the TUF repository ({PUBLIC_GOOD_MIRROR})")
    parser.add_argument(
        "--tuf-root", metavar="FILE", help="a private instance's first TUF root.json; without it, a public-good mirror"
    )
    parser.add_boolean("--offline", help="refused: an update is a download")


def run(arguments: argparse.Namespace) -> int:
    """Refresh, and say what is trusted now until when; raises UsageError, ConfigError, TransportError."""
    from plimsoll.pipeline.trust_update import update_trust  # noqa: PLC0415  # only for a real run

    configure_logging(debug=False)
    if arguments.offline:
        raise UsageError("trust update downloads, and --offline forbids it: without it, or use what is there")
    if arguments.tuf_root is not None and arguments.tuf_mirror is None:
        raise UsageError("--tuf-root is a private instance's, and no --tuf-mirror says where that is")
    mirror = checked_mirror(PUBLIC_GOOD_MIRROR if arguments.tuf_mirror is None else arguments.tuf_mirror)
    private = arguments.tuf_root is not None
    folder = store_folder(os.environ, instance=mirror if private else None)
    if not folder:
        raise ConfigError("there is no folder to keep a trusted root in: set HOME or XDG_DATA_HOME to an absolute path")
    tuf_root = _tuf_root(arguments.tuf_root) if private else vendored_tuf_root()
    done = update_trust(mirror, tuf_root=tuf_root, folder=folder, now_s=time.time())
    record = done.record
    versions = f"TUF root {record.root_version}, targets {record.targets_version}"
    lines = [
        f"{'refreshed' if done.changed else 'unchanged'} from {mirror}",
        f"{versions}, until {instant(record.expires_s)}",
        f"kept in {done.path}",
        *[f"left out, its algorithm is not built in: {name}" for name in done.root.unsupported],
    ]
    if private:
        lines.append(f"plimsoll trust export --tuf-mirror {mirror} --output FILE writes it for --trusted-root FILE")
    sys.stdout.write("".join([f"{printable(line)}\n" for line in lines]))
    return 0


def _tuf_root(path: str) -> bytes:
    try:
        return read_file(path, limit=limits.TUF_ROOT_BYTES, error=TrustRootError).data
    except FileNotFoundError as error:
        raise TrustRootError(f"the TUF root {error}, which --tuf-root names") from None
