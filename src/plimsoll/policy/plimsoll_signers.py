"""The named keys and identities of a plimsoll document."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final, get_args

from plimsoll.errors import PolicyError, UnreadableKeyError, UsageError
from plimsoll.model.identity import Exact, Glob, Identity, Regexp, TextMatch
from plimsoll.model.key_reference import parse_key_reference, shown_reference
from plimsoll.model.token_uri import TokenKey
from plimsoll.model.trust import HashName
from plimsoll.policy.fields import filled_text_at, map_at, member, object_at, shown
from plimsoll.policy.plimsoll_fields import filled_map_at, one_of, time_at, word_at
from plimsoll.policy.requirements import KeySource, NamedIdentity, NamedKey, NamedSigner, Window
from plimsoll.signatures.identities import ISSUER_PRESETS

KEY_MEMBERS: Final = frozenset({"path", "data", "uri", "notBefore", "notAfter", "digestAlgorithm"})
PRESET_MEMBERS: Final = frozenset({"preset", "repository", "workflow", "ref", "claims"})
IDENTITY_MEMBERS: Final = frozenset(
    {"issuer", "issuerPattern", "issuerRegexp", "subject", "subjectPattern", "subjectRegexp", "claims"}
)
CLAIM_MEMBERS: Final = frozenset({"pattern", "regexp"})
KEY_SERVICES: Final = ("env", "pkcs11", "hashivault", "openbao", "awskms")
"""The schemes of key references that are read (docs/reference/keys.md)."""
UNREAD_SERVICES: Final = ("gcpkms", "azurekms", "k8s")
"""Cosign's others: a document may name them, as one carried over does, and nothing reads them yet."""

_WORKFLOW: Final = re.compile(r"[A-Za-z0-9._*-]+", re.ASCII)
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9._*-]+(?:/[A-Za-z0-9._*-]+)+", re.ASCII)


def parse_signers(document: Mapping[str, object], *, folder: str) -> Mapping[str, NamedSigner]:
    """All that can stand in ``from``, by name; paths count from ``folder``. Raises PolicyError."""
    found: dict[str, NamedSigner] = {}
    if "keys" in document:
        for name, value in filled_map_at(document["keys"], "keys").items():
            found[name] = _key(name, value, member("keys", name), folder=folder)
    if "identities" in document:
        for name, value in filled_map_at(document["identities"], "identities").items():
            where = member("identities", name)
            if name in found:
                raise PolicyError(f"{where}: {shown(name)} is a key's name too: what would `from` mean by it?")
            found[name] = NamedIdentity(name=name, identity=_identity(value, where), where=where)
    return found


def _key(name: str, value: object, where: str, *, folder: str) -> NamedKey:
    fields = object_at(value, where, known=KEY_MEMBERS, needed=frozenset())
    source = one_of(fields, where, names=("path", "data", "uri"))
    text = filled_text_at(fields[source], member(where, source))
    window = Window(
        not_before_s=time_at(fields["notBefore"], member(where, "notBefore")) if "notBefore" in fields else None,
        not_after_s=time_at(fields["notAfter"], member(where, "notAfter")) if "notAfter" in fields else None,
    )
    if window.not_before_s is not None and not window.holds(window.not_before_s):
        raise PolicyError(f"{where}: notAfter lies before notBefore: the key would never be good")
    keys, reference = KeySource(where=member(where, source)), None
    if source == "uri":
        try:
            reference = checked_reference(text)
        except UnreadableKeyError as error:
            raise PolicyError(f"{member(where, 'uri')}: {error}") from None
    elif source == "data":
        keys = KeySource(data=(_pem(text, member(where, "data")),), where=member(where, "data"))
    else:
        keys = KeySource(paths=(_path(text, member(where, "path"), folder),), where=member(where, "path"))
    return NamedKey(
        name=name,
        source=keys,
        reference=reference,
        window=window,
        hash_name=_hash_name(fields, where),
        where=where,
    )


def _hash_name(fields: Mapping[str, object], where: str) -> HashName:
    if "digestAlgorithm" not in fields:
        return "sha256"
    known: dict[str, HashName] = {name: name for name in get_args(HashName)}
    return known[word_at(fields["digestAlgorithm"], member(where, "digestAlgorithm"), words=tuple(known))]


def _pem(text: str, where: str) -> bytes:
    if "-----BEGIN" not in text:
        raise PolicyError(f"{where}: a key in PEM is needed here; a file's name belongs into path")
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise PolicyError(f"{where}: PEM is ASCII text, and this is not") from None


def _path(text: str, where: str, folder: str) -> str:
    if text.lower().startswith("pkcs11:") or "://" in text:
        named = shown(shown_reference(text))
        raise PolicyError(f"{where}: {named} is no path: a key that is elsewhere belongs into uri")
    if "\0" in text:
        raise PolicyError(f"{where}: {shown(text)} is no path")
    return posixpath.join(folder, text)


