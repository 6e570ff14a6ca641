"""Rekor v1 entries: each is bound to this payload, this signature and this key, and promised by a trusted log.

CVE-2022-36056, CVE-2022-23649, CVE-2026-22703 (GHSA-whqx-f9j3-ch6m): a good entry about something else was accepted.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import (
    LOGGED_AT_S,
    b64,
    hashedrekord,
    jcs_encode,
    payload_bytes,
    rekor,
    signer,
    trusted_root_bytes,
)
from plimsoll import limits
from plimsoll.errors import LogProofInvalidError
from plimsoll.model.digest import Digest
from plimsoll.model.trusted_root import TransparencyLog, TrustRoot, parse_trusted_root
from plimsoll.signatures.formats import LogByKeys, LogByRoot
from plimsoll.signatures.transparency import (
    parse_hashedrekord,
    parse_log_entry,
    signed_entry_bytes,
    verify_log_entry,
)
from plimsoll.signatures.trust_index import index_root

PAYLOAD = payload_bytes(Digest.of(b"the image"))
OTHER_PAYLOAD = payload_bytes(Digest.of(b"another image"))
ALICE = signer("p256", "alice")
SIGNATURE = ALICE.sign(PAYLOAD)
SECOND_SIGNATURE = ALICE.sign(PAYLOAD)
MALLORY = signer("p256", "mallory")
LOG = rekor()
ROOT = LogByRoot(root=index_root(parse_trusted_root(trusted_root_bytes(LOG.trusted()))))
KEYS = LogByKeys(keys=(LOG.signer.key,))
TRUSTS = pytest.mark.parametrize("trust", [ROOT, KEYS], ids=["by root", "by keys"])


def promise(*, log=LOG, payload=PAYLOAD, signature=SIGNATURE, by=ALICE, **changes):
    """A log's promise about these, as the parsed annotation."""
    return log.promise(hashedrekord(payload, signature, by.pem), **changes)


def verify(found, *, trust=ROOT, by=ALICE, signature=SIGNATURE, payload=PAYLOAD):
    text = found if isinstance(found, str) else json.dumps(found)
    return verify_log_entry(parse_log_entry(text), trust=trust, key=by.key, signature=signature, payload=payload)


def refused(found, match=None, **about):
    with pytest.raises(LogProofInvalidError, match=match):
        verify(found, **about)


# ---- what the entry is about -----------------------------------------------------------------------------------------


@TRUSTS
def test_an_entry_about_all_three_is_good(trust):
    found = verify(promise(), trust=trust)
    assert (found.integrated_time_s, found.log_index, found.log_id) == (LOGGED_AT_S, 42, LOG.log_id.hexdigest())


@TRUSTS
def test_an_entry_about_another_payload_is_refused(trust):
    refused(promise(payload=OTHER_PAYLOAD), "another payload", trust=trust)


@TRUSTS
def test_an_entry_about_another_signature_is_refused(trust):
    assert SIGNATURE != SECOND_SIGNATURE  # both are good, of one payload by one key
    refused(promise(signature=SECOND_SIGNATURE), "another signature", trust=trust)
    verify(promise(signature=SECOND_SIGNATURE), trust=trust, signature=SECOND_SIGNATURE)


@TRUSTS
def test_an_entry_about_another_key_is_refused(trust):
    refused(promise(by=MALLORY), "another key", trust=trust)


@TRUSTS
def test_another_images_valid_entry_is_refused(trust):
    """CVE-2026-22703: spliced from another artifact that the same key really signed and logged."""
    signature = ALICE.sign(OTHER_PAYLOAD)
    spliced = promise(payload=OTHER_PAYLOAD, signature=signature)
    refused(spliced, "another payload", trust=trust)
    verify(spliced, trust=trust, payload=OTHER_PAYLOAD, signature=signature)


@TRUSTS
def test_mallorys_entry_of_the_same_payload_is_refused(trust):
    """CVE-2022-36056: anyone can log a signature of their own over the same payload."""
    signature = MALLORY.sign(PAYLOAD)
    refused(promise(signature=signature, by=MALLORY), "another signature", trust=trust)


@TRUSTS
@pytest.mark.parametrize("algorithm", ["sha512", "SHA256", "", "sha1", "md5"])
def test_another_hash_algorithm_is_refused(trust, algorithm):
    document = hashedrekord(PAYLOAD, SIGNATURE, ALICE.pem)
    document["spec"]["data"]["hash"]["algorithm"] = algorithm
    refused(LOG.promise(document), "another payload", trust=trust)


