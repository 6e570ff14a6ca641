"""``plimsoll trust show``: the logs and authorities of a trusted root, where it is from, and what of it has ended."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.cli.trust_command import add_root_arguments, root_of
from plimsoll.cli.verify import configure_logging
from plimsoll.config.trust_store import instant
from plimsoll.config.trusted_root import FoundRoot
from plimsoll.errors import TrustRootError
from plimsoll.model.trusted_root import CertificateAuthority, TransparencyLog, TrustRoot, parse_trusted_root
from plimsoll.report.escape import printable
from plimsoll.report.records import Record, json_line
from plimsoll.signatures.trust_index import Authority, TrustIndex, index_root
from plimsoll.signatures.x509 import Certificate

USAGE: Final = "plimsoll trust show [--trusted-root FILE | --tuf-mirror URL] [--format text|json]"
SCHEMA: Final = "plimsoll.trusted-root/v1"


def add_arguments(parser: Parser) -> None:
    """The options of ``trust show``."""
    add_root_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json (text)")


def run(arguments: argparse.Namespace) -> int:
    """Print what is trusted; raises TrustRootError for a root that cannot be used."""
    configure_logging(debug=False)
    found = root_of(arguments)
    try:
        root = parse_trusted_root(found.data)
        index = index_root(root)
    except TrustRootError as error:
        raise TrustRootError(f"{found.origin}: {error}") from error
    now_s = time.time()
    if arguments.format == "json":
        sys.stdout.write(json_line(_record(found, root, index, now_s=now_s)))
    else:
        sys.stdout.write(_text(found, root, index, now_s=now_s))
    return 0


def _record(found: FoundRoot, root: TrustRoot, index: TrustIndex, *, now_s: float) -> Record:
    return {
        "schema": SCHEMA,
        "origin": found.origin,
        "kind": found.kind,
        "sha256": hashlib.sha256(found.data).hexdigest(),
        "as_of": None if found.as_of_s is None else instant(found.as_of_s),
        "expires": None if found.expires_s is None else instant(found.expires_s),
        "expired": found.expires_s is not None and now_s > found.expires_s,
        "tlogs": [_log(log, now_s) for log in root.tlogs],
        "ctlogs": [_log(log, now_s) for log in root.ctlogs],
        "certificate_authorities": [_authority(each, now_s) for each in index.authorities],
        "timestamp_authorities": [_authority(each, now_s) for each in index.timestampers],
        "unsupported": list(root.unsupported),
    }


def _log(log: TransparencyLog, now_s: float) -> Record:
    return {
        "name": log.base_url,
        "log_id": log.log_id.hex(),
        "key": log.key.fingerprint,
        **_window(log, now_s),
    }


def _authority(found: Authority, now_s: float) -> Record:
    return {
        "name": found.window.uri,
        "certificates": [
            {
                "subject": certificate.title,
                "sha256": hashlib.sha256(certificate.der).hexdigest(),
                "not_before": instant(certificate.not_before_s),
                "not_after": instant(certificate.not_after_s),
                "expired": now_s > certificate.not_after_s,
            }
            for certificate in _chain(found)
        ],
        **_window(found.window, now_s),
    }


def _window(found: TransparencyLog | CertificateAuthority, now_s: float) -> Record:
    return {
        "valid_from": instant(found.valid_from_s),
        "valid_until": None if found.valid_until_s is None else instant(found.valid_until_s),
        "state": _state(found, now_s),
    }


def _text(found: FoundRoot, root: TrustRoot, index: TrustIndex, *, now_s: float) -> str:
    lines = [f"{found.kind} trusted root: {found.origin}", f"sha256: {hashlib.sha256(found.data).hexdigest()}"]
    if found.as_of_s is not None:
        lines.append(f"as of: {instant(found.as_of_s)}")
    if found.expires_s is not None:
        lines.append(f"{'EXPIRED' if now_s > found.expires_s else 'expires'}: {instant(found.expires_s)}")
    for title, logs in (("transparency logs", root.tlogs), ("certificate logs", root.ctlogs)):
        lines.append(f"{title}:{'' if logs else ' none'}")
        for log in logs:
            lines += [
                *_named(log.base_url, log, now_s),
                f"    log id {log.log_id.hex()}",
                f"    key {log.key.fingerprint}",
            ]
    for title, authorities in (
        ("certificate authorities", index.authorities),
        ("timestamp authorities", index.timestampers),
    ):
        lines.append(f"{title}:{'' if authorities else ' none'}")
        for each in authorities:
            lines += [*_named(each.window.uri, each.window, now_s), *[_line(one, now_s) for one in _chain(each)]]
    lines += [f"left out, its algorithm is not built in: {name}" for name in root.unsupported]
    return "".join([f"{printable(line)}\n" for line in lines])


def _named(name: str, found: TransparencyLog | CertificateAuthority, now_s: float) -> list[str]:
    until = "now on" if found.valid_until_s is None else instant(found.valid_until_s)
    note = {"in-use": "", "ended": " (ended)", "not-yet": " (not yet)"}[_state(found, now_s)]
    return [f"  {name or '(no address)'}", f"    {instant(found.valid_from_s)} to {until}{note}"]


def _line(certificate: Certificate, now_s: float) -> str:
    end = "EXPIRED" if now_s > certificate.not_after_s else "until"
    return f"    certificate {certificate.title}, {end} {instant(certificate.not_after_s)}"


def _chain(found: Authority) -> list[Certificate]:
    return [*([] if found.leaf is None else [found.leaf]), *found.others, found.anchor]


def _state(found: TransparencyLog | CertificateAuthority, now_s: float) -> str:
    if found.valid_at(now_s):
        return "in-use"
    return "ended" if found.valid_until_s is not None and now_s > found.valid_until_s else "not-yet"