def checked_reference(text: str) -> str:
    """A key reference that a document may hold, as it is; raises UnreadableKeyError, in words without a PIN.

    Stricter than ``--key``: a document names no code to load, which the environment of this machine does, and no PIN.
    """
    scheme = text.partition(":")[0]
    if not text.startswith(f"{scheme}:" if scheme == "pkcs11" else f"{scheme}://"):
        scheme = ""
    if scheme in UNREAD_SERVICES:
        return text
    if scheme not in KEY_SERVICES:
        known = ", ".join(f"{name}:" if name == "pkcs11" else f"{name}://" for name in KEY_SERVICES)
        raise UnreadableKeyError(f"{shown(shown_reference(text))} is no key reference; known: {known}")
    named = parse_key_reference(text)
    if isinstance(named.key, TokenKey):
        if named.key.module_path is not None:
            raise UnreadableKeyError(
                f"{shown(named.shown)}: a module is code, and a document loads none: leave module-path out, and set "
                "COSIGN_PKCS11_MODULE_PATH where plimsoll runs"
            )
        if named.key.pin_value is not None:
            raise UnreadableKeyError(
                f"{shown(named.shown)}: whoever reads the document would read the PIN: write pin-source, or set "
                "COSIGN_PKCS11_PIN where plimsoll runs"
            )
    return text


def is_unread(reference: str) -> bool:
    """Whether nothing reads keys from there yet."""
    return reference.partition(":")[0] in UNREAD_SERVICES


def _identity(value: object, where: str) -> Identity:
    fields = map_at(value, where)
    claims = _claims(fields["claims"], member(where, "claims")) if "claims" in fields else ()
    try:
        if "preset" in fields:
            issuer, subject = _preset(fields, where)
        else:
            object_at(value, where, known=IDENTITY_MEMBERS, needed=frozenset())
            issuer, subject = _match(fields, where, "issuer"), _match(fields, where, "subject")
        return Identity(issuer=issuer, subject=subject, claims=claims)
    except UsageError as error:
        raise PolicyError(f"{where}: {error}") from None


def _match(fields: Mapping[str, object], where: str, name: str) -> TextMatch:
    given = one_of(fields, where, names=(name, f"{name}Pattern", f"{name}Regexp"))
    text = filled_text_at(fields[given], member(where, given))
    if given.endswith("Pattern"):
        return Glob(pattern=text)
    return Regexp(pattern=text) if given.endswith("Regexp") else Exact(text=text)


def _claims(value: object, where: str) -> tuple[tuple[str, TextMatch], ...]:
    return tuple([(name, _claim(found, member(where, name))) for name, found in filled_map_at(value, where).items()])


def _claim(value: object, where: str) -> TextMatch:
    try:
        if isinstance(value, dict):
            fields = object_at(value, where, known=CLAIM_MEMBERS, needed=frozenset())
            given = one_of(fields, where, names=("pattern", "regexp"))
            text = filled_text_at(fields[given], member(where, given))
            return Glob(pattern=text) if given == "pattern" else Regexp(pattern=text)
        return Exact(text=filled_text_at(value, where))
    except UsageError as error:
        raise PolicyError(f"{where}: {error}") from None


def _preset(fields: dict[str, object], where: str) -> tuple[TextMatch, TextMatch]:
    """The workflow of a CI service, in its own words; what has a ``*`` in it is a pattern."""
    preset = word_at(fields["preset"], member(where, "preset"), words=tuple(ISSUER_PRESETS))
    needed = frozenset({"preset", "repository", "ref"} | ({"workflow"} if preset == "github-actions" else set()))
    object_at(fields, where, known=PRESET_MEMBERS, needed=needed)
    repository, ref = (filled_text_at(fields[name], member(where, name)) for name in ("repository", "ref"))
    workflow = filled_text_at(fields.get("workflow", ".gitlab-ci.yml"), member(where, "workflow"))
    if _REPOSITORY.fullmatch(repository) is None or (preset == "github-actions" and repository.count("/") != 1):
        raise PolicyError(f"{member(where, 'repository')}: {shown(repository)} is no repository: write OWNER/NAME")
    if not ref.startswith("refs/"):
        raise PolicyError(f"{member(where, 'ref')}: {shown(ref)} is no ref: write refs/heads/main, or refs/tags/*")
    if preset == "github-actions":
        if _WORKFLOW.fullmatch(workflow) is None:
            raise PolicyError(f"{member(where, 'workflow')}: {shown(workflow)} is no workflow: write its file's name")
        subject = f"https://github.com/{repository}/.github/workflows/{workflow}@{ref}"
    else:
        subject = f"https://gitlab.com/{repository}//{workflow}@{ref}"
    matched = Glob(pattern=subject) if "*" in subject else Exact(text=subject)
    return Exact(text=ISSUER_PRESETS[preset]), matched
