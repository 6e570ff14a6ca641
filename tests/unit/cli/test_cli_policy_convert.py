from __future__ import annotations

import json

import pytest
import yaml

from fakes.foreign_policies import key
from plimsoll.cli.main import main

POLICY = {
    "apiVersion": "policy.sigstore.dev/v1beta1",
    "kind": "ClusterImagePolicy",
    "spec": {"images": [{"glob": "ghcr.io/acme/**"}], "authorities": [{"key": {"data": key("k1")}}]},
}


def run(capfd, *words):
    code = main(["policy", "convert", *map(str, words)])
    return code, *capfd.readouterr()


def write(folder, document, name="source.yaml"):
    path = folder / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return path


def test_all_carried_over_is_exit_0(capfd, tmp_path):
    code, out, err = run(capfd, "--cluster-image-policy", write(tmp_path, POLICY))
    assert (code, err) == (0, "")
    assert yaml.safe_load(out)["default"] == "reject"


def test_a_loss_is_exit_3_with_its_line(capfd, tmp_path):
    lossy = write(tmp_path, json.dumps(POLICY, indent=1).replace('"images"', '"surprise": 1,\n"images"'))
    code, out, err = run(capfd, "--cluster-image-policy", lossy)
    assert code == 3
    assert (
        err == "line 5: spec.surprise: rejects: this field is not known here, and what it demands is not carried over\n"
    )
    assert "# - spec.surprise: " in out
    assert yaml.safe_load(out)["rules"][0]["require"] == "reject"


def test_the_report_as_json(capfd, tmp_path):
    source, output = write(tmp_path, POLICY | {"more": 1}), tmp_path / "policy.yaml"
    code, out, err = run(capfd, "--cluster-image-policy", source, "--format", "json", "--output", output)
    record = json.loads(out)
    assert (code, err, record["schema"], record["complete"], record["rules"]) == (
        3, "", "plimsoll.policy-convert/v1", False, 1,
    )  # fmt: skip
    assert record["document"] == output.read_text(encoding="ascii")
    assert [(found["place"], found["effect"]) for found in record["findings"]] == [("more", "rejects")]


def test_several_files_and_lists_hold_together(capfd, tmp_path):
    other = {**POLICY, "spec": {**POLICY["spec"], "authorities": [{"key": {"data": key("k2")}}]}}
    one, two = write(tmp_path, POLICY), write(tmp_path, other, "other.yaml")
    both = write(tmp_path, {"apiVersion": "v1", "kind": "List", "items": [POLICY, other]}, "list.yaml")
    code, out, _ = run(capfd, "--cluster-image-policy", one, "--cluster-image-policy", two)
    (rule,) = yaml.safe_load(out)["rules"]
    assert (code, len(rule["require"])) == (0, 2)
    code, out, _ = run(capfd, "--cluster-image-policy", both)
    assert (code, len(yaml.safe_load(out)["rules"][0]["require"])) == (0, 2)


def test_a_key_file_is_named_as_seen_from_the_document(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    line = "cosign verify --key keys/release.pub ghcr.io/acme/app"
    assert run(capfd, "--from-cosign", line, "--output", "policies/p.yaml")[0] == 0
    document = yaml.safe_load((tmp_path / "policies" / "p.yaml").read_text(encoding="ascii"))
    assert document["keys"] == {"release": {"path": "../keys/release.pub"}}
    assert yaml.safe_load(run(capfd, "--from-cosign", line)[1])["keys"]["release"]["path"] == "keys/release.pub"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--from-cosign", "verify --key k x.io/a", "--kyverno", "SOURCE"],
        ["--from-cosign", "verify 'x"],
        ["--from-cosign", "verify --key k"],
        ["--from-cosign", "verify --key k", "--scope", "ghcr.io/acme"],
        ["--from-cosign", "verify --key k x.io/a", "--registry", "x.io"],
        ["--kyverno", "SOURCE"],
        ["--kyverno", "MISSING"],
        ["--cluster-image-policy", "SOURCE", "--scope", "docker://x.io/**"],
        ["--cluster-image-policy", "SOURCE", "--registry", "*"],
        ["--cluster-image-policy", "SOURCE", "--trusted-root", "MISSING"],
        ["--cluster-image-policy", "EMPTY"],
        ["--cluster-image-policy", "TWICE"],
        ["--cluster-image-policy", "LIST"],
    ],
)
def test_what_cannot_be_read_is_exit_1_and_writes_nothing(capfd, tmp_path, words):
    files = {
        "SOURCE": write(tmp_path, POLICY),
        "EMPTY": write(tmp_path, "", "empty.yaml"),
        "TWICE": write(tmp_path, "a: 1\na: 2\n", "twice.yaml"),
        "LIST": write(tmp_path, {"kind": "List", "items": []}, "list.yaml"),
        "MISSING": tmp_path / "missing.yaml",
    }
    output = tmp_path / "policy.yaml"
    code, out, err = run(capfd, *[files.get(word, word) for word in words], "--output", output)
    assert (code, out, output.exists()) == (1, "", False)
    assert err.startswith("plimsoll: ")


def test_aliases_do_not_multiply(capfd, tmp_path):
    nested = "&a0 {keys: {kms: 'awskms:///alias/x'}}"
    for depth in range(4):
        aliases = ", ".join([f"*a{depth}"] * 60)
        nested = f"&a{depth + 1} {{attestor: {{entries: [{nested}, {aliases}]}}}}"
    text = (
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nspec: {rules: [{verifyImages: [{imageReferences: ['a.io/*'], "
        f"attestors: [{{entries: [{nested}]}}]}}]}}]}}\n"
    )
    code, out, err = run(capfd, "--kyverno", write(tmp_path, text))
    assert (code, out) == (1, "")
    assert "maps to read" in err
