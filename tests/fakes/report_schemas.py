"""Reports read as CI systems read them: held against their published schemas, then taken apart."""

import json
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import fastjsonschema
import xmlschema

SCHEMAS = Path(__file__).parents[1] / "vectors" / "reports"


@cache
def _sarif_schema():
    return fastjsonschema.compile(json.loads((SCHEMAS / "sarif-2.1.0.json").read_bytes()), use_default=False)


@cache
def _junit_schema():
    return xmlschema.XMLSchema10(SCHEMAS / "junit-10.xsd")


def read_sarif(text):
    """The one run of a SARIF log that its schema allows."""
    document = json.loads(text)
    _sarif_schema()(document)
    (run,) = document["runs"]
    return run


def read_junit(text):
    """The one suite of a report that Jenkins' schema allows, and Ant's but for the system-out of a case."""
    root = ET.fromstring(text)
    _junit_schema().validate(root)
    assert (root.tag, root.attrib) == ("testsuites", {})
    (suite,) = root
    _check_as_ant(suite)
    return suite


def _check_as_ant(suite):
    # windyroad/JUnit-Schema: these attributes, this order, and one outcome a case.
    assert {"id", "package", "name", "hostname", "timestamp", "tests", "failures", "errors", "time"} <= set(
        suite.attrib
    )
    cases = suite.findall("testcase")
    assert [child.tag for child in suite] == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
    for case in cases:
        assert {"name", "classname", "time"} == set(case.attrib)
        outcomes = [child for child in case if child.tag in {"failure", "error", "skipped"}]
        assert len(outcomes) <= 1
        assert all(child.get("type") for child in outcomes)
    counted = [len(cases), *[len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")]]
    assert [int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")] == counted
