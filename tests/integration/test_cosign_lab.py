"""Every case of the cosign lab by the real command: the verdict is cosign's own, and a refusal is for its own reason."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from plimsoll.cli.main import main

VECTORS = Path(__file__).parents[1] / "vectors" / "cosign"
CASES = json.loads((VECTORS / "cases.json").read_bytes())
CODES = {
    "keyed .sig, wrong key": "untrusted-key",
    "keyed .sig, log required": "log-proof-missing",
    "unsigned": "no-signature",
    "keyed bundle, wrong key": "untrusted-key",
    "keyless, other identity": "identity-mismatch",
    "keyless, other issuer": "identity-mismatch",
    "keyless by a stranger": "identity-mismatch",
    "attestation of an absent type": "no-attestation",
    "forged-replay": "digest-mismatch",
    "forged-digest": "untrusted-key",
    "forged-empty": "no-signature",
    "forged-foreign-log-entry": "log-proof-invalid",
    "forged-no-log-entry": "log-proof-missing",
}
"""Rejected case -> the code of its first reason."""


@pytest.fixture(autouse=True)
def quiet_environment(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(VECTORS)


def verdict_of(image, args, capfd):
    """The exit code and the verdict's record."""
    code = main(["verify", *args, "--format", "jsonl", image])
    said = capfd.readouterr()
    assert said.err == ""
    verdict, summary = [json.loads(line) for line in said.out.splitlines()]
    assert summary["images"] == 1
    return code, verdict


def named(name):
    return next(case for case in CASES if case["name"] == name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_verdict_is_cosigns(case, capfd):
    code, verdict = verdict_of(case["image"], case["args"], capfd)
    assert verdict["verdict"] == case["expect"] == case["cosign_says"], verdict
    assert code == {"accepted": 0, "rejected": 3}[case["expect"]]
    assert [reason["code"] for reason in verdict["reasons"]][:1] == [
        CODES[name] for name in [case["name"]] if name in CODES
    ]


def test_every_case_is_there_and_every_refusal_has_its_reason():
    assert len(CASES) == len({case["name"] for case in CASES}) == 37
    assert Counter(case["expect"] for case in CASES) == {"accepted": 24, "rejected": 13}
    assert {case["name"] for case in CASES if case["expect"] == "rejected"} == set(CODES)


def test_every_layout_is_judged_in_some_case():
    layouts = {path.parent.name for path in VECTORS.glob("*/index.json")}
    assert {case["image"].split(":")[1].partition("@")[0] for case in CASES} == layouts


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("keyless bundle", ["--certificate-github-workflow-ref", "refs/heads/other"]),
        ("attestation vuln (bundle)", ["--attestation-type", "link"]),
        ("annotation matches", ["-a", "env=dev"]),
    ],
)
def test_an_accepted_one_is_rejected_if_more_is_asked(name, more, capfd):
    case = named(name)
    assert verdict_of(case["image"], case["args"], capfd)[0] == 0
    assert verdict_of(case["image"], [*case["args"], *more], capfd)[0] == 3


def without(args, option, values=1):
    at = args.index(option)
    return [*args[:at], *args[at + 1 + values :]]


@pytest.mark.parametrize(
    ("name", "option", "values", "code"),
    [
        ("keyed k1 .sig", "--insecure-ignore-tlog", 0, "log-proof-missing"),
        ("keyed .sig with log entry", "--trusted-root", 1, "log-proof-invalid"),
        ("keyed bundle", "--trusted-root", 1, "log-proof-invalid"),
        ("keyless bundle", "--trusted-root", 1, "log-proof-invalid"),
        ("keyless .sig", "--trusted-root", 1, "log-proof-invalid"),
        ("keyed p384 .sig", "--signature-digest-algorithm", 1, "untrusted-key"),
        ("attestation vuln (.att)", "--insecure-ignore-tlog", 0, "log-proof-missing"),
    ],
)
def test_an_accepted_one_is_rejected_if_it_is_trusted_less(name, option, values, code, capfd):
    case = named(name)
    exit_code, verdict = verdict_of(case["image"], without(case["args"], option, values), capfd)
    assert (exit_code, verdict["reasons"][0]["code"]) == (3, code)


def test_a_log_entry_of_another_signature_is_all_that_is_wrong_with_the_forged_one(capfd):
    case = named("forged-foreign-log-entry")
    args = [*without(case["args"], "--trusted-root"), "--insecure-ignore-tlog"]
    assert verdict_of(case["image"], args, capfd)[0] == 0


def test_two_signers_meet_a_threshold_of_two(capfd):
    both = ["--key", "keys/k1.pub", "--key", "keys/k2.pub", "--insecure-ignore-tlog", "--threshold", "2"]
    assert verdict_of("oci:cosign-multi:v1", both, capfd)[0] == 0
    code, verdict = verdict_of("oci:cosign-k1:v1", both, capfd)
    assert (code, verdict["reasons"][0]["code"]) == (3, "threshold-not-met")


def test_a_stranger_is_accepted_by_who_wants_just_him(capfd):
    case = named("keyless by a stranger")
    args = [*without(case["args"], "--certificate-identity"), "--certificate-identity-regexp", "https://.*"]
    assert verdict_of(case["image"], args, capfd)[0] == 0
