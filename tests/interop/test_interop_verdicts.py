"""What one program signs the other verifies, and both give the same verdict on every question; the differences are here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interop.forms import PREDICATES, Form, ask_all, questions
from interop.peers import KEYS, REGISTRIES

pytestmark = [pytest.mark.timeout(300), pytest.mark.registry]

KEY = frozenset({"the key"})
KEY_LOGGED = KEY | {"the key, logged"}
ANNOTATED = frozenset({"its annotation"})
COUNTS_AS_SIGNATURE = frozenset({"a signature", "a signature, as cosign"})
WHO_NOT_LOGGED = frozenset({"who, not logged"})
WHO = WHO_NOT_LOGGED | {
    "who",
    "identity by pattern",
    "part of the identity",
    "part of the identity, as cosign",
    "issuer by pattern",
    "its branch",
}
STAMPED_ONLY = frozenset({"who, stamped and not logged"})
STAMPED = STAMPED_ONLY | {"who, stamped"}

SIGNATURES = {
    Form(bundle=False): KEY | ANNOTATED,
    Form(bundle=False, log="rekor1"): KEY_LOGGED | ANNOTATED,
    Form(bundle=False, stamped=True): KEY | ANNOTATED,
    Form(bundle=False, log="rekor1", stamped=True): KEY_LOGGED | ANNOTATED,
    Form(): KEY | ANNOTATED,
    Form(log="rekor1"): KEY_LOGGED | ANNOTATED,
    Form(log="rekor2"): KEY_LOGGED | ANNOTATED,
    Form(stamped=True): KEY | ANNOTATED,
    Form(log="rekor1", stamped=True): KEY_LOGGED | ANNOTATED,
    Form(log="rekor2", stamped=True): KEY_LOGGED | ANNOTATED,
    Form(key=False, bundle=False): WHO_NOT_LOGGED,
    Form(key=False, bundle=False, log="rekor1"): WHO | ANNOTATED,
    Form(key=False, bundle=False, stamped=True): WHO_NOT_LOGGED | STAMPED_ONLY,
    Form(key=False, bundle=False, log="rekor1", stamped=True): WHO | ANNOTATED | STAMPED,
    Form(key=False): WHO_NOT_LOGGED,
    Form(key=False, log="rekor1"): WHO | ANNOTATED,
    Form(key=False, stamped=True): WHO_NOT_LOGGED | STAMPED_ONLY,
    Form(key=False, log="rekor1", stamped=True): WHO | ANNOTATED | STAMPED,
    Form(key=False, log="rekor2", stamped=True): WHO | ANNOTATED | STAMPED,
}
WRONGLY_STAMPED = Form(attestation="vuln", key=False, bundle=False, log="rekor1", stamped=True)
"""cosign stamps the signature of an ``.att`` and verifies a stamp of the whole envelope: its stamps are never good."""
ATTESTATIONS = {
    Form(attestation="vuln", bundle=False): KEY,
    Form(attestation="vuln", bundle=False, log="rekor1"): KEY_LOGGED,
    Form(attestation="vuln"): KEY | COUNTS_AS_SIGNATURE,
    Form(attestation="vuln", log="rekor1"): KEY_LOGGED | COUNTS_AS_SIGNATURE,
    Form(attestation="vuln", key=False, bundle=False, log="rekor1"): WHO,
    WRONGLY_STAMPED: WHO,
    Form(attestation="vuln", key=False, log="rekor1"): WHO | COUNTS_AS_SIGNATURE,
    Form(attestation="vuln", key=False, log="rekor2", stamped=True): WHO | COUNTS_AS_SIGNATURE | STAMPED,
}
# cosign signs with the hash of the key's curve and Ed25519 prehashed, and verifies with SHA-256 and Ed25519 pure: what it
# makes with these keys it refuses itself. Bundles it refuses to make with Ed25519.
UNLIKE_VERIFIED = ("p384", "p521", "ed25519")
KINDS_OF_KEYS = {
    **{Form(with_key=name, bundle=bundle): KEY | ANNOTATED for name in ("rsa3072", "own") for bundle in (True, False)},
    **{Form(with_key="rsa3072", bundle=bundle, log="rekor1"): KEY_LOGGED | ANNOTATED for bundle in (True, False)},
    **{Form(with_key=name, bundle=False): frozenset() for name in UNLIKE_VERIFIED},
    **{Form(with_key=name, bundle=False, log="rekor1"): frozenset() for name in UNLIKE_VERIFIED},
    **{Form(with_key=name): frozenset() for name in UNLIKE_VERIFIED if name != "ed25519"},
}
TYPES = {
    **{Form(attestation=name, bundle=False): KEY for name in PREDICATES if name != "vuln"},
    **{Form(attestation=name): KEY | COUNTS_AS_SIGNATURE for name in PREDICATES if name != "vuln"},
}
UNPROVEN = tuple(Form(key=False, bundle=bundle) for bundle in (True, False))
"""Keyless with neither log nor stamp: plimsoll signs none."""
BY_PLIMSOLL = {
    **{replace(form, by="plimsoll"): yes for form, yes in SIGNATURES.items() if form not in UNPROVEN},
    **{replace(form, by="plimsoll"): yes for form, yes in ATTESTATIONS.items() if form != WRONGLY_STAMPED},
    **{Form(by="plimsoll", with_key=name, bundle=False): KEY | ANNOTATED for name in (*KEYS, "own")},
    # The hash that cosign verifies with: SHA-256, whatever the curve.
    **{Form(by="plimsoll", with_key=name): KEY | ANNOTATED for name in (*KEYS, "own")},
}
"""How it was signed -> the questions that cosign answers with yes; all others it answers with no."""

STRICTER = {
    "part of the identity": "a pattern must match the whole identity; --cosign-compatible asks as cosign does",
    "a signature": "an attestation is no signature of the image; --cosign-compatible takes it as one",
}
"""Question -> why plimsoll says no where cosign says yes."""
WITHOUT_TIME = {WRONGLY_STAMPED: "where no log is asked only the stamp is left, and it is about something else"}
"""How it was signed -> why plimsoll says no to what asks for no log, where cosign says yes."""
LOOSER = {
    (WRONGLY_STAMPED, "who, stamped"): "a stamp cannot be demanded of plimsoll: the log has proven the time",
} | {
    (form, question): "in a bundle the hash of the key's curve is tried, then SHA-256"
    for form in (Form(with_key="p384"), Form(with_key="p521"))
    for question in KEY | ANNOTATED
}
"""Where plimsoll says yes and cosign says no, and why that is right."""
EVERYWHERE = SIGNATURES | ATTESTATIONS
IN_ONE_REGISTRY = KINDS_OF_KEYS | TYPES | BY_PLIMSOLL
CASES = [
    *((form, registry) for form in EVERYWHERE for registry in REGISTRIES),
    *((form, next(iter(REGISTRIES))) for form in IN_ONE_REGISTRY),
]


@pytest.mark.parametrize(("form", "registry"), CASES, ids=str)
def test_both_give_the_same_verdicts(form, registry, world, images):
    expected = (EVERYWHERE | IN_ONE_REGISTRY)[form]
    image = images.signed(form, registry)
    asked = questions(form)
    said = ask_all({name: (each, {}) for name, each in asked.items()}, image, world, with_key=form.with_key)
    assert {name for name, (cosign, _) in said.items() if cosign.code == 0} == expected, told(said, expected)
    ours = (expected - set(STRICTER)) | {question for where, question in LOOSER if where == form}
    if form in WITHOUT_TIME:
        ours = {name for name in ours if "--insecure-ignore-tlog" not in asked[name].args}
    codes = {name: plimsoll.code for name, (_, plimsoll) in said.items()}
    assert codes == {name: 0 if name in ours else 3 for name in asked}, told(said, ours)


def told(said, yes):
    """What the programs printed where they did not say what they should have."""
    wrong = [answer for name, both in said.items() for answer in both if (answer.code == 0) != (name in yes)]
    return "\n".join(map(str, wrong))


def test_every_difference_is_met():
    asked = {name for form in EVERYWHERE | IN_ONE_REGISTRY for name in questions(form)}
    assert set(STRICTER) <= asked
    assert {form for form, _ in LOOSER} <= EVERYWHERE.keys() | IN_ONE_REGISTRY.keys()
