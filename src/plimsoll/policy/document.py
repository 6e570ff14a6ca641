"""A policy.json read strictly: what is not understood with certainty refuses the whole file.

containers-policy.json(5), with the refusals of containers/image and a few of our own, each marked "stricter" where it
is made; docs/reference/policy-json.md lists them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.native import ReadError, read_json
from plimsoll.policy.fields import (
    data_at,
    datas_at,
    filled_text_at,
    list_at,
    map_at,
    member,
    object_at,
    shown,
    subscript,
    text_at,
    texts_at,
)
from plimsoll.policy.identity import DEFAULT_IDENTITY, SignedIdentity, parse_identity
from plimsoll.policy.positions import Positions, position_at
from plimsoll.policy.requirements import (
    AcceptAnything,
    FulcioTrust,
    KeySource,
    KeyType,
    PkiTrust,
    Policy,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.policy.scope import is_scope, scope_hint

_MESSAGE_CHARS: Final = 4 * limits.TEXT_CHARS
_TYPE: Final = frozenset({"type"})
_SIGNED_BY_KEYS: Final = ("keyPath", "keyPaths", "keyData")
_SIGSTORE_KEYS: Final = ("keyPath", "keyPaths", "keyData", "keyDatas")
_SIGSTORE_TRUST: Final = (*_SIGSTORE_KEYS, "fulcio", "pki")
_REKOR_KEYS: Final = ("rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas")


def parse_policy(data: bytes, *, origin: str) -> Policy:
    """Read a policy.json; ``origin`` is the file's name, for messages and reports.

    Raises PolicyError, naming the file, line and column, the place in it and what is wrong there.
    """
    try:
        document = _read(data)
        try:
            return _policy(document, data=data, origin=origin)
        except PolicyError as error:
            raise PolicyError(f"{Positions(data).of_message(str(error))}: {error}") from None
    except PolicyError as error:
        message = str(error)
        cut = message if len(message) <= _MESSAGE_CHARS else f"{message[:_MESSAGE_CHARS]}..."
        raise PolicyError(f"invalid policy in {shown(origin)}: {cut}") from None


def _read(data: bytes) -> object:
    if len(data) > limits.POLICY_BYTES:
        raise PolicyError(f"{len(data)} bytes are no policy: at most {limits.POLICY_BYTES}")
    try:
        value: object = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise PolicyError(f"{position_at(data, error.offset)}: {error}") from None
    return value


def _policy(document: object, *, data: bytes, origin: str) -> Policy:
    if "default" not in map_at(document, ""):
        raise PolicyError('"default" is missing: it says what holds for images that no scope matches')
    fields = object_at(document, "the document", known=frozenset({"transports"}), needed=frozenset({"default"}))
    transports = map_at(fields.get("transports", {}), "transports")
    return Policy(
        default=_requirements(fields["default"], "default"),
        transports={name: _scopes(name, scopes) for name, scopes in transports.items()},
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        origin=origin,
    )


def _scopes(transport: str, value: object) -> dict[str, tuple[Requirement, ...]]:
    where = member("transports", transport)
    scopes = map_at(value, where)
    for scope in scopes:
        if not is_scope(transport, scope):
            raise PolicyError(f"{where}: {shown(scope)} is no scope of {transport}: {scope_hint(transport)}")
    return {scope: _requirements(listed, subscript(where, scope)) for scope, listed in scopes.items()}


def _requirements(value: object, where: str) -> tuple[Requirement, ...]:
    listed = list_at(value, where)
    if not listed:
        raise PolicyError(f"{where}: a list of requirements must not be empty; to accept nothing write reject")
    return tuple([_requirement(entry, f"{where}[{at}]") for at, entry in enumerate(listed)])


def _requirement(value: object, where: str) -> Requirement:
    fields = map_at(value, where)
    kind = text_at(fields.get("type", ""), member(where, "type"))
    read = _READERS.get(kind)
    if read is None:
        known = ", ".join(_READERS)
        raise PolicyError(f"{member(where, 'type')}: unknown requirement type {shown(kind)}; known: {known}")
    return read(fields, where)


def _accept_anything(fields: dict[str, object], where: str) -> AcceptAnything:
    object_at(fields, where, known=_TYPE, needed=_TYPE)
    return AcceptAnything(where=where)


def _reject(fields: dict[str, object], where: str) -> Reject:
    object_at(fields, where, known=_TYPE, needed=_TYPE)
    return Reject(where=where)


def _signed_by(fields: dict[str, object], where: str) -> SignedBy:
    object_at(fields, where, known=frozenset({*_SIGNED_BY_KEYS, "signedIdentity"}), needed=_TYPE | {"keyType"})
    source = _one_of(fields, where, names=_SIGNED_BY_KEYS)
    return SignedBy(
        key_type=_key_type(fields["keyType"], member(where, "keyType")),
        keys=_keys(fields[source], member(where, source), form=source),
        identity=_identity(fields, where),
        where=where,
    )


def _key_type(value: object, where: str) -> KeyType:
    text = text_at(value, where)
    try:
        return KeyType(text)
    except ValueError:
        known = ", ".join(kind.value for kind in KeyType)
        raise PolicyError(f"{where}: unknown keyType {shown(text)}; known: {known}") from None


def _signed_base_layer(fields: dict[str, object], where: str) -> SignedBaseLayer:
    keys = _TYPE | {"baseLayerIdentity"}
    object_at(fields, where, known=keys, needed=keys)
    identity = parse_identity(fields["baseLayerIdentity"], member(where, "baseLayerIdentity"))
    return SignedBaseLayer(base_layer_identity=identity, where=where)


def _sigstore_signed(fields: dict[str, object], where: str) -> SigstoreSigned:
    known = frozenset({*_SIGSTORE_TRUST, *_REKOR_KEYS, "signedIdentity"})
    object_at(fields, where, known=known, needed=_TYPE)
    source = _one_of(fields, where, names=_SIGSTORE_TRUST)
    rekor_keys = _rekor_keys(fields, where)
    if source == "fulcio" and rekor_keys is None:
        raise PolicyError(f"{where}: fulcio needs a log key, one of {', '.join(_REKOR_KEYS)}")
    if source == "pki" and rekor_keys is not None:
        raise PolicyError(f"{where}: with pki no log key can be given; leave {_given(fields, _REKOR_KEYS)[0]} out")
    place = member(where, source)
    return SigstoreSigned(
        keys=_some_keys(fields[source], place, form=source) if source in _SIGSTORE_KEYS else None,
        fulcio=_fulcio(fields[source], place) if source == "fulcio" else None,
        pki=_pki(fields[source], place) if source == "pki" else None,
        rekor_keys=rekor_keys,
        identity=_identity(fields, where),
        where=where,
    )


def _rekor_keys(fields: dict[str, object], where: str) -> KeySource | None:
    given = _given(fields, _REKOR_KEYS)
    if not given:
        return None
    if len(given) > 1:
        raise PolicyError(f"{where}: at most one of {', '.join(_REKOR_KEYS)}; {' and '.join(given)} are given")
    return _some_keys(fields[given[0]], member(where, given[0]), form=given[0])


def _fulcio(value: object, where: str) -> FulcioTrust:
    fields = object_at(
        value, where, known=frozenset({"caPath", "caData"}), needed=frozenset({"oidcIssuer", "subjectEmail"})
    )
    source = _one_of(fields, where, names=("caPath", "caData"))
    return FulcioTrust(
        ca=_keys(fields[source], member(where, source), form=source),
        oidc_issuer=filled_text_at(fields["oidcIssuer"], member(where, "oidcIssuer")),
        subject_email=filled_text_at(fields["subjectEmail"], member(where, "subjectEmail")),
    )


def _pki(value: object, where: str) -> PkiTrust:
    roots, between, subjects = (
        ("caRootsPath", "caRootsData"),
        ("caIntermediatesPath", "caIntermediatesData"),
        ("subjectEmail", "subjectHostname"),
    )
    fields = object_at(value, where, known=frozenset({*roots, *between, *subjects}), needed=frozenset())
    root = _one_of(fields, where, names=roots)
    if not _given(fields, subjects):
        raise PolicyError(f"{where}: at least one of {' and '.join(subjects)} is needed")
    middle = _one_of(fields, where, names=between) if _given(fields, between) else None
    return PkiTrust(
        roots=_keys(fields[root], member(where, root), form=root),
        intermediates=None if middle is None else _keys(fields[middle], member(where, middle), form=middle),
        subject_email=_optional_text(fields, where, name="subjectEmail"),
        subject_hostname=_optional_text(fields, where, name="subjectHostname"),
    )


def _identity(fields: dict[str, object], where: str) -> SignedIdentity:
    if "signedIdentity" not in fields:
        return DEFAULT_IDENTITY
    return parse_identity(fields["signedIdentity"], member(where, "signedIdentity"))


def _keys(value: object, where: str, *, form: str) -> KeySource:
    """Read what the key ``form`` holds: a path, paths, base64 or a list of base64, by the end of its name.

    Stricter: skopeo takes an empty path, or null, for a key that was not written, so that an empty
    ``rekorPublicKeyPath`` silently asks for no log entry.
    """
    if form.endswith("Path"):
        return KeySource(paths=(filled_text_at(value, where),), where=where)
    if form.endswith("Paths"):
        return KeySource(paths=texts_at(value, where), where=where)
    if form.endswith("Datas"):
        return KeySource(data=datas_at(value, where), where=where)
    return KeySource(data=(data_at(value, where),), where=where)


def _some_keys(value: object, where: str, *, form: str) -> KeySource:
    """As ``_keys``; sigstoreSigned refuses an empty list, which signedBy reads and never satisfies."""
    keys = _keys(value, where, form=form)
    if not keys.paths and not keys.data:
        raise PolicyError(f"{where}: the list is empty; name at least one key")
    return keys


def _optional_text(fields: dict[str, object], where: str, *, name: str) -> str | None:
    return filled_text_at(fields[name], member(where, name)) if name in fields else None


def _given(fields: Mapping[str, object], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in fields]


def _one_of(fields: Mapping[str, object], where: str, *, names: tuple[str, ...]) -> str:
    given = _given(fields, names)
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise PolicyError(f"{where}: exactly one of {', '.join(names)} is needed; {found} given")
    return given[0]


_READERS: Final[Mapping[str, Callable[[dict[str, object], str], Requirement]]] = {
    "insecureAcceptAnything": _accept_anything,
    "reject": _reject,
    "signedBy": _signed_by,
    "sigstoreSigned": _sigstore_signed,
    "signedBaseLayer": _signed_base_layer,
}
