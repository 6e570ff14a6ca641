from __future__ import annotations

import json
import os
import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from fakes.pki import authority
from fakes.signing import b64, rekor, trusted_root_bytes
from fakes.tuf_repository import ROLES, TufRepository, key_pair
from plimsoll.cli.main import main
from plimsoll.config.trust_store import RECORD, parse_record, read_refreshed, store_folder
from plimsoll.config.trusted_root import public_good_root, vendored_root

FIRST = trusted_root_bytes(rekor().trusted())
SECOND = trusted_root_bytes(rekor().trusted(), rekor("second").trusted())
NO_CERTIFICATE = json.dumps(
    json.loads(FIRST)
    | {
        "certificateAuthorities": [
            {
                "certChain": {"certificates": [{"rawBytes": b64(b"no certificate")}]},
                "validFor": {"start": "2021-01-01T00:00:00Z"},
            }
        ]
    }
).encode()
needs_tuf = pytest.mark.skipif(find_spec("tuf") is None, reason="python-tuf is not installed (plimsoll[trust])")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of one's own, and no proxy between the client and loopback."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def run(capfd):
    def call(*words):
        code = main(["trust", *map(str, words)])
        return code, *capfd.readouterr()

    return call


def root_file(folder, **members):
    document = json.loads(FIRST) | members
    path = folder / "trusted_root.json"
    path.write_text(json.dumps(document))
    return path


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---- usage -----------------------------------------------------------------------------------------------------------


def test_help_names_the_actions(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in ("show", "export", "update"))
    assert main(["--help"]) == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such"],
        ["show", "a"],
        ["show", "--no-such"],
        ["show", "--format", "yaml"],
        ["show", "--trusted-root", "a", "--tuf-mirror", "https://x.example"],
        ["export", "--trusted-root", "a", "--tuf-mirror", "https://x.example"],
        ["update", "--offline"],
        ["update", "--tuf-root", "root.json"],
        ["update", "--tuf-mirror", "ftp://x.example"],
        ["update", "--tuf-mirror", ""],
        ["update", "--tuf-mirror", "https://x.example", "--tuf-root", ""],
        ["update", "--tuf-mirror", "https://x.example", "--tuf-root", "/no/such/file"],
        ["update", "a"],
    ],
)
def test_wrong_usage_is_exit_1_and_opens_no_socket(run, monkeypatch, home, words):
    monkeypatch.setattr(socket.socket, "connect", None)
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert err.startswith("plimsoll: ")
    assert listed(home) == []


# ---- show and export -------------------------------------------------------------------------------------------------


def test_show_of_the_vendored_root(run):
    code, out, err = run("show")
    assert (code, err) == (0, "")
    assert out.startswith("vendored trusted root: sigstore 4.5.1 (PyPI)\nsha256: 6494e21ea73fa7ee")
    assert "as of: 2026-10-16T00:00:00Z\n" in out
    assert "  https://log2025-1.rekor.sigstore.dev\n    2025-09-23T00:00:00Z to now on\n" in out
    assert "2021-03-14T00:00:00Z to 2022-10-31T23:59:59Z (ended)\n" in out
    assert "    certificate CN=sigstore-tsa,O=sigstore.dev, " in out


def test_show_as_json(run):
    code, out, _ = run("show", "--format", "json")
    record = json.loads(out)
    assert (code, record["schema"], record["kind"]) == (0, "plimsoll.trusted-root/v1", "vendored")
    assert [log["state"] for log in record["ctlogs"]] == ["ended", "in-use"]
    assert record["tlogs"][0]["key"] == f"sha256:{record['tlogs'][0]['log_id']}"
    (tsa,) = record["timestamp_authorities"]
    assert [certificate["subject"] for certificate in tsa["certificates"]] == [
        "CN=sigstore-tsa,O=sigstore.dev",
        "CN=sigstore-tsa-selfsigned,O=sigstore.dev",
    ]
    assert (record["expires"], record["expired"], record["unsupported"]) == (None, False, [])


