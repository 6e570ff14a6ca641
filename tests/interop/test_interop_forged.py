"""Signatures where they do not belong, indexes, and several signers: again both programs say the same."""

from __future__ import annotations

import json

import pytest

from interop.forms import Form, Question, ask, questions, sign
from interop.images import Registry, give_signatures_to, push_index
from interop.peers import REGISTRIES

pytestmark = [pytest.mark.timeout(300), pytest.mark.registry]

COPIED = (
    Form(bundle=False),
    Form(bundle=False, log="rekor1"),
    Form(log="rekor1"),
    Form(key=False, bundle=False, log="rekor1"),
    Form(key=False, log="rekor1"),
    Form(key=False, log="rekor2", stamped=True),
    Form(attestation="vuln", bundle=False),
    Form(attestation="vuln"),
    Form(by="plimsoll", bundle=False),
)
INDEXED = (Form(bundle=False), Form(), Form(key=False, log="rekor1"))


@pytest.fixture(params=REGISTRIES)
def registry(request):
    return request.param


def usual(form):
    """The question that an image of this form answers with yes."""
    return next(iter(questions(form).values()))


def codes(question, image, world):
    return tuple(answer.code for answer in ask(question, image, world))


@pytest.mark.parametrize("form", COPIED, ids=str)
def test_what_was_signed_for_another_image_is_refused(form, registry, world, images):
    image = images.signed(form, registry)
    other = images.unsigned(f"no {form}", registry)
    assert give_signatures_to(image, other) == 1
    assert codes(usual(form), image, world) == (0, 0)
    cosign, plimsoll = ask(usual(form), other, world)
    assert cosign.code != 0, str(cosign)
    assert plimsoll.code == 3, str(plimsoll)
    reasons = [reason["code"] for reason in json.loads(plimsoll.out.splitlines()[0])["reasons"]]
    assert reasons == ["digest-mismatch"]


def test_an_unsigned_image_is_refused(registry, world, images):
    image = images.unsigned("nobody's", registry)
    for form in (Form(), Form(key=False), Form(attestation="vuln")):
        cosign, plimsoll = codes(usual(form), image, world)
        assert (cosign != 0, plimsoll) == (True, 3)


def test_the_registries_keep_bundles_in_different_ways(world, images):
    kept = {}
    for name in REGISTRIES:
        there = Registry(images.signed(Form(), name))
        assert len(there.referrers()) == 1
        kept[name] = (there.speaks_referrers(), there.manifest(there.digest.replace(":", "-")) is not None)
    assert kept == {"referrers API": (True, False), "fallback tag": (False, True)}


@pytest.mark.parametrize("form", INDEXED, ids=str)
@pytest.mark.parametrize("recursive", [True, False], ids=["recursive", "index only"])
def test_an_index_is_signed_by_itself_or_with_its_images(form, recursive, registry, world):
    folder = world.sigstore.folder / f"index-{registry}-{form}-{recursive}".replace("/", "-")
    index, *children = push_index(world.registries[registry], "team/index", str(folder.name), folder=folder)
    sign(form, index, world, *(["--recursive"] if recursive else []))
    question = usual(form)
    assert codes(question, index, world) == (0, 0)
    for child in children:
        cosign, plimsoll = codes(question, child, world)
        assert (cosign == 0, plimsoll) == ((True, 0) if recursive else (False, 3))
    for counts, code in {"both": 0 if recursive else 3, "children": 0 if recursive else 3, "either": 0}.items():
        asked = Question(args=question.args, plimsoll=("--index-policy", counts))
        assert codes(asked, index, world) == (0, code), counts


@pytest.mark.parametrize("bundle", [True, False], ids=["bundles", ".sig"])
def test_each_of_two_signers_is_found_beside_the_other(bundle, registry, world, images):
    image = images.unsigned(f"by two, {bundle}", registry)
    for name in ("k1", "k2"):
        sign(Form(with_key=name, bundle=bundle), image, world)
        question = usual(Form())
        assert codes(question, image, world) == (0, 0)
    assert [answer.code for answer in ask(question, image, world, with_key="k2")] == [0, 0]
    both = Question(args=question.args, plimsoll=("--key", "{other_key}", "--threshold", "2"))
    assert codes(both, image, world) == (0, 0)


def test_what_plimsoll_adds_leaves_what_cosign_signed(registry, world, images):
    image = images.unsigned("by both", registry)
    sign(Form(bundle=False), image, world)
    sign(Form(by="plimsoll", bundle=False, with_key="k2"), image, world)
    for name in ("k1", "k2"):
        answers = ask(usual(Form()), image, world, with_key=name)
        assert [answer.code for answer in answers] == [0, 0], name
