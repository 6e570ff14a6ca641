"""``plimsoll verify`` as a process of its own, against the embedded registry full of demo images."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.served import served_store
from plimsoll.embedded.demo_images import EXPECTED, REPOSITORY, Demo, build_demo
from plimsoll.embedded.store import Store

IMAGES = 60


@dataclass(frozen=True)
class Place:
    registry: str
    demo: Demo
    folder: Path
    trust: tuple[str, ...]

    def reference(self, image):
        return f"docker://{self.registry}/{image.repository}:{image.tag}"

    def verify(self, *words, stdin=None):
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_"))
        }
        return subprocess.run(
            [sys.executable, "-m", "plimsoll", "verify", "--tls-verify=false", *words],
            env=env | {"HOME": str(self.folder)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def records(self, *words, stdin=None):
        """The exit code, the verdicts by input position, and the summary."""
        found = self.verify(*self.trust, "--format", "jsonl", *words, stdin=stdin)
        assert found.stderr == ""
        *verdicts, summary = [json.loads(line) for line in found.stdout.splitlines()]
        assert summary["schema"] == "plimsoll.summary/v1"
        assert summary["requests"] >= sum(verdict["requests"] for verdict in verdicts)
        return found.returncode, sorted(verdicts, key=lambda verdict: verdict["position"]), summary


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    root = folder / "images"
    root.mkdir()
    with Store(root, writable=True) as store, served_store(store) as registry:
        demo = build_demo(store, root=root, registry=registry, seed=b"\x07" * 32, count=IMAGES)
        trust = ["--insecure-ignore-tlog"]
        for at, pem in enumerate(demo.trusted_keys):
            (folder / f"{at}.pub").write_bytes(pem)
            trust += ["--key", str(folder / f"{at}.pub")]
        yield Place(registry=registry, demo=demo, folder=folder, trust=tuple(trust))


def got(verdict):
    return verdict["verdict"], "+".join(reason["code"] for reason in verdict["reasons"]) or None


def test_every_verdict_is_as_it_should_be_with_layers(place):
    listed = "".join(f"{place.reference(image)}\n" for image in place.demo.images)
    code, verdicts, summary = place.records("--layers", "digest", "--from", "-", stdin=listed)
    assert code == 3
    assert [got(verdict) for verdict in verdicts] == [EXPECTED[image.kind] for image in place.demo.images]
    assert {image.kind for image in place.demo.images} == set(EXPECTED)
    outcomes = Counter(verdict["verdict"] for verdict in verdicts)
    assert (summary["images"], summary["accepted"], summary["rejected"], summary["undetermined"]) == (
        IMAGES,
        outcomes["accepted"],
        outcomes["rejected"],
        0,
    )
    assert summary["policy"].startswith("sha256:")


def test_without_layers_each_image_takes_three_requests_and_a_refused_one_a_listing_more(place):
    code, verdicts, summary = place.records(*[place.reference(image) for image in place.demo.images])
    assert code == 3
    # manifest, .sig manifest and payload; then, where those will not do, what refers to the image
    due = [
        (2 if image.kind == "unsigned" else 3) + (verdict["verdict"] != "accepted")
        for image, verdict in zip(place.demo.images, verdicts, strict=True)
    ]
    more = [verdict["requests"] - requests for verdict, requests in zip(verdicts, due, strict=True)]
    assert sorted(more) == [0] * IMAGES
    for image, verdict in zip(place.demo.images, verdicts, strict=True):
        expected = ("accepted", None) if image.kind == "corrupt layer" else EXPECTED[image.kind]
        assert got(verdict) == expected
        assert verdict["image"] == place.reference(image)
        assert verdict["pinned"] == f"{place.registry}/{image.repository}@{verdict['digest']}"
        assert verdict["judged"] == "image"
        assert verdict["bytes"] > 0
    assert summary["requests"] == sum(verdict["requests"] for verdict in verdicts)


def first(place, kind):
    return next(image for image in place.demo.images if image.kind == kind)


@pytest.mark.parametrize("kind", EXPECTED)
def test_one_image_of_each_kind_has_its_exit_code(place, kind):
    code, (verdict,), _ = place.records("--layers", "digest", place.reference(first(place, kind)))
    assert (code, got(verdict)) == (0 if EXPECTED[kind][0] == "accepted" else 3, EXPECTED[kind])


def test_json_and_text_come_in_input_order(place):
    references = [place.reference(image) for image in place.demo.images]
    found = place.verify(*place.trust, "--format", "json", *references)
    document = json.loads(found.stdout)
    assert (found.returncode, found.stderr) == (3, "")
    assert document["schema"] == "plimsoll.report/v1"
    assert [verdict["image"] for verdict in document["verdicts"]] == references
    assert [verdict["position"] for verdict in document["verdicts"]] == list(range(IMAGES))
    text = place.verify(*place.trust, *references)
    assert (text.returncode, text.stderr) == (3, "")
    heads = [line.split() for line in text.stdout.splitlines() if line.startswith(("ACCEPTED", "REJECTED"))]
    assert [head[1] for head in heads] == references
    assert [head[0].lower() for head in heads] == [verdict["verdict"] for verdict in document["verdicts"]]
    assert f"{IMAGES} images" in text.stdout.splitlines()[-1]


def test_all_tags_verifies_every_image_and_counts_the_attachments(place):
    code, verdicts, summary = place.records("--all-tags", f"{place.registry}/{REPOSITORY}")
    own = [image for image in place.demo.images if image.repository == REPOSITORY]
    assert code == 3
    assert {verdict["image"]: got(verdict)[0] for verdict in verdicts} == {
        place.reference(image): "accepted" if image.kind == "corrupt layer" else image.outcome for image in own
    }
    assert summary["attachments"] == len([image for image in own if image.kind != "unsigned"])
    assert summary["requests"] == sum(verdict["requests"] for verdict in verdicts) + 1


def test_all_tags_can_be_narrowed(place):
    _, verdicts, _ = place.records("--all-tags", "--tags", "v1?", f"docker://{place.registry}/{REPOSITORY}")
    expected = {place.reference(image) for image in place.demo.images if image.tag in {f"v1{at}" for at in range(10)}}
    assert {verdict["image"] for verdict in verdicts} == {text for text in expected if f"/{REPOSITORY}:" in text}


def test_a_repository_that_is_not_there_or_has_no_such_tag_is_one_record(place):
    for words in (["nothing/here"], [REPOSITORY, "--tags", "nope*"]):
        code, (verdict,), _ = place.records("--all-tags", f"{place.registry}/{words[0]}", *words[1:])
        assert (code, got(verdict)) == (4, ("undetermined", "not-found"))
        assert verdict["image"] == f"docker://{place.registry}/{words[0]}"


def test_a_missing_image_is_exit_2_alone_and_4_beside_others(place):
    missing = f"docker://{place.registry}/{REPOSITORY}:missing"
    code, (verdict,), _ = place.records(missing)
    assert (code, got(verdict), verdict["digest"], verdict["pinned"]) == (2, ("undetermined", "not-found"), None, None)
    assert place.records(missing, missing)[0] == 4
    assert place.records(missing, place.reference(first(place, "unsigned")))[0] == 3


def test_a_policy_json_judges_as_the_keys_do_where_attachments_are_switched_on(place, tmp_path):
    requirement = {
        "type": "sigstoreSigned",
        "keyPaths": [str(place.folder / "0.pub"), str(place.folder / "1.pub")],
        "signedIdentity": {"type": "matchRepository"},
    }
    policy = tmp_path / "policy.json"
    policy.write_text(
        json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {place.registry: [requirement]}}})
    )
    switched = tmp_path / "registries.d"
    switched.mkdir()
    words = ["--policy", str(policy), "--registries.d", str(switched), "--format", "jsonl"]
    signed = place.reference(first(place, "signed"))
    off = place.verify(*words, signed)
    assert off.returncode == 3
    assert "use-sigstore-attachments" in off.stdout
    (switched / "local.yaml").write_text(f"docker:\n  {place.registry}:\n    use-sigstore-attachments: true\n")
    on = place.verify(*words, signed)
    assert on.returncode == 0
    assert json.loads(on.stdout.splitlines()[0])["requests"] == 3
    unsigned = place.verify(*words, place.reference(first(place, "unsigned")))
    assert unsigned.returncode == 3
    assert json.loads(unsigned.stdout.splitlines()[0])["requests"] == 2


def test_a_registry_of_plain_http_is_refused_unless_asked_for(place):
    found = place.verify(
        "--tls-verify=true", "--retry-times", "0", *place.trust, place.reference(first(place, "signed"))
    )
    assert found.returncode == 4
    assert "unreachable" in found.stdout
