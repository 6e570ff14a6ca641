"""Private key files: what cosign and openssl wrote is read, what we write is what cosign reads, the rest is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.secret import SecretBox

from fakes.signing import signer
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import parse_pem_key
from plimsoll.signatures.private_keys import EncryptedKey, encrypt_private_key, parse_private_key
from plimsoll.signatures.signing import SigningKey, signing_key_from_seed
from plimsoll.signatures.verifying import verify_by_key

KEYS = Path(__file__).parents[2] / "vectors/cosign/keys"
SECRET = b"correct horse"
CHEAPEST = {"N": 32768, "r": 8, "p": 1}


def pem(kind, data):
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(data).decode()}-----END {kind}-----\n".encode()


def b64(data):
    return base64.b64encode(data).decode()


@cache
def a_key():
    return signing_key_from_seed(b"k" * 48)


@cache
def sealed(der=None, passphrase=SECRET, n=32768):
    """The JSON document of an encrypted key, made by nobody's code but this file's."""
    derived = hashlib.scrypt(passphrase, salt=b"s" * 32, n=n, r=8, p=1, maxmem=2**28, dklen=32)
    box = SecretBox(derived).encrypt(der or a_key().pkcs8, b"n" * 24).ciphertext
    return json.dumps(
        {
            "kdf": {"name": "scrypt", "params": {"N": n, "r": 8, "p": 1}, "salt": b64(b"s" * 32)},
            "cipher": {"name": "nacl/secretbox", "nonce": b64(b"n" * 24)},
            "ciphertext": b64(box),
        }
    )


def document():
    return json.loads(sealed())


def encrypted(text, kind="ENCRYPTED SIGSTORE PRIVATE KEY"):
    return pem(kind, text if isinstance(text, bytes) else text.encode())


def test_a_key_that_cosign_wrote_opens_with_its_empty_passphrase():
    locked = parse_private_key((KEYS / "k1.key").read_bytes())
    assert isinstance(locked, EncryptedKey)
    assert locked.unlock(b"").public_key == parse_pem_key((KEYS / "k1.pub").read_bytes())
    with pytest.raises(UnreadableKeyError, match="passphrase"):
        locked.unlock(b"x")


@pytest.mark.parametrize("kind", ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"])
def test_both_types_are_read(kind):
    assert parse_private_key(encrypted(sealed(), kind)).cost == (32768, 8, 1)


def test_an_encrypted_key_opens_with_its_passphrase_and_no_other():
    locked = parse_private_key(encrypted(sealed()))
    assert locked.unlock(SECRET).public_key == a_key().public_key
    for wrong in (b"", SECRET + b"\n", SECRET[:-1]):
        with pytest.raises(UnreadableKeyError, match="passphrase does not open it"):
            locked.unlock(wrong)


def test_what_is_written_is_read_back_and_has_the_costs_of_skopeo():
    written = encrypt_private_key(a_key(), passphrase=SECRET, salt=b"S" * 32, nonce=b"N" * 24)
    lines = written.decode().splitlines()
    assert (lines[0], lines[-1]) == (
        "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----",
        "-----END ENCRYPTED COSIGN PRIVATE KEY-----",
    )
    assert max(map(len, lines[1:-1])) <= 64
    found = json.loads(base64.b64decode("".join(lines[1:-1])))
    assert found["kdf"] == {"name": "scrypt", "params": {"N": 65536, "r": 8, "p": 1}, "salt": b64(b"S" * 32)}
    assert found["cipher"] == {"name": "nacl/secretbox", "nonce": b64(b"N" * 24)}
    assert parse_private_key(written).unlock(SECRET).public_key == a_key().public_key


@pytest.mark.parametrize(("salt", "nonce"), [(b"s" * 31, b"n" * 24), (b"s" * 32, b"n" * 25)])
def test_salt_and_nonce_have_their_length(salt, nonce):
    with pytest.raises(ValueError, match="32 bytes of salt and 24"):
        encrypt_private_key(a_key(), passphrase=b"", salt=salt, nonce=nonce)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_pkcs8_of_every_trusted_kind_is_read_and_signs(kind):
    private = signer(kind).private
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    key = parse_private_key(pem("PRIVATE KEY", der))
    assert key.public_key == signer(kind).key
    verify_by_key(key.public_key, signature=key.sign(b"x"), signed=b"x", hash_name="sha256")
    assert parse_private_key(pem("PRIVATE KEY", key.pkcs8)).public_key == key.public_key


def untrusted_kinds():
    yield ec.generate_private_key(ec.SECP256K1())
    yield ed448.Ed448PrivateKey.generate()
    yield dsa.generate_private_key(1024)
    yield signer("rsa1024").private


@pytest.mark.filterwarnings("ignore")  # cryptography warns of the keys that are refused here
def test_keys_that_no_verifier_trusts_are_refused():
    for private in untrusted_kinds():
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(UnreadableKeyError):
            parse_private_key(pem("PRIVATE KEY", der))


def other_pems():
    private = signer().private
    yield private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    yield private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    yield signer().pem
    yield a_key().public_pem + pem("PRIVATE KEY", a_key().pkcs8)
    yield pem("PRIVATE KEY", a_key().pkcs8) * 2
    yield pem("PRIVATE KEY", a_key().pkcs8)[:-40]
    yield pem("PRIVATE KEY", a_key().pkcs8[:-1])
    yield pem("PRIVATE KEY", a_key().pkcs8 + b"\0")
    yield b"Proc-Type: 4,ENCRYPTED\n" + pem("PRIVATE KEY", a_key().pkcs8)
    yield b""
    yield b"\0" * 100
    yield b"-----BEGIN PRIVATE KEY-----" + b" " * 2_000_000


@pytest.mark.parametrize("at", range(12))
def test_other_files_are_refused(at):
    data = list(other_pems())
    assert len(data) == 12
    with pytest.raises(UnreadableKeyError):
        parse_private_key(data[at])


def changed(path, value):
    found = document()
    *above, last = path
    at = found
    for name in above:
        at = at[name]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return json.dumps(found)


@pytest.mark.parametrize(
    "params",
    [
        {**CHEAPEST, "N": 16384},
        {**CHEAPEST, "N": 262144},
        {**CHEAPEST, "N": 2**40},
        {**CHEAPEST, "r": 1},
        {**CHEAPEST, "p": 2},
        {**CHEAPEST, "p": True},
        {**CHEAPEST, "N": 32768.0},
        {**CHEAPEST, "N": "32768"},
        {**CHEAPEST, "n": 1},
        {"N": 32768, "r": 8},
        [32768, 8, 1],
    ],
)
def test_other_scrypt_parameters_are_refused_before_anything_is_derived(params):
    with pytest.raises(UnreadableKeyError, match=r"kdf\.params"):
        parse_private_key(encrypted(changed(("kdf", "params"), params)))


@pytest.mark.parametrize("n", [32768, 65536, 131072])
def test_the_three_costs_of_cosign_are_taken(n):
    assert parse_private_key(encrypted(changed(("kdf", "params", "N"), n))).cost == (n, 8, 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kdf", "name"), "argon2"),
        (("cipher", "name"), "aes"),
        (("kdf", "salt"), b64(b"s" * 31)),
        (("kdf", "salt"), b64(b"s" * 32).rstrip("=")),
        (("kdf", "salt"), b64(b"s" * 32).replace("w=", "x=")[:-2] + "x="),
        (("cipher", "nonce"), b64(b"n" * 12)),
        (("cipher", "nonce"), 7),
        (("ciphertext",), b64(b"c" * 16)),
        (("ciphertext",), b64(b"c" * 70_000)),
        (("ciphertext",), "é"),
        (("ciphertext",), None),
        (("cipher",), None),
        (("more",), 1),
        (("kdf", "more"), 1),
        (("cipher",), []),
    ],
)
def test_other_documents_are_refused(path, value):
    with pytest.raises(UnreadableKeyError):
        parse_private_key(encrypted(changed(path, value)))


@pytest.mark.parametrize(
    "edit", [lambda t: t + " x", lambda t: t[:-1], lambda t: t[:-1] + ',"kdf":{}}', lambda t: "[]"]
)
def test_json_that_is_not_strict_is_refused(edit):
    with pytest.raises(UnreadableKeyError):
        parse_private_key(encrypted(edit(sealed())))


def test_what_is_sealed_must_be_a_key():
    locked = parse_private_key(encrypted(sealed(b"no key at all")))
    with pytest.raises(UnreadableKeyError, match="PKCS#8"):
        locked.unlock(SECRET)


def test_a_changed_ciphertext_opens_with_no_passphrase():
    data = bytearray(base64.b64decode(document()["ciphertext"]))
    data[-1] ^= 1
    locked = parse_private_key(encrypted(changed(("ciphertext",), b64(bytes(data)))))
    with pytest.raises(UnreadableKeyError):
        locked.unlock(SECRET)


def test_nothing_secret_is_shown():
    locked = parse_private_key(encrypted(sealed()))
    assert repr(locked) == "EncryptedKey(cost=(32768, 8, 1))"
    assert repr(a_key()) == f"SigningKey(public_key={a_key().public_key!r})"


def test_the_hash_does_not_follow_the_curve():
    key = SigningKey.of(signer("p384").private)
    verify_by_key(key.public_key, signature=key.sign(b"x"), signed=b"x", hash_name="sha256")


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: pem("PRIVATE KEY", data)))
def test_no_bytes_make_anything_but_a_key_or_a_refusal(data):
    with pytest.raises(UnreadableKeyError):
        parse_private_key(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PATHS = [(), ("kdf",), ("kdf", "name"), ("kdf", "params"), ("kdf", "params", "N"), ("kdf", "salt"), ("cipher",)]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(PATHS), JSON)
def test_any_value_in_any_place_is_refused_or_was_the_right_one(path, value):
    text = json.dumps(value) if not path else changed(path, [] if value is None else value)
    try:
        found = parse_private_key(encrypted(text))
    except UnreadableKeyError:
        return
    assert path
    assert found.cost in {(32768, 8, 1), (65536, 8, 1), (131072, 8, 1)}


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_file_cut_or_changed_anywhere_is_refused_or_stays_locked_and_whole(data):
    whole = encrypted(sealed())
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    bent = whole[:at] if cut else whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    try:
        found = parse_private_key(bent)
    except UnreadableKeyError:
        return
    assert isinstance(found, EncryptedKey)
    assert (len(found.salt), len(found.nonce)) == (32, 24)
