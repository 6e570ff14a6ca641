"""policy test and policy diff; and explain, where an index is judged by its instances."""

from __future__ import annotations

import json
import os

import pytest

from fakes.policy_lab import lay_out
from plimsoll.cli.main import main

REJECT, ACCEPT = "policies/default-rejects.json", "any.json"
UNSIGNED = "dir:images/ns/unsigned"
LISTS = "dir:images/list"
RSA = "policies/signedby-rsa.json"


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    lab = lay_out(tmp_path_factory.mktemp("verdicts"))
    (lab / ACCEPT).write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (lab / "unreadable.json").write_text(
        '{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "no-such.gpg"}]}'
    )
    return lab


@pytest.fixture
def lab(laid_out, tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(laid_out)
    return laid_out


def run(capfd, *words):
    code = main(["policy", *map(str, words)])
    return code, *capfd.readouterr()


@pytest.fixture
def cases(tmp_path):
    def write(*documents, name="cases.json"):
        path = tmp_path / name
        path.write_text(json.dumps(documents))
        return path

    return write


def a_case(expect, *reasons, image=UNSIGNED, **more):
    return {"image": image, "expect": expect, **({"reasons": reasons} if reasons else {}), **more}


class TestCases:
    def test_all_as_expected(self, capfd, lab, cases):
        path = cases(a_case("rejected", "policy-reject"), a_case("undetermined", "not-found", image="dir:no-such"))
        assert run(capfd, "test", "--cases", path, "--policy", REJECT) == (0, "2 cases: 2 as expected, 0 not\n", "")

    @pytest.mark.parametrize(
        ("policy", "told", "expected"),
        [
            (ACCEPT, [a_case("accepted")], 0),
            (ACCEPT, [a_case("rejected")], 3),
            (REJECT, [a_case("accepted")], 3),
            (REJECT, [a_case("undetermined")], 3),
            (REJECT, [a_case("rejected", "no-signature")], 3),
            (REJECT, [a_case("rejected", image="dir:no-such")], 4),
            (REJECT, [a_case("undetermined", "timeout", image="dir:no-such")], 4),
            (REJECT, [a_case("accepted"), a_case("rejected", image="dir:no-such")], 3),
            ("unreadable.json", [a_case("rejected", image=f"{LISTS}/all")], 4),
        ],
    )
    def test_the_exit_code(self, capfd, lab, cases, policy, told, expected):
        assert run(capfd, "test", "--cases", cases(*told), f"--policy={policy}")[0] == expected

    def test_what_differs_is_shown_and_nothing_else(self, capfd, lab, cases):
        path = cases(
            a_case("rejected", name="fine"), a_case("accepted", name="odd"), a_case("rejected", "bad-signature")
        )
        code, out, err = run(capfd, "test", "--cases", path, "--policy", REJECT)
        assert (code, err) == (3, "")
        lines = out.splitlines()
        assert lines[0].startswith("case 1: odd: dir:")
        assert lines[1:3] == ["    expected: accepted", "    came: rejected"]
        assert lines[3].startswith("        policy-reject: ")
        assert lines[5:7] == ["    expected: rejected, with bad-signature", "    came: rejected, without bad-signature"]
        assert lines[-1] == "3 cases: 1 as expected, 2 not"
        assert "fine" not in out

    def test_as_json(self, capfd, lab, cases):
        path = cases(a_case("rejected", name="fine"), a_case("accepted", image="dir:no-such"))
        code, out, _ = run(capfd, "test", "--cases", path, "--policy", REJECT, "--format=json")
        record = json.loads(out)
        counts = [record[key] for key in ("cases", "as_expected", "differ", "undetermined")]
        assert (code, record["schema"], record["file"], counts) == (
            4,
            "plimsoll.policy-test/v1",
            str(path),
            [2, 1, 1, 1],
        )
        fine, odd = record["results"]
        assert (fine["name"], fine["as_expected"], fine["came"]["verdict"]) == ("fine", True, "rejected")
        assert (odd["as_expected"], odd["expected"]) == (False, {"verdict": "accepted", "reasons": []})
        assert odd["came"]["schema"] == "plimsoll.verdict/v1"
        assert record["policy"].startswith("sha256:")

    def test_yaml_and_platforms(self, capfd, lab, tmp_path):
        path = tmp_path / "cases.yaml"
        path.write_text(
            f"- {{image: '{LISTS}/only-amd64', expect: accepted, platform: linux/amd64}}\n"
            f"- {{image: '{LISTS}/only-amd64', expect: rejected, platform: all}}\n"
            f"- {{image: '{LISTS}/only-list', expect: accepted}}\n"
        )
        assert run(capfd, "test", "--cases", path, "--policy", RSA)[0] == 0
        assert run(capfd, "test", "--cases", path, "--policy", RSA, "--index-policy=children")[0] == 3

    def test_by_key(self, capfd, lab, cases):
        path = cases(a_case("rejected", "no-signature", image="oci:images/ns/layout:v1"))
        assert run(capfd, "test", "--cases", path, "--key=keys/s1.pub", "--insecure-ignore-tlog")[0] == 0

    def test_hostile_text_is_escaped(self, capfd, lab, cases):
        path = cases(a_case("accepted", name="\x1b[31m"))
        code, out, _ = run(capfd, "test", "--cases", path, "--policy", REJECT)
        assert code == 3
        assert "\\x1b[31m" in out
        assert "\x1b" not in out

    @pytest.mark.parametrize(
        "words",
        [
            ["test"],
            ["test", "--cases"],
            ["test", "--cases", "no-such.json", "--policy", REJECT],
            ["test", "--cases", ".", "--policy", REJECT],
            ["test", "--cases", "empty.json", "--policy", REJECT],
            ["test", "--cases", "good.json", "--policy", "no-such.json"],
            ["test", "--cases", "good.json", "--policy", REJECT, "dir:extra"],
            ["test", "--cases", "good.json", "--policy", REJECT, "--layers=digest"],
            ["test", "--cases", "good.json", "--policy", REJECT, "--platform=all", "--index-policy=index"],
            ["test", "--cases", "good.json", "--policy", REJECT, "--index-policy=neither"],
        ],
    )
    def test_wrong_usage_is_exit_1(self, capfd, lab, words):
        (lab / "empty.json").write_text("[]")
        (lab / "good.json").write_text(json.dumps([a_case("rejected")]))
        code, out, err = run(capfd, *words)
        assert (code, out) == (1, "")
        assert err.startswith("plimsoll: ")


class TestDiff:
    @pytest.mark.parametrize(
        ("old", "new", "images", "expected"),
        [
            (REJECT, REJECT, [UNSIGNED], 0),
            (ACCEPT, ACCEPT, [UNSIGNED], 0),
            (ACCEPT, REJECT, [UNSIGNED], 3),
            (REJECT, ACCEPT, [UNSIGNED], 3),
            (REJECT, REJECT, ["dir:no-such"], 4),
            (ACCEPT, REJECT, [UNSIGNED, "dir:no-such"], 3),
            (REJECT, REJECT, [UNSIGNED, "dir:no-such"], 4),
            (ACCEPT, "unreadable.json", [f"{LISTS}/all"], 4),
        ],
    )
    def test_the_exit_code(self, capfd, lab, old, new, images, expected):
        assert run(capfd, "diff", old, new, *images)[0] == expected

    def test_what_changes_is_shown_with_reasons_and_nothing_else(self, capfd, lab, tmp_path):
        images = tmp_path / "list"
        images.write_text(f"# the fleet\n{LISTS}/all\n\n{LISTS}/only-instances\ndir:no-such\nA B\n")
        code, out, err = run(capfd, "diff", ACCEPT, RSA, "--from", images, f"{LISTS}/only-list")
        assert (code, err) == (3, "")
        lines = out.splitlines()
        heads = [line for line in lines if not line.startswith(" ")]
        assert [" ".join(line.split()[:4]) for line in heads[:-1]] == [
            "CHANGED accepted -> rejected",
            "UNDECIDED undetermined -> undetermined",
            "UNDECIDED undetermined -> undetermined",
        ]
        assert heads[0].endswith("only-instances")
        assert any(line.startswith("    index: sha256:") for line in lines)
        assert any(line.startswith("    new: ") for line in lines)
        assert heads[-1].startswith("5 images: 2 unchanged, 1 changed (1 accepted -> rejected), 2 undecided; ")

    def test_as_json(self, capfd, lab, tmp_path):
        words = (f"{LISTS}/all", f"{LISTS}/only-instances", "dir:no-such")
        code, out, _ = run(capfd, "diff", "--format", "json", ACCEPT, RSA, *words)
        record = json.loads(out)
        assert (code, record["schema"]) == (3, "plimsoll.policy-diff/v1")
        assert (record["old"]["file"], record["new"]["file"]) == (ACCEPT, RSA)
        assert record["old"]["policy"] != record["new"]["policy"]
        changed, undecided = record["changes"]
        assert (changed["change"], changed["position"]) == ("changed", 1)
        assert (changed["old"]["verdict"], changed["new"]["verdict"]) == ("accepted", "rejected")
        assert changed["old"]["digest"] == changed["new"]["digest"] is not None
        assert changed["new"]["reasons"]
        assert (undecided["change"], undecided["position"]) == ("undecided", 2)
        summary = record["summary"]
        assert summary["changed"] == {"accepted -> rejected": 1}
        assert [summary[key] for key in ("images", "unchanged", "undecided")] == [3, 1, 1]

    def test_json_without_a_change_is_a_document_too(self, capfd, lab):
        code, out, _ = run(capfd, "diff", "--format=json", REJECT, REJECT, UNSIGNED)
        record = json.loads(out)
        assert (code, record["changes"], record["summary"]["unchanged"]) == (0, [], 1)

    def test_the_policy_of_a_file_and_require_signed_hold_for_both(self, capfd, lab):
        assert run(capfd, "diff", ACCEPT, ACCEPT, "--require-signed", UNSIGNED)[0] == 0
        assert run(capfd, "diff", ACCEPT, REJECT, "--require-signed", UNSIGNED)[0] == 0

    def test_index_policies(self, capfd, lab):
        image = f"{LISTS}/only-list"
        assert run(capfd, "diff", REJECT, RSA, image)[0] == 3
        assert run(capfd, "diff", REJECT, RSA, image, "--index-policy=both")[0] == 0
        assert run(capfd, "diff", REJECT, RSA, image, "--index-policy=either")[0] == 3
        assert run(capfd, "diff", REJECT, RSA, image, "--platform=all")[0] == 0

    def test_an_empty_list_is_exit_1(self, capfd, lab, tmp_path):
        (tmp_path / "list").write_text("# nothing\n")
        code, out, err = run(capfd, "diff", REJECT, ACCEPT, "--from", tmp_path / "list")
        assert (code, out) == (1, "")
        assert "no image was compared" in err

    @pytest.mark.parametrize(
        "words",
        [
            [],
            [REJECT],
            [REJECT, ACCEPT],
            [REJECT, "no-such.json", UNSIGNED],
            ["", ACCEPT, UNSIGNED],
            [REJECT, ACCEPT, "nope://x"],
            [REJECT, ACCEPT, "--from", "no-such"],
            [REJECT, ACCEPT, UNSIGNED, "--policy", REJECT],
            [REJECT, ACCEPT, UNSIGNED, "--key", "keys/s1.pub"],
            [REJECT, ACCEPT, UNSIGNED, "--layers=digest"],
            [REJECT, ACCEPT, UNSIGNED, "--platform=linux"],
        ],
    )
    def test_wrong_usage_is_exit_1(self, capfd, lab, words):
        code, out, err = run(capfd, "diff", *words)
        assert (code, out) == (1, "")
        assert err.startswith("plimsoll: ")


class TestExplain:
    def explained(self, capfd, *words):
        code, out, _ = run(capfd, "explain", "--format=json", "--policy", RSA, *words)
        return code, json.loads(out)

    @pytest.mark.parametrize(
        ("image", "words", "expected", "manifests"),
        [
            ("only-list", [], 0, 1),
            ("only-instances", [], 3, 1),
            ("only-instances", ["--platform=all"], 0, 2),
            ("only-list", ["--platform=all"], 3, 2),
            ("only-amd64", ["--platform=linux/amd64"], 0, 1),
            ("only-amd64", ["--platform=linux/arm64"], 3, 1),
            ("only-list", ["--index-policy=children"], 3, 2),
            ("only-instances", ["--index-policy=both"], 3, 3),
            ("all", ["--index-policy=both"], 0, 3),
            ("only-list", ["--index-policy=either"], 0, 1),
            ("only-instances", ["--index-policy=either"], 0, 3),
        ],
    )
    def test_every_manifest_that_was_judged_is_there(self, capfd, lab, image, words, expected, manifests):
        code, record = self.explained(capfd, f"{LISTS}/{image}", *words)
        assert code == expected
        assert len(record["manifests"]) == manifests
        verdict = record["verdict"]
        judged = {instance["digest"] for instance in verdict.get("instances", ()) if instance["by"] == "itself"}
        if verdict["judged"] == "index" or "index" in verdict:
            judged.add(verdict["digest"])
        assert {manifest["digest"] for manifest in record["manifests"]} == judged
        assert all(finding["type"] == "signedBy" for each in record["manifests"] for finding in each["requirements"])

    def test_what_is_inherited_is_said(self, capfd, lab):
        code, out, _ = run(capfd, "explain", "--policy", RSA, "--index-policy=either", f"{LISTS}/only-list")
        assert code == 0
        assert "    the index itself: accepted\n" in out
        assert out.count(": accepted by its index\n") == 2
        code, out, _ = run(capfd, "explain", "--policy", RSA, "--index-policy=both", f"{LISTS}/only-list")
        assert code == 3
        assert "by its index" not in out

    def test_a_platform_that_would_be_idle_is_exit_1(self, capfd, lab):
        words = ("--policy", RSA, "--index-policy=index", "--platform=all", f"{LISTS}/all")
        code, out, err = run(capfd, "explain", *words)
        assert (code, out) == (1, "")
        assert "--index-policy index judges none" in err
