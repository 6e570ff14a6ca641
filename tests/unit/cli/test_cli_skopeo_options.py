"""Options as skopeo has them: credentials, the platform, bounds, names and folders."""

import argparse
import json
import logging
import os
import re
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.cli import verify
from plimsoll.cli.arguments import Parser
from plimsoll.cli.main import main
from plimsoll.cli.skopeo_options import platform_of, time_or_none
from plimsoll.errors import UsageError
from plimsoll.model.settings import Credentials, RegistryToken
from plimsoll.pipeline.platforms import host_platform

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
IMAGE = f"oci:{VECTORS / 'cosign-k1'}:v1"
TRUST = ("--key", str(VECTORS / "keys" / "k1.pub"), "--insecure-ignore-tlog")
CANARY = "canary-9f"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home and no variables: what is found must be given."""
    for name in list(os.environ):
        if name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_", "DOCKER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    logger = logging.getLogger("plimsoll")
    before = logger.handlers[:], logger.level
    yield tmp_path
    logger.handlers[:], logger.level = before


def read(*words):
    parser = Parser(prog="plimsoll verify", description="")
    verify.add_arguments(parser)
    return parser.read([*words, IMAGE])


def settings(*words):
    return verify.settings_of(read(*words))


def run(capfd, *words):
    code = main(["verify", *TRUST, "--format", "jsonl", *words, IMAGE])
    return code, *capfd.readouterr()


USER = Credentials(username="u", password="p:q")


@pytest.mark.parametrize(
    ("words", "credentials", "anonymous"),
    [
        ([], None, False),
        (["--creds", "u:p:q"], USER, False),
        (["--creds", "u"], Credentials(username="u", password=""), False),
        (["--username", "u", "--password", "p:q"], USER, False),
        (["--username=u", "--password="], Credentials(username="u", password=""), False),
        (["--registry-token", "aB-._~+/0=="], RegistryToken(value="aB-._~+/0=="), False),
        (["--no-creds"], None, True),
        (["--no-creds=false", "--creds", "u:p:q"], USER, False),
    ],
)
def test_who_asks(words, credentials, anonymous):
    found = settings(*words)
    assert (found.credentials, found.anonymous) == (credentials, anonymous)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--creds", ""], "--creds: credentials can't be empty"),
        (["--creds", f":{CANARY}"], "--creds: username can't be empty"),
        (["--username", "", "--password", CANARY], "--username: username can't be empty"),
        (["--username", "u"], "password must be specified when username is specified"),
        (["--username", ""], "password must be specified when username is specified"),
        (["--password", CANARY], "username must be specified when password is specified"),
        (["--password", ""], "username must be specified when password is specified"),
        (["--creds", f"u:{CANARY}", "--no-creds"], "creds and no-creds cannot be specified at the same time"),
        (["--username=u", f"--password={CANARY}", "--no-creds"], "username and no-creds cannot be specified"),
        (["--creds=u", "--username=u", f"--password={CANARY}"], "creds and username cannot be specified"),
        (["--creds=u", "--registry-token", CANARY], "creds and registry-token cannot be specified"),
        (["--registry-token", CANARY, "--no-creds"], "registry-token and no-creds cannot be specified"),
        (["--registry-token", ""], "--registry-token"),
        (["--registry-token", f"{CANARY} x"], "--registry-token"),
        (["--registry-token", f"{CANARY}\r\nX: y"], "--registry-token"),
        (["--user-agent-prefix", "a\r\nX: y"], "no User-Agent"),
        (["--user-agent-prefix", " a"], "no User-Agent"),
        (["--user-agent-prefix", "ä"], "no User-Agent"),
        (["--retry-delay", "1"], "no duration"),
        (["--command-timeout", "-1s"], "--command-timeout"),
        (["--command-timeout", "soon"], "no duration"),
        (["--tmpdir", "/no/such"], "--tmpdir '/no/such' is no folder"),
        (["--tmpdir", ""], "--tmpdir '' is no folder"),
        (["--platform", "linux/amd64", "--override-os", "linux"], "--platform and --override-os exclude each other"),
        (["--platform", "host", "--override-arch", "arm64"], "--platform and --override-arch exclude each other"),
        (["--platform", "all", "--override-variant", "v7"], "--platform and --override-variant exclude each other"),
        (["--override-os", ""], "--override-os ''"),
        (["--override-arch", "arm/v7"], "--override-arch 'arm/v7'"),
        (["--override-variant", "v 7"], "--override-variant 'v 7'"),
        (["--override-os", "linux", "--index-policy", "index"], "--index-policy index"),
    ],
)
def test_what_makes_no_sense_is_exit_1_and_shows_no_secret(capfd, words, said):
    code, out, err = run(capfd, *words)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"plimsoll: [^\n]+\n", err), err
    assert said in err
    assert CANARY not in err


def host(**other):
    found = host_platform()
    parts = {"os": found.os, "architecture": found.architecture, "variant": found.variant} | other
    return "/".join(filter(None, parts.values()))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--platform", "all"], "all"),
        (["--override-os", "windows"], host(os="windows")),
        (["--override-arch", "s390x"], host(architecture="s390x", variant=None)),
        (["--override-arch", "arm", "--override-variant", "v6"], host(architecture="arm", variant="v6")),
        (["--override-variant", "v3"], host(variant="v3")),
        (["--override-os=linux", "--override-arch=arm64", "--override-variant=v8"], "linux/arm64/v8"),
    ],
)
def test_an_override_is_a_platform_that_is_this_machines_else(words, expected):
    assert settings(*words).platform == expected


def test_an_override_chooses_the_instance_that_a_platform_does(capfd):
    image = f"oci:{VECTORS / 'multiarch'}:v1"

    def chosen(*words):
        code = main(["verify", "--insecure-policy", "--format", "jsonl", *words, image])
        verdict = json.loads(capfd.readouterr().out.splitlines()[0])
        return code, verdict["judged"], [found["digest"] for found in verdict["instances"]]

    by_override = chosen("--override-os", "linux", "--override-arch", "arm64")
    assert by_override == chosen("--platform", "linux/arm64")
    assert by_override != chosen("--override-os=linux", "--override-arch=amd64")
    assert (by_override[0], by_override[1], len(by_override[2])) == (0, "instances", 1)


PART = st.one_of(st.none(), st.text(alphabet="a/ \n8", max_size=3))


@given(PART, PART, PART)
def test_an_override_is_one_word_or_refused(system, architecture, variant):
    arguments = argparse.Namespace(
        platform=None, override_os=system, override_arch=architecture, override_variant=variant
    )
    try:
        found = platform_of(arguments)
    except UsageError:
        assert any(part is not None and (part == "" or set(part) & set("/ \n")) for part in vars(arguments).values())
        return
    assert (found is None) == (system is architecture is variant is None)
    assert found is None or all(found.split("/"))


@pytest.mark.parametrize(
    ("text", "expected"), [("0", None), ("0s", None), ("0.0h0m", None), ("1m30s", 90.0), ("0h1s", 1.0), ("100ms", 0.1)]
)
def test_no_time_is_no_bound(text, expected):
    assert time_or_none(text) == expected


def test_they_reach_the_settings_and_may_stand_before_the_command(capfd, tmp_path):
    found = settings("--retry-delay", "2s", "--user-agent-prefix", "fleet/1", "--tmpdir", str(tmp_path))
    assert (found.http.retry_delay_s, found.http.user_agent_prefix, found.tmpdir) == (2.0, "fleet/1", str(tmp_path))
    assert settings("--retry-delay", "0").http.retry_delay_s is None
    leading = ["--override-os", "linux", "--override-arch", "amd64", "--override-variant", "v1"]
    leading += ["--tmpdir", str(tmp_path), "--user-agent-prefix", "x", "--command-timeout", "1m"]
    assert main([*leading, "verify", *TRUST, "--quiet", IMAGE]) == 0


@pytest.mark.parametrize("command", ["sign", "attest", "policy explain", "policy test", "policy diff"])
def test_every_command_that_asks_registries_takes_them(capfd, command):
    code = main([*command.split(), "--help"])
    out, _ = capfd.readouterr()
    assert code == 0
    for option in ("--command-timeout", "--tmpdir", "--user-agent-prefix", "--no-creds", "--registry-token"):
        assert option in out


def test_a_packed_archive_is_unpacked_where_it_is_told(capfd, monkeypatch, tmp_path):
    packed = tmp_path / "image.tar.gz"
    with tarfile.open(packed, "w:gz") as made:
        made.add(VECTORS / "cosign-k1", arcname=".")
    told = tmp_path / "room"
    told.mkdir()
    asked = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **more: asked.append(more["dir"]) or real(**more))
    for words, expected in (([], None), (["--tmpdir", str(told)], str(told))):
        code = main(["verify", "--insecure-policy", "--quiet", *words, f"oci-archive:{packed}:v1"])
        assert (code, asked.pop()) == (0, expected)
    assert asked == []


def test_a_tmpdir_that_cannot_be_written_to_leaves_the_image_undetermined(capfd, monkeypatch, tmp_path):
    packed = tmp_path / "image.tar.gz"
    with tarfile.open(packed, "w:gz") as made:
        made.add(VECTORS / "cosign-k1", arcname=".")

    def refuse(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code = main(["verify", "--insecure-policy", "--format", "jsonl", f"oci-archive:{packed}:v1"])
    verdict = json.loads(capfd.readouterr().out.splitlines()[0])
    assert (code, verdict["reasons"][0]["code"]) == (4, "unreachable")
    assert "No space left on device" in verdict["reasons"][0]["message"]


class TestTheAuthFile:
    """The option before skopeo's variable before the usual places; only what the option names must exist."""

    @staticmethod
    def refused(path):
        path.write_text("no JSON")
        return str(path)

    def test_a_variable_that_names_no_file_is_passed_over_as_in_skopeo(self, capfd, monkeypatch):
        monkeypatch.setenv("REGISTRY_AUTH_FILE", "/no/such/auth.json")
        assert run(capfd, "--quiet") == (0, "", "")

    def test_an_option_that_names_no_file_is_exit_1_whatever_the_variable_says(self, capfd, monkeypatch, tmp_path):
        (tmp_path / "auth.json").write_text("{}")
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
        code, _, err = run(capfd, "--authfile", "/no/such/auth.json")
        assert (code, "--authfile" in err) == (1, True)

    def test_what_the_variable_names_is_read_and_not_blamed_on_the_option(self, capfd, monkeypatch, tmp_path):
        monkeypatch.setenv("REGISTRY_AUTH_FILE", self.refused(tmp_path / "auth.json"))
        code, _, err = run(capfd)
        assert (code, "auth.json" in err, "--authfile" in err) == (1, True, False)

    def test_the_option_comes_first(self, capfd, monkeypatch, tmp_path):
        (tmp_path / "good.json").write_text("{}")
        monkeypatch.setenv("REGISTRY_AUTH_FILE", self.refused(tmp_path / "auth.json"))
        assert run(capfd, "--quiet", "--authfile", str(tmp_path / "good.json"))[0] == 0

    def test_nobody_asks_no_file(self, capfd, monkeypatch, tmp_path):
        monkeypatch.setenv("REGISTRY_AUTH_FILE", self.refused(tmp_path / "auth.json"))
        assert run(capfd, "--quiet", "--no-creds") == (0, "", "")


def test_no_default_of_an_option_is_a_variables(monkeypatch):
    for name in ("REGISTRY_AUTH_FILE", "CONTAINERS_POLICY_JSON", "CONTAINERS_REGISTRIES_CONF", "TMPDIR"):
        monkeypatch.setenv(name, "/canary")
    assert "/canary" not in vars(read()).values()


def test_a_token_is_not_shown():
    assert CANARY not in repr(RegistryToken(value=CANARY))
