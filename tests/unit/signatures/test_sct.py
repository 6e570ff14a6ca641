"""Signed certificate timestamps: each part falsified alone; each name says what it guards."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.ctlog import (
    LOGGED_AT_MS,
    PRECERTIFICATE_SIGNING,
    CtLog,
    embedded,
    logged,
    opaque,
    trusting_logs,
)
from fakes.pki import authority, extended, issuers, leaf, unknown
from fakes.signing import LOGGED_AT_S, signer
from fakes.timestamping import octets
from plimsoll import limits
from plimsoll.errors import SctInvalidError, UnreadableKeyError
from plimsoll.signatures.certificate_paths import find_path
from plimsoll.signatures.sct import UntrustedSct, parse_scts, read_scts, verify_sct
from plimsoll.signatures.x509 import CODE_SIGNING

ROOT = authority("fulcio root")
BETWEEN = authority("fulcio between", parent=ROOT)
LOG = CtLog()
OTHER = CtLog(signer("p256", "other log"))
TRUST = trusting_logs(LOG.record())


def by(log=LOG, **changes):
    """What ``logged`` asks: one timestamp by ``log``, falsified by ``changes``."""
    return lambda body, issuer: [log.sct(body, issuer=issuer, **changes)]


def path_of(issued, between=BETWEEN, root=ROOT):
    return find_path(
        issued.value, roots=(root.value,), intermediates=(between.value,), at_s=LOGGED_AT_S, usages=(CODE_SIGNING,)
    )


def refused(issued, trust=TRUST, *, match, path=None):
    with pytest.raises(SctInvalidError, match=match):
        verify_sct(path or path_of(issued), trust=trust)


GOOD = logged(BETWEEN, by())


def test_a_logged_certificate():
    verify_sct(path_of(GOOD), trust=TRUST)


def test_what_is_read():
    (found,) = read_scts(logged(BETWEEN, by(extensions=b"more")).value)
    assert (found.log_id, found.time_ms, found.extensions, found.algorithm) == (
        LOG.log_id,
        LOGGED_AT_MS,
        b"more",
        b"\4\3",
    )
    assert isinstance(found, UntrustedSct)


@pytest.mark.parametrize("kind", ["p384", "rsa2048"])
def test_keys_of_logs(kind):
    log = CtLog(signer(kind, "ct log"))
    verify_sct(path_of(logged(BETWEEN, by(log))), trust=trusting_logs(log.record()))


@pytest.mark.parametrize("extensions", [b"", b"\0\0\5\0\0\0\0\x70", b"x" * 300])
def test_extensions_of_a_timestamp_are_signed(extensions):
    verify_sct(path_of(logged(BETWEEN, by(extensions=extensions))), trust=TRUST)
    refused(
        logged(BETWEEN, by(extensions=extensions, said_extensions=extensions + b"x")), match="no trusted CT log signed"
    )


def test_extensions_around_the_timestamps():
    """The rest of the body stays as it is, whatever stands before and behind the list, and however long it is."""
    around = (
        (*issuers(),),
        ((unknown("1.2.3.4", b"\5\0"), False), (unknown("1.2.3.5", b"\4\x81\xc8" + b"x" * 200), False)),
    )
    for before, after in (around, around[::-1]):
        verify_sct(path_of(logged(BETWEEN, by(), before=before, after=after)), trust=TRUST)


def test_the_body_is_that_of_the_certificate_without_its_timestamps():
    serial = x509.random_serial_number()
    plain = leaf(BETWEEN, more=issuers(), serial=serial)
    found = leaf(BETWEEN, more=(embedded(LOG.sct(b"", issuer=BETWEEN)), *issuers()), serial=serial)
    assert found.certificate.tbs_precertificate_bytes == plain.certificate.tbs_certificate_bytes


# --- who was logged ---


def test_a_certificate_without_timestamps():
    refused(leaf(BETWEEN), match="no timestamp by a CT log")


def test_an_empty_list():
    refused(leaf(BETWEEN, more=(embedded(),)), match="no timestamp by a CT log")


def test_timestamps_of_another_certificate():
    stolen = tuple(each for each in GOOD.certificate.extensions if each.oid.dotted_string == "1.3.6.1.4.1.11129.2.4.2")
    more = ((x509.UnrecognizedExtension(stolen[0].oid, stolen[0].value.public_bytes()), False),)
    refused(leaf(BETWEEN, more=more), match="no trusted CT log signed")
    verify_sct(path_of(leaf(BETWEEN, more=more, serial=GOOD.certificate.serial_number)), trust=TRUST)


def test_timestamps_under_another_issuer():
    refused(logged(BETWEEN, by(), issuer=ROOT), match="no trusted CT log signed")


def test_the_issuer_is_the_next_of_the_path():
    refused(GOOD, path=(GOOD.value, ROOT.value), match="no trusted CT log signed")
    refused(GOOD, path=(GOOD.value,), match="nobody else issued")


def test_an_authority_for_precertificates_alone_is_passed_over():
    usages = extended(ExtendedKeyUsageOID.CODE_SIGNING, PRECERTIFICATE_SIGNING)
    between = authority("fulcio precertificates", parent=ROOT, more=((usages, False),))
    filed = logged(between, by(), issuer=ROOT)
    verify_sct(path_of(filed, between), trust=TRUST)
    refused(logged(between, by()), path=path_of(logged(between, by()), between), match="no trusted CT log signed")
    refused(filed, path=path_of(filed, between)[:2], match="for precertificates alone")


def test_an_authority_that_may_do_all_is_no_such_authority():
    usages = extended(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    between = authority("fulcio any", parent=ROOT, more=((usages, False),))
    verify_sct(path_of(logged(between, by()), between), trust=TRUST)


def test_an_issuer_with_a_key_that_is_not_trusted():
    odd = authority("odd", kind="secp256k1")
    issued = logged(odd, by())
    refused(issued, path=(issued.value, odd.value), match="key of a kind that is not trusted")


# --- by whom, and when ---


def test_a_log_that_is_not_trusted():
    refused(logged(BETWEEN, by(OTHER)), match="no CT log that .* names is in the trusted root")
    refused(GOOD, trusting_logs(), match="no CT log that .* names is in the trusted root")


def test_a_log_under_the_name_of_another():
    refused(logged(BETWEEN, by(OTHER, log_id=LOG.log_id)), match="no trusted CT log signed")


def test_the_window_of_the_log_is_closed():
    at_s = LOGGED_AT_MS / 1000
    verify_sct(path_of(GOOD), trust=trusting_logs(LOG.record(first=at_s, last=at_s)))
    verify_sct(path_of(GOOD), trust=trusting_logs(LOG.record(last=None)))
    refused(GOOD, trusting_logs(LOG.record(first=at_s + 0.001)), match="not in use")
    refused(GOOD, trusting_logs(LOG.record(last=at_s - 0.001)), match="not in use")


def test_one_of_several_windows_of_a_log():
    long_ago = LOG.record(first=0.0, last=1.0)
    verify_sct(path_of(GOOD), trust=trusting_logs(long_ago, LOG.record()))
    refused(GOOD, trusting_logs(long_ago, long_ago), match="not in use")


def test_the_time_is_signed():
    refused(logged(BETWEEN, by(said_ms=LOGGED_AT_MS + 1)), match="no trusted CT log signed")


def test_a_time_beyond_all_clocks():
    refused(logged(BETWEEN, by(time_ms=2**64 - 1)), match="not in use")


def test_an_entry_for_a_final_certificate_is_another_entry():
    refused(logged(BETWEEN, by(entry_type=b"\0\0")), match="no trusted CT log signed")


@pytest.mark.parametrize("algorithm", [b"\4\1", b"\5\3", b"\2\3"])
def test_algorithms_are_the_logs_own(algorithm):
    refused(logged(BETWEEN, by(algorithm=algorithm)), match="no trusted CT log signed")


def test_a_log_with_an_ed25519_key():
    log = CtLog(signer("ed25519", "ct log"))
    refused(logged(BETWEEN, by(log)), trusting_logs(log.record()), match="no trusted CT log signed")


def test_a_signature_that_is_none():
    refused(logged(BETWEEN, by(signature=b"x")), match="no trusted CT log signed")


def several(*makers):
    return lambda body, issuer: [sct for make in makers for sct in make(body, issuer)]


@pytest.mark.parametrize(
    "bad", [by(OTHER), by(said_ms=LOGGED_AT_MS + 1), by(time_ms=1)], ids=["unknown", "not signed", "not in use"]
)
def test_one_good_timestamp_is_enough(bad):
    for both in (several(bad, by()), several(by(), bad)):
        verify_sct(path_of(logged(BETWEEN, both)), trust=TRUST)
    refused(logged(BETWEEN, several(bad, bad)), match="CT log")


def test_there_is_an_end_to_timestamps():
    most = [by()] * limits.SCTS
    verify_sct(path_of(logged(BETWEEN, several(*most))), trust=TRUST)
    refused(logged(BETWEEN, several(*most, by())), match=f"more than {limits.SCTS}")


# --- the form ---

SCT = LOG.sct(b"body", issuer=BETWEEN)


def refused_list(content, match):
    with pytest.raises(SctInvalidError, match=match):
        parse_scts(content)


def test_a_list():
    (found,) = parse_scts(octets(opaque(opaque(SCT))))
    assert parse_scts(octets(opaque(opaque(SCT) * 2))) == (found, found)
    assert parse_scts(octets(opaque(b""))) == ()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "absent"),
        (b"\4\0", "cut"),
        (opaque(opaque(SCT)), "absent, or of another type"),
        (octets(opaque(opaque(SCT))) + b"x", "1 bytes too many"),
        (octets(b"\0"), "cut"),
        (octets(opaque(opaque(SCT)) + b"x"), "1 bytes too many"),
        (octets(opaque(opaque(SCT))[:-1]), "cut"),
        (octets(opaque(b"\0")), "cut"),
        (octets(opaque(opaque(b""))), "unknown version"),
        (octets(opaque(opaque(b"\1" + SCT[1:]))), "unknown version"),
        (octets(opaque(opaque(SCT + b"x"))), "1 bytes too many"),
        *[
            (octets(opaque(opaque(SCT[:length]))), "cut")
            for length in (1, 20, 33, 40, 41, 42, 43, 44, 45, 46, len(SCT) - 1)
        ],
    ],
)
def test_broken_lists(content, match):
    refused_list(content, match)


LISTS = st.lists(st.binary(max_size=60).map(lambda rest: b"\0" + rest), max_size=3).map(
    lambda each: octets(opaque(b"".join(map(opaque, each))))
)


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=120), LISTS))
def test_any_list_is_read_or_refused(content):
    try:
        found = parse_scts(content)
    except SctInvalidError:
        return
    assert all(len(each.log_id) == 32 and len(each.algorithm) == 2 for each in found)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.integers(1, 255))
def test_a_changed_timestamp_is_good_for_nothing(at, bits):
    """Changed by one byte inside the certificate, which is signed anew: unreadable, or of another log, or not signed."""

    def change(body, issuer):
        sct = bytearray(LOG.sct(body, issuer=issuer))
        sct[at % len(sct)] ^= bits
        return [bytes(sct)]

    try:
        path = path_of(logged(BETWEEN, change))
    except UnreadableKeyError:
        return  # cryptography reads the list too
    refused(None, path=path, match="CT log")
