"""Kyverno's sets of attestors, as our requirements. Pure.

Source: kyverno/kyverno, api/kyverno/v1/image_verification_types.go. Each PEM block of ``publicKeys`` is an entry of its
own. Plain issuers, subjects and extensions may have wildcards; beside a regexp both must match.
"""

from __future__ import annotations

import re
from typing import Final

from plimsoll.model.conversion import Effect
from plimsoll.model.identity import CLAIM_OIDS, TextMatch
from plimsoll.model.trust import HashName
from plimsoll.policy.conversion import (
    Attested,
    IdentityEntry,
    KeyEntry,
    Refused,
    Signed,
    SignerEntry,
    Wanted,
    some,
)
from plimsoll.policy.foreign import Section
from plimsoll.policy.foreign_identities import ANY_TEXT, TextReading, read_pair, wildcarded
from plimsoll.policy.foreign_rules import Signers, read_key
from plimsoll.policy.foreign_signers import (
    PUBLIC_REKOR,
    identity_text,
    private,
    read_hash_name,
    read_key_field,
    read_secret,
    url_lost,
)

_NESTING_MOST: Final = 4
_KINDS: Final = ("keys", "certificates", "keyless", "attestor")
_SCT: Final = "a certificate's timestamp is demanded all the same"
_CLAIMS: Final = {**{oid: name for name, oid in CLAIM_OIDS.items()}, **{name.lower(): name for name in CLAIM_OIDS}}
"""An extension's name in lower case, or its number -> the claim."""


class AttestorReader:
    """Reads sets of attestors; names their signers."""

    def __init__(self, *, signers: Signers, root_given: bool) -> None:
        self._signers = signers
        self._root_given = root_given

    def read_set(self, section: Section, *, attested: Attested | None = None, depth: int = 0) -> Wanted:
        """``count`` of ``entries``: signatures, or attestations like ``attested``, which has no signers yet."""
        count = section.whole("count")
        parts: list[Wanted] = []
        for entry in section.sections("entries"):
            parts += self._entry(entry, attested, depth)
        lost = section.close()
        wanted_count = count or len(parts)
        if lost or not parts or wanted_count > len(parts):
            if not lost:
                section.findings.add(section.where, Effect.REJECTS, f"{wanted_count} of {len(parts)} cannot be met")
            return Refused(places=lost or (section.where,))
        plain = _counted(parts, wanted_count)
        if plain is not None:
            return plain
        wanted = some(tuple(parts), count=wanted_count, empty=section.where)
        if wanted == Refused(places=(section.where,)):
            message = f"{wanted_count} of {len(parts)} is too long where it is written out"
            section.findings.add(section.where, Effect.REJECTS, message)
        return wanted

    def read_old_key(self, entry: Section) -> Wanted:
        """The ``key`` of an old rule: signatures by it."""
        key = read_key_field(entry, "key", hash_name="sha256")
        return (
            Refused(places=(entry.place("key"),)) if key is None else Signed(signers=(self._signers.named(key, "key"),))
        )

    def _entry(self, entry: Section, attested: Attested | None, depth: int) -> list[Wanted]:
        kinds = [name for name in _KINDS if name in entry]
        annotations = entry.pairs("annotations")
        entry.note("signatures are looked for beside the image only", "repository", effect=Effect.STRICTER)
        hash_name = read_hash_name(entry, "signatureAlgorithm")
        lost = [] if hash_name is not None else [entry.place("signatureAlgorithm")]
        lost += entry.refuse("certificates cannot be trusted by themselves in a plimsoll document", "certificates")
        if annotations and attested is not None:
            lost += entry.refuse("an attestation has no annotations", "annotations")
        found: list[tuple[SignerEntry | Refused, bool]] = []
        keys, keyless, nested = entry.section("keys"), entry.section("keyless"), entry.section("attestor")
        if keys is not None:
            found += self._keys(keys, hash_name or "sha256")
        if keyless is not None:
            found.append((self._keyless(keyless), False))
        inner: Wanted | None = None
        if nested is not None and depth < _NESTING_MOST and not annotations:
            inner = self.read_set(nested, attested=attested, depth=depth + 1)
        elif nested is not None:
            lost += entry.refuse("sets of attestors inside one another so deep, or with annotations", "attestor")
        lost += entry.close()
        if len(kinds) != 1 and not lost:
            entry.findings.add(entry.where, Effect.REJECTS, f"one of {', '.join(_KINDS)} is needed")
            lost.append(entry.where)
        if lost:
            return [Refused(places=tuple(lost))]
        if inner is not None:
            return [inner]
        return [_one(signer, log_ignored, annotations, attested) for signer, log_ignored in found]

    def _keys(self, keys: Section, hash_name: HashName) -> list[tuple[SignerEntry | Refused, bool]]:
        old = read_hash_name(keys, "signatureAlgorithm")
        hash_name = hash_name if hash_name != "sha256" or old is None else old
        log_ignored, lost = self._logs(keys)
        entries: list[KeyEntry | None] = []
        place = keys.where
        secret, text = keys.section("secret"), keys.text("publicKeys")
        if secret is not None:
            entries = [read_secret(secret, namespace=None, hash_name=hash_name)]
        elif "kms" in keys:
            entries = [read_key_field(keys, "kms", hash_name=hash_name)]
        elif text is not None:
            place = keys.place("publicKeys")
            entries = [_key(block, hash_name) for block in _blocks(text)]
            if None in entries:
                message = "among these is one that is no public key in PEM and no reference that can be named here"
                keys.find("publicKeys", Effect.REJECTS, message)
        else:
            keys.findings.add(keys.where, Effect.REJECTS, "it names no key", line=keys.line)
        given = [name for name in ("publicKeys", "kms", "secret") if name in keys]
        if len(given) > 1:
            lost += keys.refuse("only one of publicKeys, kms and secret is read, by the version of Kyverno", *given)
        lost += keys.close()
        if lost or old is None or not entries:
            return [(Refused(places=tuple(lost) or (keys.where,)), False)]
        return [
            (Refused(places=(place,)) if entry is None else self._signers.named(entry, "key"), log_ignored)
            for entry in entries
        ]

    def _keyless(self, keyless: Section) -> SignerEntry | Refused:
        ignored, lost = self._logs(keyless)
        if ignored:
            message = "a certificate needs a log entry or a timestamp all the same: it lives for minutes"
            keyless.find("rekor", Effect.STRICTER, message)
        lost += private(keyless, "roots", root_given=self._root_given)
        issuer, subject = _match(keyless, "issuer"), _match(keyless, "subject")
        claims, missing = _claims(keyless)
        lost += [*missing, *keyless.close()]
        if issuer is None or subject is None:
            lost.append(keyless.where)
        elif (issuer, subject) == (ANY_TEXT, ANY_TEXT):
            keyless.findings.add(keyless.where, Effect.REJECTS, "without issuer and subject it is anybody's")
            lost.append(keyless.where)
        if lost or issuer is None or subject is None:
            return Refused(places=tuple(lost))
        return self._signers.named(IdentityEntry(issuer=issuer, subject=subject, claims=claims), "signer")

    def _logs(self, section: Section) -> tuple[bool, list[str]]:
        """Whether no log entry is needed, and what was lost of ``rekor`` and ``ctlog``."""
        rekor, ctlog = section.section("rekor"), section.section("ctlog")
        ignored = False
        lost: list[str] = []
        if rekor is not None:
            ignored = rekor.truth("ignoreTlog") is True
            if ignored:
                rekor.say_nothing("url", "pubkey")
            else:
                lost += url_lost(rekor, "url", public=PUBLIC_REKOR, root_given=self._root_given)
                lost += private(rekor, "pubkey", root_given=self._root_given)
            lost += rekor.close()
        if ctlog is not None:
            if ctlog.truth("ignoreSCT"):
                ctlog.find("ignoreSCT", Effect.STRICTER, _SCT)
            lost += private(ctlog, "pubkey", "tsaCertChain", root_given=self._root_given)
            lost += ctlog.close()
        return ignored, lost


