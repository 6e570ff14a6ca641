from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plimsoll.errors import UsageError
from plimsoll.model.trust import PublicKey
from plimsoll.policy.identity import MatchExact
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHoc,
    KeySource,
    KeyType,
    LogDemand,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)


def key(seed: int) -> PublicKey:
    private = ec.derive_private_key(seed, ec.SECP256R1())
    return PublicKey(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


ONE, TWO = key(1), key(2)
SOURCE = KeySource(paths=("/k",), where="default[0].keyPath")


@pytest.mark.parametrize(
    ("requirement", "verifies"),
    [
        (AcceptAnything(), False),
        (Reject(), False),
        (SignedBaseLayer(base_layer_identity=MatchExact()), False),
        (SignedBy(key_type=KeyType.GPG_KEYS, keys=SOURCE, identity=MatchExact()), True),
        (SigstoreSigned(keys=SOURCE, fulcio=None, pki=None, rekor_keys=None, identity=MatchExact()), True),
        (AdHoc(keys=(ONE,)), True),
    ],
)
def test_what_verifies_signatures_and_that_all_pickle(requirement: Requirement, verifies: bool):
    assert requirement.verifies_signatures is verifies
    assert pickle.loads(pickle.dumps(requirement)) == requirement


def test_ad_hoc_keys_demand_a_log_entry_of_one_key_by_default():
    found = AdHoc(keys=(ONE, TWO))

    assert (found.threshold, found.log, found.digest_algorithm) == (1, LogDemand.REQUIRED, "sha256")
    assert found.where == "--key"


@pytest.mark.parametrize("threshold", [1, 2])
def test_thresholds_that_can_be_met(threshold: int):
    assert AdHoc(keys=(ONE, TWO, ONE), threshold=threshold).threshold == threshold


@pytest.mark.parametrize("threshold", [-1, 0, 3])
def test_thresholds_that_cannot_or_that_nothing_meets(threshold: int):
    with pytest.raises(UsageError, match="from 1 to 2"):
        AdHoc(keys=(ONE, TWO, ONE), threshold=threshold)


def test_no_key_is_refused():
    with pytest.raises(UsageError, match="no key"):
        AdHoc(keys=())


@pytest.mark.parametrize("algorithm", ["sha224", "sha256", "sha384", "sha512"])
def test_digest_algorithms_of_cosign(algorithm: str):
    assert AdHoc(keys=(ONE,), digest_algorithm=algorithm).digest_algorithm == algorithm  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["sha1", "SHA256", "", "md5"])
def test_other_digest_algorithms(algorithm: str):
    with pytest.raises(UsageError, match="--signature-digest-algorithm"):
        AdHoc(keys=(ONE,), digest_algorithm=algorithm)  # type: ignore[arg-type]


def test_where_is_for_messages_and_no_part_of_the_value():
    assert Reject(where="default[0]") == Reject(where="default[1]")
    assert KeySource(paths=("/k",), where="a") == KeySource(paths=("/k",), where="b")
    assert KeySource(paths=("/k",)) != KeySource(paths=("/l",))


def test_inline_keys_do_not_flood_a_log():
    assert "AAAA" not in repr(KeySource(data=(b"AAAA",)))