def test_a_hash_in_upper_case_is_refused():
    document = hashedrekord(PAYLOAD, SIGNATURE, ALICE.pem)
    document["spec"]["data"]["hash"]["value"] = document["spec"]["data"]["hash"]["value"].upper()
    refused(LOG.promise(document), "another payload")


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_hash_of_another_length_is_refused(size):
    document = hashedrekord(PAYLOAD, SIGNATURE, ALICE.pem)
    document["spec"]["data"]["hash"]["value"] = document["spec"]["data"]["hash"]["value"].ljust(65, "0")[:size]
    refused(LOG.promise(document), "another payload")


def test_the_key_is_compared_as_der():
    """PEM texts of one key differ in their line ends."""
    pem = ALICE.pem.replace(b"\n", b"\r\n")
    verify(LOG.promise(hashedrekord(PAYLOAD, SIGNATURE, pem)))


@pytest.mark.parametrize(
    "pem",
    [
        b"x",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ALICE.pem + ALICE.pem,
        ALICE.pem + MALLORY.pem,
        MALLORY.pem + ALICE.pem,
        ALICE.pem[:-8],
        ALICE.der,
        ALICE.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        signer("secp256k1").pem,
    ],
    ids=["junk", "certificate", "twice", "and another", "another first", "cut", "DER", "private", "foreign curve"],
)
def test_a_verifier_that_is_not_exactly_the_key_is_refused(pem):
    refused(LOG.promise(hashedrekord(PAYLOAD, SIGNATURE, pem)), "another key")


def test_a_verifier_full_of_white_space_takes_no_time():
    """The registry chooses these bytes: a regular expression of two repetitions took cubic time over them."""
    pem = b"-----BEGIN PUBLIC KEY-----" + b" " * 400_000
    refused(LOG.promise(hashedrekord(PAYLOAD, SIGNATURE, pem)), "another key")


# ---- who promised it -------------------------------------------------------------------------------------------------


@TRUSTS
@pytest.mark.parametrize("member", ["body", "integratedTime", "logIndex", "logID"])
def test_every_signed_member_is_under_the_set(trust, member):
    """CVE-2022-23649: an annotation claimed to be in the log."""
    found = promise()
    honest = found["Payload"][member]
    found["Payload"][member] = {
        # Another text of the same JSON value: nothing but the SET can tell.
        "body": b64(json.dumps(hashedrekord(PAYLOAD, SIGNATURE, ALICE.pem), indent=1).encode()),
        "integratedTime": LOGGED_AT_S + 1,
        "logIndex": 43,
        "logID": rekor("another").log_id.hexdigest(),
    }[member]
    refused(found, "not in the trusted root" if (member, trust) == ("logID", ROOT) else "does not verify", trust=trust)
    found["Payload"][member] = honest
    verify(found, trust=trust)


@TRUSTS
def test_a_set_by_an_untrusted_log_is_refused(trust):
    """CVE-2023-47122: keys come from the trust root alone."""
    impostor = rekor("impostor")
    refused(promise(log=impostor, logID=LOG.log_id.hexdigest()), "does not verify", trust=trust)
    refused(promise(log=impostor), "not in the trusted root" if trust is ROOT else "does not verify", trust=trust)


@TRUSTS
def test_a_set_of_another_entry_is_refused(trust):
    found = promise()
    found["SignedEntryTimestamp"] = promise(index=43)["SignedEntryTimestamp"]
    refused(found, "does not verify", trust=trust)


@TRUSTS
@pytest.mark.parametrize("by", [ALICE, MALLORY], ids=["the signer", "a stranger"])
def test_a_signer_is_no_log(trust, by):
    found = promise()
    found["SignedEntryTimestamp"] = b64(by.sign(jcs_encode(found["Payload"])))
    refused(found, "does not verify", trust=trust)


@TRUSTS
@pytest.mark.parametrize("signature", [b"\0", b"\x30\x06\x02\x01\0\x02\x01\0", b"x" * 256])
def test_a_broken_set_is_refused(trust, signature):
    found = promise()
    found["SignedEntryTimestamp"] = b64(signature)
    refused(found, "does not verify", trust=trust)


