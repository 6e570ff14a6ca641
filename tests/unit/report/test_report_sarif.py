import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.report_schemas import read_sarif
from plimsoll import limits
from plimsoll.model.digest import Digest
from plimsoll.model.verdict import UNDETERMINED_CODES, Outcome, Reason, Verdict
from plimsoll.report.causes import CAUSES
from plimsoll.report.escape import printable
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.sarif import ListedAt, sarif_head, sarif_results, sarif_shortfall, sarif_tail
from plimsoll.report.shortfall import Ending
from plimsoll.report.summary import Summary

PAGE = (Path(__file__).parents[3] / "docs/reference/reason-codes.md").read_text(encoding="utf-8")
CODES = re.findall(
    r"^\| `([a-z-]+)` \|", PAGE.partition("\n## Rejected\n")[2].partition("\n## Errors that are no")[0], re.MULTILINE
)
DIGEST = Digest.of(b"image")
RUN = RunFacts(policy="sha256:ab", backend="cython", started_s=1_700_000_000.25)
HOSTILE = "a\x00\x1b[2J\r\n\u202e\u2028\udc80 {0} {x} [click](https://evil.example) \U0001f600"


def verdict(**changes):
    options = {"image": "docker://h:5000/app:v1", "position": 0, "outcome": Outcome.ACCEPTED, "reasons": ()}
    return Verdict(**(options | changes))


def refused(*codes, outcome=Outcome.REJECTED, message="why", **changes):
    return verdict(outcome=outcome, reasons=tuple(Reason(code=code, message=message) for code in codes), **changes)


def log(*verdicts, ending=None, listed=None, **counts):
    """The one run of the whole log, through the schema."""
    summary = Summary(**counts)
    ending = ending or Ending(exit_code=0)
    lines = []
    for found in verdicts:
        summary.add(found)
        lines += sarif_results(found, listed=listed)
    lines += sarif_shortfall(summary, ending=ending)
    assert all(line.isascii() and line.count("\n") == 1 for line in lines)
    return read_sarif(sarif_head("1.2.3") + ",".join(lines) + sarif_tail(summary, run=RUN, ending=ending))


def place(result):
    (location,) = result["locations"]
    return location["physicalLocation"]


def test_the_rules_are_the_reason_codes_with_cause_and_cure():
    driver = log(verdict())["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("plimsoll", "1.2.3")
    assert sorted(rule["id"] for rule in driver["rules"]) == sorted(CODES)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] == CAUSES[rule["id"]]
        assert rule["fullDescription"]["text"].startswith(CAUSES[rule["id"]])
        assert rule["help"]["text"].startswith("What to do: ")
        undetermined = rule["id"] in UNDETERMINED_CODES
        assert rule["defaultConfiguration"]["level"] == ("warning" if undetermined else "error")


def test_an_accepted_image_is_counted_and_no_result():
    run = log(verdict(), verdict(position=1))
    assert run["results"] == []
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (True, 0)
    assert (invocation["properties"]["images"], invocation["properties"]["accepted"]) == (2, 2)


@pytest.mark.parametrize(("outcome", "level"), [(Outcome.REJECTED, "error"), (Outcome.UNDETERMINED, "warning")])
def test_each_reason_is_a_result_of_the_images_level(outcome, level):
    found = refused("untrusted-key", "timeout", outcome=outcome, digest=DIGEST, pinned=f"h:5000/app@{DIGEST}")
    results = log(found, ending=Ending(exit_code=3))["results"]
    assert [(result["ruleId"], result["kind"], result["level"]) for result in results] == [
        ("untrusted-key", "fail", level),
        ("timeout", "fail", level),
    ]
    for result in results:
        assert result["message"]["text"] == f"docker://h:5000/app:v1 is {outcome.value}: why"
        assert result["properties"]["digest"] == str(DIGEST)
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "docker://h:5000/app:v1"


def test_a_result_names_its_rule_by_index_too():
    run = log(*(refused(code) for code in CODES))
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_code_that_nobody_knows_is_a_result_all_the_same():
    (result,) = log(refused("brand-new"))["results"]
    assert (result["ruleId"], result["level"]) == ("brand-new", "error")
    assert "ruleIndex" not in result


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.UNDETERMINED])
def test_no_reason_is_no_pass(outcome):
    (result,) = log(refused(outcome=outcome))["results"]
    assert result["ruleId"] == "internal-error"


