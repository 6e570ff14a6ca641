from __future__ import annotations

import base64
import hashlib
import json
import os

import pytest

from fakes.policy_lab import DOCKER, LOCAL, filled_in, lay_out, push
from fakes.served import served
from plimsoll.cli.main import main


def run(capfd, *words):
    code = main(["policy", *map(str, words)])
    return code, *capfd.readouterr()


def write(folder, document):
    path = folder / "policy.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_help_names_the_actions(capfd):
    code, out, err = run(capfd, "--help")
    assert (code, err) == (0, "")
    assert "lint" in out


@pytest.mark.parametrize("words", [[], ["no-such"], ["lint"], ["lint", "a", "b"], ["lint", "--no-such", "a"]])
def test_wrong_usage_is_exit_1(capfd, words):
    code, out, err = run(capfd, *words)
    assert (code, out) == (1, "")
    assert err.startswith("plimsoll: ")


def test_lint_of_a_good_policy(capfd, tmp_path):
    path = write(tmp_path, {"default": [{"type": "reject"}]})
    assert run(capfd, "lint", "--strict", path) == (0, f"{path}: valid, 0 warnings\n", "")


@pytest.mark.parametrize(("words", "expected"), [([], 0), (["--strict"], 3), (["--strict=false"], 0)])
def test_lint_with_a_warning(capfd, tmp_path, words, expected):
    path = write(tmp_path, {"default": [{"type": "insecureAcceptAnything"}]})
    code, out, err = run(capfd, "lint", path, *words)
    assert (code, err) == (expected, "")
    assert out.startswith("line 1, column 2: default: accept-anything: ")
    assert out.endswith(f"{path}: valid, 1 warning\n")


