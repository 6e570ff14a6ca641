from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.policy.document import parse_policy
from plimsoll.policy.identity import (
    DEFAULT_IDENTITY,
    ExactReference,
    ExactRepository,
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    RemapIdentity,
    parse_named,
)
from plimsoll.policy.requirements import (
    AcceptAnything,
    FulcioTrust,
    KeySource,
    KeyType,
    PkiTrust,
    Policy,
    Reject,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)

PEM = b"-----BEGIN PUBLIC KEY-----\n"
PEM64 = base64.b64encode(PEM).decode()
REJECT = {"type": "reject"}
EXACT = {"type": "exactReference", "dockerReference": "registry.example/acme/app:v1"}


def parse(document: object) -> Policy:
    return parse_policy(json.dumps(document).encode(), origin="p.json")


def default(requirement: object) -> dict[str, object]:
    return {"default": [requirement]}


def sigstore(**fields: object) -> dict[str, object]:
    return {"type": "sigstoreSigned", **fields}


def signed_by(**fields: object) -> dict[str, object]:
    return {"type": "signedBy", "keyType": "GPGKeys", **fields}


def fulcio(**fields: object) -> dict[str, object]:
    trust = {"caPath": "/ca", "oidcIssuer": "https://issuer.example", "subjectEmail": "a@b.example", **fields}
    return {name: value for name, value in trust.items() if value is not ...}


def test_a_policy_with_everything():
    document = {
        "default": [REJECT],
        "transports": {
            "docker": {"": [{"type": "insecureAcceptAnything"}], "registry.example/acme": [sigstore(keyPath="/k.pub")]},
            "dir": {"/images": [REJECT]},
            "nobody-knows": {"any scope": [REJECT]},
        },
    }
    data = json.dumps(document).encode()

    policy = parse_policy(data, origin="/etc/containers/policy.json")

    assert policy.origin == "/etc/containers/policy.json"
    assert policy.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert policy.default == (Reject(),)
    assert policy.default[0].where == "default[0]"
    assert set(policy.transports) == {"docker", "dir", "nobody-knows"}
    assert policy.transports["docker"][""] == (AcceptAnything(),)
    (keyed,) = policy.transports["docker"]["registry.example/acme"]
    assert isinstance(keyed, SigstoreSigned)
    assert keyed.keys == KeySource(paths=("/k.pub",))
    assert keyed.keys.where == 'transports.docker["registry.example/acme"][0].keyPath'
    assert keyed.identity is DEFAULT_IDENTITY
    assert (keyed.fulcio, keyed.pki, keyed.rekor_keys) == (None, None, None)


def test_transports_may_be_left_out():
    assert parse({"default": [REJECT]}).transports == {}


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"keyPath": "/k"}, KeySource(paths=("/k",))),
        ({"keyPaths": ["/k", "/l"]}, KeySource(paths=("/k", "/l"))),
        ({"keyPaths": []}, KeySource()),
        ({"keyData": PEM64}, KeySource(data=(PEM,))),
        ({"keyData": ""}, KeySource(data=(b"",))),
    ],
)
def test_signed_by(fields: dict[str, object], keys: KeySource):
    (found,) = parse(default(signed_by(**fields))).default

    assert found == SignedBy(key_type=KeyType.GPG_KEYS, keys=keys, identity=MatchRepoDigestOrExact())


@pytest.mark.parametrize("key_type", ["GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"])
def test_key_types_that_are_read(key_type: str):
    (found,) = parse(default(signed_by(keyType=key_type, keyPath="/k"))).default

    assert isinstance(found, SignedBy)
    assert found.key_type.value == key_type


