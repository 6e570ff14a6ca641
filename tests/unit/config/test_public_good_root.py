from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.config.trust_store import (
    RECORD,
    RefreshRecord,
    checked_mirror,
    data_folder,
    instant,
    parse_record,
    read_refreshed,
    root_name,
    store_folder,
    write_record,
)
from plimsoll.config.trusted_root import (
    VENDORED_AS_OF_S,
    VENDORED_ROOT_SHA256,
    VENDORED_STALE_S,
    VENDORED_TUF_ROOT_SHA256,
    WARN_BEFORE_S,
    private_root,
    public_good_root,
    vendored_root,
    vendored_tuf_root,
)
from plimsoll.errors import ConfigError, TrustRootError
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.signatures.trust_index import index_root

ROOT = Path(__file__).parents[3]
NOW_S = VENDORED_AS_OF_S + 40 * 86_400
DATA = b'{"mediaType": "another root"}'
RECORDED = RefreshRecord(
    mirror="https://tuf.example",
    sha256=hashlib.sha256(DATA).hexdigest(),
    refreshed_s=NOW_S - 86_400,
    expires_s=NOW_S + 90 * 86_400,
    root_version=16,
    targets_version=12,
)


def keep(environ, record=RECORDED, *, data=DATA, instance=None):
    folder = Path(store_folder(environ, instance=instance))
    folder.mkdir(parents=True)
    (folder / root_name(record.sha256)).write_bytes(data)
    (folder / RECORD).write_bytes(write_record(record))
    return folder


@pytest.fixture
def environ(tmp_path):
    return {"XDG_DATA_HOME": str(tmp_path)}


def changed(**fields):
    return dataclasses.replace(RECORDED, **fields)


# ---- what came with plimsoll -----------------------------------------------------------------------------------------


def test_the_vendored_files_are_the_ones_that_were_taken():
    """As packaged in sigstore 4.5.1; docs/reference/trust.md names the same sums."""
    sums = [hashlib.sha256(data).hexdigest() for data in (vendored_root().data, vendored_tuf_root())]
    assert sums == [VENDORED_ROOT_SHA256, VENDORED_TUF_ROOT_SHA256]
    page = (ROOT / "docs/reference/trust.md").read_text(encoding="utf-8")
    assert all(found in page for found in sums)


def test_the_vendored_root_is_the_public_good_instances():
    root = parse_trusted_root(vendored_root().data)
    index = index_root(root)
    assert [log.host for log in root.tlogs] == ["rekor.sigstore.dev", "log2025-1.rekor.sigstore.dev"]
    assert len(root.ctlogs) == len(index.authorities) == 2
    assert [found.leaf is None for found in index.timestampers] == [False]
    assert root.unsupported == ()
    assert [log.log_id == hashlib.sha256(log.key.spki).digest() for log in (*root.tlogs, *root.ctlogs)] == [
        True,
        False,  # a Rekor v2 log's id is the hash of its note key
        True,
        True,
    ]


def test_the_vendored_tuf_root_is_the_repositorys():
    signed = json.loads(vendored_tuf_root())["signed"]
    assert (signed["_type"], signed["version"], signed["roles"]["root"]["threshold"]) == ("root", 15, 3)


def test_without_a_refreshed_copy_the_vendored_root_is_used(environ, caplog):
    found = public_good_root(environ, now_s=NOW_S)
    assert (found, found.kind, found.expires_s) == (vendored_root(), "vendored", None)
    assert caplog.messages == []


def test_a_vendored_root_that_is_old_is_said_to_be(environ, caplog):
    assert public_good_root(environ, now_s=VENDORED_AS_OF_S + VENDORED_STALE_S) == vendored_root()
    assert caplog.messages == []
    assert public_good_root(environ, now_s=VENDORED_AS_OF_S + VENDORED_STALE_S + 1) == vendored_root()
    (message,) = caplog.messages
    assert "plimsoll trust update" in message