def test_lint_as_json(capfd, tmp_path):
    path = write(tmp_path, {"default": [{"type": "insecureAcceptAnything"}]})
    code, out, _ = run(capfd, "lint", "--format", "json", path)
    record = json.loads(out)
    assert (code, record["schema"], record["file"], record["error"]) == (0, "plimsoll.lint/v1", str(path), None)
    assert record["policy"].startswith("sha256:")
    (found,) = record["warnings"]
    assert (found["place"], found["line"], found["column"], found["code"]) == ("default", 1, 2, "accept-anything")
    assert all(item["message"] and item["hint"] for item in record["warnings"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"default": [{"type": "reject"},]}', "line 1, column "),
        ('{\n "default": [{"type": "reject"}],\n "default": []}', "line 3, column 2"),
        ('{"default": [{"type": "rejects"}]}', "default[0].type: unknown requirement type"),
        ("", "line 1, column 1"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_lint_of_what_is_no_policy_names_the_place(capfd, tmp_path, document, message, form):
    path = write(tmp_path, document)
    code, out, err = run(capfd, "lint", "--format", form, path)
    assert code == 1
    said = err if form == "text" else json.loads(out)["error"]
    assert message in said
    assert str(path) in said
    assert (out if form == "text" else err) == ""


@pytest.mark.parametrize("name", [".", "no-such.json"])
def test_lint_of_a_file_that_cannot_be_read(capfd, tmp_path, name):
    code, out, err = run(capfd, "lint", tmp_path / name)
    assert (code, out) == (1, "")
    assert str(tmp_path) in err


def test_lint_reads_keys_where_asked(capfd, tmp_path):
    policy = lay_out(tmp_path) / "policies" / "signedby-keypath-missing-file.json"
    assert "key-unusable" not in run(capfd, "lint", policy)[1]
    assert "key-unusable" in run(capfd, "lint", "--check-keys", policy)[1]


def test_lint_escapes_what_the_file_holds(capfd, tmp_path):
    path = write(tmp_path, {"default": [{"type": "reject"}], "transports": {"\x1b[31m": {"": [{"type": "reject"}]}}})
    code, out, _ = run(capfd, "lint", path)
    assert code == 0
    assert "transport-unknown" in out
    assert "\x1b" not in out


@pytest.fixture
def lab(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = lay_out(tmp_path)
    monkeypatch.chdir(found)
    return found


CASES = [
    case for case in LOCAL if case["expect"] != "error" and len(case["args"]) == 2 and case["args"][0] == "--policy"
]


@pytest.mark.parametrize("case", CASES[:: len(CASES) // 24], ids=lambda case: case["name"])
def test_explain_agrees_with_verify_and_with_itself(capfd, lab, case):
    code, out, _ = run(capfd, "explain", "--format", "json", *case["args"], case["image"])
    record = json.loads(out)
    verdict = record["verdict"]["verdict"]
    assert main(["verify", "--quiet", *case["args"], case["image"]]) == code
    assert code == {"accepted": 0, "rejected": 3, "undetermined": 4}[verdict]
    (manifest,) = record["manifests"]
    outcomes = [finding["outcome"] for finding in manifest["requirements"]]
    assert manifest["digest"] == record["verdict"]["digest"]
    if "rejected" in outcomes:
        assert verdict == "rejected"
    else:
        assert None not in outcomes
        assert verdict == ("undetermined" if "undetermined" in outcomes else "accepted")
    hinted = [reason for finding in manifest["requirements"] for reason in finding.get("reasons", ())]
    assert all(reason["hint"] for reason in hinted)
    assert record["files"] == [{"role": "policy", "path": case["args"][1], "place": ""}]


def test_explain_names_the_scope_and_those_passed_over(capfd, lab):
    policy = "policies/requirements-of-scopes-do-not-add-up.json"
    code, out, err = run(capfd, "explain", "--policy", policy, "dir:images/ns/unsigned")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert f'scope: transports.dir["{lab}/images/ns"]' in lines
    assert f'    passed over: transports.dir["{lab}/images"]' in lines
    assert "    passed over: default" in lines
    assert f'    transports.dir["{lab}/images/ns"][0] insecureAcceptAnything: met' in lines
    digest = hashlib.sha256((lab / policy).read_bytes()).hexdigest()
    assert f"policy: sha256:{digest}" in lines


def test_explain_shows_every_requirement_and_what_is_left_open(capfd, lab):
    (lab / "policy.json").write_text(
        json.dumps(
            {
                "default": [
                    {"type": "reject"},
                    {"type": "sigstoreSigned", "keyPath": "keys/s1.pub"},
                    {"type": "insecureAcceptAnything"},
                ]
            }
        )
    )
    code, out, _ = run(capfd, "explain", "--format=json", "--policy=policy.json", "dir:images/ns/unsigned")
    (manifest,) = json.loads(out)["manifests"]
    assert code == 3
    assert [(item["place"], item["type"], item["outcome"]) for item in manifest["requirements"]] == [
        ("default[0]", "reject", "rejected"),
        ("default[1]", "sigstoreSigned", None),
        ("default[2]", "insecureAcceptAnything", "accepted"),
    ]
    assert "left open" in run(capfd, "explain", "--policy=policy.json", "dir:images/ns/unsigned")[1]


def test_explain_names_each_signature_tried_with_its_reason_and_a_hint(capfd, lab):
    case = next(item for item in LOCAL if item["name"] == "signedBy wrong key")
    code, out, _ = run(capfd, "explain", *case["args"], case["image"])
    assert code == 3
    assert " signature: does not count\n" in out
    assert "untrusted-key: " in out
    assert "hint: compare the signer's key" in out


def test_explain_of_an_image_that_is_not_there_is_exit_2_as_verify_s(capfd, lab):
    code, out, _ = run(capfd, "explain", "--policy", "policies/default-rejects.json", "dir:no-such")
    assert code == 2
    assert "not-found: " in out
    assert "judged: " not in out


def test_explain_by_key_has_no_scope_of_a_policy(capfd, lab):
    words = ("--key", "keys/s1.pub", "--insecure-ignore-tlog", "oci:images/ns/layout:v1")
    code, out, _ = run(capfd, "explain", "--format", "json", *words)
    record = json.loads(out)
    assert (code, record["scope"], record["passed_over"], record["files"]) == (3, "--key", [], [])
    assert [item["type"] for item in record["manifests"][0]["requirements"]] == ["--key"]


def test_explain_of_a_registry_names_the_files_that_had_a_say(capfd, lab, tmp_path):
    root = tmp_path / "root"
    push(lab, root)
    silent, telling = lab / "silent.json", lab / "telling.json"
    silent.write_text("{}")
    with served(root) as address:
        telling.write_text(json.dumps({"auths": {address: {"auth": base64.b64encode(b"u:not-shown").decode()}}}))
        (lab / "r.conf").write_text(f'[[registry]]\nprefix = "{address}"\nlocation = "{address}"\n')
        for path in (silent, telling):
            path.chmod(0o600)
        case = next(item for item in DOCKER["cases"] if item["name"] == "docker: lookaside, not remapped")
        for name in ("policies", "registries.d"):
            for path in (lab / name).rglob("*.*"):
                if path.is_file():
                    text = path.read_text(errors="surrogateescape").replace("127.0.0.1:1", address)
                    path.write_text(text, errors="surrogateescape")
        image = filled_in(case["image"], lab, address)
        code, out, _ = run(capfd, "explain", "--format=json", *case["args"], "--authfile=silent.json", image)
        words = ("--registries-conf=r.conf", "--authfile=telling.json", image)
        _, told, _ = run(capfd, "explain", "--format=json", *case["args"], *words)
    record = json.loads(out)
    assert code == 3
    assert record["contacted"] == [f"{address}/acme-pol/app"]
    assert record["manifests"][0]["store"].startswith("file://")
    assert {file["role"] for file in record["files"]} == {"policy", "registries.d"}
    files = [(file["role"], file["path"], file["place"]) for file in json.loads(told)["files"]]
    assert files[-2:] == [
        ("registries.conf", "r.conf", f"prefix {address}"),
        ("credentials", "telling.json", ""),
    ]
    assert "not-shown" not in told


@pytest.mark.parametrize("words", [["explain"], ["explain", "dir:a", "dir:b"], ["explain", "nope://x"]])
def test_explain_of_what_is_no_one_image_is_exit_1(capfd, lab, words):
    code, out, err = run(capfd, *words)
    assert (code, out) == (1, "")
    assert err.startswith("plimsoll: ")


def test_a_fault_of_ours_is_shown_as_one(capfd, lab, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("plimsoll.pipeline.explain.assess", broken)
    code, out, _ = run(capfd, "explain", "--policy", "policies/default-rejects.json", "dir:images/ns/unsigned")
    assert code == 3  # the verdict is verify's own
    assert "default[0] reject: undetermined" in out
    assert "internal-error: " in out
