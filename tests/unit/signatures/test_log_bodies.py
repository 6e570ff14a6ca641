"""Bodies of log entries: each kind is read strictly and bound to one signature, its signer and what was signed.

CVE-2026-22703 (GHSA-whqx-f9j3-ch6m) and CVE-2022-36056: an entry about something else was accepted. Here each of the
three bound fields varies alone, in every kind.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pki import authority, leaf
from fakes.rekor import dsse, hashedrekord_v2, intoto, intoto_v1
from fakes.signing import b64, hashedrekord, jcs_encode, signer
from plimsoll import limits
from plimsoll.errors import LogProofInvalidError
from plimsoll.signatures.log_bodies import LoggedContent, bind_body, kind_of, parse_log_body

SIGNED = b"DSSEv1 28 application/vnd.in-toto+json 7 payload"
PAYLOAD = b"payload"
ENVELOPE = b"the envelope as uploaded"
ALICE = signer("p256", "alice")
MALLORY = signer("p256", "mallory")
SIGNATURE = ALICE.sign(SIGNED)
SECOND_SIGNATURE = ALICE.sign(SIGNED)


@cache
def certified(name="alice"):
    """A certificate for that person's key."""
    return leaf(authority("body ca"), by=signer("p256", name)).value


def pem_of(certificate):
    return b"-----BEGIN CERTIFICATE-----\n" + b64(certificate.der).encode() + b"\n-----END CERTIFICATE-----\n"


def digests(data):
    return {name: hashlib.new(name, data).digest() for name in ("sha256", "sha384", "sha512")}


def content(**changes):
    """What the entries below are about."""
    honest = LoggedContent(
        signer=ALICE.key,
        signature=SIGNATURE,
        signed_digests=digests(SIGNED),
        payload_sha256=hashlib.sha256(PAYLOAD).digest(),
        envelope_sha256=hashlib.sha256(ENVELOPE).digest(),
    )
    return replace(honest, **changes)


def record_v2(signature=SIGNATURE, *, signed=SIGNED, by=ALICE, **more):
    return hashedrekord_v2(signature, by.der, **{"digest": hashlib.sha256(signed).digest(), "form": "publicKey"} | more)


# For each kind: how an entry is made of what was signed, its payload and envelope, the signature and the verifier's PEM.
MAKERS = {
    "hashedrekord 0.0.1": lambda signed, payload, made, by: hashedrekord(signed, made, by.pem),
    "hashedrekord 0.0.2": lambda signed, payload, made, by: record_v2(made, signed=signed, by=by),
    "dsse 0.0.1": lambda signed, payload, made, by: dsse(payload, (made, by.pem), envelope=ENVELOPE),
    "intoto 0.0.2": lambda signed, payload, made, by: intoto(payload, (made, by.pem)),
}
KINDS = pytest.mark.parametrize("kind", MAKERS)
ENVELOPED = pytest.mark.parametrize("kind", ["dsse 0.0.1", "intoto 0.0.2"])


def make(kind, *, signed=SIGNED, payload=PAYLOAD, signature=SIGNATURE, by=ALICE):
    return MAKERS[kind](signed, payload, signature, by)


def bind(document, about=None, *, kind=None):
    body = document if isinstance(document, bytes) else jcs_encode(document)
    stated = kind.split() if kind else (document["kind"], document["apiVersion"])
    bind_body(parse_log_body(body, kind=stated[0], version=stated[1]), content=about or content())


def refused(document, match=None, *, about=None, kind=None):
    with pytest.raises(LogProofInvalidError, match=match):
        bind(document, about, kind=kind)


# ---- what the entry is about -----------------------------------------------------------------------------------------


@KINDS
def test_an_entry_about_all_three_is_good(kind):
    bind(make(kind))


@KINDS
def test_an_entry_about_another_artifact_is_refused(kind):
    """CVE-2026-22703: the artifact alone differs."""
    refused(make(kind, signed=b"other", payload=b"other"), "another payload")
    other = {"signed_digests": digests(b"other"), "payload_sha256": hashlib.sha256(b"other").digest()}
    refused(make(kind), "another payload", about=content(**other))
    bind(make(kind, signed=b"other", payload=b"other"), content(**other))


