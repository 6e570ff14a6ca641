from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from plimsoll import limits
from plimsoll.config.files import home, read_file, read_first, user_places
from plimsoll.config.keys import read_key_file
from plimsoll.config.trusted_root import read_trusted_root
from plimsoll.errors import ConfigError, PolicyError, TrustRootError, UnreadableKeyError


def test_a_file_is_read_whole(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 300_000)
    path.chmod(0o640)

    found = read_file(str(path), limit=300_000)

    assert (found.origin, found.data, found.mode) == (str(path), b"x" * 300_000, 0o640)
    assert "xxx" not in repr(found)


def test_a_file_beyond_the_cap_is_refused(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")

    assert read_file(str(path), limit=5).data == b"12345"
    with pytest.raises(ConfigError, match="more than 4 bytes"):
        read_file(str(path), limit=4)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ConfigError, match="is a pipe"):
        read_file(str(pipe), limit=10)
    with pytest.raises(ConfigError, match="is a directory"):
        read_file(str(tmp_path), limit=10)
    with pytest.raises(ConfigError, match="a device or a socket"):
        read_file("/dev/zero", limit=10)


def test_no_handle_is_left_open(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        read_file(str(path), limit=5)
        for bad in (str(path), str(tmp_path), "/dev/zero"):
            with pytest.raises(ConfigError):
                read_file(bad, limit=2)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["no-such-file", "file/below-a-file"])
def test_a_missing_file_is_told_apart(tmp_path: Path, name: str):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_file(str(tmp_path / name), limit=10)


@pytest.mark.parametrize("name", ["a\x00b", "\ud800", "x" * 5000])
def test_a_text_that_is_no_path_is_refused(name: str):
    with pytest.raises(ConfigError, match="cannot be opened"):
        read_file(name, limit=10)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(PolicyError, match="permission denied"):
        read_file("/etc/shadow", limit=10, error=PolicyError)


def test_a_file_that_breaks_off_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "f").write_bytes(b"x")

    def broken(handle: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", broken)

    with pytest.raises(PolicyError, match="cannot be read: input/output error"):
        read_file(str(tmp_path / "f"), limit=10, error=PolicyError)


def test_the_first_that_exists_is_read(tmp_path: Path):
    (tmp_path / "b").write_bytes(b"b")
    (tmp_path / "c").write_bytes(b"c")
    (tmp_path / "d").mkdir()
    paths = [str(tmp_path / name) for name in "abc"]

    found = read_first(paths, limit=5, error=PolicyError)

    assert found is not None
    assert found.data == b"b"
    assert read_first([str(tmp_path / "a")], limit=5, error=PolicyError) is None
    with pytest.raises(PolicyError, match="is a directory"):
        read_first([str(tmp_path / "d"), *paths], limit=5, error=PolicyError)


@pytest.mark.parametrize("named", [None, "", ".", "relative/home"])
def test_home_comes_from_the_user_database_where_the_variable_is_no_absolute_path(
    named: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir="/home/known"))

    assert home({} if named is None else {"HOME": named}) == "/home/known"
    assert home({"HOME": "/home/me"}) == "/home/me"


@pytest.mark.parametrize("listed", ["", "relative"])
def test_nobody_has_a_home_in_the_current_directory(listed: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=listed))

    assert home({}) == ""
    assert user_places({}) == []


def test_nobody_has_a_home_where_the_user_database_does_not_know_him(monkeypatch: pytest.MonkeyPatch):
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)

    assert home({}) == ""


@pytest.mark.parametrize(
    ("config_home", "places"),
    [
        (None, ["/h/.config/containers"]),
        ("", ["/h/.config/containers"]),
        (".", ["/h/.config/containers"]),
        ("relative", ["/h/.config/containers"]),
        ("/x", ["/x/containers"]),
        ("/x/", ["/x/containers"]),
    ],
)
def test_user_places(config_home: str | None, places: list[str]):
    environ = {"HOME": "/h"} if config_home is None else {"HOME": "/h", "XDG_CONFIG_HOME": config_home}

    assert user_places(environ) == places


# --- key files ------------------------------------------------------------------------------------------------------

WHERE = 'transports.docker["host/ns"][0].keyPath'


def test_a_key_file_is_read(tmp_path: Path):
    path = tmp_path / "k.pub"
    path.write_bytes(b"anything")

    assert read_key_file(str(path), where=WHERE).data == b"anything"


def test_a_key_file_that_is_no_use_is_named_with_what_names_it(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"x" * (limits.KEY_BYTES + 1))
    wrong = {
        str(tmp_path / "missing"): "does not exist",
        str(tmp_path): "is a directory",
        str(tmp_path / "pipe"): "is a pipe",
        str(tmp_path / "big"): "more than",
        "/dev/zero": "a device",
        "": "does not exist",
    }
    for path, why in wrong.items():
        with pytest.raises(UnreadableKeyError, match=why) as caught:
            read_key_file(path, where=WHERE)
        assert repr(path) in str(caught.value)
        assert WHERE in str(caught.value)
        assert caught.value.code == "key-unreadable"


def test_an_empty_key_file_is_read_and_left_to_whoever_parses_it(tmp_path: Path):
    (tmp_path / "empty").write_bytes(b"")

    assert read_key_file(str(tmp_path / "empty")).data == b""


def test_the_largest_key_file_is_read(tmp_path: Path):
    (tmp_path / "big").write_bytes(b"x" * limits.KEY_BYTES)

    assert len(read_key_file(str(tmp_path / "big")).data) == limits.KEY_BYTES


# --- trusted root ---------------------------------------------------------------------------------------------------


def test_a_trusted_root_is_read(tmp_path: Path):
    (tmp_path / "root.json").write_bytes(b"{}")

    assert read_trusted_root(str(tmp_path / "root.json")).data == b"{}"


def test_a_trusted_root_that_cannot_be_read_is_refused(tmp_path: Path):
    (tmp_path / "big").write_bytes(b"x" * (limits.TRUSTED_ROOT_BYTES + 1))

    for path, why in (
        (tmp_path / "missing", "does not exist"),
        (tmp_path, "is a directory"),
        (tmp_path / "big", "more"),
    ):
        with pytest.raises(TrustRootError, match=why):
            read_trusted_root(str(path))
