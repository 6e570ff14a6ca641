"""Keys and trusted roots: which are trusted, and that nothing but the documented errors comes of any bytes."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import b64, rekor, signer, trusted_root_bytes
from plimsoll import limits
from plimsoll.errors import TrustRootError, UnreadableKeyError
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.model.trusted_root import TRUSTED_ROOT_TYPES, TransparencyLog, TrustRoot, parse_trusted_root

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
KINDS = ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519"]
ALICE = signer()


def length(size):
    if size < 128:
        return bytes([size])
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 | count]) + size.to_bytes(count, "big")


def tlv(tag, *parts):
    content = b"".join(parts)
    return bytes([tag]) + length(len(content)) + content


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def spki(algorithm, key):
    return tlv(0x30, algorithm, tlv(3, b"\0" + key))


def pkcs1(n, e=65537):
    return tlv(0x30, integer(n), integer(e))


RSA_OID = tlv(6, bytes.fromhex("2a864886f70d010101"))
PSS_OID = tlv(6, bytes.fromhex("2a864886f70d01010a"))
EC_OID = tlv(6, bytes.fromhex("2a8648ce3d0201"))
P256_OID = tlv(6, bytes.fromhex("2a8648ce3d030107"))


def modulus(bits):
    """An odd number of that many bits: enough for a public key that is never used."""
    return (1 << bits) - 1


def pem(label, der):
    return b"-----BEGIN " + label + b"-----\n" + base64.encodebytes(der) + b"-----END " + label + b"-----\n"


def public_der(private):
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# ---- which keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_trusted_kinds(kind):
    by = signer(kind)
    key = parse_pem_key(by.pem)
    assert key == PublicKey(by.der)
    assert (key.spki, key.fingerprint) == (by.der, by.fingerprint)


@pytest.mark.parametrize("bits", [2048, 2049, 3072, 4096])
def test_rsa_sizes_that_are_trusted(bits):
    assert PublicKey(pkcs1(modulus(bits))).crypto.key_size == bits


@pytest.mark.parametrize("bits", [512, 1024, 2047, 4097, 8192, 16384, 1_000_000])
def test_rsa_sizes_that_are_not(bits):
    for der in (pkcs1(modulus(bits)), spki(tlv(0x30, RSA_OID, b"\5\0"), pkcs1(modulus(bits)))):
        with pytest.raises(UnreadableKeyError, match=f"an RSA key of {bits} bits: from 2048 to 4096"):
            PublicKey(der)


@pytest.mark.parametrize("exponent", [0, 1, 2, 4, 65536])
def test_an_rsa_exponent_that_signs_nothing_is_refused(exponent):
    """With an exponent of 1 every message is its own signature."""
    with pytest.raises(UnreadableKeyError):
        PublicKey(pkcs1(modulus(2048), exponent))
    assert PublicKey(pkcs1(modulus(2048), 3))


def dsa_spki():
    p, q = modulus(2048), modulus(256)
    return spki(
        tlv(0x30, tlv(6, bytes.fromhex("2a8648ce380401")), tlv(0x30, integer(p), integer(q), integer(2))), integer(5)
    )


def dh_spki(bits):
    group = tlv(0x30, integer(modulus(bits)), integer(2))
    return spki(tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010301")), group), integer(5))


UNTRUSTED = {
    "secp256k1": signer("secp256k1").der,
    "secp192r1": public_der(ec.generate_private_key(ec.SECP192R1())),
    "secp224r1": public_der(ec.generate_private_key(ec.SECP224R1())),
    "brainpoolP256r1": public_der(ec.generate_private_key(ec.BrainpoolP256R1())),
    "DSA": dsa_spki(),
    "X25519": public_der(x25519.X25519PrivateKey.generate()),
    "Ed448": public_der(ed448.Ed448PrivateKey.generate()),
    "RSA for PSS only": spki(tlv(0x30, PSS_OID), pkcs1(modulus(2048))),
    "DH": dh_spki(2048),
    "unknown": spki(tlv(0x30, tlv(6, b"\x2a\x03\x04")), b"x"),
}


@pytest.mark.parametrize("kind", UNTRUSTED)
def test_other_kinds_are_refused(kind):
    with pytest.raises(UnreadableKeyError, match="P-256, P-384, P-521, RSA and Ed25519 are"):
        PublicKey(UNTRUSTED[kind])
    with pytest.raises(UnreadableKeyError):
        parse_pem_key(pem(b"PUBLIC KEY", UNTRUSTED[kind]))


def test_the_fakes_of_other_kinds_are_what_they_are_called():
    assert dsa.DSAPublicNumbers(5, dsa.DSAParameterNumbers(modulus(2048), modulus(256), 2))
    assert rsa.RSAPublicNumbers(65537, modulus(2048)).public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ) == spki(tlv(0x30, RSA_OID, b"\5\0"), pkcs1(modulus(2048)))


@pytest.mark.parametrize("bits", [4253, 9689, 9941, 19937])
def test_a_diffie_hellman_key_takes_no_time(bits):
    """These are prime: OpenSSL proves it, in minutes, when such a key is loaded; log entries come from registries."""
    with pytest.raises(UnreadableKeyError):
        PublicKey(dh_spki(bits))


# ---- one key, one value ----------------------------------------------------------------------------------------------


def test_one_key_in_any_encoding_is_one_key():
    """CVE-2020-6174: a threshold counts key material, whatever form it comes in."""
    crypto = ALICE.private.public_key()
    point = crypto.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    compressed = crypto.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    hybrid = bytes([6 + (point[-1] & 1)]) + point[1:]
    curve = tlv(0x30, EC_OID, P256_OID)
    assert spki(curve, point) == ALICE.der
    for der in (spki(curve, compressed), spki(curve, hybrid)):
        assert PublicKey(der) == ALICE.key
        assert PublicKey(der).fingerprint == ALICE.fingerprint
    numbers = signer("rsa2048").private.public_key().public_numbers()
    for der in (
        pkcs1(numbers.n, numbers.e),
        spki(tlv(0x30, RSA_OID, b"\5\0"), pkcs1(numbers.n, numbers.e)),
        spki(tlv(0x30, RSA_OID), pkcs1(numbers.n, numbers.e)),
    ):
        assert PublicKey(der) == signer("rsa2048").key
    assert parse_pem_key(pem(b"RSA PUBLIC KEY", pkcs1(numbers.n, numbers.e))) == signer("rsa2048").key


def test_points_off_the_curve_are_refused():
    curve = tlv(0x30, EC_OID, P256_OID)
    for point in (b"\0", b"\4" + bytes(64), b"\4" + b"\xff" * 64, b"\2" + b"\xff" * 32, b"", b"\4" + bytes(63)):
        with pytest.raises(UnreadableKeyError):
            PublicKey(spki(curve, point))


def test_equality_is_of_the_key():
    assert ALICE.key == PublicKey(ALICE.der)
    assert hash(ALICE.key) == hash(PublicKey(ALICE.der))
    assert ALICE.key != signer("p256", "mallory").key
    assert ALICE.key != ALICE.der
    assert len({ALICE.key, PublicKey(ALICE.der), signer("ed25519").key}) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_pickles_and_copies(kind):
    key = signer(kind).key
    for back in (pickle.loads(pickle.dumps(key)), copy.copy(key), copy.deepcopy(key)):
        assert back == key
        assert (back.spki, back.fingerprint) == (key.spki, key.fingerprint)


def test_a_key_does_not_change():
    for name in ("spki", "crypto", "fingerprint", "other"):
        with pytest.raises(AttributeError):
            setattr(ALICE.key, name, b"")


def test_a_key_is_shown_by_its_fingerprint():
    assert repr(ALICE.key) == f"PublicKey({ALICE.fingerprint})"


# ---- PEM -------------------------------------------------------------------------------------------------------------

PEM = ALICE.pem
PRIVATE = {
    "PKCS#8": ALICE.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "SEC1": ALICE.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
}


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.rstrip(),
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"\n", b"\r"),
        b"\n\n  " + PEM + b"\n\n",
        b"# the release key\n" + PEM + b"bye\n",
        b"-----BEGIN PUBLIC KEY-----" + b64(ALICE.der).encode() + b"-----END PUBLIC KEY-----",
        PEM.replace(b"\n", b" \n\t"),
    ],
)
def test_pem_texts_of_one_key(text):
    assert parse_pem_key(text) == ALICE.key


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it is empty"),
        (b"junk", "no PEM block"),
        (ALICE.der, "no PEM block"),
        (b64(ALICE.der).encode(), "no PEM block"),
        (PEM + PEM, "2 PEM blocks"),
        (PEM + signer("p256", "mallory").pem, "2 PEM blocks"),
        (PEM + b"-----BEGIN public key-----\nAAAA\n-----END public key-----\n", "2 PEM blocks"),
        (b"-----BEGIN public key-----\nAAAA\n-----END public key-----\n" + PEM, "2 PEM blocks"),
        (PEM + b"-----BEGIN ", "2 PEM blocks"),
        (pem(b"CERTIFICATE", ALICE.der), "CERTIFICATE is no public key"),
        (PRIVATE["PKCS#8"], "PRIVATE KEY is no public key"),
        (PRIVATE["SEC1"], "EC PRIVATE KEY is no public key"),
        (pem(b"ENCRYPTED SIGSTORE PRIVATE KEY", ALICE.der), "no public key"),
        (pem(b"PGP PUBLIC KEY BLOCK", ALICE.der), "no public key"),
        (pem(b"public key", ALICE.der), "broken or cut"),
        (PEM.replace(b"-----END PUBLIC KEY-----", b""), "broken or cut"),
        (PEM.replace(b"END PUBLIC", b"END RSA PUBLIC"), "broken or cut"),
        (PEM.replace(b"-----\n", b"-----\nProc-Type: 4,ENCRYPTED\n\n", 1), "broken or cut"),
        (PEM.replace(b"M", b"-", 1), "broken or cut"),
        (PEM[:60] + b"=" + PEM[60:], "not base64"),
        (PEM[:60] + PEM[61:], "not base64"),
        (b"-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", "no key in these 0 bytes"),
        (pem(b"PUBLIC KEY", ALICE.der[:-1]), "no public key can be read"),
        (pem(b"PUBLIC KEY", ALICE.der + b"\0"), "no public key can be read"),
        (pem(b"PUBLIC KEY", ALICE.der + ALICE.der), "no public key can be read"),
        (pem(b"PUBLIC KEY", b"x" * 91), "no key in these 91 bytes"),
        (PEM.decode().encode("utf-16"), "no PEM block"),
    ],
)
def test_what_is_not_one_public_key(text, why):
    assert parse_pem_key(PEM)
    with pytest.raises(UnreadableKeyError, match=why):
        parse_pem_key(text)


def test_a_key_file_has_a_cap():
    assert parse_pem_key(PEM.ljust(limits.KEY_BYTES)) == ALICE.key
    with pytest.raises(UnreadableKeyError, match="at most"):
        parse_pem_key(PEM.ljust(limits.KEY_BYTES + 1))


@pytest.mark.parametrize("filler", [b" ", b"\n", b"A", b"=", b"-", b"A ", b"-----BEGIN A", b"-----END PUBLIC KEY----"])
def test_a_long_text_takes_no_time(filler):
    """Linear in its length: two repetitions over the same characters took a second for 1,400 of them."""
    size = limits.KEY_BYTES - 100
    with pytest.raises(UnreadableKeyError):
        parse_pem_key(b"-----BEGIN PUBLIC KEY-----" + (filler * size)[:size])


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_give_anything_but_an_unreadable_key(data):
    for read in (PublicKey, parse_pem_key, lambda d: parse_pem_key(pem(b"PUBLIC KEY", d))):
        with pytest.raises(UnreadableKeyError):
            read(data)


@settings(deadline=None)
@given(st.sampled_from(["p256", "p521", "rsa2048", "ed25519"]), st.integers(0, 600), st.binary(max_size=3))
def test_a_damaged_key_is_another_key_or_none(kind, at, patch):
    der = signer(kind).der
    damaged = der[:at] + patch + der[at + len(patch) :]
    try:
        key = PublicKey(damaged)
    except UnreadableKeyError:
        return
    assert (key == signer(kind).key) is (damaged == der) or kind == "p256"  # 02, 03, 06, 07: see one key, any encoding


# ---- trusted roots ---------------------------------------------------------------------------------------------------

TLOG = rekor().trusted()


def root(**changes):
    return {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [TLOG]} | changes


def parse(value):
    return parse_trusted_root(json.dumps(value).encode())


@pytest.mark.parametrize("media_type", sorted(TRUSTED_ROOT_TYPES))
def test_a_log_of_a_trusted_root(media_type):
    (log,) = parse(root(mediaType=media_type)).tlogs
    assert log == TransparencyLog(
        log_id=rekor().log_id.digest(),
        key=rekor().signer.key,
        valid_from_s=1_610_452_407.0,
        valid_until_s=None,
        base_url="https://rekor.example",
    )


def test_cosigns_own_kind_of_root_is_read():
    found = parse_trusted_root((VECTORS / "trust" / "trusted_root.json").read_bytes())
    assert found.tlogs
    assert all(found.logs(log.log_id) for log in found.tlogs)


def test_a_root_without_logs_trusts_none():
    for tlogs in ({}, {"tlogs": []}):
        value = {"mediaType": root()["mediaType"]} | tlogs
        assert parse(value) == TrustRoot()
    assert TrustRoot().logs(rekor().log_id.digest()) == ()


def test_logs_are_found_by_their_whole_id():
    found = parse(root(tlogs=[TLOG, rekor("another").trusted()]))
    assert [log.key for log in found.logs(rekor().log_id.digest())] == [rekor().signer.key]
    for log_id in (b"", rekor().log_id.digest()[:-1], rekor().log_id.digest() + b"\0", bytes(32)):
        assert found.logs(log_id) == ()


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("2021-01-12T11:53:27Z", None, [1_610_452_407, 2**53], [0, 1_610_452_406]),
        ("2021-01-12T11:53:27Z", "2021-01-12T11:53:27Z", [1_610_452_407], [1_610_452_406, 1_610_452_408]),
        ("2021-01-12T11:53:27.500Z", "2021-01-12T12:53:29+01:00", [1_610_452_408], [1_610_452_407, 1_610_452_410]),
        ("2021-01-12T11:53:28Z", "2021-01-12T11:53:27Z", [], [1_610_452_407, 1_610_452_408]),
    ],
)
def test_a_window_is_closed(start, end, inside, outside):
    (log,) = parse(root(tlogs=[rekor().trusted(start=start, end=end)])).tlogs
    assert [log.valid_at(time_s) for time_s in inside] == [True] * len(inside)
    assert [log.valid_at(time_s) for time_s in outside] == [False] * len(outside)


def with_log(change):
    log = copy.deepcopy(TLOG)
    change(log)
    return root(tlogs=[log])


def put(*path):
    *parents, name, value = path

    def change(log):
        for parent in parents:
            log = log[parent]
        log[name] = value

    return change


def drop(*path):
    *parents, name = path

    def change(log):
        for parent in parents:
            log = log[parent]
        del log[name]

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("publicKey"),
        drop("logId"),
        drop("logId", "keyId"),
        drop("publicKey", "rawBytes"),
        drop("publicKey", "validFor"),
        drop("publicKey", "validFor", "start"),
        put("publicKey", "validFor", {}),
        put("publicKey", "validFor", "start", None),
        put("publicKey", "validFor", "start", 0),
        put("publicKey", "validFor", "start", ""),
        put("publicKey", "validFor", "start", "yesterday"),
        put("publicKey", "validFor", "start", "2021-01-12"),
        put("publicKey", "validFor", "start", "2021-01-12T11:53:27"),
        put("publicKey", "validFor", "start", "2021-13-12T11:53:27Z"),
        put("publicKey", "validFor", "end", 5),
        put("publicKey", "validFor", "end", ""),
        put("publicKey", "validFor", "end", "never"),
        put("publicKey", "rawBytes", ""),
        put("publicKey", "rawBytes", "!"),
        put("publicKey", "rawBytes", b64(b"x")),
        put("publicKey", "rawBytes", b64(signer("secp256k1").der)),
        put("publicKey", "rawBytes", b64(signer().pem)),
        put("publicKey", "rawBytes", 1),
        put("logId", "keyId", "!"),
        put("logId", "keyId", "\u00e9"),
        put("logId", "keyId", None),
        put("logId", []),
    ],
)
def test_one_log_that_cannot_be_read_spoils_the_root(change):
    """A log without a start of validity is malformed, never valid for ever (sigstore conformance)."""
    assert with_log(lambda _: None) == root()
    with pytest.raises(TrustRootError):
        parse(with_log(change))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        1,
        {},
        {"tlogs": []},
        root(mediaType="application/json"),
        root(mediaType=None),
        root(mediaType="application/vnd.dev.sigstore.trustedroot+json;version=0.3"),
        root(tlogs=None),
        root(tlogs={}),
        root(tlogs=[None]),
        root(tlogs=[[]]),
        root(tlogs=[{}]),
    ],
)
def test_what_is_no_trusted_root(value):
    with pytest.raises(TrustRootError):
        parse(value)


@pytest.mark.parametrize("mediaType", [[], {}, 1, True])
def test_a_media_type_of_another_type(mediaType):
    with pytest.raises(TrustRootError):
        parse(root(mediaType=mediaType))


@pytest.mark.parametrize("data", [b"", b"{", b"{}{}", b"\xff", trusted_root_bytes(TLOG) + b"x"])
def test_bytes_that_are_no_document(data):
    with pytest.raises(TrustRootError):
        parse_trusted_root(data)


def test_a_root_with_a_duplicate_member_is_refused():
    data = trusted_root_bytes(TLOG)
    for name in (b'"tlogs":', b'"rawBytes":', b'"start":', b'"keyId":'):
        doubled = data.replace(name, name + b' "", ' + name, 1)
        assert parse_trusted_root(data)
        with pytest.raises(TrustRootError, match="already has"):
            parse_trusted_root(doubled)


def test_a_root_has_caps():
    assert parse_trusted_root(trusted_root_bytes(TLOG).ljust(limits.TRUSTED_ROOT_BYTES))
    with pytest.raises(TrustRootError, match="at most"):
        parse_trusted_root(trusted_root_bytes(TLOG).ljust(limits.TRUSTED_ROOT_BYTES + 1))
    assert len(parse(root(tlogs=[TLOG] * limits.TLOGS)).tlogs) == limits.TLOGS
    with pytest.raises(TrustRootError, match="at most"):
        parse(root(tlogs=[TLOG] * (limits.TLOGS + 1)))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_give_anything_but_a_trust_root_error(data):
    with pytest.raises(TrustRootError):
        parse_trusted_root(data)


LOG_MEMBERS = [
    ("baseUrl",),
    ("publicKey",),
    ("publicKey", "rawBytes"),
    ("publicKey", "validFor"),
    ("publicKey", "validFor", "start"),
    ("publicKey", "validFor", "end"),
    ("logId",),
    ("logId", "keyId"),
]
INSTANTS = st.datetimes().map(lambda t: t.isoformat() + "Z") | st.from_regex(
    r"[0-9]{4}-[0-9W-]{2,6}T[0-9:.+-]{2,14}Z?", fullmatch=True
)


@settings(deadline=None)
@given(st.sampled_from(LOG_MEMBERS), JSON | INSTANTS | st.binary(max_size=60).map(b64))
def test_any_value_in_a_log_is_read_or_refused(path, value):
    try:
        found = parse(with_log(put(*path, value)))
    except TrustRootError:
        return
    (log,) = found.tlogs
    assert log.key == rekor().signer.key or path == ("publicKey", "rawBytes")
    assert isinstance(log.valid_from_s, float)
