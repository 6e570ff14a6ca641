"""``plimsoll sign``: sign one image where it lies, with a sigstore key, as somebody (keyless), or with GPG."""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import AsyncExitStack
from typing import Final

from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.passphrases import add_passphrase_argument
from plimsoll.cli.signing_services import add_service_arguments, is_keyless, notary_order
from plimsoll.cli.skopeo_options import OVERRIDES
from plimsoll.cli.verify import (
    add_access_arguments,
    add_patience_arguments,
    check_image,
    configure_logging,
    settings_of,
)
from plimsoll.errors import UsageError
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import Settings
from plimsoll.pipeline.notary import NotaryOrder, open_notary
from plimsoll.pipeline.signing import (
    GpgSigner,
    ImageSigner,
    Signer,
    SigningOrder,
    StoredSignature,
    checked_identity,
    sign_image,
)
from plimsoll.pipeline.signing_keys import read_passphrase_file
from plimsoll.report.escape import printable
from plimsoll.transport.gpg import Gpg

USAGE: Final = "plimsoll sign (--key FILE | --identity-token TOKEN | --sign-by FINGERPRINT) [OPTIONS] IMAGE"


def add_arguments(parser: Parser) -> None:
    """The options of ``sign``: who signs, as whom, how, and those of ``verify`` that say how registries are reached."""
    parser.add_argument("image", metavar="IMAGE", help="docker://, oci:PATH[:REF], oci:PATH@DIGEST, dir:")
    parser.add_argument(
        "--key",
        "--sign-by-sigstore-private-key",
        dest="key",
        metavar="FILE",
        help="a private key: cosign's encrypted form, or PKCS#8",
    )
    parser.add_argument(
        "--sign-by", metavar="FINGERPRINT", help="sign with this key of your gpg; goes to the lookaside"
    )
    add_passphrase_argument(parser, "--sign-passphrase-file")
    parser.add_argument(
        "--format",
        choices=("bundle", "sig"),
        default="bundle",
        help="a sigstore bundle that refers to the image, or cosign's .sig tag (bundle)",
    )
    parser.add_pairs("-a", "--annotations", dest="annotation", help="sign this too; again: all of them")
    parser.add_argument("--sign-identity", metavar="REF", help="the name to sign, HOST/PATH:TAG (that of IMAGE)")
    parser.add_argument("--registries.d", dest="registries_d", metavar="DIR", help="says where the lookasides are")
    add_service_arguments(parser)
    add_writing_arguments(parser)


def add_writing_arguments(parser: Parser) -> None:
    """The options that say how the image is reached."""
    add_access_arguments(parser)
    add_patience_arguments(parser)
    parser.add_boolean("--debug", help="log to stderr")
    parser.set_defaults(concurrency=1, layers="none", platform=None, index_policy=None, req_per_sec=None, offline=False)
    parser.set_defaults(**dict.fromkeys(OVERRIDES))


def run(arguments: argparse.Namespace) -> int:
    """Sign and store, and print a line for each signature: the digest, the name, the place."""
    configure_logging(debug=arguments.debug)
    check_image(arguments.image)
    now_s = time.time()
    gpg = _gpg(arguments)
    keyless = is_keyless(arguments, os.environ) and (gpg is None or arguments.identity_token is not None)
    if arguments.key is None and gpg is None and not keyless:
        raise UsageError("nothing to sign with: give --key FILE, --identity-token TOKEN|FILE, or --sign-by FINGERPRINT")
    wanted = notary_order(arguments, environ=os.environ, now_s=now_s) if arguments.key is not None or keyless else None
    for made in event_loop.run(_sign(arguments, wanted, gpg, now_s=now_s)):
        who = f"signed as {printable(made.reference)}" if made.reference else "signed"
        sys.stdout.write(f"{made.digest} {who}: {printable(made.place)}\n")
    return 0


async def _sign(
    arguments: argparse.Namespace, wanted: NotaryOrder | None, gpg: GpgSigner | None, *, now_s: float
) -> tuple[StoredSignature, ...]:
    settings = settings_of(arguments)
    image = parse_reference(arguments.image)
    if arguments.sign_identity is not None:
        checked_identity(image, arguments.sign_identity)  # before anything becomes public
    async with AsyncExitStack() as stack:
        signers: list[Signer] = []
        if wanted is not None:
            signers.append(await _image_signer(arguments, wanted, settings, stack))
        if gpg is not None:
            signers.append(gpg)
        order = SigningOrder(
            image=image,
            signers=tuple(signers),
            identity=arguments.sign_identity,
            now_s=now_s,
            needs_name=gpg is not None or arguments.format == "sig",
            annotations=dict(arguments.annotation),
        )
        return await sign_image(order, settings=settings, environ=os.environ)


async def _image_signer(
    arguments: argparse.Namespace, wanted: NotaryOrder, settings: Settings, stack: AsyncExitStack
) -> ImageSigner:
    notary = await stack.enter_async_context(open_notary(wanted, settings=settings, environ=os.environ))
    if arguments.key is None:
        sys.stderr.write(f"plimsoll: signing as {printable(notary.signer)}\n")
    return ImageSigner(notary=notary, as_layer=arguments.format == "sig", name=arguments.sign_identity or "")


def _gpg(arguments: argparse.Namespace) -> GpgSigner | None:
    file = arguments.passphrase_file
    if None not in (arguments.key, arguments.sign_by, file):
        raise UsageError("--passphrase-file is for one key, and both --key and --sign-by are given")
    if arguments.sign_by is None:
        return None
    passphrase = None if file is None else read_passphrase_file(file)
    return GpgSigner(gpg=Gpg(environ=os.environ, passphrase=passphrase), key=arguments.sign_by)
