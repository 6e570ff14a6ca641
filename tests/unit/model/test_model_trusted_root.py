from __future__ import annotations

import copy
import json
import os
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pki import authority
from fakes.signing import b64, rekor, signer
from plimsoll import limits
from plimsoll.errors import TrustRootError
from plimsoll.model.trusted_root import CertificateAuthority, TransparencyLog, TrustRoot, parse_trusted_root

MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SPAN = {"start": "2022-04-13T20:06:15Z", "end": "2031-10-05T13:56:58.5Z"}
FROM_S, UNTIL_S = 1_649_880_375.0, 1_948_975_018.5
CONFORMANCE = Path(
    os.environ.get("PLIMSOLL_CONFORMANCE") or Path(__file__).parents[4] / "shared" / "labs" / "sigstore-conformance"
)


@cache
def chain():
    root = authority("root")
    return (authority("intermediate", parent=root).der, root.der)


def an_authority():
    return {
        "subject": {"organization": "acme.example", "commonName": "acme"},
        "uri": "https://fulcio.acme.example",
        "certChain": {"certificates": [{"rawBytes": b64(der)} for der in chain()]},
        "validFor": dict(SPAN),
    }


def whole():
    log = rekor().trusted()
    return {
        "mediaType": MEDIA_TYPE,
        "tlogs": [log],
        "ctlogs": [copy.deepcopy(log) | {"baseUrl": "https://ct.acme.example/2022"}],
        "certificateAuthorities": [an_authority()],
        "timestampAuthorities": [an_authority() | {"uri": "https://tsa.acme.example"}],
    }


def parse(value):
    return parse_trusted_root(json.dumps(value).encode())


def log_with(kind="p256", raw=None, **members):
    log = rekor("kinds", kind).trusted() if kind != "secp256k1" else rekor().trusted()
    if raw is not None:
        log["publicKey"]["rawBytes"] = b64(raw)
    log["publicKey"] |= {name: value for name, value in members.items() if name == "keyDetails"}
    return log | {name: value for name, value in members.items() if name != "keyDetails"}


def tlogs(*logs):
    return parse({"mediaType": MEDIA_TYPE, "tlogs": list(logs)})


# ---- what is read ----------------------------------------------------------------------------------------------------


def test_every_part_is_read():
    found = parse(whole())
    log = TransparencyLog(
        log_id=rekor().log_id.digest(),
        key=rekor().signer.key,
        valid_from_s=1_610_452_407.0,
        valid_until_s=None,
        base_url="https://rekor.example",
    )
    assert found.tlogs == (log,)
    assert [(found.base_url, found.key) for found in found.ctlogs] == [("https://ct.acme.example/2022", log.key)]
    assert found.certificate_authorities == (
        CertificateAuthority(
            chain=chain(), valid_from_s=FROM_S, valid_until_s=UNTIL_S, uri="https://fulcio.acme.example"
        ),
    )
    assert [(a.uri, a.chain) for a in found.timestamp_authorities] == [("https://tsa.acme.example", chain())]
    assert found.unsupported == ()


@pytest.mark.parametrize("name", ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
def test_what_is_not_there_is_not_trusted(name):
    field = {"certificateAuthorities": "certificate_authorities", "timestampAuthorities": "timestamp_authorities"}
    for change in (lambda root: root.pop(name), lambda root: root.update({name: []})):
        value = whole()
        change(value)
        found = parse(value)
        assert getattr(found, field.get(name, name)) == ()
        assert found != parse(whole())
    assert parse({"mediaType": MEDIA_TYPE}) == TrustRoot()


def snake(value):
    if isinstance(value, dict):
        return {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in name): snake(item) for name, item in value.items()
        }
    return [snake(item) for item in value] if isinstance(value, list) else value


def test_the_schemas_own_spelling_means_the_same():
    assert "certificate_authorities" in snake(whole())
    assert parse(snake(whole())) == parse(whole())


