"""registries.conf as verdicts show it: the policy judges the name that was given, the mirror only supplies bytes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from fakes import hostile
from fakes.hostile import HostileRegistry
from fakes.signing import signer
from fakes.sources import Memory
from plimsoll.errors import ConfigError
from plimsoll.model.settings import Settings
from plimsoll.model.verdict import Outcome
from plimsoll.pipeline.intake import TagExpansion
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier
from plimsoll.report.records import verdict_record
from plimsoll.report.text import verdict_lines

ALICE = signer(name="alice")
NAME = "registry.example/team/app"
ACCEPT = [{"type": "insecureAcceptAnything"}]
REJECT = [{"type": "reject"}]


class Place:
    """A user's home: the files written there are the only configuration that a Verifier finds."""

    def __init__(self, folder, registry):
        self.folder = folder
        self.registry = registry

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("@REG@", self.registry.host))
        return str(file)

    def policy(self, **scopes):
        docker = {name.replace("__", "/").replace("_", "."): found for name, found in scopes.items()}
        return Policy.from_file(
            self.write("policy.json", json.dumps({"default": REJECT, "transports": {"docker": docker}}))
        )

    def signed_by_alice(self):
        (self.folder / "alice.pub").write_bytes(ALICE.pem)
        return [
            {
                "type": "sigstoreSigned",
                "keyPath": f"{self.folder}/alice.pub",
                "signedIdentity": {"type": "exactRepository", "dockerRepository": NAME},
            }
        ]

    async def verify(self, policy, name=f"{NAME}:v1", **settings):
        async with Verifier(policy, settings=Settings(**settings)) as verifier:
            return await verifier.verify(name)


