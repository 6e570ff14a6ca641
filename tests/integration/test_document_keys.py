"""A plimsoll document whose keys are in a Vault, a KMS, a token, the environment; on images that cosign signed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from fakes.key_services import TOKEN, kms_key, serving, transit_key
from fakes.softhsm import ESCAPED, PIN, soft_token
from plimsoll.cli.main import main
from plimsoll.config.keys import read_key_file
from plimsoll.errors import PolicyError
from plimsoll.model.location import locate_path
from plimsoll.model.trust import parse_pem_key
from plimsoll.pipeline.fetched_keys import FetchedKeys
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.requirements_at import RequirementsAt
from plimsoll.pipeline.verifier import Verifier

LAB = Path(__file__).parents[1] / "vectors" / "cosign"
VAULT_KEY = "/v1/transit/keys/release"
ELSEWHERE = {
    "VAULT_ADDR": None,
    "VAULT_TOKEN": TOKEN,
    "VAULT_NAMESPACE": None,
    "TRANSIT_SECRET_ENGINE_PATH": None,
    "COSIGN_PKCS11_MODULE_PATH": None,
    "COSIGN_PKCS11_PIN": None,
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "of-these-tests",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name, value in ELSEWHERE.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))


def pem(name):
    return (LAB / "keys" / f"{name}.pub").read_bytes()


def vault(name):
    return {VAULT_KEY: (200, transit_key(pem(name).decode()))}


def write(folder, uri, **more):
    path = folder / "policy.json"
    asked = {"signatures": {"from": ["release"], "log": "ignore"}}
    path.write_text(
        json.dumps({"apiVersion": "plimsoll/v1", "keys": {"release": {"uri": uri}}, "default": [asked]} | more)
    )
    return path


def judged(capfd, policy, image, *words):
    code = main(["verify", "--policy", str(policy), "--format", "jsonl", *words, f"oci:{LAB}/{image}:v1"])
    out, err = capfd.readouterr()
    assert code in (0, 3, 4), err
    assert "Traceback" not in err
    found = json.loads(out.splitlines()[0])
    assert not [secret for secret in (TOKEN, PIN, "of-these-tests") if secret in out + err]
    return found["verdict"], [reason["code"] for reason in found["reasons"]], json.dumps(found["reasons"])


def accepts_its_own_and_no_other(capfd, policy):
    """The policy trusts k1: images of k1 only."""
    assert judged(capfd, policy, "cosign-k1")[0] == "accepted"
    assert judged(capfd, policy, "cosign-rsa3072")[:2] == ("rejected", ["untrusted-key"])
    assert judged(capfd, policy, "unsigned")[:2] == ("rejected", ["no-signature"])


def says_why_it_knows_nothing(capfd, policy, uri, *words):
    verdict, codes, told = judged(capfd, policy, "cosign-k1", *words)
    assert (verdict, codes[0]) == ("undetermined", "key-unreadable")
    assert uri in told
    assert "keys.release" in told
    assert judged(capfd, policy, "unsigned", *words)[:2] == ("rejected", ["no-signature"])
    return told


# --- Vault, KMS ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["hashivault", "openbao"])
def test_a_vault(capfd, tmp_path, monkeypatch, scheme):
    policy = write(tmp_path, f"{scheme}://release")
    with serving(vault("k1")) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        accepts_its_own_and_no_other(capfd, policy)
    with serving(vault("k2")) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        assert judged(capfd, policy, "cosign-k1")[:2] == ("rejected", ["untrusted-key"])


def test_a_vault_that_is_down_or_says_no(capfd, tmp_path, monkeypatch):
    policy = write(tmp_path, "hashivault://release")
    assert "VAULT_ADDR is not set" in says_why_it_knows_nothing(capfd, policy, "hashivault://release")
    with serving({VAULT_KEY: (403, {"errors": [TOKEN]})}) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        assert "may not read" in says_why_it_knows_nothing(capfd, policy, "hashivault://release")
    says_why_it_knows_nothing(capfd, policy, "hashivault://release")  # nobody listens there any more


def test_aws(capfd, tmp_path):
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra aws)")
    with serving({"alias/release": (200, kms_key(parse_pem_key(pem("k1")).spki))}) as service:
        policy = write(tmp_path, f"awskms://{service.netloc}/alias/release")
        accepts_its_own_and_no_other(capfd, policy)
        service.answers["alias/release"] = (200, kms_key(parse_pem_key(pem("k2")).spki))
        assert judged(capfd, policy, "cosign-k1")[0] == "rejected"
        service.answers["alias/release"] = (400, {"__type": "AccessDeniedException"})
        says_why_it_knows_nothing(capfd, policy, f"awskms://{service.netloc}/alias/release")


@pytest.mark.parametrize("uri", ["hashivault://release", "awskms://{}/alias/release"])
def test_offline_asks_nobody(capfd, tmp_path, monkeypatch, uri):
    with serving(vault("k1")) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        uri = uri.format(service.netloc)
        told = says_why_it_knows_nothing(capfd, write(tmp_path, uri), uri, "--offline")
    assert "--offline forbids" in told
    assert service.asked == []


def test_offline_holds_for_both_sides_of_a_diff(capfd, tmp_path, monkeypatch):
    policy = write(tmp_path, "hashivault://release")
    with serving(vault("k1")) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        words = ["policy", "diff", str(policy), str(policy), f"oci:{LAB}/cosign-k1:v1"]
        assert (main(words), len(service.asked)) == (0, 2)
        assert (main([*words, "--offline"]), len(service.asked)) == (4, 2)
    capfd.readouterr()


def test_many_images_and_lists_ask_once(tmp_path, monkeypatch):
    part = {"signatures": {"from": ["release"], "log": "ignore"}}
    rules = [{"scope": f"oci:{LAB.resolve()}/cosign-k1", "require": [{"anyOf": [{"allOf": [part]}, part]}]}]
    policy = Policy.from_file(write(tmp_path, "hashivault://release", rules=rules))

    async def run():
        async with Verifier(policy) as verifier, asyncio.timeout(60):
            images = [f"oci:{LAB}/{name}:v1" for name in ("cosign-k1", "cosign-rsa3072", "unsigned")]
            return await asyncio.gather(*[verifier.verify(image) for image in images * 3])

    with serving(vault("k1")) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        verdicts = asyncio.run(run())
    assert [each.outcome.value for each in verdicts] == ["accepted", "rejected", "rejected"] * 3
    assert len(service.asked) == 1


# --- the environment -------------------------------------------------------------------------------------------------


def test_a_variable(capfd, tmp_path, monkeypatch):
    policy = write(tmp_path, "env://RELEASE_KEY")
    monkeypatch.setenv("RELEASE_KEY", pem("k1").decode())
    accepts_its_own_and_no_other(capfd, policy)
    assert judged(capfd, policy, "cosign-k1", "--offline")[0] == "accepted"
    monkeypatch.setenv("RELEASE_KEY", "no key")
    says_why_it_knows_nothing(capfd, policy, "env://RELEASE_KEY")
    monkeypatch.delenv("RELEASE_KEY")
    assert "not set" in says_why_it_knows_nothing(capfd, policy, "env://RELEASE_KEY")


def test_a_path_is_never_a_reference(tmp_path, monkeypatch):
    monkeypatch.setenv("RELEASE_KEY", pem("k1").decode())
    document = write(tmp_path, "env://RELEASE_KEY", keys={"release": {"path": "env://RELEASE_KEY"}})
    with pytest.raises(PolicyError, match="is no path"):
        Policy.from_file(document)
    identity = {"type": "exactRepository", "dockerRepository": "registry.example/acme/app"}
    asked = {"type": "sigstoreSigned", "keyPath": "env://RELEASE_KEY", "signedIdentity": identity}
    policy_json = tmp_path / "plain.json"
    policy_json.write_text(json.dumps({"default": [asked]}))
    requirements = RequirementsAt(
        policy=Policy.from_file(policy_json),
        trust=None,
        registries_d=None,
        read_key=read_key_file,
        fetched=FetchedKeys(pytest.fail, executor=None),
    )
    (item,) = asyncio.run(requirements.at(locate_path("oci", str(LAB / "cosign-k1")), None)).requirements
    assert item.trust.code == "key-unreadable"


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def token():
    """The token, with the public key of k1."""
    made = soft_token()
    api = made.api
    attributes = api.util.ec.decode_ec_public_key(parse_pem_key(pem("k1")).spki)
    with made.open() as session:
        session.create_object({**attributes, api.Attribute.LABEL: "k1", api.Attribute.TOKEN: True})
    return made


def test_a_token(capfd, tmp_path, monkeypatch, token):
    monkeypatch.setenv("COSIGN_PKCS11_MODULE_PATH", token.module)
    accepts_its_own_and_no_other(capfd, write(tmp_path, f"pkcs11:{ESCAPED};object=k1"))
    assert judged(capfd, write(tmp_path, f"pkcs11:{ESCAPED};object=ec"), "cosign-k1")[0] == "rejected"
    uri = f"pkcs11:{ESCAPED};object=nobody"
    says_why_it_knows_nothing(capfd, write(tmp_path, uri), uri)


def test_a_pin_from_a_file_or_the_environment(capfd, tmp_path, monkeypatch, token):
    monkeypatch.setenv("COSIGN_PKCS11_MODULE_PATH", token.module)
    (tmp_path / "pin").write_text(f"{PIN}\n")
    sourced = write(tmp_path, f"pkcs11:{ESCAPED};object=k1?pin-source={tmp_path}/pin")
    assert judged(capfd, sourced, "cosign-k1", "--offline")[0] == "accepted"
    monkeypatch.setenv("COSIGN_PKCS11_PIN", PIN)
    assert judged(capfd, write(tmp_path, f"pkcs11:{ESCAPED};object=k1"), "cosign-k1")[0] == "accepted"


def test_without_a_module_in_the_environment_none_is_loaded(capfd, tmp_path):
    uri = f"pkcs11:{ESCAPED};object=k1"
    assert "COSIGN_PKCS11_MODULE_PATH" in says_why_it_knows_nothing(capfd, write(tmp_path, uri), uri)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("module-path=/usr/lib/x.so", "COSIGN_PKCS11_MODULE_PATH"),
        ("module-path=/usr/lib/x.so&pin-value=24680", "COSIGN_PKCS11_MODULE_PATH"),
        ("pin-value=24680", "pin-source"),
    ],
)
def test_a_document_names_no_code_and_no_pin(capfd, tmp_path, query, says):
    policy = write(tmp_path, f"pkcs11:object=k1?{query}")
    assert main(["verify", "--policy", str(policy), f"oci:{LAB}/cosign-k1:v1"]) == 1
    err = capfd.readouterr().err
    assert says in err
    assert "keys.release.uri" in err
    assert "24680" not in err


# --- lint ------------------------------------------------------------------------------------------------------------


def test_lint_reads_them_when_asked(capfd, tmp_path, monkeypatch):
    def codes(policy, *words):
        assert main(["policy", "lint", "--format", "json", *words, str(policy)]) == 0
        return [each["code"] for each in json.loads(capfd.readouterr().out)["warnings"]]

    policy = write(tmp_path, "hashivault://release")
    with serving(vault("k1")) as service:
        monkeypatch.setenv("VAULT_ADDR", f"http://{service.netloc}")
        assert (codes(policy), service.asked) == ([], [])
        assert (codes(policy, "--check-keys"), len(service.asked)) == ([], 1)
    assert codes(policy, "--check-keys") == ["key-unusable"]
    assert codes(write(tmp_path, "gcpkms://projects/p"), "--check-keys") == ["key-not-supported"]
