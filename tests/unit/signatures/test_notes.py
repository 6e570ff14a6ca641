"""Checkpoints: signed by the log whose tree they are about, by name, hint and key; others' lines prove nothing."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.rekor import FakeLog
from fakes.signing import b64, signer, trusted_root_bytes
from plimsoll import limits
from plimsoll.errors import LogProofInvalidError
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.signatures.note import VerifiedCheckpoint, note_key_id, parse_checkpoint, verify_checkpoint

LOGS = [
    FakeLog("v1"),
    FakeLog("v1", "p384"),
    FakeLog("v1", "rsa2048"),
    FakeLog("v2"),
    FakeLog("v2", "p256"),
    FakeLog("v2", "p384"),
    FakeLog("v2", "rsa2048"),
]
for each in LOGS:
    each.fill(5)
EVERY_LOG = pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.kind} {log.signer.kind}")
V1, V2 = LOGS[0], LOGS[3]
BOTH = pytest.mark.parametrize("log", [V1, V2], ids=["v1", "v2"])
WITNESS = signer("ed25519", "witness")


def trusted(log, **entry):
    return parse_trusted_root(trusted_root_bytes(log.trust() | entry)).tlogs[0]


def verify(text, log, **entry):
    return verify_checkpoint(parse_checkpoint(text), log=trusted(log, **entry))


def refused(text, log, match=None, **entry):
    with pytest.raises(LogProofInvalidError, match=match):
        verify(text, log, **entry)


def unreadable(text, match=None):
    with pytest.raises(LogProofInvalidError, match=match):
        parse_checkpoint(text)


def witness_line(body="whatever\n", *, name="witness.example/w1", hint=b"wit1"):
    return V2.sign_note(body, by=WITNESS, name=name, hint=hint)


# ---- who signed ------------------------------------------------------------------------------------------------------


@EVERY_LOG
def test_a_log_signs_its_checkpoint(log):
    found = verify(log.checkpoint(), log)
    assert found == VerifiedCheckpoint(
        origin=log.origin, tree_size=5, root_hash=parse_checkpoint(log.checkpoint()).root_hash
    )


@EVERY_LOG
@pytest.mark.parametrize("part", ["origin", "size", "root", "extension"])
def test_everything_in_the_note_is_signed(log, part):
    honest = log.checkpoint(extensions="Timestamp: 1\n")
    verify(honest, log)
    lines = honest.split("\n")
    at = ["origin", "size", "root", "extension"].index(part)
    lines[at] = {"origin": "x" + lines[0], "size": "6", "root": b64(bytes(32)), "extension": "Timestamp: 2"}[part]
    refused("\n".join(lines), log, "signature of its checkpoint|not signed by|and the log is")


@EVERY_LOG
def test_another_log_of_the_same_name_is_not_the_log(log):
    impostor = FakeLog(log.kind, log.key, log.host, name="impostor", leaves=log.leaves)
    refused(impostor.checkpoint(), log, "is not signed by")
    body = impostor.checkpoint().partition("\n\n")[0] + "\n"
    # Even where it claims the log's hint: four bytes prove nothing.
    refused(f"{body}\n{impostor.sign_note(body, hint=log.key_id[:4])}", log, "is bad")


@BOTH
def test_a_hint_that_is_not_the_keys_is_refused(log):
    """Conformance case checkpoint-bad-keyhint: a good signature under another hint."""
    body = log.checkpoint().partition("\n\n")[0] + "\n"
    refused(f"{body}\n{log.sign_note(body, hint=b'none')}", log, "is not signed by")
    verify(f"{body}\n{log.sign_note(body)}", log)


@BOTH
def test_a_name_that_is_not_the_logs_is_refused(log):
    body = log.checkpoint().partition("\n\n")[0] + "\n"
    for name in ("rekor.other", log.host + ".", log.host.upper(), "x"):
        refused(f"{body}\n{log.sign_note(body, name=name)}", log, "is not signed by")


def test_the_hint_of_a_v2_log_is_bound_to_its_name():
    """C2SP signed-note: an Ed25519 key signing under another name has another hint."""
    body = V2.checkpoint().partition("\n\n")[0] + "\n"
    spki_hint = hashlib.sha256(V2.signer.der).digest()[:4]
    refused(f"{body}\n{V2.sign_note(body, hint=spki_hint)}", V2, "is not signed by")


def test_a_v2_logs_origin_is_the_host_of_its_base_url():
    text = V2.checkpoint()
    for base_url in ("https://rekor.example", "http://rekor.example:3000/api", "https://REKOR.example/"):
        verify(text, V2, baseUrl=base_url)
    for base_url in ("https://rekor.example.evil", "https://other.example", "rekor.example", "", "https://["):
        refused(text, V2, "and the log is", baseUrl=base_url)


def test_a_v1_logs_origin_need_not_be_its_base_url():
    """A private Rekor is reached by many names; it signs as the one it was started with."""
    verify(V1.checkpoint(), V1, baseUrl="http://rekor.internal:3000")


def test_a_v2_note_of_another_host_is_refused_even_where_the_log_signed_it():
    other = FakeLog("v2", host="other.example", leaves=V2.leaves)
    body = other.checkpoint().partition("\n\n")[0] + "\n"
    refused(f"{body}\n{V2.sign_note(body, name='other.example')}", V2, "and the log is 'rekor.example'")


@pytest.mark.parametrize("tail", [" - 1", " - 0", " - 1193050959916656506"])
def test_what_tells_v1_is_a_tree_id(tail):
    text = V1.checkpoint(origin=V1.host + tail)
    verify(text, V1)


@pytest.mark.parametrize("tail", ["", " -1", " - ", " - 01", " - x", " - 1 ", " - 1 - 1", "- 1", " - -1", " - \u0661"])
def test_what_is_no_tree_id_is_no_v1_origin(tail):
    other_url = {"baseUrl": "https://elsewhere.example"}
    refused(V1.checkpoint(origin=V1.host + tail), V1, "and the log is", **other_url)


def test_the_key_ids_are_those_of_logs_in_use():
    """A Rekor v2 log's id is the whole hash (verified on the public-good log and the staging ones)."""
    for log in LOGS:
        if log.kind == "v2":
            assert note_key_id(log.signer.key, name=log.host) == log.key_id
    assert note_key_id(V2.signer.key, name="other.example") != V2.key_id