def test_show_says_what_has_ended_and_what_is_left_out(run, tmp_path):
    ended = rekor().trusted(end="2022-01-01T00:00:00Z")
    future = rekor("second").trusted(start="9998-01-01T00:00:00Z") | {"baseUrl": "\x1b[2Jhttps://evil.example"}
    strange = rekor().trusted()
    strange["publicKey"]["keyDetails"] = "PKIX_ML_DSA_65"
    old = authority("old", first=0, last=1000)
    path = root_file(
        tmp_path,
        tlogs=[ended, future, strange],
        certificateAuthorities=[
            {
                "certChain": {"certificates": [{"rawBytes": b64(old.der)}]},
                "validFor": {"start": "0001-01-01T00:00:00+10:00"},
            }
        ],
    )
    code, out, _ = run("show", "--trusted-root", path)
    assert (code, "\x1b" in out) == (0, False)
    assert out.startswith(f"file trusted root: {path}\n")
    assert " to 2022-01-01T00:00:00Z (ended)\n" in out
    assert " to now on (not yet)\n" in out
    assert "certificate CN=old, EXPIRED 1970-01-01T00:16:40Z\n" in out
    assert "certificate logs: none\n" in out
    assert "left out, its algorithm is not built in: tlogs[2] https://rekor.example: PKIX_ML_DSA_65\n" in out
    record = json.loads(run("show", "--trusted-root", path, "--format", "json")[1])
    assert [log["state"] for log in record["tlogs"]] == ["ended", "not-yet"]
    assert record["certificate_authorities"][0]["certificates"][0]["expired"] is True
    assert len(record["unsupported"]) == 1


@pytest.mark.parametrize("action", ["show", "export"])
@pytest.mark.parametrize("content", [b"", b"{}", FIRST[:-1], b"\xff"])
def test_a_root_that_cannot_be_used_is_neither_shown_nor_exported(run, tmp_path, action, content):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    code, out, err = run(action, "--trusted-root", path)
    assert (code, out) == (1, "")
    assert str(path) in err


def test_an_authority_that_cannot_be_read_is_not_shown(run, tmp_path):
    entry = {
        "certChain": {"certificates": [{"rawBytes": b64(b"no certificate")}]},
        "validFor": {"start": "2021-01-01T00:00:00Z"},
    }
    code, out, err = run("show", "--trusted-root", root_file(tmp_path, timestampAuthorities=[entry]))
    assert (code, out) == (1, "")
    assert "timestampAuthorities[0]" in err


def test_export_is_byte_for_byte(run, tmp_path):
    code, out, err = run("export")
    assert (code, out.encode(), err) == (0, vendored_root().data, "")
    target = tmp_path / "out.json"
    assert run("export", "--output", target) == (0, "", "")
    assert target.read_bytes() == vendored_root().data
    assert run("export", "--output", tmp_path / "no" / "folder")[0] == 1


def test_what_was_never_refreshed_cannot_be_exported(run):
    code, out, err = run("export", "--tuf-mirror", "https://tuf.acme.example")
    assert (code, out) == (1, "")
    assert "plimsoll trust update" in err


# ---- update ----------------------------------------------------------------------------------------------------------


