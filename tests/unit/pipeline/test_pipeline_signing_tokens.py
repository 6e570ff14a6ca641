from __future__ import annotations

import pytest

from fakes.softhsm import ESCAPED, PIN, soft_token
from plimsoll.errors import SigningError, UnreadableKeyError
from plimsoll.pipeline.key_references import read_key_reference
from plimsoll.pipeline.signing_tokens import is_token_reference, token_signing_key
from plimsoll.signatures.signing import SigningKey
from plimsoll.signatures.verifying import verify_by_key


@pytest.fixture
def token():
    return soft_token()


@pytest.mark.parametrize("path", ["object=ec", "object=rsa", "object=ed", "id=%01;type=private"])
def test_a_token_signs_what_its_public_key_verifies(token, path):
    key = token_signing_key(token.uri(path), environ={})
    signature = key.sign(b"payload")
    verify_by_key(key.public_key, signature=signature, signed=b"payload", hash_name="sha256")
    assert key.public_pem == read_key_reference(token.uri(path.partition(";")[0]), environ={}).data
    assert PIN not in repr(key)


def test_the_pin_from_the_environment(token):
    uri = token.uri("object=ec", pin=False)
    assert token_signing_key(uri, environ={"COSIGN_PKCS11_PIN": PIN}).sign(b"x")
    with pytest.raises(UnreadableKeyError, match="no PIN"):
        token_signing_key(uri, environ={})


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("object=none", "no such public key"),
        ("object=twin", "2 keys of that name"),
        ("object=ec;type=public", "names no private key"),
        ("object=koblitz", "P-256, P-384"),
    ],
)
def test_what_cannot_sign_is_said_before_anything_is_signed(token, path, says):
    with pytest.raises(UnreadableKeyError, match=says) as refused:
        token_signing_key(token.uri(path), environ={})
    assert PIN not in str(refused.value)


def test_a_private_key_that_is_gone_or_doubled(token):
    key = token_signing_key(token.uri("object=ec"), environ={})
    with token.open() as session:
        private = session.get_key(label="ec", object_class=token.api.ObjectClass.PRIVATE_KEY)
        copy = private.copy({token.api.Attribute.TOKEN: True})
        try:
            with pytest.raises(SigningError, match="several such private keys"):
                key.sign(b"x")
        finally:
            copy.destroy()
    assert key.sign(b"x")


def test_a_signature_by_another_key_is_refused(token):
    ours, other = [token_signing_key(token.uri(f"object={name}"), environ={}) for name in ("ec", "rsa")]
    with pytest.raises(SigningError, match="its public key refuses"):
        SigningKey(private=other.private, public_key=ours.public_key).sign(b"x")


def test_a_held_key_is_not_written(token):
    with pytest.raises(SigningError, match="cannot leave"):
        _ = token_signing_key(token.uri("object=ec"), environ={}).pkcs8


def test_what_is_a_token_reference():
    assert is_token_reference(f"PKCS11:{ESCAPED}")
    assert not is_token_reference("./pkcs11:x")