def test_null_is_absent():
    value = whole()
    for log in (*value["tlogs"], *value["ctlogs"]):
        log |= {"operator": None, "checkpointKeyId": None}
        log["publicKey"]["validFor"]["end"] = None
    for found in value["certificateAuthorities"]:
        found |= {"operator": None, "subject": None}
    assert parse(value) == parse(whole())


def test_members_of_version_0_2():
    key_id = bytes(range(32))
    value = whole() | {"mediaType": "application/vnd.dev.sigstore.trustedroot.v0.2+json"}
    value["tlogs"][0] |= {"operator": "acme.example", "checkpointKeyId": {"keyId": b64(key_id)}}
    value["certificateAuthorities"][0]["operator"] = "acme.example"
    found = parse(value)
    (log,) = found.tlogs
    assert log.checkpoint_key_id == key_id
    assert found.logs(key_id) == found.logs(log.log_id) == (log,)
    assert found.logs(b"") == ()
    value["tlogs"][0]["checkpointKeyId"] = value["tlogs"][0]["logId"]
    assert parse(value).tlogs == parse(whole()).tlogs


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://log2025-1.rekor.example", "log2025-1.rekor.example"),
        ("https://Rekor.Example:8443/api/v1?x#y", "rekor.example"),
        ("http://localhost:5010", "localhost"),
        ("https://user@rekor.example/", "rekor.example"),
        ("https://[::1]:3000", "::1"),
        ("rekor.example", ""),
        ("https://", ""),
        ("https://[", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_log(base_url, host):
    (log,) = tlogs(log_with(baseUrl=base_url)).tlogs
    assert log.host == host


# ---- kinds of keys ---------------------------------------------------------------------------------------------------


def pkcs1(kind):
    return signer(kind).private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


@pytest.mark.parametrize(
    ("kind", "details", "hash_name", "padding"),
    [
        ("p256", "PKIX_ECDSA_P256_SHA_256", "sha256", "pkcs1v15"),
        ("p256", "PKIX_ECDSA_P256_HMAC_SHA_256", "sha256", "pkcs1v15"),
        ("p384", "PKIX_ECDSA_P384_SHA_384", "sha384", "pkcs1v15"),
        ("p384", "PKIX_ECDSA_P384_SHA_256", "sha256", "pkcs1v15"),
        ("p521", "PKIX_ECDSA_P521_SHA_512", "sha512", "pkcs1v15"),
        ("p521", "PKIX_ECDSA_P521_SHA_256", "sha256", "pkcs1v15"),
        ("ed25519", "PKIX_ED25519", "sha256", "pkcs1v15"),
        ("rsa2048", "PKIX_RSA_PKCS1V15_2048_SHA256", "sha256", "pkcs1v15"),
        ("rsa2048", "PKIX_RSA_PKCS1V5", "sha256", "pkcs1v15"),
        ("rsa2048", "PKIX_RSA_PSS_2048_SHA256", "sha256", "pss"),
        ("rsa2048", "PKIX_RSA_PSS", "sha256", "pss"),
        ("p256", None, "sha256", "pkcs1v15"),
        ("p384", None, "sha384", "pkcs1v15"),
        ("p521", "PUBLIC_KEY_DETAILS_UNSPECIFIED", "sha512", "pkcs1v15"),
        ("ed25519", None, "sha256", "pkcs1v15"),
    ],
)
def test_how_a_log_signs(kind, details, hash_name, padding):
    (log,) = tlogs(log_with(kind, keyDetails=details)).tlogs
    assert (log.key, log.hash_name, log.padding) == (rekor("kinds", kind).signer.key, hash_name, padding)


@pytest.mark.parametrize(("details", "padding"), [("PKCS1_RSA_PKCS1V5", "pkcs1v15"), ("PKCS1_RSA_PSS", "pss")])
def test_a_pkcs1_key(details, padding):
    (log,) = tlogs(log_with(raw=pkcs1("rsa2048"), keyDetails=details)).tlogs
    assert (log.key, log.padding) == (signer("rsa2048").key, padding)


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("p256", "PKIX_ECDSA_P384_SHA_384"),
        ("p384", "PKIX_ECDSA_P256_SHA_256"),
        ("p256", "PKIX_ED25519"),
        ("p256", "PKIX_RSA_PSS"),
        ("ed25519", "PKIX_ECDSA_P256_SHA_256"),
        ("rsa2048", "PKIX_RSA_PKCS1V15_4096_SHA256"),
        ("rsa2048", "PKIX_ED25519"),
        ("rsa2048", None),
        ("rsa2048", "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
        ("p256", ""),
        ("p256", "pkix_ecdsa_p256_sha_256"),
        ("p256", "X" * 81),
        ("p256", 5),
    ],
)
def test_details_of_another_key_spoil_the_root(kind, details):
    with pytest.raises(TrustRootError, match="keyDetails"):
        tlogs(log_with(kind, keyDetails=details))


