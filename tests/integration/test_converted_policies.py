"""Converted policies judge the cosign lab as cosign did: what was accepted there is accepted, and nothing else."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from plimsoll.cli.main import main

VECTORS = Path(__file__).parents[1] / "vectors" / "cosign"
CASES = json.loads((VECTORS / "cases.json").read_bytes())
ROOT = ["--trusted-root", "trust/trusted_root.json"]


@pytest.fixture(autouse=True)
def quiet_environment(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(VECTORS)


def judge(capfd, policy, image):
    code = main(["verify", "--policy", str(policy), *ROOT, "--format", "jsonl", image])
    said = capfd.readouterr()
    verdict, _ = [json.loads(line) for line in said.out.splitlines()]
    return code, verdict


def scope_of(image):
    return f"oci:{VECTORS / image.split(':')[1].partition('@')[0]}"


def cosign_line(args):
    """The lab's arguments, which are plimsoll's, as cosign has them; one line for each type of attestation."""
    types = [args[at + 1] for at, word in enumerate(args) if word == "--attestation-type"]
    rest, at = [], 0
    while at < len(args):
        if args[at] == "--attestation-type":
            at += 2
            continue
        rest.append(args[at])
        at += 1
    if not types:
        return [["cosign", "verify", *rest]]
    return [["cosign", "verify-attestation", "--type", kind, *rest] for kind in types]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cosigns_flags_judge_as_cosign_did(case, tmp_path, capfd):
    outcomes = []
    for number, words in enumerate(cosign_line(case["args"])):
        policy = tmp_path / f"policy{number}.yaml"
        code = main(
            [
                "policy",
                "convert",
                "--from-cosign",
                shlex.join(words),
                "--scope",
                scope_of(case["image"]),
                "--output",
                str(policy),
            ]
        )
        said = capfd.readouterr().err
        assert code == (3 if "--trusted-root" in words else 0), said
        assert ("--trusted-root: differs" in said) == ("--trusted-root" in words)
        code, verdict = judge(capfd, policy, case["image"])
        assert code == {"accepted": 0, "rejected": 3}[verdict["verdict"]], verdict
        outcomes.append(verdict["verdict"] == "accepted")
    assert all(outcomes) == (case["cosign_says"] == "accepted")


def indented(text, width):
    return "".join(f"{' ' * width}{line}\n" for line in text.strip().splitlines())


def pem(name, width):
    return indented((VECTORS / "keys" / f"{name}.pub").read_text(encoding="ascii"), width)


IDENTITY = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
CLUSTER_IMAGE_POLICY = f"""\
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: lab
spec:
  images:
  - glob: registry.example/lab/**
  authorities:
  - name: k1
    key:
      data: |
{pem("k1", 8)}  - name: ci
    keyless:
      trustRootRef: lab
      identities:
      - issuer: https://token.actions.githubusercontent.com
        subjectRegExp: ^https://github.com/acme/app/.*$
"""
KYVERNO = f"""\
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: lab
spec:
  validationFailureAction: Enforce
  rules:
  - name: signed
    match: {{any: [{{resources: {{kinds: [Pod]}}}}]}}
    verifyImages:
    - imageReferences: ["registry.example/lab/*"]
      attestors:
      - entries:
        - keys:
            publicKeys: |
{pem("k1", 14)}{pem("k2", 14)}            rekor: {{ignoreTlog: true}}
"""
ATTESTED = """\
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: lab
spec:
  validationFailureAction: Enforce
  rules:
  - name: attested
    match: {any: [{resources: {kinds: [Pod]}}]}
    verifyImages:
    - imageReferences: ["registry.example/lab/*"]
      attestations:
      - type: https://slsa.dev/provenance/v1
        attestors:
        - entries:
          - keyless:
              issuer: https://token.actions.githubusercontent.com
              subject: "https://github.com/acme/app/*"
              rekor: {url: https://rekor.sigstore.dev}
"""


@pytest.mark.parametrize(
    ("option", "text", "accepted", "rejected"),
    [
        (
            "--cluster-image-policy",
            CLUSTER_IMAGE_POLICY,
            ["cosign-k1", "cosign-multi", "keyless", "keyless-legacy"],
            ["unsigned", "keyless-stranger", "forged-replay", "cosign-rsa3072", "forged-no-log-entry"],
        ),
        ("--kyverno", KYVERNO, ["cosign-multi"], ["cosign-k1", "unsigned", "keyless"]),
        ("--kyverno", ATTESTED, ["keyless"], ["unsigned", "attested", "cosign-k1", "keyless-stranger"]),
    ],
    ids=["cluster-image-policy", "kyverno-all-of", "kyverno-attestation"],
)
def test_cluster_policies_judge_the_lab(option, text, accepted, rejected, tmp_path, capfd):
    source, policy = tmp_path / "source.yaml", tmp_path / "policy.yaml"
    source.write_text(text, encoding="ascii")
    code = main(["policy", "convert", option, str(source), *ROOT, "--output", str(policy)])
    said = capfd.readouterr().err
    assert code == (3 if "trustRootRef" in text else 0), said
    # The lab lies in folders, and these tools know registries only.
    lab = policy.read_text(encoding="ascii").replace("docker://registry.example/lab/**", f"oci:{VECTORS}/**")
    assert f"oci:{VECTORS}/**" in lab
    policy.write_text(lab, encoding="ascii")
    for name in [*accepted, *rejected]:
        code, verdict = judge(capfd, policy, f"oci:{name}:v1")
        assert (code, verdict["verdict"]) == ((0, "accepted") if name in accepted else (3, "rejected")), (name, verdict)
