"""Keyrings, and which of their keys a message's signature counts for."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import openpgp as fakes
from plimsoll import limits
from plimsoll.errors import BadSignatureError, SignatureError, UnreadableKeyError, UntrustedKeyError
from plimsoll.signatures import openpgp
from plimsoll.signatures.openpgp import load_keyrings, verify_message
from plimsoll.signatures.packets import read_signed_message

VECTORS = Path(__file__).parents[2] / "vectors/simple"
NOW_S = datetime(2026, 6, 1, tzinfo=UTC).timestamp()


def key(name):
    return (VECTORS / "keys" / f"{name}.gpg").read_bytes()


def message(name):
    return (VECTORS / "messages" / f"{name}.sig").read_bytes()


def armored(data, kind="PUBLIC KEY BLOCK"):
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN PGP {kind}-----\n\n{text}-----END PGP {kind}-----\n".encode()


def fingerprints(*keyrings):
    return load_keyrings(keyrings).fingerprints


def verify(name, *keys, now_s=NOW_S):
    return verify_message(message(name), load_keyrings(tuple([key(each) for each in keys])), now_s=now_s)


GOOD, OTHER = fingerprints(key("good")), fingerprints(key("other"))


def test_a_fingerprint_is_upper_case_hex():
    (found,) = GOOD
    assert len(found) == 40
    assert found == found.upper()
    assert int(found, 16)


@pytest.mark.parametrize(
    "keyrings",
    [
        (key("good"), key("other")),
        (key("good") + key("other"),),
        (armored(key("good") + key("other")),),
        (armored(key("good")) + armored(key("other")),),
        (b"pub   rsa2048\n\n" + armored(key("good")) + b"\nand another:\n" + armored(key("other")) + b"end\n",),
        (armored(key("good")), key("other")),
        (key("good"), b"", key("other") + key("good")),
    ],
)
def test_keyrings_in_every_form(keyrings):
    ring = load_keyrings(keyrings)
    assert ring.fingerprints == GOOD | OTHER
    assert verify_message(message("compressed-zip"), ring, now_s=NOW_S).signer in GOOD
    assert verify_message(message("unknown-signer"), ring, now_s=NOW_S).signer in OTHER


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\n",
        b"\0",
        b"\xff" * 100,
        key("good")[:-1],
        key("good") + b"rubbish",
        key("good") + armored(key("other")),
        message("compressed-none"),
        message("detached"),
        armored(key("good"))[:-40],
        armored(b""),
        armored(message("compressed-none"), "MESSAGE"),
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
    ],
)
def test_what_is_no_keyring(data):
    with pytest.raises(UnreadableKeyError) as caught:
        load_keyrings((data,))
    assert "\n" not in str(caught.value)
    assert "/" not in str(caught.value)  # Sequoia's stack traces name the folders it was built in


def test_one_that_cannot_be_read_spoils_all_and_is_named():
    with pytest.raises(UnreadableKeyError, match="keyring 2 of 3"):
        load_keyrings((key("good"), b"hello", key("other")))


def test_no_key_trusts_nobody():
    for keyrings in ((), (b"",), (b"", b"")):
        ring = load_keyrings(keyrings)
        assert ring.fingerprints == frozenset()
        with pytest.raises(UntrustedKeyError, match="no public key"):
            verify_message(message("compressed-zip"), ring, now_s=NOW_S)


def test_a_keyring_past_the_cap():
    with pytest.raises(UnreadableKeyError, match="at most"):
        load_keyrings((b" " * (limits.KEY_BYTES + 1),))


def test_too_many_keys(monkeypatch):
    monkeypatch.setattr(limits, "OPENPGP_CERTIFICATES", 1)
    assert load_keyrings((key("good"), key("good"))).fingerprints == GOOD
    with pytest.raises(UnreadableKeyError, match="at most 1"):
        load_keyrings((key("good"), key("other")))


def without_revocation(name):
    """The key as it was before it was revoked: without the packet of that type."""
    from pysequoia.packet import PacketPile, SignatureType  # noqa: PLC0415

    gone = (SignatureType.KeyRevocation, SignatureType.SubkeyRevocation)
    packets = list(PacketPile.from_bytes(key(name)))
    kept = [packet for packet in packets if packet.signature_type not in gone]
    assert len(kept) == len(packets) - 1
    return b"".join(map(bytes, kept))


@pytest.mark.parametrize("name", ["revoked-key", "superseded-key", "revoked-subkey", "superseded-subkey"])
def test_a_revoked_key_is_refused_whatever_the_reason_and_whichever_copy_says_so(name):
    before = without_revocation(name)
    assert verify_message(message(name), load_keyrings((before,)), now_s=NOW_S).data
    for keyrings in ((key(name),), (before, key(name)), (key(name), before)):
        with pytest.raises(BadSignatureError, match="is revoked"):
            verify_message(message(name), load_keyrings(keyrings), now_s=NOW_S)


def test_a_key_that_expires_is_good_until_then():
    end_s = datetime(2025, 7, 1, tzinfo=UTC).timestamp()
    assert verify("expired-key", "expired-key", now_s=end_s - 1).data
    for now_s in (end_s, NOW_S):
        with pytest.raises(BadSignatureError, match="has expired"):
            verify("expired-key", "expired-key", now_s=now_s)


def test_a_subkey_that_expires_is_good_until_then():
    lab = VECTORS / "lab"
    ring = load_keyrings(((lab / "keys/subexp.gpg").read_bytes(),))
    signed = (lab / "signatures/gpg-subexp-1").read_bytes()
    end_s = datetime(2025, 2, 1, tzinfo=UTC).timestamp()
    assert verify_message(signed, ring, now_s=end_s - 1).signer in ring.fingerprints
    with pytest.raises(BadSignatureError, match="has expired"):
        verify_message(signed, ring, now_s=end_s)


def test_a_signature_by_a_subkey_counts_for_its_primary_key():
    assert verify("subkey", "subkey").signer in fingerprints(key("subkey"))


def test_what_is_returned_is_what_was_signed():
    for name in ("compressed-zip", "compressed-none", "long"):
        assert verify(name, "good").data == read_signed_message(message(name)).data


@pytest.mark.parametrize(
    ("name", "keys", "match"),
    [
        ("rsa1024", ["rsa1024"], "refused.*RSA1024"),
        ("sha1-certified", ["sha1-certified"], "refused.*SHA1"),
        ("sha1", ["good"], "broken hash"),
        ("expired-signature", ["good"], "expired, on 2025-07-01"),
        ("older-than-its-key", ["good"], "not valid then"),
    ],
)
def test_a_refusal_says_why(name, keys, match):
    with pytest.raises(BadSignatureError, match=match) as caught:
        verify(name, *keys)
    assert "\n" not in str(caught.value)
    assert "/" not in str(caught.value)


@pytest.mark.parametrize("weak", ["rsa1024", "sha1-certified", "revoked-key", "expired-key"])
def test_a_bad_key_does_not_spoil_a_good_one_beside_it(weak):
    assert verify("compressed-zip", weak, "good").signer in GOOD


def test_every_signed_byte_counts():
    plain = message("compressed-none")
    data = read_signed_message(plain).data
    ring = load_keyrings((key("good"),))
    for at in range(plain.index(data), plain.index(data) + len(data)):
        changed = plain[:at] + bytes([plain[at] ^ 1]) + plain[at + 1 :]
        with pytest.raises(BadSignatureError, match="does not verify"):
            verify_message(changed, ring, now_s=NOW_S)


def test_a_signature_that_names_another_trusted_key_does_not_verify():
    good, other = (read_signed_message(message(name)).signature for name in ("compressed-none", "unknown-signer"))
    ids = [bytes.fromhex(next(iter(found)).lower()) for found in (GOOD, OTHER)]
    assert ids[0] in good
    assert ids[1] in other
    swapped = message("compressed-none").replace(ids[0][-8:], ids[1][-8:]).replace(ids[0][:12], ids[1][:12])
    with pytest.raises(BadSignatureError, match="does not verify"):
        verify_message(swapped, load_keyrings((key("good"), key("other"))), now_s=NOW_S)


def test_a_good_key_that_is_only_named_does_not_stand_in_for_an_expired_one_that_signed():
    # The key id is not hashed, so anybody can have it name the primary key; Sequoia, by its own clock, accepts the subkey.
    primary, subkey = fakes.key("ed25519", "primary"), fakes.key("ed25519", "subkey")
    end_s = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    binding = fakes.subkey_binding(primary, subkey, lives_s=int(end_s) - subkey.created_s)
    ring = load_keyrings((fakes.certificate(primary, subkeys=[(subkey, [binding])]),))
    signed = fakes.signed_message(subkey, b"payload", at_s=int(NOW_S), unhashed=primary.issuer_id())
    assert verify_message(signed, ring, now_s=end_s - 1).signer in ring.fingerprints
    with pytest.raises(BadSignatureError, match="made by another key than it names"):
        verify_message(signed, load_keyrings((fakes.certificate(primary, subkeys=[(subkey, [binding])]),)), now_s=end_s)


def test_a_panic_in_sequoia_is_a_refusal(monkeypatch):
    import pysequoia  # noqa: PLC0415

    class PanicException(BaseException):
        """As pyo3's: no Exception, and its class cannot be imported."""

    def panic(*_arguments, **_named):
        raise PanicException

    ring = load_keyrings((key("good"),))
    monkeypatch.setattr(pysequoia, "verify", panic)
    with pytest.raises(BadSignatureError, match="gave up"):
        verify_message(message("compressed-zip"), ring, now_s=NOW_S)


