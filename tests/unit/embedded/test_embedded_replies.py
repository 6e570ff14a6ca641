import json
import re
from urllib.parse import parse_qsl

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.embedded.replies import STATUS, byte_range, page_of, refused
from plimsoll.errors import StoreError

NAMES = st.lists(st.text("abc01.-", min_size=1, max_size=5), unique=True, max_size=30).map(sorted)


@given(NAMES, st.integers(1, 7))
def test_following_the_pages_gives_every_name_once(names, n):
    found, query = [], {"n": str(n)}
    while True:
        page = page_of(names, query, most=5)
        assert len(page.names) <= min(n, 5)
        found += page.names
        if page.following is None:
            break
        query = dict(parse_qsl(page.following))
    assert found == names


@pytest.mark.parametrize("n", ["", "-1", "1.0", "x", "٣", " 1", "9" * 40])
def test_an_n_that_is_no_number_is_refused(n):
    with pytest.raises(StoreError) as caught:
        page_of(["a"], {"n": n}, most=5)
    assert caught.value.refusal == "PAGINATION_NUMBER_INVALID"


def test_no_page_follows_an_empty_one():
    assert page_of(["a", "b"], {"n": "0"}, most=5).following is None
    assert page_of([], {}, most=5).names == []


@given(
    st.text("bytes=-,0123456789 /", max_size=20)
    | st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda span: f"bytes={span[0]}-{span[1]}"),
    st.integers(0, 15),
)
def test_any_range_is_inside_the_blob_or_ignored_or_refused(field, size):
    request = make_mocked_request("GET", "/", headers={"Range": field})
    try:
        span = byte_range(request, size)
    except StoreError:
        assert re.fullmatch(r"bytes=\d*-\d*", field)
        return
    if span is not None:
        assert 0 <= span[0] < span[1] <= size


def test_a_range_past_the_end_is_refused():
    with pytest.raises(StoreError) as caught:
        byte_range(make_mocked_request("GET", "/", headers={"Range": "bytes=5-"}), 5)
    assert caught.value.refusal == "RANGE_INVALID"


def test_an_unlisted_refusal_is_a_server_error():
    reply = refused(StoreError("why"))
    assert (reply.status, json.loads(reply.body)) == (500, {"errors": [{"code": "UNKNOWN", "message": "why"}]})
    assert refused(StoreError("why", refusal="DENIED")).status == STATUS["DENIED"]
