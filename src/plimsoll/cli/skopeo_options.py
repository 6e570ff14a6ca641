"""Options as skopeo has them that say how registries are reached, and what they come to."""

from __future__ import annotations

import argparse
import re
from typing import Final

from plimsoll.cli.arguments import Parser, duration
from plimsoll.errors import UsageError
from plimsoll.model.settings import Credentials, RegistryToken

OVERRIDES: Final = {
    "override_os": "--override-os",
    "override_arch": "--override-arch",
    "override_variant": "--override-variant",
}
_NO_TIME: Final = re.compile(r"0|(?:0+(?:\.0+)?(?:ns|us|\u00b5s|ms|s|m|h))+", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""RFC 6750 section 2.1, b64token."""
_AGENT: Final = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)


def add_credential_arguments(parser: Parser) -> None:
    """The options that say who asks; ``credentials_of`` reads them."""
    parser.add_argument("--authfile", metavar="FILE", help="credentials (auth.json; what REGISTRY_AUTH_FILE names)")
    parser.add_argument("--creds", metavar="USER[:PASS]", help="for the registry of the first docker reference only")
    parser.add_argument("--username", metavar="USER", help="the same, with --password")
    parser.add_argument("--password", metavar="PASS", help="the same, with --username")
    parser.add_argument("--registry-token", metavar="TOKEN", help="a Bearer token, for that registry only")
    parser.add_boolean("--no-creds", help="ask as nobody, whatever the files hold")


def add_process_arguments(parser: Parser) -> None:
    """The options that skopeo takes before its command too: how long, where files go, what registries are told."""
    parser.add_argument(
        "--command-timeout", type=time_or_none, metavar="DURATION", help="for the whole command (0: no bound)"
    )
    parser.add_argument("--tmpdir", metavar="DIR", help="where compressed archives are unpacked to")
    parser.add_argument(
        "--user-agent-prefix", type=_agent, default="", metavar="TEXT", help="what registries are told before plimsoll"
    )


def add_override_arguments(parser: Parser) -> None:
    """The options that choose one instance of an index by what differs from this machine."""
    for option, what in (("os", "operating system"), ("arch", "architecture"), ("variant", "architecture's variant")):
        parser.add_argument(
            f"--override-{option}", metavar=option.upper(), help=f"as --platform host, but of this {what}"
        )


def credentials_of(arguments: argparse.Namespace) -> Credentials | RegistryToken | None:
    """What is to be shown to the registry; raises UsageError for what excludes each other, and for none."""
    given = {
        "creds": arguments.creds,
        "username": arguments.username,
        "registry-token": arguments.registry_token,
        "no-creds": arguments.no_creds or None,
    }
    named = [option for option, value in given.items() if value is not None]
    if (arguments.username is None) != (arguments.password is None):
        known, other = ("username", "password") if arguments.password is None else ("password", "username")
        raise UsageError(f"{other} must be specified when {known} is specified: give --{other}")
    if len(named) > 1:
        raise UsageError(f"{named[0]} and {named[1]} cannot be specified at the same time: give one of them")
    if arguments.registry_token is not None:
        return _token(arguments.registry_token)
    if arguments.username is not None:
        return _credentials(arguments.username, arguments.password, option="--username")
    if arguments.creds is None:
        return None
    if not arguments.creds:
        raise UsageError("--creds: credentials can't be empty")
    username, _, password = arguments.creds.partition(":")
    return _credentials(username, password, option="--creds")


def _credentials(username: str, password: str, *, option: str) -> Credentials:
    if not username:
        raise UsageError(f"{option}: username can't be empty")
    return Credentials(username=username, password=password)


def _token(text: str) -> RegistryToken:
    if not _TOKEN.fullmatch(text):
        raise UsageError("--registry-token: that is no token of RFC 6750; is its variable set?")
    return RegistryToken(value=text)


def platform_of(arguments: argparse.Namespace) -> str | None:
    """The platform whose instance is meant, as ``--platform`` writes it; raises UsageError.

    As in skopeo what is not given is this machine's, and the variant is nobody's where the architecture is given.
    """
    from plimsoll.pipeline.platforms import host_platform  # noqa: PLC0415  # the transports: only for a real run

    given = [name for name in OVERRIDES if getattr(arguments, name) is not None]
    platform: str | None = arguments.platform
    if not given:
        return platform
    if platform is not None:
        raise UsageError(f"--platform and {OVERRIDES[given[0]]} exclude each other: each chooses an instance")
    for name in given:
        if not re.fullmatch(r"[^/\s]+", getattr(arguments, name)):
            raise UsageError(f"{OVERRIDES[name]} {getattr(arguments, name)!r}: one word, such as linux, arm64 or v8")
    host = host_platform()
    variant = arguments.override_variant or (host.variant if arguments.override_arch is None else None)
    parts = (arguments.override_os or host.os, arguments.override_arch or host.architecture, variant)
    return "/".join(filter(None, parts))


def time_or_none(text: str) -> float | None:
    """A Go duration in seconds; None for one of 0, which is no bound."""
    return None if _NO_TIME.fullmatch(text) else duration(text)


def _agent(text: str) -> str:
    if text and not _AGENT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no User-Agent: printable ASCII, words set apart by one space")
    return text
