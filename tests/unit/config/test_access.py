from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
from pathlib import Path

import pytest

from plimsoll.config.access import Access, is_loopback
from plimsoll.config.auth_file import AuthFile, AuthFiles, parse_auth_file
from plimsoll.config.files import ConfigFile
from plimsoll.config.registries_toml import parse_registries_conf
from plimsoll.errors import ConfigError, CredentialHelperError
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.settings import (
    Credentials,
    CredentialsFor,
    EndpointsFor,
    IdentityToken,
    RegistryToken,
    Settings,
    TLSFor,
    TLSSettings,
)

NAME = parse_docker_reference("r.example/ns/app:v1")
GIVEN = Credentials(username="given", password="pw")


def files(**auths: str) -> AuthFiles:
    entries = {host: {"auth": base64.b64encode(f"{name}:pw".encode()).decode()} for host, name in auths.items()}
    data = json.dumps({"auths": entries}).encode()
    return AuthFiles(files=(parse_auth_file(ConfigFile(origin="auth.json", data=data)),))


def access(settings: Settings, auth_files: AuthFiles | None = None, *, root: Path | None = None) -> Access:
    place = f"{root}" if root else "/nonexistent"
    return Access(
        settings,
        auth_files=auth_files or AuthFiles(),
        environ={"HOME": f"{place}/home"},
        system=(f"{place}/etc/containers/certs.d", f"{place}/etc/docker/certs.d"),
    )


def user(found: Access, host: str) -> str | None:
    login = asyncio.run(found.credentials_for(host, "ns/app"))
    assert not isinstance(login, IdentityToken | RegistryToken)
    return None if login is None else login.username


def test_the_answers_have_the_types_the_transport_asks_for():
    found = access(Settings())
    credentials_for: CredentialsFor = found.credentials_for
    tls_for: TLSFor = found.tls_for

    endpoints_for: EndpointsFor = found.endpoints_for

    assert asyncio.run(credentials_for("r.example", "a")) is None
    assert [endpoint.tls for endpoint in endpoints_for(NAME)] == [TLSSettings()]
    assert tls_for("r.example") == TLSSettings()


def test_credentials_belong_to_the_host_named():
    found = access(Settings(credentials=GIVEN, credentials_host="r.example:5000"), files(**{"other.example": "filed"}))

    assert user(found, "r.example:5000") == "given"
    assert user(found, "other.example") == "filed"
    for host in ("r.example", "r.example:5001", "r.example:5000.evil.io", "evil.io"):
        assert user(found, host) is None


def test_credentials_belong_to_the_first_reference_and_to_nobody_before_it():
    found = access(Settings(credentials=GIVEN))

    assert user(found, "r.example") is None
    found.own_credentials("r.example")
    found.own_credentials("evil.io")
    assert user(found, "r.example") == "given"
    assert user(found, "evil.io") is None


def test_a_named_host_is_not_replaced_by_the_first_reference():
    found = access(Settings(credentials=GIVEN, credentials_host="r.example"))
    found.own_credentials("evil.io")

    assert user(found, "evil.io") is None
    assert user(found, "r.example") == "given"


def test_given_credentials_come_before_a_file():
    found = access(Settings(credentials=GIVEN, credentials_host="r.example"), files(**{"r.example": "filed"}))

    assert user(found, "r.example") == "given"


def test_a_registry_token_goes_where_credentials_go():
    token = RegistryToken(value="t")
    found = access(Settings(credentials=token, credentials_host="r.example"), files(**{"other.example": "filed"}))

    assert asyncio.run(found.credentials_for("r.example", "ns/app")) is token
    assert user(found, "other.example") == "filed"
    assert user(found, "evil.io") is None


def test_who_asks_as_nobody_has_no_credentials_and_asks_no_helper():
    conf = parse_registries_conf(ConfigFile(origin="c", data=b'credential-helpers = ["none-such"]'))
    found = Access(
        Settings(anonymous=True), auth_files=files(**{"r.example": "filed"}), environ={}, registries=conf, system=()
    )

    assert user(found, "r.example") is None
    with pytest.raises(CredentialHelperError):  # its twin
        asyncio.run(
            Access(Settings(), auth_files=AuthFiles(), environ={}, registries=conf, system=()).credentials_for("r", "a")
        )


def test_a_folder_for_what_is_unpacked_must_be_there(tmp_path: Path):
    access(Settings(tmpdir=str(tmp_path)))
    for path in ("", "/no/such/folder", f"{tmp_path}/\0"):
        with pytest.raises(ConfigError, match="--tmpdir"):
            access(Settings(tmpdir=path))