@pytest.mark.parametrize("key_type", ["gpgkeys", "SignedByGPGKeys", "", None, 1, ["GPGKeys"]])
def test_key_types_that_are_refused(key_type: object):
    with pytest.raises(PolicyError, match="keyType"):
        parse(default(signed_by(keyType=key_type, keyPath="/k")))


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"keyPath": "/k"}, KeySource(paths=("/k",))),
        ({"keyPaths": ["/k", "/l"]}, KeySource(paths=("/k", "/l"))),
        ({"keyData": PEM64}, KeySource(data=(PEM,))),
        ({"keyDatas": [PEM64, ""]}, KeySource(data=(PEM, b""))),
        ({"keyData": PEM64[:8] + "\r\n" + PEM64[8:] + "\n"}, KeySource(data=(PEM,))),
    ],
)
def test_sigstore_keys(fields: dict[str, object], keys: KeySource):
    (found,) = parse(default(sigstore(**fields))).default

    assert isinstance(found, SigstoreSigned)
    assert found.keys == keys


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"rekorPublicKeyPath": "/r"}, KeySource(paths=("/r",))),
        ({"rekorPublicKeyPaths": ["/r", "/s"]}, KeySource(paths=("/r", "/s"))),
        ({"rekorPublicKeyData": PEM64}, KeySource(data=(PEM,))),
        ({"rekorPublicKeyDatas": [PEM64]}, KeySource(data=(PEM,))),
    ],
)
def test_log_keys(fields: dict[str, object], keys: KeySource):
    (found,) = parse(default(sigstore(keyPath="/k", **fields))).default

    assert isinstance(found, SigstoreSigned)
    assert found.rekor_keys == keys


def test_fulcio():
    (found,) = parse(default(sigstore(fulcio=fulcio(), rekorPublicKeyPath="/r"))).default

    assert isinstance(found, SigstoreSigned)
    assert found.keys is None
    assert found.fulcio == FulcioTrust(
        ca=KeySource(paths=("/ca",)), oidc_issuer="https://issuer.example", subject_email="a@b.example"
    )
    (inline,) = parse(default(sigstore(fulcio=fulcio(caPath=..., caData=PEM64), rekorPublicKeyData=PEM64))).default
    assert isinstance(inline, SigstoreSigned)
    assert inline.fulcio is not None
    assert inline.fulcio.ca.data == (PEM,)


def test_pki():
    pki = {"caRootsPath": "/ca", "caIntermediatesData": PEM64, "subjectEmail": "a@b.example", "subjectHostname": "h"}

    (found,) = parse(default(sigstore(pki=pki))).default

    assert isinstance(found, SigstoreSigned)
    assert found.pki == PkiTrust(
        roots=KeySource(paths=("/ca",)),
        intermediates=KeySource(data=(PEM,)),
        subject_email="a@b.example",
        subject_hostname="h",
    )
    (least,) = parse(default(sigstore(pki={"caRootsData": PEM64, "subjectHostname": "h"}))).default
    assert isinstance(least, SigstoreSigned)
    assert least.pki is not None
    assert (least.pki.intermediates, least.pki.subject_email) == (None, None)


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ({"type": "matchExact"}, MatchExact()),
        ({"type": "matchRepoDigestOrExact"}, MatchRepoDigestOrExact()),
        ({"type": "matchRepository"}, MatchRepository()),
        (EXACT, ExactReference(reference=parse_named("registry.example/acme/app:v1"))),
        (
            {"type": "exactReference", "dockerReference": "index.docker.io/app:v1"},
            ExactReference(reference=parse_named("docker.io/library/app:v1")),
        ),
        (
            {"type": "exactRepository", "dockerRepository": "registry.example/acme/app:v1"},
            ExactRepository(repository="registry.example/acme/app"),
        ),
        (
            {"type": "remapIdentity", "prefix": "mirror.example:5000", "signedPrefix": "registry.example/acme"},
            RemapIdentity(prefix="mirror.example:5000", signed_prefix="registry.example/acme"),
        ),
        (
            {"type": "remapIdentity", "prefix": "busybox", "signedPrefix": "HOST/a__b"},
            RemapIdentity(prefix="busybox", signed_prefix="HOST/a__b"),
        ),
    ],
)
def test_identities(written: dict[str, object], identity: object):
    (found,) = parse(default(sigstore(keyPath="/k", signedIdentity=written))).default
    (base,) = parse(default({"type": "signedBaseLayer", "baseLayerIdentity": written})).default

    assert isinstance(found, SigstoreSigned)
    assert found.identity == identity
    assert base == SignedBaseLayer(base_layer_identity=identity)  # type: ignore[arg-type]