def _one(
    signer: SignerEntry | Refused,
    log_ignored: bool,  # noqa: FBT001  # beside the signer that it belongs to
    annotations: tuple[tuple[str, str], ...],
    attested: Attested | None,
) -> Wanted:
    if isinstance(signer, Refused):
        return signer
    if attested is not None:
        return Attested(type=attested.type, signers=(signer,), where=attested.where, log_ignored=log_ignored)
    return Signed(signers=(signer,), log_ignored=log_ignored, annotations=annotations)


def _counted(parts: list[Wanted], count: int) -> Wanted | None:
    """N of M distinct plain signers, as our documents say it; None for anything else, and for one or all of them."""
    signed = [part for part in parts if isinstance(part, Signed) and part.at_least == 1]
    signers = tuple(dict.fromkeys(signer for part in signed for signer in part.signers))
    same = {(part.log_ignored, part.annotations) for part in signed}
    if not 1 < count < len(parts) or not len(signers) == len(signed) == len(parts) or len(same) != 1:
        return None
    ((log_ignored, annotations),) = same
    return Signed(signers=signers, at_least=count, log_ignored=log_ignored, annotations=annotations)


def _blocks(text: str) -> list[str]:
    """One text a key; what is no PEM is one by itself."""
    if "-----BEGIN" not in text:
        return [text.strip()]
    found = re.split(r"(?<=-----END PUBLIC KEY-----)", text)
    return [block.strip() for block in found if block.strip()]


def _key(text: str, hash_name: HashName) -> KeyEntry | None:
    found = read_key(text)
    return None if found is None else KeyEntry(data=found.data, reference=found.reference, hash_name=hash_name)


def _match(section: Section, name: str) -> TextMatch | None:
    plain, pattern = section.text(name), section.text(f"{name}RegExp")
    if plain is None or (pattern is not None and not re.search(r"[*?]", plain)):
        return identity_text(section, name, read_pair(plain, pattern))
    if pattern is not None:
        return identity_text(
            section, name, TextReading(match=None, message="wildcards and a regexp cannot both be said")
        )
    return identity_text(section, name, wildcarded(plain))


def _claims(section: Section) -> tuple[tuple[tuple[str, TextMatch], ...], list[str]]:
    found: dict[str, TextMatch] = {}
    for key, value in section.pairs("additionalExtensions"):
        claim = _CLAIMS.get(key.lower())
        reading = wildcarded(value)
        if claim is None or reading.match is None or claim in found:
            message = f"{key!r:.80} with {value!r:.80} is no claim that can be said"
            return (), [section.find("additionalExtensions", Effect.REJECTS, message)]
        found[claim] = reading.match
    return tuple(found.items()), []
