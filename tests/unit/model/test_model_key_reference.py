from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.key_reference import (
    AwsKey,
    FileKey,
    VariableKey,
    VaultKey,
    parse_key_reference,
    shown_reference,
)
from plimsoll.model.token_uri import TokenKey, parse_token_uri, shown_token_uri

UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:123456789012:key/{UUID}"
SECRET = "24681357"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("cosign.pub", FileKey(path="cosign.pub")),
        ("/a/b:c.pub", FileKey(path="/a/b:c.pub")),
        ("./env://X", FileKey(path="./env://X")),
        ("./pkcs11:x", FileKey(path="./pkcs11:x")),
        ("", FileKey(path="")),
        ("env://PUB_KEY", VariableKey(name="PUB_KEY")),
        ("ENV://PUB_KEY", VariableKey(name="PUB_KEY")),
        ("hashivault://release", VaultKey(name="release")),
        ("openbao://release-2.x", VaultKey(name="release-2.x")),
        (f"awskms:///{UUID}", AwsKey(key_id=UUID)),
        ("awskms:///alias/team/release", AwsKey(key_id="alias/team/release")),
        (f"awskms:///{ARN}", AwsKey(key_id=ARN, region="eu-central-1")),
        (f"awskms://LOCALHOST:4566/{UUID}", AwsKey(key_id=UUID, endpoint="localhost:4566")),
        (f"awskms://[::1]:4566/{UUID}", AwsKey(key_id=UUID, endpoint="[::1]:4566")),
        (f"awskms:///mrk-{'a' * 32}", AwsKey(key_id=f"mrk-{'a' * 32}")),
    ],
)
def test_what_a_text_names(text, key):
    assert parse_key_reference(text).key == key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("env://", "env://NAME"),
        ("env://A B", "env://NAME"),
        ("env://A\n", "env://NAME"),
        ("hashivault://", "transit key"),
        ("hashivault://../../sys/seal", "transit key"),
        ("hashivault://a/b", "transit key"),
        ("openbao://a?x=1", "openbao://KEY"),
        ("hashivault://..", "transit key"),
        (f"awskms://{UUID}", "awskms://[HOST[:PORT]]/ID"),
        ("awskms:///", "awskms://[HOST[:PORT]]/ID"),
        (f"awskms://user@host/{UUID}", "awskms://[HOST[:PORT]]/ID"),
        (f"awskms:///{UUID}\n", "awskms://[HOST[:PORT]]/ID"),
        (f"awskms://host/x/{UUID}", "awskms://[HOST[:PORT]]/ID"),
        ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "not built yet"),
        ("azurekms://name.vault.azure.net/key", "not built yet"),
        ("k8s://ns/secret", "are not read"),
        ("gitlab://owner/project", "are not read"),
        ("https://keys.example/release.pub", "download the key"),
        ("http://127.0.0.1/release.pub", "download the key"),
        ("acme://key", "plugins are not run"),
    ],
)
def test_what_is_refused_and_how(text, says):
    with pytest.raises(UnreadableKeyError) as refused:
        parse_key_reference(text)
    assert says in str(refused.value)


def test_a_token_uri_in_full():
    uri = (
        "pkcs11:token=My%20token;manufacturer=piv_II;serial=a1;model=X;slot-id=7;object=k%3Bey;id=%01%FF;type=public"
        f"?module-path=file:///usr/lib/p11.so&pin-value={SECRET}"
    )
    found = parse_token_uri(uri)
    assert found == TokenKey(
        token="My token",
        manufacturer="piv_II",
        serial="a1",
        model="X",
        slot_id=7,
        label="k;ey",
        id=b"\x01\xff",
        kind="public",
        module_path="/usr/lib/p11.so",
        pin_value=SECRET,
    )
    assert SECRET not in repr(found)
    assert parse_token_uri("pkcs11:object=k?pin-source=file:/run/pin").pin_source == "/run/pin"
    assert parse_token_uri("pkcs11:object=k?pin-source=/run/pin").pin_source == "/run/pin"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("pkcs11:", "must name the key"),
        ("pkcs11:token=t", "must name the key"),
        ("pkcs11:object=", "must name the key"),
        (f"pkcs11:object=k;pin-value={SECRET}", "not used here"),
        (f"pkcs11:object=k;{SECRET}", "not used here"),
        ("pkcs11:object=k;library-version=2", "not used here"),
        ("pkcs11:object=k;x-vendor=2", "not used here"),
        ("pkcs11:object=k;object=j", "object twice"),
        (f"pkcs11:object=k?pin-value={SECRET}&pin-value={SECRET}", "pin-value twice"),
        (f"pkcs11:object=k?pin-value={SECRET}&pin-source=/p", "both pin-value and pin-source"),
        (f"pkcs11:object=k?pin-source=|echo%20{SECRET}", "no absolute path"),
        ("pkcs11:object=k?module-path=p11.so", "no absolute path"),
        ("pkcs11:object=k?module-path=file://host/p11.so", "no absolute path"),
        ("pkcs11:object=k?module-path=/a%00b", "null"),
        ("pkcs11:object=a b", "%XX"),
        ("pkcs11:object=%zz", "%XX"),
        ("pkcs11:object=%ff", "no UTF-8"),
        ("pkcs11:object=k;slot-id=x", "no number"),
        ("pkcs11:object=k;slot-id=%D9%A1", "no number"),
        ("pkcs11:object=k;type=secret-key", "public, cert, private"),
        ("pkcs11:object=" + "k" * limits.KEY_REFERENCE_CHARS, "at most"),
    ],
)
def test_a_token_uri_is_read_strictly(uri, says):
    with pytest.raises(UnreadableKeyError) as refused:
        parse_token_uri(uri)
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)
    assert SECRET not in shown_reference(uri)


def test_what_is_shown_of_a_token_uri():
    assert (
        shown_token_uri(f"pkcs11:token=t;pin-value={SECRET};object=k?pin-value={SECRET}") == "pkcs11:token=t;object=k"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:24681357@h/k?token=24681357", "https://h/k"),
        ("acme://24681357@h", "acme://h"),
        ("a?b@c", "a?b@c"),
    ],
)
def test_no_password_is_shown(text, shown):
    assert shown_reference(text) == shown


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.builds("{}://{}".format, st.sampled_from(["env", "awskms", "hashivault", "x", "k8s"]), st.text()),
        st.builds("pkcs11:{}".format, st.text(alphabet="tokenidbjctpysl-;=?&%0F/ü\0", max_size=40)),
    )
)
def test_any_text_is_a_reference_or_unreadable(text):
    try:
        found = parse_key_reference(text)
    except UnreadableKeyError:
        return
    assert isinstance(found.key, FileKey | VariableKey | VaultKey | AwsKey | TokenKey)
    assert found.shown == shown_reference(text)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_a_label_comes_back_as_it_was_escaped(label):
    escaped = "".join(f"%{byte:02X}" for byte in label.encode())
    assert parse_token_uri(f"pkcs11:object={escaped}").label == label