# ---- others' lines ---------------------------------------------------------------------------------------------------


@BOTH
def test_witnesses_are_no_fault_wherever_they_stand(log):
    lines = "".join(witness_line(name=f"witness.example/w{at}") for at in range(3))
    body, _, own = log.checkpoint().partition("\n\n")
    for signatures in (lines + own, own + lines, witness_line() + own + lines):
        verify(f"{body}\n\n{signatures}", log)


@BOTH
def test_witnesses_alone_prove_nothing(log):
    body = log.checkpoint().partition("\n\n")[0]
    refused(f"{body}\n\n{witness_line(body + chr(10))}", log, "is not signed by")


@BOTH
def test_two_signatures_from_the_origin(log):
    """A log that changes its key signs by both: the one we know counts."""
    body, _, own = log.checkpoint().partition("\n\n")
    second = FakeLog(log.kind, "p256", log.host, name="second")
    line = second.sign_note(body + "\n")
    for signatures in (own + line, line + own):
        verify(f"{body}\n\n{signatures}", log)
    refused(f"{body}\n\n{line}", log, "is not signed by")


@BOTH
def test_of_two_lines_by_the_log_the_first_counts(log):
    body, _, own = log.checkpoint().partition("\n\n")
    bad = log.sign_note("another note\n")
    verify(f"{body}\n\n{own}{bad}", log)
    refused(f"{body}\n\n{bad}{own}", log, "is bad")


def test_a_witness_under_the_logs_name_is_another_key():
    body, _, own = V2.checkpoint().partition("\n\n")
    verify(f"{body}\n\n{witness_line(name=V2.host)}{own}", V2)


# ---- the form --------------------------------------------------------------------------------------------------------


def parts():
    body, _, line = V2.checkpoint().partition("\n\n")
    return body.split("\n"), line


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_origin_size_and_root_are_needed(missing):
    lines, signature = parts()
    del lines[missing]
    unreadable("\n".join(lines) + "\n\n" + signature, "lacks|no decimal|base64|has .* bytes")
    lines, signature = parts()
    lines[missing] = ""
    unreadable("\n".join(lines) + "\n\n" + signature, "empty line")


@pytest.mark.parametrize(
    "size", ["-1", "+5", "05", "00", " 5", "5 ", "5.0", "1e3", "0x5", "five", "\u0665", "5_0", str(2**63), "9" * 40]
)
def test_a_size_is_a_strict_decimal(size):
    lines, signature = parts()
    lines[1] = size
    unreadable("\n".join(lines) + "\n\n" + signature, "tree size")


@pytest.mark.parametrize("size", [0, 1, 10, 2**63 - 1])
def test_a_size_is_an_int64(size):
    assert verify(V2.checkpoint(size=size), V2).tree_size == size


@pytest.mark.parametrize(
    "root", ["", "=", b64(bytes(31)), b64(bytes(33)), b64(bytes(32))[:-2] + "B=", " " + b64(bytes(32)), "_" * 43 + "="]
)
def test_a_root_is_canonical_base64_of_32_bytes(root):
    lines, signature = parts()
    lines[2] = root
    unreadable("\n".join(lines) + "\n\n" + signature)


