from __future__ import annotations

import re
from pathlib import Path

import pytest

from plimsoll.report.hints import HINTS, hint_for

PAGE = (Path(__file__).parents[3] / "docs/reference/reason-codes.md").read_text(encoding="utf-8")
VERDICTS = PAGE.partition("\n## Rejected\n")[2].partition("\n## Errors that are no verdict\n")[0]
CODES = re.findall(r"^\| `([a-z-]+)` \|", VERDICTS, re.MULTILINE)


def test_every_reason_has_a_hint_and_no_hint_is_for_nothing():
    assert CODES
    assert set(CODES) == set(HINTS)


@pytest.mark.parametrize("code", CODES)
def test_a_hint_is_one_line(code):
    hint = hint_for(code)
    assert hint
    assert "\n" not in hint


def test_an_unknown_code_has_no_hint():
    assert hint_for("no-such-code") is None
