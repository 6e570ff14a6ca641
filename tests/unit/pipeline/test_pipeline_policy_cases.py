"""Files of cases: read strictly, as JSON or as YAML, and judged."""

import asyncio
import json
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fakes.signing import signer
from fakes.sources import Memory, MemoryTransports, index_bytes
from plimsoll import limits
from plimsoll.errors import ConfigError, UsageError
from plimsoll.model.comparison import PolicyCase
from plimsoll.model.descriptor import OCI_INDEX
from plimsoll.model.settings import IndexPolicy, Settings
from plimsoll.model.verdict import Outcome
from plimsoll.pipeline import reach as reach_module
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.policy_cases import parse_cases, read_cases, run_cases
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.requirements import LogDemand

NAME = "registry.example/team/app"
ALICE = signer(name="alice")
FULL = {
    "name": "nightly",
    "image": f"{NAME}:v1",
    "expect": "rejected",
    "reasons": ["no-signature", "untrusted-key"],
    "platform": "linux/arm64",
}
SHORT = {"image": f"{NAME}:v1", "expect": "accepted"}


def parsed(document):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_cases(data, origin="cases.json")


def test_a_case_with_everything_and_one_with_the_least():
    assert parsed([FULL, SHORT]) == (
        PolicyCase(
            name="nightly",
            image=f"{NAME}:v1",
            expect=Outcome.REJECTED,
            reasons=("no-signature", "untrusted-key"),
            platform="linux/arm64",
        ),
        PolicyCase(image=f"{NAME}:v1", expect=Outcome.ACCEPTED),
    )


def test_yaml_says_the_same():
    text = f"""
    # what CI holds us to
    - name: nightly
      image: {NAME}:v1
      expect: rejected
      reasons: &why [no-signature, untrusted-key]
      platform: linux/arm64
    - {{image: "{NAME}:v1", expect: accepted}}
    - image: {NAME}:v1
      expect: rejected
      reasons: *why
    """
    *found, aliased = parse_cases(text.encode(), origin="cases.yaml")
    assert tuple(found) == parsed([FULL, SHORT])
    assert aliased.reasons == found[0].reasons


REFUSED = [
    ([], "the list of cases is empty"),
    ({}, "the cases: a list"),
    ([[]], r"cases\[0\]: an object"),
    (["x"], r"cases\[0\]: an object"),
    ([{}], r'cases\[0\]: the key "expect" is missing'),
    ([SHORT, {"image": "a"}], r'cases\[1\]: the key "expect" is missing'),
    ([{"expect": "accepted"}], r'cases\[0\]: the key "image" is missing'),
    ([SHORT | {"expected": "accepted"}], r'cases\[0\]: unknown key "expected"'),
    ([SHORT | {"expect": "ACCEPTED"}], r'cases\[0\].expect: "ACCEPTED" is no verdict'),
    ([SHORT | {"expect": True}], r"cases\[0\].expect: a string is needed"),
    ([SHORT | {"image": ""}], r"cases\[0\].image: the string is empty"),
    ([SHORT | {"image": "A B"}], r"cases\[0\]: "),
    ([SHORT | {"image": "nope://x"}], r"cases\[0\]: "),
    ([SHORT | {"name": ""}], r"cases\[0\].name: the string is empty"),
    ([SHORT | {"name": None}], r"cases\[0\].name: a string is needed"),
    ([SHORT | {"platform": "linux"}], r"cases\[0\]: .*'linux'"),
    ([FULL | {"reasons": []}], r"cases\[0\].reasons: the list is empty"),
    ([FULL | {"reasons": "no-signature"}], r"cases\[0\].reasons: a list"),
    ([FULL | {"reasons": [7]}], r"cases\[0\].reasons\[0\]: a string is needed"),
    ([FULL | {"reasons": ["no-signatures"]}], r'cases\[0\].reasons\[0\]: "no-signatures" is no reason code'),
    ([FULL | {"reasons": ["no-signature"] * (limits.REASONS + 1)}], "a verdict has at most"),
    ([FULL | {"expect": "accepted"}], r"cases\[0\].reasons: an accepted image has no reasons"),
    ([SHORT] * (limits.CASES + 1), f"at most {limits.CASES}"),
]


@pytest.mark.parametrize(("document", "message"), REFUSED)
def test_what_is_no_list_of_cases_is_refused_with_its_place(document, message):
    with pytest.raises(ConfigError, match=f'^invalid cases in "cases.json": .*{message}'):
        parsed(document)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a list"),
        (b"# nothing\n", "a list"),
        (b"just words", "a list"),
        (b"- a\n- b\n", r"cases\[0\]: an object"),
        (b'[{"image": "a", "expect": "accepted"},]', "line 1, column "),
        (b'[{"image": "a",\n "image": "b", "expect": "accepted"}]', "line 2, column 2"),
        (b"- image: a\n  image: b\n  expect: accepted\n", "line 2.*twice"),
        (b"- {image: a, expect: accepted}\n--- \n- {}\n", "a second document"),
        (b"- image: a\n\texpect: accepted\n", "no YAML"),
        (b"- image: a\n  expect:\n", r"cases\[0\].expect: a string is needed"),
        (b"[" * 100, "line 1, column "),
        (b"- " * 100, "levels"),
        (b"\xff\xfe", ""),
    ],
)
def test_what_is_neither_json_nor_yaml_of_cases_is_refused(data, message):
    with pytest.raises(ConfigError, match=f"(?s)cases.json.*{message}"):
        parsed(data)