def test_the_right_log_among_several():
    others = [rekor("another"), rekor("third")]
    keys = tuple(log.signer.key for log in [*others, LOG])
    verify(promise(), trust=LogByKeys(keys=keys))
    refused(promise(), "does not verify", trust=LogByKeys(keys=keys[:2]))
    root = parse_trusted_root(trusted_root_bytes(*[log.trusted() for log in [*others, LOG]]))
    verify(promise(), trust=LogByRoot(root=index_root(root)))
    refused(
        promise(log=others[0], logID=LOG.log_id.hexdigest()), "does not verify", trust=LogByRoot(root=index_root(root))
    )


@pytest.mark.parametrize(
    "trust", [LogByRoot(root=index_root(TrustRoot())), LogByKeys(keys=())], ids=["no log", "no key"]
)
def test_no_trusted_log_is_no_proof(trust):
    refused(promise(), "trusted", trust=trust)


@pytest.mark.parametrize("kind", ["ed25519", "rsa2048"])
@pytest.mark.parametrize("by_root", [True, False])
def test_a_log_key_that_is_not_ecdsa_signs_no_set(kind, by_root):
    """cosign and containers/image know no other: such a SET is no Rekor v1 SET."""
    log = rekor("other kind", kind)
    root = parse_trusted_root(trusted_root_bytes(log.trusted()))
    trust = LogByRoot(root=index_root(root)) if by_root else LogByKeys(keys=(log.signer.key,))
    refused(promise(log=log), "does not verify", trust=trust)
    beside = LogByKeys(keys=(log.signer.key, LOG.signer.key))
    verify(promise(), trust=beside)


@pytest.mark.parametrize("kind", ["p384", "p521"])
def test_a_log_on_another_curve_signs_with_sha256(kind):
    log = rekor("other curve", kind)
    verify(promise(log=log), trust=LogByKeys(keys=(log.signer.key,)))
    found = promise(log=log)
    found["SignedEntryTimestamp"] = b64(log.signer.sign(jcs_encode(found["Payload"]), hash_name="sha512"))
    refused(found, "does not verify", trust=LogByKeys(keys=(log.signer.key,)))


# ---- which log, and when ---------------------------------------------------------------------------------------------

START_S = 1_610_452_407  # 2021-01-12T11:53:27Z
END_S = 1_700_000_000  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize("at_s", [START_S, START_S + 1, END_S - 1, END_S])
def test_both_ends_of_a_logs_validity_count(at_s):
    root = parse_trusted_root(trusted_root_bytes(LOG.trusted(end="2023-11-14T22:13:20Z")))
    assert verify(promise(at_s=at_s), trust=LogByRoot(root=index_root(root))).integrated_time_s == at_s


@pytest.mark.parametrize("at_s", [0, START_S - 1, END_S + 1, 2**53 - 1])
def test_one_second_beyond_a_logs_validity_is_refused(at_s):
    """CVE-2026-54787: a key's window against the proven time."""
    root = parse_trusted_root(trusted_root_bytes(LOG.trusted(end="2023-11-14T22:13:20Z")))
    refused(promise(at_s=at_s), "not in use", trust=LogByRoot(root=index_root(root)))
    verify(promise(at_s=at_s), trust=KEYS)  # a bare key has no window


def test_a_log_without_an_end_is_still_in_use():
    verify(promise(at_s=2**53 - 1))
    refused(promise(at_s=START_S - 1), "not in use")


def test_one_log_with_two_windows():
    """A log whose entry is renewed: the window that holds the time decides, with its own key."""
    first = LOG.trusted(end="2022-01-01T00:00:00Z")
    second = LOG.trusted(start="2023-01-01T00:00:00Z")
    root = LogByRoot(root=index_root(parse_trusted_root(trusted_root_bytes(first, second))))
    verify(promise(at_s=START_S), trust=root)
    verify(promise(at_s=END_S), trust=root)
    refused(promise(at_s=1_656_633_600), "not in use", trust=root)  # 2022-07-01, between them


