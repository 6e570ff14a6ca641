"""Whatever is accepted without Sequoia, Sequoia accepts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import openpgp as pgp
from plimsoll import limits
from plimsoll.errors import BadSignatureError, SignatureError
from plimsoll.signatures import openpgp as judging
from plimsoll.signatures.known_signers import read_plain, read_signer
from plimsoll.signatures.openpgp import load_keyrings, verify_message
from plimsoll.signatures.packets import read_signed_message

DAY_S = 86_400
MADE_S = 1_735_689_600
SIGNED_S = MADE_S + 100 * DAY_S
NOW_S = float(MADE_S + 600 * DAY_S)
DATA = b'{"critical": {}}'
HASH_OF = {"rsa2048": 8, "p256": 8, "p384": 9, "p521": 10}
FAST = sorted(HASH_OF)


def ring_of(*certificates):
    return load_keyrings(certificates)


def outcome(message, ring, *, now_s=NOW_S):
    """Who signed, as the whole path says it."""
    try:
        return verify_message(message, ring, now_s=now_s).signer
    except SignatureError:
        return None


def by_sequoia(message, ring, *, now_s=NOW_S):
    """Who signed, as Sequoia says it, whatever is remembered."""
    try:
        return judging._judged(read_signed_message(message), ring, now_s=now_s).primary.upper()
    except SignatureError:
        return None


def number_of(message):
    return read_plain(read_signed_message(message).signature_body).numbers[0]


def only_remembered(monkeypatch):
    def judged(*_arguments, **_named):
        raise BadSignatureError("asked Sequoia")

    monkeypatch.setattr(judging, "_judged", judged)


@pytest.mark.parametrize("kind", FAST)
def test_after_one_answer_sequoia_is_not_asked_again(kind, monkeypatch):
    key = pgp.key(kind)
    ring = ring_of(pgp.certificate(key))
    hash_id = HASH_OF[kind]
    first = pgp.signed_message(key, DATA, at_s=SIGNED_S, hash_id=hash_id)
    expected = outcome(first, ring)
    assert expected == key.fingerprint.hex().upper()
    only_remembered(monkeypatch)
    other = pgp.signed_message(key, b"other", at_s=SIGNED_S + DAY_S, hash_id=hash_id)
    assert verify_message(other, ring, now_s=NOW_S).data == b"other"
    tampered = other.replace(b"other", b"0ther")
    with pytest.raises(BadSignatureError, match="asked Sequoia"):
        verify_message(tampered, ring, now_s=NOW_S)


@pytest.mark.parametrize("name", ["good", "rsa2048", "rsa3072", "p256", "subkey"])
def test_what_gpg_writes_is_plain(name, monkeypatch):
    vectors = Path(__file__).parents[2] / "vectors/simple"
    message = (vectors / "messages" / f"{'compressed-zip' if name == 'good' else name}.sig").read_bytes()
    ring = ring_of((vectors / "keys" / f"{name}.gpg").read_bytes())
    assert outcome(message, ring) is not None
    only_remembered(monkeypatch)
    assert outcome(message, ring) is not None


def test_an_answer_is_good_for_a_minute_and_never_backwards(monkeypatch):
    key = pgp.key()
    ring = ring_of(pgp.certificate(key))
    message = pgp.signed_message(key, DATA, at_s=SIGNED_S)
    assert outcome(message, ring) is not None
    only_remembered(monkeypatch)
    assert outcome(message, ring, now_s=NOW_S + limits.OPENPGP_ANSWER_S - 1) is not None
    assert outcome(message, ring, now_s=NOW_S + limits.OPENPGP_ANSWER_S) is None
    assert outcome(message, ring, now_s=NOW_S - 1) is None


@pytest.mark.parametrize(
    "hashed",
    [
        lambda key: pgp.created(SIGNED_S),
        lambda key: key.issuer(),
        lambda key: pgp.created(SIGNED_S) * 2 + key.issuer(),
        lambda key: pgp.created(SIGNED_S) + key.issuer() * 2,
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(3, DAY_S.to_bytes(4)),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(20, b"\0" * 8, critical=True),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(20, b"\0\0\0\0\0\1\0\1n"),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(28, b"a", critical=True),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(35, b"\x04" + b"1" * 20),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(100, b"x"),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + pgp.subpacket(16, b"12345678"),
        lambda key: pgp.created(SIGNED_S) + pgp.subpacket(33, b"\x06" + b"1" * 32),
        lambda key: pgp.created(SIGNED_S) + key.issuer() + b"\0",
        lambda key: pgp.created(SIGNED_S) + key.issuer() + b"\x09",
    ],
)
def test_any_other_claim_is_sequoia_s_to_judge(hashed):
    key = pgp.key()
    signed = read_signed_message(pgp.signed_message(key, DATA, at_s=SIGNED_S, hashed=hashed(key)))
    assert read_plain(signed.signature_body) is None


def test_a_key_that_lapsed_for_a_while_is_not_known_for_that_time():
    """The first certification let it end on day 50, a later one of day 80 revived it; Sequoia refuses day 60."""
    key = pgp.key()
    first = pgp.user_id_binding(key, lives_s=50 * DAY_S)
    later = pgp.user_id_binding(key, at_s=MADE_S + 80 * DAY_S)
    ring = ring_of(pgp.certificate(key, first, later))
    by_day = {
        day: pgp.signed_message(key, DATA + bytes([day]), at_s=MADE_S + day * DAY_S) for day in (20, 30, 60, 90, 110)
    }
    found = {day: outcome(message, ring) is not None for day, message in by_day.items()}
    assert found == {20: True, 30: True, 60: False, 90: True, 110: True}
    again = {day: outcome(message, ring) is not None for day, message in by_day.items()}
    assert again == found


def test_certificates_with_a_revocation_are_sequoia_s():
    key = pgp.key()
    document = key.hashed_body + b"\xb4" + (1).to_bytes(4) + b"b"
    revoked_user = key.signature(0x30, document, hashed=pgp.created(SIGNED_S) + key.issuer())
    signatures = [pgp.user_id_binding(key)]
    fingerprint = key.fingerprint.hex()
    assert read_signer(fingerprint, keys=[key.body], signatures=signatures) is not None
    assert read_signer(fingerprint, keys=[key.body], signatures=[*signatures, revoked_user]) is None
    assert read_signer(fingerprint, keys=[key.body], signatures=[*signatures, b"\3" + signatures[0][1:]]) is None
    assert read_signer("0" * 40, keys=[key.body], signatures=signatures) is None
    assert read_signer(fingerprint, keys=[b"\6" + key.body[1:]], signatures=signatures) is None


def test_too_many_moments_are_sequoia_s(monkeypatch):
    key = pgp.key()
    bindings = [pgp.user_id_binding(key, lives_s=DAY_S * days) for days in (1, 2, 3)]
    assert read_signer(key.fingerprint.hex(), keys=[key.body], signatures=bindings) is not None
    monkeypatch.setattr(limits, "OPENPGP_MOMENTS", 2)
    assert read_signer(key.fingerprint.hex(), keys=[key.body], signatures=bindings) is None


def test_a_short_rsa_number_is_padded(monkeypatch):
    """One of 256 RSA signatures begins with a zero octet, which OpenPGP does not write."""
    key = pgp.key()
    ring = ring_of(pgp.certificate(key))
    assert outcome(pgp.signed_message(key, DATA, at_s=SIGNED_S), ring) is not None
    tried = (pgp.signed_message(key, b"%d" % at, at_s=SIGNED_S) for at in range(20_000))
    short = next(each for each in tried if number_of(each).bit_length() <= 2040)
    assert by_sequoia(short, ring) is not None
    only_remembered(monkeypatch)
    assert outcome(short, ring) is not None


LIVES = st.none() | st.sampled_from([30 * DAY_S, 60 * DAY_S, 150 * DAY_S, 590 * DAY_S])
TIMES = st.sampled_from([0, 10 * DAY_S, 59 * DAY_S, 60 * DAY_S, 90 * DAY_S, 120 * DAY_S, 300 * DAY_S])
NEAR = st.sampled_from([-1801, -1800, -1, 0, 1, 1799, 1800, 1801])


NOT_EXPORTABLE = pgp.subpacket(4, b"\0")


@st.composite
def certificates(draw):
    """A certificate of a primary key and perhaps a subkey, each bound several times over, and its keys."""
    primary = pgp.key(draw(st.sampled_from(["rsa2048", "p256"])))
    bindings = [
        pgp.user_id_binding(
            primary,
            at_s=MADE_S + draw(TIMES),
            lives_s=draw(LIVES),
            flags=draw(st.sampled_from([1, 3])),
            more=draw(st.sampled_from([b"", b"", b"", pgp.subpacket(3, (DAY_S * 40).to_bytes(4)), NOT_EXPORTABLE])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    keys, subkeys = [primary], []
    if draw(st.booleans()):
        subkey = pgp.key("p256", "subkey", created_s=MADE_S + draw(st.sampled_from([0, 20 * DAY_S])))
        bound = [
            pgp.subkey_binding(
                primary,
                subkey,
                at_s=subkey.created_s + draw(TIMES),
                lives_s=draw(LIVES),
                flags=draw(st.sampled_from([2, 2, 2, 12])),
                back_more=pgp.subpacket(3, (DAY_S * 50).to_bytes(4)) if draw(st.integers(0, 3)) == 0 else b"",
            )
            for _ in range(draw(st.integers(1, 2)))
        ]
        keys.append(subkey)
        subkeys.append((subkey, bound))
    return keys, pgp.certificate(primary, *bindings, subkeys=subkeys)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_answer_between_two_moments_is_sequoia_s_answer_to_each(data):
    keys, certificate = data.draw(certificates())
    ring = ring_of(certificate)
    for at in range(6):
        signer = data.draw(st.sampled_from(keys))
        at_s = MADE_S + data.draw(TIMES | st.sampled_from([30 * DAY_S, 50 * DAY_S, 80 * DAY_S, 150 * DAY_S]))
        at_s += data.draw(NEAR | st.integers(0, 10 * DAY_S))
        message = pgp.signed_message(signer, DATA + bytes([at]), at_s=at_s, hash_id=data.draw(st.sampled_from([8, 10])))
        assert outcome(message, ring) == by_sequoia(message, ring)


SUBPACKETS = st.tuples(
    st.sampled_from([2, 3, 4, 5, 9, 11, 16, 20, 24, 26, 27, 28, 32, 33, 35, 60, 100]),
    st.booleans(),
    st.binary(max_size=24)
    | st.sampled_from([SIGNED_S.to_bytes(4), DAY_S.to_bytes(4), bytes(4)])
    | st.builds(
        lambda flag, name, value, more: bytes([flag, 0, 0, 0, 0, len(name), 0, len(value)]) + name + value + more,
        st.sampled_from([0, 0, 0x80, 1]),
        st.sampled_from([b"salt@notations.example", b"a", b"", b"\xff"]) | st.binary(max_size=3),
        st.binary(max_size=4),
        st.sampled_from([b"", b"", b"x"]),
    ),
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(FAST),
    st.sampled_from([8, 9, 10, 11, 2]),
    st.lists(SUBPACKETS, max_size=2),
    st.lists(SUBPACKETS, max_size=2),
    st.booleans(),
)
def test_any_claims_in_a_signature_are_judged_as_sequoia_does(kind, hash_id, hashed, unhashed, has_issuer_id):
    key = pgp.key(kind)
    ring = warm(kind)
    areas = [
        b"".join(pgp.subpacket(number, data, critical=critical) for number, critical, data in area)
        for area in (hashed, unhashed)
    ]
    areas[0] = pgp.created(SIGNED_S) + key.issuer() + areas[0]
    areas[1] += key.issuer_id() if has_issuer_id else b""
    message = pgp.signed_message(key, DATA, at_s=SIGNED_S, hashed=areas[0], unhashed=areas[1], hash_id=hash_id)
    assert outcome(message, ring) == by_sequoia(message, ring)


@cache
def warm(kind):
    """A keyring whose key is known already, with every hash that it may sign with."""
    key = pgp.key(kind)
    ring = ring_of(pgp.certificate(key))
    for hash_id in (8, 9, 10):
        outcome(pgp.signed_message(key, b"first", at_s=SIGNED_S, hash_id=hash_id), ring)
    return ring


@cache
def one_message(kind):
    return pgp.signed_message(pgp.key(kind), DATA, at_s=SIGNED_S, hash_id=HASH_OF[kind])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FAST), st.data())
def test_a_changed_message_is_judged_as_sequoia_does(kind, data):
    ring = warm(kind)
    message = bytearray(one_message(kind))
    for _ in range(data.draw(st.integers(1, 2))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(message)
    try:
        read_signed_message(changed)
    except BadSignatureError:
        assert outcome(changed, ring) is None
        return
    assert outcome(changed, ring) == by_sequoia(changed, ring)


ORDERS = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "rsa2048": None,
}


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_other_forms_of_one_number_are_judged_as_sequoia_does(kind):
    key = pgp.key(kind)
    ring = warm(kind)
    body = key.signature(pgp.BINARY, DATA, hashed=pgp.created(SIGNED_S) + key.issuer())
    plain = read_plain(body)
    head = body[: len(plain.trailer) - 6 + 2 + len(key.issuer_id()) + 2]
    order = ORDERS[kind] or key.private.public_key().public_numbers().n
    for numbers in (
        [order - plain.numbers[-1]],
        [plain.numbers[-1] + order],
        [0],
        [order],
        [plain.numbers[-1], 0],
    ):
        changed = head + b"".join(pgp.number(each) for each in (*plain.numbers[:-1], *numbers))
        message = pgp.signed_message(key, DATA, at_s=SIGNED_S, signature=changed)
        assert outcome(message, ring) == by_sequoia(message, ring)
    padded = head + b"".join(
        (each.bit_length() + 8).to_bytes(2) + bytes(1) + each.to_bytes((each.bit_length() + 7) // 8)
        for each in plain.numbers
    )
    assert read_plain(padded) is None


@given(st.binary(max_size=200), st.sampled_from([b"", bytes([4, 0, 1, 8]), bytes([4, 0, 19, 10, 0, 6, 5, 2])]))
def test_any_bytes_are_plain_or_sequoia_s(data, before):
    plain = read_plain(before + data)
    assert plain is None or plain.trailer[:-6] in before + data


@given(st.lists(st.binary(max_size=80), max_size=3), st.lists(st.binary(max_size=80), max_size=3), st.booleans())
def test_any_certificate_is_known_or_sequoia_s(keys, signatures, real):
    key = pgp.key("p256")
    bodies = [key.body, *keys] if real else keys
    assert read_signer("0" * 40, keys=bodies, signatures=signatures) is None
    found = read_signer(key.fingerprint.hex(), keys=bodies, signatures=signatures)
    assert found is None or real
