"""Signers of foreign policies that are written alike: lists of identities, and what names a private instance. Pure."""

from __future__ import annotations

from typing import Final, get_args

from plimsoll.errors import UsageError
from plimsoll.model.conversion import Effect
from plimsoll.model.identity import TextMatch
from plimsoll.model.trust import HashName
from plimsoll.policy.conversion import IdentityEntry, KeyEntry, SignerEntry
from plimsoll.policy.fields import shown
from plimsoll.policy.foreign import Section
from plimsoll.policy.foreign_identities import ANY_TEXT, TextReading, read_pair
from plimsoll.policy.foreign_rules import Signers, read_key
from plimsoll.signatures.statement import predicate_type_of

PUBLIC_REKOR: Final = "https://rekor.sigstore.dev"
PUBLIC_FULCIO: Final = "https://fulcio.sigstore.dev"
_NO_KEY: Final = "this is no public key in PEM, and no reference to one that can be named here"


def read_identities(section: Section, signers: Signers, *, hint: str) -> tuple[list[SignerEntry], list[str]]:
    """The ``identities`` of a keyless section, and the places that were lost; one of them is enough for the source."""
    found: list[SignerEntry] = []
    lost: list[str] = []
    for entry in section.sections("identities"):
        issuer = identity_text(entry, "issuer", read_pair(entry.text("issuer"), entry.text("issuerRegExp")))
        subject = identity_text(entry, "subject", read_pair(entry.text("subject"), entry.text("subjectRegExp")))
        refused = entry.close()
        if issuer is None or subject is None or refused:
            lost += refused or (entry.where,)
        elif (issuer, subject) == (ANY_TEXT, ANY_TEXT):
            lost += section.refuse("an identity without issuer and subject is anybody's", "identities")
        else:
            found.append(signers.named(IdentityEntry(issuer=issuer, subject=subject), hint))
    if not found and not lost:
        section.findings.add(section.where, Effect.REJECTS, "it names no identity: anybody's signature would do")
        lost.append(section.where)
    return found, lost


def identity_text(section: Section, name: str, reading: TextReading | None) -> TextMatch | None:
    """The text for ``name``, any where the source says none; tells what there is to tell. None where it is lost."""
    if reading is None:
        section.findings.add(
            section.place(name), Effect.NOTE, f"any {name} will do, as in the source: better name it", line=section.line
        )
        return ANY_TEXT
    name = name if f"{name}RegExp" not in section else f"{name}RegExp"
    if reading.match is None:
        section.find(name, Effect.REJECTS, reading.message)
    elif reading.message:
        section.find(name, Effect.STRICTER if reading.stricter else Effect.NOTE, reading.message)
    return reading.match


def read_key_field(section: Section, name: str, *, hash_name: HashName) -> KeyEntry | None:
    """The key in the field ``name``; None where it is none, which is told."""
    found = read_key(section.text(name) or "")
    if found is None:
        section.find(name, Effect.REJECTS, _NO_KEY)
        return None
    return KeyEntry(data=found.data, reference=found.reference, hash_name=hash_name)


def read_secret(section: Section, *, namespace: str | None, hash_name: HashName) -> KeyEntry | None:
    """A Kubernetes secret that holds a key; None where it has no name."""
    name, found = section.text("name"), section.text("namespace") or namespace
    section.close()
    if name is None or found is None:
        section.findings.add(section.where, Effect.REJECTS, "the secret needs a name and a namespace")
        return None
    return KeyEntry(reference=f"k8s://{found}/{name}", hash_name=hash_name)


def read_hash_name(section: Section, name: str) -> HashName | None:
    """The digest algorithm in the field ``name``, else sha256; None for an unknown one, which is told."""
    known: dict[str, HashName] = {each: each for each in get_args(HashName)}
    given = section.text(name) or "sha256"
    if given not in known:
        section.find(name, Effect.REJECTS, f"{shown(given)} is none of {', '.join(known)}")
    return known.get(given)


def private(section: Section, *names: str, root_given: bool) -> tuple[str, ...]:
    """Fields that name a private instance's parts: lost, unless ``verify`` will be given its root."""
    if root_given:
        section.note("it stands for the trusted root that verify is given", *names, effect=Effect.DIFFERS)
        return ()
    message = (
        "a document names no private instance, and the public one would be trusted in its place: "
        "convert with --trusted-root FILE, and give verify the same"
    )
    return section.refuse(message, *names)


def url_lost(section: Section, name: str, *, public: str, root_given: bool) -> tuple[str, ...]:
    """The place of the field ``name`` where it is the URL of another instance than the ``public`` one."""
    url = section.text(name)
    if url is None or url.rstrip("/") == public:
        return ()
    return private(section, name, root_given=root_given)


def is_predicate_uri(text: str) -> bool:
    """Whether ``text`` is a predicate type written out: Kyverno compares it as it stands, and knows no short names."""
    try:
        return predicate_type_of(text) == text
    except UsageError:
        return False