@pytest.mark.parametrize("details", ["PKIX_ML_DSA_65", "LMS_SHA256", "PKIX_ED25519_PH", "NOT_YET_THOUGHT_OF"])
def test_a_log_by_an_unknown_algorithm_is_left_out_and_named(details):
    strange = log_with(raw=b"a key of another kind", keyDetails=details, baseUrl="https://pq.example")
    root = whole()
    root["tlogs"].insert(0, strange)
    root["ctlogs"].append(strange)
    found = parse(root)
    expected = parse(whole())
    assert (found.tlogs, found.ctlogs) == (expected.tlogs, expected.ctlogs)
    assert found.unsupported == (
        f"tlogs[0] https://pq.example: {details}",
        f"ctlogs[1] https://pq.example: {details}",
    )


def test_a_log_that_hashes_by_another_algorithm_is_left_out_and_named():
    found = tlogs(log_with(hashAlgorithm="SHA3_256"))
    assert (found.tlogs, found.unsupported) == ((), ("tlogs[0] https://rekor.example: SHA3_256",))
    assert tlogs(log_with(hashAlgorithm=None)).tlogs


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log["publicKey"].pop("validFor"),
        lambda log: log["publicKey"].update(rawBytes="!"),
        lambda log: log["logId"].update(keyId=""),
        lambda log: log.update(more=1),
        lambda log: log.update(baseUrl=1),
    ],
)
def test_a_malformed_log_by_an_unknown_algorithm_spoils_the_root(change):
    log = log_with(raw=b"x", keyDetails="PKIX_ML_DSA_65")
    assert tlogs(log).unsupported
    change(log)
    with pytest.raises(TrustRootError):
        tlogs(log)


# ---- what is refused -------------------------------------------------------------------------------------------------


def at(value, path):
    for step in path:
        value = value[step]
    return value


OBJECTS = [
    (),
    ("tlogs", 0),
    ("tlogs", 0, "publicKey"),
    ("tlogs", 0, "publicKey", "validFor"),
    ("tlogs", 0, "logId"),
    ("ctlogs", 0),
    ("certificateAuthorities", 0),
    ("certificateAuthorities", 0, "subject"),
    ("certificateAuthorities", 0, "certChain"),
    ("certificateAuthorities", 0, "certChain", "certificates", 1),
    ("certificateAuthorities", 0, "validFor"),
    ("timestampAuthorities", 0, "validFor"),
]


@pytest.mark.parametrize("path", OBJECTS, ids=str)
def test_a_member_that_is_not_known(path):
    value = whole()
    at(value, path)["somethingNew"] = {}
    with pytest.raises(TrustRootError, match="'somethingNew' is not known"):
        parse(value)


@pytest.mark.parametrize(
    ("path", "name"),
    [((), "certificateAuthorities"), (("tlogs", 0), "publicKey"), (("tlogs", 0, "publicKey"), "validFor")],
)
def test_a_member_in_two_spellings(path, name):
    value = whole()
    found = at(value, path)
    found["".join(f"_{c.lower()}" if c.isupper() else c for c in name)] = found[name]
    with pytest.raises(TrustRootError, match=f"{name} is there in two spellings"):
        parse(value)