def test_no_socket_is_opened_and_neither_tuf_nor_sigstore_imported():
    code = (
        "import sys, socket, time\n"
        "def refuse(*_): raise AssertionError('a socket')\n"
        "import plimsoll.pipeline.verifier, plimsoll.cli.verify_run, plimsoll.cli.trust_show\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from plimsoll.config.trusted_root import public_good_root\n"
        "assert public_good_root({'HOME': '/nonexistent'}, now_s=time.time()).data\n"
        "heavy = {'tuf', 'sigstore', 'securesystemslib', 'urllib3', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=30)


def test_the_sockets_of_this_process_stay_closed(environ, monkeypatch):
    keep(environ)
    monkeypatch.setattr(socket, "socket", None)
    assert public_good_root(environ, now_s=NOW_S).data == DATA


# ---- the refreshed copy ----------------------------------------------------------------------------------------------


def test_a_refreshed_copy_is_used(environ, caplog):
    folder = keep(environ)
    found = public_good_root(environ, now_s=NOW_S)
    assert (found.kind, found.data, found.origin) == ("refreshed", DATA, str(folder / root_name(RECORDED.sha256)))
    assert (found.as_of_s, found.expires_s) == (RECORDED.refreshed_s, RECORDED.expires_s)
    assert caplog.messages == []
    assert repr(DATA) not in repr(found)


@pytest.mark.parametrize(
    ("left_s", "message"),
    [(WARN_BEFORE_S, None), (WARN_BEFORE_S - 1, "expires on"), (0, "expires on"), (-1, "expired on")],
)
def test_the_end_of_a_refreshed_copy_is_said_before_it_comes(environ, caplog, left_s, message):
    record = changed(expires_s=NOW_S + left_s)
    keep(environ, record)
    with caplog.at_level(logging.WARNING, logger="plimsoll"):
        assert public_good_root(environ, now_s=NOW_S).kind == "refreshed"
    assert len(caplog.messages) == (0 if message is None else 1)
    assert message is None or (message in caplog.messages[0] and instant(record.expires_s) in caplog.messages[0])


@pytest.mark.parametrize(("refreshed_s", "kind"), [(VENDORED_AS_OF_S, "vendored"), (VENDORED_AS_OF_S + 1, "refreshed")])
def test_an_expired_copy_gives_way_to_a_newer_root_only(environ, caplog, refreshed_s, kind):
    """An older root would trust again what was withdrawn since (CVE-2020-15163: no step back)."""
    keep(environ, changed(refreshed_s=refreshed_s, expires_s=NOW_S - 1))
    assert public_good_root(environ, now_s=NOW_S).kind == kind
    (message,) = caplog.messages
    assert "expired on" in message


def test_a_copy_that_is_older_than_the_vendored_root_is_used_while_it_is_vouched_for(environ):
    keep(environ, changed(refreshed_s=VENDORED_AS_OF_S - 1))
    assert public_good_root(environ, now_s=NOW_S).kind == "refreshed"


def test_a_private_instances_copy_is_never_the_public_good_one(environ):
    keep(environ, instance="https://tuf.acme.example")
    assert public_good_root(environ, now_s=NOW_S) == vendored_root()
    for mirror in ("https://tuf.acme.example", "https://tuf.acme.example/"):
        assert private_root(mirror, environ=environ, now_s=NOW_S).data == DATA
    with pytest.raises(TrustRootError, match="nothing was refreshed"):
        private_root("https://tuf.other.example", environ=environ, now_s=NOW_S)
    with pytest.raises(TrustRootError, match="expired"):
        private_root("https://tuf.acme.example", environ=environ, now_s=RECORDED.expires_s + 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / RECORD).write_bytes(b""),
        lambda folder: (folder / RECORD).write_bytes(b"{}"),
        lambda folder: (folder / RECORD).write_bytes(b"x" * 100_000),
        lambda folder: (folder / root_name(RECORDED.sha256)).unlink(),
        lambda folder: (folder / root_name(RECORDED.sha256)).write_bytes(DATA + b" "),
        lambda folder: (folder / root_name(RECORDED.sha256)).write_bytes(b""),
        lambda folder: (folder / RECORD).unlink() or (folder / RECORD).mkdir(),
        lambda folder: (folder / RECORD).unlink() or os.mkfifo(folder / RECORD),
    ],
)
def test_a_store_that_is_not_whole_is_an_error_and_not_the_vendored_root(environ, damage):
    folder = keep(environ)
    assert read_refreshed(str(folder))
    damage(folder)
    with pytest.raises(TrustRootError, match="run plimsoll trust update, or remove"):
        public_good_root(environ, now_s=NOW_S)


# ---- where it lies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_DATA_HOME": "/data", "HOME": "/home/a"}, "/data/plimsoll"),
        ({"XDG_DATA_HOME": "/data/", "HOME": "/home/a"}, "/data/plimsoll"),
        ({"XDG_DATA_HOME": "", "HOME": "/home/a"}, "/home/a/.local/share/plimsoll"),
        ({"XDG_DATA_HOME": "data", "HOME": "/home/a/"}, "/home/a/.local/share/plimsoll"),
        ({"XDG_DATA_HOME": "./data", "HOME": "/home/a"}, "/home/a/.local/share/plimsoll"),
        ({"HOME": "/home/a"}, "/home/a/.local/share/plimsoll"),
    ],
)
def test_the_data_folder(environ, folder):
    assert data_folder(environ) == folder
    assert store_folder(environ, instance=None).startswith(f"{folder}/trust/")


