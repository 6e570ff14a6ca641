"""``plimsoll attest``: sign a statement about one image, and store it beside the image."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Final

from plimsoll import limits
from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.passphrases import add_passphrase_argument
from plimsoll.cli.sign import add_writing_arguments
from plimsoll.cli.signing_services import add_service_arguments, notary_order
from plimsoll.cli.verify import check_image, configure_logging, settings_of
from plimsoll.config.files import read_file
from plimsoll.errors import ConfigError
from plimsoll.model.digest import Digest
from plimsoll.model.reference import parse_reference
from plimsoll.pipeline.notary import NotaryOrder, open_notary
from plimsoll.pipeline.signing import Attester, SigningOrder, StoredSignature, checked_identity, sign_image
from plimsoll.report.escape import printable
from plimsoll.signatures.made_bundles import image_statement
from plimsoll.signatures.statement import predicate_type_of

USAGE: Final = "plimsoll attest (--key FILE | --identity-token TOKEN) --predicate FILE [--type TYPE] [OPTIONS] IMAGE"


def add_arguments(parser: Parser) -> None:
    """The options of ``attest``: what is stated, who signs it, and how the image is reached."""
    parser.add_argument("image", metavar="IMAGE", help="docker://, oci:PATH[:REF], oci:PATH@DIGEST")
    parser.add_argument("--predicate", metavar="FILE", required=True, help="what is stated: a JSON object")
    parser.add_argument(
        "--type", default="custom", metavar="TYPE", help="of the predicate: cosign's short names, or a URI (custom)"
    )
    parser.add_argument("--key", metavar="FILE", help="a private key: cosign's encrypted form, or PKCS#8")
    add_passphrase_argument(parser)
    parser.add_argument(
        "--format",
        choices=("bundle", "att"),
        default="bundle",
        help="a sigstore bundle that refers to the image, or cosign's .att tag (bundle)",
    )
    parser.add_argument("--sign-identity", metavar="REF", help="the subject's name (the repository of IMAGE)")
    add_service_arguments(parser)
    add_writing_arguments(parser)
    parser.set_defaults(registries_d=None)


def run(arguments: argparse.Namespace) -> int:
    """Attest and store, and print a line: the digest, the type, the place."""
    configure_logging(debug=arguments.debug)
    check_image(arguments.image)
    kind = predicate_type_of(arguments.type)
    predicate = _predicate(arguments.predicate, kind)
    wanted = notary_order(arguments, environ=os.environ, now_s=time.time())
    for made in event_loop.run(_attest(arguments, wanted, kind=kind, predicate=predicate)):
        sys.stdout.write(f"{made.digest} attested ({printable(kind)}): {printable(made.place)}\n")
    return 0


async def _attest(
    arguments: argparse.Namespace, wanted: NotaryOrder, *, kind: str, predicate: bytes
) -> tuple[StoredSignature, ...]:
    settings = settings_of(arguments)
    image = parse_reference(arguments.image)
    if arguments.sign_identity is not None:
        checked_identity(image, arguments.sign_identity)  # before anything becomes public
    async with open_notary(wanted, settings=settings, environ=os.environ) as notary:
        if arguments.key is None:
            sys.stderr.write(f"plimsoll: signing as {printable(notary.signer)}\n")
        attester = Attester(
            notary=notary,
            predicate_type=kind,
            predicate=predicate,
            as_layer=arguments.format == "att",
            name=arguments.sign_identity or "",
        )
        order = SigningOrder(
            image=image,
            signers=(attester,),
            identity=arguments.sign_identity,
            now_s=wanted.now_s,
            needs_name=False,
        )
        return await sign_image(order, settings=settings, environ=os.environ)


def _predicate(path: str, kind: str) -> bytes:
    """Read it, and refuse it before anybody is asked to certify anything; raises ConfigError, UsageError."""
    try:
        data = read_file(path, limit=limits.BUNDLE_BYTES).data
    except FileNotFoundError as error:
        raise ConfigError(f"the predicate {error}") from error
    image_statement(Digest.of(b""), predicate_type=kind, predicate=data)
    return data
