"""SigningConfig: which authorities, logs and timestamp authorities to sign with, and the choice among them.

Source: sigstore/protobuf-specs, sigstore_trustroot.proto (SigningConfig v0.2, ServiceConfiguration). It says where to
ask; what the services answer is believed on a trusted root's word only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from plimsoll import limits
from plimsoll.errors import SigningConfigError
from plimsoll.native import ReadError, read_json

SIGNING_CONFIG_TYPE: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
AUTHORITY_VERSIONS: Final = frozenset({1})
"""Fulcio's: its service version 1 is the one whose path is ``/api/v2``, too."""
LOG_VERSIONS: Final = frozenset({1, 2})
TIMESTAMPER_VERSIONS: Final = frozenset({1})

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_MOST_SERVICES: Final = 64
_URL_CHARS: Final = 2048
_SNAKE = re.compile(r"_([a-z0-9])")

Selector = Literal["ANY", "ALL", "EXACT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its ``url``, the API's major ``version``, who runs it, and when to use it (seconds since 1970)."""

    url: str
    version: int = 1
    operator: str = ""
    valid_from_s: float = 0.0
    valid_until_s: float | None = None

    def valid_at(self, time_s: float) -> bool:
        """Whether it is to be used then (a closed interval)."""
        return self.valid_from_s <= time_s and (self.valid_until_s is None or time_s <= self.valid_until_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How many services of one kind to use: any one, all, or exactly ``count`` of as many operators."""

    selector: Selector = "ANY"
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningServices:
    """The services of one signing: none of a kind means that it is done without."""

    authority: Service | None = None
    logs: tuple[Service, ...] = ()
    timestampers: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningConfig:
    """All services that may be used, and how many of each kind are."""

    authorities: tuple[Service, ...] = ()
    logs: tuple[Service, ...] = ()
    timestampers: tuple[Service, ...] = ()
    log_selection: Selection = Selection()
    timestamper_selection: Selection = Selection()

    def at(self, time_s: float) -> SigningServices:
        """What to use at that time; raises SigningConfigError where fewer are valid than the file wants."""
        authority = _select(self.authorities, Selection(), known=AUTHORITY_VERSIONS, time_s=time_s, what="caUrls")
        return SigningServices(
            authority=authority[0] if authority else None,
            logs=_select(self.logs, self.log_selection, known=LOG_VERSIONS, time_s=time_s, what="rekorTlogUrls"),
            timestampers=_select(
                self.timestampers,
                self.timestamper_selection,
                known=TIMESTAMPER_VERSIONS,
                time_s=time_s,
                what="tsaUrls",
            ),
        )


def _select(
    services: tuple[Service, ...], selection: Selection, *, known: Collection[int], time_s: float, what: str
) -> tuple[Service, ...]:
    """Of the highest version that has enough: the newest of each operator. None listed: none is wanted."""
    if not services:
        return ()
    wanted = selection.count if selection.selector == "EXACT" else 1
    usable = [each for each in services if each.version in known and each.valid_at(time_s)]
    for version in sorted({each.version for each in usable}, reverse=True):
        newest = sorted(
            [each for each in usable if each.version == version], key=lambda each: each.valid_from_s, reverse=True
        )
        # One of each operator: two logs of one operator prove no more than one (sigstore-go, SelectServices).
        found = list({each.operator or each.url: each for each in reversed(newest)}.values())[::-1]
        if len(found) >= wanted:
            return tuple(found if selection.selector == "ALL" else found[:wanted])
    raise SigningConfigError(
        f"the signing config has fewer than {wanted} of its {what} valid now, in a version that is known"
    )


def parse_signing_config(data: bytes) -> SigningConfig:
    """Read a sigstore signing config v0.2; raises SigningConfigError, also for a member that v0.2 has not."""
    if len(data) > limits.SIGNING_CONFIG_BYTES:
        raise SigningConfigError(f"a signing config of {len(data)} bytes: at most {limits.SIGNING_CONFIG_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise SigningConfigError(f"the signing config is refused: {error}") from error
    members = _members(
        document,
        "the signing config",
        "mediaType caUrls oidcUrls rekorTlogUrls rekorTlogConfig tsaUrls tsaConfig",
    )
    if members.get("mediaType") != SIGNING_CONFIG_TYPE:
        found = members.get("mediaType")
        raise SigningConfigError(f"mediaType {found!r:.160} is no signing config that is known: {SIGNING_CONFIG_TYPE}")
    _services(members, "oidcUrls")  # read, not used: tokens are given, and no browser is opened
    return SigningConfig(
        authorities=_services(members, "caUrls"),
        logs=_services(members, "rekorTlogUrls"),
        timestampers=_services(members, "tsaUrls"),
        log_selection=_selection(members, "rekorTlogConfig", needed="rekorTlogUrls"),
        timestamper_selection=_selection(members, "tsaConfig", needed="tsaUrls"),
    )


def _services(members: Mapping[str, object], name: str) -> tuple[Service, ...]:
    entries = members.get(name)
    if entries is None:
        return ()
    if not isinstance(entries, list) or len(entries) > _MOST_SERVICES:
        raise SigningConfigError(f"{name} is no list of at most {_MOST_SERVICES}")
    return tuple([_service(entry, f"{name}[{at}]") for at, entry in enumerate(entries)])


def _service(value: object, where: str) -> Service:
    found = _members(value, where, "url majorApiVersion validFor operator")
    url, version, operator = found.get("url"), found.get("majorApiVersion"), found.get("operator", "")
    if not isinstance(url, str) or not 0 < len(url) <= _URL_CHARS:
        raise SigningConfigError(f"{where}.url is no URL")
    if type(version) is not int or version < 1:
        raise SigningConfigError(f"{where}.majorApiVersion is no version")
    if not isinstance(operator, str):
        raise SigningConfigError(f"{where}.operator is no text")
    window = _members(found.get("validFor"), f"{where}.validFor", "start end")
    start = _instant(window.get("start"), f"{where}.validFor.start")
    if start is None:
        raise SigningConfigError(f"{where}.validFor.start is missing: nothing is valid from ever")
    end = _instant(window.get("end"), f"{where}.validFor.end")
    return Service(url=url, version=version, operator=operator, valid_from_s=start, valid_until_s=end)


def _selection(members: Mapping[str, object], name: str, *, needed: str) -> Selection:
    if members.get(name) is None:
        if members.get(needed):
            raise SigningConfigError(f"{name} is missing, which says how many of the {needed} to use")
        return Selection()
    found = _members(members[name], name, "selector count")
    selector, count = found.get("selector"), found.get("count")
    if selector in ("ANY", "ALL") and count in (None, 0):
        return Selection(selector="ANY" if selector == "ANY" else "ALL")
    if selector == "EXACT" and type(count) is int and 1 <= count <= _MOST_SERVICES:
        return Selection(selector="EXACT", count=count)
    raise SigningConfigError(f"{name} is neither ANY, ALL, nor EXACT with a count")


def _members(value: object, where: str, known: str) -> dict[str, object]:
    """An object's members by their lowerCamelCase names; those of the schema are legal too (protobuf JSON)."""
    if not isinstance(value, dict):
        raise SigningConfigError(f"{where} is missing, or no JSON object")
    found: dict[str, object] = {}
    for name, item in value.items():
        camel = _SNAKE.sub(lambda match: match[1].upper(), name)
        if camel not in known.split() or camel in found:
            raise SigningConfigError(f"{where}: the member {name[:64]!r} is not known, or there twice")
        found[camel] = item
    return found


def _instant(value: object, where: str) -> float | None:
    """RFC 3339, as protobuf JSON writes a Timestamp."""
    if value is None:
        return None
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise SigningConfigError(f"{where}: {value!r:.64} is no time such as 2021-01-12T11:53:27Z")
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError) as error:
        raise SigningConfigError(f"{where}: {value[:64]!r} is no time: {error}") from error