@asynccontextmanager
async def placed(folder):
    """A mirror on loopback, at mirrored/app, with a signed image of the logical name."""
    memory = Memory()
    memory.sign(memory.put_image("v1"), ALICE, reference=NAME)
    async with HostileRegistry() as registry:
        for path, found in (("manifests", memory.tags), ("manifests", memory.manifests), ("blobs", memory.blobs)):
            for name, data in found.items():
                answer = hostile.manifest(data) if path == "manifests" else hostile.reply(data)
                registry.on(f"/v2/mirrored/app/{path}/{name}", answer)
        place = Place(folder, registry)
        place.write(
            ".config/containers/registries.conf",
            f"[[registry]]\nprefix='{NAME}'\nlocation='@REG@/mirrored/app'\ninsecure=true\n",
        )
        yield place


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in ("XDG_CONFIG_HOME", "CONTAINERS_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF_OVERRIDE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def play(story):
        async def main():
            async with placed(tmp_path) as place, asyncio.timeout(30):
                return await story(place)

        return asyncio.run(main())

    return play


def test_the_scope_is_that_of_the_name_given_and_never_the_mirrors(run):
    async def story(place):
        host = place.registry.host
        accepted = await place.verify(place.policy(registry_example__team=ACCEPT))
        document = {"default": REJECT, "transports": {"docker": {host: ACCEPT, f"{host}/mirrored/app": ACCEPT}}}
        rejected = await place.verify(Policy.from_file(place.write("mirror.json", json.dumps(document))))
        assert (accepted.outcome, rejected.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED)
        assert accepted.image == f"docker://{NAME}:v1"
        assert accepted.pinned == f"{NAME}@{accepted.digest}"
        for verdict in (accepted, rejected):
            assert verdict.contacted == (f"{host}/mirrored/app",)
            assert verdict_record(verdict)["contacted"] == [f"{host}/mirrored/app"]
            assert f"contacted: {host}/mirrored/app" in verdict_lines(verdict)

    run(story)


def test_registries_d_is_asked_for_the_name_where_the_bytes_come_from(run):
    async def story(place):
        policy = place.policy(registry_example=place.signed_by_alice())
        for scope, expected in ((place.registry.host, Outcome.ACCEPTED), ("registry.example", Outcome.REJECTED)):
            place.write("registries.d/x.yaml", f"docker:\n  {scope}:\n    use-sigstore-attachments: true\n")
            verdict = await place.verify(policy, registries_d=f"{place.folder}/registries.d")
            assert verdict.outcome is expected, verdict.reasons
            assert [record.verified for record in verdict.signatures] == [True] * (expected is Outcome.ACCEPTED)

    run(story)


def test_a_lookaside_is_read_at_the_path_of_the_mirror(run):
    async def story(place):
        policy = place.policy(registry_example=place.signed_by_alice())
        place.write("registries.d/x.yaml", "default-docker:\n  lookaside: http://@REG@/sigs\n")
        await place.verify(policy, registries_d=f"{place.folder}/registries.d")
        assert next(seen.path for seen in place.registry.seen if seen.path.startswith("/sigs/")).startswith(
            "/sigs/mirrored/app@sha256="
        )

    run(story)


def test_where_nobody_else_is_asked_the_record_says_nothing_of_it(run):
    async def story(place):
        name = f"{place.registry.host}/mirrored/app:v1"
        verdict = await place.verify(Policy.accept_anything(), name, tls_verify=False)
        assert verdict.outcome is Outcome.ACCEPTED
        assert verdict.contacted == ()
        assert "contacted" not in verdict_record(verdict)

    run(story)


def test_who_was_asked_in_vain_is_told_too(run):
    async def story(place):
        verdict = await place.verify(Policy.accept_anything(), f"{NAME}:v9")
        assert [reason.code for reason in verdict.reasons] == ["not-found"]
        assert verdict.contacted == (f"{place.registry.host}/mirrored/app",)

    run(story)


def test_a_blocked_registry_rejects_its_images_and_its_tags(run):
    async def story(place):
        conf = place.write("blocked.conf", "[[registry]]\nlocation='registry.example'\nblocked=true\n")
        place.write(
            ".config/containers/registries.conf.d/x.conf", "[[registry]]\nlocation='other.example'\nblocked=true"
        )
        for name in (f"{NAME}:v1", "other.example/app:v1"):
            verdict = await place.verify(Policy.accept_anything(), name, registries_conf=conf)
            assert verdict.outcome is Outcome.REJECTED
            [reason] = verdict.reasons
            assert reason.code == "policy-reject"
            assert f"has blocked = true for the prefix {name.partition('/')[0]!r}" in reason.message
            assert verdict.requests == 0
        async with Verifier(Policy.accept_anything(), settings=Settings(registries_conf=conf)) as verifier:

            async def texts():
                yield "docker://other.example/app"

            [entry] = [entry async for entry in TagExpansion(verifier.tags, patterns=()).expand(texts())]
            verdict = await verifier.verify(entry)
        assert (verdict.outcome, verdict.reasons[0].code) == (Outcome.REJECTED, "policy-reject")
        assert place.registry.seen == []

    run(story)


def test_a_rewrite_to_no_name_makes_its_images_undetermined(run):
    async def story(place):
        conf = place.write("x.conf", "[[registry]]\nprefix='registry.example'\nlocation='docker.io'\n")
        verdict = await place.verify(Policy.accept_anything(), "registry.example/app:v1", registries_conf=conf)
        assert verdict.outcome is Outcome.UNDETERMINED
        assert [reason.code for reason in verdict.reasons] == ["invalid-reference"]

    run(story)


def test_a_helper_that_is_missing_makes_its_images_undetermined(run):
    async def story(place):
        place.write(".config/containers/registries.conf.d/x.conf", "credential-helpers = ['plimsoll-test-missing']")
        place.registry.on("/v2/mirrored/app/manifests/v1", hostile.refused(401, WWW_Authenticate="Basic realm=x"))
        verdict = await place.verify(Policy.accept_anything())
        [reason] = verdict.reasons
        assert (verdict.outcome, reason.code) == (Outcome.UNDETERMINED, "unauthorized")
        assert "docker-credential-plimsoll-test-missing, which 'registries.conf' names" in reason.message

    run(story)


def test_a_configuration_that_cannot_be_read_ends_the_run_before_it_begins(run):
    async def story(place):
        with pytest.raises(ConfigError, match=r"x\.conf' is no TOML"):
            await place.verify(Policy.accept_anything(), registries_conf=place.write("x.conf", "no toml"))
        with pytest.raises(ConfigError, match="--registries-conf"):
            await place.verify(Policy.accept_anything(), registries_conf=f"{place.folder}/missing.conf")

    run(story)
