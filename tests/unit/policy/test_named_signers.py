"""The requirements of a plimsoll document judged: each that is accepted stands beside one that is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fakes.bundles import statement_bytes
from fakes.documents import (
    ATT,
    CI,
    DAY_S,
    DIGEST,
    NOW_S,
    OTHER,
    REFERRERS,
    SIG,
    VULN,
    attested,
    bundles,
    codes,
    document,
    evidence,
    judged,
    outcome,
    pem,
    ready,
    scanned,
    signed,
    sigstore,
    unread,
)
from fakes.signing import (
    LOGGED_AT_S,
    SIGNATURE,
    SIMPLE_SIGNING,
    attachment,
    b64,
    payload_bytes,
    signed_attachment,
    signer,
)
from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.evidence import Absent, Attachment, Failed, Found, Needs, StorePlace
from plimsoll.model.verdict import Reason
from plimsoll.policy.evaluate import judge

TIMEOUT = Reason(code="timeout", message="no answer")
GARBAGE = Reason(code="digest-mismatch", message="other bytes")
LATE, EARLY = LOGGED_AT_S + 600, LOGGED_AT_S - 600
LATER = LOGGED_AT_S + 60


def date(time_s):
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def signatures(*names, **more):
    return {"signatures": {"from": list(names), **more}}


def attestation(*names, **more):
    return {"attestation": {"type": "vuln", "from": list(names), **more}}


# ---- one signer ------------------------------------------------------------------------------------------------------


def test_a_named_key_signed():
    asked = document(signatures("alice"))
    found = judged(asked, signed("alice"))
    assert (found.outcome.value, found.reasons) == ("accepted", ())
    assert [(record.verified, record.key) for record in found.signatures] == [(True, signer().fingerprint)]
    assert codes(judged(asked, signed("mallory"))) == ["untrusted-key"]
    assert codes(judged(asked, signed("bob"))) == ["untrusted-key"]  # named, but not in `from`
    assert codes(judged(asked, signed("alice", digest=OTHER))) == ["digest-mismatch"]
    assert codes(judged(asked)) == ["no-signature"]


def test_a_named_identity_signed():
    asked = document(signatures("ci"), keys=(), identities={"ci": CI})
    assert outcome(asked, signed(None)) == "accepted"
    for other in ({"subject": "https://github.com/acme/app/other"}, {"issuer": "https://issuer.example"}):
        assert codes(judged(document(signatures("ci"), identities={"ci": CI | other}), signed(None))) == [
            "identity-mismatch"
        ]
    assert codes(judged(asked, sigstore(name="evil").sign_image(DIGEST)))[0] != "no-signature"
    assert outcome(asked, sigstore(name="evil").sign_image(DIGEST)) == "rejected"


def test_what_lies_on_the_sig_tag_is_found_first_for_keys_and_last_for_identities():
    keyed, keyless = document(signatures("alice")), document(signatures("ci"), identities={"ci": CI})
    layer = Found(attachments=(sigstore().sig_layer(DIGEST, by=signer()),))
    assert outcome(keyed, sig=layer) == "accepted"
    assert outcome(keyless, sig=layer) == "rejected"
    assert outcome(keyless, sig=Found(attachments=(sigstore().sig_layer(DIGEST),))) == "accepted"
    assert judge(ready(keyed), evidence(sig=None, referrers=None)) == Needs(places=(SIG,))
    assert judge(ready(keyless), evidence(sig=None, referrers=None)) == Needs(places=(REFERRERS,))
    assert judge(ready(keyed), evidence(referrers=None)) == Needs(places=(REFERRERS,))


def test_annotations_must_all_be_there():
    made = signed("alice", annotations={"team": "a", "stage": "prod"})
    assert outcome(document(signatures("alice", annotations={"team": "a"})), made) == "accepted"
    assert outcome(document(signatures("alice", annotations={"team": "a", "stage": "prod"})), made) == "accepted"
    for wanted in ({"team": "b"}, {"team": "a", "more": "x"}):
        assert codes(judged(document(signatures("alice", annotations=wanted)), made)) == ["identity-mismatch"]


def test_an_attestation_is_no_signature_and_a_signature_attests_nothing():
    assert codes(judged(document(signatures("alice")), attested("alice"))) == ["no-signature"]
    assert codes(judged(document(attestation("alice")), signed("alice"))) == ["no-attestation"]


# ---- the log ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alice", None])
def test_a_log_entry_or_a_timestamp_is_needed_unless_the_rule_ignores_the_log(name):
    entry = "ci" if name is None else name
    asked = document(signatures(entry), identities={"ci": CI})
    ignoring = document(signatures(entry, log="ignore"), identities={"ci": CI})
    bare = signed(name, is_logged=False)
    assert codes(judged(asked, bare)) == ["log-proof-missing"]
    assert outcome(asked, signed(name, is_logged=False, stamped=True)) == "accepted"
    assert outcome(ignoring, bare) == ("accepted" if name else "rejected")  # its certificate has expired by now
    assert outcome(ignoring, bare, now_s=LOGGED_AT_S) == "accepted"
    assert outcome(asked, bare, now_s=LOGGED_AT_S) == "rejected"


def test_an_entry_of_a_log_that_is_not_trusted_counts_only_where_the_log_is_ignored():
    foreign = sigstore(name="evil").sign_image(DIGEST, by=signer())
    assert codes(judged(document(signatures("alice")), foreign)) == ["log-proof-invalid"]
    assert outcome(document(signatures("alice", log="ignore")), foreign) == "accepted"


def test_a_timestamp_makes_good_for_no_entry_that_is_there_and_does_not_verify():
    foreign = sigstore(name="evil").sign_image(DIGEST, by=signer())
    made = signed("alice", stamped=True)
    assert outcome(document(signatures("alice")), made.changed(entries=())) == "accepted"
    assert codes(judged(document(signatures("alice")), made.changed(entries=foreign.entries))) == ["log-proof-invalid"]


def test_a_stranger_s_timestamp_proves_nothing():
    foreign = sigstore(name="evil").sign_image(DIGEST, by=signer(), is_logged=False, stamped=True)
    assert outcome(document(signatures("alice")), foreign) == "rejected"
    assert outcome(document(signatures("alice", log="ignore")), foreign) == "accepted"


def test_on_tags_a_timestamp_will_do_too():
    def layer(**how):
        return Found(attachments=(sigstore().sig_layer(DIGEST, by=signer(), is_logged=False, **how),))

    asked = document(signatures("alice"))
    assert outcome(asked, sig=layer(stamped=True)) == "accepted"
    assert codes(judged(asked, sig=layer())) == ["log-proof-missing"]
    payload = statement_bytes(DIGEST, predicate_type=VULN)
    for stamped, expected in ((True, "accepted"), (False, "rejected")):
        att = sigstore().att_layer(payload, by=signer(), is_logged=False, stamped=stamped)
        assert outcome(document(attestation("alice")), att=Found(attachments=(att,))) == expected


# ---- windows ---------------------------------------------------------------------------------------------------------


def windowed(**window):
    return document(signatures("alice"), keys={"alice": {"data": pem("alice"), **window}})


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"notBefore": date(EARLY), "notAfter": date(LATE)}, "accepted"),
        ({"notBefore": date(LOGGED_AT_S), "notAfter": date(LOGGED_AT_S)}, "accepted"),
        ({"notAfter": date(LOGGED_AT_S - 1)}, "rejected"),
        ({"notBefore": date(LOGGED_AT_S + 1)}, "rejected"),
        ({"notAfter": "2023-11-15"}, "accepted"),
        ({"notAfter": "2023-11-14"}, "rejected"),
        ({"notBefore": "2023-11-14T22:13:20+00:00"}, "accepted"),
    ],
)
def test_a_window_is_judged_at_the_proven_time(window, expected):
    found = judged(windowed(**window), signed("alice"))
    assert found.outcome.value == expected
    assert codes(found) == ([] if expected == "accepted" else ["untrusted-key"])


def test_a_window_without_a_proven_time_counts_only_if_the_present_lies_inside():
    bare = signed("alice", is_logged=False)
    for window, expected in (({"notAfter": date(NOW_S)}, "accepted"), ({"notAfter": date(NOW_S - 1)}, "rejected")):
        asked = document(signatures("alice", log="ignore"), keys={"alice": {"data": pem("alice"), **window}})
        assert outcome(asked, bare) == expected
    closed = document(signatures("alice", log="ignore"), keys={"alice": {"data": pem("alice"), "notAfter": date(LATE)}})
    assert outcome(closed, signed("alice")) == "accepted"  # a log entry proves its time, asked for or not
    assert outcome(closed, bare) == "rejected"


# ---- N of M ----------------------------------------------------------------------------------------------------------


def test_distinct_entries_are_counted():
    asked = document(signatures("alice", "bob", "ci", atLeast=2), identities={"ci": CI})
    assert outcome(asked, signed("alice"), signed("bob")) == "accepted"
    assert outcome(asked, signed("alice"), signed(None)) == "accepted"
    for made in ([signed("alice")], [signed("alice"), signed("alice", at_s=LATE)], [signed(None), signed(None)]):
        found = judged(asked, *made)
        assert (found.outcome.value, codes(found)[0]) == ("rejected", "threshold-not-met")


def test_signatures_at_several_places_are_counted_together():
    asked = document(signatures("alice", "bob", atLeast=2))
    layer = Found(attachments=(sigstore().sig_layer(DIGEST, by=signer()),))
    assert outcome(asked, signed("bob"), sig=layer) == "accepted"
    assert outcome(asked, signed("alice"), sig=layer) == "rejected"


def test_equal_keys_are_one_entry():
    twins = {"alice": {"data": pem("alice")}, "again": {"data": pem("alice")}, "bob": {"data": pem("bob")}}
    asked = document(signatures("alice", "again", "bob", atLeast=2), keys=twins)
    assert outcome(asked, signed("alice"), signed("alice", at_s=LATE)) == "rejected"
    assert outcome(asked, signed("alice"), signed("bob")) == "accepted"


def test_equal_identities_are_one_entry_and_so_is_one_identity_of_two_entries():
    by_pattern = {"issuer": CI["issuer"], "subjectPattern": CI["subject"].replace("app", "*")}
    other = CI["subject"].replace("/app/", "/tool/")
    for identities, made, expected in (
        ({"a": CI, "b": CI}, [signed(None), signed(None)], "rejected"),
        ({"a": CI, "b": by_pattern}, [signed(None), signed(None)], "rejected"),
        ({"a": by_pattern, "b": by_pattern}, [signed(None), _as(other)], "rejected"),
        ({"a": CI, "b": by_pattern}, [signed(None), _as(other)], "accepted"),
        ({"a": by_pattern, "b": CI}, [signed(None), _as(other)], "accepted"),
    ):
        asked = document(signatures("a", "b", atLeast=2), keys=(), identities=identities)
        assert outcome(asked, *made) == expected


def _as(subject):
    by = sigstore().certificate(subject, by=signer(name=subject))
    return sigstore().sign_image(DIGEST, by=by)


def test_one_public_key_in_two_certificates_counts_once():
    other = CI["subject"].replace("/app/", "/tool/")
    identities = {"a": CI, "b": CI | {"subject": other}}
    asked = document(signatures("a", "b", atLeast=2), keys=(), identities=identities)

    def certified(subject, key):
        return sigstore().sign_image(DIGEST, by=sigstore().certificate(subject, by=signer(name=key)))

    assert outcome(asked, certified(CI["subject"], "one"), certified(other, "one")) == "rejected"
    assert outcome(asked, certified(CI["subject"], "one"), certified(other, "two")) == "accepted"


# ---- what is not known -----------------------------------------------------------------------------------------------


def unreadable(path):
    raise UnreadableKeyError(f"{path} is a directory")


def test_a_key_that_cannot_be_read_is_undetermined_only_where_it_might_matter():
    keys = {"alice": {"data": pem("alice")}, "lost": {"path": "lost.pub"}}
    either = document(signatures("alice", "lost"), keys=keys)
    both = document(signatures("alice", "lost", atLeast=2), keys=keys)
    for asked, made, expected in (
        (either, [signed("alice")], "accepted"),
        (either, [signed("mallory")], "undetermined"),
        (either, [], "rejected"),
        (both, [signed("alice")], "rejected"),
        (both, [signed("alice"), signed("mallory")], "undetermined"),
    ):
        assert outcome(asked, *made, read_key=unreadable) == expected
    found = judged(either, signed("mallory"), read_key=unreadable)
    assert codes(found)[0] == "key-unreadable"
    assert "lost.pub" in found.reasons[0].message
    assert codes(judged(either, read_key=unreadable)) == ["no-signature"]


@pytest.mark.parametrize("uri", ["gcpkms://projects/p", "azurekms://vault/k", "k8s://ns/name"])
def test_a_key_that_nothing_reads_is_unsupported_and_never_hides_what_is_sure(uri):
    asked = document(signatures("kms"), keys={"kms": {"uri": uri}})
    found = judged(asked, signed("alice"))
    assert (found.outcome.value, codes(found)[0]) == ("undetermined", "unsupported")
    assert all(word in found.reasons[0].message for word in ("keys.kms", uri, "not read yet"))
    assert codes(judged(asked)) == ["no-signature"]


@pytest.mark.parametrize("said", ["no answer", None])
def test_a_key_from_elsewhere_that_cannot_be_had_is_undetermined_and_never_hides_what_is_sure(said):
    def read_reference(reference):
        assert reference == uri
        if said is None:
            return b"no key"
        raise UnreadableKeyError(f"the key {reference!r}: {said}")

    uri = "awskms:///alias/release"
    either = document(signatures("alice", "kms"), keys={"alice": {"data": pem("alice")}, "kms": {"uri": uri}})

    def found(*made):
        return judged_by(ready(either, read_reference=read_reference), *made)

    assert found(signed("alice")).outcome.value == "accepted"
    lost = found(signed("mallory"))
    assert (lost.outcome.value, codes(lost)[0]) == ("undetermined", "key-unreadable")
    assert all(word in lost.reasons[0].message for word in ("keys.kms", repr(uri), said or "PEM"))
    assert codes(found()) == ["no-signature"]


def test_without_a_reader_for_references_there_are_none():
    asked = document(signatures("kms"), keys={"kms": {"uri": "env://K"}})
    found = judged(asked, signed("alice"))
    assert (codes(found)[0], "from files only" in found.reasons[0].message) == ("key-unreadable", True)


def judged_by(prepared, *made):
    return judge(prepared, evidence(*made))


def test_paths_count_from_the_documents_folder():
    read = []

    def read_key(path):
        read.append(path)
        return signer().pem

    asked = document(signatures("alice"), keys={"alice": {"path": "keys/a.pub"}})
    assert outcome(asked, signed("alice"), read_key=read_key) == "accepted"
    assert read == ["/srv/policies/keys/a.pub"]


@pytest.mark.parametrize("require", [signatures("alice"), attestation("alice")])
def test_a_failed_place_is_never_absent(require):
    place = "sig" if "signatures" in require else "att"
    assert codes(judged(document(require), **{place: Failed(reason=TIMEOUT)})) == ["timeout"]
    assert outcome(document(require), **{place: Failed(reason=TIMEOUT)}) == "undetermined"
    assert outcome(document(require), **{place: Absent()}) == "rejected"


def test_a_lost_signature_may_have_been_the_missing_one():
    asked = document(signatures("alice", "bob", atLeast=2))
    assert outcome(asked, signed("alice"), unread(TIMEOUT)) == "undetermined"
    assert outcome(asked, unread(TIMEOUT)) == "rejected"  # one signature counts once
    assert outcome(asked, signed("alice"), unread(GARBAGE)) == "rejected"
    assert outcome(asked, signed("alice"), signed("bob"), unread(TIMEOUT)) == "accepted"


# ---- attestations ----------------------------------------------------------------------------------------------------

CLEAN, DIRTY = {"critical": 0}, {"critical": 3}
NONE_CRITICAL = "predicate.critical == 0"


def test_an_attestation_of_the_type_by_a_named_signer():
    asked = document(attestation("alice"))
    assert outcome(asked, attested("alice")) == "accepted"
    assert codes(judged(asked, attested("mallory"))) == ["untrusted-key"]
    assert codes(judged(asked, attested("alice", predicate_type="https://spdx.dev/Document"))) == ["no-attestation"]
    assert codes(judged(asked, attested("alice", digest=OTHER))) == ["digest-mismatch"]
    assert codes(judged(asked)) == ["no-attestation"]
    att = Found(attachments=(sigstore().att_layer(statement_bytes(DIGEST, predicate_type=VULN), by=signer()),))
    assert outcome(asked, att=att) == "accepted"


def test_without_a_condition_the_first_place_with_enough_is_enough_and_with_one_all_are_asked():
    plain, conditioned = attestation("alice"), attestation("alice", where="true")
    made = evidence(attested("alice"), att=None)
    assert judge(ready(document(plain)), made).outcome.value == "accepted"
    assert judge(ready(document(conditioned)), made) == Needs(places=(ATT,), whole=True)


def test_the_newest_must_meet_the_condition():
    asked = document(attestation("alice", "bob", where=NONE_CRITICAL))
    old, new = {"at_s": EARLY}, {"at_s": LATE}
    assert outcome(asked, attested("alice", CLEAN)) == "accepted"
    assert codes(judged(asked, attested("alice", DIRTY))) == ["attestation-condition"]
    assert outcome(asked, attested("alice", DIRTY, **old), attested("alice", CLEAN, **new)) == "accepted"
    assert outcome(asked, attested("alice", CLEAN, **old), attested("alice", DIRTY, **new)) == "rejected"
    assert outcome(asked, attested("alice", CLEAN, **old), attested("bob", DIRTY, **new)) == "rejected"
    assert outcome(asked, attested("alice", CLEAN), attested("bob", DIRTY)) == "rejected"  # as new as the other
    assert outcome(asked, attested("alice", CLEAN, **old), attested("mallory", DIRTY, **new)) == "accepted"
    spdx = attested("alice", DIRTY, predicate_type="https://spdx.dev/Document", **new)
    assert outcome(asked, attested("alice", CLEAN, **old), spdx) == "accepted"


def test_a_newer_one_at_another_place_is_not_missed():
    asked = document(attestation("alice", where=NONE_CRITICAL))
    payload = statement_bytes(DIGEST, predicate_type=VULN, predicate=scanned(DIRTY, at_s=LATE))
    att = Found(attachments=(sigstore().att_layer(payload, by=signer(), at_s=LATE),))
    assert outcome(asked, attested("alice", CLEAN), att=att) == "rejected"
    assert outcome(asked, attested("alice", CLEAN, at_s=LATE + 60), att=att) == "accepted"


def test_where_one_has_no_proven_time_all_must_meet_the_condition():
    asked = document(attestation("alice", where=NONE_CRITICAL, log="ignore"))
    timeless = {"is_logged": False}
    assert outcome(asked, attested("alice", CLEAN, **timeless)) == "accepted"
    assert outcome(asked, attested("alice", DIRTY, at_s=EARLY), attested("alice", CLEAN, **timeless)) == "rejected"
    assert outcome(asked, attested("alice", CLEAN), attested("alice", DIRTY, **timeless)) == "rejected"
    assert outcome(asked, attested("alice", CLEAN), attested("alice", CLEAN, **timeless)) == "accepted"


def test_what_may_be_newer_leaves_it_undetermined():
    asked = document(attestation("alice", where=NONE_CRITICAL))
    clean = attested("alice", CLEAN)
    assert codes(judged(asked, clean, unread(TIMEOUT)))[0] == "timeout"
    assert outcome(asked, clean, unread(TIMEOUT)) == "undetermined"
    assert outcome(asked, clean, att=Failed(reason=TIMEOUT)) == "undetermined"
    assert outcome(asked, clean, att=Failed(reason=Reason(code="limit-exceeded", message="many"))) == "rejected"
    assert outcome(asked, clean, unread(GARBAGE)) == "accepted"
    assert outcome(document(attestation("alice")), clean, unread(TIMEOUT)) == "accepted"
    keys = {"alice": {"data": pem("alice")}, "lost": {"path": "lost.pub"}}
    either = document(attestation("alice", "lost", where=NONE_CRITICAL), keys=keys)
    assert outcome(either, clean, read_key=unreadable) == "undetermined"
    assert outcome(either, read_key=unreadable) == "rejected"


@pytest.mark.parametrize(
    "where", ["predicate.critical == 1", "predicate.missing == 0", "predicate.critical", "predicate.critical < 'a'"]
)
def test_a_condition_that_is_false_errs_or_is_no_boolean_is_unmet(where):
    asked = document(attestation("alice", where=where))
    assert codes(judged(asked, attested("alice", CLEAN))) == ["attestation-condition"]


def test_max_age_is_judged_at_the_proven_time():
    def aged(days, **more):
        return document(attestation("alice", maxAge=f"{days}d", **more))

    made = attested("alice", CLEAN)
    assert outcome(aged(30), made) == "accepted"
    assert codes(judged(aged(29), made))[0] == "attestation-condition"
    assert outcome(aged(29), made, attested("alice", CLEAN, at_s=LOGGED_AT_S + DAY_S)) == "accepted"
    timeless = attested("alice", CLEAN, is_logged=False)
    assert outcome(aged(30, log="ignore"), timeless) == "rejected"
    assert outcome(aged(30, log="ignore"), timeless, now_s=LOGGED_AT_S) == "rejected"
    assert outcome(aged(30, log="ignore"), made) == "accepted"
    assert outcome(aged(30, where=NONE_CRITICAL), made) == "accepted"
    assert outcome(aged(29, where=NONE_CRITICAL), made) == "rejected"
    # Rekor v2 promises no time; its timestamp does, and a bundle without one has none.
    assert outcome(aged(30), attested("alice", CLEAN, log="v2"), log="v2") == "accepted"
    assert outcome(aged(30), attested("alice", CLEAN, log="v2", stamped=False), log="v2") == "rejected"
    assert outcome(document(attestation("alice")), attested("alice", log="v2", stamped=False), log="v2") == "accepted"


def test_distinct_signers_of_attestations_are_counted_each_by_its_newest():
    asked = document(attestation("alice", "bob", atLeast=2, where=NONE_CRITICAL))
    assert outcome(asked, attested("alice", CLEAN), attested("bob", CLEAN)) == "accepted"
    assert outcome(asked, attested("alice", CLEAN), attested("alice", CLEAN, at_s=LATE)) == "rejected"
    went_back = [attested("alice", CLEAN, at_s=EARLY), attested("alice", DIRTY), attested("bob", CLEAN, at_s=LATE)]
    assert outcome(asked, *went_back) == "rejected"
    assert outcome(asked, *went_back, attested("alice", CLEAN, at_s=LATE)) == "accepted"


def test_at_most_counts_attestations_and_asks_every_place():
    asked = document(attestation("alice", atMost=1))
    one, two = attested("alice", CLEAN), attested("alice", DIRTY)
    assert judge(ready(asked), evidence(one, att=None)) == Needs(places=(ATT,), whole=True)
    assert outcome(asked, one) == "accepted"
    assert codes(judged(asked, one, two)) == ["attestation-forbidden"]
    assert codes(judged(asked)) == ["no-attestation"]
    assert outcome(asked, one, attested("mallory", DIRTY)) == "accepted"
    assert outcome(asked, one, unread(TIMEOUT)) == "undetermined"


FORBIDDEN = document(attestation("alice", forbidden=True))


def test_a_forbidden_attestation_by_a_named_signer_rejects():
    assert outcome(FORBIDDEN) == "accepted"
    assert codes(judged(FORBIDDEN, attested("alice"))) == ["attestation-forbidden"]
    assert outcome(FORBIDDEN, attested("mallory")) == "accepted"
    assert outcome(FORBIDDEN, attested("alice", predicate_type="https://spdx.dev/Document")) == "accepted"
    assert outcome(FORBIDDEN, attested("alice", digest=OTHER)) == "accepted"
    att = Found(attachments=(sigstore().att_layer(statement_bytes(DIGEST, predicate_type=VULN), by=signer()),))
    assert outcome(FORBIDDEN, att=att) == "rejected"
    assert judge(ready(FORBIDDEN), evidence(att=None)) == Needs(places=(ATT,), whole=True)
    assert judge(ready(FORBIDDEN), evidence(referrers=None, att=None)) == Needs(places=(REFERRERS,), whole=True)


@pytest.mark.parametrize("reason", [TIMEOUT, GARBAGE, Reason(code="limit-exceeded", message="many")])
def test_any_failure_leaves_what_is_forbidden_undetermined(reason):
    for failed in (judged(FORBIDDEN, unread(reason)), judged(FORBIDDEN, att=Failed(reason=reason))):
        assert failed.outcome.value == "undetermined"
        assert failed.reasons[0].outcome.value == "undetermined"
    assert outcome(FORBIDDEN, attested("alice"), unread(reason)) == "rejected"


UNCLEAR = {
    "too many values": b"[" + b"0," * 60 + b"0]",
    "a name twice": b'{"a":1,"a":2}',
    "too deep": b"[" * 100 + b"]" * 100,
    "a case twin": b'0},"Predicate":{',
}


def unclear(name, fault, *, place, **how):
    """That attestation with a critical finding in a statement that is refused, at one of the two places."""
    predicate = scanned(DIRTY | {"x": "HERE"}, at_s=LATER)
    payload = statement_bytes(DIGEST, predicate_type=VULN, predicate=predicate).replace(b'"HERE"', UNCLEAR[fault])
    by = None if name is None else signer(name=name)
    if place == "att":
        return {"att": Found(attachments=(sigstore().att_layer(payload, by=by, at_s=LATER, **how),))}
    return {"referrers": bundles(attested("alice", CLEAN), sigstore().attest(payload, by=by, at_s=LATER, **how))}


ALL_ASKED = [{"forbidden": True, "where": "predicate.critical > 0"}, {"where": NONE_CRITICAL}, {"atMost": 1}]
WAYS = [("require", {}), ("require", {"is_logged": False, "stamped": True}), ("ignore", {"is_logged": False})]


@pytest.mark.parametrize(("log", "how"), WAYS, ids=["logged", "stamped", "bare"])
@pytest.mark.parametrize("place", ["att", "referrers"])
@pytest.mark.parametrize("fault", UNCLEAR)
@pytest.mark.parametrize("rule", ALL_ASKED, ids=["forbidden", "newest", "at most"])
def test_what_a_named_signer_made_and_nobody_can_read_is_not_absent(monkeypatch, rule, fault, place, log, how):
    monkeypatch.setattr(limits, "STATEMENT_VALUES", 20)
    clean = bundles(attested("alice", CLEAN))
    asked = document(attestation("alice", "bob", log=log, **rule))
    found = judged(asked, **{"referrers": clean} | unclear("bob", fault, place=place, **how))
    assert (found.outcome.value, codes(found)[0]) == ("undetermined", "not-judged")
    assert [record.reason and record.reason.code for record in found.signatures] == [None, "payload-invalid"]
    strangers = {"referrers": clean} | unclear("mallory", fault, place=place, **how)
    assert outcome(asked, **strangers) == "accepted"
    assert outcome(document(attestation("alice", "bob", log=log)), **strangers) == "accepted"


@pytest.mark.parametrize("place", ["att", "referrers"])
def test_what_an_identity_made_and_nobody_can_read_is_not_absent(place):
    asked = document(attestation("ci", forbidden=True, where="predicate.critical > 0"), identities={"ci": CI})
    clean = bundles(attested(None, CLEAN))
    assert outcome(asked, **{"referrers": clean} | unclear(None, "a name twice", place=place)) == "undetermined"
    assert outcome(asked, **{"referrers": clean} | unclear("alice", "a name twice", place=place)) == "accepted"


@pytest.mark.parametrize("rule", ALL_ASKED, ids=["forbidden", "newest", "at most"])
@pytest.mark.parametrize("place", ["att", "referrers"])
def test_where_nobody_can_know_who_signed_it_is_not_absent(rule, place):
    clean = attested("alice", CLEAN)
    layer = sigstore().att_layer(statement_bytes(DIGEST, predicate_type=VULN), by=signer(name="mallory"))
    for data in (b"{", b'{"pad":[' + b"0," * limits.BUNDLE_VALUES + b"0]," + (layer.data or b"")[1:]):
        broken = attachment(data, annotations={}, media_type="application/vnd.dsse.envelope.v1+json")
        places = {"att": {"referrers": bundles(clean), "att": Found(attachments=(broken,))}}
        places["referrers"] = {"referrers": bundles(clean, broken)}
        found = judged(document(attestation("alice", **rule)), **places[place])
        assert (found.outcome.value, codes(found)[0]) == ("undetermined", "not-judged")
        assert outcome(document(attestation("alice")), **places[place]) == "accepted"
    whole = {"referrers": bundles(clean), "att": Found(attachments=(layer,))}
    assert outcome(document(attestation("alice", **rule)), **whole) == "accepted"


def test_an_envelope_of_another_payload_type_is_no_attestation_whoever_made_it():
    other = sigstore().attest(b"{", by=signer(), payload_type="text/plain")
    assert outcome(FORBIDDEN, other) == "accepted"
    assert outcome(FORBIDDEN, sigstore().attest(b"{", by=signer())) == "undetermined"


def test_a_condition_narrows_what_is_forbidden_and_an_error_excuses_nothing():
    asked = document(attestation("alice", forbidden=True, where="predicate.critical > 0"))
    assert outcome(asked, attested("alice", CLEAN)) == "accepted"
    assert outcome(asked, attested("alice", DIRTY)) == "rejected"
    assert outcome(asked, attested("alice", {"other": 1})) == "rejected"


def test_what_only_forbids_verifies_no_signature():
    found = judge(ready(FORBIDDEN, require_signed=True), evidence())
    assert (found.outcome.value, codes(found)) == ("rejected", ["policy-reject"])
    for part, expected in (("anyOf", "rejected"), ("allOf", "accepted")):
        asked = document({part: [signatures("alice"), *FORBIDDEN["default"]]})
        assert judge(ready(asked, require_signed=True), evidence(signed("alice"))).outcome.value == expected


# ---- SLSA ------------------------------------------------------------------------------------------------------------

BUILDER, REPOSITORY = "https://builder.example/trusted", "https://github.com/acme/app"
V1, V02 = "https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"
SUMMARY = "https://slsa.dev/verification_summary/v1"


def provenance(*, builder=BUILDER, **parameters):
    return {
        "buildDefinition": {"externalParameters": parameters or {"workflow": {"repository": REPOSITORY}}},
        "runDetails": {"builder": {"id": builder}},
    }


@pytest.mark.parametrize(
    ("slsa", "predicate_type", "predicate", "expected"),
    [
        ({"builder": BUILDER}, V1, provenance(), "accepted"),
        ({"builder": BUILDER}, V1, provenance(builder=f"{BUILDER}/evil"), "rejected"),
        ({"builder": BUILDER}, V02, {"builder": {"id": BUILDER}}, "accepted"),
        ({"builder": BUILDER}, V02, {"builder": {"id": "https://evil.example"}}, "rejected"),
        ({"source": REPOSITORY}, V1, provenance(), "accepted"),
        ({"source": REPOSITORY}, V1, provenance(source=f"git+{REPOSITORY}@refs/heads/main"), "accepted"),
        ({"source": REPOSITORY}, V1, provenance(workflow={"repository": f"{REPOSITORY}-evil"}), "rejected"),
        (
            {"source": REPOSITORY},
            V1,
            provenance(workflow={"repository": REPOSITORY}, source="https://evil.example"),
            "rejected",
        ),
        ({"source": REPOSITORY}, V1, provenance(other=REPOSITORY), "rejected"),
        (
            {"source": REPOSITORY},
            V02,
            {"invocation": {"configSource": {"uri": f"git+{REPOSITORY}@refs/tags/v1"}}},
            "accepted",
        ),
        ({"source": REPOSITORY}, V02, {"invocation": {"configSource": {"uri": f"{REPOSITORY}2"}}}, "rejected"),
        ({"builder": BUILDER, "source": f"{REPOSITORY}2"}, V1, provenance(), "rejected"),
        ({"level": 2}, SUMMARY, {"verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_3"]}, "accepted"),
        ({"level": 3}, SUMMARY, {"verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_2"]}, "rejected"),
        ({"level": 2}, SUMMARY, {"verificationResult": "FAILED", "verifiedLevels": ["SLSA_BUILD_LEVEL_3"]}, "rejected"),
    ],
)
def test_slsa_in_short(slsa, predicate_type, predicate, expected):
    asked = document({"attestation": {"type": predicate_type, "from": ["alice"], "slsa": slsa}})
    assert outcome(asked, attested("alice", predicate, predicate_type=predicate_type)) == expected


# ---- all of, any of --------------------------------------------------------------------------------------------------

A, B = signatures("alice"), signatures("bob")


@pytest.mark.parametrize(
    ("require", "made", "expected"),
    [
        ([{"allOf": [A, B]}], ["alice", "bob"], "accepted"),
        ([{"allOf": [A, B]}], ["alice"], "rejected"),
        ([{"anyOf": [A, B]}], ["bob"], "accepted"),
        ([{"anyOf": [A, B]}], ["mallory"], "rejected"),
        ([{"anyOf": [A, {"allOf": [A, B]}]}], ["bob"], "rejected"),
        ([{"allOf": [{"anyOf": [A, B]}, B]}], ["bob"], "accepted"),
        ([A, B], ["alice"], "rejected"),
        ([A, B], ["alice", "bob"], "accepted"),
    ],
)
def test_parts_combine(require, made, expected):
    assert outcome(document(*require), *map(signed, made)) == expected


def test_parts_combine_in_three_values():
    lost = {"lost": {"path": "lost.pub"}, "alice": {"data": pem("alice")}}
    unknown = signatures("lost")

    def found(part, *made):
        return outcome(document(part, keys=lost), *made, read_key=unreadable)

    assert found({"anyOf": [unknown, A]}, signed("alice")) == "accepted"
    assert found({"anyOf": [unknown, A]}, signed("mallory")) == "undetermined"
    assert found({"allOf": [unknown, A]}, signed("alice")) == "undetermined"
    assert found({"allOf": [unknown, A]}, signed("mallory")) == "rejected"
    assert found({"anyOf": [unknown, A]}) == "rejected"


def test_any_of_asks_no_place_that_an_earlier_part_made_needless():
    require = {"anyOf": [A, attestation("alice")]}
    asked = ready(document(require))
    assert judge(asked, evidence(sig=None, referrers=None, att=None)) == Needs(places=(SIG,))
    layer = Found(attachments=(sigstore().sig_layer(DIGEST, by=signer()),))
    assert judge(asked, evidence(sig=layer, referrers=None, att=None)).outcome.value == "accepted"
    assert judge(asked, evidence(referrers=bundles(), att=None)) == Needs(places=(ATT,))


@pytest.mark.parametrize(
    ("require", "whole"),
    [
        (A, False),
        (attestation("alice", maxAge="7d"), False),
        ({"anyOf": [A, attestation("alice")]}, False),
        (attestation("alice", atMost=2), True),
        (attestation("alice", where="true"), True),
        ({"allOf": [A, {"anyOf": [attestation("bob", forbidden=True), A]}]}, True),
    ],
)
def test_what_may_decide_against_the_image_marks_all_that_is_asked(require, whole):
    asked = ready(document(require))
    needs = judge(asked, evidence(sig=None, referrers=None, att=None))
    assert (bool(needs.places), needs.whole) == (True, whole)
    later = judge(asked, evidence(referrers=None, att=None))
    assert (bool(later.places), later.whole) == (True, whole)


def test_words_stand_for_whole_lists():
    assert outcome(document() | {"default": "reject"}, signed("alice")) == "rejected"
    assert outcome(document() | {"default": "insecureAcceptAnything"}) == "accepted"


def test_a_key_hashes_as_the_document_says():
    layer = Found(attachments=(signed_attachment(DIGEST, by=signer(), hash_name="sha384"),))
    for digest, expected in (("sha384", "accepted"), ("sha256", "rejected")):
        keys = {"alice": {"data": pem("alice"), "digestAlgorithm": digest}}
        assert outcome(document(signatures("alice", log="ignore"), keys=keys), sig=layer) == expected


# ---- stores ----------------------------------------------------------------------------------------------------------


def test_beside_a_dir_image_signatures_are_read_and_one_unreadable_file_spoils_them():
    payload = payload_bytes(DIGEST)
    wrapper = {
        "mimeType": SIMPLE_SIGNING,
        "payload": b64(payload),
        "annotations": {SIGNATURE: b64(signer().sign(payload))},
    }
    good = Attachment(descriptor=None, data=b"\0sigstore-json\n" + json.dumps(wrapper).encode())
    rubbish = Attachment(descriptor=None, data=b"<html>")
    asked = ready(document(signatures("alice", log="ignore")), store="")
    place = StorePlace(base="", digest=DIGEST)
    for files, expected in (((good,), "accepted"), ((good, rubbish), "rejected"), ((), "rejected")):
        stored = evidence().with_answers({place: Found(attachments=files)})
        assert judge(asked, stored).outcome.value == expected
    assert judge(asked, evidence()) == Needs(places=(place,))
