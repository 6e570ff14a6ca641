"""Each kind of reference from the text to the key, against services that really answer."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fakes.key_services import TOKEN, kms_key, serving, transit_key
from fakes.pki import authority
from fakes.softhsm import ESCAPED, PIN, soft_token
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.pipeline.key_references import read_key_reference
from plimsoll.pipeline.policies import Policy
from plimsoll.policy.requirements import LogDemand
from plimsoll.signatures.x509 import Certificate

UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"


@functools.cache
def key(number=0):
    return PublicKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())


def read(text, *, environ=None, **options):
    return parse_pem_key(read_key_reference(text, environ=environ or {}, **options).data)


def refused(text, *, environ=None, **options):
    with pytest.raises(UnreadableKeyError) as found:
        read(text, environ=environ, **options)
    return str(found.value)


# --- files and variables ---------------------------------------------------------------------------------------------


def test_a_file_and_a_variable(tmp_path):
    path = tmp_path / "k.pub"
    path.write_bytes(key().pem)
    assert read(str(path)) == key()
    assert read("env://K", environ={"K": key().pem.decode()}) == key()


@pytest.mark.parametrize("environ", [{}, {"K": ""}, {"K": "x" * 2_000_000}])
def test_a_variable_without_a_key(environ):
    assert "'env://K', which --key names: the variable " in refused("env://K", environ=environ, where="--key")


def test_a_path_like_is_always_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env:").mkdir()
    (tmp_path / "env:" / "K").write_bytes(key().pem)

    class Named:
        def __fspath__(self):
            return "env://K"

    assert parse_pem_key(read_key_reference(Named(), environ={"K": "no"}).data) == key()


def test_a_policy_of_references():
    policy = Policy.from_keys("env://K", log=LogDemand.IGNORED, environ={"K": key().pem.decode()})
    assert policy.ad_hoc[0].keys == (key(),)
    with pytest.raises(UnreadableKeyError, match=r"--key env://K: .*not set"):
        Policy.from_keys("env://K", log=LogDemand.IGNORED, environ={})
    with pytest.raises(UnreadableKeyError, match=r"--key pkcs11:object=k: ") as found:
        Policy.from_keys("pkcs11:object=k?pin-value=13579", log=LogDemand.IGNORED, environ={})
    assert "13579" not in str(found.value)


# --- Vault -----------------------------------------------------------------------------------------------------------


def vault(service, **more):
    return {"VAULT_ADDR": f"http://{service.netloc}", "VAULT_TOKEN": TOKEN, "HOME": "/nonexistent"} | more


def test_a_key_of_a_vault():
    answers = {
        "/v1/transit/keys/release": (200, transit_key(key().pem.decode())),
        "/base/v1/team/keys/release": (200, transit_key(key(1).pem.decode())),
    }
    with serving(answers) as service:
        assert read("hashivault://release", environ=vault(service)) == key()
        assert read("openbao://release", environ=vault(service)) == key()
        other = vault(service, VAULT_ADDR=f"http://{service.netloc}/base/", TRANSIT_SECRET_ENGINE_PATH="team")
        assert read("hashivault://release", environ=other | {"VAULT_NAMESPACE": "acme"}) == key(1)
    assert [headers["Authorization"] for _, headers, _ in service.asked] == [f"Bearer {TOKEN}"] * 3
    assert service.asked[2][1]["X-Vault-Namespace"] == "acme"


def test_the_token_that_a_login_left(tmp_path):
    (tmp_path / ".vault-token").write_text(f"{TOKEN}\n")
    with serving({"/v1/transit/keys/release": (200, transit_key(key().pem.decode()))}) as service:
        environ = vault(service, HOME=str(tmp_path)) | {"VAULT_TOKEN": ""}
        assert read("hashivault://release", environ=environ) == key()
    assert service.asked[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_a_vault_is_asked_from_within_a_running_loop_too():
    async def within(environ):
        return read("hashivault://release", environ=environ)

    with serving({"/v1/transit/keys/release": (200, transit_key(key().pem.decode()))}) as service:
        assert asyncio.run(within(vault(service))) == key()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((403, {"errors": [TOKEN]}), "may not read"),
        ((404, {"errors": []}), "no such key"),
        ((200, b"x" * 1_100_000), "1048576"),
        ((307, b""), "no such key"),  # the redirect's target has none
    ],
)
def test_a_vault_that_gives_no_key(answer, says):
    with serving({"/v1/transit/keys/release": answer}) as service:
        message = refused("hashivault://release", environ=vault(service))
    assert says in message
    assert "hashivault://release" in message
    assert TOKEN not in message


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "VAULT_ADDR is not set"),
        ({"VAULT_ADDR": "https://vault.example"}, "VAULT_TOKEN is not set"),
        ({"VAULT_ADDR": "https://vault.example", "VAULT_TOKEN": "a\r\nb"}, "a character that no token has"),
        ({"VAULT_ADDR": "http://vault.example", "VAULT_TOKEN": TOKEN}, "plain http"),
        ({"VAULT_ADDR": f"https://u:{TOKEN}@[", "VAULT_TOKEN": TOKEN}, "VAULT_ADDR"),
        ({"VAULT_ADDR": "vault.example", "VAULT_TOKEN": TOKEN}, "no https URL"),
        (
            {"VAULT_ADDR": "https://vault.example", "VAULT_TOKEN": TOKEN, "TRANSIT_SECRET_ENGINE_PATH": "../sys"},
            "TRANSIT_SECRET_ENGINE_PATH",
        ),
    ],
)
def test_a_vault_is_spoken_to_by_https_and_with_a_token(environ, says):
    message = refused("hashivault://release", environ={"HOME": "/nonexistent"} | environ)
    assert says in message
    assert f"Bearer {TOKEN}" not in message


# --- AWS KMS ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch):
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra aws)")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "of-no-use",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return monkeypatch


def test_a_key_of_aws(aws):
    arn = f"arn:aws:kms:us-west-2:123456789012:key/{UUID}"
    large = PublicKey.of(rsa.generate_private_key(65537, 2048).public_key())
    with serving({UUID: (200, kms_key(key().spki)), arn: (200, kms_key(large.spki))}) as service:
        assert read(f"awskms://{service.netloc}/{UUID}") == key()
        aws.delenv("AWS_DEFAULT_REGION")  # an ARN says where its key is
        assert read(f"awskms://{service.netloc}/{arn}") == large
    assert [headers["X-Amz-Target"] for _, headers, _ in service.asked] == ["TrentService.GetPublicKey"] * 2
    assert "/us-west-2/kms/" in service.asked[1][1]["Authorization"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((400, {"__type": "NotFoundException"}), "NotFoundException"),
        ((400, {"__type": "AccessDeniedException", "message": "x"}), "AccessDeniedException"),
        ((200, kms_key(b"not a key")), "no key in these 9 bytes"),
        ((200, {"KeyId": "x", "KeyUsage": "SIGN_VERIFY"}), "no public key"),
        ((200, kms_key(b"x", usage="ENCRYPT_DECRYPT")), "no key for signing"),
    ],
)
def test_a_kms_that_gives_no_key(aws, answer, says):
    with serving({UUID: answer}) as service:
        message = refused(f"awskms://{service.netloc}/{UUID}")
    assert says in message
    assert UUID in message


def test_aws_without_region_or_credentials(aws):
    aws.delenv("AWS_DEFAULT_REGION")
    assert "region" in refused(f"awskms:///{UUID}")
    aws.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.delenv("AWS_ACCESS_KEY_ID")
    with serving({}) as service:
        assert "redentials" in refused(f"awskms://{service.netloc}/{UUID}")
    assert service.asked == []


# --- PKCS#11 ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def token():
    return soft_token()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (["object=ec"], ec.EllipticCurvePublicKey),
        (["id=%01"], ec.EllipticCurvePublicKey),
        (["object=ec", "id=%01", "type=public"], ec.EllipticCurvePublicKey),
        (["object=rsa"], rsa.RSAPublicKey),
        (["object=twin", "id=%05"], ec.EllipticCurvePublicKey),
    ],
)
def test_a_key_of_a_token(token, path, kind):
    assert isinstance(read(token.uri(*path)).crypto, kind)
    assert read(token.uri(*path, pin=False)) == read(token.uri(*path))


def test_an_ed25519_key_verifies_what_the_token_signs(token):
    with token.open() as session:
        private = session.get_key(label="ed", object_class=token.api.ObjectClass.PRIVATE_KEY)
        signature = private.sign(b"hello", mechanism=token.api.Mechanism.EDDSA)
    read(token.uri("object=ed")).crypto.verify(signature, b"hello")


def test_the_module_and_the_pin_from_elsewhere(token, tmp_path):
    pin = tmp_path / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    uri = f"pkcs11:{ESCAPED};object=ec"
    environ = {"COSIGN_PKCS11_MODULE_PATH": token.module}
    expected = read(token.uri("object=ec"))
    assert read(uri, environ=environ) == expected
    assert read(uri, environ=environ | {"COSIGN_PKCS11_PIN": PIN}) == expected
    assert read(f"{uri}?pin-source=file://{pin}", environ=environ) == expected


def test_a_certificate_on_the_token(token):
    issued = authority("on the token")
    leaf = Certificate(issued.der).key
    with token.open() as session:
        stored = session.create_object(
            {
                token.api.Attribute.CLASS: token.api.ObjectClass.CERTIFICATE,
                token.api.Attribute.CERTIFICATE_TYPE: token.api.CertificateType.X_509,
                token.api.Attribute.TOKEN: True,
                token.api.Attribute.LABEL: "ec",
                token.api.Attribute.ID: b"\x77",
                token.api.Attribute.SUBJECT: b"",
                token.api.Attribute.VALUE: issued.der,
            }
        )
        try:
            assert read(token.uri("id=%77")) == leaf
            assert read(token.uri("object=ec", "type=cert")) == leaf
            assert "2 keys of that name" in refused(token.uri("object=ec"))
            assert read(token.uri("object=ec", "type=public")) != leaf
        finally:
            stored.destroy()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (["object=none"], "no such public key"),
        (["object=ec", "id=%02"], "no such public key"),
        (["object=twin"], "2 keys of that name"),
        (["object=koblitz"], "P-256, P-384"),
        (["object=ec", "type=private"], "names no public key"),
        (["object=ec", "type=cert"], "no such public key"),
        (["object=ec", "serial=1"], "no such token"),
        (["object=ec", "slot-id=4000000000"], "no such token"),
        (["object=ec", "model=YubiKey"], "no such token"),
        (["object=ec", "manufacturer=acme"], "no such token"),
    ],
)
def test_a_token_without_that_one_key(token, path, says):
    assert says in refused(token.uri(*path))


def test_two_tokens_are_one_too_many(token):
    assert "such tokens: add token=" in refused(f"pkcs11:object=ec?module-path={token.module}")


def test_a_wrong_pin_is_tried_once_and_not_told(token):
    message = refused(token.uri("object=ec", pin=False, query="pin-value=86421357"))
    assert "PinIncorrect" in message
    assert "86421357" not in message


def test_modules_that_are_none(token, tmp_path):
    (tmp_path / "m.so").write_bytes(b"no library")
    assert "no PKCS#11 module" in refused(f"pkcs11:object=k?module-path={tmp_path}/m.so")
    assert "no module is named" in refused("pkcs11:object=k")
    assert "no absolute path" in refused("pkcs11:object=k", environ={"COSIGN_PKCS11_MODULE_PATH": "m.so"})
    where = f"pkcs11:object=k?module-path={token.module}&pin-source="
    assert "its PIN" in refused(f"{where}/no/such/pin")


# --- what a run may do -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hashivault://release", "openbao://release", f"awskms:///{UUID}"])
def test_offline_asks_nobody(text):
    with serving({}) as service:
        assert "--offline forbids" in refused(text, environ=vault(service), offline=True)
    assert service.asked == []


def test_offline_leaves_what_is_here(token):
    assert read("env://K", environ={"K": key().pem.decode()}, offline=True) == key()
    assert read(token.uri("object=ec"), offline=True) == read(token.uri("object=ec"))


@pytest.mark.parametrize(
    ("text", "package", "extra"),
    [
        ("pkcs11:object=k?module-path=/m.so", "pkcs11", "plimsoll[pkcs11]"),
        (f"awskms:///{UUID}", "boto3", "plimsoll[aws]"),
    ],
)
def test_an_extra_that_is_missing_is_named(text, package, extra):
    """In an interpreter of its own, where the package cannot be imported."""
    code = f"""
import sys
sys.modules[{package!r}] = None
from plimsoll.errors import UnreadableKeyError
from plimsoll.pipeline.key_references import read_key_reference
try:
    read_key_reference({text!r}, environ={{}})
except UnreadableKeyError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert extra in found.stdout