def test_a_key_is_not_used_outside_its_own_window():
    """Two keys under one id: each counts in its own window only."""
    old, new = rekor("old"), rekor("new")
    log_id = LOG.log_id.digest()
    root = TrustRoot(
        tlogs=(
            TransparencyLog(log_id=log_id, key=old.signer.key, valid_from_s=0, valid_until_s=100),
            TransparencyLog(log_id=log_id, key=new.signer.key, valid_from_s=101, valid_until_s=None),
        )
    )
    named = {"trust": LogByRoot(root=index_root(root))}
    log_hex = LOG.log_id.hexdigest()
    verify(promise(log=old, logID=log_hex, at_s=100), **named)
    verify(promise(log=new, logID=log_hex, at_s=101), **named)
    refused(promise(log=new, logID=log_hex, at_s=100), "does not verify", **named)
    refused(promise(log=old, logID=log_hex, at_s=101), "does not verify", **named)


@pytest.mark.parametrize("change", ["unknown", "upper", "cut", "long", "empty", "no hex", "spaced", "0x"])
def test_a_log_id_is_64_lower_case_hex_digits_of_a_trusted_log(change):
    log_id = LOG.log_id.hexdigest()
    text = {
        "unknown": "0" * 64,
        "upper": log_id.upper(),
        "cut": log_id[:-2],
        "long": log_id + "00",
        "empty": "",
        "no hex": "g" * 64,
        "spaced": " ".join(log_id[at : at + 2] for at in range(0, 64, 2))[:64],
        "0x": "0x" + log_id[2:],
    }[change]
    refused(promise(logID=text), "not in the trusted root")


def test_an_id_that_is_none_names_no_log():
    """A log with an empty id in the trusted root must not answer to every broken one."""
    root = TrustRoot(tlogs=(TransparencyLog(log_id=b"", key=LOG.signer.key, valid_from_s=0, valid_until_s=None),))
    for text in ("", "g" * 64, " " * 64):
        refused(promise(logID=text), "not in the trusted root", trust=LogByRoot(root=index_root(root)))


def test_policy_json_keys_ask_for_no_log_id():
    """containers/image tries each rekorPublicKey and never looks at logID: it stays under the SET."""
    verify(promise(logID="whatever"), trust=KEYS)
    refused(promise(logID="whatever"), "not in the trusted root")


# ---- the annotation's form -------------------------------------------------------------------------------------------


def at(value, path):
    for name in path:
        value = value[name]
    return value


ENTRY_OBJECTS = [(), ("Payload",)]
ENTRY_MEMBERS = [
    ("SignedEntryTimestamp",),
    ("Payload",),
    ("Payload", "body"),
    ("Payload", "integratedTime"),
    ("Payload", "logIndex"),
    ("Payload", "logID"),
]
BODY_OBJECTS = [
    (),
    ("spec",),
    ("spec", "data"),
    ("spec", "data", "hash"),
    ("spec", "signature"),
    ("spec", "signature", "publicKey"),
]
BODY_MEMBERS = [
    ("apiVersion",),
    ("kind",),
    ("spec",),
    ("spec", "data"),
    ("spec", "data", "hash"),
    ("spec", "data", "hash", "algorithm"),
    ("spec", "data", "hash", "value"),
    ("spec", "signature"),
    ("spec", "signature", "content"),
    ("spec", "signature", "publicKey"),
    ("spec", "signature", "publicKey", "content"),
]
VALUES = [None, True, False, -1, 1.0, 1.5, "", "!", [], {}, [{}]]


@pytest.mark.parametrize("path", ENTRY_MEMBERS, ids=".".join)
def test_each_member_of_the_annotation_is_needed(path):
    found = promise()
    verify(found)
    del at(found, path[:-1])[path[-1]]
    refused(found, "exactly the members")


@pytest.mark.parametrize("path", ENTRY_OBJECTS, ids=".".join)
def test_an_unknown_member_of_the_annotation_is_refused(path):
    for name in ("inclusionProof", "payload", "SIGNEDENTRYTIMESTAMP", ""):
        found = promise()
        at(found, path)[name] = 1
        refused(found, "exactly the members")


@pytest.mark.parametrize("path", ENTRY_MEMBERS, ids=".".join)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_member_of_another_type_in_the_annotation_is_refused(path, value):
    found = promise()
    at(found, path[:-1])[path[-1]] = value
    refused(found)


@pytest.mark.parametrize("path", ENTRY_MEMBERS, ids=".".join)
def test_a_duplicate_member_of_the_annotation_is_refused(path):
    text = json.dumps(promise())
    name = json.dumps(path[-1])
    for twin in (name, f'"\\u{ord(path[-1][0]):04x}{name[2:]}'):
        doubled = text.replace(f"{name}:", f"{twin}: null, {name}:", 1)
        assert json.loads(doubled) == json.loads(text)
        refused(doubled, "already has")
    verify(text)