REFUSED: list[tuple[str, object, str]] = [
    ("no default", {}, '"default" is missing'),
    ("default null", {"default": None}, "default: a list"),
    ("default object", {"default": {}}, "default: a list"),
    ("default empty", {"default": []}, "default: a list of requirements must not be empty"),
    ("default of null", {"default": [None]}, r"default\[0\]: an object"),
    ("unknown top key", {"default": [REJECT], "comment": "x"}, '"comment"'),
    ("key in other case", {"Default": [REJECT]}, '"default" is missing'),
    ("transports null", {"default": [REJECT], "transports": None}, "transports: an object"),
    ("transports list", {"default": [REJECT], "transports": []}, "transports: an object"),
    ("scopes null", {"default": [REJECT], "transports": {"docker": None}}, "transports.docker: an object"),
    ("scope empty", {"default": [REJECT], "transports": {"docker": {"": []}}}, r'docker\[""\]: a list of req'),
    ("scope null", {"default": [REJECT], "transports": {"docker": {"": None}}}, r'docker\[""\]: a list'),
    ("unknown transport, empty list", {"default": [REJECT], "transports": {"x": {"y": []}}}, "must not be empty"),
    ("no type", default({}), "unknown requirement type"),
    ("type null", default({"type": None}), r"default\[0\].type: a string"),
    ("type number", default({"type": 1}), r"default\[0\].type: a string"),
    ("type in other case", default({"type": "Reject"}), "unknown requirement type"),
    ("reject with more", default({"type": "reject", "reason": "x"}), '"reason"'),
    ("accept with more", default({"type": "insecureAcceptAnything", "x": 1}), '"x"'),
    ("signedBy without keys", default(signed_by()), "exactly one of"),
    ("signedBy two keys", default(signed_by(keyPath="/k", keyData=PEM64)), "exactly one of"),
    ("signedBy no keyType", default({"type": "signedBy", "keyPath": "/k"}), '"keyType" is missing'),
    ("signedBy keyDatas", default(signed_by(keyDatas=[PEM64])), '"keyDatas"'),
    ("signedBy rekor", default(signed_by(keyPath="/k", rekorPublicKeyPath="/r")), '"rekorPublicKeyPath"'),
    ("signedBy empty path", default(signed_by(keyPath="")), "keyPath: the string is empty"),
    ("sigstore without keys", default(sigstore()), "exactly one of"),
    ("sigstore keyType", default(sigstore(keyPath="/k", keyType="GPGKeys")), '"keyType"'),
    ("sigstore two keys", default(sigstore(keyPath="/k", keyPaths=["/l"])), "exactly one of"),
    ("sigstore empty keyPaths", default(sigstore(keyPaths=[])), "keyPaths: the list is empty"),
    ("sigstore empty keyDatas", default(sigstore(keyDatas=[])), "keyDatas: the list is empty"),
    ("sigstore null path", default(sigstore(keyPath=None)), "keyPath: a string"),
    ("sigstore null in paths", default(sigstore(keyPaths=["/k", None])), r"keyPaths\[1\]: a string"),
    ("sigstore path a number", default(sigstore(keyPath=1)), "keyPath: a string"),
    ("sigstore paths a string", default(sigstore(keyPaths="/k")), "keyPaths: a list"),
    ("sigstore not base64", default(sigstore(keyDatas=[PEM64, "***"])), r"keyDatas\[1\]: not standard base64"),
    ("sigstore url-safe base64", default(sigstore(keyData="_-8=")), "not standard base64"),
    ("sigstore unpadded base64", default(sigstore(keyData="YQ")), "not standard base64"),
    ("sigstore spaced base64", default(sigstore(keyData=" YQ==")), "not standard base64"),
    ("sigstore overpadded base64", default(sigstore(keyData="YWI9=")), "not standard base64"),
    ("sigstore overpadded quads", default(sigstore(keyData="YWIj====")), "not standard base64"),
    ("sigstore non-ASCII base64", default(sigstore(keyData="é===")), "not standard base64"),
    ("two log keys", default(sigstore(keyPath="/k", rekorPublicKeyPath="/r", rekorPublicKeyData=PEM64)), "at most one"),
    (
        "empty log keys",
        default(sigstore(keyPath="/k", rekorPublicKeyPaths=[])),
        "rekorPublicKeyPaths: the list is empty",
    ),
    ("empty log key datas", default(sigstore(keyPath="/k", rekorPublicKeyDatas=[])), "the list is empty"),
    ("empty log key path", default(sigstore(keyPath="/k", rekorPublicKeyPath="")), "rekorPublicKeyPath: the string is"),
    ("null log key path", default(sigstore(keyPath="/k", rekorPublicKeyPath=None)), "rekorPublicKeyPath: a string"),
    ("log key in other case", default(sigstore(keyPath="/k", rekorPublickeyPath="/r")), '"rekorPublickeyPath"'),
    ("fulcio without log key", default(sigstore(fulcio=fulcio())), "fulcio needs a log key"),
    ("fulcio and key", default(sigstore(fulcio=fulcio(), keyPath="/k", rekorPublicKeyPath="/r")), "exactly one of"),
    ("fulcio without CA", default(sigstore(fulcio=fulcio(caPath=...), rekorPublicKeyPath="/r")), "caPath, caData"),
    ("fulcio two CAs", default(sigstore(fulcio=fulcio(caData=PEM64), rekorPublicKeyPath="/r")), "caPath and caData"),
    ("fulcio no issuer", default(sigstore(fulcio=fulcio(oidcIssuer=...), rekorPublicKeyPath="/r")), '"oidcIssuer"'),
    (
        "fulcio empty issuer",
        default(sigstore(fulcio=fulcio(oidcIssuer=""), rekorPublicKeyPath="/r")),
        "oidcIssuer: the",
    ),
    ("fulcio no email", default(sigstore(fulcio=fulcio(subjectEmail=...), rekorPublicKeyPath="/r")), '"subjectEmail"'),
    ("fulcio unknown key", default(sigstore(fulcio=fulcio(x="y"), rekorPublicKeyPath="/r")), '"x"'),
    ("fulcio null", default(sigstore(fulcio=None, rekorPublicKeyPath="/r")), "fulcio: an object"),
    (
        "pki with log key",
        default(sigstore(pki={"caRootsPath": "/c", "subjectEmail": "a"}, rekorPublicKeyPath="/r")),
        "with pki",
    ),
    ("pki without roots", default(sigstore(pki={"subjectEmail": "a"})), "caRootsPath, caRootsData"),
    ("pki without subject", default(sigstore(pki={"caRootsPath": "/c"})), "at least one of subjectEmail"),
    ("pki empty subject", default(sigstore(pki={"caRootsPath": "/c", "subjectEmail": ""})), "subjectEmail: the string"),
    (
        "pki two intermediates",
        default(
            sigstore(
                pki={
                    "caRootsPath": "/c",
                    "subjectEmail": "a",
                    "caIntermediatesPath": "/i",
                    "caIntermediatesData": PEM64,
                }
            )
        ),
        "exactly one of caInt",
    ),
    ("base layer without identity", default({"type": "signedBaseLayer"}), '"baseLayerIdentity" is missing'),
    ("base layer identity null", default({"type": "signedBaseLayer", "baseLayerIdentity": None}), "an object"),
    ("identity null", default(sigstore(keyPath="/k", signedIdentity=None)), "signedIdentity: an object"),
    (
        "identity unknown",
        default(sigstore(keyPath="/k", signedIdentity={"type": "matchexact"})),
        "unknown identity type",
    ),
    ("identity without type", default(sigstore(keyPath="/k", signedIdentity={})), "unknown identity type"),
    ("identity with more", default(sigstore(keyPath="/k", signedIdentity={"type": "matchExact", "x": 1})), '"x"'),
    (
        "reference missing",
        default(sigstore(keyPath="/k", signedIdentity={"type": "exactReference"})),
        '"dockerReference" is',
    ),
    (
        "reference without tag",
        default(sigstore(keyPath="/k", signedIdentity={**EXACT, "dockerReference": "r.example/a"})),
        "needs a tag",
    ),
    (
        "reference upper case",
        default(sigstore(keyPath="/k", signedIdentity={**EXACT, "dockerReference": "r.example/A:v1"})),
        "lower case",
    ),
    (
        "reference too long",
        default(sigstore(keyPath="/k", signedIdentity={**EXACT, "dockerReference": "a" * 5000 + ":v1"})),
        "characters",
    ),
    (
        "repository no name",
        default(sigstore(keyPath="/k", signedIdentity={"type": "exactRepository", "dockerRepository": "A B"})),
        "dockerRepository",
    ),
    *[
        (
            f"prefix {prefix!r}",
            default(
                sigstore(
                    keyPath="/k",
                    signedIdentity={"type": "remapIdentity", "prefix": prefix, "signedPrefix": "h.example"},
                )
            ),
            "is no prefix",
        )
        for prefix in ("", "a_b", "a_b/c", "host:x", "a/b:v1", "host/A", "host/", "/a", f"a/b@sha256:{'a' * 64}")
    ],
    (
        "signedPrefix",
        default(
            sigstore(keyPath="/k", signedIdentity={"type": "remapIdentity", "prefix": "h.example", "signedPrefix": ""})
        ),
        "signedPrefix",
    ),
    ("not an object", [], "the document: an object"),
    ("null", None, "the document: an object"),
]


