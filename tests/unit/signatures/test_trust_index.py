from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from fakes.pki import authority, make
from fakes.signing import rekor, signer
from plimsoll.errors import TrustRootError, UntrustedKeyError
from plimsoll.model.trusted_root import CertificateAuthority, TransparencyLog, TrustRoot
from plimsoll.signatures.trust_index import index_root, verify_by_log

ROOT = authority("root")
INTERMEDIATE = authority("intermediate", parent=ROOT)
LEAF = make("timestamper", by=signer("p256", "timestamper"), parent=INTERMEDIATE)


def log(kind="p256", *, base_url="https://log.example", **changes):
    found = rekor("index", kind)
    fields = {"log_id": found.log_id.digest(), "key": found.signer.key, "valid_from_s": 0.0, "valid_until_s": None}
    return TransparencyLog(**(fields | {"base_url": base_url} | changes))


def window(*issued, first=100.0, last=200.0):
    return CertificateAuthority(chain=tuple(each.der for each in issued), valid_from_s=first, valid_until_s=last)


def test_the_empty_root_finds_nothing():
    index = index_root(TrustRoot())
    assert index.tlogs(b"") == index.ctlogs(b"") == index.note_logs("") == ()
    assert index.authorities_at(150) == index.timestampers_at(150) == ()


def test_logs_are_found_by_id_each_in_its_own_list():
    tlog, ctlog = log(), log("p384")
    index = index_root(TrustRoot(tlogs=(tlog,), ctlogs=(ctlog,)))
    assert (index.tlogs(tlog.log_id), index.ctlogs(ctlog.log_id)) == ((tlog,), (ctlog,))
    assert index.tlogs(ctlog.log_id) == index.ctlogs(tlog.log_id) == ()


def test_a_log_is_found_by_the_id_of_its_checkpoints_too():
    found = log(checkpoint_key_id=b"note id")
    index = index_root(TrustRoot(tlogs=(found,)))
    assert index.tlogs(b"note id") == index.tlogs(found.log_id) == (found,)


def test_notes_are_looked_up_by_the_whole_host():
    first = log(base_url="https://Rekor.Example:443/api")
    second = log("ed25519", base_url="https://rekor.example")
    nameless = log("p384", base_url="")
    index = index_root(TrustRoot(tlogs=(first, second, nameless)))
    assert index.note_logs("rekor.example") == (first, second)
    for name in ("", "rekor.example:443", "example", "rekor.example.evil.io", "https://rekor.example", "Rekor.Example"):
        assert index.note_logs(name) == ()


def test_the_certificates_of_a_chain():
    index = index_root(
        TrustRoot(
            certificate_authorities=(window(INTERMEDIATE, ROOT), window(ROOT)),
            timestamp_authorities=(window(LEAF, INTERMEDIATE, ROOT), window(INTERMEDIATE, ROOT)),
        )
    )
    shapes = [(found.leaf, found.others, found.anchor) for found in (*index.authorities, *index.timestampers)]
    assert shapes == [
        (None, (INTERMEDIATE.value,), ROOT.value),
        (None, (), ROOT.value),
        (LEAF.value, (INTERMEDIATE.value,), ROOT.value),
        (None, (INTERMEDIATE.value,), ROOT.value),
    ]


@pytest.mark.parametrize(("time_s", "count"), [(99.9, 0), (100, 1), (200, 1), (200.1, 0)])
def test_authorities_by_time(time_s, count):
    root = TrustRoot(certificate_authorities=(window(ROOT),), timestamp_authorities=(window(ROOT),))
    index = index_root(root)
    assert (len(index.authorities_at(time_s)), len(index.timestampers_at(time_s))) == (count, count)


@pytest.mark.parametrize("field", ["certificate_authorities", "timestamp_authorities"])
@pytest.mark.parametrize("chain", [(), (b"",), (b"x", ROOT.der), (ROOT.der, ROOT.der[:-1])])
def test_a_chain_that_cannot_be_read_names_its_place(field, chain):
    bad = CertificateAuthority(chain=chain, valid_from_s=0, valid_until_s=None)
    with pytest.raises(TrustRootError, match=r"Authorities\[1\]"):
        index_root(TrustRoot(**{field: (window(ROOT), bad)}))


# ---- signatures by a log ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "hash_name"),
    [
        ("p256", "sha256"),
        ("p384", "sha384"),
        ("p384", "sha256"),
        ("p521", "sha512"),
        ("ed25519", "sha256"),
        ("rsa2048", "sha256"),
    ],
)
def test_a_log_signs_by_its_own_hash(kind, hash_name):
    found = log(kind, hash_name=hash_name)
    signature = rekor("index", kind).signer.sign(b"tree", hash_name=hash_name)
    verify_by_log(found, signature=signature, signed=b"tree")
    with pytest.raises(UntrustedKeyError):
        verify_by_log(found, signature=signature, signed=b"another tree")
    with pytest.raises(UntrustedKeyError):
        verify_by_log(log(kind, hash_name=hash_name, key=signer(kind, "x").key), signature=signature, signed=b"tree")


def test_another_hash_than_the_logs_is_refused():
    signature = rekor("index", "p384").signer.sign(b"tree", hash_name="sha256")
    with pytest.raises(UntrustedKeyError):
        verify_by_log(log("p384", hash_name="sha384"), signature=signature, signed=b"tree")


def test_an_rsa_log_signs_by_its_own_padding_only():
    private = rekor("index", "rsa2048").signer.private
    by_pss = private.sign(b"tree", padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32), hashes.SHA256())
    by_pkcs1 = private.sign(b"tree", padding.PKCS1v15(), hashes.SHA256())
    pss, pkcs1 = log("rsa2048", padding="pss"), log("rsa2048")
    verify_by_log(pss, signature=by_pss, signed=b"tree")
    verify_by_log(pkcs1, signature=by_pkcs1, signed=b"tree")
    for found, signature, signed in (
        (pss, by_pkcs1, b"tree"),
        (pkcs1, by_pss, b"tree"),
        (pss, by_pss, b"x"),
        (pss, b"", b"tree"),
    ):
        with pytest.raises(UntrustedKeyError):
            verify_by_log(found, signature=signature, signed=signed)
