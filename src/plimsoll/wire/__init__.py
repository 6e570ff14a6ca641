"""The OCI distribution API without I/O: requests to make, replies to read, challenges to answer."""

from plimsoll.wire.challenge import Challenge, choose_challenge, parse_challenges
from plimsoll.wire.replies import (
    Headers,
    Reply,
    next_page,
    parse_referrers,
    parse_retry_after,
    parse_tags_page,
    refusal,
)
from plimsoll.wire.requests import (
    Request,
    blob_request,
    digest_request,
    page_request,
    referrers_request,
    tag_request,
    tags_request,
)
from plimsoll.wire.token import Token, TokenRequest, parse_token, pull_scope, refresh_request, token_request

__all__ = [
    "Challenge",
    "Headers",
    "Reply",
    "Request",
    "Token",
    "TokenRequest",
    "blob_request",
    "choose_challenge",
    "digest_request",
    "next_page",
    "page_request",
    "parse_challenges",
    "parse_referrers",
    "parse_retry_after",
    "parse_tags_page",
    "parse_token",
    "pull_scope",
    "referrers_request",
    "refresh_request",
    "refusal",
    "tag_request",
    "tags_request",
    "token_request",
]
