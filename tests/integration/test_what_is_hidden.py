"""What lies beside an image and cannot be had is never absent: no forbidden attestation is missed, no signature said
to be missing. Images that cosign itself signed, served by a registry that fails, and in layouts that lost a file."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.hostile import HostileRegistry, hang_up, in_turn, redirect, refused, reply
from plimsoll import Policy, Verifier
from plimsoll.model.settings import HttpSettings, Settings

LAB = Path(__file__).parents[1] / "vectors" / "cosign"
REF_NAME = "org.opencontainers.image.ref.name"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
FORBIDDEN = {"attestation": {"type": "vuln", "from": ["k1"], "forbidden": True, "log": "ignore"}}
AT_MOST = {"attestation": {"type": "vuln", "from": ["k1"], "atMost": 1, "log": "ignore"}}
REQUIRED = {"attestation": {"type": "vuln", "from": ["k1"], "log": "ignore"}}
NEWEST = {"attestation": {"type": "vuln", "from": ["k1"], "where": "true", "log": "ignore"}}
SIGNED = {"signatures": {"from": ["k1"], "log": "ignore"}}
PAGE = reply(b"<html>maintenance</html>", Content_Type="text/html")


class Lab:
    """One image of the lab: its files, and what names and lists what."""

    def __init__(self, name):
        self.folder = LAB / name
        entries = json.loads((self.folder / "index.json").read_bytes())["manifests"]
        self.names = {entry["annotations"][REF_NAME]: entry for entry in entries}
        self.image = self.names["v1"]["digest"]
        [self.beside] = [tag for tag in self.names if tag != "v1"]

    def blob(self, digest):
        return (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()

    @property
    def listed(self):
        """The digests of what the tag beside the image lists: layers, or manifests."""
        document = json.loads(self.blob(self.names[self.beside]["digest"]))
        return [each["digest"] for each in document.get("layers", document.get("manifests"))]

    @property
    def tag(self):
        return f"/v2/app/manifests/{self.beside}"

    @property
    def api(self):
        return f"/v2/app/referrers/{self.image}"

    def serve(self):
        """A registry without a referrers API that has all of it."""
        server = HostileRegistry()
        for name, entry in self.names.items():
            server.on(f"/v2/app/manifests/{name}", self.manifest(entry["digest"]))
        for path in (self.folder / "blobs" / "sha256").iterdir():
            server.on(f"/v2/app/blobs/sha256:{path.name}", reply(path.read_bytes()))
            if path.read_bytes().startswith(b"{"):
                server.on(f"/v2/app/manifests/sha256:{path.name}", self.manifest(f"sha256:{path.name}"))
        return server

    def manifest(self, digest, **changes):
        data = self.blob(digest)
        fields = {"Content_Type": json.loads(data).get("mediaType", MANIFEST)} | changes
        return reply(data, **fields)

    def listing(self, **changes):
        return self.manifest(self.names[self.beside]["digest"], **changes)


BUNDLES, LEGACY, KEYED = Lab("attested"), Lab("attested-legacy"), Lab("cosign-k1")


def policy_of(folder, requirement):
    document = {"apiVersion": "plimsoll/v1", "default": [requirement], "keys": {"k1": {"path": f"{LAB}/keys/k1.pub"}}}
    (folder / "policy.json").write_text(json.dumps(document))
    return Policy.from_file(str(folder / "policy.json"))


PLAIN = Settings(http=HttpSettings(retries=0, timeout_s=10.0), tls_verify=False)


def verified(folder, image, requirement, server=None):
    async def verdict(name):
        async with asyncio.timeout(30), Verifier(policy_of(folder, requirement), settings=PLAIN) as verifier:
            return await verifier.verify(name)

    async def run():
        if server is None:
            return await verdict(image)
        async with server:
            return await verdict(f"docker://{server.host}/app:v1")

    found = asyncio.run(run())
    return found.outcome.value, [reason.code for reason in found.reasons]


def verified_in_one_run(folder, tags, requirement, server, *, at_once):
    """The outcome of each tag, which are verified in this order."""

    async def run():
        settings = replace(PLAIN, concurrency=at_once)
        async with asyncio.timeout(30), server, Verifier(policy_of(folder, requirement), settings=settings) as verifier:
            names = [f"docker://{server.host}/app:{tag}" for tag in tags]
            return {verdict.image.rpartition(":")[2]: verdict async for verdict in verifier.verify_many(names)}

    return {tag: verdict.outcome.value for tag, verdict in asyncio.run(run()).items()}


@pytest.mark.parametrize("lab", [BUNDLES, LEGACY])
def test_what_is_forbidden_is_found(tmp_path, lab):
    assert verified(tmp_path, "", FORBIDDEN, lab.serve()) == ("rejected", ["attestation-forbidden"])
    assert verified(tmp_path, f"oci:{lab.folder}:v1", FORBIDDEN) == ("rejected", ["attestation-forbidden"])
    assert verified(tmp_path, "", FORBIDDEN, KEYED.serve()) == ("accepted", [])
    assert verified(tmp_path, "", AT_MOST, lab.serve()) == ("accepted", [])


GONE = {
    "404 of another kind": refused(404, "NAME_UNKNOWN"),
    "denied as a 404": refused(404, "DENIED"),
    "forbidden": refused(403),
    "broken": refused(500),
    "hangs up": hang_up(),
    "an error page": PAGE,
    "no manifest": reply(b"{}", Content_Type="application/json"),
    "empty": reply(b""),
    "half": reply(b'{"schemaVersion":2,"mani', Content_Type=INDEX),
    "leads in circles": redirect("/v2/app/manifests/round"),
    "leads to nothing": redirect("/storage/gone"),
    "leads to nothing by way of another place": redirect("/v2/app/manifests/moved"),
}


def lead_on(server):
    """Where redirects lead from one place to another; the last is not there."""
    server.on("/v2/app/manifests/round", redirect("/v2/app/manifests/round"))
    server.on("/v2/app/manifests/moved", redirect("/storage/gone"))
    server.on("/storage/gone", reply(b"NoSuchKey", status=404))


@pytest.mark.parametrize("lab", [BUNDLES, LEGACY], ids=["fallback tag", ".att"])
@pytest.mark.parametrize("fault", GONE)
def test_a_tag_that_fails_hides_nothing_forbidden(tmp_path, lab, fault):
    server = lab.serve()
    server.on(lab.tag, GONE[fault])
    lead_on(server)
    outcome, codes = verified(tmp_path, "", FORBIDDEN, server)
    assert (outcome, "attestation-forbidden" in codes) == ("undetermined", False)


@pytest.mark.parametrize("place", ["", ".att"])
@pytest.mark.parametrize("fault", GONE)
def test_a_tag_that_fails_may_hide_one_too_many(tmp_path, fault, place):
    """The one attestation is found at one place; what the other has is not known."""
    lab = LEGACY if place == "" else BUNDLES
    tag = f"/v2/app/manifests/{lab.image.replace(':', '-')}{place}"
    server = lab.serve()
    server.on(tag, GONE[fault])
    lead_on(server)
    outcome, codes = verified(tmp_path, "", AT_MOST, server)
    assert (outcome, "attestation-forbidden" in codes) == ("undetermined", False)


@pytest.mark.parametrize("fault", GONE)
def test_a_signature_that_fails_is_not_said_to_be_missing(tmp_path, fault):
    server = KEYED.serve()
    server.on(KEYED.tag, GONE[fault])
    lead_on(server)
    outcome, codes = verified(tmp_path, "", SIGNED, server)
    assert outcome != "accepted"
    assert "no-signature" not in codes
    assert outcome == ("rejected" if set(codes) == {"manifest-invalid"} else "undetermined")


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream", "text/plain", ""])
def test_a_type_that_says_nothing_hides_nothing_forbidden(tmp_path, kind):
    for path in (BUNDLES.tag, BUNDLES.api):
        server = BUNDLES.serve()
        server.on(BUNDLES.tag, refused(404, "MANIFEST_UNKNOWN"))
        server.on(path, BUNDLES.listing(Content_Type=kind))
        assert verified(tmp_path, "", FORBIDDEN, server) == ("rejected", ["attestation-forbidden"])


NEXT = "</v2/app/more>; rel=next"
LISTINGS = {
    "a page that is gone": (in_turn(BUNDLES.listing(Link=NEXT)), refused(404)),
    "a page that is none": (BUNDLES.listing(Link=NEXT), PAGE),
    "a page that is not answered": (BUNDLES.listing(Link=NEXT), hang_up()),
    "pages in circles": (BUNDLES.listing(Link=NEXT), BUNDLES.listing(Link=NEXT)),
    "a link that cannot be read": (BUNDLES.listing(Link="/v2/app/more; rel=next"), refused(404)),
    "refused": (refused(403), refused(404)),
    "leads to nothing": (redirect("/storage/gone"), refused(404)),
    "a page that leads to nothing": (BUNDLES.listing(Link=NEXT), redirect("/storage/gone")),
    "half of it": (reply(b'{"schemaVersion":2,"mani', Content_Type="application/json"), refused(404)),
}


@pytest.mark.parametrize("fault", LISTINGS)
def test_a_listing_that_fails_hides_nothing_forbidden(tmp_path, fault):
    server = BUNDLES.serve()
    first, second = LISTINGS[fault]
    server.on(BUNDLES.api, first)
    server.on("/v2/app/more", second)
    server.on(BUNDLES.tag, refused(404, "MANIFEST_UNKNOWN"))
    outcome, codes = verified(tmp_path, "", FORBIDDEN, server)
    assert (outcome, "not-found" in codes) == ("undetermined", False)


UNCLEAR = {
    **{str(status): refused(status, "UNSUPPORTED") for status in (400, 405, 406, 410, 501)},
    "denied as a 404": refused(404, "DENIED"),
    "leads to nothing": redirect("/storage/gone"),
    "an error page": PAGE,
    "no index": reply(b"{}", Content_Type="application/json"),
    "a list of another type": BUNDLES.listing(Content_Type="application/vnd.docker.distribution.manifest.list.v2+json"),
}


@pytest.mark.parametrize("requirement", [FORBIDDEN, AT_MOST, NEWEST], ids=["forbidden", "at most", "newest"])
@pytest.mark.parametrize("answer", UNCLEAR)
def test_an_api_that_gives_no_clear_answer_hides_nothing(tmp_path, answer, requirement):
    server = BUNDLES.serve()
    server.on(BUNDLES.api, UNCLEAR[answer])
    server.on(BUNDLES.tag, refused(404, "MANIFEST_UNKNOWN"))
    outcome, codes = verified(tmp_path, "", requirement, server)
    assert (outcome, "no-attestation" in codes) == ("undetermined", False)


@pytest.mark.parametrize("answer", sorted(UNCLEAR.keys() - {"410"}))
def test_an_api_that_gives_no_clear_answer_does_not_hide_the_fallback_tag(tmp_path, answer):
    server = BUNDLES.serve()
    server.on(BUNDLES.api, UNCLEAR[answer])
    assert verified(tmp_path, "", REQUIRED, server) == ("accepted", [])


FAILING = {
    "too many requests as a 404": refused(404, "TOOMANYREQUESTS"),
    "denied as a 404": refused(404, "DENIED"),
    "an error page": PAGE,
    "no index": reply(b"{}", Content_Type="application/json"),
}


@pytest.mark.parametrize(("requirement", "missing"), [(SIGNED, "no-signature"), (REQUIRED, "no-attestation")])
@pytest.mark.parametrize("answer", FAILING)
def test_an_api_that_fails_lacks_nothing_for_sure(tmp_path, answer, requirement, missing):
    for lab in (KEYED, BUNDLES):
        server = lab.serve()
        server.on(lab.tag, refused(404, "MANIFEST_UNKNOWN"))
        server.on(lab.api, FAILING[answer])
        outcome, codes = verified(tmp_path, "", requirement, server)
        assert (outcome, missing in codes) == ("undetermined", False)
    for clear in (refused(404, "MANIFEST_UNKNOWN"), refused(404, "NAME_UNKNOWN"), refused(405, "UNSUPPORTED")):
        server = KEYED.serve()
        server.on(KEYED.tag, refused(404, "MANIFEST_UNKNOWN"))
        server.on(KEYED.api, clear)
        assert verified(tmp_path, "", requirement, server) == ("rejected", [missing])
    server = KEYED.serve()
    server.on(KEYED.api, FAILING[answer])
    assert verified(tmp_path, "", SIGNED, server) == ("accepted", [])


def served_together():
    """An image without referrers as `a`, one with them as `b`; the API answers 404 for what nothing refers to."""
    server = BUNDLES.serve()
    server.on("/v2/app/manifests/b", BUNDLES.manifest(BUNDLES.image))
    server.on("/v2/app/manifests/a", KEYED.manifest(KEYED.image))
    server.on(BUNDLES.api, BUNDLES.listing())
    server.on(BUNDLES.tag, refused(404, "MANIFEST_UNKNOWN"))
    return server


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("tags", ["b", "ab", "ba", "aab"])
@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (FORBIDDEN, {"a": "accepted", "b": "rejected"}),
        (REQUIRED, {"a": "rejected", "b": "accepted"}),
        (NEWEST, {"a": "rejected", "b": "accepted"}),
    ],
    ids=["forbidden", "required", "newest"],
)
def test_what_one_image_is_answered_decides_no_other(tmp_path, requirement, expected, tags, at_once):
    found = verified_in_one_run(tmp_path, tags, requirement, served_together(), at_once=at_once)
    assert found == {tag: expected[tag] for tag in sorted(set(tags))}


@pytest.mark.parametrize("tags", ["ab", "ba"])
@pytest.mark.parametrize(
    ("requirement", "expected"),
    [(FORBIDDEN, {"a": "accepted", "b": "rejected"}), (REQUIRED, {"a": "rejected", "b": "accepted"})],
    ids=["forbidden", "required"],
)
def test_where_the_api_seems_to_be_missing_it_hides_nothing(tmp_path, requirement, expected, tags):
    """`a` has its referrers on the fallback tag, as of old; those of `b` are listed by the API alone."""
    server = served_together()
    old = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [KEYED.names["v1"]]}).encode()
    server.on(f"/v2/app/manifests/{KEYED.image.replace(':', '-')}", reply(old, Content_Type=INDEX))
    server.on(f"/v2/app/manifests/{KEYED.image}", KEYED.manifest(KEYED.image))
    assert verified_in_one_run(tmp_path, tags, requirement, server, at_once=1) == expected


@pytest.mark.parametrize("where", ["manifests", "blobs"])
@pytest.mark.parametrize("fault", ["404 of another kind", "forbidden", "broken", "hangs up", "an error page", "empty"])
@pytest.mark.parametrize("lab", [BUNDLES, LEGACY], ids=["bundle", ".att"])
def test_one_that_is_listed_and_fails_is_not_absent(tmp_path, lab, where, fault):
    if lab is LEGACY and where == "manifests":
        where = "blobs"
    server = lab.serve()
    listed = lab.listed
    if lab is BUNDLES and where == "blobs":
        listed = [layer["digest"] for each in listed for layer in json.loads(lab.blob(each))["layers"]]
    for digest in listed:
        server.on(f"/v2/app/{where}/{digest}", GONE[fault])
    outcome, codes = verified(tmp_path, "", FORBIDDEN, server)
    assert (outcome, "not-found" in codes) == ("undetermined", False)


@pytest.mark.parametrize("lab", [BUNDLES, LEGACY], ids=["fallback tag", ".att"])
@pytest.mark.parametrize("harm", ["the list", "what it lists", "the list damaged"])
def test_a_layout_that_lost_a_file_hides_nothing_forbidden(tmp_path, lab, harm):
    layout = tmp_path / "layout"
    shutil.copytree(lab.folder, layout)
    for digest in lab.listed if harm == "what it lists" else [lab.names[lab.beside]["digest"]]:
        path = layout / "blobs" / digest.replace(":", "/")
        if harm == "the list damaged":
            path.write_bytes(b"{}")
        else:
            path.unlink()
    outcome, codes = verified(tmp_path, f"oci:{layout}:v1", FORBIDDEN)
    assert (outcome, "not-found" in codes) == ("undetermined", False)


def test_a_layout_that_lost_a_signature_is_not_said_to_have_none(tmp_path):
    layout = tmp_path / "layout"
    shutil.copytree(KEYED.folder, layout)
    (layout / "blobs" / KEYED.names[KEYED.beside]["digest"].replace(":", "/")).unlink()
    assert verified(tmp_path, f"oci:{layout}:v1", SIGNED) == ("undetermined", ["unreachable"])


def test_a_bundle_without_a_name_that_is_lost_may_be_any_images(tmp_path):
    layout = tmp_path / "layout"
    shutil.copytree(BUNDLES.folder, layout)
    index = json.loads((layout / "index.json").read_bytes())
    listing = json.loads(BUNDLES.blob(BUNDLES.names[BUNDLES.beside]["digest"]))["manifests"]
    index["manifests"] = [BUNDLES.names["v1"], *listing]
    (layout / "index.json").write_text(json.dumps(index))
    assert verified(tmp_path, f"oci:{layout}:v1", FORBIDDEN) == ("rejected", ["attestation-forbidden"])
    for entry in listing:
        (layout / "blobs" / entry["digest"].replace(":", "/")).unlink()
    assert verified(tmp_path, f"oci:{layout}:v1", FORBIDDEN)[0] == "undetermined"