@pytest.mark.parametrize(("document", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(document: object, message: str):
    with pytest.raises(PolicyError, match=message) as caught:
        parse(document)
    assert str(caught.value).startswith('invalid policy in "p.json": ')


GOOD = b'{"default":[{"type":"reject"}]}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        GOOD + b"{}",
        GOOD + b"x",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"]", b",]"),
        GOOD.replace(b"{", b"{ // no comments\n", 1),
        GOOD.replace(b"reject", b"rej\xffect"),
        b'{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}',
        b'{"default":[{"type":"reject"}],"\\u0064efault":[{"type":"insecureAcceptAnything"}]}',
        b'{"default":[{"type":"reject","type":"reject"}]}',
        b'{"default":[{"type":"reject"}],"transports":{"docker":{"":[{"type":"reject"}],"":[{"type":"reject"}]}}}',
        b'{"default":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"default":[{"type":NaN}]}',
    ],
)
def test_what_is_not_one_strict_json_document_is_refused(data: bytes):
    with pytest.raises(PolicyError, match=r'invalid policy in "p\.json"'):
        parse_policy(data, origin="p.json")


def test_whitespace_around_the_document_is_fine():
    assert parse_policy(b" \n" + GOOD + b"\r\n\t", origin="p.json").default == (Reject(),)


