"""Good signatures under trusted roots that lack something, or whose authorities had ended before: who notices?"""

from __future__ import annotations

import json

import pytest

from interop.forms import OF_IDENTITIES, OF_KEYS, STAMPED, UNLOGGED, Form, Question, ask, ask_all

pytestmark = [pytest.mark.timeout(300), pytest.mark.registry]

ENDED = {"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}


def without(member):
    return lambda root: root | {member: []}


def ended(member):
    """The same authorities or logs, whose time was over before anything here was signed."""

    def edit(root):
        kept = root[member]
        for entry in kept:
            (entry if "validFor" in entry else entry["publicKey"])["validFor"] = ENDED
        return root | {member: kept}

    return edit


ROOTS = {
    "no CT log": without("ctlogs"),
    "CT log ended": ended("ctlogs"),
    "no log": without("tlogs"),
    "log ended": ended("tlogs"),
    "no authority": without("certificateAuthorities"),
    "authority ended": ended("certificateAuthorities"),
    "no timestamp authority": without("timestampAuthorities"),
    "timestamp authority ended": ended("timestampAuthorities"),
}
NO_CT_LOG = frozenset({"no CT log", "CT log ended"})
NO_LOG = frozenset({"no log", "log ended"})
NO_STAMPS = frozenset({"no timestamp authority", "timestamp authority ended"})
ALL = frozenset(ROOTS)

GOOD_ENOUGH = {
    Form(log="rekor1"): ALL - NO_LOG,
    Form(bundle=False, log="rekor1"): ALL - NO_LOG,
    Form(log="rekor2", stamped=True): ALL - {"no log"},
    Form(key=False, bundle=False, log="rekor1"): NO_STAMPS,
    Form(key=False, log="rekor1"): NO_STAMPS,
    Form(key=False, bundle=False, log="rekor1", stamped=True): NO_STAMPS,
    Form(key=False, log="rekor1", stamped=True): NO_STAMPS,
    Form(key=False, bundle=False, stamped=True): NO_LOG,
    Form(key=False, stamped=True): NO_LOG,
    Form(key=False, log="rekor2", stamped=True): frozenset({"log ended"}),
}
"""How it was signed -> the roots under which cosign accepts it nevertheless."""
_PROVEN = "the window of a log counts at the time that a timestamp proves; cosign has none for Rekor v2"
STRICTER = {
    (Form(log="rekor2", stamped=True), "log ended"): _PROVEN,
    (Form(key=False, log="rekor2", stamped=True), "log ended"): _PROVEN,
}
"""Where plimsoll says no and cosign yes, and why."""
REGISTRY = "referrers API"


def usual(form):
    """The question that an image of this form answers with yes; about a log only where it was logged."""
    who = OF_KEYS["the key, logged"] if form.key else OF_IDENTITIES["who"]
    if form.log:
        return who
    return Question(args=(*who.args, *UNLOGGED), cosign=() if form.key else STAMPED)


@pytest.fixture(scope="module")
def edited_roots(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("roots")
    for name, edit in ROOTS.items():
        root = json.loads(world.sigstore.trusted_root.read_bytes())
        (folder / f"{name}.json").write_text(json.dumps(edit(root)))
    return folder


@pytest.mark.parametrize("form", GOOD_ENOUGH, ids=str)
def test_what_a_root_must_have(form, world, images, edited_roots):
    image = images.signed(form, REGISTRY)
    ours = GOOD_ENOUGH[form] - {root for where, root in STRICTER if where == form}
    said = ask_all({name: (usual(form), {"root": edited_roots / f"{name}.json"}) for name in ROOTS}, image, world)
    assert {name for name, (cosign, _) in said.items() if cosign.code == 0} == GOOD_ENOUGH[form], told(said)
    codes = {name: plimsoll.code for name, (_, plimsoll) in said.items()}
    assert codes == {name: 0 if name in ours else 3 for name in ROOTS}, told(said)


@pytest.mark.parametrize("form", [form for form in GOOD_ENOUGH if not form.key], ids=str)
def test_no_ct_log_is_needed_by_who_ignores_it(form, world, images, edited_roots):
    question = usual(form)
    ignoring = Question(args=(*question.args, "--insecure-ignore-sct"), cosign=question.cosign)
    for name in sorted(NO_CT_LOG):
        answers = ask(ignoring, images.signed(form, REGISTRY), world, root=edited_roots / f"{name}.json")
        assert [answer.code for answer in answers] == [0, 0], told({name: answers})


def told(said):
    return "\n".join(f"{name}: {answer}" for name, both in said.items() for answer in both)
