"""What is fuzzed: each parser of a stranger's bytes, and the errors that it may raise; any other is a fault."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plimsoll.errors import ConfigError, SignatureError, UnreadableKeyError
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.dsse import parse_envelope
from plimsoll.signatures.fulcio import read_claims
from plimsoll.signatures.log_bodies import kind_of, parse_log_body
from plimsoll.signatures.note import parse_checkpoint
from plimsoll.signatures.sct import read_scts
from plimsoll.signatures.statement import parse_statement
from plimsoll.signatures.timestamp_token import parse_timestamp
from plimsoll.signatures.x509 import Certificate, parse_pem_certificates

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Target:
    """A parser; ``refuses`` is what it may raise."""

    parse: Callable[[bytes], object]
    refuses: type[Exception] = SignatureError

    def fuzz_one(self, data):
        """Return for good bytes and for refused ones; whatever else is raised is the finding."""
        with contextlib.suppress(self.refuses):
            self.parse(data)


def _log_body(data):
    kind, version = kind_of(data)
    return parse_log_body(data, kind=kind, version=version)


def _checkpoint(data):
    # The text comes out of strict JSON, so it is well-formed Unicode and no more.
    return parse_checkpoint(data.decode("utf-8", "replace"))


def _certificate(data):
    try:
        leaf = Certificate(data)
    except UnreadableKeyError as error:
        raise SignatureError(str(error)) from error
    with contextlib.suppress(SignatureError):
        read_claims(leaf)
    return read_scts(leaf)


TARGETS = {
    "bundle": Target(partial(parse_bundle, allow_chain=True)),
    "certificate": Target(_certificate),
    "checkpoint": Target(_checkpoint),
    "envelope": Target(parse_envelope),
    "log-body": Target(_log_body),
    "pem": Target(parse_pem_certificates, UnreadableKeyError),
    "statement": Target(parse_statement),
    "timestamp": Target(parse_timestamp),
    "trusted-root": Target(parse_trusted_root, ConfigError),
}
"""Name -> target; its corpus is the folder of that name."""


def corpus(name):
    """The corpus files of a target; those named ``good-`` are read in full, the others are refused."""
    return sorted((CORPUS / name).iterdir())