def test_a_syntax_error_is_located():
    with pytest.raises(PolicyError, match=r"line 2, column 13: "):
        parse_policy(b'{\n "default": ?\n}', origin="p.json")


def test_a_policy_beyond_the_cap_is_refused():
    with pytest.raises(PolicyError, match="at most"):
        parse_policy(GOOD + b" " * limits.POLICY_BYTES, origin="p.json")


def test_more_keys_than_the_cap_are_refused():
    with pytest.raises(PolicyError, match=f"at most {limits.POLICY_KEYS}"):
        parse(default(sigstore(keyPaths=["/k"] * (limits.POLICY_KEYS + 1))))


def test_a_hostile_key_is_shown_escaped_and_cut():
    with pytest.raises(PolicyError) as caught:
        parse({"default": [REJECT], "\x1b[2J\u202e" + "x" * 9999: 1})
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def test_a_message_about_a_long_scope_is_cut():
    with pytest.raises(PolicyError) as caught:
        parse({"default": [REJECT], "transports": {"docker": {"x" * 99_999: []}}})
    assert len(str(caught.value)) < 5000


# --- whatever is written, the answer is a Policy or a PolicyError ---------------------------------------------------

WORDS = st.sampled_from(
    [
        "type",
        "default",
        "transports",
        "docker",
        "dir",
        "/a",
        "keyPath",
        "keyPaths",
        "keyData",
        "keyDatas",
        "fulcio",
        "pki",
        "signedIdentity",
        "prefix",
        "keyType",
        "rekorPublicKeyPath",
        "rekorPublicKeyDatas",
        "signedPrefix",
        "reject",
        "insecureAcceptAnything",
        "signedBy",
        "sigstoreSigned",
        "GPGKeys",
        "signedBaseLayer",
        "matchExact",
        "exactReference",
        "dockerReference",
        "remapIdentity",
        "caPath",
        "oidcIssuer",
        "subjectEmail",
        "a/b:v1",
        "YQ==",
        "",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=30,
)


@given(JSON | JSON.map(lambda value: {"default": [value]}) | JSON.map(lambda v: {"default": [REJECT], "transports": v}))
def test_any_json_is_a_policy_or_refused(document: object):
    try:
        found = parse(document)
    except PolicyError:
        return
    assert found.default


@given(
    st.binary(max_size=200)
    | st.text(max_size=80).map(lambda text: GOOD.decode().replace("reject", text).encode("utf-8", "replace"))
)
def test_any_bytes_are_a_policy_or_refused(data: bytes):
    try:
        parse_policy(data, origin="p.json")
    except PolicyError:
        return
    json.loads(data)


# --- each key falsified ------------------------------------------------------------------------------------------

FULL: list[dict[str, Any]] = [
    default({"type": "insecureAcceptAnything"}),
    default(signed_by(keyPath="/k", signedIdentity={"type": "matchExact"})),
    default(signed_by(keyPaths=["/k", "/l"])),
    default(signed_by(keyData=PEM64)),
    default(sigstore(keyDatas=[PEM64], rekorPublicKeyDatas=[PEM64], signedIdentity=EXACT)),
    default(sigstore(keyPath="/k", rekorPublicKeyPaths=["/r"])),
    default(sigstore(fulcio=fulcio(), rekorPublicKeyData=PEM64)),
    default(sigstore(fulcio=fulcio(caPath=..., caData=PEM64), rekorPublicKeyPath="/r")),
    default(
        sigstore(pki={"caRootsPath": "/c", "caIntermediatesPath": "/i", "subjectEmail": "a", "subjectHostname": "h"})
    ),
    default(sigstore(keyPath="/k", signedIdentity={"type": "remapIdentity", "prefix": "a.b", "signedPrefix": "c.d"})),
    default({"type": "signedBaseLayer", "baseLayerIdentity": {"type": "exactRepository", "dockerRepository": "a/b"}}),
    {"default": [REJECT], "transports": {"docker": {"a.example/b": [REJECT]}, "dir": {"/x": [REJECT]}}},
]
FREE_KEYS = ("docker", "dir", "a.example/b")  # names that a policy's author chooses


def _places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *[place for key, child in children for place in _places(child, (*path, key))]]


