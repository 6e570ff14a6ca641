"""What a registry's answer can cost: of each kind as many JSON values are read as it may have."""

from __future__ import annotations

import pytest

from plimsoll import limits
from plimsoll.errors import LimitExceededError, RegistryError, UnauthorizedError
from plimsoll.model.descriptor import OCI_INDEX
from plimsoll.wire.replies import parse_referrers, parse_tags_page
from plimsoll.wire.signature_lists import parse_signature_list
from plimsoll.wire.token import parse_token


def document(head, count):
    """An object with ``head`` and a list, of ``count`` values together."""
    return b"{%b,%b" % (head, b'"x":[' + b",".join([b"[]"] * (count - 3)) + b"]}")


@pytest.mark.parametrize(
    ("read", "head", "most", "error"),
    [
        (parse_token, b'"token":"t"', limits.TOKEN_VALUES, UnauthorizedError),
        (parse_tags_page, b'"tags":null', limits.TAG_PAGE_VALUES, RegistryError),
        (parse_signature_list, b'"signatures":null', limits.PAYLOAD_VALUES, RegistryError),
    ],
)
def test_an_answer_has_as_many_values_as_it_may(read, head, most, error):
    assert read(document(head, most)) is not None
    for more in (document(head, most + 1), document(head, most + 1)[:-2] + b",!"):
        with pytest.raises(error, match="more values than allowed begin"):
            read(more)


@pytest.mark.parametrize("content_type", [OCI_INDEX, "application/json"])
def test_a_page_of_referrers_has_as_many_values_as_it_may(content_type):
    head = b'"schemaVersion":2,"manifests":[]'
    assert parse_referrers(document(head, limits.MANIFEST_VALUES - 1), content_type) in ((), None)
    with pytest.raises(LimitExceededError):
        parse_referrers(document(head, limits.MANIFEST_VALUES), content_type)
