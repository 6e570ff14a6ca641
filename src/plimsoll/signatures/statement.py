"""In-toto statements v0.1 and v1: read strictly in what judges an image, and matched with its digests.

Sources: in-toto/attestation, spec/v1/statement.md, resource_descriptor.md, digest_set.md; spec/v0.1/README.md.
Members that in-toto does not know are passed over, as statement.md asks of readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, PayloadError, UsageError
from plimsoll.model.attestation import Statement, Subject
from plimsoll.model.bundle import UntrustedEnvelope
from plimsoll.model.digest import HEX_LENGTH, Digest
from plimsoll.native import JsonValue
from plimsoll.signatures.attestation_fields import (
    known_members,
    optional_text,
    read_document,
    read_document_outline,
    text_member,
)
from plimsoll.signatures.dsse import IN_TOTO
from plimsoll.signatures.effort import read_once

STATEMENT_TYPES: Final = frozenset({"https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"})
COSIGN_SIGN_TYPE: Final = "https://sigstore.dev/cosign/sign/v1"
"""The predicate type of an image signature in bundle form."""
PREDICATE_TYPES: Final[Mapping[str, str]] = {
    "custom": "https://cosign.sigstore.dev/attestation/v1",
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "link": "https://in-toto.io/Link/v1",
    "spdx": "https://spdx.dev/Document",
    "spdxjson": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "openvex": "https://openvex.dev/ns",
}
"""cosign's short names (pkg/cosign/attestation, --type) -> predicate type."""

_STATEMENT: Final = frozenset({"_type", "subject", "predicateType", "predicate"})
_SUBJECT: Final = frozenset({"name", "digest", "annotations"})
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20\x7f]+")


def outline_in(envelope: UntrustedEnvelope) -> Statement:
    """The statement that an envelope holds, its predicate checked but empty: enough to say what it is about.

    Until somebody who is trusted is known to have signed it: a predicate of 12 MiB fills a hundred. Raises
    PayloadError, also for a payload of another type.
    """
    _require_in_toto(envelope)
    return read_once("statement outline", envelope.payload, _outline)


def statement_in(envelope: UntrustedEnvelope) -> Statement:
    """The whole statement that an envelope holds, of which the signature is proven; raises as ``outline_in``."""
    _require_in_toto(envelope)
    try:
        return read_once("statement", envelope.payload, parse_statement)
    except PayloadError as error:
        raise _proven(error) from None


def unread(envelope: UntrustedEnvelope, fault: PayloadError, *, prove: Callable[[], object]) -> PayloadError:
    """The ``fault`` of a statement that has no outline, once ``prove`` finds that a trusted signer made it.

    What somebody attested and nobody can read, for a cap too, may be of any type and about any image; what was made by
    nobody who is trusted is nothing. Raises what ``prove`` does.
    """
    if envelope.payload_type != IN_TOTO:
        return fault  # no attestation, whoever made it
    prove()
    return _proven(fault)


def _proven(fault: PayloadError) -> PayloadError:
    """Another error: the one at hand may be remembered (``read_once``), and others are asked of it too."""
    found = PayloadError(str(fault))
    found.proven = True
    return found


def _require_in_toto(envelope: UntrustedEnvelope) -> None:
    if envelope.payload_type != IN_TOTO:
        raise PayloadError(f"payloadType is {envelope.payload_type!r:.160}, not {IN_TOTO!r}: no attestation")


def parse_statement(payload: bytes) -> Statement:
    """Read a statement; raises PayloadError.

    There is a subject at least, and each has a digest: what is about nothing is about no image.
    """
    document = read_document(
        payload,
        max_depth=limits.STATEMENT_DEPTH,
        max_values=limits.STATEMENT_HEAD_VALUES + limits.STATEMENT_VALUES,
        what="the statement",
    )
    return _statement(document)


def _outline(payload: bytes) -> Statement:
    document = read_document_outline(
        payload,
        unread="predicate",
        max_depth=limits.STATEMENT_DEPTH,
        max_values=limits.STATEMENT_HEAD_VALUES,
        max_unread=limits.STATEMENT_VALUES,
        what="the statement",
    )
    return _statement(document)


def _statement(document: JsonValue) -> Statement:
    statement = known_members(document, _STATEMENT, where="statement")
    kind = text_member(statement, "_type", where="statement")
    if kind not in STATEMENT_TYPES:
        raise PayloadError(f"_type is {kind!r:.160}, which is no in-toto statement v0.1 or v1")
    listed = statement.get("subject")
    if not isinstance(listed, list) or not 0 < len(listed) <= limits.SUBJECTS:
        raise PayloadError(f"subject is no list of 1 to {limits.SUBJECTS} subjects")
    predicate = statement.get("predicate")
    if predicate is not None and not isinstance(predicate, dict):
        raise PayloadError("predicate is neither null nor a JSON object")
    return Statement(
        type=kind,
        subjects=tuple([_subject(entry, where=f"subject[{at}]") for at, entry in enumerate(listed)]),
        predicate_type=text_member(statement, "predicateType", where="statement"),
        predicate=predicate,
    )


def subject_matches(statement: Statement, digests: tuple[Digest, ...]) -> Digest | None:
    """The first of the image's ``digests`` that some subject has; None where the statement is not about this image.

    One digest that is equal decides (digest_set.md); the caller computed them from the bytes that it judges.
    """
    for digest in digests:
        for subject in statement.subjects:
            if subject.digests.get(digest.algorithm) == digest.hex:
                return digest
    return None


def predicate_type_of(name: str) -> str:
    """The predicate type that cosign's ``--type`` means by ``name``: a short name, or any URI for itself.

    Types are compared as exact strings. Raises UsageError for a word that is neither.
    """
    found = PREDICATE_TYPES.get(name)
    if found is not None:
        return found
    if _URI.fullmatch(name):
        return name
    raise UsageError(
        f"{name[:160]!r} is no attestation type: write a URI, or one of {', '.join(sorted(PREDICATE_TYPES))}"
    )


def _subject(entry: JsonValue, *, where: str) -> Subject:
    subject = known_members(entry, _SUBJECT, where=where)
    annotations = subject.get("annotations")
    if annotations is not None and not isinstance(annotations, dict):
        raise PayloadError(f"{where}.annotations is neither null nor a JSON object")
    return Subject(
        name=optional_text(subject, "name", where=where),
        digests=_digests(subject.get("digest"), where=f"{where}.digest"),
        annotations=annotations or {},
    )


def _digests(value: JsonValue, *, where: str) -> Mapping[str, str]:
    if not isinstance(value, dict) or not 0 < len(value) <= limits.SUBJECT_DIGESTS:
        raise PayloadError(f"{where} is no JSON object of 1 to {limits.SUBJECT_DIGESTS} digests")
    digests: dict[str, str] = {}
    for algorithm, text in value.items():
        if not isinstance(text, str):
            raise PayloadError(f"{where}.{algorithm:.64} is no text")
        if algorithm in HEX_LENGTH:
            _require_digest(f"{algorithm}:{text}", where=where)
        digests[algorithm] = text
    return digests


def _require_digest(text: str, *, where: str) -> None:
    try:
        Digest.parse(text)
    except InvalidReferenceError as error:
        raise PayloadError(f"{where}: {error}") from error