def test_without_python_tuf_the_extra_is_named(run, monkeypatch, home):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tuf"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tuf", None)
    code, out, err = run("update", "--tuf-mirror", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert "plimsoll[trust]" in err
    assert listed(home) == []


@pytest.fixture
def repository():
    made = TufRepository()
    made.publish_root()
    return made.publish(FIRST)


@pytest.fixture
def mirror(repository):
    with repository.served() as url:
        yield url


@pytest.fixture
def update(run, repository, mirror, tmp_path):
    """Refresh from the repository as a private instance's, trusting the root that it began with."""
    path = tmp_path / "root.json"
    path.write_bytes(repository.files["1.root.json"])

    def call():
        code, out, err = run("update", "--tuf-mirror", mirror, "--tuf-root", path)
        assert (out == "") is (code != 0)
        return code, out if code == 0 else err

    return call


@pytest.fixture
def in_use(run, mirror):
    """What is exported from the private instance's store."""

    def call():
        return run("export", "--tuf-mirror", mirror)[1].encode()

    return call


@needs_tuf
def test_an_update_is_kept_shown_and_exported(run, update, in_use, mirror):
    code, out = update()
    assert code == 0
    assert out.startswith(f"refreshed from {mirror}\nTUF root 1, targets 1, until ")
    assert in_use() == FIRST
    record = json.loads(run("show", "--tuf-mirror", f"{mirror}/", "--format", "json")[1])
    assert (record["kind"], record["expired"]) == ("refreshed", False)
    assert record["expires"] > record["as_of"]


@needs_tuf
def test_an_update_without_news_asks_for_the_timestamp_and_changes_nothing(update, in_use, repository):
    assert update()[0] == 0
    code, out = update()
    assert (code, out.partition(" ")[0]) == (0, "unchanged")
    assert in_use() == FIRST


@needs_tuf
def test_news_replace_the_former_copy(update, in_use, repository):
    update()
    repository.next().publish(SECOND)
    code, out = update()
    assert (code, out.partition(" ")[0]) == (0, "refreshed")
    assert "targets 2" in out
    assert in_use() == SECOND
    repository.next().publish(FIRST)
    assert update()[1].startswith("refreshed")
    assert in_use() == FIRST


@needs_tuf
def test_the_record_ends_with_the_first_of_root_and_targets(update, repository, mirror):
    before = time.time()
    repository.days |= {"timestamp": 1, "root": 50}
    repository.next("root").publish_root()
    repository.next().publish(FIRST)
    assert update()[0] == 0
    record = read_refreshed(store_folder(os.environ, instance=mirror)).record
    assert (record.mirror, record.root_version, record.targets_version) == (mirror, 2, 2)
    assert 49 * 86_400 < record.expires_s - before < 51 * 86_400
    assert before - 1 <= record.refreshed_s <= time.time()


@needs_tuf
def test_a_private_update_is_not_the_public_good_root(update):
    assert update()[0] == 0
    assert public_good_root(os.environ, now_s=time.time()) == vendored_root()


@needs_tuf
def test_a_mirror_of_the_public_good_repository_refreshes_what_verification_uses(run, repository, mirror, monkeypatch):
    monkeypatch.setattr("plimsoll.cli.trust_update.vendored_tuf_root", lambda: repository.files["1.root.json"])
    code, out, _ = run("update", "--tuf-mirror", mirror)
    assert (code, out.partition(" ")[0]) == (0, "refreshed")
    found = public_good_root(os.environ, now_s=time.time())
    assert (found.kind, found.data) == ("refreshed", FIRST)
    assert run("export")[1].encode() == FIRST


@needs_tuf
def test_a_repository_of_other_keys_is_no_mirror_of_the_public_good_one(run, mirror):
    code, out, err = run("update", "--tuf-mirror", mirror)
    assert (code, out) == (1, "")
    assert "is refused" in err
    assert public_good_root(os.environ, now_s=time.time()) == vendored_root()


@needs_tuf
def test_the_root_key_may_change_hands(update, in_use, repository):
    update()
    former = repository.signers["root"]
    repository.signers |= {"root": key_pair(), "targets": key_pair()}
    repository.next("root").publish_root(former, repository.signers["root"])
    repository.next().publish(SECOND)
    assert update()[0] == 0
    assert in_use() == SECOND


def stolen_root(repository):
    repository.signers |= {"root": key_pair(), "targets": key_pair()}
    repository.next("root").publish_root()
    repository.next().publish(SECOND)


def rolled_back(role):
    """What the role signs goes back; those above it go on."""

    def change(repository):
        at = ROLES.index(role)
        repository.versions |= dict.fromkeys(ROLES[1:at], 6) | dict.fromkeys(ROLES[at:], 4)
        repository.publish(SECOND)

    return change


def expired(role):
    def change(repository):
        repository.days[role] = -1
        if role == "root":
            repository.next("root").publish_root()
        repository.versions = {name: 6 if name != "root" else n for name, n in repository.versions.items()}
        repository.publish(SECOND)

    return change


def signed_by_another(role):
    def change(repository):
        repository.versions |= {"timestamp": 6, "snapshot": 6, "targets": 6}
        repository.publish(SECOND, **{role: key_pair()})

    return change


def newest(target):
    def change(repository):
        repository.versions |= {"timestamp": 6, "snapshot": 6, "targets": 6}
        repository.publish(target)

    return change


def other_bytes(repository):
    newest(SECOND)(repository)
    (name,) = [name for name, data in repository.files.items() if data == SECOND]
    repository.files[name] = SECOND.replace(b"rekor.example", b"rekor.evil.io")


@needs_tuf
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (stolen_root, "root was signed by 0/1 keys"),
        (rolled_back("timestamp"), "New timestamp version 4 must be >= 5"),
        (rolled_back("snapshot"), "snapshot"),
        (rolled_back("targets"), "targets"),
        (expired("root"), "root.json is expired"),
        (expired("timestamp"), "timestamp.json is expired"),
        (expired("snapshot"), "snapshot.json is expired"),
        (expired("targets"), "New targets is expired"),
        (signed_by_another("timestamp"), "timestamp was signed by 0/1 keys"),
        (signed_by_another("snapshot"), "snapshot was signed by 0/1 keys"),
        (signed_by_another("targets"), "targets was signed by 0/1 keys"),
        (other_bytes, "does not match expected hash"),
        (newest(None), "has no target trusted_root.json"),
        (newest(b"{}"), "mediaType"),
        (newest(NO_CERTIFICATE), "certificateAuthorities[0]"),
        (newest(FIRST.replace(b"2021-01-12T11:53:27Z", b"")), "validFor.start"),
        (lambda repository: repository.files.clear(), "cannot be had"),
        (lambda repository: repository.files.update({"timestamp.json": b"{" * 100}), "is refused"),
        (lambda repository: repository.files.update({"timestamp.json": b" " * 20_000}), "cannot be had"),
    ],
)
def test_what_does_not_verify_leaves_the_former_copy_in_use(update, in_use, repository, mirror, change, message):
    repository.versions |= {"timestamp": 5, "snapshot": 5, "targets": 5}
    repository.publish(FIRST)
    assert update()[0] == 0
    folder = Path(store_folder(os.environ, instance=mirror))
    record = (folder / RECORD).read_bytes()
    change(repository)
    code, err = update()
    assert (code, message in err) == (1, True), err
    assert (folder / RECORD).read_bytes() == record
    assert in_use() == FIRST