def test_a_listed_image_stands_at_its_line():
    (result,) = log(refused("no-signature"), listed=ListedAt(path="fleet/a list#1.txt", line=7))["results"]
    assert place(result) == {
        "artifactLocation": {"uri": "fleet/a%20list%231.txt", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 7, "startColumn": 1, "endLine": 7},
    }


def test_an_image_in_no_list_stands_for_itself_and_its_port_is_no_scheme():
    (result,) = log(refused("no-signature"))["results"]
    assert place(result)["artifactLocation"]["uri"] == "h%3A5000/app%3Av1"


@pytest.mark.parametrize(
    ("image", "uri"),
    [("", "image"), ("//evil/x", "evil/x"), ("../../etc/passwd", "etc/passwd"), ("oci:/a/../b", "oci%3A/a/b")],
)
def test_a_location_stays_below_its_base(image, uri):
    (result,) = log(refused("invalid-reference", image=image))["results"]
    assert place(result)["artifactLocation"]["uri"] == uri


def prints(*verdicts):
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in log(*verdicts)["results"]]


def test_fingerprints_hold_from_run_to_run_and_tell_results_apart():
    first = refused("no-signature", "no-signature", "timeout", message="at 12:00", digest=DIGEST, position=1)
    again = refused("no-signature", "no-signature", "timeout", message="at 13:00", requests=9, position=2)
    other = refused("no-signature", image="docker://h:5000/app:v2")
    assert prints(first) == prints(again)
    assert len(set(prints(first, other))) == 4


@pytest.mark.parametrize(
    ("counts", "ending"),
    [
        ({"not_judged": 2}, Ending(exit_code=4)),
        ({}, Ending(exit_code=130, cut=True)),
        ({}, Ending(exit_code=4, cut=True)),
        ({}, Ending(exit_code=1)),
    ],
)
def test_a_run_that_was_cut_has_a_result_and_did_not_succeed(counts, ending):
    run = log(verdict(), ending=ending, **counts)
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("not-judged", "error")
    assert place(result)["artifactLocation"]["uri"]
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, ending.exit_code)
    assert [note["level"] for note in invocation["toolExecutionNotifications"]] == ["note", "error"]


def test_a_run_of_nothing_did_not_succeed():
    run = log(ending=Ending(exit_code=1))
    assert [result["ruleId"] for result in run["results"]] == ["not-judged"]
    assert run["invocations"][0]["executionSuccessful"] is False


def test_the_invocation_says_when_and_counts():
    run = log(verdict(requests=3, bytes=7), refused("no-signature"), ending=Ending(exit_code=3), seconds=2.5)
    (invocation,) = run["invocations"]
    assert invocation["startTimeUtc"] == "2023-11-14T22:13:20.250000Z"
    assert invocation["endTimeUtc"] == "2023-11-14T22:13:22.750000Z"
    assert invocation["toolExecutionNotifications"][0]["message"]["text"].startswith("2 images: 1 accepted, 1 rejected")
    assert (invocation["properties"]["rejected"], invocation["properties"]["policy"]) == (1, "sha256:ab")


TEXTS = st.text(st.characters(), max_size=40)


@settings(max_examples=60)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from([Outcome.REJECTED, Outcome.UNDETERMINED]))
def test_any_text_anywhere_fits_the_schema_and_parses_back_escaped(image, message, path, outcome):
    found = refused("no-signature", outcome=outcome, message=message, image=image, pinned=path)
    for listed in (None, ListedAt(path=path, line=1)):
        (result,) = log(found, listed=listed)["results"]
        (location,) = result["locations"]
        assert location["logicalLocations"][0]["fullyQualifiedName"] == printable(image)
        text = result["message"]["text"].replace("{{", "").replace("}}", "")
        assert not re.search(r"[{}]|\]\(", text)
        uri = place(result)["artifactLocation"]["uri"]
        parts = urlsplit(uri)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert uri
        assert uri.isascii()
        assert not {"", ".", ".."} & set(unquote(uri).split("/"))


def test_hostile_text_makes_no_link_no_placeholder_and_no_control():
    (result,) = log(refused("no-signature", message=HOSTILE, image=HOSTILE))["results"]
    text = result["message"]["text"]
    assert "[click] (https" in text
    assert "{{0}} {{x}}" in text
    assert text.isprintable()


def test_texts_are_bounded():
    (line,) = sarif_results(refused("no-signature", message="x" * 100_000, image="y" * 100_000), listed=None)
    assert len(line) < 2 * limits.TEXT_CHARS + 4 * limits.REFERENCE_CHARS
    assert json.loads(line)["ruleId"] == "no-signature"