@KINDS
def test_an_entry_about_another_signature_is_refused(kind):
    """CVE-2026-22703, CVE-2022-36056: the signature alone differs, and is as good as this one."""
    refused(make(kind, signature=SECOND_SIGNATURE), "another signature")
    bind(make(kind, signature=SECOND_SIGNATURE), content(signature=SECOND_SIGNATURE))
    for other in (SIGNATURE[:-1], SIGNATURE + b"\0", b"\0"):
        refused(make(kind, signature=other), "another signature")


@KINDS
def test_an_entry_about_another_key_is_refused(kind):
    """CVE-2026-22703, CVE-2022-36056: the key alone differs."""
    refused(make(kind, by=MALLORY), "another key")
    bind(make(kind, by=MALLORY), content(signer=MALLORY.key))


@KINDS
def test_an_empty_content_is_about_nothing(kind):
    refused(make(kind), "another payload", about=content(signed_digests={}, payload_sha256=None, envelope_sha256=None))
    refused(make(kind), "another payload", about=content(signed_digests={"sha256": b""}, payload_sha256=b""))


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_the_hash_is_by_the_algorithm_that_is_named(name):
    document = hashedrekord(SIGNED, SIGNATURE, ALICE.pem)
    document["spec"]["data"]["hash"] = {"algorithm": name, "value": hashlib.new(name, SIGNED).hexdigest()}
    bind(document)
    only = {other: digest for other, digest in digests(SIGNED).items() if other != name}
    refused(document, "another payload", about=content(signed_digests=only))
    document["spec"]["data"]["hash"]["algorithm"] = "sha384" if name == "sha256" else "sha256"
    refused(document, "another payload")


@ENVELOPED
@pytest.mark.parametrize("algorithm", ["sha512", "SHA256", "", "sha384"])
def test_a_payload_hash_is_sha256(kind, algorithm):
    document = make(kind)
    spec = document["spec"] if kind.startswith("dsse") else document["spec"]["content"]
    spec["payloadHash"]["algorithm"] = algorithm
    refused(document, "another payload")


@KINDS
def test_a_message_is_no_envelope(kind):
    """A signature over an artifact itself has no payload that dsse and intoto entries could name."""
    about = content(payload_sha256=None, envelope_sha256=None)
    if kind.startswith("hashedrekord"):
        bind(make(kind), about)
    else:
        refused(make(kind), "another payload", about=about)


def test_a_payloads_digest_is_not_the_signed_ones():
    """An envelope is logged as hashedrekord over its pre-authentication encoding, never over its payload."""
    refused(make("hashedrekord 0.0.2", signed=PAYLOAD), "another payload")
    refused(make("hashedrekord 0.0.1", signed=PAYLOAD), "another payload")
    refused(make("dsse 0.0.1", payload=SIGNED), "another payload")


# ---- who signed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hashedrekord 0.0.1", "dsse 0.0.1", "intoto 0.0.2"])
def test_certificates_are_compared_as_der(kind):
    alice, mallory = certified(), certified("mallory")
    pem = pem_of(alice)
    maker = MAKERS[kind]

    def made(text):
        return maker(SIGNED, PAYLOAD, SIGNATURE, type("By", (), {"pem": text}))

    about = content(signer=alice)
    for good in (pem, pem.replace(b"\n", b"\r\n"), pem.strip(), b"\n \n" + pem + b"\n\n"):
        bind(made(good), about)
    wrong = [
        pem_of(mallory),
        pem + pem,
        pem + pem_of(mallory),
        pem_of(mallory) + pem,
        ALICE.pem,
        alice.der,
        pem[:-8],
        pem.replace(b"CERTIFICATE", b"PUBLIC KEY"),
        pem.replace(b"\n-----END", b"AAAA\n-----END"),
        b"x",
        b"-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
    ]
    for text in wrong:
        refused(made(text), "another key", about=about)
    refused(made(pem), "another key")  # a certificate for Alice's key, where the key itself is what signed
    again = leaf(authority("body ca"), by=ALICE).value  # for the same key, by the same authority
    assert again != alice
    refused(made(pem_of(again)), "another key", about=about)


