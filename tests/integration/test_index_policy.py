"""Indexes of the policy lab, signed here or there, under every --index-policy; and a diff against a real registry."""

from __future__ import annotations

import json
import os

import pytest

from fakes.policy_lab import DOCKER, filled_in, lay_out, push
from fakes.served import served
from plimsoll.cli.main import main


@pytest.fixture(autouse=True)
def quiet_environment(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("indexes"))


SIGNED = {
    "only-list": (0, 3, 3, 0),
    "only-instances": (3, 0, 3, 0),
    "only-amd64": (3, 3, 3, 3),
    "all": (0, 0, 0, 0),
}
"""What is signed of an index -> the exit codes under index, children, both, either."""


@pytest.mark.parametrize("image", SIGNED)
def test_how_an_index_counts(lab, monkeypatch, capfd, image):
    monkeypatch.chdir(lab)
    words = ["verify", "--policy", "policies/signedby-rsa.json", f"dir:images/list/{image}"]
    got = tuple([main([*words, "--index-policy", how]) for how in ("index", "children", "both", "either")])
    assert got == SIGNED[image], "".join(capfd.readouterr())
    assert main(words) == got[0]
    assert main([*words, "--platform", "all"]) == got[1]


def test_the_record_says_by_what_an_instance_is_accepted(lab, monkeypatch, capfd):
    monkeypatch.chdir(lab)
    seen = {}
    for image in ("only-list", "only-instances"):
        words = ["--policy", "policies/signedby-rsa.json", "--format=jsonl", "--index-policy=either"]
        assert main(["verify", *words, f"dir:images/list/{image}"]) == 0
        seen[image] = json.loads(capfd.readouterr().out.splitlines()[0])
    for image, by, index in (("only-list", "index", "accepted"), ("only-instances", "itself", "rejected")):
        record = seen[image]
        assert (record["judged"], record["index"]["verdict"]) == ("instances", index)
        assert [(instance["by"], instance["verdict"]) for instance in record["instances"]] == [(by, "accepted")] * 2


def test_a_diff_asks_a_registry_no_more_than_the_more_curious_policy(tmp_path, monkeypatch, capfd):
    root = tmp_path / "root"
    case = next(item for item in DOCKER["cases"] if item["name"] == "docker: list, attachments")
    root.mkdir()
    with served(root) as registry:
        lab = lay_out(tmp_path, registry=registry)
        push(lab, root)
        monkeypatch.chdir(lab)
        (lab / "reject.json").write_text('{"default": [{"type": "reject"}]}')
        policy, image = case["args"][1], filled_in(case["image"], lab, registry)
        access = case["args"][2:]
        assert main(["verify", "--format=jsonl", "--policy", policy, *access, image]) == 0
        alone = json.loads(capfd.readouterr().out.splitlines()[0])["requests"]
        for pair in (("reject.json", policy), (policy, "reject.json"), (policy, policy)):
            code = main(["policy", "diff", "--format=json", *pair, *access, image])
            summary = json.loads(capfd.readouterr().out)["summary"]
            assert code == (0 if len(set(pair)) == 1 else 3)
            assert (summary["images"], summary["requests"]) == (1, alone)
