"""Key files and passphrases: read with warnings and clear refusals, made without ever replacing a file."""

from __future__ import annotations

import logging
import os
import stat
from functools import cache

import pytest

from plimsoll import limits
from plimsoll.errors import ConfigError, SigningError, UnreadableKeyError
from plimsoll.model.trust import parse_pem_key
from plimsoll.pipeline.signing_keys import generate_key_files, read_passphrase_file, read_signing_key
from plimsoll.signatures.private_keys import encrypt_private_key
from plimsoll.signatures.signing import signing_key_from_seed


@cache
def encrypted():
    key = signing_key_from_seed(b"k" * 48)
    return encrypt_private_key(key, passphrase=b"open", salt=b"s" * 32, nonce=b"n" * 24)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(encrypted())
    return path


def never():
    raise AssertionError("no passphrase is needed")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_pair_is_written_for_its_owner_and_reads_back(tmp_path):
    private, public = generate_key_files(str(tmp_path / "k"), passphrase=b"open")
    assert (private, public) == (f"{tmp_path}/k.private", f"{tmp_path}/k.pub")
    assert mode(private) == 0o600
    assert mode(public) & 0o600 == 0o600
    key = read_signing_key(private, passphrase=lambda: b"open")
    with open(public, "rb") as file:
        assert parse_pem_key(file.read()) == key.public_key
    other, _ = generate_key_files(str(tmp_path / "other"), passphrase=b"open")
    assert read_signing_key(other, passphrase=lambda: b"open").public_key != key.public_key


@pytest.mark.parametrize("there", ["k.private", "k.pub"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, there, kind):
    taken = tmp_path / there
    taken.write_text("mine") if kind == "file" else taken.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SigningError, match=f'Refusing to overwrite existing "{taken}"'):
        generate_key_files(str(tmp_path / "k"), passphrase=b"")
    assert list(tmp_path.iterdir()) == [taken]
    assert kind != "file" or taken.read_text() == "mine"


def test_the_public_file_is_named_first(tmp_path):
    for name in ("k.private", "k.pub"):
        (tmp_path / name).touch()
    with pytest.raises(SigningError, match=r"k\.pub"):
        generate_key_files(str(tmp_path / "k"), passphrase=b"")


@pytest.mark.parametrize("prefix", ["none/k", "\0"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, prefix):
    with pytest.raises(SigningError):
        generate_key_files(f"{tmp_path}/{prefix}", passphrase=b"")


def test_a_wrong_passphrase_and_a_cut_file_are_refused_by_name(key_file):
    assert read_signing_key(str(key_file), passphrase=lambda: b"open")
    with pytest.raises(UnreadableKeyError, match=rf"{key_file}.*passphrase does not open it"):
        read_signing_key(str(key_file), passphrase=lambda: b"wrong")
    for size in (0, 40, 300, len(encrypted()) - 30):
        key_file.write_bytes(encrypted()[:size])
        with pytest.raises(UnreadableKeyError, match=str(key_file)):
            read_signing_key(str(key_file), passphrase=never)


def test_a_file_that_is_none_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe"):
        with pytest.raises(UnreadableKeyError, match=str(path)):
            read_signing_key(str(path), passphrase=never)


def test_a_key_that_others_may_read_is_warned_of(key_file, caplog):
    with caplog.at_level(logging.WARNING, "plimsoll"):
        read_signing_key(str(key_file), passphrase=lambda: b"open")
        assert caplog.messages == []
        key_file.chmod(0o640)
        read_signing_key(str(key_file), passphrase=lambda: b"open")
    assert caplog.messages == [
        f"{str(key_file)!r} holds a private key and others may read or write it (mode 0640): chmod 600 it"
    ]


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"", b""),
        (b"x", b"x"),
        (b"x\n", b"x"),
        (b"x\ny\n", b"x"),
        (b"\n", b""),
        (b" x \r\n", b" x \r"),
        (b"\xff\n", b"\xff"),
    ],
)
def test_a_passphrase_is_the_first_line(tmp_path, content, passphrase):
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_bytes(content)
    assert read_passphrase_file(str(path)) == passphrase


def test_what_is_no_passphrase_file_is_refused_and_not_quoted(tmp_path, caplog):
    (tmp_path / "long").write_bytes(b"canary" * limits.PASSPHRASE_BYTES)
    for path in (tmp_path / "none", tmp_path, tmp_path / "long"):
        with pytest.raises(ConfigError, match=str(path)) as caught:
            read_passphrase_file(str(path))
        assert "canary" not in str(caught.value)
    assert "holds a passphrase and others may read" in caplog.text
    assert "canary" not in caplog.text