def test_a_v2_certificate_is_compared_as_der():
    alice, mallory = certified(), certified("mallory")
    digest = hashlib.sha256(SIGNED).digest()
    about = content(signer=alice)
    bind(hashedrekord_v2(SIGNATURE, alice.der, digest=digest), about)
    refused(hashedrekord_v2(SIGNATURE, mallory.der, digest=digest), "another key", about=about)
    refused(hashedrekord_v2(SIGNATURE, alice.der + b"\0", digest=digest), "another key", about=about)
    refused(hashedrekord_v2(SIGNATURE, alice.der, digest=digest), "another key")
    refused(hashedrekord_v2(SIGNATURE, alice.der, digest=digest, form="publicKey"), "another key", about=about)
    refused(hashedrekord_v2(SIGNATURE, ALICE.der, digest=digest), "another key")
    refused(hashedrekord_v2(SIGNATURE, ALICE.der, digest=digest, form="publicKey"), "another key", about=about)
    bind(hashedrekord_v2(SIGNATURE, ALICE.der, digest=digest, form="publicKey"))


@ENVELOPED
def test_signature_and_key_stand_together(kind):
    """Of several signatures one must be by the key: not this signature here and that key there."""
    maker = dsse if kind.startswith("dsse") else intoto
    good, other = (SIGNATURE, ALICE.pem), (SECOND_SIGNATURE, MALLORY.pem)
    about = content(envelope_sha256=None)
    bind(maker(PAYLOAD, other, good), about)
    bind(maker(PAYLOAD, good, other), about)
    refused(maker(PAYLOAD, (SIGNATURE, MALLORY.pem), (SECOND_SIGNATURE, ALICE.pem)), "another key", about=about)
    refused(maker(PAYLOAD, other, other), "another signature", about=about)
    refused(maker(PAYLOAD), "no list", about=about)
    bind(maker(PAYLOAD, *[other] * (limits.ENVELOPE_SIGNATURES - 1), good), about)
    refused(maker(PAYLOAD, *[other] * limits.ENVELOPE_SIGNATURES, good), "no list", about=about)


# ---- Rekor v2's key and hash -----------------------------------------------------------------------------------------

FITTING = [
    ("p256", "PKIX_ECDSA_P256_SHA_256", "sha256"),
    ("p384", "PKIX_ECDSA_P384_SHA_384", "sha384"),
    ("p384", "PKIX_ECDSA_P384_SHA_256", "sha256"),
    ("p521", "PKIX_ECDSA_P521_SHA_512", "sha512"),
    ("p521", "PKIX_ECDSA_P521_SHA_256", "sha256"),
    ("rsa2048", "PKIX_RSA_PKCS1V15_2048_SHA256", "sha256"),
    ("rsa2048", "PKIX_RSA_PSS_2048_SHA256", "sha256"),
    ("ed25519", "PKIX_ED25519_PH", "sha512"),
]


def detailed(kind, details, name, **more):
    by = signer(kind, "alice")
    document = record_v2(by=by, details=details, algorithm=name, digest=hashlib.new(name, SIGNED).digest(), **more)
    return document, content(signer=by.key)


@pytest.mark.parametrize(("kind", "details", "name"), FITTING)
def test_key_details_and_hash_fit_the_key(kind, details, name):
    document, about = detailed(kind, details, name)
    bind(document, about)
    for _, other_details, other_name in FITTING:
        if (other_details, other_name) in [fitting[1:] for fitting in FITTING if fitting[0] == kind]:
            continue
        document, about = detailed(kind, other_details, other_name)
        refused(document, "do not fit", about=about)
    for other_name in {"sha256", "sha384", "sha512"} - {name}:
        document, about = detailed(kind, details, other_name)
        refused(document, "do not fit", about=about)


@pytest.mark.parametrize("details", ["", "PKIX_ED25519", "pkix_ecdsa_p256_sha_256", "PUBLIC_KEY_DETAILS_UNSPECIFIED"])
def test_other_key_details_are_refused(details):
    refused(record_v2(details=details), "do not fit")
    document, about = detailed("ed25519", details, "sha512")
    refused(document, "do not fit", about=about)