def test_docker_hub_by_any_of_its_names():
    found = access(Settings(credentials=GIVEN, credentials_host="docker.io"))

    assert user(found, "registry-1.docker.io") == "given"
    assert user(found, "auth.docker.io") is None


def test_other_hosts_are_warned_of_once(caplog: pytest.LogCaptureFixture):
    found = access(Settings(credentials=GIVEN, credentials_host="r.example"))

    with caplog.at_level(logging.WARNING):
        assert user(found, "r.example") == "given"
        assert caplog.text == ""
        user(found, "a.example")
        user(found, "b.example")

    assert len(caplog.records) == 1
    assert "--creds belong to r.example" in caplog.text
    assert "pw" not in caplog.text


def test_without_given_credentials_nothing_is_owned():
    found = access(Settings(tls_verify=False), files(**{"r.example": "filed"}))
    found.own_credentials("r.example")

    assert user(found, "r.example") == "filed"
    assert not found.tls_for("r.example").credentials_over_http


@pytest.mark.parametrize("verify", [None, True])
@pytest.mark.parametrize("host", ["r.example", "127.0.0.1:5000", "localhost"])
def test_tls_is_verified_unless_switched_off(verify: bool | None, host: str):
    found = access(Settings(tls_verify=verify, credentials=GIVEN, credentials_host="r.example"))

    assert found.tls_for(host) == TLSSettings(verify=True, credentials_over_http=False)


