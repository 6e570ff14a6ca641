from __future__ import annotations

import base64
import json
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from fakes.key_services import transit_key
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.wire import Reply, parse_vault_key, vault_key_request

OLD, NEW = [PublicKey.of(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(2)]
PEMS = [key.pem.decode() for key in (OLD, NEW)]


def reply(document, status=200):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status=status, headers=MappingProxyType({}), body=body)


def test_what_is_asked():
    asked = vault_key_request("release", base="/vault", mount="/team/transit/", namespace="acme/")
    assert asked.target == "/vault/v1/team/transit/keys/release"
    assert ("X-Vault-Namespace", "acme/") in asked.headers
    assert asked.is_read


@pytest.mark.parametrize("mount", ["", "/", "a//b", "..", "a/../sys", "a?b", "a b", "a/.", "ü"])
def test_a_mount_climbs_nowhere(mount):
    with pytest.raises(UnreadableKeyError, match="TRANSIT_SECRET_ENGINE_PATH"):
        vault_key_request("release", base="", mount=mount)


@pytest.mark.parametrize("namespace", ["a\r\nX: y", "ü", "a b"])
def test_a_namespace_stays_in_its_field(namespace):
    with pytest.raises(UnreadableKeyError, match="VAULT_NAMESPACE"):
        vault_key_request("release", base="", mount="transit", namespace=namespace)


def test_the_newest_version_is_the_key():
    assert parse_vault_key(reply(transit_key(*PEMS))) == NEW
    assert parse_vault_key(reply(transit_key(*PEMS, latest=1))) == OLD


def test_an_ed25519_key_comes_without_pem():
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    assert parse_vault_key(reply(transit_key(raw, kind="ed25519"))) == PublicKey.of(public)


@pytest.mark.parametrize(
    ("document", "status", "says"),
    [
        (transit_key(*PEMS), 403, "may not read"),
        (transit_key(*PEMS), 404, "no such key"),
        (transit_key(*PEMS), 400, "transit engine"),
        (transit_key(*PEMS), 204, "answered 204"),
        (b"<html>", 200, "no strict JSON"),
        (b'{"data":{},"data":{}}', 200, "no strict JSON"),
        ([], 200, "lacks the versions"),
        ({"data": {"keys": {"1": {"public_key": PEMS[0]}}}}, 200, "lacks the versions"),
        ({"data": {"keys": {"1": {"public_key": PEMS[0]}}, "latest_version": True}}, 200, "lacks the versions"),
        ({"data": {"keys": [], "latest_version": 1}}, 200, "lacks the versions"),
        (transit_key(PEMS[0], latest=2), 200, "no public key"),
        ({"data": {"keys": {"1": 1_700_000_000}, "latest_version": 1}}, 200, "no public key"),  # aes256-gcm96
        (transit_key(""), 200, "no public key"),
        (transit_key("no pem"), 200, "no PEM block"),
        (transit_key(PEMS[0] + PEMS[1]), 200, "2 PEM blocks"),
        (transit_key(PEMS[0], kind="ed25519"), 200, "no base64"),
        (transit_key("AAAA", kind="ed25519"), 200, "3 bytes, not 32"),
    ],
)
def test_anything_else_is_no_key(document, status, says):
    with pytest.raises(UnreadableKeyError) as refused:
        parse_vault_key(reply(document, status))
    assert says in str(refused.value)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=8),
            lambda inner: st.dictionaries(
                st.sampled_from(["data", "keys", "latest_version", "1", "public_key", "type"]), inner, max_size=4
            ),
            max_leaves=12,
        ),
        st.text(max_size=60).map(lambda text: transit_key(text, kind="ed25519")),
        st.text(max_size=60).map(transit_key),
    )
)
def test_whatever_is_answered_is_a_key_or_unreadable(document):
    try:
        found = parse_vault_key(reply(document))
    except UnreadableKeyError:
        return
    assert isinstance(found, PublicKey)
