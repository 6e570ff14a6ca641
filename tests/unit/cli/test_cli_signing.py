"""The signing commands from a command line: usage, prompts, messages and exit codes; no gpg and no network."""

from __future__ import annotations

import io
import json
import logging
import os
import sys

import pytest

from fakes.layouts import LayoutWriter
from fakes.softhsm import soft_token
from plimsoll.cli import passphrases
from plimsoll.cli.main import main
from plimsoll.signatures.private_keys import encrypt_private_key
from plimsoll.signatures.signing import signing_key_from_seed

TAG = ("--format", "sig", "--tlog-upload=false")
NAME = (*TAG, "--sign-identity", "r.example/app:v1")


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """No environment of the user's, stdin no terminal, and the logger as it was."""
    for name in ("COSIGN_PASSWORD", "GNUPGHOME", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    logger = logging.getLogger("plimsoll")
    before = logger.handlers[:], logger.level
    yield
    logger.handlers[:], logger.level = before


@pytest.fixture
def layout(tmp_path):
    writer = LayoutWriter()
    writer.image("one", name="v1")
    writer.write(tmp_path / "layout")
    return f"oci:{tmp_path}/layout:v1"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A key file whose passphrase is ``open``, and its public half."""
    folder = tmp_path_factory.mktemp("keys")
    key = signing_key_from_seed(b"k" * 48)
    private, public, secret = folder / "k.private", folder / "k.pub", folder / "secret"
    for path in (private, secret):
        path.touch(0o600)
    private.write_bytes(encrypt_private_key(key, passphrase=b"open", salt=b"s" * 32, nonce=b"n" * 24))
    public.write_bytes(key.public_pem)
    secret.write_text("open\n")
    return str(private), str(public), str(secret)


def run(capfd, *words):
    code = main([str(word) for word in words])
    return code, *capfd.readouterr()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate-sigstore-key"], "Usage: generate-sigstore-key --output-prefix PREFIX"),
        (["generate-sigstore-key", "--output-prefix="], "Usage: generate-sigstore-key"),
        (["generate-sigstore-key", "--output-prefix", "k", "more"], "more"),
        (["standalone-sign", "a", "b", "-o", "c"], "Usage: plimsoll standalone-sign"),
        (["standalone-sign", "a", "b", "c"], "Usage: plimsoll standalone-sign"),
        (["standalone-sign", "/no/such", "b", "c", "-o", "d"], "Error reading /no/such"),
        (["standalone-verify", "a", "b", "c"], "Usage: plimsoll standalone-verify"),
        (["standalone-verify", "/no/such", "b", "c", "d"], "Error reading manifest from /no/such"),
        (["sign", "r.example/app"], "nothing to sign with"),
        (["sign", "--key", "/no/such", "r.example/app"], "/no/such"),
        (["sign", "--key", "k"], "IMAGE"),
        (["sign", "--key", "k", "r.example/APP"], "r.example/APP"),
        (["sign", "--key", "k", "--sign-by", "f", "--passphrase-file", "p", "a"], "is for one key"),
    ],
)
def test_wrong_usage_is_a_message_and_exit_1(capfd, monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, *words)
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_standalone_sign_refuses_an_empty_reference_before_gpg_is_asked(capfd, tmp_path):
    (tmp_path / "m").write_text("{}")
    code, out, err = run(capfd, "standalone-sign", tmp_path / "m", "", "A" * 40, "-o", tmp_path / "s")
    assert (code, out) == (1, "")
    assert "Error creating signature: Unexpected empty signature content" in err
    assert not (tmp_path / "s").exists()


def test_docker_schema_1_is_refused(capfd, tmp_path):
    (tmp_path / "m").write_text('{"schemaVersion":1}')
    code, _, err = run(capfd, "standalone-sign", tmp_path / "m", "r.example/app:v1", "A" * 40, "-o", tmp_path / "s")
    assert code == 1
    assert "schema 1" in err


def test_a_machine_without_gpg_is_told_so(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "m").write_text("{}")
    code, _, err = run(capfd, "standalone-sign", tmp_path / "m", "r.example/app:v1", "A" * 40, "-o", tmp_path / "s")
    assert code == 1
    assert "no gpg in PATH" in err


@pytest.mark.parametrize("name", ["ec", "rsa", "ed"])
@pytest.mark.parametrize("form", ["bundle", "sig"])
def test_what_a_token_signs_verifies_by_the_token(capfd, layout, name, form):
    token = soft_token()
    words = ("--format", form, "--tlog-upload=false", "--sign-identity", "r.example/app:v1")
    code, out, err = run(capfd, "sign", "--key", token.uri(f"object={name}"), *words, layout)
    assert (code, err) == (0, "")
    assert "signed as r.example/app:v1" in out
    trust = ("--insecure-ignore-tlog", "--format", "jsonl", "--progress", "none")
    code, out, _ = run(capfd, "verify", "--key", token.uri(f"object={name}", pin=False), *trust, layout)
    assert (code, json.loads(out.splitlines()[0])["verdict"]) == (0, "accepted")
    code, out, _ = run(capfd, "verify", "--key", token.uri("object=twin;id=%05", pin=False), *trust, layout)
    assert (code, json.loads(out.splitlines()[0])["verdict"]) == (3, "rejected")


def test_a_token_takes_its_pin_by_its_own_ways(capfd, layout, pair, monkeypatch):
    monkeypatch.delenv("COSIGN_PKCS11_PIN", raising=False)
    token = soft_token()
    code, _, err = run(capfd, "sign", "--key", token.uri("object=ec"), "--passphrase-file", pair[2], *NAME, layout)
    assert (code, "COSIGN_PKCS11_PIN" in err) == (1, True)
    code, _, err = run(capfd, "sign", "--key", token.uri("object=ec", pin=False), *NAME, layout)
    assert (code, "no PIN" in err) == (1, True)


def test_sign_prints_what_and_where(capfd, layout, pair):
    private, public, secret = pair
    code, out, err = run(capfd, "sign", "--key", private, "--passphrase-file", secret, *NAME, layout)
    assert (code, err) == (0, "")
    digest, rest = out.split(" ", 1)
    path = layout.removesuffix(":v1")
    assert rest == f"signed as r.example/app:v1: {path}:{digest.replace(':', '-')}.sig\n"
    words = ("verify", "--key", public, "--insecure-ignore-tlog", "--format", "jsonl", layout)
    code, out, _ = run(capfd, *words)
    assert code == 0
    assert json.loads(out.splitlines()[0])["signatures"][0]["verified"] is True


def test_skopeo_s_names_for_the_options_are_taken_too(capfd, layout, pair):
    private, _, secret = pair
    words = ("--sign-by-sigstore-private-key", private, "--sign-passphrase-file", secret, *NAME)
    assert run(capfd, "sign", *words, layout)[0] == 0


def test_the_passphrase_comes_from_cosign_s_variable(capfd, layout, pair, monkeypatch):
    monkeypatch.setenv("COSIGN_PASSWORD", "open")
    assert run(capfd, "sign", "--key", pair[0], *NAME, layout)[0] == 0
    monkeypatch.setenv("COSIGN_PASSWORD", "canary")
    code, out, err = run(capfd, "sign", "--key", pair[0], *NAME, layout)
    assert (code, out) == (1, "")
    assert "passphrase does not open it" in err
    assert "canary" not in err


def test_nobody_to_ask_is_a_refusal(capfd, layout, pair, tmp_path):
    code, _, err = run(capfd, "sign", "--key", pair[0], *NAME, layout)
    assert code == 1
    assert f"Cannot prompt for a passphrase for key {pair[0]}, standard input is not a TTY" in err
    code, _, err = run(capfd, "generate-sigstore-key", "--output-prefix", tmp_path / "k")
    assert code == 1
    assert "Cannot prompt for a passphrase" in err
    assert not (tmp_path / "k.pub").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def answers(monkeypatch, *given):
    left = list(given)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(passphrases.getpass, "getpass", lambda _prompt: left.pop(0))


def test_a_person_is_asked_once_to_sign_and_twice_for_a_new_key(capfd, layout, pair, monkeypatch, tmp_path):
    answers(monkeypatch, "open")
    assert run(capfd, "sign", "--key", pair[0], *NAME, layout)[0] == 0
    answers(monkeypatch, "new", "new")
    assert run(capfd, "generate-sigstore-key", "--output-prefix", tmp_path / "k")[0] == 0
    answers(monkeypatch, "new")
    assert run(capfd, "sign", "--key", tmp_path / "k.private", *NAME, layout)[0] == 0
    answers(monkeypatch, "one", "other")
    code, _, err = run(capfd, "generate-sigstore-key", "--output-prefix", tmp_path / "k2")
    assert code == 1
    assert "differ" in err
    assert not (tmp_path / "k2.private").exists()


def test_generate_says_what_it_wrote_and_does_not_do_it_twice(capfd, tmp_path, pair):
    words = ("generate-sigstore-key", "--output-prefix", tmp_path / "k", "--passphrase-file", pair[2])
    assert run(capfd, *words) == (0, f'Key written to "{tmp_path}/k.private" and "{tmp_path}/k.pub"\n', "")
    assert os.stat(tmp_path / "k.private").st_mode & 0o777 == 0o600
    assert run(capfd, *words) == (1, "", f'plimsoll: Refusing to overwrite existing "{tmp_path}/k.pub"\n')


def test_a_public_key_signs_nothing(capfd, layout, pair):
    code, _, err = run(capfd, "sign", "--key", pair[1], *NAME, layout)
    assert code == 1
    assert "a public key signs nothing" in err


def test_a_local_image_needs_a_name(capfd, layout, pair):
    code, _, err = run(capfd, "sign", *TAG, "--key", pair[0], "--passphrase-file", pair[2], layout)
    assert code == 1
    assert "--sign-identity" in err


def test_a_name_that_is_no_text_is_escaped_where_it_is_shown(capfd, tmp_path, pair):
    prefix = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b")
    code, out, err = run(capfd, "generate-sigstore-key", "--output-prefix", prefix, "--passphrase-file", pair[2])
    assert (code, err, len(out.splitlines())) == (0, "", 1)
    assert "\x1b" not in out
    assert os.path.exists(f"{prefix}.private")
