from __future__ import annotations

import base64
import json
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.config.auth_file import AskHelper, AuthFile, AuthFiles, parse_auth_file, read_auth_files
from plimsoll.config.files import ConfigFile
from plimsoll.errors import ConfigError, UnauthorizedError
from plimsoll.model.settings import Credentials, IdentityToken, Login

SECRET = "s3cr3t-passw0rd"


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def parsed(document: object, *, legacy: bool = False) -> AuthFile:
    return parse_auth_file(ConfigFile(origin="auth.json", data=json.dumps(document).encode()), legacy=legacy)


def login(files: AuthFiles, host: str, repository: str) -> Login | AskHelper | None:
    return next(files.places(host, repository), None)


def user(file: AuthFile, host: str, repository: str = "ns/app") -> str | None:
    found = file.find(host, repository)
    return None if found is None else getattr(found, "username", "")


def test_the_most_specific_key_wins():
    keys = ["r.example", "r.example/ns", "r.example/ns/app", "r.example/ns/app/deep", "other.example"]
    file = parsed({"auths": {key: auth(key) for key in keys}})

    assert user(file, "r.example", "ns/app") == "r.example/ns/app"
    assert user(file, "r.example", "ns/app/deep") == "r.example/ns/app/deep"
    assert user(file, "r.example", "ns/app/else") == "r.example/ns/app"
    assert user(file, "r.example", "ns/other") == "r.example/ns"
    assert user(file, "r.example", "nsx/app") == "r.example"
    assert user(file, "third.example") is None


@pytest.mark.parametrize(
    "host",
    [
        "registry.example.com.evil.io",
        "evil.registry.example.com",
        "registry.example.co",
        "registry.example.com:5000",
        "xregistry.example.com",
        "example.com",
        "REGISTRY.example.com",
    ],
)
@pytest.mark.parametrize(
    "key", ["registry.example.com", "https://registry.example.com", "https://registry.example.com/v1/"]
)
def test_a_host_that_only_looks_like_one_gets_nothing(host: str, key: str):
    file = parsed({"auths": {key: auth("me")}})

    assert user(file, "registry.example.com") == "me"
    assert user(file, host) is None


def test_a_key_with_a_path_is_not_the_hosts():
    file = parsed({"auths": {"r.example/ns": auth("me")}})

    assert user(file, "r.example", "ns/app") == "me"
    assert user(file, "r.example", "ns") == "me"
    assert user(file, "r.example", "other/app") is None
    assert user(file, "r.example", "nsx") is None


@pytest.mark.parametrize(
    "key", ["docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", "http://docker.io"]
)
@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_three_names(key: str, host: str):
    assert user(parsed({"auths": {key: auth("me")}}), host, "library/app") == "me"
    assert user(parsed({"auths": {key: auth("me")}}), "docker.io.evil.io", "library/app") is None


def test_a_namespace_of_docker_hub():
    file = parsed({"auths": {"docker.io/acme": auth("acme"), "docker.io": auth("any")}})

    assert user(file, "registry-1.docker.io", "acme/app") == "acme"
    assert user(file, "registry-1.docker.io", "library/app") == "any"


def test_an_exact_key_comes_before_a_url():
    file = parsed({"auths": {"https://r.example/v2/": auth("url"), "r.example": auth("exact")}})

    assert user(file, "r.example") == "exact"


def test_passwords_may_hold_colons_and_lose_nuls_around_them():
    file = parsed({"auths": {"a": auth("me", "x:y:z"), "b": auth("me", "\x00pw\x00\x00"), "c": auth("me", "")}})

    assert [file.find(host, "x") for host in "abc"] == [
        Credentials(username="me", password=password) for password in ("x:y:z", "pw", "")
    ]


@pytest.mark.parametrize("entry", [{}, None, {"auth": ""}, {"auth": None}, {"email": "x"}])
def test_an_empty_entry_gives_nothing(entry: object):
    assert parsed({"auths": {"r.example": entry}}).find("r.example", "x") is None


