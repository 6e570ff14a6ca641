"""Stored signatures: every first byte, both named formats, and what the wrapper may hold."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.model.signature import UnknownStoredSignature, UntrustedCosignSignature, UntrustedSimpleSignature
from plimsoll.signatures.framing import unframe

LAB = Path(__file__).parents[2] / "vectors/simple/lab/signatures"
OPENPGP = {0x88, 0x89, 0x8A, 0x8B, 0x90, 0x91, 0x92, 0xA0, 0xA1, 0xA2, 0xA3, 0xC2, 0xC4, 0xC8, 0x3D}
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"


def wrapped(**members):
    return b"\0sigstore-json\n" + json.dumps(members).encode()


def cosign(**members):
    return wrapped(**{"mimeType": COSIGN, "payload": base64.b64encode(b"signed").decode(), "annotations": {}} | members)


@pytest.mark.parametrize("first", range(1, 256))
def test_the_first_byte_tells_an_openpgp_message(first):
    blob = bytes([first]) + b"rest"
    if first in OPENPGP:
        assert unframe(blob) == UntrustedSimpleSignature(message=blob)
    else:
        with pytest.raises(BadSignatureError, match=f"byte {first:#04x}"):
            unframe(blob)


def test_an_empty_file_is_no_signature():
    with pytest.raises(BadSignatureError, match="empty"):
        unframe(b"")


@pytest.mark.parametrize("message", [b"", b"\xa3\x01", b"anything\nat all\0"])
def test_a_named_message_is_what_follows_the_first_newline(message):
    assert unframe(b"\0simple-signing\n" + message) == UntrustedSimpleSignature(message=message)


@pytest.mark.parametrize(
    "blob",
    [
        b"\0",
        b"\0simple-signing",
        b"\0\n",
        b"\0simple-signing \nx",
        b"\0Simple-Signing\nx",
        b"\0simple-signing\r\nx",
        b"\0sigstore\n{}",
        b"\0\xff\xfe\nx",
        b"\0" * 40,
    ],
)
def test_other_names_are_refused(blob):
    with pytest.raises(BadSignatureError):
        unframe(blob)


def test_a_name_that_never_ends_is_shown_short():
    with pytest.raises(BadSignatureError) as caught:
        unframe(b"\0" + b"x" * 10_000 + b"\n")
    assert len(str(caught.value)) < 200


def test_a_cosign_signature_keeps_its_annotations():
    annotations = {
        "dev.cosignproject.cosign/signature": "MEU=",
        "dev.sigstore.cosign/bundle": "{}",
        "dev.sigstore.cosign/certificate": "CERT",
        "dev.sigstore.cosign/chain": "CHAIN",
        "another": "one",
    }
    assert unframe(cosign(annotations=annotations)) == UntrustedCosignSignature(
        payload=b"signed", signature="MEU=", log_entry="{}", certificate="CERT", chain="CHAIN"
    )


@pytest.mark.parametrize("members", [{"annotations": None}, {"annotations": {}}, {"surplus": [1]}])
def test_what_the_wrapper_lacks_or_has_beside_is_no_error(members):
    bare = UntrustedCosignSignature(payload=b"signed", signature=None, log_entry=None, certificate=None)
    assert unframe(cosign(**members)) == bare


@pytest.mark.parametrize("members", [{"payload": None}, {"payload": ""}])
def test_a_wrapper_without_a_payload_has_an_empty_one(members):
    assert unframe(cosign(**members)).payload == b""


@pytest.mark.parametrize("mime_type", ["application/vnd.in-toto+json", COSIGN.upper(), COSIGN + " ", ""])
def test_another_type_is_carried_along(mime_type):
    assert unframe(cosign(mimeType=mime_type)) == UnknownStoredSignature(mime_type=mime_type)


def test_a_wrapper_without_a_type_is_carried_along():
    assert unframe(wrapped(payload="AA==")) == UnknownStoredSignature(mime_type="")


@pytest.mark.parametrize(
    "members",
    [
        {"mimeType": 1},
        {"payload": 1},
        {"payload": "not base64!"},
        {"payload": "QQ"},
        {"payload": "QUJD\nREVG"},
        {"payload": "ÄÖ=="},
        {"annotations": []},
        {"annotations": {"a": 1}},
        {"annotations": "x"},
    ],
)
def test_members_of_another_form_are_refused(members):
    with pytest.raises(BadSignatureError):
        unframe(cosign(**members))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{", b"{}{}", b'{"mimeType":"a","mimeType":"b"}', b"\xff", b'"x"']
)
def test_what_is_no_wrapper_is_refused(data):
    with pytest.raises(BadSignatureError):
        unframe(b"\0sigstore-json\n" + data)


def test_a_payload_past_the_cap_is_refused():
    with pytest.raises(BadSignatureError, match="at most"):
        unframe(cosign(payload="A" * (limits.PAYLOAD_BYTES * 4 // 3 + 8)))


@pytest.mark.parametrize("name", ["sig-s1-1", "mixed-both-2"])
def test_skopeo_s_sigstore_files(name):
    found = unframe((LAB / name).read_bytes())
    assert isinstance(found, UntrustedCosignSignature)
    assert json.loads(found.payload)["critical"]["type"] == "cosign container image signature"
    assert found.signature


@pytest.mark.parametrize("name", ["gpg-rsa-1", "gpg-named-1", "mixed-both-1"])
def test_skopeo_s_gpg_files(name):
    found = unframe((LAB / name).read_bytes())
    assert isinstance(found, UntrustedSimpleSignature)
    assert found.message[0] == 0xA3


prefixes = st.sampled_from([b"", b"\0", b"\0simple-signing\n", b"\0sigstore-json\n", b'\0sigstore-json\n{"payload":'])


@given(prefixes, st.binary(max_size=200))
def test_any_bytes_are_a_signature_or_refused(prefix, rest):
    try:
        found = unframe(prefix + rest)
    except BadSignatureError:
        return
    assert isinstance(found, UntrustedSimpleSignature | UntrustedCosignSignature | UnknownStoredSignature)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=8), lambda inner: st.dictionaries(
    st.sampled_from(["mimeType", "payload", "annotations", "x"]), inner | st.just(COSIGN), max_size=4
)))  # fmt: skip
def test_any_document_is_a_signature_or_refused(document):
    try:
        found = unframe(b"\0sigstore-json\n" + json.dumps(document).encode())
    except BadSignatureError:
        return
    assert isinstance(found, UntrustedCosignSignature | UnknownStoredSignature)