@pytest.mark.parametrize("name", ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
@pytest.mark.parametrize("entries", [None, {}, 7, [None], [{}], [[]], "x"])
def test_a_list_that_is_none(name, entries):
    with pytest.raises(TrustRootError, match=name):
        parse(whole() | {name: entries})


@pytest.mark.parametrize("name", ["certificateAuthorities", "timestampAuthorities"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("validFor",), None),
        (("validFor",), {}),
        (("validFor",), {"end": SPAN["end"]}),
        (("validFor", "start"), "2022-04-13"),
        (("validFor", "start"), "20220413T200615Z"),
        (("validFor", "start"), "2022-04-13 20:06:15Z"),
        (("validFor", "start"), "2022-04-13T20:06:15"),
        (("validFor", "start"), "\u0662022-04-13T20:06:15Z"),
        (("validFor", "end"), 1_948_975_018),
        (("certChain",), None),
        (("certChain",), {}),
        (("certChain",), []),
        (("certChain", "certificates"), []),
        (("certChain", "certificates"), [None]),
        (("certChain", "certificates"), [{}]),
        (("certChain", "certificates"), [{"rawBytes": ""}]),
        (("certChain", "certificates"), [{"rawBytes": "-_=="}]),
        (("subject",), "acme"),
        (("subject",), {"organization": 1}),
        (("uri",), 1),
        (("operator",), []),
    ],
)
def test_one_authority_that_cannot_be_read_spoils_the_root(name, path, value):
    root = whole()
    assert parse(root)
    *parents, last = path
    at(root[name][0], parents)[last] = value
    with pytest.raises(TrustRootError):
        parse(root)


@pytest.mark.parametrize("name", ["ctlogs", "certificateAuthorities", "timestampAuthorities"])
def test_lists_have_caps(name):
    cap = limits.TLOGS if name == "ctlogs" else limits.AUTHORITIES
    entry = log_with() if name == "ctlogs" else an_authority()
    assert parse({"mediaType": MEDIA_TYPE, name: [entry] * cap})
    with pytest.raises(TrustRootError, match=f"{name} is no list of at most {cap}"):
        parse({"mediaType": MEDIA_TYPE, name: [entry] * (cap + 1)})


def test_a_chain_has_a_cap():
    value = whole()
    certificates = value["certificateAuthorities"][0]["certChain"]["certificates"]
    certificates *= limits.CHAIN_CERTIFICATES // 2
    assert parse(value)
    certificates.append(certificates[0])
    with pytest.raises(TrustRootError, match=r"certificateAuthorities\[0\]\.certChain\.certificates is no list"):
        parse(value)


@pytest.mark.parametrize(
    ("time_s", "inside"), [(FROM_S - 1, False), (FROM_S, True), (UNTIL_S, True), (UNTIL_S + 0.5, False)]
)
def test_an_authoritys_window_is_closed(time_s, inside):
    (found,) = parse(whole()).certificate_authorities
    assert found.valid_at(time_s) is inside


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
PLACES = [(*path, name) for path in OBJECTS for name in at(whole(), path)]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(PLACES), JSON | st.binary(max_size=40).map(b64))
def test_any_value_at_any_place_is_read_or_refused(path, value):
    root = whole()
    *parents, last = path
    at(root, parents)[last] = value
    try:
        found = parse(root)
    except TrustRootError:
        return
    assert all(isinstance(log.valid_from_s, float) for log in (*found.tlogs, *found.ctlogs))
    assert all(made.chain for made in (*found.certificate_authorities, *found.timestamp_authorities))


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the sigstore conformance assets are not there")
def test_the_conformance_roots_are_read():
    """All but the one whose fault is in the root itself."""
    bad = CONFORMANCE / "trust-root-tlog-missing-validity-start_fail" / "trusted_root.json"
    roots = sorted(CONFORMANCE.glob("*/trusted_root.json"))
    assert len(roots) > 10
    for path in roots:
        if path == bad:
            with pytest.raises(TrustRootError, match="start is missing"):
                parse_trusted_root(path.read_bytes())
        else:
            assert parse_trusted_root(path.read_bytes()).unsupported == ()
    assert bad in roots