def _changed(document: Any, path: tuple[Any, ...], change: Any) -> Any:
    copy = json.loads(json.dumps(document))
    at = copy
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return copy


CASES = [(document, path) for document in FULL for path in _places(document) if path]


@pytest.mark.parametrize("document", FULL)
def test_the_documents_that_are_falsified_are_good(document: dict[str, Any]):
    assert parse(document)


@pytest.mark.parametrize(("document", "path"), CASES)
@pytest.mark.parametrize("value", [None, 7, True, 1.5])
def test_a_value_of_another_type_is_refused(document: dict[str, Any], path: tuple[object, ...], value: object):
    def change(at: Any, key: Any) -> None:
        at[key] = value

    with pytest.raises(PolicyError):
        parse(_changed(document, path, change))


@pytest.mark.parametrize(
    ("document", "path"),
    [case for case in CASES if isinstance(case[1][-1], str) and case[1][-1] not in FREE_KEYS and case[1][-1] != "/x"],
)
def test_a_key_in_another_case_is_refused(document: dict[str, Any], path: tuple[object, ...]):
    def change(at: Any, key: str) -> None:
        at[key.swapcase()] = at.pop(key)

    with pytest.raises(PolicyError):
        parse(_changed(document, path, change))


@pytest.mark.parametrize(("document", "path"), [case for case in CASES if isinstance(case[1][-1], str)])
def test_a_key_beside_that_nobody_knows_is_refused(document: dict[str, Any], path: tuple[object, ...]):
    def change(at: Any, key: str) -> None:
        at["Unknown"] = [{"type": "nothing"}]

    with pytest.raises(PolicyError):
        parse(_changed(document, path, change))