def test_an_empty_entry_lets_the_next_file_answer():
    files = AuthFiles(files=(parsed({"auths": {"r.example": {}}}), parsed({"auths": {"r.example": auth("me")}})))

    assert login(files, "r.example", "x") == Credentials(username="me", password=SECRET)
    assert login(files, "other.example", "x") is None
    assert login(AuthFiles(), "r.example", "x") is None


def test_a_text_without_colon_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture):
    text = base64.b64encode(SECRET.encode()).decode()

    assert parsed({"auths": {"r.example": {"auth": text}}}).find("r.example", "x") is None
    assert "no colon" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "document",
    [
        {"auths": {"r.example": {"auth": [SECRET]}}},
        {"auths": {"r.example": SECRET}},
        {"auths": [SECRET]},
        {"credHelpers": {"r.example": [SECRET]}},
        [SECRET],
    ],
)
def test_a_broken_file_is_refused_without_showing_what_is_in_it(document: object):
    with pytest.raises(ConfigError, match=r"'auth\.json'") as caught:
        parsed(document)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


BROKEN = [SECRET, base64.b64encode(b"me:\xff" + SECRET.encode()).decode()]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("key", ["r.example", "r.example/ns", "https://r.example/v1/"])
def test_a_broken_login_is_an_error_where_it_is_used_and_only_there(broken: str, key: str):
    file = parsed({"auths": {key: {"auth": broken}, "s.example": auth("me")}})

    assert user(file, "s.example") == "me"
    assert user(file, "t.example") is None
    with pytest.raises(UnauthorizedError, match=r"'auth\.json': auths\[.*r\.example.*USER:PASSWORD") as caught:
        file.find("r.example", "ns/app")
    assert SECRET not in str(caught.value)
    assert broken not in repr(file)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_login_is_never_the_next_files_turn(broken: str):
    files = AuthFiles(
        files=(parsed({"auths": {"r.example": {"auth": broken}}}), parsed({"auths": {"r.example": auth("me")}}))
    )

    with pytest.raises(UnauthorizedError):
        login(files, "r.example", "x")


@pytest.mark.parametrize(
    "data", [b"{", b'{"auths":{}} x', b'{"a":1,"a":1}', b"\xff", ('{"auths":{"' + SECRET).encode()]
)
def test_broken_json_is_refused(data: bytes):
    with pytest.raises(ConfigError, match=r"'auth\.json' is refused at line 1") as caught:
        parse_auth_file(ConfigFile(origin="auth.json", data=data))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b" \n", b"{}", b"null", b'{"auths":null,"HttpHeaders":{"X":"y"},"n":1.5}'])
def test_files_without_credentials(data: bytes):
    assert parse_auth_file(ConfigFile(origin="auth.json", data=data)).auths == {}


def test_secrets_are_in_no_repr():
    file = parsed({"auths": {"r.example": auth("me")}})

    assert SECRET not in repr(AuthFiles(files=(file,)))
    assert auth("me")["auth"] not in repr(AuthFiles(files=(file,)))
    assert "r.example" in repr(file)


def test_a_helper_is_to_be_asked_before_the_files_own_entry():
    file = parsed({"credHelpers": {"r.example": "ecr-login", "docker.io": "hub"}, "auths": {"r.example": auth("me")}})

    assert file.find("r.example", "x") == AskHelper(name="ecr-login", server="r.example", origin=file.origin)
    for host in ("docker.io", "registry-1.docker.io"):
        assert file.find(host, "x") == AskHelper(name="hub", server="docker.io", origin=file.origin)
    for host in ("sub.r.example", "r.example:5000", "r.example.evil.io"):
        assert file.find(host, "x") is None


