"""``--format junit`` and ``sarif`` as a CI job gets them: a list of images in the embedded registry, one of them absent."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from fakes.report_schemas import read_junit, read_sarif
from fakes.served import served_store
from plimsoll.embedded.demo_images import EXPECTED, MIN_IMAGES, build_demo
from plimsoll.embedded.store import Store
from plimsoll.model.verdict import Outcome


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A working directory with a key and a list; gives what runs ``verify`` there, and the images with their dues."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "images").mkdir()
    with Store(folder / "images", writable=True) as store, served_store(store) as registry:
        demo = build_demo(store, root=folder / "images", registry=registry, seed=b"\x08" * 32, count=2 * MIN_IMAGES)
        trust = ["--insecure-ignore-tlog"]
        for at, pem in enumerate(demo.trusted_keys):
            (folder / f"{at}.pub").write_bytes(pem)
            trust += ["--key", f"{at}.pub"]
        due = [(f"docker://{registry}/{image.repository}:{image.tag}", *EXPECTED[image.kind]) for image in demo.images]
        due.insert(1, (f"docker://{registry}/{demo.images[0].repository}:absent", "undetermined", "not-found"))
        (folder / "fleet.txt").write_text("# the fleet\n\n" + "".join(f"{image}\n" for image, _, _ in due))
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("REGISTRY_", "CONTAINERS_"))}

        def verify(*words):
            done = subprocess.run(
                [sys.executable, "-m", "plimsoll", "verify", "--tls-verify=false", "--layers=digest", *trust, *words],
                env=clean | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=50,
                check=False,
            )
            assert done.stderr == ""
            return done.returncode, done.stdout

        yield verify, due


def test_junit_has_every_image_with_its_verdict_in_input_order(job):
    verify, due = job
    code, out = verify("--from", "fleet.txt", "--format", "junit")
    suite = read_junit(out)
    cases = suite.findall("testcase")
    assert code == 3
    assert [case.get("name") for case in cases] == [image for image, _, _ in due]
    element = {"accepted": None, "rejected": "failure", "undetermined": "error"}
    for case, (_, outcome, reason) in zip(cases, due, strict=True):
        problems = [(child.tag, child.get("type")) for child in case if child.tag != "system-out"]
        assert problems == ([] if reason is None else [(element[outcome], reason)])
        assert ("pinned: " in case.findtext("system-out")) is (reason != "not-found")
    counts = Counter(outcome for _, outcome, _ in due)
    assert (suite.get("failures"), suite.get("errors")) == (str(counts["rejected"]), str(counts["undetermined"]))


def test_sarif_has_every_refused_image_at_its_line(job):
    verify, due = job
    code, out = verify("--from", "fleet.txt", "--format", "sarif")
    run = read_sarif(out)
    assert (code, run["invocations"][0]["exitCode"]) == (3, 3)
    found = [
        (
            result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            result["properties"]["verdict"],
            result["ruleId"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    ]
    assert found == [(*image, line) for line, image in enumerate(due, 3) if image[1] != Outcome.ACCEPTED.value]
    assert {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]} == {
        "fleet.txt"
    }
    levels = {result["properties"]["verdict"]: result["level"] for result in run["results"]}
    assert levels == {"rejected": "error", "undetermined": "warning"}
    counts = run["invocations"][0]["properties"]
    assert counts["accepted"] == sum(outcome == "accepted" for _, outcome, _ in due)


def test_fingerprints_are_those_of_the_run_before(job):
    verify, _ = job

    def fingerprints():
        run = read_sarif(verify("--from", "fleet.txt", "--format", "sarif")[1])
        return [tuple(result["partialFingerprints"].values()) for result in run["results"]]

    first = fingerprints()
    assert first == fingerprints()
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_accepted_images_alone_are_exit_0(job, form):
    verify, due = job
    good = [image for image, outcome, _ in due if outcome == "accepted"]
    code, out = verify("--format", form, *good)
    assert code == 0
    if form == "junit":
        suite = read_junit(out)
        assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(len(good)), "0", "0")
    else:
        assert read_sarif(out)["results"] == []
