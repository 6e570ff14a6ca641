"""``plimsoll sign``: sign one image where it lies, with a sigstore key, with GPG, or with both."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from plimsoll.cli.arguments import Parser, count_or_none, duration
from plimsoll.cli.passphrases import add_passphrase_argument, passphrase_of
from plimsoll.cli.verify import add_access_arguments, check_image, configure_logging, settings_of
from plimsoll.errors import UsageError
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S
from plimsoll.pipeline.signing import GpgSigner, KeySigner, Signer, SigningOrder, sign_image
from plimsoll.pipeline.signing_keys import read_passphrase_file, read_signing_key
from plimsoll.report.escape import printable
from plimsoll.transport.gpg import Gpg

USAGE: Final = "plimsoll sign (--key FILE | --sign-by FINGERPRINT) [OPTIONS] IMAGE"


def add_arguments(parser: Parser) -> None:
    """The options of ``sign``: who signs, as whom, and those of ``verify`` that say how registries are reached."""
    parser.add_argument("image", metavar="IMAGE", help="docker://, oci:PATH[:REF], oci:PATH@DIGEST, dir:")
    parser.add_argument(
        "--key",
        "--sign-by-sigstore-private-key",
        dest="key",
        metavar="FILE",
        help="a private key: cosign's encrypted form, or PKCS#8; the signature is attached as cosign does",
    )
    parser.add_argument(
        "--sign-by", metavar="FINGERPRINT", help="sign with this key of your gpg; goes to the lookaside"
    )
    add_passphrase_argument(parser, "--sign-passphrase-file")
    parser.add_argument("--sign-identity", metavar="REF", help="the name to sign, HOST/PATH:TAG (that of IMAGE)")
    parser.add_argument("--registries.d", dest="registries_d", metavar="DIR", help="says where the lookasides are")
    add_access_arguments(parser)
    parser.add_argument(
        "--retry-times",
        type=count_or_none,
        default=DEFAULT_RETRIES,
        metavar="N",
        help=f"tries after the first of each request ({DEFAULT_RETRIES})",
    )
    parser.add_argument(
        "--timeout", type=duration, default=DEFAULT_TIMEOUT_S, metavar="DURATION", help="for each request (30s)"
    )
    parser.add_boolean("--debug", help="log to stderr")
    parser.set_defaults(concurrency=1, layers="none", platform=None, index_policy=None, req_per_sec=None)


def run(arguments: argparse.Namespace) -> int:
    """Sign and store, and print a line for each signature: the digest, the name, the place."""
    configure_logging(debug=arguments.debug)
    check_image(arguments.image)
    order = SigningOrder(
        image=parse_reference(arguments.image),
        signers=tuple(_signers(arguments)),
        identity=arguments.sign_identity,
        now_s=time.time(),
    )
    stored = asyncio.run(sign_image(order, settings=settings_of(arguments), environ=os.environ))
    for made in stored:
        sys.stdout.write(f"{made.digest} signed as {printable(made.reference)}: {printable(made.place)}\n")
    return 0


def _signers(arguments: argparse.Namespace) -> Iterator[Signer]:
    if arguments.key is None and arguments.sign_by is None:
        raise UsageError("nothing to sign with: give --key FILE, or --sign-by FINGERPRINT")
    file = arguments.passphrase_file
    if None not in (arguments.key, arguments.sign_by, file):
        raise UsageError("--passphrase-file is for one key, and both --key and --sign-by are given")
    if arguments.key is not None:
        ask = partial(passphrase_of, arguments.key, file=file, environ=os.environ)
        yield KeySigner(key=read_signing_key(arguments.key, passphrase=ask))
    if arguments.sign_by is not None:
        passphrase = None if file is None else read_passphrase_file(file)
        yield GpgSigner(gpg=Gpg(environ=os.environ, passphrase=passphrase), key=arguments.sign_by)