def test_aliases_cannot_multiply():
    lines = ["- &a0 [x]"] + [f"- &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 9)]
    with pytest.raises(ConfigError, match=r"cases\[0\]: an object"):
        parsed("\n".join(lines).encode())


@pytest.mark.parametrize("name", ["no-such.json", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=str(tmp_path)):
        read_cases(str(tmp_path / name))


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CASES_BYTES", 10)
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([SHORT]))
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_cases(str(path))


def parsed_or_refused(document):
    try:
        return parsed(document)
    except ConfigError as error:
        return str(error)


WORDS = st.sampled_from(["image", "expect", "name", "reasons", "platform", "accepted", "a", "no-signature", "all", ""])
ODD = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(ODD | st.lists(st.dictionaries(WORDS, ODD, max_size=5), max_size=3))
@example([{"image": "a", "expect": "accepted"}])
def test_any_document_is_cases_or_refused(document):
    found = parsed_or_refused(document)
    assert "cases.json" in found if isinstance(found, str) else len(found) == len(document) > 0


@given(st.binary(max_size=60) | st.text("-[]{}:&*!,a \n\t\"'", max_size=40).map(str.encode))
def test_any_bytes_are_cases_or_refused(data):
    found = parsed_or_refused(data)
    assert "cases.json" in found if isinstance(found, str) else found


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Run cases against one repository: v1 is signed, v2 is not, v3 is an index of which one instance is signed."""
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    memory = Memory()
    signed = memory.put_image("v1")
    memory.sign(signed, ALICE)
    unsigned = memory.put_image("v2", layers=(b"other",))
    listed = [
        {**image, "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in ((signed, "amd64"), (unsigned, "arm64"))
    ]
    memory.put_manifest(index_bytes(*listed), "v3", media_type=OCI_INDEX)
    monkeypatch.setattr(reach_module, "Transports", lambda *_, **__: MemoryTransports(memory))
    key = tmp_path / "alice.pub"
    key.write_bytes(ALICE.pem)
    policy = Policy.from_keys(key, log=LogDemand.IGNORED)

    def run(*cases, **options):
        settings = Settings(concurrency=4, **options)

        async def all_of_them():
            async with Verifier(policy, settings=settings) as verifier, asyncio.timeout(20):
                return await run_cases(verifier, cases, settings=settings)

        return asyncio.run(all_of_them())

    return run


def case(tag, expect, *reasons, platform=None):
    return PolicyCase(image=f"{NAME}:{tag}", expect=Outcome(expect), reasons=reasons, platform=platform)


def test_cases_are_judged_in_order_each_with_its_platform(judge):
    found = judge(
        case("v1", "accepted"),
        case("v2", "rejected"),
        case("v2", "rejected", "no-signature"),
        case("v3", "rejected"),
        case("v3", "accepted", platform="linux/amd64"),
        case("v3", "rejected", "no-signature", platform="linux/arm64"),
        case("v3", "undetermined", "not-found", platform="linux/s390x"),
        case("v9", "undetermined", "not-found"),
    )
    assert [result.verdict.position for result in found] == list(range(8))
    assert all(result.as_expected for result in found)
    assert [result.verdict.judged for result in found[3:6]] == ["index", "instances", "instances"]


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        (case("v1", "rejected"), ()),
        (case("v1", "undetermined"), ()),
        (case("v2", "accepted"), ()),
        (case("v2", "undetermined"), ()),
        (case("v2", "rejected", "untrusted-key"), ("untrusted-key",)),
        (case("v2", "rejected", "no-signature", "untrusted-key"), ("untrusted-key",)),
        (case("v9", "rejected"), ()),
        (case("v9", "undetermined", "timeout"), ("timeout",)),
        (case("v3", "accepted", platform="linux/arm64"), ()),
    ],
)
def test_what_differs_is_seen(judge, told, missing):
    (result,) = judge(told)
    assert not result.as_expected
    assert result.missing == missing


def test_the_run_s_platform_holds_where_a_case_has_none(judge):
    found = judge(case("v3", "accepted"), case("v3", "rejected", platform="all"), platform="linux/amd64")
    assert all(result.as_expected for result in found)


def test_a_platform_that_would_be_idle_names_its_case(judge):
    with pytest.raises(UsageError, match=r"cases\[1\]: --platform"):
        judge(case("v3", "rejected"), case("v3", "accepted", platform="all"), index_policy=IndexPolicy.INDEX)
