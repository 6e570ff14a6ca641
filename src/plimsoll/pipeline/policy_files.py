"""Policy files of either kind, told apart by content: containers policy.json, and plimsoll's own document."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.config.files import read_file
from plimsoll.config.yaml_values import read_yaml_values
from plimsoll.errors import ConfigError, PolicyError
from plimsoll.native import ReadError, read_json
from plimsoll.policy.document import parse_policy
from plimsoll.policy.fields import shown
from plimsoll.policy.plimsoll_document import PlimsollPolicy, extended_path, parse_plimsoll
from plimsoll.policy.positions import Positions
from plimsoll.policy.requirements import Policy

_YAML: Final = re.compile(rb"""(?m)^(?:\xef\xbb\xbf)?["']?apiVersion["']?[ \t]*:""")
_MESSAGE_CHARS: Final = 4 * limits.TEXT_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedPolicy:
    """A policy file's document, and where in it each place is."""

    document: Policy | PlimsollPolicy
    positions: Positions


def parse_policy_file(data: bytes, *, origin: str) -> ParsedPolicy:
    """Read a policy of either kind; ``origin`` is the file's path. A document's ``extends`` is read too.

    A document has the member ``apiVersion``, in JSON or in YAML; anything else is read as a policy.json. Raises
    PolicyError, naming the file, line and column, the place in it and what is wrong there.
    """
    if len(data) > limits.POLICY_BYTES:
        raise PolicyError(f"invalid policy in {shown(origin)}: {len(data)} bytes: at most {limits.POLICY_BYTES}")
    found = _json(data) if data.lstrip()[:1] == b"{" else _yaml(data, origin)
    if found is None:
        return ParsedPolicy(document=parse_policy(data, origin=origin), positions=Positions(data))
    value, positions = found
    try:
        return ParsedPolicy(document=_document(value, data=data, origin=origin), positions=positions)
    except _ExtendedError as error:
        raise PolicyError(f"{error}, which {shown(origin)} extends") from None
    except PolicyError as error:
        message = str(error)
        cut = message if len(message) <= _MESSAGE_CHARS else f"{message[:_MESSAGE_CHARS]}..."
        raise PolicyError(f"invalid policy in {shown(origin)}: {positions.of_message(message)}: {cut}") from None


def _json(data: bytes) -> tuple[object, Positions] | None:
    """None for a policy.json, and for what is no JSON: its own reader says why."""
    try:
        value: object = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError:
        return None
    return (value, Positions(data)) if isinstance(value, dict) and "apiVersion" in value else None


def _yaml(data: bytes, origin: str) -> tuple[object, Positions] | None:
    if _YAML.search(data) is None:
        return None
    try:
        found = read_yaml_values(data, origin=origin)
    except ConfigError as error:
        raise PolicyError(f"invalid policy: {error}") from None
    return found.value, Positions.of_places(found.places)


class _ExtendedError(PolicyError):
    """A fault of the policy.json that is extended: the message names that file already."""


def _document(value: object, *, data: bytes, origin: str) -> PlimsollPolicy:
    folder = os.path.realpath(os.path.dirname(origin) or ".")  # noqa: PTH120  # scopes are matched on real paths
    path = extended_path(value)
    extended = None if path is None else _extended(os.path.join(folder, path))  # noqa: PTH118  # as above
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if extended is not None:
        both = f"{digest}\n{extended.digest}\n"
        digest = f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"
    return parse_plimsoll(value, folder=folder, extended=extended, digest=digest, origin=origin)


def _extended(path: str) -> Policy:
    try:
        found = read_file(path, limit=limits.POLICY_BYTES, error=PolicyError)
    except FileNotFoundError as error:
        raise PolicyError(f"extends: {error}") from None
    except PolicyError as error:
        raise PolicyError(f"extends: {error}") from None
    other = _json(found.data) if found.data.lstrip()[:1] == b"{" else None
    if other is not None or _YAML.search(found.data) is not None:
        raise PolicyError(f"extends: {shown(path)} is a plimsoll document; only a policy.json can be extended")
    try:
        return parse_policy(found.data, origin=path)
    except PolicyError as error:
        raise _ExtendedError(str(error)) from None