@pytest.mark.parametrize("named", ["", ".", "data", "../data"])
def test_the_current_directory_is_never_a_source(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for place in (tmp_path, tmp_path / "data", tmp_path.parent / "data"):
        for folder in (place / "plimsoll/trust/public-good", place / ".local/share/plimsoll/trust/public-good"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RECORD).write_bytes(write_record(RECORDED))
            (folder / root_name(RECORDED.sha256)).write_bytes(DATA)
    environ = dict(os.environ) | {"XDG_DATA_HOME": named}
    assert public_good_root(environ, now_s=NOW_S) == vendored_root()


def test_without_a_home_the_vendored_root_is_used(monkeypatch):
    monkeypatch.setattr("plimsoll.config.trust_store.home", lambda _: "")
    assert store_folder({}, instance=None) == store_folder({}, instance="https://x.example") == ""
    assert public_good_root({}, now_s=NOW_S) == vendored_root()


@pytest.mark.parametrize("url", ["https://tuf.example", "http://127.0.0.1:8080/a/b", "https://[::1]/"])
def test_a_mirror(url):
    assert checked_mirror(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tuf.example",
        "file:///etc",
        "ftp://x.example",
        "https://",
        "https://x.example?a=b",
        "https://x.example#a",
        "https://x.example:port",
        "https://[",
        "https://user:secret@x.example",
        "https://user@x.example",
    ],
)
def test_what_is_no_mirror(url):
    with pytest.raises(ConfigError) as caught:
        checked_mirror(url)
    assert "secret" not in str(caught.value)


# ---- the record ------------------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written():
    assert parse_record(write_record(RECORDED)) == RECORDED


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "plimsoll.refreshed-root/v2"},
        {"sha256": "../../etc/passwd"},
        {"sha256": RECORDED.sha256.upper()},
        {"sha256": RECORDED.sha256 + "\n"},
        {"expires": None},
        {"expires": "2027-01-01"},
        {"refreshed": 5},
        {"rootVersion": "16"},
        {"more": 1},
    ],
)
def test_what_is_no_record(change):
    with pytest.raises(TrustRootError):
        parse_record(json.dumps(json.loads(write_record(RECORDED)) | change).encode())


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["schema", "mirror", "sha256", "refreshed", "expires", "rootVersion", "targetsVersion", "new"]),
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2),
)
def test_any_value_in_a_record_is_read_or_refused(name, value):
    document = json.loads(write_record(RECORDED))
    try:
        found = parse_record(json.dumps(document | {name: value}).encode())
    except TrustRootError:
        return
    assert found.sha256 == RECORDED.sha256
    assert name in {"mirror", "rootVersion", "targetsVersion"} or document[name] == value


@given(st.binary(max_size=200))
def test_no_bytes_give_anything_but_a_trust_root_error(data):
    with pytest.raises(TrustRootError):
        parse_record(data)


@pytest.mark.parametrize(("time_s", "text"), [(0, "1970-01-01"), (-1e12, "1-01-01"), (1e12, "9999-12-31")])
def test_every_time_can_be_shown(time_s, text):
    assert text in instant(time_s)


@settings(max_examples=60)
@given(st.none() | st.binary(max_size=4), st.none() | st.sampled_from([DATA, DATA + b" ", b""]), st.data())
def test_any_store_is_empty_whole_or_refused(damage, kept, data):
    record = write_record(RECORDED)
    if damage is not None:
        at, to = sorted(data.draw(st.tuples(st.integers(0, len(record)), st.integers(0, len(record)))))
        record = record[:at] + damage + record[to:]
    with tempfile.TemporaryDirectory() as folder:
        assert read_refreshed(folder) is None
        if kept is not None:
            Path(folder, root_name(RECORDED.sha256)).write_bytes(kept)
        assert read_refreshed(folder) is None
        Path(folder, RECORD).write_bytes(record)
        try:
            found = read_refreshed(folder)
        except TrustRootError:
            assert record != write_record(RECORDED) or kept != DATA
            return
    assert found is not None
    assert found.record == parse_record(record)
    assert (found.file.data, found.record.sha256) == (DATA, RECORDED.sha256)
