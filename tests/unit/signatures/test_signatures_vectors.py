"""Images that cosign itself signed (tests/vectors/cosign), judged without I/O beside reading the committed bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Attachment, Evidence, Found, Needs
from plimsoll.model.location import locate_path
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.trust import parse_pem_key
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.model.verdict import Outcome
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHocKeys, LogDemand

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
CASES = [
    case
    for case in json.loads((VECTORS / "cases.json").read_text())
    if "--key" in case["args"]
    and case["image"].partition(":")[2].partition(":")[0]
    in {
        "cosign-annotated",
        "cosign-k1",
        "cosign-logged",
        "cosign-multi",
        "cosign-p384",
        "cosign-p521",
        "cosign-rsa3072",
        "forged-digest",
        "forged-empty",
        "forged-foreign-log-entry",
        "forged-replay",
        "unsigned",
    }
]


def blob(layout, digest):
    data = (VECTORS / layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert str(Digest.of(data)) == digest
    return data


def by_name(layout):
    """The layout's named manifests."""
    entries = json.loads((VECTORS / layout / "index.json").read_bytes())["manifests"]
    named = [(e.get("annotations", {}).get("org.opencontainers.image.ref.name"), e["digest"]) for e in entries]
    return {name: digest for name, digest in named if name}


def answer(layout, names, place):
    if place.tag not in names:
        return Absent()
    manifest = parse_manifest(RawManifest(data=blob(layout, names[place.tag])))
    wanted = [layer for layer in manifest.layers if layer.media_type in place.media_types]
    return Found(
        attachments=tuple([Attachment(descriptor=layer, data=blob(layout, str(layer.digest))) for layer in wanted])
    )


def asked(args):
    """What the command line asks for; an option that is not known here fails the test."""
    keys, annotations, root, more = [], [], None, {}
    rest = iter(args)
    for option in rest:
        match option:
            case "--key":
                keys.append(parse_pem_key((VECTORS / next(rest)).read_bytes()))
            case "--trusted-root":
                root = parse_trusted_root((VECTORS / next(rest)).read_bytes())
            case "--insecure-ignore-tlog":
                more["log"] = LogDemand.IGNORED
            case "--signature-digest-algorithm":
                more["digest_algorithm"] = next(rest)
            case "-a":
                annotations.append(tuple(next(rest).split("=", 1)))
            case "--threshold":
                more["threshold"] = int(next(rest))
            case _:
                pytest.fail(f"unknown option {option}")
    return AdHocKeys(keys=tuple(keys), annotations=tuple(annotations), **more), root


def judgement_of(layout, name, args):
    names = by_name(layout)
    requirement, root = asked(args)
    ready = prepare((requirement,), read_key=None, trust_root=root, attachments=True)
    raw = RawManifest(data=blob(layout, names[name]))
    evidence = Evidence(
        image=layout, location=locate_path("oci", f"/{layout}"), manifest=raw, digests=(raw.digest,), now_s=0.0
    )
    found = judge(ready, evidence)
    while isinstance(found, Needs):
        evidence = evidence.with_answers({place: answer(layout, names, place) for place in found.places})
        found = judge(ready, evidence)
    return found


def test_there_are_good_and_forged_ones():
    assert {case["expect"] for case in CASES} == {"accepted", "rejected"}
    assert len(CASES) > 14


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_cosign_signed_is_judged_as_the_lab_expects(case):
    _, layout, name = case["image"].split(":")
    found = judgement_of(layout, name, case["args"])
    assert found.outcome is Outcome(case["expect"]), found


@pytest.mark.parametrize(
    ("layout", "args", "code"),
    [
        ("cosign-k1", ["--key", "keys/stranger.pub", "--insecure-ignore-tlog"], "untrusted-key"),
        ("cosign-k1", ["--key", "keys/k1.pub"], "log-proof-missing"),
        ("cosign-logged", ["--key", "keys/k1.pub"], "log-proof-invalid"),  # no root: no log is trusted
        ("forged-replay", ["--key", "keys/k1.pub", "--insecure-ignore-tlog"], "digest-mismatch"),
        ("forged-empty", ["--key", "keys/k1.pub", "--insecure-ignore-tlog"], "no-signature"),
        ("unsigned", ["--key", "keys/k1.pub", "--insecure-ignore-tlog"], "no-signature"),
        (
            "forged-foreign-log-entry",
            ["--key", "keys/k1.pub", "--trusted-root", "trust/trusted_root.json"],
            "log-proof-invalid",
        ),
        ("cosign-annotated", ["--key", "keys/k1.pub", "--insecure-ignore-tlog", "-a", "env=dev"], "identity-mismatch"),
        ("cosign-p384", ["--key", "keys/p384.pub", "--insecure-ignore-tlog"], "untrusted-key"),  # SHA-384 was used
    ],
)
def test_why_not(layout, args, code):
    found = judgement_of(layout, "v1", args)
    assert found.outcome is Outcome.REJECTED
    assert found.reasons[0].code == code


def test_a_log_entry_of_a_forged_one_would_do_if_the_log_were_ignored():
    """The twin: only the entry is wrong with it."""
    found = judgement_of("forged-foreign-log-entry", "v1", ["--key", "keys/k1.pub", "--insecure-ignore-tlog"])
    assert found.outcome is Outcome.ACCEPTED


def test_two_signers_meet_a_threshold_of_two():
    both = ["--key", "keys/k1.pub", "--key", "keys/k2.pub", "--insecure-ignore-tlog", "--threshold", "2"]
    assert judgement_of("cosign-multi", "v1", both).outcome is Outcome.ACCEPTED
    found = judgement_of("cosign-k1", "v1", both)
    assert found.outcome is Outcome.REJECTED
    assert found.reasons[0].code == "threshold-not-met"