@pytest.mark.parametrize(
    ("host", "over_http"),
    [
        ("r.example", True),
        ("127.0.0.1", True),
        ("127.8.9.10:5000", True),
        ("localhost:5000", True),
        ("LocalHost", True),
        ("[::1]:5000", True),
        ("[::1]", True),
        ("::1", True),
        ("r.example:5000", False),
        ("other.example", False),
        ("127.0.0.1.evil.io", False),
        ("localhost.evil.io:5000", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("[::2]:5000", False),
        ("[::ffff:10.0.0.1]", False),
        ("", False),
    ],
)
def test_credentials_over_http_without_verification(host: str, over_http: bool):
    found = access(Settings(tls_verify=False, credentials=GIVEN, credentials_host="r.example"))

    assert found.tls_for(host) == TLSSettings(verify=False, credentials_over_http=over_http)
    assert is_loopback(host) is (over_http and host != "r.example")


def test_the_first_certificate_folder_that_exists(tmp_path: Path):
    def folder(place: str) -> str:
        (tmp_path / place).mkdir(parents=True)
        return str(tmp_path / place)

    def chosen(host: str) -> str | None:
        return access(Settings(), root=tmp_path).tls_for(host).cert_dir

    assert chosen("r.example:5000") is None
    docker = folder("etc/docker/certs.d/r.example:5000")
    assert chosen("r.example:5000") == docker
    assert chosen("r.example") is None
    assert chosen("r.example:5001") is None
    containers = folder("etc/containers/certs.d/r.example:5000")
    assert chosen("r.example:5000") == containers
    own = folder("home/.config/containers/certs.d/r.example:5000")
    assert chosen("r.example:5000") == own
    hub = folder("etc/docker/certs.d/docker.io")
    assert chosen("registry-1.docker.io") == hub


@pytest.mark.parametrize("host", ["..", ".", "", "../certs.d/r.example", "r.example/x", "a\x00b", "x" * 5000])
def test_a_host_cannot_lead_out_of_the_folder(tmp_path: Path, host: str):
    (tmp_path / "etc/containers/certs.d/r.example/x").mkdir(parents=True)

    assert access(Settings(), root=tmp_path).tls_for(host).cert_dir is None
    assert access(Settings(), root=tmp_path).tls_for("r.example").cert_dir is not None


def test_a_given_certificate_folder_is_for_every_host(tmp_path: Path):
    (tmp_path / "etc/containers/certs.d/r.example").mkdir(parents=True)
    (tmp_path / "given").mkdir()
    found = access(Settings(cert_dir=f"{tmp_path}/given"), root=tmp_path)

    assert {found.tls_for(host).cert_dir for host in ("r.example", "other.example")} == {f"{tmp_path}/given"}
    with pytest.raises(ConfigError, match="--cert-dir"):
        access(Settings(cert_dir=f"{tmp_path}/missing"), root=tmp_path)


# --- registries.conf ------------------------------------------------------------------------------------------------


def configured(
    text: str, settings: Settings | None = None, auth_files: AuthFiles | None = None, **environ: str
) -> Access:
    return Access(
        settings or Settings(),
        auth_files=auth_files or AuthFiles(),
        registries=parse_registries_conf(ConfigFile(origin="x.conf", data=text.encode())),
        environ=environ,
        system=(),
    )


def ways(found: Access) -> list[tuple[str, bool, bool, bool]]:
    return [
        (each.reference.repository, each.tls.verify, each.tls.credentials_over_http, each.stands_in)
        for each in found.endpoints_for(NAME)
    ]


CONF = """
[[registry]]
location = "r.example"
[[registry.mirror]]
location = "r.example/mirrored"
[[registry.mirror]]
location = "m.example"
insecure = true
"""


def test_each_endpoint_is_spoken_to_as_it_is_marked_and_stands_in_where_its_host_differs():
    assert ways(configured(CONF)) == [
        ("r.example/mirrored/ns/app", True, False, False),
        ("m.example/ns/app", False, True, True),
        ("r.example/ns/app", True, False, False),
    ]


@pytest.mark.parametrize(
    ("verify", "expected"), [(True, [(True, False)] * 3), (False, [(False, False), (False, True), (False, False)])]
)
def test_tls_verify_has_the_last_word_for_every_endpoint(verify: bool, expected: list[tuple[bool, bool]]):
    found = ways(configured(CONF, Settings(tls_verify=verify)))
    assert [(verified, over_http) for _, verified, over_http, _ in found] == expected


def test_a_host_marked_insecure_is_so_for_redirects_and_tokens_too():
    found = configured('[[registry]]\nlocation = "r.example:5000"\ninsecure = true')

    assert found.tls_for("r.example:5000") == TLSSettings(verify=False, credentials_over_http=True)
    assert found.tls_for("r.example") == found.tls_for("r.example:5001") == TLSSettings()


def test_tags_are_listed_at_the_registry_itself():
    [endpoint] = configured(CONF).repository_for(NAME)
    assert (endpoint.reference, endpoint.stands_in) == (NAME, False)


# --- credential helpers ---------------------------------------------------------------------------------------------


def helper(folder: Path, name: str, code: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!{sys.executable} -IS\nimport sys\n{code}\n")
    program.chmod(0o755)


def answering(user: str) -> str:
    return f'print(\'{{"Username": "{user} at \' + sys.stdin.read() + \'", "Secret": "pw"}}\')'


NOTHING = "print('credentials not found in native keychain'); sys.exit(1)"


def file(**parts: object) -> AuthFile:
    return parse_auth_file(ConfigFile(origin="auth.json", data=json.dumps(parts).encode()))


def entry(name: str) -> dict[str, dict[str, str]]:
    return {"r.example": {"auth": base64.b64encode(f"{name}:pw".encode()).decode()}}


def test_a_files_helper_answers_for_its_host_and_leaves_the_word_where_it_has_nothing(tmp_path: Path):
    helper(tmp_path, "good", answering("good"))
    helper(tmp_path, "none", NOTHING)
    last = file(auths=entry("last"))

    def found(name: str) -> str | None:
        files = AuthFiles(files=(file(credHelpers={"r.example": name}, auths=entry("beside")), last))
        return user(configured("", auth_files=files, PATH=str(tmp_path)), "r.example")

    assert found("good") == "good at r.example"
    assert found("none") == "last"  # what stands beside it in the same file is passed over
    with pytest.raises(CredentialHelperError, match=r"docker-credential-missing, which 'auth.json' names"):
        found("missing")


def test_helpers_of_registries_conf_are_asked_in_their_order(tmp_path: Path):
    helper(tmp_path, "good", answering("good"))
    helper(tmp_path, "none", NOTHING)
    files = AuthFiles(files=(file(auths=entry("filed")),))

    def found(*names: str) -> str | None:
        conf = f"credential-helpers = {json.dumps(names)}"
        return user(configured(conf, auth_files=files, PATH=str(tmp_path)), "r.example")

    assert found() == found("containers-auth.json") == found("none", "containers-auth.json") == "filed"
    assert found("good", "containers-auth.json") == "good at r.example"
    assert found("containers-auth.json", "good") == "filed"
    assert found("none") is None
    # skopeo would go on to the next one.
    with pytest.raises(CredentialHelperError, match=r"docker-credential-missing, which 'registries.conf' names"):
        found("missing", "containers-auth.json")


def test_docker_hub_is_asked_for_by_one_name(tmp_path: Path):
    helper(tmp_path, "good", answering("good"))
    conf = 'credential-helpers = ["good"]'
    assert user(configured(conf, PATH=str(tmp_path)), "registry-1.docker.io") == "good at docker.io"


def test_given_credentials_ask_no_helper(tmp_path: Path):
    settings = Settings(credentials=GIVEN, credentials_host="r.example")
    found = configured('credential-helpers = ["missing"]', settings, PATH=str(tmp_path))
    assert user(found, "r.example") == "given"
    with pytest.raises(CredentialHelperError):
        asyncio.run(found.credentials_for("r.example", "app", stands_in=True))
