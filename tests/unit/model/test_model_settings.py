import math

import pytest

from plimsoll.errors import UsageError
from plimsoll.model.settings import Credentials, HttpSettings, Settings


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"connections_per_host": 1},
        {"retries": 0},
        {"timeout_s": 0.001},
        {"timeout_s": 86_400},
        {"requests_per_s": None},
        {"requests_per_s": 0.1},
    ],
)
def test_what_a_run_can_have_is_taken(good):
    Settings(http=HttpSettings(**good)).check()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("connections_per_host", 0),
        ("connections_per_host", -1),
        ("retries", -1),
        *[(name, bad) for name in ("timeout_s", "requests_per_s") for bad in (0, -5, math.nan, math.inf, -math.inf)],
    ],
)
def test_what_no_run_can_have_is_refused_by_name(name, number):
    with pytest.raises(UsageError, match=name):
        Settings(http=HttpSettings(**{name: number})).check()


@pytest.mark.parametrize("name", ["layers", "index_policy"])
@pytest.mark.parametrize("text", ["none", "digest", "diffid", "index", ""])
def test_a_text_is_no_member_of_an_enumeration(name, text):
    with pytest.raises(UsageError, match=name):
        Settings(**{name: text}).check()


def test_who_asks_as_nobody_has_no_credentials():
    Settings(anonymous=True).check()
    with pytest.raises(UsageError, match="anonymous"):
        Settings(anonymous=True, credentials=Credentials(username="u", password="p")).check()


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_run_has_at_least_one_image_in_flight(concurrency):
    Settings(concurrency=1).check()
    with pytest.raises(UsageError, match="concurrency"):
        Settings(concurrency=concurrency).check()