@pytest.mark.parametrize("name", ["../x", "a/b", "-x", "a b", "x;y", "a\nb", "x" * 129])
def test_a_helper_whose_name_is_no_programs_is_refused(name: str):
    with pytest.raises(ConfigError, match="docker-credential-NAME"):
        parsed({"credHelpers": {"r.example": name}})


def test_a_helper_without_a_name_is_still_to_be_asked():
    file = parsed({"credHelpers": {"r.example": ""}, "auths": {"r.example": auth("me")}})

    assert isinstance(file.find("r.example", "x"), AskHelper)


def test_an_identity_token_comes_before_the_password_beside_it():
    file = parsed({"auths": {"r.example": {"identitytoken": SECRET, **auth("00000000")}}})

    assert file.find("r.example", "x") == IdentityToken(value=SECRET)
    assert SECRET not in repr(file)
    assert file.find("other.example", "x") is None


def test_every_place_that_knows_a_registry_is_offered_in_order():
    files = AuthFiles(
        files=(parsed({"credHelpers": {"r.example": "one"}}), parsed({}), parsed({"auths": {"r.example": auth("me")}}))
    )

    assert [type(place) for place in files.places("r.example", "x")] == [AskHelper, Credentials]


def test_a_credentials_store_is_passed_over_as_skopeo_does():
    file = parsed({"credsStore": "desktop", "auths": {"r.example": {}, "s.example": auth("me")}})

    assert file.find("r.example", "x") is None
    assert user(file, "s.example") == "me"


def test_the_legacy_file():
    file = parsed(
        {"https://r.example/v1/": auth("url"), "s.example": auth("plain"), "t.example/ns": auth("path")}, legacy=True
    )

    assert user(file, "r.example") == "url"
    assert user(file, "s.example") == "plain"
    assert user(file, "t.example", "ns/app") == "path"
    assert user(file, "r.example.evil.io") is None


# --- which files ----------------------------------------------------------------------------------------------------


