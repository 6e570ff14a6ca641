"""Every case of the policy lab: the verdict is skopeo's, or the case is listed here with the reason why it is not."""

from __future__ import annotations

import os

import pytest

from fakes.policy_lab import DOCKER, LOCAL, filled_in, lay_out, push
from fakes.served import served
from plimsoll.cli.main import main

EXITS = {0: "accepted", 1: "error", 2: "error", 3: "rejected", 4: "undetermined"}
DIFFERENT = {
    "list, only the list signed, copy --all": (
        "accepted",
        "without --platform the index itself is judged, and it is signed",
        "0007",
    ),
    "list, only instances signed, copy --all": (
        "rejected",
        "without --platform the index itself is judged, and it is not signed",
        "0007",
    ),
    "sigstore key file with two keys, first": (
        "undetermined",
        "a key file with two PEM blocks is refused: which of them counts is no guess of ours",
        "0007",
    ),
    "sigstore key file with two keys, second": (
        "undetermined",
        "a key file with two PEM blocks is refused: which of them counts is no guess of ours",
        "0007",
    ),
}
"""Case -> our verdict, why it is not skopeo's, and the ADR that decided so."""


def expected(case):
    if case["name"] in DIFFERENT:
        return {DIFFERENT[case["name"]][0]}
    found = {case["expect"], *case.get("also", ())}
    return found | {"undetermined"} if case["expect"] == "error" else found


@pytest.fixture(autouse=True)
def quiet_environment(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def registry_lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docker")
    root = folder / "repositories"
    root.mkdir()
    with served(root) as registry:
        lab = lay_out(folder, registry=registry)
        push(lab, root)
        yield lab, registry


def judge(case, lab, registry, monkeypatch, capfd):
    monkeypatch.chdir(lab)
    words = [filled_in(word, lab, registry) for word in (*case["args"], case["image"])]
    got = EXITS[main(["verify", *words])]
    said = "".join(capfd.readouterr())
    assert "internal-error" not in said
    assert "Traceback" not in said
    assert got in expected(case), f"{case['why']}: {said}"


@pytest.mark.parametrize("case", LOCAL, ids=lambda case: case["name"])
def test_a_case_without_a_registry(case, lab, monkeypatch, capfd):
    judge(case, lab, "127.0.0.1:1", monkeypatch, capfd)


@pytest.mark.parametrize("case", DOCKER["cases"], ids=lambda case: case["name"])
def test_a_case_with_a_registry(case, registry_lab, monkeypatch, capfd):
    judge(case, *registry_lab, monkeypatch, capfd)


def test_a_listed_difference_is_one():
    cases = {case["name"]: case for case in (*LOCAL, *DOCKER["cases"])}
    assert len(cases) == len(LOCAL) + len(DOCKER["cases"])
    for name, (verdict, _, _) in DIFFERENT.items():
        assert verdict not in {cases[name]["expect"], *cases[name].get("also", ())}, name


@pytest.mark.parametrize(
    ("image", "code"), [("only-list", 3), ("only-instances", 0), ("only-amd64", 3), ("all", 0), ("swapped", 3)]
)
def test_with_platform_all_the_instances_are_judged_as_skopeo_does(lab, monkeypatch, capfd, image, code):
    monkeypatch.chdir(lab)
    got = main(["verify", "--policy", "policies/signedby-rsa.json", "--platform", "all", f"dir:images/list/{image}"])
    assert got == code, "".join(capfd.readouterr())