@pytest.mark.parametrize("text", ["", " ", "null", "[]", "1", "{", '{"a":1}', "{}{}", "\ud800", "\0", "\ufeff{}"])
def test_what_is_no_document_is_refused(text):
    with pytest.raises(LogProofInvalidError):
        parse_log_entry(text)


def test_data_behind_the_annotation_is_refused():
    text = json.dumps(promise())
    verify(text)
    verify(f" \n{text}\t")  # white space between tokens is no part of the document
    for tail in ("{}", ",", "\0", "x", text):
        refused(text + tail, "more data|no JSON")


@pytest.mark.parametrize("member", ["integratedTime", "logIndex"])
def test_integers_have_a_range(member):
    for number in (0, 1, 2**53 - 1):
        verify(promise(**{member: number}), trust=KEYS)
    for number in ("-1", str(2**53), str(2**64), "9" * 40, "1.0", "1e3", "true", '"1"', "null", "01", "0x1", "+1"):
        text = json.dumps(promise(**{member: 7777})).replace("7777", number)
        refused(text, trust=KEYS)


@pytest.mark.parametrize("member", ["integratedTime", "logIndex"])
@pytest.mark.parametrize("number", [-1, 1.5, 1.0, True, False, None, "1", [1]])
def test_what_is_no_count_is_refused_even_where_the_log_signed_it(member, number):
    refused(promise(**{member: number}), f"Payload.{member} is no whole number", trust=KEYS)


@pytest.mark.parametrize("member", ["logID", "body"])
@pytest.mark.parametrize("value", [5, None, True, ["a"], {}])
def test_what_is_no_text_is_refused_even_where_the_log_signed_it(member, value):
    refused(promise(**{member: value}), f"Payload.{member} is no text", trust=KEYS)


@pytest.mark.parametrize("member", ["algorithm", "value"])
def test_a_hash_that_is_no_text_is_refused(member):
    document = body()
    document["spec"]["data"]["hash"][member] = ["sha256"]
    refused(LOG.promise(document), f"hash.{member} is no text")


def test_a_negative_zero_is_zero():
    """The canonical form that the log signed says 0 for it: the same entry."""
    text = json.dumps(promise(index=0)).replace('"logIndex": 0', '"logIndex": -0')
    assert "-0" in text
    assert verify(text).log_index == 0


def test_base64_of_the_annotation_is_canonical():
    text = json.dumps(promise())
    found = json.loads(text)
    honest = found["SignedEntryTimestamp"]
    for bad in (honest + "\n", " " + honest, honest.rstrip("=") + "====", "", "!" + honest[1:]):
        found["SignedEntryTimestamp"] = bad
        refused(found, "base64")
    while not honest.endswith("=="):  # signatures of 70 and 71 bytes come and go: one with stray bits is wanted
        honest = promise()["SignedEntryTimestamp"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = honest[:-3] + alphabet[alphabet.index(honest[-3]) ^ 1] + "=="
    found["SignedEntryTimestamp"] = stray
    refused(found, "stray bits")


def test_a_set_has_a_cap():
    found = promise()
    found["SignedEntryTimestamp"] = b64(bytes(limits.ECDSA_SIGNATURE_BYTES + 8))
    refused(found, "at most 256 bytes")


def test_an_annotation_has_a_cap():
    text = json.dumps(promise())
    assert verify(text.ljust(limits.LOG_ENTRY_BYTES))
    refused(text.ljust(limits.LOG_ENTRY_BYTES + 1), "at most")


def test_depth_of_the_annotation_has_a_cap():
    for depth in (limits.JSON_DEPTH, 100_000):
        with pytest.raises(LogProofInvalidError, match="too deep"):
            parse_log_entry('{"Payload":' + "[" * depth + "]" * depth + "}")


# ---- the body's form -------------------------------------------------------------------------------------------------


def body():
    return hashedrekord(PAYLOAD, SIGNATURE, ALICE.pem)


@pytest.mark.parametrize("path", BODY_MEMBERS, ids=".".join)
def test_each_member_of_the_body_is_needed(path):
    document = body()
    verify(LOG.promise(document))
    del at(document, path[:-1])[path[-1]]
    refused(LOG.promise(document), "exactly the members|of kind")


@pytest.mark.parametrize("path", BODY_OBJECTS, ids=".".join)
def test_an_unknown_member_of_the_body_is_refused(path):
    for name in ("url", "Hash", "KIND", "format", ""):
        document = body()
        at(document, path)[name] = 1
        refused(LOG.promise(document), "exactly the members")


@pytest.mark.parametrize("path", BODY_MEMBERS, ids=".".join)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_member_of_another_type_in_the_body_is_refused(path, value):
    document = body()
    at(document, path[:-1])[path[-1]] = value
    refused(LOG.promise(document))


@pytest.mark.parametrize("path", BODY_MEMBERS, ids=".".join)
def test_a_duplicate_member_of_the_body_is_refused(path):
    name = json.dumps(path[-1]).encode()
    text = jcs_encode(body())
    for before, after in ((b"null", None), (None, b"null")):
        twin = name + b":" + (before or after) + b","
        doubled = text.replace(name + b":", twin + name + b":", 1)
        assert doubled != text
        refused(LOG.promise(doubled), "already has")
    verify(LOG.promise(text))


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("hashedrekord", "0.0.2"),
        ("hashedrekord", "0.0.1 "),
        ("HashedRekord", "0.0.1"),
        ("rekord", "0.0.1"),
        ("intoto", "0.0.2"),
        ("dsse", "0.0.1"),
        ("", ""),
        (None, None),
        ([], {}),
    ],
)
def test_another_kind_of_entry_is_refused(kind, version):
    refused(LOG.promise(body() | {"kind": kind, "apiVersion": version}), "not hashedrekord")


