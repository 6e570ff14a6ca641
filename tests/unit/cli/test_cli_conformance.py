"""``plimsoll conformance``: its arguments, what excludes what, and the exit code, which is all that the suite looks at."""

from __future__ import annotations

from functools import cache

import pytest

from fakes.signing import signer
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore
from plimsoll.cli.main import main
from plimsoll.model.digest import Digest

DATA = b"a file"
IDENTITY = ["--certificate-identity", SUBJECT, "--certificate-oidc-issuer", OIDC]


@cache
def sigstore():
    return PrivateSigstore()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    contents = {
        "keyless": sigstore().sign(DATA).data,
        "keyed": sigstore().sign(DATA, by=signer()).data,
        "key.pub": signer().pem,
        "root.json": sigstore().root_bytes(),
        "artifact": DATA,
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path


def run(*words, capfd):
    code = main(["conformance", *words])
    said = capfd.readouterr()
    assert said.out == ""
    return code, said.err


def verify(bundle, who, *more, capfd, artifact="artifact"):
    return run("verify-bundle", "--bundle", bundle, *who, *more, artifact, capfd=capfd)


ROOT = ["--trusted-root", "root.json"]


def test_a_certificate_and_a_key(folder, capfd):
    assert verify("keyless", IDENTITY, *ROOT, capfd=capfd) == (0, "")
    assert verify("keyed", ["--key", "key.pub"], *ROOT, capfd=capfd) == (0, "")
    assert verify("keyed", IDENTITY, *ROOT, capfd=capfd)[1].startswith("plimsoll: untrusted-key: ")
    assert verify("keyless", ["--key", "key.pub"], *ROOT, capfd=capfd)[1].startswith("plimsoll: untrusted-key: ")


def test_a_digest_in_either_case_and_none(folder, capfd):
    digest = Digest.of(DATA)
    for word, code in (
        (str(digest), 0),
        (f"sha256:{digest.hex.upper()}", 0),
        (f"sha256:{'0' * 64}", 1),
        (f"sha256:{digest.hex[1:]}", 1),
        (f"sha512:{'0' * 128}", 1),
        ("missing", 1),
    ):
        assert verify("keyless", IDENTITY, *ROOT, artifact=word, capfd=capfd)[0] == code, word


def test_without_a_root_the_public_good_one_is_used(folder, capfd):
    assert verify("keyless", IDENTITY, capfd=capfd)[1].startswith("plimsoll: log-proof-invalid: ")


def test_staging_needs_a_root(folder, capfd):
    assert verify("keyless", IDENTITY, "--staging", *ROOT, capfd=capfd) == (0, "")
    code, said = verify("keyless", IDENTITY, "--staging", capfd=capfd)
    assert code == 1
    assert "--trusted-root" in said


@pytest.mark.parametrize(
    "who",
    [
        [],
        IDENTITY[:2],
        IDENTITY[2:],
        [*IDENTITY, "--key", "key.pub"],
        [*IDENTITY[:2], "--key", "key.pub"],
        ["--certificate-identity", "", "--certificate-oidc-issuer", OIDC],
    ],
    ids=range(6),
)
def test_a_signer_is_a_key_or_a_subject_with_its_issuer(folder, who, capfd):
    code, said = verify("keyless", who, *ROOT, capfd=capfd)
    assert code == 1
    assert "plimsoll: " in said


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("keyless", "configuration"),
        ("key.pub", "key-unreadable"),
        ("root.json", "trust-root-invalid"),
        ("artifact", "configuration"),
    ],
)
def test_a_file_that_is_missing_is_named(folder, name, reason, capfd):
    (folder / name).unlink()
    who = ["--key", "key.pub"] if name == "key.pub" else IDENTITY
    code, said = verify("keyless", who, *ROOT, capfd=capfd)
    assert code == 1
    assert said.startswith(f"plimsoll: {reason}: ")
    assert name in said


def test_the_bundle_and_one_artifact_are_needed(folder, capfd):
    assert run("verify-bundle", *IDENTITY, "artifact", capfd=capfd)[0] == 1
    assert run("verify-bundle", "--bundle", "keyless", *IDENTITY, capfd=capfd)[0] == 1
    assert verify("keyless", IDENTITY, "artifact", capfd=capfd)[0] == 1


def test_an_unknown_action(capfd):
    assert run("verify", capfd=capfd)[0] == 1
    assert run(capfd=capfd)[0] == 1


def test_the_actions_are_listed(capfd):
    assert main(["conformance", "--help"]) == 0
    assert "verify-bundle" in capfd.readouterr().out
