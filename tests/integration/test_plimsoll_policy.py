"""plimsoll documents on images that cosign itself signed, by the command: verify, explain, test, diff, lint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plimsoll.cli.main import main

LAB = Path(__file__).parents[1] / "vectors" / "cosign"
ROOT = LAB / "trust" / "trusted_root.json"
GITHUB = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
SIGNERS = {
    "keys": {name: {"path": f"{LAB}/keys/{name}.pub"} for name in ("k1", "k2", "rsa3072", "stranger")},
    "identities": {
        "ci": {"issuer": GITHUB, "subjectPattern": "https://github.com/acme/*/.github/workflows/*@refs/heads/main"},
        "preset": {"preset": "github-actions", "repository": "acme/app", "workflow": "release.yml", "ref": "refs/heads/main"},
        "other": {"issuer": GITHUB, "subject": f"{WORKFLOW}2"},
    },
}  # fmt: skip
LOGLESS = {"log": "ignore"}


def write(folder, *require, name="policy.json", **more):
    path = folder / name
    path.write_text(json.dumps({"apiVersion": "plimsoll/v1", "default": list(require)} | SIGNERS | more))
    return path


def run(capfd, *words):
    code = main([*map(str, words)])
    return code, *capfd.readouterr()


def verdict(capfd, policy, image, *words):
    code, out, err = run(
        capfd,
        "verify",
        "--policy",
        policy,
        "--trusted-root",
        ROOT,
        "--format",
        "jsonl",
        *words,
        f"oci:{LAB}/{image}:v1",
    )
    assert code in (0, 3, 4), err
    return json.loads(out.splitlines()[0])


def signatures(*names, **more):
    return {"signatures": {"from": list(names), **more}}


def attestation(kind, *names, **more):
    return {"attestation": {"type": kind, "from": list(names), **more}}


@pytest.mark.parametrize(
    ("image", "require", "expected"),
    [
        ("cosign-k1", signatures("k1", **LOGLESS), "accepted"),
        ("cosign-k1", signatures("k2", **LOGLESS), "rejected"),
        ("cosign-k1", signatures("k1"), "rejected"),
        ("cosign-logged", signatures("k1"), "accepted"),
        ("cosign-multi", signatures("k1", "k2", atLeast=2, **LOGLESS), "accepted"),
        ("cosign-multi", signatures("k1", "stranger", atLeast=2, **LOGLESS), "rejected"),
        ("cosign-k1", signatures("k1", "k2", atLeast=2, **LOGLESS), "rejected"),
        ("bundle-k1", signatures("k1"), "accepted"),
        ("bundle-k1", signatures("stranger"), "rejected"),
        ("keyless", signatures("ci"), "accepted"),
        ("keyless", signatures("preset"), "accepted"),
        ("keyless", signatures("other"), "rejected"),
        ("keyless-stranger", signatures("ci"), "rejected"),
        ("keyless-legacy", signatures("ci"), "accepted"),
        ("unsigned", signatures("k1", "ci"), "rejected"),
        ("forged-replay", signatures("k1", **LOGLESS), "rejected"),
        ("forged-digest", signatures("k1", **LOGLESS), "rejected"),
        ("attested", attestation("vuln", "k1"), "accepted"),
        ("attested", attestation("vuln", "k2"), "rejected"),
        ("attested", attestation("link", "k1"), "rejected"),
        ("attested", attestation("slsaprovenance1", "k1", where="predicate.nobody == 1"), "rejected"),
        ("attested", attestation("vuln", "k1", forbidden=True), "rejected"),
        ("attested", attestation("link", "k1", forbidden=True), "accepted"),
        ("attested-legacy", attestation("vuln", "k1", **LOGLESS), "accepted"),
        ("attested-legacy", attestation("vuln", "k2", **LOGLESS), "rejected"),
        ("attested-legacy", attestation("vuln", "k1"), "rejected"),
    ],
)
def test_images_of_a_real_cosign(capfd, tmp_path, image, require, expected):
    found = verdict(capfd, write(tmp_path, require), image)
    assert (found["verdict"], bool(found["reasons"])) == (expected, expected != "accepted"), found


def test_a_rule_by_path_applies_and_explain_tells(capfd, tmp_path):
    rules = [
        {"scope": f"oci:{LAB.resolve()}/*", "require": [{"anyOf": [signatures("k2"), signatures("k1", **LOGLESS)]}]}
    ]
    policy = write(tmp_path, name="p.json", default="reject", rules=rules)
    assert verdict(capfd, policy, "cosign-k1")["verdict"] == "accepted"
    code, out, _ = run(
        capfd,
        "policy",
        "explain",
        "--policy",
        policy,
        "--trusted-root",
        ROOT,
        "--format",
        "json",
        f"oci:{LAB}/cosign-k1:v1",
    )
    found = json.loads(out)
    assert (code, found["scope"], found["passed_over"]) == (0, f"rules[0] oci:{LAB.resolve()}/*", ["default"])
    (manifest,) = found["manifests"]
    assert manifest["attachments"] is True
    assert [(each["place"], each["type"], each["outcome"]) for each in manifest["requirements"]] == [
        ("rules[0].require[0].anyOf", "anyOf", "accepted"),
        ("rules[0].require[0].anyOf[0].signatures", "signatures", None),
        ("rules[0].require[0].anyOf[1].signatures", "signatures", "accepted"),
    ]
    assert [file["role"] for file in found["files"]] == ["policy"]


def test_under_an_extended_policy_json_a_layout_has_no_attached_signatures(capfd, tmp_path):
    base = {
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {
            "oci": {
                "": [
                    {
                        "type": "sigstoreSigned",
                        "keyPath": f"{LAB}/keys/k1.pub",
                        "signedIdentity": {"type": "exactRepository", "dockerRepository": "registry.example/acme/app"},
                    }
                ]
            }
        },
    }
    (tmp_path / "base.json").write_text(json.dumps(base))
    extending = write(tmp_path, name="p.json", default="reject", extends="base.json")
    found = verdict(capfd, extending, "cosign-k1")
    assert (found["verdict"], found["reasons"][0]["code"]) == ("rejected", "no-signature")
    rules = [{"scope": f"oci:{LAB.resolve()}/**", "require": [signatures("k1", **LOGLESS)]}]
    ruled = write(tmp_path, name="q.json", default="reject", extends="base.json", rules=rules)
    assert verdict(capfd, ruled, "cosign-k1")["verdict"] == "accepted"
    _, out, _ = run(capfd, "policy", "explain", "--policy", extending, "--format", "json", f"oci:{LAB}/cosign-k1:v1")
    assert [Path(file["path"]).name for file in json.loads(out)["files"]] == ["p.json", "base.json"]


def test_policy_test_and_diff_take_documents(capfd, tmp_path):
    old = write(tmp_path, signatures("k1", **LOGLESS), name="old.json")
    new = write(tmp_path, signatures("k1"), name="new.json")
    cases = [
        {"image": f"oci:{LAB}/cosign-k1:v1", "expect": "rejected", "reasons": ["log-proof-missing"]},
        {"image": f"oci:{LAB}/cosign-logged:v1", "expect": "accepted"},
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    rooted = ("--trusted-root", ROOT)
    assert run(capfd, "policy", "test", "--cases", tmp_path / "cases.json", "--policy", new, *rooted)[0] == 0
    assert run(capfd, "policy", "test", "--cases", tmp_path / "cases.json", "--policy", old, *rooted)[0] == 3
    images = [f"oci:{LAB}/{name}:v1" for name in ("cosign-k1", "cosign-logged")]
    code, out, _ = run(capfd, "policy", "diff", old, new, "--format", "json", *rooted, *images)
    (change,) = json.loads(out)["changes"]
    assert (code, change["change"], change["old"]["verdict"], change["new"]["verdict"]) == (
        3,
        "changed",
        "accepted",
        "rejected",
    )


def test_lint_has_line_and_column_of_yaml(capfd, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("apiVersion: plimsoll/v1\nkeys:\n  a: {path: a.pub}\ndefault: reject\n")
    code, out, _ = run(capfd, "policy", "lint", path)
    assert (code, out.splitlines()[0]) == (0, 'line 3, column 3: keys.a: key-unused: no requirement names the key "a"')
    code, out, _ = run(capfd, "policy", "lint", "--check-keys", "--strict", "--format", "json", path)
    warnings = json.loads(out)["warnings"]
    assert (code, [each["code"] for each in warnings]) == (3, ["key-unused", "key-unusable"])
    path.write_text("apiVersion: plimsoll/v1\ndefault: reject\nkey: {}\n")
    code, out, err = run(capfd, "policy", "lint", path)
    assert (code, out) == (1, "")
    assert "line 3, column 1" in err


def test_equal_keys_in_two_files_are_seen_by_lint_and_count_once(capfd, tmp_path):
    twin = tmp_path / "twin.pub"
    twin.write_bytes((LAB / "keys" / "k1.pub").read_bytes())
    keys = {"k1": {"path": f"{LAB}/keys/k1.pub"}, "twin": {"path": "twin.pub"}}
    asked = signatures("k1", "twin", atLeast=2, **LOGLESS)
    policy = write(tmp_path, asked, name="p.json", keys=keys, identities={"ci": SIGNERS["identities"]["ci"]})
    found = verdict(capfd, policy, "cosign-k1")
    assert (found["verdict"], found["reasons"][0]["code"]) == ("rejected", "threshold-not-met")
    _, out, _ = run(capfd, "policy", "lint", "--check-keys", "--format", "json", policy)
    assert "key-duplicate" in [each["code"] for each in json.loads(out)["warnings"]]


def test_a_key_that_cannot_be_read_is_undetermined(capfd, tmp_path):
    policy = write(
        tmp_path,
        signatures("gone", **LOGLESS),
        name="p.json",
        keys={"gone": {"path": "gone.pub"}},
        identities={"ci": SIGNERS["identities"]["ci"]},
    )
    found = verdict(capfd, policy, "cosign-k1")
    assert (found["verdict"], found["reasons"][0]["code"]) == ("undetermined", "key-unreadable")
    assert verdict(capfd, policy, "unsigned")["reasons"][0]["code"] == "no-signature"


def test_options_of_ad_hoc_trust_are_refused_beside_a_document(capfd, tmp_path):
    policy = write(tmp_path, signatures("k1"))
    code, _, err = run(capfd, "verify", "--policy", policy, "--key", LAB / "keys/k1.pub", f"oci:{LAB}/cosign-k1:v1")
    assert code == 1
    assert "exclude each other" in err
