"""Statements: what is read of them strictly, what is passed over, and whether they are about this image."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.bundles import STATEMENT_V1, statement_bytes, statement_document
from plimsoll import limits
from plimsoll.errors import PayloadError, SignatureError, UsageError
from plimsoll.model.attestation import Statement, Subject
from plimsoll.model.bundle import UntrustedEnvelope
from plimsoll.model.digest import Digest
from plimsoll.signatures.dsse import IN_TOTO
from plimsoll.signatures.statement import parse_statement, predicate_type_of, statement_in, subject_matches

DIGEST = Digest.of(b"the image")
SHA512 = Digest.of(b"the image", algorithm="sha512")
OTHER = Digest.of(b"another image")
V01 = "https://in-toto.io/Statement/v0.1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"


def document(**changes):
    return statement_document(DIGEST, predicate_type=PREDICATE_TYPE, predicate={"a": [1]}, name="app") | changes


def parse(value):
    return parse_statement(json.dumps(value).encode())


def about(**subject):
    return document(subject=[{"digest": {"sha256": DIGEST.hex}} | subject])


def test_what_was_written_is_read():
    found = parse_statement(
        statement_bytes(DIGEST, SHA512, predicate_type="x", name="app", annotations={"env": "prod"})
    )
    assert found == Statement(
        type=STATEMENT_V1,
        subjects=(
            Subject(name="app", digests={"sha256": DIGEST.hex, "sha512": SHA512.hex}, annotations={"env": "prod"}),
        ),
        predicate_type="x",
        predicate={},
    )


@pytest.mark.parametrize("kind", [V01, STATEMENT_V1])
def test_both_versions(kind):
    assert parse(document(_type=kind)).type == kind


@pytest.mark.parametrize(
    "kind",
    [
        None,
        7,
        "",
        "https://in-toto.io/Statement/v2",
        "https://in-toto.io/Statement/v1/",
        "http://in-toto.io/Statement/v1",
    ],
)
def test_any_other_version_is_refused(kind):
    with pytest.raises(PayloadError, match="_type"):
        parse(document(_type=kind))


def test_what_in_toto_does_not_know_is_passed_over():
    found = document(extra=1)
    found["subject"][0] |= {"uri": "x", "mediaType": "y", "content": "e30=", "downloadLocation": None, "extra": []}
    assert parse(found) == parse(document())


@pytest.mark.parametrize("name", ["_Type", "Subject", "predicatetype", "Predicate", "\u017fubject"])
def test_a_member_that_go_would_take_for_a_known_one_is_refused(name):
    with pytest.raises(PayloadError, match="but for its case"):
        parse(document(**{name: None}))


@pytest.mark.parametrize("name", ["Name", "DIGEST", "Annotations"])
def test_a_subjects_member_that_go_would_take_for_a_known_one_is_refused(name):
    with pytest.raises(PayloadError, match=r"subject\[0\] has a member"):
        parse(about(**{name: None}))


@pytest.mark.parametrize("subject", [None, [], {}, "x", 7, [None], [[]], ["x"], [{}]])
def test_a_statement_has_a_subject(subject):
    # CVE-2026-39395: so was a statement about nothing.
    with pytest.raises(PayloadError, match="subject"):
        parse(document(subject=subject))
    found = document()
    del found["subject"]
    with pytest.raises(PayloadError, match="subject is no list"):
        parse(found)


@pytest.mark.parametrize("digest", [None, {}, [], "sha256", {"sha256": None}, {"sha256": 7}, {"x": []}])
def test_a_subject_has_a_digest(digest):
    with pytest.raises(PayloadError, match=r"subject\[0\]\.digest"):
        parse(about(digest=digest))


@pytest.mark.parametrize(
    "value",
    ["", DIGEST.hex.upper(), DIGEST.hex[:-1], f"{DIGEST.hex}0", f" {DIGEST.hex}", f"sha256:{DIGEST.hex}", "g" * 64],
)
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_digest_of_a_known_algorithm_is_lower_case_hex_of_full_length(algorithm, value):
    with pytest.raises(PayloadError, match=r"subject\[0\]\.digest: "):
        parse(about(digest={algorithm: value}))


def test_a_digest_of_another_algorithm_is_any_text():
    digests = {"gitCommit": "ABC", "SHA256": DIGEST.hex, "sha1": ""}
    found = parse(about(digest=digests))
    assert found.subjects[0].digests == digests
    assert subject_matches(found, (DIGEST,)) is None


@pytest.mark.parametrize("name", [7, [], {}, True])
def test_a_subjects_name_is_text_or_nothing(name):
    with pytest.raises(PayloadError, match=r"subject\[0\]\.name"):
        parse(about(name=name))
    assert parse(about(name=None)).subjects[0].name == ""
    assert parse(about()).subjects[0].name == ""


@pytest.mark.parametrize("annotations", [7, [], "x", True])
def test_a_subjects_annotations_are_an_object_or_nothing(annotations):
    with pytest.raises(PayloadError, match=r"subject\[0\]\.annotations"):
        parse(about(annotations=annotations))
    assert parse(about(annotations=None)).subjects[0].annotations == {}


@pytest.mark.parametrize("predicate_type", [None, "", 7, [], "x" * (limits.TEXT_CHARS + 1)])
def test_a_statement_has_a_predicate_type(predicate_type):
    with pytest.raises(PayloadError, match="predicateType"):
        parse(document(predicateType=predicate_type))


def test_a_predicate_is_an_object_or_nothing():
    for nothing in (document(predicate=None), {k: v for k, v in document().items() if k != "predicate"}):
        assert parse(nothing).predicate is None
    for wrong in (7, "x", [], True, False, 0, ""):
        with pytest.raises(PayloadError, match="predicate is neither"):
            parse(document(predicate=wrong))


def nested(depth):
    value = {}
    for _ in range(depth - 2):
        value = {"a": value}
    return value


def test_how_much_there_may_be():
    subject = document()["subject"][0]
    digests = {f"d{index}": "x" for index in range(limits.SUBJECT_DIGESTS + 1)}
    assert len(parse(document(subject=[subject] * limits.SUBJECTS)).subjects) == limits.SUBJECTS
    with pytest.raises(PayloadError, match="subject is no list of 1 to"):
        parse(document(subject=[subject] * (limits.SUBJECTS + 1)))
    with pytest.raises(PayloadError, match="object of 1 to"):
        parse(about(digest=digests))
    del digests["d0"]
    assert parse(about(digest=digests)).subjects[0].digests == digests
    assert parse(document(predicate=nested(limits.STATEMENT_DEPTH)))
    with pytest.raises(PayloadError, match="refused"):
        parse(document(predicate=nested(limits.STATEMENT_DEPTH + 1)))
    data = json.dumps(document()).encode()
    assert parse_statement(data.ljust(limits.BUNDLE_BYTES))
    with pytest.raises(PayloadError, match="at most"):
        parse_statement(data.ljust(limits.BUNDLE_BYTES + 1))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff", b'{"_type":"","_type":""}'])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(PayloadError):
        parse_statement(data)


def test_a_statement_is_in_an_envelope_of_its_type():
    # CVE-2026-39395: a payload of another type, or none that can be read, was "Verified OK".
    payload = statement_bytes(DIGEST)
    signatures = (("", b"s"),)
    found = statement_in(UntrustedEnvelope(payload_type=IN_TOTO, payload=payload, signatures=signatures))
    assert found == parse_statement(payload)
    for wrong in ("application/json", "", f"{IN_TOTO} "):
        with pytest.raises(PayloadError, match="payloadType"):
            statement_in(UntrustedEnvelope(payload_type=wrong, payload=payload, signatures=signatures))


def subjects(*digest_sets):
    return parse(document(subject=[{"digest": {each.algorithm: each.hex for each in one}} for one in digest_sets]))


def test_a_statement_is_about_an_image_if_some_subject_has_one_of_its_digests():
    assert subject_matches(subjects([DIGEST]), (DIGEST,)) == DIGEST
    assert subject_matches(subjects([OTHER], [DIGEST]), (DIGEST,)) == DIGEST
    assert subject_matches(subjects([SHA512]), (DIGEST, SHA512)) == SHA512
    assert subject_matches(subjects([DIGEST, SHA512]), (SHA512, DIGEST)) == SHA512


def test_a_statement_about_another_image_does_not_match():
    assert subject_matches(subjects([OTHER]), (DIGEST, SHA512)) is None
    assert subject_matches(subjects([SHA512]), (DIGEST,)) is None
    assert subject_matches(subjects([DIGEST]), ()) is None
    # The image's sha256 under another algorithm's name is no digest of it.
    assert subject_matches(parse(about(digest={"sha3-256": DIGEST.hex})), (DIGEST,)) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("custom", "https://cosign.sigstore.dev/attestation/v1"),
        ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ("link", "https://in-toto.io/Link/v1"),
        ("spdx", "https://spdx.dev/Document"),
        ("spdxjson", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
        ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
        ("openvex", "https://openvex.dev/ns"),
        ("https://cyclonedx.org/bom/v1.6", "https://cyclonedx.org/bom/v1.6"),
        ("urn:example:type", "urn:example:type"),
    ],
)
def test_the_predicate_types_names(name, expected):
    assert predicate_type_of(name) == expected


@pytest.mark.parametrize(
    "name",
    ["", "slsa", "SPDX", " spdx", "spdx ", "/path", "://x", "https:", "https://a b", "1a:b", "x/y", "https://a\n"],
)
def test_any_other_word_is_wrong_usage(name):
    with pytest.raises(UsageError, match=r"custom, cyclonedx, link, openvex, .*vuln"):
        predicate_type_of(name)


KEYS = st.sampled_from(["_type", "subject", "predicateType", "predicate", "digest", "name", "sha256", "x"])
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["", STATEMENT_V1, DIGEST.hex, "x"]),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(KEYS, VALUES))
def test_no_document_makes_anything_but_a_signature_error(changes):
    for value in (changes, document() | changes):
        with contextlib.suppress(SignatureError):
            parse(value)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_changed_byte_makes_anything_but_a_signature_error(data):
    found = bytearray(statement_bytes(DIGEST, annotations={}))
    index = data.draw(st.integers(0, len(found) - 1))
    found[index : index + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with contextlib.suppress(SignatureError):
        parse_statement(bytes(found))