def test_extension_lines_are_signed_and_not_read():
    assert verify(V2.checkpoint(extensions="Timestamp: 1689177396617352539\nmore\n"), V2)


def test_no_empty_line_stands_in_the_text():
    """The last empty line parts text and signatures (C2SP signed-note); a checkpoint's text has none."""
    for extensions in ("\n", "a\n\n", "a\n\nb\n"):
        unreadable(V2.checkpoint(extensions=extensions))


@pytest.mark.parametrize(
    "change",
    [
        lambda body, line: body + "\n",
        lambda body, line: body + "\n\n",
        lambda body, line: body + "\n" + line,
        lambda body, line: body + "\n\n" + line[:-1],
        lambda body, line: body + "\n\n" + line + "\n",
        lambda body, line: body + "\n\n" + line + "x\n",
        lambda body, line: body + "\n\n" + line.replace("\u2014", "-"),
        lambda body, line: body + "\n\n" + line.replace("\u2014 ", "\u2014"),
        lambda body, line: body + "\n\n" + line.replace("\u2014 ", "\u2014  "),
        lambda body, line: body + "\n\n" + " " + line,
        lambda body, line: body + "\n\n" + line.replace("rekor.example ", ""),
        lambda body, line: body + "\n\n" + line.replace("rekor.example", "rekor+example"),
        lambda body, line: body + "\n\n" + line.replace("rekor.example", "rekor\u00a0example"),
        lambda body, line: body + "\n\n" + line.replace("=\n", "\n"),
        lambda body, line: body + "\n\n" + line.replace("\n", " \n"),
        lambda body, line: body + "\n\n" + f"\u2014 rekor.example {b64(b'hint')}\n",
        lambda body, line: body + "\n\n" + f"\u2014 rekor.example {b64(b'hin')}\n",
        lambda body, line: body.replace("\n", "\r\n") + "\r\n\r\n" + line,
        lambda body, line: "\ufeff" + body + "\n\n" + line + "\t\n",
        lambda body, line: body + "\nx\0\n\n" + line,
        lambda body, line: body + "\n\ud800\n\n" + line,
        lambda body, line: "",
        lambda body, line: "\n\n",
        lambda body, line: "\n",
    ],
)
def test_what_is_no_signed_note_is_refused(change):
    lines, signature = parts()
    body = "\n".join(lines)
    parse_checkpoint(f"{body}\n\n{signature}")
    unreadable(change(body, signature))


def test_a_checkpoint_has_a_cap():
    text = V2.checkpoint(extensions="x" * (limits.CHECKPOINT_CHARS - len(V2.checkpoint()) - 1) + "\n")
    assert len(text) == limits.CHECKPOINT_CHARS
    verify(text, V2)
    unreadable(V2.checkpoint(extensions="x" * (limits.CHECKPOINT_CHARS - len(V2.checkpoint())) + "\n"), "at most")


def test_signature_lines_have_a_cap():
    body, _, own = V2.checkpoint().partition("\n\n")
    others = witness_line()
    verify(f"{body}\n\n{others * (limits.NOTE_SIGNATURES - 1)}{own}", V2)
    unreadable(f"{body}\n\n{others * limits.NOTE_SIGNATURES}{own}", "at most 100")


def test_a_witness_may_sign_by_ml_dsa():
    body, _, own = V2.checkpoint().partition("\n\n")
    verify(f"{body}\n\n\u2014 witness.example {b64(bytes(4 + 8 + 4627))}\n{own}", V2)
    unreadable(f"{body}\n\n\u2014 witness.example {b64(bytes(limits.NOTE_SIGNATURE_BYTES + 8))}\n{own}", "at most")


LINES = st.lists(
    st.sampled_from(["rekor.example", "rekor.example - 1", "5", "", b64(bytes(32)), "\u2014 a AAAAAAA="]) | st.text(),
    max_size=8,
).map("\n".join)


@settings(max_examples=100, deadline=None)
@given(st.text() | LINES | LINES.map(lambda text: text + "\n"))
def test_no_text_gives_anything_but_a_log_proof_error(text):
    try:
        found = parse_checkpoint(text)
    except LogProofInvalidError:
        return
    for log in (V1, V2):
        with pytest.raises(LogProofInvalidError):
            verify_checkpoint(found, log=trusted(log))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_character_of_a_checkpoint_can_change(data):
    text = V2.checkpoint()
    at = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    by = data.draw(st.characters().filter(lambda character: character != text[at]))
    refused(text[:at] + by + text[at + 1 :], V2)
