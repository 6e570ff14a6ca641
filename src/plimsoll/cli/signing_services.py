"""Who signs and by which services: options that ``sign`` and ``attest`` share, and what they come to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.cli.passphrases import passphrase_of
from plimsoll.config.signing_config import read_signing_config, vendored_signing_config
from plimsoll.config.trusted_root import read_trusted_root
from plimsoll.errors import SigningConfigError, TrustRootError, UsageError
from plimsoll.model.signing_config import Service, SigningServices, parse_signing_config
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.pipeline.identity_tokens import has_ambient_token
from plimsoll.pipeline.notary import NotaryOrder, TokenGiven, without_log
from plimsoll.pipeline.signing_keys import read_signing_key
from plimsoll.pipeline.signing_tokens import is_token_reference, token_signing_key
from plimsoll.pipeline.trusted_root import read_public_good_root
from plimsoll.signatures.formats import SctDemand
from plimsoll.signatures.signing import SigningKey
from plimsoll.transport.sigstore_services import ServiceUrl

_URLS: Final = {
    "fulcio_url": "--fulcio-url",
    "rekor_url": "--rekor-url",
    "timestamp_server_url": "--timestamp-server-url",
}


def add_service_arguments(parser: Parser) -> None:
    """The options that say by whom a signature is certified, logged and stamped, and who may vouch for that."""
    parser.add_argument(
        "--identity-token", metavar="TOKEN|FILE", help="sign without a key, as whom this OIDC token names"
    )
    parser.add_boolean(
        "--tlog-upload", default=None, help="false: no transparency log, so nothing becomes public (true)"
    )
    parser.add_argument("--signing-config", metavar="FILE", help="a sigstore signing config: which services to use")
    parser.add_argument("--fulcio-url", metavar="URL", help="who issues the certificate")
    parser.add_argument("--rekor-url", metavar="URL", help="the log (Rekor v1; v2 by --signing-config)")
    parser.add_argument("--timestamp-server-url", metavar="URL", help="who stamps the time, its whole URL")
    parser.add_argument(
        "--trusted-root", metavar="FILE", help="judges the services' answers (the public-good instance's)"
    )
    parser.add_boolean("--insecure-ignore-sct", help="the certificate needs no CT log's promise")
    parser.add_boolean("-y", "--yes", help="what the public log is told stays there for ever: do not ask")


def notary_order(arguments: argparse.Namespace, *, environ: Mapping[str, str], now_s: float) -> NotaryOrder:
    """Who signs, and by what; raises UsageError for what does not go together, ConfigError for bad files."""
    signer = _signer(arguments, environ)
    services = _services(arguments, keyed=isinstance(signer, SigningKey), now_s=now_s)
    return NotaryOrder(
        signer=signer,
        services=services,
        root=_root(arguments.trusted_root, environ, now_s) if services != SigningServices() else None,
        now_s=now_s,
        sct=SctDemand.IGNORED if arguments.insecure_ignore_sct else SctDemand.REQUIRED,
    )


def is_keyless(arguments: argparse.Namespace, environ: Mapping[str, str]) -> bool:
    """Whether a token is to sign: one is given, or there is no key and a CI system offers one."""
    return arguments.identity_token is not None or (arguments.key is None and has_ambient_token(environ))


def _signer(arguments: argparse.Namespace, environ: Mapping[str, str]) -> SigningKey | TokenGiven:
    if arguments.key is not None and arguments.identity_token is not None:
        raise UsageError("--key and --identity-token exclude each other: sign with a key, or as somebody")
    if arguments.key is None:
        if not is_keyless(arguments, environ):
            raise UsageError("nothing to sign with: give --key FILE, or --identity-token TOKEN|FILE")
        return TokenGiven(text=arguments.identity_token)
    if is_token_reference(arguments.key):
        if arguments.passphrase_file is not None:
            raise UsageError(
                "a token's PIN comes by pin-source in its URI, or in COSIGN_PKCS11_PIN: no passphrase file"
            )
        return token_signing_key(arguments.key, environ=environ)
    ask = partial(passphrase_of, arguments.key, file=arguments.passphrase_file, environ=environ)
    return read_signing_key(arguments.key, passphrase=ask)


def _services(arguments: argparse.Namespace, *, keyed: bool, now_s: float) -> SigningServices:
    urls = {name: option for name, option in _URLS.items() if getattr(arguments, name) is not None}
    wants_log = arguments.tlog_upload is not False
    if arguments.signing_config is not None:
        if urls:
            raise UsageError(f"--signing-config and {next(iter(urls.values()))} exclude each other")
        found = services_in(arguments.signing_config, now_s=now_s)
    elif urls:
        found = _named(arguments, keyed=keyed, wants_log=wants_log)
    elif keyed and not wants_log:
        return SigningServices()
    else:
        found = parse_signing_config(vendored_signing_config()).at(now_s)
        if wants_log:
            _confirm(arguments, keyed=keyed)
    if arguments.tlog_upload and not found.logs:
        raise UsageError("--tlog-upload=true, and the signing config names no log")
    return found if wants_log else without_log(found)


def services_in(path: str, *, now_s: float) -> SigningServices:
    """What to use of a signing config's services now; raises SigningConfigError, naming the file."""
    try:
        found = parse_signing_config(read_signing_config(path).data).at(now_s)
    except SigningConfigError as error:
        raise SigningConfigError(f"--signing-config {path}: {error}") from error
    for service in (*filter(None, [found.authority]), *found.logs, *found.timestampers):
        ServiceUrl.parse(service.url, what=f"--signing-config {path}:")
    return found


def _named(arguments: argparse.Namespace, *, keyed: bool, wants_log: bool) -> SigningServices:
    for name, option in _URLS.items():
        if getattr(arguments, name) is not None:
            ServiceUrl.parse(getattr(arguments, name), what=option)
    if wants_log and arguments.rekor_url is None:
        raise UsageError("services are named, but no log: add --rekor-url URL, or --tlog-upload=false")
    if not keyed and arguments.fulcio_url is None:
        raise UsageError("services are named, but none that issues certificates: add --fulcio-url URL, or --key FILE")
    authority, log, stamps = [
        None if url is None else Service(url=url)
        for url in (arguments.fulcio_url, arguments.rekor_url, arguments.timestamp_server_url)
    ]
    return SigningServices(
        authority=authority, logs=() if log is None else (log,), timestampers=() if stamps is None else (stamps,)
    )


def _confirm(arguments: argparse.Namespace, *, keyed: bool) -> None:
    """Nobody tells the whole world of an image, or of themselves, by having left an option out (cosign asks too)."""
    if arguments.yes:
        return
    what = "the public key" if keyed else "your identity"
    told = f"sigstore's public log will show the signature and {what}, and nothing is ever removed from it"
    if not sys.stdin.isatty():
        raise UsageError(
            f"{told}: say --yes, name other services (--signing-config, --rekor-url), or --tlog-upload=false"
        )
    sys.stderr.write(f"{told}. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed: nothing was sent")


def _root(path: str | None, environ: Mapping[str, str], now_s: float) -> TrustRoot:
    if path is None:
        return read_public_good_root(environ, now_s=now_s)
    found = read_trusted_root(path)
    try:
        return parse_trusted_root(found.data)
    except TrustRootError as error:
        raise TrustRootError(f"--trusted-root {path}: {error}") from error