@needs_tuf
def test_a_mirror_that_is_gone(run, tmp_path, repository):
    path = tmp_path / "root.json"
    path.write_bytes(repository.files["1.root.json"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        code, _, err = run("update", "--tuf-mirror", f"http://127.0.0.1:{taken.getsockname()[1]}", "--tuf-root", path)
    assert (code, "cannot be had" in err) == (1, True)


@needs_tuf
@pytest.mark.parametrize("content", [b"", b"{}", FIRST, b"x" * 600_000])
def test_a_first_root_that_is_none(run, mirror, tmp_path, content):
    path = tmp_path / "root.json"
    path.write_bytes(content)
    assert run("update", "--tuf-mirror", mirror, "--tuf-root", path)[:2] == (1, "")


@needs_tuf
def test_a_folder_that_cannot_be_written(update, home):
    (home / "data").write_text("a file, not a folder")
    code, err = update()
    assert (code, "cannot be written" in err) == (1, True)


@needs_tuf
def test_a_store_that_is_not_whole_is_mended(update, in_use, mirror):
    update()
    folder = Path(store_folder(os.environ, instance=mirror))
    (folder / RECORD).write_text("broken")
    assert in_use() == b""
    assert update()[0] == 0
    assert in_use() == FIRST
    assert parse_record((folder / RECORD).read_bytes())
    assert [name for name in listed(folder) if name.startswith("tmp")] == []
    assert folder.stat().st_mode & 0o077 == 0


@needs_tuf
def test_a_root_with_strange_logs_is_kept_and_they_are_named(update, repository):
    strange = rekor().trusted()
    strange["publicKey"]["keyDetails"] = "PKIX_ML_DSA_65"
    repository.next().publish(trusted_root_bytes(strange))
    code, out = update()
    assert (code, "left out, its algorithm is not built in: tlogs[0]" in out) == (0, True)