@pytest.mark.parametrize("algorithm", ["SHA3_256", "sha256 ", "SHA256", "", "HASH_ALGORITHM_UNSPECIFIED"])
def test_another_hash_algorithm_of_v2_is_refused(algorithm):
    refused(record_v2(algorithm=algorithm), "is not known")


# ---- intoto 0.0.1: the envelope alone --------------------------------------------------------------------------------


def test_intoto_v1_names_the_envelope():
    bind(intoto_v1(ENVELOPE, ALICE.pem))
    refused(intoto_v1(b"another envelope", ALICE.pem), "another payload")
    refused(intoto_v1(ENVELOPE, MALLORY.pem), "another key")
    refused(intoto_v1(ENVELOPE, ALICE.pem), "another payload", about=content(envelope_sha256=None))  # a bundle
    refused(intoto_v1(PAYLOAD, ALICE.pem), "another payload")


def test_dsse_names_the_envelope_too():
    """Compared where the envelope is at hand as it was uploaded; a bundle has another JSON of it."""
    other = dsse(PAYLOAD, (SIGNATURE, ALICE.pem), envelope=b"another envelope")
    refused(other, "another envelope")
    bind(other, content(envelope_sha256=None))


# ---- the kind --------------------------------------------------------------------------------------------------------


@KINDS
def test_the_stated_kind_is_the_bodys(kind):
    for stated in (*MAKERS, "intoto 0.0.1", "rekord 0.0.1", "dsse 0.0.2", "hashedrekord 0.0.3"):
        if stated != kind:
            refused(make(kind), "is of kind", kind=stated)


@pytest.mark.parametrize("kind", ["rekord 0.0.1", "dsse 0.0.2", "hashedrekord 0.0.3", "rfc3161 0.0.1", "x y"])
def test_other_kinds_are_not_known(kind):
    name, version = kind.split()
    refused({"kind": name, "apiVersion": version, "spec": {}}, "are not known")


def test_kind_of():
    assert kind_of(jcs_encode(make("dsse 0.0.1"))) == ("dsse", "0.0.1")
    for body in (b"", b"[]", b"{}", b'{"kind":"dsse"}', b'{"kind":1,"apiVersion":"0.0.1"}', b'{"kind":"a","kind":"a"}'):
        with pytest.raises(LogProofInvalidError):
            kind_of(body)


# ---- the form --------------------------------------------------------------------------------------------------------


def places(value, path=()):
    """Every member of a document, as paths."""
    if isinstance(value, dict):
        for name in value:
            yield (*path, name)
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from places(member, (*path, at))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def is_free(kind, path):
    """What may be any text: the type is under the signature, and only Rekor has seen the envelope that it rewrote."""
    return path[-1] == "payloadType" or (kind == "intoto 0.0.2" and path[-3:-1] == ("content", "hash"))


ALL = {**{kind: make(kind) for kind in MAKERS}, "intoto 0.0.1": intoto_v1(ENVELOPE, ALICE.pem)}
MEMBERS = [(kind, path) for kind, document in ALL.items() for path in places(document)]
MEMBER = pytest.mark.parametrize(("kind", "path"), MEMBERS, ids=str)


@MEMBER
def test_each_member_is_needed(kind, path):
    document = copy.deepcopy(ALL[kind])
    bind(document)
    del at(document, path[:-1])[path[-1]]
    refused(document, "exactly the members|is of kind", kind=kind)


@MEMBER
def test_a_duplicate_member_is_refused(kind, path):
    """Two readers would see two entries: the log's and ours."""
    body = jcs_encode(ALL[kind])
    name = json.dumps(path[-1]).encode() + b":"
    for twin in (name, b'"\\u%04x' % ord(path[-1][0]) + name[2:]):
        doubled = body.replace(name, twin + b"null," + name, 1)
        assert json.loads(doubled) == json.loads(body)
        refused(doubled, "already has", kind=kind)