def test_an_interrupt_is_no_refusal():
    with pytest.raises(KeyboardInterrupt), openpgp._sequoia(BadSignatureError, "x"):
        raise KeyboardInterrupt


def test_pysequoia_is_imported_when_the_first_key_is_read():
    code = (
        "import sys; from plimsoll.signatures import openpgp, simple; assert 'pysequoia' not in sys.modules;"
        "simple.GpgTrust((b'',)); assert 'pysequoia' not in sys.modules;"
        f"simple.GpgTrust((bytes.fromhex('{key('ed25519').hex()}'),)); assert 'pysequoia' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x99", b"\xc6\x33\x04", key("ed25519"), b"-----BEGIN PGP"]))
def test_any_bytes_are_a_keyring_or_unreadable(data, before):
    try:
        ring = load_keyrings((before + data,))
    except UnreadableKeyError:
        return
    assert ring.fingerprints == (fingerprints(before) if before else frozenset())


@settings(max_examples=200)
@given(st.data())
def test_a_changed_keyring_is_read_or_unreadable_and_its_key_is_never_another_s(data):
    blob = bytearray(key("subkey"))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        ring = load_keyrings((bytes(blob),))
        found = verify_message(message("subkey"), ring, now_s=NOW_S)
    except (UnreadableKeyError, SignatureError):
        return
    assert {found.signer} == fingerprints(key("subkey")) == ring.fingerprints


@settings(max_examples=300)
@given(st.sampled_from(["compressed-none", "compressed-zip", "ed25519", "p256", "subkey", "sha1"]), st.data())
def test_a_changed_message_proves_nothing_new(name, data):
    blob = bytearray(message(name))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    names = ("good", "ed25519", "p256", "subkey")
    try:
        found = verify_message(bytes(blob), load_keyrings(tuple(map(key, names))), now_s=NOW_S)
    except SignatureError:
        return
    assert found == verify(name, *names)


@given(st.binary(max_size=300))
def test_any_signature_packet_is_refused(body):
    one_pass = bytes([3, 0, 8, 1]) + b"signerid" + b"\1"
    signature = bytes([4, 0, 1, 8]) + body
    text = b"b\0\0\0\0\0text"
    blob = b"".join(bytes([tag, 0xFF]) + len(each).to_bytes(4) + each for tag, each in (
        (0xC4, one_pass), (0xCB, text), (0xC2, signature)
    ))  # fmt: skip
    with pytest.raises(SignatureError):
        verify_message(blob, load_keyrings((key("good"),)), now_s=NOW_S)