@pytest.mark.parametrize("data", [b" ", b"null", b"{}", b"[]", b"{", b"\xff", b"\xef\xbb\xbf{}"])
def test_a_body_that_is_no_document_is_refused(data):
    refused(LOG.promise(data))


def test_data_behind_the_body_is_refused():
    text = jcs_encode(body())
    for tail in (b"{}", b",", b"\0", text):
        refused(LOG.promise(text + tail), "more data")
    verify(LOG.promise(text + b"\n"))  # white space: the log signed it as well


@pytest.mark.parametrize("member", ["content", "publicKey"])
def test_base64_of_the_body_is_canonical(member):
    for change in ("{}\n", " {}", "{}====", "-{}"):
        document = body()
        parent = document["spec"]["signature"] if member == "content" else document["spec"]["signature"]["publicKey"]
        parent["content"] = change.format(parent["content"])
        refused(LOG.promise(document), "base64")


def test_a_bodys_base64_is_canonical():
    found = promise()
    found["Payload"]["body"] += "\n"
    found["SignedEntryTimestamp"] = b64(LOG.signer.sign(jcs_encode(found["Payload"])))
    refused(found, "base64")


def test_a_set_signs_the_canonical_form():
    entry = parse_log_entry(json.dumps(promise(), indent=2))
    assert signed_entry_bytes(entry) == jcs_encode(promise()["Payload"])
    assert signed_entry_bytes(replace(entry, log_index=43)) != signed_entry_bytes(entry)


# ---- whatever the bytes ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text() | JSON.map(json.dumps))
def test_no_text_gives_anything_but_a_log_proof_error(text):
    with pytest.raises(LogProofInvalidError):
        parse_log_entry(text)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_gives_anything_but_a_log_proof_error(data):
    with pytest.raises(LogProofInvalidError):
        parse_hashedrekord(data)


@settings(deadline=None)
@given(st.sampled_from(ENTRY_MEMBERS), JSON)
def test_no_value_in_the_annotation_is_accepted_but_the_promised_one(path, value):
    found = copy.deepcopy(promise())
    if at(found, path) == value and type(at(found, path)) is type(value):
        return
    at(found, path[:-1])[path[-1]] = value
    refused(found)


@settings(deadline=None)
@given(st.sampled_from(BODY_MEMBERS), JSON)
def test_no_value_in_the_body_is_accepted_but_the_right_one(path, value):
    """Even where a trusted log signs it: logs take what they are given."""
    document = body()
    if at(document, path) == value:
        return
    at(document, path[:-1])[path[-1]] = value
    refused(LOG.promise(json.dumps(document).encode()))