def put(path: Path, host: str, name: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {host: auth(name)}
    path.write_text(json.dumps(document if path.name == ".dockercfg" else {"auths": document}))
    path.chmod(0o600)
    return str(path)


def test_the_order_of_the_places(tmp_path: Path):
    environ = {"HOME": f"{tmp_path}/home"}

    def found() -> str | None:
        files = read_auth_files(authfile=None, environ=environ, runtime=f"{tmp_path}/run")
        credentials = login(files, "r.example", "x")
        return None if credentials is None else getattr(credentials, "username", "")

    assert found() is None
    put(tmp_path / "home/.dockercfg", "r.example", "dockercfg")
    assert found() == "dockercfg"
    put(tmp_path / "home/.docker/config.json", "r.example", "docker")
    assert found() == "docker"
    put(tmp_path / "dockerconfig/config.json", "r.example", "DOCKER_CONFIG")
    environ["DOCKER_CONFIG"] = f"{tmp_path}/dockerconfig"
    assert found() == "DOCKER_CONFIG"
    put(tmp_path / "home/.config/containers/auth.json", "r.example", "config")
    assert found() == "config"
    put(tmp_path / "xdg/containers/auth.json", "r.example", "xdg")
    environ["XDG_CONFIG_HOME"] = f"{tmp_path}/xdg"
    assert found() == "xdg"
    put(tmp_path / f"run/containers/{os.getuid()}/auth.json", "r.example", "run")
    assert found() == "run"
    put(tmp_path / "user-run/containers/auth.json", "r.example", "runtime-dir")
    environ["XDG_RUNTIME_DIR"] = f"{tmp_path}/user-run"
    assert found() == "runtime-dir"
    environ["REGISTRY_AUTH_FILE"] = put(tmp_path / "named.json", "r.example", "variable")
    assert found() == "variable"


def test_the_first_file_that_knows_the_registry_answers(tmp_path: Path):
    put(tmp_path / "home/.config/containers/auth.json", "a.example", "containers")
    put(tmp_path / "home/.docker/config.json", "b.example", "docker")

    files = read_auth_files(authfile=None, environ={"HOME": f"{tmp_path}/home"}, runtime=f"{tmp_path}/run")

    assert [getattr(login(files, f"{host}.example", "x"), "username", None) for host in "abc"] == [
        "containers",
        "docker",
        None,
    ]


def test_a_named_file_is_alone(tmp_path: Path):
    put(tmp_path / "home/.docker/config.json", "r.example", "docker")
    named = put(tmp_path / "named.json", "other.example", "named")
    environ = {"HOME": f"{tmp_path}/home"}

    assert login(read_auth_files(authfile=named, environ=environ), "r.example", "x") is None
    environ["REGISTRY_AUTH_FILE"] = named
    assert login(read_auth_files(authfile=None, environ=environ), "r.example", "x") is None
    environ["REGISTRY_AUTH_FILE"] = f"{tmp_path}/not-yet-written.json"
    assert read_auth_files(authfile=None, environ=environ).files == ()


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"])
@pytest.mark.parametrize("value", ["", "."])
def test_the_current_directory_is_never_a_source(
    tmp_path: Path, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    put(tmp_path / "containers/auth.json", "r.example", "trap")
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": f"{tmp_path}/home", variable: value}

    assert read_auth_files(authfile=None, environ=environ, runtime=f"{tmp_path}/run").files == ()


def test_a_named_file_must_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match="--authfile"):
        read_auth_files(authfile=f"{tmp_path}/missing.json", environ={})
    with pytest.raises(ConfigError, match="is a directory"):
        read_auth_files(authfile=str(tmp_path), environ={})


def test_a_file_beyond_the_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "AUTH_BYTES", 10)

    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_auth_files(authfile=put(tmp_path / "a.json", "r.example", "me"), environ={})


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o644, True), (0o640, True), (0o604, True), (0o620, True)]
)
def test_loose_permissions_are_warned_of(tmp_path: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture):
    path = put(tmp_path / "a.json", "r.example", "me")
    Path(path).chmod(mode)

    with caplog.at_level(logging.WARNING):
        files = read_auth_files(authfile=path, environ={})

    assert login(files, "r.example", "x") is not None
    assert (path in caplog.text) is warned
    assert SECRET not in caplog.text


def test_loose_permissions_of_a_file_without_secrets_are_fine(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "a.json"
    path.write_text('{"auths":{"r.example":{}}}')
    path.chmod(0o644)

    read_auth_files(authfile=str(path), environ={})

    assert caplog.text == ""


# --- properties -----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6) | st.sampled_from(["YTpi", "a:b", "YQ=="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["auths", "auth", "credHelpers", "identitytoken", "r.example", "docker.io"]), inner
        )
    ),
    max_leaves=15,
)


@given(JSON, st.booleans())
def test_any_json_is_an_auth_file_or_refused(document: object, legacy: bool):
    try:
        file = parsed(document, legacy=legacy)
        found = file.find("r.example", "ns/app")
    except (ConfigError, UnauthorizedError):
        return
    assert found is None or isinstance(found, Credentials | IdentityToken | AskHelper)


HOSTS = st.sampled_from(["r.example", "r.example.io", "a.r.example", "r.example:5000", "docker.io"])
PATHS = st.sampled_from(["", "/ns", "/ns/app", "/nsx", "/ns/ap"])


@given(st.lists(st.tuples(HOSTS, PATHS), max_size=6, unique=True), HOSTS)
def test_look_up_agrees_with_the_table(keys: list[tuple[str, str]], host: str):
    file = parsed({"auths": {host + path: auth(f"{index}") for index, (host, path) in enumerate(keys)}})
    wanted = [(host, path) for path in ("/ns/app", "/ns", "") if (host, path) in keys]

    assert user(file, host, "ns/app") == (str(keys.index(wanted[0])) if wanted else None)