@MEMBER
def test_a_member_of_another_type_is_refused(kind, path):
    for value in (None, True, 0, "", "!", [], {}, [{}], ["a"]):
        if isinstance(value, str) and is_free(kind, path):
            continue
        document = copy.deepcopy(ALL[kind])
        at(document, path[:-1])[path[-1]] = value
        refused(document, kind=kind)


@pytest.mark.parametrize("kind", ALL)
def test_an_unknown_member_is_refused(kind):
    for path in [(), *places(ALL[kind])]:
        for name in ("url", "Kind", ""):
            document = copy.deepcopy(ALL[kind])
            inside = at(document, path)
            if isinstance(inside, dict):
                inside[name] = 1
                refused(document, "exactly the members", kind=kind)


def test_members_that_rekor_may_leave_out():
    document = make("intoto 0.0.2")
    document["spec"]["content"]["envelope"]["payload"] = b64(b64(PAYLOAD).encode())
    document["spec"]["content"]["envelope"]["signatures"][0]["keyid"] = "a key"
    bind(document)
    document = intoto_v1(ENVELOPE, ALICE.pem)
    document["spec"]["content"]["payloadHash"] = {"algorithm": "sha256", "value": hashlib.sha256(PAYLOAD).hexdigest()}
    bind(document)


def test_both_a_certificate_and_a_key_are_none():
    document = make("hashedrekord 0.0.2")
    verifier = document["spec"]["hashedRekordV002"]["signature"]["verifier"]
    verifier["x509Certificate"] = {"rawBytes": b64(certified().der)}
    refused(document, "exactly the members")
    refused(document, "exactly the members", about=content(signer=certified()))


def test_intotos_signature_is_base64_twice():
    document = make("intoto 0.0.2")
    signatures = document["spec"]["content"]["envelope"]["signatures"]
    for once in (
        b64(SIGNATURE),
        b64(b64(SIGNATURE).encode() + b"\n"),
        b64(b" " + b64(SIGNATURE).encode()),
        b64(b"\xff"),
    ):
        signatures[0]["sig"] = once
        refused(document, "base64")


@pytest.mark.parametrize("kind", ALL)
def test_base64_is_canonical(kind):
    for path in places(ALL[kind]):
        found = at(ALL[kind], path)
        if isinstance(found, str) and len(found) > 80:
            for change in ("{}\n", " {}", "{}====", "-{}", "{}A"):
                document = copy.deepcopy(ALL[kind])
                at(document, path[:-1])[path[-1]] = change.format(found)
                refused(document, "base64")


@pytest.mark.parametrize("data", [b"", b" ", b"null", b"[]", b"{", b"\xff", b"\xef\xbb\xbf{}", b"{}{}"])
def test_a_body_that_is_no_document_is_refused(data):
    refused(data, kind="dsse 0.0.1")


def test_data_behind_a_body_is_refused():
    body = jcs_encode(make("dsse 0.0.1"))
    bind(body + b"\n", kind="dsse 0.0.1")  # white space: the log has it in its tree
    for tail in (b"{}", b",", b"\0", body):
        refused(body + tail, "more data", kind="dsse 0.0.1")


def test_bodies_have_caps():
    body = jcs_encode(make("dsse 0.0.1"))
    bind(body.ljust(limits.LOG_ENTRY_BYTES), kind="dsse 0.0.1")
    refused(body.ljust(limits.LOG_ENTRY_BYTES + 1), "at most", kind="dsse 0.0.1")
    deep = b'{"kind":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    refused(deep, "too deep", kind="dsse 0.0.1")


# ---- whatever the bytes ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(ALL)), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_gives_anything_but_a_log_proof_error(kind, data):
    refused(data, kind=kind)
    with pytest.raises(LogProofInvalidError):
        kind_of(data)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([member for member in MEMBERS if not is_free(*member)]), JSON)
def test_no_value_is_accepted_but_the_right_one(member, value):
    """Even where a trusted log has it: logs take what they are given."""
    kind, path = member
    document = copy.deepcopy(ALL[kind])
    if at(document, path) == value:
        return
    at(document, path[:-1])[path[-1]] = value
    refused(json.dumps(document).encode(), kind=kind)
