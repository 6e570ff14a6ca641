"""What a user gets wrong in policy and key files: the message names the file and the place in it.

The like of credential helpers, auth files, mirrors and lookasides: test_credential_helper.py, test_auth_file.py,
test_pull_sources_served.py, test_pipeline_stores.py.
"""

from __future__ import annotations

import json
import os

import pytest

from fakes.policy_lab import lay_out
from plimsoll.cli.main import main


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(lay_out(tmp_path))


def verify(capfd, *words):
    code = main(["verify", *words])
    return code, "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"default": [{"type": "reject"}],\n "default": []}',
            "line 2, column 2: a member that the object already has",
        ),
        (
            '{"default": [{"type": "reject"}],\n "transports": {"dir": {"": [{"type": "reject", "typo": 1}]}}}',
            'line 2, column 49: transports.dir[""][0]: unknown key "typo"',
        ),
        ('{"default": [{"type": "reject"},\n ]}', "line 2, column 2: "),
        ('{"default": [{"type": "reject"}]}\n,', "line 2, column 1: "),
        ("", "line 1, column 1: "),
    ],
)
def test_a_policy_that_cannot_be_read_with_certainty(capfd, text, said):
    with open("bad.json", "w", encoding="utf-8") as file:
        file.write(text)
    code, message = verify(capfd, "--policy", "bad.json", "dir:images/gpg/expired")
    assert code == 1
    assert message.startswith(f'plimsoll: invalid policy in "bad.json": {said}'), message
    assert message.count("\n") == 1


BAD_KEYS = {
    "missing.key": ("does not exist", 4),
    "folder.key": ("is a directory; a regular file is needed", 4),
    "empty.key": ("", 4),
}


@pytest.mark.parametrize("name", BAD_KEYS)
@pytest.mark.parametrize("kind", ["sigstoreSigned", "signedBy"])
def test_a_key_file_of_a_policy_that_is_none(capfd, name, kind):
    os.mkdir("folder.key")
    open("empty.key", "wb").close()
    said, code = BAD_KEYS[name]
    more = {"keyType": "GPGKeys"} if kind == "signedBy" else {}
    with open("policy.json", "w", encoding="utf-8") as file:
        json.dump({"default": [{"type": kind, "keyPath": name, **more}]}, file)
    if name == "empty.key":
        # An empty keyring trusts nobody, and that is sure; an empty PEM file is a mistake.
        said, code = ("no public key is in there", 3) if kind == "signedBy" else ("it is empty", 4)
    image = "dir:images/gpg/expired" if kind == "signedBy" else "dir:images/sig/s1"
    got, message = verify(capfd, "--policy", "policy.json", image)
    assert got == code, message
    assert f"'{name}' of default[0].keyPath: " in message
    assert said in message


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_file_of_the_command_line_that_is_none(capfd, name):
    os.mkdir("folder.key")
    open("empty.key", "wb").close()
    code, message = verify(capfd, "--key", name, "dir:images/sig/s1")
    assert code == 1
    assert message.startswith(f"plimsoll: --key {name}: ")
    assert (BAD_KEYS[name][0] or "it is empty") in message


def test_the_report_is_not_written_over_the_list(capfd):
    with open("list", "w", encoding="utf-8") as file:
        file.write("dir:images/gpg/expired\n")
    words = ("--insecure-policy", "--from", "list", "--output")
    code, message = verify(capfd, *words, "./list")
    assert code == 1
    assert "--output ./list is the list that --from reads" in message
    with open("list", encoding="utf-8") as file:
        assert file.read() == "dir:images/gpg/expired\n"
    assert verify(capfd, *words, "report")[0] == 0
